//! A store behind a helper command. Helpers fetch and store logins by the platform's own tools, and agent-init never
//! blocks on them.
//!
//! One request runs at a time. The files that were read last are held in memory. `mirror` is a capture in the state
//! directory that holds them for a start to install, and the conflicts.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use zeroize::Zeroizing;

use crate::error::Failure;
use crate::fs::directories;
use crate::login::entries::EntriesBase;
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::history::History;
use crate::login::{Document, Secret, file, limits};
use crate::process::children::Children;
use crate::process::task::Task;
use crate::store::breach::Breach;
use crate::store::directory::{BOOKKEEPING, Capture};
use crate::store::helper::{Helper, protocol_error, request_name};
use crate::store::poll_interval::PollInterval;
use crate::store::protocol;
use crate::store::protocol::{Files, Lease, RECORD, Stored, Verb};
use crate::store::record::Record;
use crate::sys::dir::Attributes;
use crate::sys::stat::Kind;

/// A lease expires this long after its last renewal. An agent that waits must get the lease of a dead container before
/// it gives up, after 31 s.
const LEASE_DURATION: Duration = Duration::from_secs(20);

/// How long a store that does not answer may delay an agent's refresh. The agent tries for 8 s, goes on with the token
/// that it has, and tries for another 8 s when that is refused.
const TURN_WAIT: Duration = Duration::from_secs(12);

/// An answer of the store.
pub enum StoreEvent {
    /// The stored files were read.
    Read,
    /// The files of a `put` are stored.
    Stored,
    /// Another container stored something first. Its files are being read.
    Conflict,
    /// The answer to `request_turn`: whether the turn is ours. The stored files have been read since.
    Turn(bool),
    /// A request failed.
    Failed(Verb, Failure),
}

/// The progress of a requested turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TurnRequest {
    None,
    Locking,
    Reading { granted: bool },
}

/// Files to store, if the stored version is still the one that they were compared with.
struct PendingPut {
    expect: Option<String>,
    files: Files,
}

pub struct Remote {
    helper: Helper,
    agent: String,
    owner: String,
    mirror: Capture,
    stored: Option<Stored>,
    task: Option<(Verb, Task)>,
    pending_put: Option<PendingPut>,
    turn_request: TurnRequest,
    /// Until when an answer about a turn is waited for.
    turn_deadline: Option<Instant>,
    /// When to renew our lease.
    lease: Option<Instant>,
    must_unlock: bool,
    must_read: bool,
    poll_interval: PollInterval,
    is_final: bool,
}

impl Remote {
    /// `stored`: what the start has read. `live`: the store is polled for changes.
    pub fn new(helper: Helper, agent: &str, mirror: Capture, stored: Option<Stored>, live: bool) -> Remote {
        Remote {
            helper,
            agent: agent.to_owned(),
            owner: format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1)),
            mirror,
            stored,
            task: None,
            pending_put: None,
            turn_request: TurnRequest::None,
            turn_deadline: None,
            lease: None,
            must_unlock: false,
            must_read: false,
            poll_interval: PollInterval::new(live, Instant::now()),
            is_final: false,
        }
    }

    /// The specification as the operator wrote it.
    pub fn text(&self) -> &str {
        &self.helper.text
    }

    /// The capture in the state directory that keeps conflicts.
    pub fn mirror(&self) -> &Capture {
        &self.mirror
    }

    /// The login that was read last.
    pub fn read(&self, rule: &SessionFile) -> LoginFile {
        let bytes = |secret: &Secret| Zeroizing::new(secret.expose_secret().to_vec());
        LoginFile::from_files(|name| self.stored.as_ref()?.files.get(name).map(bytes), rule)
    }

    /// The record that was read last.
    pub fn record(&self) -> Record {
        let text = self.stored.as_ref().and_then(|stored| stored.files.get(RECORD));
        text.and_then(|text| limits::parse(text.expose_secret()).ok()).unwrap_or_default()
    }

    /// Schedules a request to store the login of `bytes` with the other files. [`StoreEvent::Stored`] follows when it
    /// is stored. `entries`: the merge base of its entries. Fails if the files would be larger than readers accept.
    pub fn put(
        &mut self,
        rule: &SessionFile,
        bytes: &[u8],
        history: &History,
        entries: &EntriesBase,
    ) -> io::Result<()> {
        let mut files = Files::new();
        for (name, secret) in self.stored.iter().flat_map(|stored| &stored.files) {
            files.insert(name.clone(), secret.duplicate());
        }
        let there = files.get(&rule.file).map(Secret::expose_secret);
        let merged = Document::with_other_keys_of(rule, bytes, there, entries);
        let bytes = merged.as_ref().map_or(bytes, |merged| merged.as_slice());
        file::check_readable(rule, bytes)?;
        let record = serde_json::to_vec_pretty(&Record::now(history)).map_err(io::Error::other)?;
        files.insert(rule.file.clone(), Secret::copied(bytes));
        files.insert(RECORD.to_owned(), Secret::copied(&record));
        protocol::check(&files).map_err(|why| io::Error::other(format!("readers would refuse it: {why}")))?;
        let expect = self.stored.as_ref().map(|stored| stored.version.clone());
        self.pending_put = Some(PendingPut { expect, files });
        Ok(())
    }

    /// Whether files were sent that are not known to be stored.
    pub fn is_putting(&self) -> bool {
        self.pending_put.is_some()
    }

    /// Requests the lease, and reads the stored files once it is ours. [`StoreEvent::Turn`] follows.
    pub fn request_turn(&mut self) {
        if self.turn_request == TurnRequest::None && !self.is_final {
            self.turn_request = TurnRequest::Locking;
            self.turn_deadline = Some(Instant::now() + TURN_WAIT);
        }
    }

    /// Gives the lease back if it is ours.
    pub fn release(&mut self) {
        self.must_unlock |= self.lease.take().is_some();
    }

    /// Sets when the stored login expires. `None`: there is none, so one is expected soon.
    pub fn expect(&mut self, expires_at: Option<SystemTime>) {
        self.poll_interval.expect(expires_at);
    }

    /// Begins the end of the run: the store is not polled any more.
    pub fn begin_end(&mut self, children: &mut Children) {
        self.is_final = true;
        self.turn_request = TurnRequest::None;
        // Waiting for an answer to it would delay the last publish.
        self.kill_read_or_lock(children);
    }

    /// Kills a running `get` or `lock`. Returns which it was.
    fn kill_read_or_lock(&mut self, children: &mut Children) -> Option<Verb> {
        let (verb, task) = self.task.take_if(|(verb, _)| matches!(verb, Verb::Get | Verb::Lock))?;
        task.kill(children);
        // A killed `lock` may have taken the lease, so the lease is given back.
        self.must_unlock |= verb == Verb::Lock;
        Some(verb)
    }

    /// Kills any running request.
    pub fn abandon(&mut self, children: &mut Children) {
        if let Some((_, task)) = self.task.take() {
            task.kill(children);
        }
    }

    /// The descriptors that become readable when there is something to do.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.task.iter().flat_map(|(_, task)| task.fds())
    }

    /// When the next step is due without an event.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        match &self.task {
            Some((_, task)) => [Some(task.deadline()), self.turn_deadline].into_iter().flatten().min(),
            None if self.next_request(now).is_some() => Some(now),
            None => {
                let poll = if self.is_final { None } else { self.poll_interval.due() };
                [self.lease, poll].into_iter().flatten().min()
            }
        }
    }

    /// Whether a request is running or due.
    pub fn is_busy(&self, now: Instant) -> bool {
        self.task.is_some() || self.next_request(now).is_some()
    }

    /// The next request. The lease is given back last, so that its next holder finds what was stored.
    fn next_request(&self, now: Instant) -> Option<Verb> {
        let is_due = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        if self.must_read {
            Some(Verb::Get)
        } else if self.pending_put.is_some() {
            Some(Verb::Put)
        } else if self.must_unlock {
            Some(Verb::Unlock)
        } else if self.turn_request == TurnRequest::Locking || is_due(self.lease) {
            Some(Verb::Lock)
        } else if self.turn_request != TurnRequest::None || (is_due(self.poll_interval.due()) && !self.is_final) {
            Some(Verb::Get)
        } else {
            None
        }
    }

    /// Handles an answer and starts the next request. The caller has reaped before.
    pub fn step(&mut self, now: Instant, children: &mut Children) -> Vec<StoreEvent> {
        let mut events = Vec::new();
        self.end_turn_wait(now, children, &mut events);
        if let Some((verb, task)) = &mut self.task {
            let verb = *verb;
            let answer = match task.step(now, children) {
                Ok(None) => return events,
                Ok(Some(answer)) => self.handle_answer(verb, &answer, &mut events),
                Err(failure) => Err(failure),
            };
            self.task = None;
            self.poll_interval.asked(now, answer.is_ok());
            if let Err(failure) = answer {
                self.request_failed(verb, failure, &mut events);
            }
            self.report_turn(verb, &mut events);
        }
        if let Some(verb) = self.next_request(now) {
            let input = self.request(verb, now);
            match self.helper.ask(verb, &input, children) {
                Ok(task) => self.task = Some((verb, task)),
                Err(failure) => {
                    self.poll_interval.asked(now, false);
                    self.request_failed(verb, failure, &mut events);
                    self.report_turn(verb, &mut events);
                }
            }
        }
        events
    }

    fn request(&mut self, verb: Verb, now: Instant) -> Zeroizing<Vec<u8>> {
        match verb {
            Verb::Get => {
                self.must_read = false;
                protocol::get_request(&self.agent)
            }
            Verb::Put => {
                let nothing = PendingPut { expect: None, files: Files::new() };
                let put = self.pending_put.as_ref().unwrap_or(&nothing);
                protocol::put_request(&self.agent, put.expect.as_deref(), &put.files)
            }
            Verb::Lock => {
                self.lease = self.lease.map(|_| now + LEASE_DURATION / 2);
                protocol::lease_request(&self.agent, &self.owner, LEASE_DURATION)
            }
            Verb::Unlock => {
                self.must_unlock = false;
                protocol::lease_request(&self.agent, &self.owner, LEASE_DURATION)
            }
        }
    }

    fn handle_answer(&mut self, verb: Verb, answer: &[u8], events: &mut Vec<StoreEvent>) -> Result<(), Failure> {
        let unusable = |why: Breach| protocol_error(&self.helper.text, verb, &why);
        match verb {
            Verb::Get => {
                let stored = protocol::parse_get_answer(answer).map_err(unusable)?;
                self.check_version_order(stored.as_ref())?;
                self.stored = stored;
                events.push(StoreEvent::Read);
            }
            Verb::Put => {
                let version = protocol::parse_put_answer(answer).map_err(unusable)?;
                if let Some((version, put)) = version.zip(self.pending_put.take()) {
                    self.stored = Some(Stored { version, files: put.files, ignored_files: 0 });
                    events.push(StoreEvent::Stored);
                } else {
                    self.must_read = true;
                    events.push(StoreEvent::Conflict);
                }
            }
            Verb::Lock => {
                let lease = protocol::parse_lock_answer(answer).map_err(unusable)?;
                if lease == Lease::Granted && (self.turn_request == TurnRequest::Locking || self.lease.is_some()) {
                    self.lease = Some(Instant::now() + LEASE_DURATION / 2);
                } else if lease == Lease::Taken {
                    self.lease = None;
                }
                self.lock_answered(lease != Lease::Taken);
            }
            Verb::Unlock => {}
        }
        Ok(())
    }

    /// Refuses an answer with an older version than before: the store was restored from a backup, or it is another
    /// store.
    fn check_version_order(&self, answered: Option<&Stored>) -> Result<(), Failure> {
        match (&self.stored, answered) {
            (Some(known), Some(answered)) if protocol::is_earlier(&known.version, &answered.version) => {
                let name = request_name(&self.helper.text, Verb::Get);
                let what = format!("{name}: the version went from {} back to {}", known.version, answered.version);
                Err(Failure::new(what).hint("was the store restored? restart the container to use what it holds"))
            }
            _ => Ok(()),
        }
    }

    fn lock_answered(&mut self, granted: bool) {
        if self.turn_request == TurnRequest::Locking {
            self.turn_request = TurnRequest::Reading { granted };
        }
    }

    fn request_failed(&mut self, verb: Verb, failure: Failure, events: &mut Vec<StoreEvent>) {
        match verb {
            Verb::Put => self.pending_put = None,
            // A store that cannot lock must not keep the agent from its refresh.
            Verb::Lock => self.lock_answered(true),
            Verb::Get | Verb::Unlock => {}
        }
        events.push(StoreEvent::Failed(verb, failure));
    }

    /// After too long a wait for the store, gives the agent its turn without a lease.
    fn end_turn_wait(&mut self, now: Instant, children: &mut Children, events: &mut Vec<StoreEvent>) {
        if self.turn_deadline.is_none_or(|until| now < until) {
            return;
        }
        self.turn_deadline = None;
        if std::mem::replace(&mut self.turn_request, TurnRequest::None) == TurnRequest::None {
            return;
        }
        if let Some(verb) = self.kill_read_or_lock(children) {
            let what = format!("{} takes longer than an agent waits", request_name(&self.helper.text, verb));
            events.push(StoreEvent::Failed(
                verb,
                Failure::new(what)
                    .hint("the agent refreshes without a turn, perhaps at the same time as another container"),
            ));
        }
        events.push(StoreEvent::Turn(true));
    }

    /// Reports the turn once the `get` that belongs to it has ended, whether or not it succeeded.
    fn report_turn(&mut self, verb: Verb, events: &mut Vec<StoreEvent>) {
        if let (Verb::Get, TurnRequest::Reading { granted }) = (verb, self.turn_request) {
            self.turn_request = TurnRequest::None;
            self.turn_deadline = None;
            events.push(StoreEvent::Turn(granted));
        }
    }
}

/// The mirror of an agent's store.
pub fn mirror_path(state_dir: &Path, agent: &str) -> PathBuf {
    state_dir.join("store").join(agent)
}

pub fn mirror(state_dir: &Path, agent: &str) -> io::Result<Capture> {
    Capture::open(&mirror_path(state_dir, agent))
}

/// Makes the mirror hold exactly the stored files and the bookkeeping.
pub fn install_mirror(state_dir: &Path, agent: &str, stored: Option<&Stored>) -> anyhow::Result<()> {
    let private = |mode| Attributes { mode, owner: None };
    let dir = directories::state_directory(state_dir)?.make(OsStr::new("store"), private(0o700))?;
    let mirror = dir.make(OsStr::new(agent), private(0o700))?;
    let none = Files::new();
    let files = stored.map_or(&none, |stored| &stored.files);
    let is_kept = |name: &OsStr| name == BOOKKEEPING || name.to_str().is_some_and(|name| files.contains_key(name));
    for name in mirror.names()?.iter().filter(|name| !is_kept(name)) {
        mirror.remove(name)?;
    }
    // A store could hold a file of that name in versions before 0.2.
    if mirror.stat_entry(OsStr::new(BOOKKEEPING)).is_ok_and(|found| found.kind != Kind::Directory) {
        mirror.remove(OsStr::new(BOOKKEEPING))?;
    }
    let notes = mirror.make(OsStr::new(BOOKKEEPING), private(0o700))?;
    for (name, secret) in files {
        let (dir, name) = if name == RECORD { (&notes, "record.json") } else { (&mirror, name.as_str()) };
        dir.write_whole(OsStr::new(name), secret.expose_secret(), private(0o600))?;
    }
    Ok(())
}
