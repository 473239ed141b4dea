//! Lays a login down as the agent's private working copy.
//!
//! The agent does not run yet, but an earlier one may have: everything below HOME is opened by handle, link by link
//! refused.

pub mod export;
pub mod first_run;
pub mod import;
pub mod overrides;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::config::Scope;
use crate::error;
use crate::error::{Failure, in_words};
use crate::facts::config_dir::{copied_file, under_home};
use crate::facts::{Cache, Candidate, CandidateValue, Facts};
use crate::fs::tree;
use crate::fs::untrusted::{LIMIT, Owners};
use crate::fs::{directories, untrusted};
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::Document;
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::merge::LoginState;
use crate::plan::{AgentPlan, LoginFileStep, Plan, TrustedRoot};
use crate::process::interrupt::Interrupt;
use crate::store::Capture;
use crate::store::directory::{BOOKKEEPING, keep_conflict};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::replace::{Exclusion, Replaced};
use crate::sys::stat::Kind;
use crate::sys::{access, privilege};

/// A working copy.
pub struct WorkingCopy {
    /// Where.
    pub path: PathBuf,
    /// Its directory.
    pub dir: Dir,
    /// The part of the path that is not the agent's.
    pub trusted: PathBuf,
    /// The owner that its files get, where it is not us.
    pub owner: Option<(u32, u32)>,
}

/// The owner that we give to what the agent shall own; `None` when that is us.
pub fn agent_owner(facts: &Facts<'_>) -> Option<(u32, u32)> {
    let agent = (facts.identity.uid, facts.identity.gid);
    (agent != facts.current).then_some(agent)
}

/// Lays the working copy of one agent down.
///
/// # Errors
/// A directory or file that cannot be made, with the path and the capability that is missing; a stop.
pub fn install(
    facts: &Facts<'_>,
    plan: &AgentPlan<'_, '_>,
    state_dir: &Dir,
    interrupt: &Interrupt,
    say: &mut dyn FnMut(Message),
) -> anyhow::Result<WorkingCopy> {
    let owner = agent_owner(facts);
    let is_stopped = &|| interrupt.has_come();
    let path = plan.facts.working_copy.clone();
    let trusted = trusted_part(&plan.root, &path, owner)?;
    let (dir, was_anothers) = directories::private_directory(&path, &trusted, owner)?;
    let copy = WorkingCopy { path, dir, trusted, owner };
    copy.sweep_kept();
    if was_anothers {
        tree::take_over(&copy.dir, owner, is_stopped);
    }
    settings(facts, plan, &copy, is_stopped, say);
    interrupt.check("the working copy was made")?;
    if let Some(session) = &plan.facts.definition.session {
        clear_left(plan, session, &copy, (state_dir, &facts.state_dir), say)?;
        if plan.login == LoginFileStep::Stays {
            copy.make_private(plan, session)?;
        }
        if let (LoginFileStep::Written, Some(Ok(CandidateValue::Session(login)))) =
            (plan.login, plan.chosen().map(|candidate| &candidate.found))
        {
            copy.write(&session.file, login.bytes.expose_secret())?;
        }
    }
    overrides::ignored(plan, &copy, say);
    // Last: an agent may keep its login and its answers in one file.
    if let Some(step) = &plan.first_run {
        first_run::answer(step, facts, plan, &copy, say);
    }
    files(facts, plan, say)?;
    Ok(copy)
}

/// Whether the directories of a plan are there or can be made, as far as a look tells; for commands that change nothing.
///
/// # Errors
/// What a start by that plan would say.
pub fn possible(facts: &Facts<'_>, plan: &Plan<'_, '_>) -> anyhow::Result<()> {
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

/// The path of the part that the agent cannot have changed.
fn trusted_part(root: &TrustedRoot, path: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<PathBuf> {
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
    /// Writes a file of the working copy whole: 0600, the agent's.
    ///
    /// # Errors
    /// What the kernel says, with the path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        if bytes.len() as u64 > LIMIT {
            let what =
                format!("cannot write {}: it would be larger than {LIMIT} bytes", self.path.join(name).display());
            return Err(Failure::new(what).hint("make what is there smaller: larger files are not read").into());
        }
        self.dir
            .write_whole(OsStr::new(name), bytes, Attributes { mode: 0o600, owner: self.owner })
            .with_context(|| directories::failure("write", &self.path.join(name)))
    }

    /// Keeps what a file held beside it, for root or us alone.
    fn keep_beside(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let notes = self.dir.make(OsStr::new(BOOKKEEPING), Attributes { mode: 0o700, owner: None })?;
        keep_conflict(&notes, file, bytes, Attributes { mode: 0o600, owner: None })
    }

    /// Removes temporary files that killed runs left among what is kept beside. The directory itself is swept when it is
    /// made ([`directories::private_directory`]).
    fn sweep_kept(&self) {
        let kept = self.dir.sub(OsStr::new(BOOKKEEPING)).and_then(|notes| notes.sub(OsStr::new("conflicts")));
        if let Ok(kept) = kept {
            kept.sweep();
        }
    }

    /// Makes the login that stays the agent's and nobody else's: an image may have made it otherwise.
    fn make_private(&self, plan: &AgentPlan<'_, '_>, session: &SessionFile) -> anyhow::Result<()> {
        let there = self.dir.stat_entry(OsStr::new(&session.file));
        let is_private = there.is_ok_and(|there| there.uid == self.uid() && there.mode | 0o600 == 0o600);
        match plan.chosen().and_then(Candidate::session) {
            Some(login) if !is_private => self.write(&session.file, login.bytes.expose_secret()),
            _ => Ok(()),
        }
    }

    /// As [`WorkingCopy::write`] while the agent runs: in the place of `there`, and of nothing that it wrote since, with
    /// the agent's own lock around writes.
    ///
    /// # Errors
    /// What the kernel says, with the path.
    pub fn replace(
        &self,
        name: &str,
        bytes: &[u8],
        there: &LoginFile,
        exclusion: Option<&Exclusion<'_>>,
    ) -> anyhow::Result<Replaced> {
        let is_there = there.state != LoginState::Absent;
        if is_there && there.bytes.is_none() {
            // A link, a fifo, another's file: no login of the agent's is lost with it.
            return self.write(name, bytes).map(|()| Replaced::Done);
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

    /// Opens the directory that is at the path now: the agent may have replaced its own.
    ///
    /// # Errors
    /// It is not there, or leads through a link, or is not the agent's.
    pub fn reopen(&mut self) -> std::io::Result<()> {
        self.dir = directories::directory_of(&self.path, &self.trusted, self.uid())?;
        Ok(())
    }

    /// Whether the directory is still what its path leads to.
    pub fn is_current(&self) -> bool {
        let there = directories::directory_of(&self.path, &self.trusted, self.uid());
        there.and_then(|there| Ok(there.stat()?.id == self.dir.stat()?.id)).unwrap_or(false)
    }

    fn uid(&self) -> u32 {
        self.owner.map_or(privilege::current().0, |(uid, _)| uid)
    }

    /// A second handle: the path may lead elsewhere once an agent has lived here.
    ///
    /// # Errors
    /// As openat(2).
    pub fn again(&self) -> std::io::Result<WorkingCopy> {
        let dir = self.dir.sub_beneath(Path::new("."))?;
        Ok(WorkingCopy { path: self.path.clone(), dir, trusted: self.trusted.clone(), owner: self.owner })
    }

    /// The uids whose files here are the agent's.
    pub fn owners(&self) -> Owners {
        Owners::These(vec![self.uid()])
    }
}

/// Copies the files that go with the chosen method, each for the agent's user alone.
fn files(facts: &Facts<'_>, plan: &AgentPlan<'_, '_>, say: &mut dyn FnMut(Message)) -> anyhow::Result<()> {
    let owner = agent_owner(facts);
    for file in plan.files() {
        let path = copied_file(&facts.state_dir, &plan.facts.definition.name, &file.variable);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let (dir, _) = directories::private_directory(parent, &facts.state_dir, owner)?;
        dir.write_whole(name, file.bytes.expose_secret(), Attributes { mode: 0o600, owner })
            .with_context(|| directories::failure("write", &path))?;
        if let Some(cache) = &file.cache
            && let Err(error) = install_cache(cache, &facts.home, owner)
        {
            let (agent, variable) = (&plan.facts.definition.name, &file.variable);
            let text = format!("{agent}: the cache of {variable} is not copied: {}", in_words(&error));
            let hint = "HOME must be writable for it: mount a tmpfs there, or name another with --home";
            say(warning(plan, text).hint(hint));
        }
    }
    Ok(())
}

/// Lays a cache down in HOME. What is newer there is the agent's own, of an earlier run: it may have refreshed it.
fn install_cache(cache: &Cache, home: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    let path = home.join(&cache.path);
    let (dir, _) = directories::private_directory(&path, home, owner)?;
    for file in &cache.files {
        let is_newer = match dir.stat_entry(&file.name) {
            Ok(there) => there.kind != Kind::File || there.changed < file.changed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error).with_context(|| directories::failure("look at", &path.join(&file.name))),
        };
        if is_newer {
            dir.write_whole(&file.name, file.bytes.expose_secret(), Attributes { mode: 0o600, owner })
                .with_context(|| directories::failure("write", &path.join(&file.name)))?;
        }
    }
    Ok(())
}

/// Makes room at the login's place: a login that lost there is kept, what is none goes.
fn clear_left(
    plan: &AgentPlan<'_, '_>,
    session: &SessionFile,
    copy: &WorkingCopy,
    state_dir: (&Dir, &Path),
    say: &mut dyn FnMut(Message),
) -> anyhow::Result<()> {
    let name = OsStr::new(&session.file);
    if plan.login == LoginFileStep::Stays
        || !is_there(&copy.dir, name).with_context(|| directories::failure("look at", &copy.path))?
    {
        return Ok(());
    }
    if let Some(left) = plan.displaced_login().and_then(Candidate::session) {
        let kept = keep_login(plan, session, left.bytes.expose_secret(), copy, state_dir)?;
        if kept != plan.conflicts_dir() {
            let agent = &plan.facts.definition.name;
            let planned = plan.conflicts_dir();
            let text = format!("{agent}: {} does not take the login that gives way", planned.display());
            say(warning(plan, text).hint(format!("it is kept under {}", kept.display())));
        }
    }
    if plan.login == LoginFileStep::Absent {
        let siblings = match untrusted::entry(&copy.dir, name, &copy.owners()) {
            Err(why) if why.is_unknown() => {
                let what = format!("cannot read {}, which is to be removed: {why}", copy.path.join(name).display());
                return Err(Failure::new(what).hint("make it readable for agent-init, or remove it").into());
            }
            found => found.ok(),
        };
        match siblings.and_then(|content| Document::without_login(session, &content.bytes)) {
            // A file that holds more than the login keeps the rest.
            Some(rest) => copy.write(&session.file, &rest)?,
            None => copy.dir.remove(name).with_context(|| directories::failure("remove", &copy.path.join(name)))?,
        }
    }
    Ok(())
}

/// Keeps a login that gives way: in the capture, else beside its own place, else in our state, where an agent that is in
/// the way at its place cannot prevent it. The directory that has it.
fn keep_login(
    plan: &AgentPlan<'_, '_>,
    session: &SessionFile,
    login: &[u8],
    copy: &WorkingCopy,
    (state_dir, state_path): (&Dir, &Path),
) -> anyhow::Result<PathBuf> {
    let capture = plan.capture_for_conflicts().and_then(|path| Capture::open(path).ok());
    if let Some(capture) = capture.filter(|capture| capture.keep_conflict(session, login).is_ok()) {
        return Ok(capture.conflicts_path());
    }
    if copy.keep_beside(&session.file, login).is_ok() {
        return Ok(copy.path.join(BOOKKEEPING).join("conflicts"));
    }
    let private = Attributes { mode: 0o600, owner: None };
    keep_conflict(state_dir, &session.file, login, private).context("cannot keep the login that was found")?;
    Ok(state_path.join("conflicts"))
}

/// Copies the settings of the captured directory, and the files that the agent would have read outside its home.
fn settings(
    facts: &Facts<'_>,
    plan: &AgentPlan<'_, '_>,
    copy: &WorkingCopy,
    is_stopped: &dyn Fn() -> bool,
    say: &mut dyn FnMut(Message),
) {
    let definition = plan.facts.definition;
    let scope = plan.scope;
    if scope == Scope::Login {
        return;
    }
    if let Some(from) = &plan.settings {
        match Dir::open(from) {
            Ok(source) => {
                let login = definition.session.as_ref().map(|session| session.file.as_str());
                let choice = import::Selection { settings: &definition.settings, scope, login };
                let skipped = import::settings(&source, &copy.dir, &choice, copy.owner, is_stopped);
                for skipped in skipped.into_lines() {
                    say(warning(plan, format!("{}/{skipped}", from.display())));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                say(warning(plan, format!("no settings from {}: {}", from.display(), error::reason(&error))));
            }
        }
    }
    for (outside, inside) in &definition.settings.outside {
        let from = under_home(outside, &facts.home);
        // What cannot be looked at is there, for all we know.
        if !is_there(&copy.dir, OsStr::new(inside)).is_ok_and(|there| !there) {
            continue;
        }
        let copied = match outside_file(&from, facts) {
            Ok(bytes) => copy.write(inside, &bytes).map_err(|error| in_words(&error)),
            Err(why) if why.is_unknown() && !why.is_forbidden() => Err(why.to_string()),
            Err(_) => Ok(()),
        };
        if let Err(why) = copied {
            say(warning(plan, format!("{} is not copied: {why}", from.display())));
        }
    }
}

fn warning(plan: &AgentPlan<'_, '_>, text: String) -> Message {
    Message::warning(text).event(EventKey::WorkingCopy).agent(&plan.facts.definition.name)
}

/// Whether there is an entry of this name.
fn is_there(dir: &Dir, name: &OsStr) -> io::Result<bool> {
    match dir.stat_entry(name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn outside_file(path: &Path, facts: &Facts<'_>) -> Result<zeroize::Zeroizing<Vec<u8>>, untrusted::Unreadable> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(untrusted::Unreadable::Missing);
    };
    let owners = Owners::These(vec![facts.identity.uid, 0, facts.current.0]);
    Ok(untrusted::entry(&Dir::open(parent)?, name, &owners)?.bytes)
}
