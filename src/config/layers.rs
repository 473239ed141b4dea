//! Layers of options. Each overwrites what the weaker ones before it gave, and the first one overwrites the defaults.

use std::ffi::OsString;
use std::time::Duration;

use super::command::CommandSpec;
use super::flag::{Action, Flag};
use super::run_config::{LogConfig, RunConfig};
use super::value::{StoreChoice, UserChoice};
use crate::report::{Failure, Level};

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

/// An option with its value.
#[derive(Clone)]
pub(crate) struct Occurrence {
    pub flag: &'static Flag,
    pub value: OsString,
}

/// The options of one origin.
#[derive(Clone)]
pub(crate) struct Layer {
    pub origin: Origin,
    /// The command as whose options they were read, and whose help explains them.
    pub spec: &'static CommandSpec,
    pub options: Vec<Occurrence>,
}

/// All options of an invocation, the weakest layer first.
#[derive(Clone, Default)]
pub struct Layers(pub(super) Vec<Layer>);

/// Everything that options can set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub run: RunConfig,
    /// `setup --auto`.
    pub auto: bool,
    /// `setup --token`.
    pub token: bool,
    /// From how long before its end a login counts as expiring.
    pub warn_within: Duration,
    pub json: bool,
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
            warn_within: Duration::from_secs(7 * 86_400),
            json: false,
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

    fn log(&self) -> LogConfig {
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
        if self.run.store.helper().is_some() && self.run.capture.is_given() {
            let failure = Failure::new("--store exec: and --capture are both set, but a login is kept in one place");
            return Err(failure.hint("to move a login into the store, pass it once as NAME_CREDENTIALS_FILE"));
        }
        Ok(())
    }
}

impl Layers {
    /// What all layers come to.
    pub(super) fn resolve(&self) -> Result<Settings, Failure> {
        self.resolve_from(Settings::default())
    }

    /// What all layers come to where other defaults hold.
    pub(super) fn resolve_from(&self, mut settings: Settings) -> Result<Settings, Failure> {
        for layer in &self.0 {
            settings.apply(layer)?;
        }
        settings.run.log = settings.log();
        Ok(settings)
    }

    /// The strongest layer that has an option of this long name.
    pub(super) fn origin_of(&self, long: &str) -> Option<(Origin, &'static Flag)> {
        let has = |layer: &Layer| {
            let option = layer.options.iter().find(|option| option.flag.long() == Some(long))?;
            Some((layer.origin, option.flag))
        };
        self.0.iter().rev().find_map(has)
    }
}

impl Settings {
    /// Lets a layer overwrite what is there.
    pub fn apply(&mut self, layer: &Layer) -> Result<(), Failure> {
        let mut prepared: Vec<&'static Flag> = Vec::new();
        for Occurrence { flag, .. } in &layer.options {
            if let Action::SetAfter(prepare, _) = flag.action
                && !prepared.iter().any(|known| known.name == flag.name)
            {
                prepare(self, layer.origin);
                prepared.push(flag);
            }
        }
        for Occurrence { flag, value } in &layer.options {
            let (Action::Set(set) | Action::SetAfter(_, set)) = flag.action else { continue };
            set(self, value).map_err(|invalid| {
                let name = given_as(flag, layer.origin);
                let help = format!("{}; {} --help explains {}", invalid.hint, layer.spec.program, flag.spelled());
                Failure::new(format!("{name}: {}", invalid.what)).hint(help)
            })?;
        }
        Ok(())
    }
}

/// The name by which the operator gave an option: it, or its variable.
pub(super) fn given_as(flag: &Flag, origin: Origin) -> String {
    match (origin, flag.variable) {
        (Origin::Variables, Some(variable)) => variable.to_owned(),
        _ => flag.spelled(),
    }
}

impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let options = self.0.iter().flat_map(|layer| &layer.options);
        f.debug_list().entries(options.map(|option| (option.flag.spelled(), &option.value))).finish()
    }
}

/// `setup` keeps logins in directories: one that went there while runs look into a store would never be found.
pub(super) fn refuse_store(settings: &Settings, layers: &Layers) -> Result<(), Failure> {
    if settings.run.store == StoreChoice::Directory {
        return Ok(());
    }
    let given = layers.origin_of("store").map(|(origin, flag)| given_as(flag, origin)).unwrap_or_default();
    Err(Failure::new(format!("setup captures into a directory, but {given} names a store")).hint(
        "unset it, mount a directory, and move the login into the store afterwards: NAME_CREDENTIALS_FILE=FILE \
         AGENT_INIT_STORE=exec:... agent-init --agent NAME -- true",
    ))
}
