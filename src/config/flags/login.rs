//! The options for logins and other credentials.

use crate::agent::definition::Method;
use crate::config::choices::{AuthMode, Boolean, Delivery, SyncMode};
use crate::config::command_name::CommandName::{Doctor, History, Keep, Plan, Run, Setup, Status};
use crate::config::flag::Name::Long;
use crate::config::flag::{About, Action, Flag, Group, TakenBy, Takes, Values, put_text};
use crate::config::{value, words};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: Long("agent"),
        takes: Takes::Value("NAME[,NAME]", Values::Agents(&["auto", "none"])),
        variable: Some("AGENT_INIT_AGENT"),
        group: Group::Login,
        taken_by: TakenBy::LOGINS,
        about: About {
            short: "Agents to log in: names, auto or none",
            long: "\
auto means the agent that COMMAND starts and each agent that was given a credential in a variable or an option. If \
COMMAND starts no known agent, it means each agent for which a credential is found. With none, agent-init logs in \
nobody: it starts COMMAND, forwards signals and reaps processes.",
            default: "auto",
        },
        about_in: &[
            (
                Setup,
                About {
                    short: "Agents to log in to",
                    long: "",
                    default: "the agent that COMMAND starts, else the only one that is installed, else any, in a shell",
                },
            ),
            (
                Keep,
                About {
                    short: "Agents whose logins are kept",
                    long: "auto means each agent whose login is there or which is installed, if its login can be kept.",
                    default: "auto",
                },
            ),
        ],
        action: Action::Set(|settings, text| put_text(&mut settings.run.agent, text, value::agents)),
    },
    Flag {
        name: Long("auto"),
        takes: Takes::Optional("BOOL", Values::words::<Boolean>()),
        variable: Some("AGENT_INIT_AUTO"),
        group: Group::Login,
        taken_by: TakenBy::only(&[Setup]),
        about: About {
            short: "Start the agent itself instead of its login command",
            long: "The agent starts in the mode that asks for no permissions. Log in where it offers to.",
            default: "off",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.auto, text, value::boolean)),
    },
    Flag {
        name: Long("token"),
        takes: Takes::Optional("BOOL", Values::words::<Boolean>()),
        variable: Some("AGENT_INIT_TOKEN"),
        group: Group::Login,
        taken_by: TakenBy::only(&[Setup]),
        about: About {
            short: "Create and capture a long-lived token",
            long: "\
Such a token is never refreshed, so containers can use it without sharing a login. Only some agents have such tokens. \
The terminal shows asterisks instead of the token.",
            default: "off",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.token, text, value::boolean)),
    },
    Flag {
        name: Long("auth"),
        takes: Takes::Value("MODE", Values::words::<AuthMode>()),
        variable: Some("AGENT_INIT_AUTH"),
        group: Group::Login,
        taken_by: TakenBy::FACTS,
        about: About {
            short: "How agents log in: a MODE, or NAME=MODE for each",
            long: "A MODE alone is for all agents. one=token,other=sync sets the modes of the agents one and other.",
            default: "auto",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.auth, text, value::auth)),
    },
    Flag {
        name: Long("prefer"),
        takes: Takes::Value("METHOD[,...]", Values::words::<Method>()),
        variable: Some("AGENT_INIT_PREFER"),
        group: Group::Login,
        taken_by: TakenBy::FACTS,
        about: About {
            short: "Methods to prefer if there are several",
            long: "They come before the agent's other methods in the mode auto.",
            default: "the agent's own order",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.prefer, text, value::methods)),
    },
    Flag {
        name: Long("capture"),
        takes: Takes::Value("DIR", Values::Directory),
        variable: Some("AGENT_INIT_CAPTURE"),
        group: Group::Login,
        taken_by: TakenBy::LOGINS,
        about: About {
            short: "The login directory, or NAME=DIR for each agent",
            long: "\
It has one directory for each agent, DIR/NAME: the agent's capture. If DIR itself holds the login file of an agent, \
it is that agent's capture. NAME=DIR,... names the capture of each agent.",
            default: "/capture, if it exists",
        },
        about_in: &[(
            Setup,
            About {
                short: "The login directory, or NAME=DIR for each agent",
                long: "It gets one directory for each agent, DIR/NAME: the agent's capture. NAME=DIR,... names the capture of each agent.",
                default: "/auth-output, else /capture, if it exists",
            },
        )],
        action: Action::Set(|settings, text| put_text(&mut settings.run.capture, text, value::captures)),
    },
    Flag {
        name: Long("store"),
        takes: Takes::Value("SPEC", Values::Anything),
        variable: Some("AGENT_INIT_STORE"),
        group: Group::Login,
        // A login is captured into a directory: `setup` takes it to refuse it in words that help.
        taken_by: TakenBy { shown: &[Run, Keep, Plan, Status, History, Doctor], hidden: &[Setup] },
        about: About {
            short: "Where logins are kept: dir, or exec:CMD ARG...",
            long: "\
dir is the login directory of --capture. exec: names a helper for a secret store. CMD is run with get, put, lock or \
unlock as its last argument. It reads one JSON object from standard input and writes one to standard output.",
            default: "dir",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.store, text, value::store)),
    },
    Flag {
        name: Long("before"),
        takes: Takes::Value("DURATION", Values::Anything),
        variable: Some("AGENT_INIT_BEFORE"),
        group: Group::Login,
        taken_by: TakenBy::only(&[Keep]),
        about: About {
            short: "Refresh a login this long before it expires",
            long: "\
Less a random fifth, so that keepers do not ask the vendor in step. A token that lives for less than twice this time is \
refreshed halfway.",
            default: "30m",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.before, text, value::duration)),
    },
    Flag {
        name: Long("once"),
        takes: Takes::Optional("BOOL", Values::words::<Boolean>()),
        variable: Some("AGENT_INIT_ONCE"),
        group: Group::Login,
        taken_by: TakenBy::only(&[Keep]),
        about: About {
            short: "Refresh what is due, then exit",
            long: "For a job that runs regularly: more often than --before.",
            default: "off",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.once, text, value::boolean)),
    },
    Flag {
        name: Long("secrets"),
        takes: Takes::Value("DIR[:DIR]", Values::Directory),
        variable: Some("AGENT_INIT_SECRETS"),
        group: Group::Login,
        taken_by: TakenBy { shown: &[Run, Keep, Plan, Status, Doctor], hidden: &[History] },
        about: About {
            short: "Directories of secret files",
            long: "A file there that has the name of a credential's variable, in upper or lower case, holds its value.",
            default: "/run/secrets and $CREDENTIALS_DIRECTORY",
        },
        about_in: &[],
        action: Action::Set(|settings, directories| {
            settings.run.secrets = Some(directories.to_owned());
            Ok(())
        }),
    },
    Flag {
        name: Long("deliver"),
        takes: Takes::Value("HOW", Values::words::<Delivery>()),
        variable: Some("AGENT_INIT_DELIVER"),
        group: Group::Login,
        taken_by: TakenBy::FACTS,
        about: About { short: "How a token or key reaches the agent: env or fd", long: "", default: "env" },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.deliver, text, words::parse)),
    },
    Flag {
        name: Long("sync"),
        takes: Takes::Value("WHEN", Values::words::<SyncMode>()),
        variable: Some("AGENT_INIT_SYNC"),
        group: Group::Login,
        taken_by: TakenBy::FACTS,
        about: About {
            short: "When to save refreshed logins: live, exit or off",
            long: "With live, the running agent also gets a newer login that another container has saved.",
            default: "live",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.sync, text, words::parse)),
    },
    Flag {
        name: Long("require"),
        takes: Takes::Optional("NAME[,NAME]", Values::Agents(&[])),
        variable: Some("AGENT_INIT_REQUIRE"),
        group: Group::Login,
        taken_by: TakenBy::START,
        about: About {
            short: "Do not start without a usable credential",
            long: "With names, each of these agents needs one; without names, one agent does. If none is found, the exit status is 125.",
            default: "off",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.require, text, value::requirement)),
    },
    Flag {
        name: Long("wait"),
        takes: Takes::Value("DURATION", Values::Anything),
        variable: Some("AGENT_INIT_WAIT"),
        group: Group::Login,
        taken_by: TakenBy::START,
        about: About {
            short: "Wait this long for a login to appear in the capture",
            long: "agent-init waits only if there is no usable credential or if one of --require is missing.",
            default: "0",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.wait, text, value::duration)),
    },
];
