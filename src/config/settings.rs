//! Everything that options can set, and what they set it to.

use std::time::Duration;

use super::run_config::{LogConfig, RunConfig};
use super::value::UserChoice;
use crate::error::Failure;
use crate::log::Level;

/// Where options come from, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The command line of PID 1, for a command after `docker exec`.
    Init,
    /// Environment variables.
    Variables,
    /// Options of `run` before the name of a command.
    BeforeCommand,
    /// The command's own words.
    Words,
}

/// Everything that options can set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub run: RunConfig,
    /// `setup --auto`.
    pub auto: bool,
    /// `setup --token`.
    pub token: bool,
    /// `keep --before`.
    pub before: Duration,
    /// `keep --once`.
    pub once: bool,
    /// `serve --idle`.
    pub idle: bool,
    pub json: bool,
    /// `status --short`.
    pub short: bool,
    /// `status --openmetrics`.
    pub openmetrics: bool,
    pub verbose: bool,
    pub quiet: bool,
    /// As tini counts: 0 fatal errors, 1 warnings, 2 and 3 more.
    pub tini_verbosity: u8,
    /// One layer names the user in two ways.
    pub has_two_users: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            run: RunConfig::default(),
            auto: false,
            token: false,
            before: Duration::from_secs(30 * 60),
            once: false,
            idle: false,
            json: false,
            short: false,
            openmetrics: false,
            verbose: false,
            quiet: false,
            tini_verbosity: 1,
            has_two_users: false,
        }
    }
}

impl Settings {
    /// A layer that names the user replaces what weaker layers said of it, in either way.
    pub fn forget_user(&mut self, origin: Origin) {
        self.run.user = UserChoice::Unchanged;
        self.run.user_is_preset = origin < Origin::BeforeCommand;
        self.has_two_users = false;
    }

    pub fn set_user(&mut self, user: UserChoice) {
        let is_other_way = self.run.user != UserChoice::Unchanged
            && std::mem::discriminant(&self.run.user) != std::mem::discriminant(&user);
        self.has_two_users |= is_other_way;
        self.run.user = user;
    }

    pub fn forget_rewrites(&mut self, _origin: Origin) {
        self.run.rewrite.clear();
    }

    pub fn log(&self) -> LogConfig {
        let level = match (self.verbose || self.tini_verbosity > 1, self.quiet) {
            (true, _) => Level::Detail,
            (_, true) => Level::Warning,
            _ => Level::Notice,
        };
        LogConfig { level, ..self.run.log }
    }

    /// Options that exclude each other.
    pub fn check(&self) -> Result<(), Failure> {
        if self.has_two_users {
            return Err(Failure::new("--user and --user-from are both set").hint("use one of them"));
        }
        let forms = [("--short", self.short), ("--json", self.json), ("--openmetrics", self.openmetrics)];
        let mut forms = forms.iter().filter(|(_, is_set)| *is_set);
        if let (Some((first, _)), Some((second, _))) = (forms.next(), forms.next()) {
            return Err(Failure::new(format!("{first} and {second} are both set")).hint("use one of them"));
        }
        if self.run.store.helper().is_some() && self.run.capture.is_given() {
            let failure = Failure::new("--store exec: and --capture are both set, but a login is kept in one place");
            return Err(failure.hint("to move a login into the store, pass it once as NAME_CREDENTIALS_FILE"));
        }
        Ok(())
    }
}
