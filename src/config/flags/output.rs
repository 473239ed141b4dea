//! The options for what is printed.

use crate::config::choices::Boolean;
use crate::config::command_name::CommandName::{
    self, Agents, Doctor, Healthcheck, History, Keep, Plan, Run, Serve, Setup, Status,
};
use crate::config::flag::Name::{Both, Long};
use crate::config::flag::{About, Action, Flag, Group, Printed, TakenBy, Takes, Values, put_text};
use crate::config::{value, words};
use crate::log::LogFormat;
use crate::words::spelling::Words;

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: Long("log-format"),
        takes: Takes::Value("FORMAT", Values::words::<LogFormat>()),
        variable: Some("AGENT_INIT_LOG_FORMAT"),
        group: Group::Output,
        taken_by: TakenBy::FACTS_SETUP_AND_KEEP,
        about: About { short: "Form of messages: text or json", long: "", default: "text" },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.log.format, text, words::parse)),
    },
    Flag {
        name: Both('v', "verbose"),
        takes: Takes::Optional("BOOL", Values::words::<Boolean>()),
        variable: Some("AGENT_INIT_VERBOSE"),
        group: Group::Output,
        taken_by: TakenBy { shown: &[Run, Setup, Keep, Plan, Status], hidden: &[History, Doctor] },
        about: About { short: "Log each step", long: "", default: "off" },
        about_in: &[(
            Status,
            About {
                short: "Show exact times, sources and modes, too",
                long: "They are the values of the JSON.",
                default: "off",
            },
        )],
        action: Action::Set(|settings, text| put_text(&mut settings.verbose, text, value::boolean)),
    },
    Flag {
        name: Both('q', "quiet"),
        takes: Takes::Optional("BOOL", Values::words::<Boolean>()),
        variable: Some("AGENT_INIT_QUIET"),
        group: Group::Output,
        taken_by: TakenBy::START_SETUP_AND_KEEP,
        about: About { short: "Log warnings and errors only", long: "", default: "off" },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.quiet, text, value::boolean)),
    },
    Flag {
        name: Long("warn-within"),
        takes: Takes::Value("DURATION", Values::Anything),
        variable: Some("AGENT_INIT_WARN_WITHIN"),
        group: Group::Output,
        taken_by: TakenBy { shown: &[Run, Keep, Plan, Status, Doctor], hidden: &[History, Healthcheck] },
        about: About {
            short: "Report a login as expiring this long before its end",
            long: "A login that is refreshed may have a login deadline, which no refresh moves.",
            default: "7d",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.warn_within, text, value::duration)),
    },
    Flag {
        name: Long("on-event"),
        takes: Takes::Value("CMD", Values::Anything),
        variable: Some("AGENT_INIT_ON_EVENT"),
        group: Group::Output,
        taken_by: TakenBy { shown: &[Run, Keep, Plan], hidden: &[Setup, Status, History, Doctor] },
        about: About {
            short: "Run CMD when something happens to a login",
            long: "\
CMD reads the event, one JSON object, from standard input. It runs as agent-init's user, for 10 s at most, and delays \
nothing. The events are expiring, expired, logged-out, publish-failed, not-published, recovered, conflict, published, \
adopted, refreshed, refresh-failed and not-kept.",
            default: "",
        },
        about_in: &[],
        action: Action::Set(|settings, text| {
            settings.run.on_event = Some(value::command(text)?);
            Ok(())
        }),
    },
    Flag {
        name: Long("short"),
        takes: Takes::Nothing,
        variable: None,
        group: Group::Output,
        taken_by: TakenBy::only(&[Status]),
        about: About { short: "Print one line for each agent", long: "", default: "" },
        about_in: &[],
        action: Action::Set(|settings, _| {
            settings.short = true;
            Ok(())
        }),
    },
    Flag {
        name: Long("openmetrics"),
        takes: Takes::Nothing,
        variable: None,
        group: Group::Output,
        taken_by: TakenBy::only(&[Status]),
        about: About {
            short: "Print metrics for Prometheus instead of text",
            long: "\
The form is the OpenMetrics text format, which node-exporter reads from files, too. The metrics name agents, not \
accounts.",
            default: "",
        },
        about_in: &[],
        action: Action::Set(|settings, _| {
            settings.openmetrics = true;
            Ok(())
        }),
    },
    Flag {
        name: Long("json"),
        takes: Takes::Nothing,
        variable: None,
        group: Group::Output,
        taken_by: TakenBy::only(&[Plan, Status, History, Doctor, Agents]),
        about: About { short: "Print one JSON object instead of text", long: "", default: "" },
        about_in: &[(
            History,
            About { short: "Print a JSON object for each event, one a line", long: "", default: "" },
        )],
        action: Action::Set(|settings, _| {
            settings.json = true;
            Ok(())
        }),
    },
    Flag {
        name: Long("idle"),
        takes: Takes::Nothing,
        variable: None,
        group: Group::Output,
        taken_by: TakenBy { shown: &[], hidden: &[Serve] },
        about: About { short: "Wait for a signal: what serve itself runs", long: "", default: "" },
        about_in: &[],
        action: Action::Set(|settings, _| {
            settings.idle = true;
            Ok(())
        }),
    },
    Flag {
        name: Both('h', "help"),
        takes: Takes::Nothing,
        variable: None,
        group: Group::Output,
        taken_by: TakenBy::only(CommandName::VALUES),
        about: About { short: "Print help: -h is short, --help is long", long: "", default: "" },
        about_in: &[],
        action: Action::Print(Printed::Help),
    },
    Flag {
        name: Both('V', "version"),
        takes: Takes::Nothing,
        variable: None,
        group: Group::Output,
        taken_by: TakenBy::only(&[Run]),
        about: About { short: "Print the version", long: "", default: "" },
        about_in: &[],
        action: Action::Print(Printed::Version),
    },
];
