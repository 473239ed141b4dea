//! Why a sync did not complete.

use std::io;

use crate::error::reason;
use crate::sync::watch_state::Side;

/// What a sync waits for, for a limited time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Another process holds the store's lock.
    OtherWriter,
    /// The agent's lock around writes of its login is held, by the agent or abandoned.
    LoginLocked,
    /// A file cannot be read.
    Unreadable,
}

/// Why a sync did not complete.
pub(super) enum Incomplete {
    /// Another container is writing the store, or the agent its login.
    OtherWriter,
    /// One side does not parse, but may once its write has ended.
    MaybeTorn,
    /// The agent's lock around writes of its login is held.
    LoginLocked,
    /// A login was sent to a store that answers later. Its answer is the next event.
    Unconfirmed,
    /// A file cannot be read now, so its content is unknown.
    Unreadable(ReadFailure),
    /// A system call failed.
    Failed(ActFailure),
}

impl Incomplete {
    pub fn blocked(&self) -> Option<Blocked> {
        match self {
            Incomplete::OtherWriter => Some(Blocked::OtherWriter),
            Incomplete::LoginLocked => Some(Blocked::LoginLocked),
            Incomplete::Unreadable(_) => Some(Blocked::Unreadable),
            Incomplete::MaybeTorn | Incomplete::Unconfirmed | Incomplete::Failed(_) => None,
        }
    }
}

pub(super) struct ReadFailure {
    pub side: Side,
    /// The file and the reason.
    pub what: String,
}

pub(super) struct ActFailure {
    pub act: Act,
    /// The reason, with the file where the act does not imply it.
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Copies the working copy's login to the store.
    Publish,
    /// Copies the stored login to the working copy.
    Adopt,
    /// Copies the login that lost into `conflicts/`.
    Keep,
}

impl Act {
    pub fn failed(self) -> impl Fn(io::Error) -> Incomplete {
        move |error| Incomplete::Failed(ActFailure { act: self, why: reason(&error) })
    }
}
