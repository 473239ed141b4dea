//! The options for the agent's process: privilege, signals, the stop.

use crate::config::choices::{Forwarding, Switch};
use crate::config::flag::Name::Long;
use crate::config::flag::{About, Action, Flag, Group, TakenBy, Takes, Values, put_text};
use crate::config::invalid::text;
use crate::config::settings::Settings;
use crate::config::value;
use crate::config::words;
use crate::words::spelling::Word;

/// Signals that completions offer.
const SIGNALS: &[Word] =
    &[signal("TERM"), signal("INT"), signal("HUP"), signal("QUIT"), signal("USR1"), signal("USR2")];

const fn signal(word: &'static str) -> Word {
    Word { word, aliases: &[], help: "" }
}

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: Long("drop-caps"),
        takes: Takes::Value("SWITCH", Values::words::<Switch>()),
        variable: Some("AGENT_INIT_DROP_CAPS"),
        group: Group::Process,
        taken_by: TakenBy::START_AND_KEEP,
        about: About {
            short: "Take all capabilities from the agent: on, off, auto",
            long: "This empties its capability sets, including the bounding set.",
            default: "auto",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.drop_caps, text, words::parse_any_case)),
    },
    Flag {
        name: Long("no-new-privs"),
        takes: Takes::Value("SWITCH", Values::words::<Switch>()),
        variable: Some("AGENT_INIT_NO_NEW_PRIVS"),
        group: Group::Process,
        taken_by: TakenBy::START_AND_KEEP,
        about: About {
            short: "Set no_new_privs for the agent: on, off, auto",
            long: "With it, setuid programs such as sudo give the agent no privilege.",
            default: "auto",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.no_new_privs, text, words::parse_any_case)),
    },
    Flag {
        name: Long("stop-signal"),
        takes: Takes::Value("SIGNAL", Values::Words(SIGNALS)),
        variable: Some("AGENT_INIT_STOP_SIGNAL"),
        group: Group::Process,
        taken_by: TakenBy::START_AND_KEEP,
        about: About {
            short: "The signal that stops the container",
            long: "It is forwarded to the agent. What still runs shortly before --grace ends is killed.",
            default: "TERM",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.stop_signal, text, value::stop_signal)),
    },
    Flag {
        name: Long("grace"),
        takes: Takes::Value("DURATION", Values::Anything),
        variable: Some("AGENT_INIT_GRACE"),
        group: Group::Process,
        taken_by: TakenBy::START_SETUP_AND_KEEP,
        about: About {
            short: "Time from the stop signal to the exit",
            long: "\
This includes the last save of the login. It must be shorter than the time after which the container is killed: \
10 s with docker.",
            default: "8s",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.grace, text, value::duration)),
    },
    Flag {
        name: Long("forward-to"),
        takes: Takes::Value("WHO", Values::words::<Forwarding>()),
        variable: Some("AGENT_INIT_FORWARD_TO"),
        group: Group::Process,
        taken_by: TakenBy::START,
        about: About { short: "Who gets forwarded signals: group or process", long: "", default: "group" },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.forward_to, text, words::parse)),
    },
    Flag {
        name: Long("rewrite"),
        takes: Takes::Value("FROM:TO", Values::Anything),
        variable: Some("AGENT_INIT_REWRITE"),
        group: Group::Process,
        taken_by: TakenBy::START,
        about: About {
            short: "Forward signal FROM as TO, or drop it with FROM:0",
            long: "It may be repeated, or take several pairs separated by commas.",
            default: "",
        },
        about_in: &[],
        action: Action::SetAfter(Settings::forget_rewrites, |settings, value| {
            settings.run.rewrite.extend(value::rewrites(text(value)?)?);
            Ok(())
        }),
    },
];
