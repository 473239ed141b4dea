//! Layers of options. Each overwrites what the weaker ones before it gave, and the first one overwrites the defaults.

use std::ffi::OsString;

use super::command::CommandSpec;
use super::flag::{Action, Flag};
use super::settings::{Origin, Settings};
use super::value::StoreChoice;
use crate::error::Failure;

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
