//! Reads what is known of one agent: its place, its capture, and what they hold.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::account;
use crate::account::Identity;
use crate::agent::catalog::Whereabouts;
use crate::agent::definition::{Home, Parent};
use crate::agent::{Catalog, Definition};
use crate::config::{RunConfig, Scope, StoreSpec};
use crate::env::Environment;
use crate::error::Failure;
use crate::facts::agent_facts::{AgentFacts, CaptureFacts};
use crate::facts::candidate::{Candidate, Reading};
use crate::facts::explicit::{ExplicitSources, Search};
use crate::facts::place::ConfigDirFacts;
use crate::facts::select::ConsideredAgent;
use crate::facts::stored::StoreFacts;
use crate::facts::{candidate, explicit, files, logins, place, settings, stored};
use crate::fs::mounts::Mounts;
use crate::fs::untrusted;
use crate::login::format::SessionFile;
use crate::login::history::History;
use crate::process::helpers::Helpers;
use crate::store::{Capture, Recovery, directory, remote, token};
use crate::sys::dir::Dir;
use crate::sys::stat::Kind;
use crate::sys::{access, privilege};

/// An agent that is served.
pub(super) struct ServedAgent<'c> {
    /// What it is.
    pub(super) definition: &'c Definition,
    /// What it was given.
    pub(super) given: ExplicitSources,
    /// It is served whatever is found.
    pub(super) is_certain: bool,
    /// A file of its login's name is its own wherever it lies: no other agent's has that name, or no other is meant.
    pub(super) by_name: bool,
}

/// Where the files of agents are looked for.
pub(super) struct AgentProbe<'c, 'o> {
    pub(super) catalog: &'c Catalog,
    pub(super) config: &'o RunConfig,
    pub(super) environment: &'c Environment,
    pub(super) home: &'o Path,
    pub(super) identity: &'o Identity,
    pub(super) current: (u32, u32),
    pub(super) mounts: Option<Mounts>,
    /// Whether there is a capture of any agent's.
    pub(super) has_capture: bool,
}

/// Whether there is a capture of any agent's: one look for all of them.
pub(super) fn has_capture(config: &RunConfig) -> bool {
    config.store.helper().is_none() && (config.capture.is_given() || access::is_there(Path::new(directory::DEFAULT)))
}

impl<'c> AgentProbe<'c, '_> {
    /// Where the agent keeps its state by itself.
    fn own_place(&self, definition: &Definition) -> PathBuf {
        self.place_of(&definition.home)
    }

    fn place_of(&self, home: &Home) -> PathBuf {
        place::own(home, |name| self.environment.get_filled(name).map(Path::new), self.home)
    }

    /// The agent, if it is served: whatever is found, or because it was given something, or for a login that is there.
    pub(super) fn subject(
        &self,
        candidate: &ConsideredAgent<'c>,
        catalog: &Catalog,
        directories: &[PathBuf],
    ) -> anyhow::Result<Option<ServedAgent<'c>>> {
        let ConsideredAgent { entry, is_certain, when_found } = *candidate;
        // With secret files and a capture, any agent may have been given something.
        let has_stores = !directories.is_empty() || (when_found && self.has_capture);
        if !is_certain && !has_stores && !self.may_matter(candidate) {
            return Ok(None);
        }
        let definition = entry.definition()?;
        let by_name = is_certain || catalog.is_unique(entry);
        let search = Search { environment: self.environment, directories, is_certain, by_name };
        let given = explicit::given(definition, &search)?;
        let is_served = is_certain || given.is_explicit() || (when_found && self.has_any_login(definition, by_name)?);
        Ok(is_served.then_some(ServedAgent { definition, given, is_certain, by_name }))
    }

    /// Whether the definition of an agent has to be read at all: a look at a few names.
    fn may_matter(&self, candidate: &ConsideredAgent<'_>) -> bool {
        let is_there = |at: &Whereabouts<'_>| {
            let ((variable, suffix, default), parent) = (at.home, at.parent);
            let is_set = |name: &str| !name.is_empty() && self.environment.get_filled(name).is_some();
            let login = if at.below_home.is_empty() || is_set(variable) || is_set(parent.0) {
                let parent = Parent { variable: parent.0.into(), suffix: parent.1.into() };
                let parent = Some(parent).filter(|parent| !parent.variable.is_empty());
                let home = Home { variable: variable.into(), suffix: suffix.into(), default: default.into(), parent };
                self.place_of(&home).join(at.login)
            } else {
                self.home.join(at.below_home)
            };
            candidate.when_found && access::is_there(&login)
        };
        candidate.entry.may_matter(self.environment.names().map(OsStr::as_encoded_bytes), is_there)
    }

    /// A look at the names alone, for the agents that COMMAND does not name: most starts end here, at one or two
    /// failing lookups each.
    fn has_any_login(&self, definition: &Definition, by_name: bool) -> anyhow::Result<bool> {
        let Some(session) = &definition.session else { return Ok(false) };
        // Who reads what may be there meets the error.
        let has_login = |path: &Path| holds_login(path, session).unwrap_or(true);
        let has_token = |path: &Path| holds_token(path, definition).unwrap_or(true);
        Ok(has_login(&self.own_place(definition))
            || self.capture_path(definition, by_name)?.is_some_and(|path| has_login(&path) || has_token(&path)))
    }

    /// All that is known of one agent.
    pub(super) fn agent(
        &mut self,
        subject: ServedAgent<'c>,
        state_dir: &Path,
        helpers: Option<&mut Helpers<'_>>,
    ) -> anyhow::Result<AgentFacts<'c>> {
        let ServedAgent { definition, mut given, is_certain, by_name } = subject;
        if let Some(helpers) = &helpers {
            helpers.signals.check("the facts were read")?;
        }
        let place = self.place(definition)?;
        let mut reading = Reading { helpers, environment: self.environment };
        let capture = match (self.config.store.helper(), &definition.session) {
            (Some(spec), Some(_)) => Some(self.stored(spec, definition, state_dir, &mut reading, &mut given)?),
            _ => self.capture(definition, by_name)?,
        };
        let mut candidates = candidate::explicit(definition, &mut given, &mut reading)?;
        let companions = candidate::companions(&mut given, &mut reading)?;
        let work_dir = self.config.work_dir.as_deref();
        let working_copy = place::working_copy(&definition.name, &definition.home, &place, work_dir, state_dir);
        candidates.extend(self.logins(definition, &place, &working_copy, capture.as_ref(), state_dir)?);
        let capture = capture.map(|(_, facts)| facts);
        let captured = place::settings_source(&place, &working_copy, capture.as_ref().map(|capture| &*capture.path));
        let captured = captured.filter(|_| self.config.scope != Scope::Login);
        candidates.extend(settings::settings(definition, &working_copy, captured, self.identity));
        let (environment, home, identity, current) = (self.environment, self.home, self.identity, self.current);
        let whose = files::Whose { environment, home, identity, current };
        let files = files::for_another_user(definition, &candidates, &mut given, &whose);
        Ok(AgentFacts { definition, is_certain, candidates, companions, files, given, place, working_copy, capture })
    }

    /// The logins that stand in directories, and the token.
    fn logins(
        &self,
        definition: &'c Definition,
        place: &ConfigDirFacts,
        working_copy: &Path,
        capture: Option<&(Option<Capture>, CaptureFacts)>,
        state_dir: &Path,
    ) -> anyhow::Result<Vec<Candidate<'c>>> {
        let Some(session) = &definition.session else { return Ok(Vec::new()) };
        let mut candidates = Vec::new();
        if place.path != working_copy {
            candidates.extend(logins::in_place(definition, session, place, self.identity, state_dir));
        }
        if let Some((opened, facts)) = capture {
            candidates.extend(logins::stored(definition, session, opened.as_ref(), facts));
            // A store behind a helper holds logins only.
            let directory = opened.as_ref().filter(|_| facts.store.is_none());
            candidates.extend(directory.and_then(|capture| logins::token(definition, capture)));
        }
        let left = |directory: &Path| logins::left(definition, session, directory, self.identity);
        let in_place = left(working_copy)?;
        let is_usable = in_place.as_ref().is_some_and(|candidate| candidate.found.is_ok());
        candidates.extend(in_place);
        if !is_usable {
            candidates.extend(left(&Recovery::new(state_dir, &definition.name, &session.file).directory())?);
        }
        Ok(candidates)
    }

    fn place(&mut self, definition: &Definition) -> anyhow::Result<ConfigDirFacts> {
        let path = self.own_place(definition);
        let found = access::entry(&path);
        // What is not there is no mount and holds none; the table is the longest read of a start.
        let is_there = !found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let nothing = Mounts::default();
        if is_there && self.mounts.is_none() {
            self.mounts = Some(Mounts::read()?);
        }
        let mounts = self.mounts.as_ref().unwrap_or(&nothing);
        let found = found.ok();
        let ours = [self.identity.uid, privilege::current().0, 0];
        let foreign = self.identity.uid != 0 && found.as_ref().is_some_and(|found| !ours.contains(&found.uid));
        // A link anywhere below HOME may be an earlier agent's: it leads who knows where.
        let mut above =
            path.ancestors().skip(1).take_while(|above| above.starts_with(self.home) && *above != self.home);
        let is_behind_link = above.any(Path::is_symlink);
        let kind = found.map(|found| if is_behind_link { Kind::Link } else { found.kind });
        // HOME itself is made only where it is ours to make; below it, whatever is missing.
        let makes_home = self.home == Path::new(account::FALLBACK_HOME) || self.config.home.is_some();
        let existing = path.ancestors().find(|ancestor| access::is_directory(ancestor));
        let writable = existing.is_some_and(|existing| {
            (makes_home || existing.starts_with(self.home) || !path.starts_with(self.home))
                && Dir::open(existing).is_ok_and(|dir| dir.is_writable())
        });
        let mounted = mounts.at(&path).is_some();
        let login = definition
            .session
            .as_ref()
            .map(|session| path.join(&session.file))
            .filter(|file| mounts.at(file).is_some());
        let mounted_below = login.or_else(|| mounts.below(&path).map(|mount| mount.point.clone()));
        let mount_writable = Dir::open(&path).is_ok_and(|dir| match (&definition.session, &mounted_below) {
            (Some(session), Some(below)) if *below == path.join(&session.file) => {
                dir.may_write(OsStr::new(&session.file))
            }
            _ => dir.is_writable(),
        });
        Ok(ConfigDirFacts { path, mounted, mount_writable, mounted_below, kind, foreign, writable })
    }

    /// The directory of the agent's capture, whether or not it is there.
    fn capture_path(&self, definition: &Definition, by_name: bool) -> anyhow::Result<Option<PathBuf>> {
        let usual = Path::new(directory::DEFAULT);
        let captures = &self.config.capture;
        if let Some(path) = captures.of_named(&definition.name) {
            return Ok(path.clone());
        }
        // A directory for one agent says nothing of the others.
        let has_usual = if captures.is_given() { access::is_there(usual) } else { self.has_capture };
        let Some(root) = captures.for_all.clone().or_else(|| has_usual.then(|| usual.to_owned())) else {
            return Ok(None);
        };
        directory("--capture", &root)?;
        let is_flat = is_flat(&root, definition, by_name).with_context(|| {
            Failure::new(format!("cannot look into {}", root.display()))
                .hint("which agent's login lies there is not known: start again once it can be read")
        })?;
        Ok(Some(if is_flat { root } else { root.join(&definition.name) }))
    }

    /// The store behind a helper. Where no command is to be run, it is there and not known.
    fn stored(
        &self,
        spec: &StoreSpec,
        definition: &Definition,
        state_dir: &Path,
        reading: &mut Reading<'_, '_>,
        given: &mut ExplicitSources,
    ) -> anyhow::Result<(Option<Capture>, CaptureFacts)> {
        let (stored, mirror) = match &mut reading.helpers {
            None => (None, None),
            Some(helpers) => {
                let (stored, mirror, warnings) = stored::fetch(
                    spec,
                    &definition.name,
                    state_dir,
                    self.environment.for_helpers(|name| self.catalog.is_agents_own(name)),
                    helpers,
                )?;
                given.warnings.extend(warnings);
                (stored, mirror)
            }
        };
        // Laid down from what the store said a moment ago.
        let history = mirror.as_ref().and_then(|mirror| mirror.record().ok()).unwrap_or_default().history;
        let facts = CaptureFacts {
            path: remote::mirror_path(state_dir, &definition.name),
            writable: true,
            history,
            others: 0,
            store: Some(StoreFacts { spec: spec.clone(), stored, was_asked: reading.helpers.is_some() }),
        };
        Ok((mirror, facts))
    }

    fn capture(
        &self,
        definition: &Definition,
        by_name: bool,
    ) -> anyhow::Result<Option<(Option<Capture>, CaptureFacts)>> {
        let (Some(session), Some(path)) = (&definition.session, self.capture_path(definition, by_name)?) else {
            return Ok(None);
        };
        match Capture::open(&path) {
            Ok(capture) => {
                let writable = capture.is_writable(session);
                let takes_turns = writable && self.config.is_synced_live(&definition.name) == Some(true);
                let others = if takes_turns { 0 } else { capture.users() };
                let history = recorded(&capture)?;
                let facts = CaptureFacts { writable, history, path, others, store: None };
                Ok(Some((Some(capture), facts)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let writable =
                    path.parent().and_then(|root| Dir::open(root).ok()).is_some_and(|root| root.is_writable());
                let history = History::default();
                Ok(Some((None, CaptureFacts { path, writable, history, others: 0, store: None })))
            }
            Err(error) => {
                let failure = Failure::new(format!("cannot open the capture {}", path.display()));
                let whose = path.metadata().ok().map(|found| format!("it belongs to uid {}, and ", found.uid()));
                let hint = format!(
                    "{}this is uid {}: it must be a directory that agent-init may read",
                    whose.unwrap_or_default(),
                    self.current.0
                );
                Err(error).context(failure.hint(hint))
            }
        }
    }
}

/// The logins that were stored in a capture.
///
/// # Errors
/// The record is there and cannot be read: which login is spent is not known then.
fn recorded(capture: &Capture) -> anyhow::Result<History> {
    let record = untrusted::read_again(|| capture.record()).map_err(|why| {
        let what = format!("cannot read {}: {why}", capture.record_path().display());
        let hint = "it tells which logins are spent: start again once it can be read";
        Failure::new(what).hint(hint)
    })?;
    Ok(record.history)
}

/// Whether the capture holds the files of this agent itself, and not in a directory of the agent's name.
fn is_flat(root: &Path, definition: &Definition, by_name: bool) -> io::Result<bool> {
    let login = match &definition.session {
        Some(session) => holds_login(root, session)? && (by_name || logins::is_its_own(root, session)?),
        None => false,
    };
    Ok(login || (by_name && holds_token(root, definition)?))
}

/// Whether there is a file of the login's name, or of that name without its dot in a volume of a Kubernetes Secret.
fn holds_login(dir: &Path, session: &SessionFile) -> io::Result<bool> {
    let has = |name: &str| access::exists(&dir.join(name));
    Ok(has(&session.file)? || (session.undotted().map_or(Ok(false), has)? && has("..data")?))
}

/// Whether there is a long-lived token of an agent that has such tokens.
fn holds_token(dir: &Path, definition: &Definition) -> io::Result<bool> {
    Ok(token::rule(definition).is_some() && access::exists(&dir.join(token::FILE))?)
}

/// Whether the directories that the operator named as captures are there, whomever they are for.
///
/// # Errors
/// One that is not, or is no directory.
pub(super) fn captures_are_there(config: &RunConfig) -> anyhow::Result<()> {
    config.capture.directories().try_for_each(|path| directory("--capture", path))
}

/// An operator's path that must be a directory.
fn directory(option: &str, path: &Path) -> anyhow::Result<()> {
    let hint = "mount a directory or a volume there; docker makes an empty one for a source that is missing";
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Failure::new(format!("{option} {}: it is not a directory", path.display())).hint(hint).into()),
        Err(error) => Err(error).context(Failure::new(format!("{option} {}", path.display())).hint(hint)),
    }
}
