//! The options for the agent's user and its files.

use std::ffi::OsStr;

use crate::config::choices::{Boolean, Scope};
use crate::config::command_name::CommandName::{Exec, Healthcheck, Setup};
use crate::config::flag::Name::Long;
use crate::config::flag::{About, Action, Flag, Group, TakenBy, Takes, Values, put_text};
use crate::config::invalid::{Invalid, text};
use crate::config::settings::Settings;
use crate::config::value::{self, UserChoice};
use crate::config::words;

/// Where `run` keeps its state, to commands that look for it.
const STATE_OF_RUN: About = About {
    short: "Where the running agent-init keeps its state",
    long: "",
    default: "where PID 1 was told to keep it, else where `run` keeps it by default",
};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: Long("user"),
        takes: Takes::Value("USER[:GROUP]", Values::User),
        variable: Some("AGENT_INIT_USER"),
        group: Group::UserAndFiles,
        taken_by: TakenBy::FACTS_SETUP_AND_KEEP,
        about: About {
            short: "Run the agent as USER, by name or number",
            long: "\
Without GROUP, the group is that of the user in /etc/passwd; a number without an entry there gets the group of the \
same number. Only root can change the user. If agent-init does not start as root, AGENT_INIT_USER is ignored.",
            default: "unchanged",
        },
        about_in: &[],
        action: Action::SetAfter(Settings::forget_user, |settings, value| {
            settings.set_user(UserChoice::Named(text(value)?.to_owned()));
            Ok(())
        }),
    },
    Flag {
        name: Long("user-from"),
        takes: Takes::Value("PATH", Values::Path),
        variable: Some("AGENT_INIT_USER_FROM"),
        group: Group::UserAndFiles,
        taken_by: TakenBy::FACTS_SETUP_AND_KEEP,
        about: About {
            short: "Run the agent as the owner and group of PATH",
            long: "If PATH is a workspace mounted from the host, new files in it belong to the host's user.",
            default: "",
        },
        about_in: &[],
        action: Action::SetAfter(Settings::forget_user, |settings, path| {
            settings.set_user(UserChoice::OwnerOf(value::path(path)?));
            Ok(())
        }),
    },
    Flag {
        name: Long("home"),
        takes: Takes::Value("DIR", Values::Directory),
        variable: Some("AGENT_INIT_HOME"),
        group: Group::UserAndFiles,
        taken_by: TakenBy::FACTS_SETUP_AND_KEEP,
        about: About {
            short: "HOME of the agent",
            long: "",
            default: "the user's home directory, else $HOME, else /tmp/agent-home",
        },
        about_in: &[],
        action: Action::Set(|settings, path| set_path(&mut settings.run.home, path)),
    },
    Flag {
        name: Long("work-dir"),
        takes: Takes::Value("DIR", Values::Directory),
        variable: Some("AGENT_INIT_WORK_DIR"),
        group: Group::UserAndFiles,
        taken_by: TakenBy::FACTS_AND_SETUP,
        about: About {
            short: "Directory for working copies of logins",
            long: "It gets one directory for each agent.",
            default: "the agent's own directory in HOME, else the state directory",
        },
        about_in: &[(
            Setup,
            About {
                short: "Directory for the working copy",
                long: "It is made for this login and removed at the end.",
                default: "the state directory",
            },
        )],
        action: Action::Set(|settings, path| set_path(&mut settings.run.work_dir, path)),
    },
    Flag {
        name: Long("scope"),
        takes: Takes::Value("SCOPE", Values::words::<Scope>()),
        variable: Some("AGENT_INIT_SCOPE"),
        group: Group::UserAndFiles,
        taken_by: TakenBy::START_AND_SETUP,
        about: About { short: "What to copy from a capture: login, settings or all", long: "", default: "settings" },
        about_in: &[(
            Setup,
            About {
                short: "What to capture: login, settings or all",
                long: "The agent's login command starts with the same settings from an earlier capture, without the login.",
                default: "settings",
            },
        )],
        action: Action::Set(|settings, text| put_text(&mut settings.run.scope, text, words::parse)),
    },
    Flag {
        name: Long("first-run"),
        takes: Takes::Value("BOOL", Values::words::<Boolean>()),
        variable: Some("AGENT_INIT_FIRST_RUN"),
        group: Group::UserAndFiles,
        taken_by: TakenBy::START_AND_SETUP,
        about: About {
            short: "Answer the dialogs of the agent's first start",
            long: "They ask about onboarding, trusted directories and permissions.",
            default: "on",
        },
        about_in: &[],
        action: Action::Set(|settings, text| put_text(&mut settings.run.first_run, text, value::boolean)),
    },
    Flag {
        name: Long("trust"),
        takes: Takes::Value("DIR[:DIR]", Values::Directory),
        variable: Some("AGENT_INIT_TRUST"),
        group: Group::UserAndFiles,
        taken_by: TakenBy::START_AND_SETUP,
        about: About {
            short: "Directories that the agent trusts from the start",
            long: "",
            default: "the working directory",
        },
        about_in: &[],
        action: Action::Set(|settings, directories| {
            settings.run.trust = Some(directories.to_owned());
            Ok(())
        }),
    },
    Flag {
        name: Long("state-dir"),
        takes: Takes::Value("DIR", Values::Directory),
        variable: Some("AGENT_INIT_STATE_DIR"),
        group: Group::UserAndFiles,
        taken_by: TakenBy::STATE,
        about: About {
            short: "Directory for the state of a run",
            long: "It holds state.json, logins that could not be saved, and working copies that have no other place.",
            default: "/run/agent-init, else $XDG_RUNTIME_DIR/agent-init, else /tmp/agent-init-UID",
        },
        about_in: &[(Exec, STATE_OF_RUN), (Healthcheck, STATE_OF_RUN)],
        action: Action::Set(|settings, path| set_path(&mut settings.run.state_dir, path)),
    },
];

fn set_path(slot: &mut Option<std::path::PathBuf>, path: &OsStr) -> Result<(), Invalid> {
    *slot = Some(value::absolute(path)?);
    Ok(())
}
