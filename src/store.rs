//! Where a login lives between containers.

pub mod directory;
pub mod helper;
mod poll_interval;
pub mod protocol;
pub mod recovery;
pub mod remote;
pub mod token;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

pub use directory::{Capture, Record};
pub use recovery::Recovery;
pub use remote::Remote;

use crate::fs::untrusted::Unreadable;
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::history::History;
use crate::login::merge::LoginState;
use crate::sys::lock::Lock;

/// A store.
pub enum Store {
    /// A directory: what is asked is answered at once.
    Directory(Capture),
    /// A directory that is not there: it is made when there is a login to store, or another makes it.
    Expected(PathBuf),
    /// Behind a helper command: what is asked is answered later, and what was read last is at hand.
    Remote(Box<Remote>),
}

/// What came of putting a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is stored.
    Done,
    /// It is on its way.
    Sent,
}

/// What came of asking for something that one container has at a time.
pub enum LockOutcome {
    /// It is ours, for as long as this is held.
    Granted(Option<Lock>),
    /// Another has it.
    Refused,
    /// It will be known later.
    Later,
}

impl Store {
    /// Where the operator finds it.
    pub fn place(&self) -> String {
        match self {
            Store::Directory(capture) => capture.path.display().to_string(),
            Store::Expected(path) => path.display().to_string(),
            Store::Remote(remote) => remote.text().to_owned(),
        }
    }

    /// The login as it is stored.
    pub fn read(&self, rule: &SessionFile) -> LoginFile {
        match self {
            Store::Directory(capture) => capture.read(rule),
            Store::Expected(_) => LoginFile { state: LoginState::Absent, bytes: None, stamp: None },
            Store::Remote(remote) => remote.read(rule),
        }
    }

    /// What is known of the logins that were stored.
    ///
    /// # Errors
    /// As [`Capture::record`].
    pub fn record(&self) -> Result<Record, Unreadable> {
        match self {
            Store::Directory(capture) => capture.record(),
            Store::Expected(_) => Ok(Record::default()),
            Store::Remote(remote) => Ok(remote.record()),
        }
    }

    /// The right to write. A remote store compares and sets: there everybody may try.
    ///
    /// # Errors
    /// As [`Capture::lock`].
    pub fn lock(&self) -> io::Result<LockOutcome> {
        match self {
            Store::Directory(capture) => {
                Ok(capture.lock()?.map_or(LockOutcome::Refused, |lock| LockOutcome::Granted(Some(lock))))
            }
            Store::Remote(remote) if remote.is_putting() => Ok(LockOutcome::Later),
            Store::Remote(_) | Store::Expected(_) => Ok(LockOutcome::Granted(None)),
        }
    }

    /// The right to let the agent refresh. A directory on a file system without locks grants it to everybody.
    ///
    /// # Errors
    /// As [`Capture::lease`].
    pub fn lease(&mut self) -> io::Result<LockOutcome> {
        match self {
            Store::Directory(capture) => {
                Ok(capture.lease()?.map_or(LockOutcome::Refused, |lease| LockOutcome::Granted(Some(lease))))
            }
            Store::Expected(_) => Ok(LockOutcome::Granted(None)),
            Store::Remote(remote) => {
                remote.ask_turn();
                Ok(LockOutcome::Later)
            }
        }
    }

    /// Gives that right back; a directory's goes with its lock.
    pub fn release(&mut self) {
        if let Store::Remote(remote) = self {
            remote.release();
        }
    }

    /// Stores the login of `bytes`, with the right to write in hand.
    ///
    /// # Errors
    /// As [`Capture::put`].
    pub fn put(&mut self, rule: &SessionFile, bytes: &[u8], history: &History) -> io::Result<Put> {
        match self {
            Store::Directory(capture) => capture.put(rule, bytes, history).map(|()| Put::Done),
            Store::Expected(_) => Err(io::ErrorKind::NotFound.into()),
            Store::Remote(remote) => remote.put(rule, bytes, history).map(|()| Put::Sent),
        }
    }

    /// Keeps a login that lost.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn keep_conflict(&self, rule: &SessionFile, bytes: &[u8]) -> io::Result<()> {
        match self {
            Store::Directory(capture) => capture.keep_conflict(rule, bytes),
            Store::Remote(remote) => remote.mirror().keep_conflict(rule, bytes),
            Store::Expected(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Opens a directory that was expected, if it is there, or `make`s it; whether it is there now and was not before.
    ///
    /// # Errors
    /// As mkdir(2) and open(2).
    pub fn appear(&mut self, make: bool) -> io::Result<bool> {
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

    /// The store behind a helper, if it is one.
    pub fn remote(&mut self) -> Option<&mut Remote> {
        match self {
            Store::Directory(_) | Store::Expected(_) => None,
            Store::Remote(remote) => Some(remote),
        }
    }

    /// When something is due without an event.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        match self {
            Store::Directory(_) | Store::Expected(_) => None,
            Store::Remote(remote) => remote.deadline(now),
        }
    }

    /// Whether something that was asked is not answered.
    pub fn is_busy(&self, now: Instant) -> bool {
        matches!(self, Store::Remote(remote) if remote.is_busy(now))
    }
}
