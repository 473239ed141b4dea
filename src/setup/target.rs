//! The capture and working copy for one agent while a person logs in.

use std::path::Path;

use anyhow::Context;

use crate::agent::definition::MethodRule;
use crate::config::{CommandName, Scope};
use crate::error::Failure;
use crate::facts::Facts;
use crate::fs::untrusted::Owners;
use crate::fs::{directories, untrusted};
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::login::Document;
use crate::login::entries::EntriesBase;
use crate::login::format::{Field, Format};
use crate::plan::{AgentPlan, Plan};
use crate::process::interrupt::Interrupt;
use crate::setup::capture::CaptureDir;
use crate::store::{Capture, Recovery, Store};
use crate::sync::session::{Beginning, SessionConfig, SyncSession};
use crate::sys::dir::Dir;
use crate::workcopy;
use crate::workcopy::{WorkingCopy, export, import, overrides};

pub struct LoginTarget<'f, 'c> {
    pub plan: &'f AgentPlan<'f, 'c>,
    pub capture_dir: CaptureDir,
    /// The same directory, opened.
    pub capture: Capture,
    /// Accessed by its directory handle, because the agent can make its path lead elsewhere.
    pub copy: WorkingCopy,
    /// Keeps a login that cannot be stored.
    pub recovery: Recovery,
}

/// Checks every capture, then installs the working copies with settings and without a login.
pub fn prepare<'f, 'c>(
    facts: &'f Facts<'c>,
    plan: &'f Plan<'f, 'c>,
    interrupt: &Interrupt,
    reporter: Reporter,
) -> anyhow::Result<Vec<LoginTarget<'f, 'c>>> {
    let state_dir = directories::state_directory(&facts.state_dir)?;
    if let Some(home) = &plan.home {
        directories::home(&home.path, workcopy::agent_owner(facts))?;
    }
    let mut captures = Vec::new();
    for agent in &plan.agents {
        let path = agent.facts.capture.as_ref().map(|capture| capture.path.as_path());
        let path = path.ok_or_else(|| {
            Failure::new(format!("there is no capture for {}", agent.facts.definition.name))
                .hint("mount a directory or a volume as /capture, or name one with --capture DIR")
        })?;
        captures.push((agent, CaptureDir::open(path)?));
    }
    let mut targets = Vec::new();
    for (agent, (capture_dir, capture)) in captures {
        let copy = workcopy::install(facts, agent, &state_dir, interrupt, reporter)?;
        let definition = agent.facts.definition;
        let file = definition.session.as_ref().map(|session| session.file.as_str()).unwrap_or_default();
        let recovery = Recovery::new(&facts.state_dir, &definition.name, file);
        targets.push(LoginTarget { plan: agent, capture_dir, capture, copy, recovery });
    }
    Ok(targets)
}

impl LoginTarget<'_, '_> {
    /// The directory to mount for a run: the root with one directory for each agent, or the capture itself.
    pub fn root(&self) -> &Path {
        let path = &self.capture_dir.path;
        let has_agents_name = path.file_name().is_some_and(|name| name == self.plan.facts.definition.name.as_str());
        match path.parent() {
            Some(root) if has_agents_name => root,
            _ => path,
        }
    }

    /// Whether the capture held a credential before.
    pub fn held_any(&self) -> bool {
        self.plan.facts.candidates.iter().any(|candidate| candidate.source.is_store())
    }

    /// The label of a setting that authenticates the agent and is not in the capture yet.
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

    /// Copies the settings to the capture.
    pub fn capture_settings(&self, scope: Scope, reporter: Reporter) {
        let definition = self.plan.facts.definition;
        if scope == Scope::Login {
            return;
        }
        let login = definition.session.as_ref().map(|session| session.file.as_str());
        let filter = import::SettingsFilter { settings: &definition.settings, scope, login, linked: &[] };
        // The working copy lacks the settings that would have replaced the login. The capture must keep them.
        let transform = |path: &Path, text: &[u8]| {
            match untrusted::beneath(self.capture.handle(), path, &Owners::Any) {
                Ok(there) => Ok(overrides::with_removed_settings(definition, path, text, &there.bytes)),
                // Without reading the captured file, its settings would be lost.
                Err(why) if why.is_unknown() => Err(format!("the captured file cannot be read: {why}")),
                Err(_) => Ok(None),
            }
        };
        let owner = self.capture.owner();
        let skipped = export::copy_settings(&self.copy, self.capture.handle(), &filter, owner, &transform);
        for skipped in skipped.into_lines() {
            let text = format!("{}: {skipped}", definition.name);
            reporter.say(&Message::warning(text).event(EventKey::WorkingCopy).agent(&definition.name));
        }
    }
}

/// Opens the sync sessions that capture each login as soon as it is made.
pub fn open_sessions(targets: &[LoginTarget<'_, '_>]) -> anyhow::Result<Vec<SyncSession>> {
    let open = |target: &LoginTarget<'_, '_>| {
        let definition = target.plan.facts.definition;
        let Some(rule) = definition.session.clone() else { return Ok(None) };
        Ok(Some(SyncSession::new(SessionConfig {
            agent: definition.name.clone(),
            command: CommandName::Setup,
            refresh_lock: definition.refresh_lock.clone(),
            rule,
            working: target.copy.duplicate().context("cannot open the working copy")?,
            store: Store::Directory(
                target.capture.duplicate().with_context(|| directories::failure("open", &target.capture_dir.path))?,
            ),
            base: None,
            entries: EntriesBase::default(),
            known: None,
            beginning: Beginning::LogIn,
            live: true,
            recovery: target.recovery.clone(),
            refusal_is_known: false,
            warn_within: target.plan.warn_within,
        })))
    };
    targets.iter().filter_map(|target| open(target).transpose()).collect()
}
