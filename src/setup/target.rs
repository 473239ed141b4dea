//! One agent's login on its way from a person to a capture.

use std::path::Path;

use anyhow::Context;

use crate::agent::definition::MethodRule;
use crate::config::Scope;
use crate::error::Failure;
use crate::facts::Facts;
use crate::fs::untrusted::Owners;
use crate::fs::{directories, untrusted};
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::login::Document;
use crate::login::format::{Field, Format};
use crate::plan::{AgentPlan, Plan};
use crate::process::interrupt::Interrupt;
use crate::setup::capture::Place;
use crate::store::{Capture, Recovery, Store};
use crate::sync::session::{Beginning, SessionConfig, SyncSession};
use crate::sys::dir::Dir;
use crate::workcopy;
use crate::workcopy::{WorkingCopy, export, import, overrides};

/// What is needed for one agent, from the look at its capture to the verdict.
pub struct LoginTarget<'f, 'c> {
    /// What is planned for it.
    pub plan: &'f AgentPlan<'f, 'c>,
    /// Where its login goes.
    pub place: Place,
    /// That, open.
    pub capture: Capture,
    /// The working copy, by a handle: its path is the agent's to bend.
    pub copy: WorkingCopy,
    /// Where a login is kept that cannot be stored.
    pub recovery: Recovery,
}

/// Looks at every capture, and lays the working copies down: settings, no login.
///
/// # Errors
/// A capture that cannot hold a login; a working copy that cannot be made.
pub fn targets<'f, 'c>(
    facts: &'f Facts<'c>,
    plan: &'f Plan<'f, 'c>,
    interrupt: &Interrupt,
    reporter: Reporter,
) -> anyhow::Result<Vec<LoginTarget<'f, 'c>>> {
    let state = directories::state_directory(&facts.state_dir)?;
    if let Some(home) = &plan.home {
        directories::home(&home.path, workcopy::agent_owner(facts))?;
    }
    let mut places = Vec::new();
    for agent in &plan.agents {
        let path = agent.facts.capture.as_ref().map(|capture| capture.path.as_path());
        let path = path.ok_or_else(|| {
            Failure::new(format!("there is no capture for {}", agent.facts.definition.name))
                .hint("mount a directory or a volume as /capture, or name one with --capture DIR")
        })?;
        places.push((agent, Place::open(path)?));
    }
    let mut targets = Vec::new();
    for (agent, (place, capture)) in places {
        let copy = workcopy::install(facts, agent, &state, interrupt, &mut |message| reporter.say(&message))?;
        let definition = agent.facts.definition;
        let file = definition.session.as_ref().map(|session| session.file.as_str()).unwrap_or_default();
        let recovery = Recovery::new(&facts.state_dir, &definition.name, file);
        targets.push(LoginTarget { plan: agent, place, capture, copy, recovery });
    }
    Ok(targets)
}

impl LoginTarget<'_, '_> {
    /// The directory that a run is to find this capture in: a root with one for each agent, or this one.
    pub fn root(&self) -> &Path {
        let path = &self.place.path;
        let is_rooted = path.file_name().is_some_and(|name| name == self.plan.facts.definition.name.as_str());
        path.parent().filter(|_| is_rooted).unwrap_or(path)
    }

    /// Whether the capture held anything before.
    pub fn had_any(&self) -> bool {
        self.plan.facts.candidates.iter().any(|candidate| candidate.source.is_store())
    }

    /// What people call a setting that authenticates the agent, and that the capture does not have.
    pub fn new_setting(&self) -> Option<&str> {
        let text = |dir: &Dir, owners: &Owners, file: &str, key: &str| {
            let content = untrusted::entry(dir, file.as_ref(), owners).ok()?;
            let document = Document::parse(&content.bytes, Format::Jsonc).ok()?;
            document.text(&Field { pointer: format!("/{key}"), claim: None, file: None }).map(zeroize::Zeroizing::new)
        };
        let rules = &self.plan.facts.definition.methods;
        let is_new = |rule: &&MethodRule| {
            let Some(setting) = &rule.setting else { return false };
            let ours = text(&self.copy.dir, &self.copy.owners(), &setting.file, &setting.key);
            ours.is_some() && ours != text(self.capture.handle(), &Owners::Any, &setting.file, &setting.key)
        };
        rules.iter().find(is_new).map(|rule| rule.label.as_str())
    }

    /// Carries the settings to the capture.
    pub fn carry_settings(&self, scope: Scope, reporter: Reporter) {
        let definition = self.plan.facts.definition;
        if scope == Scope::Login {
            return;
        }
        let login = definition.session.as_ref().map(|session| session.file.as_str());
        let filter = import::SettingsFilter { settings: &definition.settings, scope, login };
        // What would have stood in the way of a login was taken out of the working copy, not of the capture.
        let changed = |path: &Path, text: &[u8]| {
            match untrusted::beneath(self.capture.handle(), path, &Owners::Any) {
                Ok(there) => Ok(overrides::with_removed_settings(definition, path, text, &there.bytes)),
                // What it holds would be lost.
                Err(why) if why.is_unknown() => Err(format!("the captured one cannot be read: {why}")),
                Err(_) => Ok(None),
            }
        };
        let owner = self.capture.owner();
        let skipped = export::copy_settings(&self.copy, self.capture.handle(), &filter, owner, &changed);
        for skipped in skipped.into_lines() {
            let text = format!("{}: {skipped}", definition.name);
            reporter.say(&Message::warning(text).event(EventKey::WorkingCopy).agent(&definition.name));
        }
    }
}

/// What carries each login the moment it is made.
///
/// # Errors
/// A directory that cannot be opened any more.
pub fn links(targets: &[LoginTarget<'_, '_>]) -> anyhow::Result<Vec<SyncSession>> {
    let link = |target: &LoginTarget<'_, '_>| {
        let definition = target.plan.facts.definition;
        let Some(rule) = definition.session.clone() else { return Ok(None) };
        Ok(Some(SyncSession::new(SessionConfig {
            agent: definition.name.clone(),
            refresh_lock: definition.refresh_lock.clone(),
            rule,
            working: target.copy.duplicate().context("cannot open the working copy")?,
            store: Store::Directory(
                Capture::open(&target.place.path).with_context(|| directories::failure("open", &target.place.path))?,
            ),
            base: None,
            beginning: Beginning::LogIn,
            live: true,
            recovery: target.recovery.clone(),
            refusal_is_known: false,
        })))
    };
    targets.iter().filter_map(|target| link(target).transpose()).collect()
}
