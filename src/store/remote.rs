//! A store behind a helper command: the platform's own tools fetch and keep the login, and we never wait for them.
//!
//! One question is under way at a time. What was last read is held here; `mirror`, a capture in our state directory, has
//! the files for a start to install, and the conflicts.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use zeroize::Zeroizing;

use crate::error::Failure;
use crate::fs::directories;
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::history::History;
use crate::login::{Document, Secret, file, limits};
use crate::process::children::Children;
use crate::process::task::Task;
use crate::store::directory::{BOOKKEEPING, Capture, Record};
use crate::store::helper::{Helper, called, misunderstood};
use crate::store::poll_interval::PollInterval;
use crate::store::protocol;
use crate::store::protocol::{Files, Lease, RECORD, Stored, Verb};
use crate::sys::dir::Attributes;
use crate::sys::stat::Kind;

/// A lease is free again so long after its last renewal: a dead holder must be replaced before a waiting agent gives up,
/// after 31 s.
const LEASE: Duration = Duration::from_secs(20);

/// How long an agent may be kept from its refresh by a store that does not answer: it tries for 8 s, goes on with the token
/// that it has, and tries for another 8 s when that is refused.
const PATIENCE: Duration = Duration::from_secs(12);

/// Something that a store said.
pub enum StoreEvent {
    /// What is stored was read.
    Read,
    /// What was put is stored.
    Stored,
    /// Another was first: what it stored is being read.
    Conflict,
    /// A turn was asked for, and what is stored has been read since: whether it is ours.
    Turn(bool),
    /// A question was not answered.
    Failed(Verb, Failure),
}

/// How far the asking for a turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Nothing,
    ToLock,
    ToLook { granted: bool },
}

/// What is put: in the place of the version that was compared with it, and of no later one.
struct PendingPut {
    expect: Option<String>,
    files: Files,
}

/// A store behind a helper.
pub struct Remote {
    helper: Helper,
    agent: String,
    owner: String,
    mirror: Capture,
    stored: Option<Stored>,
    task: Option<(Verb, Task)>,
    sending: Option<PendingPut>,
    asking: Asking,
    /// Until when a turn may be asked for.
    patient_until: Option<Instant>,
    /// When the lease that is ours is to be renewed.
    lease: Option<Instant>,
    releases: bool,
    wants_look: bool,
    pace: PollInterval,
    is_ending: bool,
}

impl Remote {
    /// The store of one agent, and what a start has read of it. `live`: changes are looked for.
    pub fn new(helper: Helper, agent: &str, mirror: Capture, stored: Option<Stored>, live: bool) -> Remote {
        Remote {
            helper,
            agent: agent.to_owned(),
            owner: format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1)),
            mirror,
            stored,
            task: None,
            sending: None,
            asking: Asking::Nothing,
            patient_until: None,
            lease: None,
            releases: false,
            wants_look: false,
            pace: PollInterval::new(live, Instant::now()),
            is_ending: false,
        }
    }

    /// As the operator wrote it.
    pub fn text(&self) -> &str {
        &self.helper.text
    }

    /// Where losers are kept.
    pub fn mirror(&self) -> &Capture {
        &self.mirror
    }

    /// The login as it was last read.
    pub fn read(&self, rule: &SessionFile) -> LoginFile {
        let bytes = |secret: &Secret| Zeroizing::new(secret.expose_secret().to_vec());
        LoginFile::from_files(|name| self.stored.as_ref()?.files.get(name).map(bytes), rule)
    }

    /// What is known of the logins that were stored here.
    pub fn record(&self) -> Record {
        let text = self.stored.as_ref().and_then(|stored| stored.files.get(RECORD));
        text.and_then(|text| limits::parse(text.expose_secret()).ok()).unwrap_or_default()
    }

    /// Asks to store the login of `bytes` beside the other files; [`StoreEvent::Stored`] tells when it is.
    ///
    /// # Errors
    /// What is stored beside it makes it more than readers take.
    pub fn put(&mut self, rule: &SessionFile, bytes: &[u8], history: &History) -> io::Result<()> {
        let mut files = Files::new();
        for (name, secret) in self.stored.iter().flat_map(|stored| &stored.files) {
            files.insert(name.clone(), secret.duplicate());
        }
        let there = files.get(&rule.file).map(Secret::expose_secret);
        let merged = Document::with_other_keys_of(rule, bytes, there);
        let bytes = merged.as_ref().map_or(bytes, |merged| merged.as_slice());
        file::check_readable(rule, bytes)?;
        let record = serde_json::to_vec_pretty(&Record::of(history)).map_err(io::Error::other)?;
        files.insert(rule.file.clone(), Secret::copied(bytes));
        files.insert(RECORD.to_owned(), Secret::copied(&record));
        protocol::check(&files)
            .map_err(|why| io::Error::other(format!("it is not stored where no reader takes it: {why}")))?;
        let expect = self.stored.as_ref().map(|stored| stored.version.clone());
        self.sending = Some(PendingPut { expect, files });
        Ok(())
    }

    /// Whether something that was put is not known to be stored.
    pub fn is_putting(&self) -> bool {
        self.sending.is_some()
    }

    /// Asks for the lease, and to look at what is stored with it in hand; [`StoreEvent::Turn`] tells.
    pub fn ask_turn(&mut self) {
        if self.asking == Asking::Nothing && !self.is_ending {
            self.asking = Asking::ToLock;
            self.patient_until = Some(Instant::now() + PATIENCE);
        }
    }

    /// Gives the lease back, if it is ours.
    pub fn release(&mut self) {
        self.releases |= self.lease.take().is_some();
    }

    /// The stored login is going to change soon, as far as its expiry tells, or has to, for the agent has none.
    pub fn expect(&mut self, expires_at: Option<SystemTime>) {
        self.pace.expect(expires_at);
    }

    /// The end: nothing is looked for any more.
    pub fn ending(&mut self, children: &mut Children) {
        self.is_ending = true;
        self.asking = Asking::Nothing;
        // Its answer must not hold the last publish up.
        self.drop_question(children);
    }

    /// Ends a question whose answer nobody waits for any more: which it was, if there was one.
    fn drop_question(&mut self, children: &mut Children) -> Option<Verb> {
        let (verb, task) = self.task.take_if(|(verb, _)| matches!(verb, Verb::Get | Verb::Lock))?;
        task.kill(children);
        // Whether the lease is ours is not known now, and need not be.
        self.releases |= verb == Verb::Lock;
        Some(verb)
    }

    /// Nobody waits any longer.
    pub fn abandon(&mut self, children: &mut Children) {
        if let Some((_, task)) = self.task.take() {
            task.kill(children);
        }
    }

    /// The descriptors that are readable when there is something to do.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.task.iter().flat_map(|(_, task)| task.fds())
    }

    /// When something is due without an event.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        match &self.task {
            Some((_, task)) => [Some(task.deadline()), self.patient_until].into_iter().flatten().min(),
            None if self.next(now).is_some() => Some(now),
            None => [self.lease, self.pace.due().filter(|_| !self.is_ending)].into_iter().flatten().min(),
        }
    }

    /// Whether a question is under way or due.
    pub fn is_busy(&self, now: Instant) -> bool {
        self.task.is_some() || self.next(now).is_some()
    }

    /// What is to be asked next. The lease is given back last: whoever has it next looks at what is stored.
    fn next(&self, now: Instant) -> Option<Verb> {
        let is_due = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        if self.wants_look {
            Some(Verb::Get)
        } else if self.sending.is_some() {
            Some(Verb::Put)
        } else if self.releases {
            Some(Verb::Unlock)
        } else if self.asking == Asking::ToLock || is_due(self.lease) {
            Some(Verb::Lock)
        } else if self.asking != Asking::Nothing || (is_due(self.pace.due()) && !self.is_ending) {
            Some(Verb::Get)
        } else {
            None
        }
    }

    /// Hears what was answered, and asks what is next. The caller has reaped before.
    pub fn step(&mut self, now: Instant, children: &mut Children) -> Vec<StoreEvent> {
        let mut news = Vec::new();
        self.give_up_lock(now, children, &mut news);
        if let Some((verb, task)) = &mut self.task {
            let verb = *verb;
            let answer = match task.step(now, children) {
                Ok(None) => return news,
                Ok(Some(answer)) => self.hear(verb, &answer, &mut news),
                Err(failure) => Err(failure),
            };
            self.task = None;
            self.pace.asked(now, answer.is_ok());
            if let Err(failure) = answer {
                self.failed(verb, failure, &mut news);
            }
            self.turn_is_known(verb, &mut news);
        }
        if let Some(verb) = self.next(now) {
            let input = self.question(verb, now);
            match self.helper.ask(verb, &input, children) {
                Ok(task) => self.task = Some((verb, task)),
                Err(failure) => {
                    self.pace.asked(now, false);
                    self.failed(verb, failure, &mut news);
                    self.turn_is_known(verb, &mut news);
                }
            }
        }
        news
    }

    fn question(&mut self, verb: Verb, now: Instant) -> Zeroizing<Vec<u8>> {
        match verb {
            Verb::Get => {
                self.wants_look = false;
                protocol::get(&self.agent)
            }
            Verb::Put => {
                let nothing = PendingPut { expect: None, files: Files::new() };
                let parcel = self.sending.as_ref().unwrap_or(&nothing);
                protocol::put(&self.agent, parcel.expect.as_deref(), &parcel.files)
            }
            Verb::Lock => {
                self.lease = self.lease.map(|_| now + LEASE / 2);
                protocol::lock(&self.agent, &self.owner, LEASE)
            }
            Verb::Unlock => {
                self.releases = false;
                protocol::lock(&self.agent, &self.owner, LEASE)
            }
        }
    }

    fn hear(&mut self, verb: Verb, answer: &[u8], news: &mut Vec<StoreEvent>) -> Result<(), Failure> {
        let garbage = |why: String| misunderstood(&self.helper.text, verb, &why);
        match verb {
            Verb::Get => {
                let stored = protocol::got(answer).map_err(garbage)?;
                self.check_order(stored.as_ref())?;
                self.stored = stored;
                news.push(StoreEvent::Read);
            }
            Verb::Put => {
                let version = protocol::stored(answer).map_err(garbage)?;
                if let Some((version, parcel)) = version.zip(self.sending.take()) {
                    self.stored = Some(Stored { version, files: parcel.files, passed_over: 0 });
                    news.push(StoreEvent::Stored);
                } else {
                    self.wants_look = true;
                    news.push(StoreEvent::Conflict);
                }
            }
            Verb::Lock => {
                let lease = protocol::locked(answer).map_err(garbage)?;
                if lease == Lease::Ours && (self.asking == Asking::ToLock || self.lease.is_some()) {
                    self.lease = Some(Instant::now() + LEASE / 2);
                } else if lease == Lease::Anothers {
                    self.lease = None;
                }
                self.locked(lease != Lease::Anothers);
            }
            Verb::Unlock => {}
        }
        Ok(())
    }

    /// A store that answers with an older version than before has been set back, or is another: neither is believed.
    fn check_order(&self, answered: Option<&Stored>) -> Result<(), Failure> {
        match (&self.stored, answered) {
            (Some(known), Some(answered)) if protocol::went_backwards(&known.version, &answered.version) => {
                let name = called(&self.helper.text, Verb::Get);
                let what = format!("{name}: the version went from {} back to {}", known.version, answered.version);
                Err(Failure::new(what)
                    .hint("was the store restored? what it holds is used after a restart of the container"))
            }
            _ => Ok(()),
        }
    }

    fn locked(&mut self, granted: bool) {
        if self.asking == Asking::ToLock {
            self.asking = Asking::ToLook { granted };
        }
    }

    fn failed(&mut self, verb: Verb, failure: Failure, news: &mut Vec<StoreEvent>) {
        match verb {
            Verb::Put => self.sending = None,
            // A store that cannot lock must not keep the agent from its refresh.
            Verb::Lock => self.locked(true),
            Verb::Get | Verb::Unlock => {}
        }
        news.push(StoreEvent::Failed(verb, failure));
    }

    /// A turn that has been asked for too long is the agent's, lease or not.
    fn give_up_lock(&mut self, now: Instant, children: &mut Children, news: &mut Vec<StoreEvent>) {
        if self.patient_until.is_none_or(|until| now < until) {
            return;
        }
        self.patient_until = None;
        if std::mem::replace(&mut self.asking, Asking::Nothing) == Asking::Nothing {
            return;
        }
        if let Some(verb) = self.drop_question(children) {
            let what = format!("{} takes longer than an agent waits", called(&self.helper.text, verb));
            news.push(StoreEvent::Failed(
                verb,
                Failure::new(what).hint("the agent refreshes without a turn of its own"),
            ));
        }
        news.push(StoreEvent::Turn(true));
    }

    /// Once the look that belongs to a turn has come to an end, whatever it is.
    fn turn_is_known(&mut self, verb: Verb, news: &mut Vec<StoreEvent>) {
        if let (Verb::Get, Asking::ToLook { granted }) = (verb, self.asking) {
            self.asking = Asking::Nothing;
            self.patient_until = None;
            news.push(StoreEvent::Turn(granted));
        }
    }
}

/// Where the mirror of an agent's store is below our state directory.
pub fn mirror_path(state_dir: &Path, agent: &str) -> PathBuf {
    state_dir.join("store").join(agent)
}

/// Opens the mirror of an agent's store below our state directory.
///
/// # Errors
/// As open(2).
pub fn mirror(state_dir: &Path, agent: &str) -> io::Result<Capture> {
    Capture::open(&mirror_path(state_dir, agent))
}

/// Makes the mirror hold what is stored, and nothing else but our notes.
///
/// # Errors
/// What cannot be written, with the path.
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
    // A version before 0.2 took a file of that name from a store.
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
