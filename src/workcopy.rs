//! Installs a login as the agent's private working copy.
//!
//! The agent does not run yet, but an earlier one may have prepared traps: everything below HOME is opened relative to
//! a directory handle, and no symbolic link is followed.

pub mod export;
pub mod first_run;
pub mod import;
mod mounted;
pub mod overrides;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use zeroize::Zeroizing;

use crate::config::Scope;
use crate::error;
use crate::error::{Failure, in_words};
use crate::facts::config_dir::{copied_file, under_home};
use crate::facts::{Cache, Candidate, CandidateValue, Facts};
use crate::fs::tree;
use crate::fs::untrusted::{LIMIT, Owners};
use crate::fs::{directories, untrusted};
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::login::Document;
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::merge::LoginState;
use crate::plan::{AgentPlan, LoginFileStep, Plan, TrustedRoot};
use crate::process::interrupt::Interrupt;
use crate::store::directory::{BOOKKEEPING, keep_conflict};
use crate::sys::dir::{Attributes, Dir, Durability};
use crate::sys::replace::{Exclusion, Replaced};
use crate::sys::stat::Kind;
use crate::sys::{access, privilege};

pub struct WorkingCopy {
    pub path: PathBuf,
    pub dir: Dir,
    /// The part of the path that no agent can have changed.
    pub trusted: PathBuf,
    /// uid and gid that its files get; `None` for those of this process.
    pub owner: Option<(u32, u32)>,
}

/// uid and gid for files of the agent; `None` if they are those of this process.
pub fn agent_owner(facts: &Facts<'_>) -> Option<(u32, u32)> {
    let agent = (facts.identity.uid, facts.identity.gid);
    (agent != facts.current).then_some(agent)
}

/// Installs the working copy of one agent. A stop signal is an error, too.
pub fn install(
    facts: &Facts<'_>,
    plan: &AgentPlan<'_, '_>,
    state_dir: &Dir,
    interrupt: &Interrupt,
    reporter: Reporter,
) -> anyhow::Result<WorkingCopy> {
    let owner = agent_owner(facts);
    let is_stopped = &|| interrupt.has_come();
    let path = plan.facts.working_copy.clone();
    let trusted = trusted_path(&plan.root, &path, owner)?;
    let (dir, had_other_owner) = directories::private_directory(&path, &trusted, owner)?;
    let working_copy = WorkingCopy { path, dir, trusted, owner };
    working_copy.sweep_conflicts();
    if had_other_owner {
        tree::take_over(&working_copy.dir, owner, is_stopped);
    }
    mounted::install(plan, &working_copy, is_stopped, reporter);
    copy_settings(facts, plan, &working_copy, is_stopped, reporter);
    interrupt.check("the working copy was made")?;
    if let Some(session) = &plan.facts.definition.session {
        make_room(plan, session, &working_copy, (state_dir, &facts.state_dir), reporter)?;
        if plan.login == LoginFileStep::Stays {
            working_copy.make_private(plan, session)?;
        }
        if let (LoginFileStep::Written, Some(Ok(CandidateValue::Session(login)))) =
            (plan.login, plan.chosen().map(|candidate| &candidate.found))
        {
            let bytes = login.bytes.expose_secret();
            let merged = with_earlier_entries(plan, session, bytes);
            working_copy.write_copy(&session.file, merged.as_ref().map_or(bytes, |merged| merged.as_slice()))?;
        }
    }
    overrides::remove(plan, &working_copy, reporter);
    // After the login, because an agent may keep its login and these answers in one file.
    if let Some(step) = &plan.first_run {
        first_run::answer(step, plan, &working_copy, reporter);
    }
    copy_credential_files(facts, plan, reporter)?;
    Ok(working_copy)
}

/// The login file with the entries that earlier runs left. `None` if they change nothing.
fn with_earlier_entries(plan: &AgentPlan<'_, '_>, session: &SessionFile, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut merged: Option<Zeroizing<Vec<u8>>> = None;
    for earlier in &plan.earlier_entries {
        let into = merged.as_ref().map_or(bytes, |merged| merged.as_slice());
        let next = Document::with_entries_of(session, earlier.bytes.expose_secret(), into, &plan.entries);
        merged = next.or(merged);
    }
    merged
}

/// Checks without changing anything whether the directories of a plan exist or can be made. The error is that of a
/// start.
pub fn check_possible(facts: &Facts<'_>, plan: &Plan<'_, '_>) -> anyhow::Result<()> {
    if let Some(home) = plan.home.as_ref().filter(|home| home.is_required) {
        directories::can_be_made(&home.path)?;
    }
    let needed: Vec<_> = plan.agents.iter().filter(|agent| agent.login != LoginFileStep::Absent).collect();
    if !needed.is_empty() {
        directories::state_directory_is_possible(&facts.state_dir)?;
    }
    for agent in needed {
        if let TrustedRoot::WorkDir(work_dir) = &agent.root {
            directories::can_be_made(work_dir)?;
        }
    }
    Ok(())
}

/// The part of the path that no agent can have changed.
fn trusted_path(root: &TrustedRoot, path: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<PathBuf> {
    match root {
        TrustedRoot::WorkDir(work_dir) => {
            directories::parent_of_working_copies(work_dir, owner)?;
            Ok(work_dir.clone())
        }
        TrustedRoot::Directory(directory) if access::is_directory(directory) => Ok(directory.clone()),
        TrustedRoot::Directory(_) | TrustedRoot::Existing => {
            let existing = path.ancestors().skip(1).find(|ancestor| ancestor.is_dir());
            Ok(existing.unwrap_or(Path::new("/")).to_owned())
        }
    }
}

impl WorkingCopy {
    /// Writes a file of the working copy atomically, with mode 0600 and the agent as its owner.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.write_as(name, bytes, Durability::Synced)
    }

    /// The same for a copy of what is kept elsewhere, and for what the next start would write again.
    pub fn write_copy(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.write_as(name, bytes, Durability::Later)
    }

    fn write_as(&self, name: &str, bytes: &[u8], durability: Durability) -> anyhow::Result<()> {
        if bytes.len() as u64 > LIMIT {
            let what =
                format!("cannot write {}: it would be larger than {LIMIT} bytes", self.path.join(name).display());
            return Err(Failure::new(what).hint("make the file smaller: larger files are not read").into());
        }
        let (entry, attributes) = (OsStr::new(name), Attributes { mode: 0o600, owner: self.owner });
        let written = match durability {
            Durability::Synced => self.dir.write_whole(entry, bytes, attributes),
            Durability::Later => self.dir.write_copy(entry, bytes, attributes),
        };
        written.with_context(|| directories::failure("write", &self.path.join(name)))
    }

    /// Keeps a version of a file in `conflicts/`, readable only for this process.
    fn keep_conflict(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let bookkeeping = self.dir.make(OsStr::new(BOOKKEEPING), Attributes { mode: 0o700, owner: None })?;
        keep_conflict(&bookkeeping, file, bytes, Attributes { mode: 0o600, owner: None })
    }

    /// Removes temporary files that killed runs left in `conflicts/`. The working copy itself is swept when it is made
    /// ([`directories::private_directory`]).
    fn sweep_conflicts(&self) {
        let bookkeeping = self.dir.sub(OsStr::new(BOOKKEEPING));
        if let Ok(conflicts) = bookkeeping.and_then(|bookkeeping| bookkeeping.sub(OsStr::new("conflicts"))) {
            conflicts.sweep();
        }
    }

    /// Gives a login that stays the right owner and mode. An image may have created it with others.
    fn make_private(&self, plan: &AgentPlan<'_, '_>, session: &SessionFile) -> anyhow::Result<()> {
        let there = self.dir.stat_entry(OsStr::new(&session.file));
        let is_private = there.is_ok_and(|there| there.uid == self.uid() && there.mode | 0o600 == 0o600);
        match plan.chosen().and_then(Candidate::session) {
            Some(login) if !is_private => self.write(&session.file, login.bytes.expose_secret()),
            _ => Ok(()),
        }
    }

    /// Like [`WorkingCopy::write`] while the agent runs: replaces the version `there` and nothing that the agent wrote
    /// since, while holding the agent's own lock around writes.
    pub fn replace(
        &self,
        name: &str,
        bytes: &[u8],
        there: &LoginFile,
        exclusion: Option<&Exclusion<'_>>,
    ) -> anyhow::Result<Replaced> {
        let is_there = there.state != LoginState::Absent;
        if is_there && there.bytes.is_none() {
            // A link, a FIFO or another user's file contains no login of the agent.
            return self.write_copy(name, bytes).map(|()| Replaced::Done);
        }
        let owners = self.owners();
        let is_same = |moved: &OsStr| {
            untrusted::entry(&self.dir, moved, &owners).ok().map(|content| content.bytes) == there.bytes
        };
        self.dir
            .replace_whole(
                OsStr::new(name),
                bytes,
                Attributes { mode: 0o600, owner: self.owner },
                is_there.then_some(&is_same as &dyn Fn(&OsStr) -> bool),
                exclusion,
            )
            .with_context(|| directories::failure("write", &self.path.join(name)))
    }

    /// Opens the directory again by its path, because the agent may have replaced it. A missing directory, a link in
    /// the path and another owner are errors.
    pub fn reopen(&mut self) -> std::io::Result<()> {
        self.dir = directories::directory_of(&self.path, &self.trusted, self.uid())?;
        Ok(())
    }

    /// Whether the path still leads to this directory.
    pub fn is_current(&self) -> bool {
        let there = directories::directory_of(&self.path, &self.trusted, self.uid());
        there.and_then(|there| Ok(there.stat()?.id == self.dir.stat()?.id)).unwrap_or(false)
    }

    fn uid(&self) -> u32 {
        self.owner.map_or(privilege::current().0, |(uid, _)| uid)
    }

    /// A second handle for the same directory. Its path cannot be used: an agent may have made it lead elsewhere.
    pub fn duplicate(&self) -> std::io::Result<WorkingCopy> {
        let dir = self.dir.sub_beneath(Path::new("."))?;
        Ok(WorkingCopy { path: self.path.clone(), dir, trusted: self.trusted.clone(), owner: self.owner })
    }

    /// The owners whose files count as the agent's.
    pub fn owners(&self) -> Owners {
        Owners::These(vec![self.uid()])
    }
}

/// Copies the files that accompany the chosen method, readable only for the agent's user.
fn copy_credential_files(facts: &Facts<'_>, plan: &AgentPlan<'_, '_>, reporter: Reporter) -> anyhow::Result<()> {
    let owner = agent_owner(facts);
    for file in plan.files() {
        let path = copied_file(&facts.state_dir, &plan.facts.definition.name, &file.variable);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let (dir, _) = directories::private_directory(parent, &facts.state_dir, owner)?;
        dir.write_copy(name, file.bytes.expose_secret(), Attributes { mode: 0o600, owner })
            .with_context(|| directories::failure("write", &path))?;
        if let Some(cache) = &file.cache
            && let Err(error) = install_cache(cache, &facts.home, owner)
        {
            let (agent, variable) = (&plan.facts.definition.name, &file.variable);
            let text = format!("{agent}: cannot copy the cache of {variable}: {}", in_words(&error));
            let hint = "HOME must be writable: mount a tmpfs there, or name another HOME with --home";
            reporter.say(&warning(plan, text).hint(hint));
        }
    }
    Ok(())
}

/// Installs a cache in HOME. A newer file there stays: the agent of an earlier run may have refreshed it.
fn install_cache(cache: &Cache, home: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    let path = home.join(&cache.path);
    let (dir, _) = directories::private_directory(&path, home, owner)?;
    for file in &cache.files {
        let is_outdated = match dir.stat_entry(&file.name) {
            Ok(there) => there.kind != Kind::File || there.changed < file.changed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error).with_context(|| directories::failure("look at", &path.join(&file.name))),
        };
        if is_outdated {
            dir.write_copy(&file.name, file.bytes.expose_secret(), Attributes { mode: 0o600, owner })
                .with_context(|| directories::failure("write", &path.join(&file.name)))?;
        }
    }
    Ok(())
}

/// Makes room for the chosen credential: moves the login in the working copy to `conflicts/` and removes a file that is
/// not a login.
fn make_room(
    plan: &AgentPlan<'_, '_>,
    session: &SessionFile,
    working_copy: &WorkingCopy,
    state_dir: (&Dir, &Path),
    reporter: Reporter,
) -> anyhow::Result<()> {
    let name = OsStr::new(&session.file);
    if plan.login == LoginFileStep::Stays
        || !is_there(&working_copy.dir, name).with_context(|| directories::failure("look at", &working_copy.path))?
    {
        return Ok(());
    }
    if let Some(displaced) = plan.displaced_login().and_then(Candidate::session) {
        let kept = keep_login(plan, session, displaced.bytes.expose_secret(), working_copy, state_dir)?;
        if kept != plan.conflicts_dir() {
            let agent = &plan.facts.definition.name;
            let planned = plan.conflicts_dir();
            let text = format!("{agent}: cannot keep the replaced login in {}", planned.display());
            reporter.say(&warning(plan, text).hint(format!("the login is kept in {} instead", kept.display())));
        }
    }
    if plan.login == LoginFileStep::Absent {
        let content = match untrusted::entry(&working_copy.dir, name, &working_copy.owners()) {
            Err(why) if why.is_unknown() => {
                let what =
                    format!("cannot read {}, which is to be removed: {why}", working_copy.path.join(name).display());
                return Err(Failure::new(what).hint("make it readable for agent-init or remove it").into());
            }
            found => found.ok(),
        };
        match content.and_then(|content| Document::without_login(session, &content.bytes)) {
            // The file also holds other data, which stays.
            Some(rest) => working_copy.write(&session.file, &rest)?,
            None => working_copy
                .dir
                .remove(name)
                .with_context(|| directories::failure("remove", &working_copy.path.join(name)))?,
        }
    }
    Ok(())
}

/// Keeps a displaced login in the capture, else in the working copy, else in the state directory, where no agent can
/// prevent it. Returns the directory.
fn keep_login(
    plan: &AgentPlan<'_, '_>,
    session: &SessionFile,
    login: &[u8],
    working_copy: &WorkingCopy,
    (state_dir, state_path): (&Dir, &Path),
) -> anyhow::Result<PathBuf> {
    let capture = plan.capture_for_conflicts().and_then(|path| plan.facts.open_capture(path).ok());
    if let Some(capture) = capture.filter(|capture| capture.keep_conflict(session, login).is_ok()) {
        return Ok(capture.conflicts_path());
    }
    if working_copy.keep_conflict(&session.file, login).is_ok() {
        return Ok(working_copy.path.join(BOOKKEEPING).join("conflicts"));
    }
    let private = Attributes { mode: 0o600, owner: None };
    keep_conflict(state_dir, &session.file, login, private)
        .context("cannot keep the login that the working copy holds")?;
    Ok(state_path.join("conflicts"))
}

/// Copies the settings of the captured directory, and the files that the agent would otherwise read outside its config
/// directory.
fn copy_settings(
    facts: &Facts<'_>,
    plan: &AgentPlan<'_, '_>,
    working_copy: &WorkingCopy,
    is_stopped: &dyn Fn() -> bool,
    reporter: Reporter,
) {
    let definition = plan.facts.definition;
    let scope = plan.scope;
    if scope == Scope::Login {
        return;
    }
    let linked: Vec<&OsStr> = plan.linked_entries().collect();
    for from in &plan.settings {
        match plan.facts.open_settings(from) {
            Ok(source) => {
                let login = definition.session.as_ref().map(|session| session.file.as_str());
                let filter = import::SettingsFilter { settings: &definition.settings, scope, login, linked: &linked };
                let skipped =
                    import::copy_settings(&source, &working_copy.dir, &filter, working_copy.owner, is_stopped);
                for skipped in skipped.into_lines() {
                    reporter.say(&warning(plan, format!("{}/{skipped}", from.display())));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                reporter.say(&warning(
                    plan,
                    format!("cannot copy settings from {}: {}", from.display(), error::reason(&error)),
                ));
            }
        }
    }
    for (outside, inside) in &definition.settings.outside {
        let from = under_home(outside, &facts.home);
        let is_mounted = plan.facts.mounted_outside.iter().any(|mounted| mounted.from == from);
        // An error means that the file may exist, and then it must stay. What the operator mounted wins.
        if !is_mounted && !is_there(&working_copy.dir, OsStr::new(inside)).is_ok_and(|there| !there) {
            continue;
        }
        let owners = if is_mounted { Owners::Any } else { Owners::These(vec![facts.identity.uid, 0, facts.current.0]) };
        let copied = match read_outside_file(&from, &owners) {
            Ok(bytes) => working_copy.write_copy(inside, &bytes).map_err(|error| in_words(&error)),
            Err(why) if why.is_unknown() && !why.is_forbidden() => Err(why.to_string()),
            Err(_) => Ok(()),
        };
        if let Err(why) = copied {
            reporter.say(&warning(plan, format!("cannot copy {}: {why}", from.display())));
        }
    }
}

fn warning(plan: &AgentPlan<'_, '_>, text: String) -> Message {
    Message::warning(text).event(EventKey::WorkingCopy).agent(&plan.facts.definition.name)
}

fn is_there(dir: &Dir, name: &OsStr) -> io::Result<bool> {
    match dir.stat_entry(name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_outside_file(path: &Path, owners: &Owners) -> Result<Zeroizing<Vec<u8>>, untrusted::Unreadable> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(untrusted::Unreadable::Missing);
    };
    Ok(untrusted::entry(&Dir::open(parent)?, name, owners)?.bytes)
}
