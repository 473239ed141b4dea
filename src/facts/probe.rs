//! Reads the facts about one agent: its config directory, its capture, and the credentials in them.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::account::Identity;
use crate::agent::catalog::Whereabouts;
use crate::agent::definition::{Home, Parent};
use crate::agent::{Catalog, Definition};
use crate::config::{AuthMode, RunConfig, StoreSpec};
use crate::env::Environment;
use crate::error::Failure;
use crate::facts::agent_facts::{AgentFacts, CaptureFacts, OutsideFile, Reader};
use crate::facts::candidate::{Candidate, SourceReader};
use crate::facts::config_dir::ConfigDirFacts;
use crate::facts::explicit::{ExplicitSearch, ExplicitSources};
use crate::facts::placement::Role;
use crate::facts::select::{ConsideredAgent, ServedWhen};
use crate::facts::site::SiteProbe;
use crate::facts::stored::StoreFacts;
use crate::facts::{candidate, config_dir, explicit, files, logins, placement, settings, stored};
use crate::fs::mounts::Mounts;
use crate::fs::untrusted;
use crate::login::format::SessionFile;
use crate::login::history::History;
use crate::process::helpers::Helpers;
use crate::store::{Capture, Recovery, directory, remote, token};
use crate::sys::dir::Dir;
use crate::sys::{access, privilege};

/// An agent that is served.
pub(super) struct ServedAgent<'c> {
    pub(super) definition: &'c Definition,
    pub(super) explicit: ExplicitSources,
    /// `--agent` or COMMAND names it.
    pub(super) is_selected: bool,
    /// A file with the name of its login file belongs to it wherever it is: no other agent uses that name, or this
    /// agent is selected.
    pub(super) owns_file_name: bool,
}

/// Looks for the files of agents.
pub(super) struct AgentProbe<'c, 'o> {
    pub(super) catalog: &'c Catalog,
    pub(super) config: &'o RunConfig,
    pub(super) environment: &'c Environment,
    pub(super) home: &'o Path,
    pub(super) identity: &'o Identity,
    pub(super) current: (u32, u32),
    pub(super) mounts: Option<Mounts>,
    /// There may be a capture of some agent.
    pub(super) has_capture: bool,
}

/// Whether there may be a capture of some agent: one access(2) for all agents.
pub(super) fn has_capture(config: &RunConfig) -> bool {
    config.store.helper().is_none() && (config.capture.is_given() || access::is_there(Path::new(directory::DEFAULT)))
}

impl<'c> AgentProbe<'c, '_> {
    fn config_dir(&self, home: &Home) -> PathBuf {
        config_dir::locate(home, |name| self.environment.get_filled(name).map(Path::new), self.home)
    }

    /// The agent, if it is served: because it is selected, was given a credential, or has a login.
    pub(super) fn served_agent(
        &self,
        considered: &ConsideredAgent<'c>,
        catalog: &Catalog,
        secret_directories: &[PathBuf],
    ) -> anyhow::Result<Option<ServedAgent<'c>>> {
        let ConsideredAgent { entry, served } = *considered;
        let (is_selected, serve_if_found) = (served == ServedWhen::Selected, served == ServedWhen::Found);
        // Secret files or a capture may hold a credential of any agent.
        let may_have_files = !secret_directories.is_empty() || (serve_if_found && self.has_capture);
        if !is_selected && !may_have_files && !self.may_matter(considered) {
            return Ok(None);
        }
        let definition = entry.definition()?;
        let owns_file_name = is_selected || catalog.is_unique(entry);
        let search = ExplicitSearch {
            environment: self.environment,
            directories: secret_directories,
            is_selected,
            owns_file_name,
        };
        let explicit = explicit::find(definition, &search)?;
        let is_served = is_selected
            || !explicit.is_empty()
            || (serve_if_found && self.has_any_login(definition, owns_file_name)?);
        Ok(is_served.then_some(ServedAgent { definition, explicit, is_selected, owns_file_name }))
    }

    /// Whether the definition of an agent has to be parsed at all, judged by a few variables and paths.
    fn may_matter(&self, considered: &ConsideredAgent<'_>) -> bool {
        let has_login = |at: &Whereabouts<'_>| {
            let ((variable, suffix, default), parent) = (at.home, at.parent);
            let is_set = |name: &str| !name.is_empty() && self.environment.get_filled(name).is_some();
            let login = if at.below_home.is_empty() || is_set(variable) || is_set(parent.0) {
                let parent = Parent { variable: parent.0.into(), suffix: parent.1.into() };
                let parent = Some(parent).filter(|parent| !parent.variable.is_empty());
                let home = Home { variable: variable.into(), suffix: suffix.into(), default: default.into(), parent };
                self.config_dir(&home).join(at.login)
            } else {
                self.home.join(at.below_home)
            };
            considered.served == ServedWhen::Found && access::is_there(&login)
        };
        considered.entry.may_matter(self.environment.names().map(OsStr::as_encoded_bytes), has_login)
    }

    /// Whether there is a login or token, by file names alone. For agents that COMMAND does not name, most starts end
    /// here, after one or two failing lookups each.
    fn has_any_login(&self, definition: &Definition, owns_file_name: bool) -> anyhow::Result<bool> {
        let Some(session) = &definition.session else { return Ok(false) };
        // An error counts as yes: the reader will report it.
        let has_login = |path: &Path| holds_login(path, session).unwrap_or(true);
        let has_token = |path: &Path| holds_token(path, definition).unwrap_or(true);
        Ok(has_login(&self.config_dir(&definition.home))
            || self.capture_path(definition, owns_file_name)?.is_some_and(|path| has_login(&path) || has_token(&path)))
    }

    pub(super) fn agent_facts(
        &mut self,
        served: ServedAgent<'c>,
        state_dir: &Path,
        helpers: Option<&mut Helpers<'_>>,
    ) -> anyhow::Result<AgentFacts<'c>> {
        let ServedAgent { definition, mut explicit, is_selected, owns_file_name } = served;
        if let Some(helpers) = &helpers {
            helpers.signals.check("the facts were read")?;
        }
        let config_dir = self.config_dir_facts(definition, owns_file_name)?;
        let mounted_outside = self.mounted_outside(definition)?;
        let mut reader = SourceReader { helpers, environment: self.environment, catalog: self.catalog };
        let capture = match (self.config.store.helper(), &definition.session) {
            (Some(spec), Some(_)) => {
                Some(self.mirror_facts(spec, definition, state_dir, &mut reader, &mut explicit)?)
            }
            _ => self.capture_facts(definition, owns_file_name)?,
        };
        let mut candidates = candidate::read_explicit(definition, &mut explicit, &mut reader)?;
        let companions = candidate::read_companions(&mut explicit, &mut reader)?;
        let placement = placement::place(
            &config_dir.site,
            &placement::Paths {
                agent: &definition.name,
                config_dir: &config_dir.path,
                suffix: &definition.home.suffix,
                work_dir: self.config.work_dir.as_deref(),
                state_dir,
            },
        );
        let working_copy = placement.path;
        let mut logins = self.logins(definition, &config_dir, &working_copy, capture.as_ref(), state_dir)?;
        if let Some(session) = definition.session.as_ref().filter(|_| self.follows(definition)) {
            // The refresh token goes no further than this.
            for candidate in &mut logins {
                candidate.follow(session);
            }
        }
        candidates.extend(logins);
        let mount_history = mount_history(definition, &config_dir)?;
        let users = files::Users {
            environment: self.environment,
            home: self.home,
            identity: self.identity,
            current: self.current,
        };
        let mut facts = AgentFacts {
            definition,
            is_selected,
            candidates,
            companions,
            files: Vec::new(),
            reader: reader_of(self.current.0),
            explicit,
            config_dir,
            mounted_outside,
            working_copy,
            working_copy_reason: placement.reason,
            mount_history,
            capture,
        };
        facts.candidates.extend(settings::find(&facts, self.config.scope, self.identity, self.home));
        facts.files = files::for_another_user(definition, &facts.candidates, &mut facts.explicit, &users);
        Ok(facts)
    }

    /// Whether the agent gets its login without the refresh token.
    fn follows(&self, definition: &Definition) -> bool {
        *self.config.auth.of(&definition.name) == AuthMode::Follow
    }

    /// The logins in directories, and the long-lived token of the capture.
    fn logins(
        &self,
        definition: &'c Definition,
        config_dir: &ConfigDirFacts,
        working_copy: &Path,
        capture: Option<&CaptureFacts>,
        state_dir: &Path,
    ) -> anyhow::Result<Vec<Candidate<'c>>> {
        let Some(session) = &definition.session else { return Ok(Vec::new()) };
        let mut candidates = Vec::new();
        if config_dir.path != working_copy && config_dir.site.role != Role::Capture {
            candidates.extend(logins::in_config_dir(definition, session, config_dir, self.identity, state_dir));
        }
        if let Some(capture) = capture {
            candidates.extend(logins::stored(definition, session, capture));
            // A store behind a helper holds only logins.
            if let (Some(opened), None) = (&capture.opened, &capture.store) {
                candidates.extend(logins::token(definition, opened));
            }
        }
        let left_in = |directory: &Path| logins::left_in(definition, session, directory, self.identity);
        let in_working_copy = left_in(working_copy)?;
        let is_usable = in_working_copy.as_ref().is_some_and(|candidate| candidate.found.is_ok());
        candidates.extend(in_working_copy);
        if !is_usable {
            candidates.extend(left_in(&Recovery::new(state_dir, &definition.name, &session.file).directory())?);
        }
        Ok(candidates)
    }

    fn read_mounts(&mut self) -> anyhow::Result<&Mounts> {
        let mounts = match self.mounts.take() {
            Some(mounts) => mounts,
            None => Mounts::read()?,
        };
        Ok(self.mounts.insert(mounts))
    }

    /// The files outside of the config directory that are mounts.
    fn mounted_outside(&mut self, definition: &Definition) -> anyhow::Result<Vec<OutsideFile>> {
        let mut mounted = Vec::new();
        for (path, name) in &definition.settings.outside {
            let from = config_dir::under_home(path, self.home);
            if access::is_there(&from) && self.read_mounts()?.at(&from).is_some() {
                mounted.push(OutsideFile { from, name: name.clone() });
            }
        }
        Ok(mounted)
    }

    fn config_dir_facts(&mut self, definition: &Definition, owns_file_name: bool) -> anyhow::Result<ConfigDirFacts> {
        let path = self.config_dir(&definition.home);
        // A missing directory is no mount and holds none. The mount table is the longest read of a start.
        let is_missing = access::entry(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if !is_missing {
            self.read_mounts()?;
        }
        let no_mounts = Mounts::default();
        let mounts = self.mounts.as_ref().filter(|_| !is_missing).unwrap_or(&no_mounts);
        let capture = self.capture_path(definition, owns_file_name)?;
        let probe = SiteProbe {
            definition,
            identity: self.identity,
            current: self.current,
            home: self.home,
            is_home_named: self.config.home.is_some(),
            capture,
            capture_root: self.capture_root(),
            mounts,
        };
        let default = config_dir::locate(&definition.home, |_| None, self.home);
        Ok(probe.facts(path, &default))
    }

    /// The directory of the agent's capture, which need not exist. `None` if no capture can hold this agent's login.
    fn capture_path(&self, definition: &Definition, owns_file_name: bool) -> anyhow::Result<Option<PathBuf>> {
        if let Some(path) = self.config.capture.of_named(&definition.name) {
            return Ok(path.clone());
        }
        let Some(root) = self.capture_root() else { return Ok(None) };
        check_directory("--capture", &root)?;
        let is_flat = is_flat(&root, definition, owns_file_name).with_context(|| {
            Failure::new(format!("cannot read the capture {}", root.display()))
                .hint("agent-init must know which agent's login is there: make the directory readable and start again")
        })?;
        Ok(Some(if is_flat { root } else { root.join(&definition.name) }))
    }

    /// The root of captures, with a directory for each agent.
    pub(super) fn capture_root(&self) -> Option<PathBuf> {
        let default = Path::new(directory::DEFAULT);
        let captures = &self.config.capture;
        // A `--capture` for one agent does not turn the default off for the others.
        let has_default = if captures.is_given() { access::is_there(default) } else { self.has_capture };
        captures.for_all.clone().or_else(|| has_default.then(|| default.to_owned()))
    }

    /// The mirror of a store behind a helper, after the store was asked. Commands that change nothing do not ask it.
    fn mirror_facts(
        &self,
        spec: &StoreSpec,
        definition: &Definition,
        state_dir: &Path,
        reader: &mut SourceReader<'_, '_>,
        explicit: &mut ExplicitSources,
    ) -> anyhow::Result<CaptureFacts> {
        let (stored, mirror) = match &mut reader.helpers {
            None => (None, None),
            Some(helpers) => {
                let (stored, mirror, warnings) = stored::fetch(
                    spec,
                    &definition.name,
                    state_dir,
                    self.environment.for_helpers(|name| self.catalog.is_agents_own(name)),
                    definition.session.as_ref().filter(|_| self.follows(definition)),
                    helpers,
                )?;
                explicit.warnings.extend(warnings);
                (stored, mirror)
            }
        };
        // The mirror was just written from the answer of the store.
        let history = mirror
            .as_ref()
            .and_then(|mirror| mirror.record(definition.session.as_ref()?).ok())
            .unwrap_or_default()
            .history;
        Ok(CaptureFacts {
            path: remote::mirror_path(state_dir, &definition.name),
            opened: mirror,
            writable: true,
            history,
            others: 0,
            store: Some(StoreFacts { spec: spec.clone(), stored, was_asked: reader.helpers.is_some() }),
        })
    }

    fn capture_facts(&self, definition: &Definition, owns_file_name: bool) -> anyhow::Result<Option<CaptureFacts>> {
        let (Some(session), Some(path)) = (&definition.session, self.capture_path(definition, owns_file_name)?) else {
            return Ok(None);
        };
        match Capture::open(&path) {
            Ok(capture) => {
                let writable = capture.is_writable(session);
                let takes_turns = writable && self.config.is_synced_live(&definition.name) == Some(true);
                let others = if takes_turns { 0 } else { capture.users() };
                let history = recorded_history(&capture, session)?;
                Ok(Some(CaptureFacts { opened: Some(capture), writable, history, path, others, store: None }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let writable =
                    path.parent().and_then(|root| Dir::open(root).ok()).is_some_and(|root| root.is_writable());
                let history = History::default();
                Ok(Some(CaptureFacts { path, opened: None, writable, history, others: 0, store: None }))
            }
            Err(error) => {
                let failure = Failure::new(format!("cannot open the capture {}", path.display()));
                let owner = path.metadata().ok().map(|found| format!(" (its owner is uid {})", found.uid()));
                let hint =
                    format!("make it a directory that uid {} can read{}", self.current.0, owner.unwrap_or_default());
                Err(error).context(failure.hint(hint))
            }
        }
    }
}

fn reader_of(uid: u32) -> Reader {
    match uid {
        _ if privilege::may_read_all() => Reader::Privileged,
        0 => Reader::RootWithoutCapability,
        uid => Reader::User(uid),
    }
}

/// The history of the logins that were stored in a mount at the config directory.
fn mount_history(definition: &Definition, config_dir: &ConfigDirFacts) -> anyhow::Result<History> {
    let (Some(session), Some(_)) = (&definition.session, config_dir.mounts.directory) else {
        return Ok(History::default());
    };
    Capture::open(&config_dir.path).map_or_else(|_| Ok(History::default()), |mount| recorded_history(&mount, session))
}

/// The history in the record of a capture. A record that cannot be read is an error, because it tells which logins are
/// spent.
fn recorded_history(capture: &Capture, session: &SessionFile) -> anyhow::Result<History> {
    let record = untrusted::read_again(|| capture.record(session)).map_err(|why| {
        let what = format!("cannot read {}: {why}", capture.record_path().display());
        let hint = "the record tells which logins are spent: make it readable and start again";
        Failure::new(what).hint(hint)
    })?;
    Ok(record.history)
}

/// Whether the capture holds the files of this agent directly and not in a directory with the agent's name.
fn is_flat(root: &Path, definition: &Definition, owns_file_name: bool) -> io::Result<bool> {
    let login = match &definition.session {
        Some(session) => {
            holds_login(root, session)? && (owns_file_name || logins::holds_login_of_its_own(root, session)?)
        }
        None => false,
    };
    Ok(login || (owns_file_name && holds_token(root, definition)?))
}

/// Whether there is a file with the name of the login file. In a volume of a Kubernetes Secret, recognised by `..data`,
/// the name may lack its leading dot.
fn holds_login(dir: &Path, session: &SessionFile) -> io::Result<bool> {
    let has = |name: &str| access::exists(&dir.join(name));
    Ok(has(&session.file)? || (session.undotted().map_or(Ok(false), has)? && has("..data")?))
}

/// Whether the directory holds a long-lived token and the agent can use one.
fn holds_token(dir: &Path, definition: &Definition) -> io::Result<bool> {
    Ok(token::rule(definition).is_some() && access::exists(&dir.join(token::FILE))?)
}

/// Checks that every path of `--capture` is a directory, for whichever agent it is.
pub(super) fn check_captures(config: &RunConfig) -> anyhow::Result<()> {
    config.capture.directories().try_for_each(|path| check_directory("--capture", path))
}

fn check_directory(option: &str, path: &Path) -> anyhow::Result<()> {
    let hint = "mount a directory or a volume there; docker creates an empty one if the source is missing";
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Failure::new(format!("{option} {}: it is not a directory", path.display())).hint(hint).into()),
        Err(error) => Err(error).context(Failure::new(format!("{option} {}", path.display())).hint(hint)),
    }
}
