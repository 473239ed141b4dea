//! Stores hold logins between containers: directories, and secret stores behind a helper.

pub mod breach;
pub mod directory;
pub mod helper;
pub mod journal;
pub mod lease;
mod poll_interval;
pub mod protocol;
pub mod record;
pub mod recovery;
pub mod remote;
pub mod token;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

pub use directory::Capture;
pub use lease::Lease;
pub use record::Record;
pub use recovery::Recovery;
pub use remote::Remote;

use crate::agent::definition::RefreshLockRule;
use crate::fs::untrusted::Unreadable;
use crate::login::entries::EntriesBase;
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::history::History;
use crate::login::merge::LoginState;
use crate::store::journal::Event;
use crate::sys::lock::Lock;
use crate::sys::replace::Exclusion;

pub enum Store {
    /// A directory. It answers at once.
    Directory(Capture),
    /// A directory that does not exist. It is made when there is a login to store, unless somebody else makes it first.
    Expected(PathBuf),
    /// A secret store behind a helper command. It answers later; what was read last is held in memory.
    Remote(Box<Remote>),
}

/// The result of `put`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The login is stored.
    Done,
    /// The login was sent. A `StoreEvent` will tell whether it is stored.
    Sent,
    /// An agent that uses the directory as its home is writing its login.
    Locked,
}

/// The result of a request for something that one container has at a time.
pub enum LockOutcome<L> {
    /// It is ours for as long as this is held.
    Granted(L),
    /// Another container has it.
    Refused,
    /// The answer comes later.
    Later,
}

impl Store {
    /// Where the operator finds the store: its path or specification.
    pub fn location(&self) -> String {
        match self {
            Store::Directory(capture) => capture.path.display().to_string(),
            Store::Expected(path) => path.display().to_string(),
            Store::Remote(remote) => remote.text().to_owned(),
        }
    }

    pub fn read(&self, rule: &SessionFile) -> LoginFile {
        match self {
            Store::Directory(capture) => capture.read(rule),
            Store::Expected(_) => LoginFile { state: LoginState::Absent, bytes: None, stamp: None },
            Store::Remote(remote) => remote.read(rule),
        }
    }

    /// Whether `read` would return `known` again.
    pub fn still_holds(&self, rule: &SessionFile, known: &LoginFile) -> bool {
        match (self, known.stamp) {
            (Store::Directory(capture), Some(stamp)) => capture.is_unchanged(rule, stamp),
            _ => false,
        }
    }

    /// What is recorded of the stored logins.
    pub fn record(&self, rule: &SessionFile) -> Result<Record, Unreadable> {
        match self {
            Store::Directory(capture) => capture.record(rule),
            Store::Expected(_) => Ok(Record::default()),
            Store::Remote(remote) => Ok(remote.record()),
        }
    }

    /// How many containers use it, as far as is known.
    pub fn users(&self) -> usize {
        match self {
            Store::Directory(capture) => capture.users(),
            Store::Expected(_) | Store::Remote(_) => 0,
        }
    }

    /// The right to write. In a remote store everybody may try, because it compares before it sets.
    pub fn lock(&self) -> io::Result<LockOutcome<Option<Lock>>> {
        match self {
            Store::Directory(capture) => {
                Ok(capture.lock()?.map_or(LockOutcome::Refused, |lock| LockOutcome::Granted(Some(lock))))
            }
            Store::Remote(remote) if remote.is_putting() => Ok(LockOutcome::Later),
            Store::Remote(_) | Store::Expected(_) => Ok(LockOutcome::Granted(None)),
        }
    }

    /// The right to let the agent refresh. A directory on a file system without locks grants it to everybody.
    pub fn lease(&mut self, rule: Option<&RefreshLockRule>) -> io::Result<LockOutcome<Lease>> {
        match self {
            Store::Directory(capture) => Ok(capture.lease(rule)?.map_or(LockOutcome::Refused, LockOutcome::Granted)),
            Store::Expected(_) => Ok(LockOutcome::Granted(Lease::of_store())),
            Store::Remote(remote) => {
                remote.request_turn();
                Ok(LockOutcome::Later)
            }
        }
    }

    /// Gives the right to refresh back. That of a directory ends with its lock.
    pub fn release(&mut self) {
        if let Store::Remote(remote) = self {
            remote.release();
        }
    }

    /// Stores the login of `bytes`. `entries`: the merge base of its entries. The caller must have the right to write.
    pub fn put(
        &mut self,
        rule: &SessionFile,
        bytes: &[u8],
        history: &History,
        entries: &EntriesBase,
        exclusion: Option<&Exclusion<'_>>,
    ) -> io::Result<Put> {
        match self {
            Store::Directory(capture) => {
                let is_put = capture.put(rule, bytes, history, entries, exclusion)?;
                Ok(if is_put { Put::Done } else { Put::Locked })
            }
            Store::Expected(_) => Err(io::ErrorKind::NotFound.into()),
            Store::Remote(remote) => remote.put(rule, bytes, history, entries).map(|()| Put::Sent),
        }
    }

    /// Keeps a login that lost in `conflicts/`.
    pub fn keep_conflict(&self, rule: &SessionFile, bytes: &[u8]) -> io::Result<()> {
        match self {
            Store::Directory(capture) => capture.keep_conflict(rule, bytes),
            Store::Remote(remote) => remote.mirror().keep_conflict(rule, bytes),
            Store::Expected(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Adds an event to the journal. `is_locked`: the right to write is ours.
    pub fn note(&self, event: &Event, is_locked: bool) -> io::Result<()> {
        match self {
            Store::Directory(capture) => capture.note(event, is_locked),
            Store::Remote(remote) => remote.mirror().note(event, is_locked),
            Store::Expected(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Opens a directory that did not exist, if it exists now. `make`: makes it first. Returns whether it was opened.
    pub fn open_expected(&mut self, make: bool) -> io::Result<bool> {
        let Store::Expected(path) = self else { return Ok(false) };
        if make {
            directory::make(path)?;
        }
        match Capture::open(path) {
            Ok(capture) => {
                *self = Store::Directory(capture);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub fn remote(&mut self) -> Option<&mut Remote> {
        match self {
            Store::Directory(_) | Store::Expected(_) => None,
            Store::Remote(remote) => Some(remote),
        }
    }

    /// When the next step is due without an event.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        match self {
            Store::Directory(_) | Store::Expected(_) => None,
            Store::Remote(remote) => remote.deadline(now),
        }
    }

    /// Whether a request is unanswered.
    pub fn is_busy(&self, now: Instant) -> bool {
        matches!(self, Store::Remote(remote) if remote.is_busy(now))
    }
}
