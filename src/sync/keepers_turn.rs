//! The turn of a keeper, which refreshes a login itself.

use std::time::Instant;

use crate::store::Lease;

/// The keeper's turn to refresh.
#[derive(Debug, Default)]
pub enum KeepersTurn {
    #[default]
    None,
    /// The store answers later. `has_read`: it has said what it holds.
    Requested {
        has_read: bool,
    },
    Granted(Lease),
    Refused,
    Failed(String),
}

impl KeepersTurn {
    /// Whether the store's lease is ours, or requested.
    pub fn needs_lease(&self) -> bool {
        matches!(self, KeepersTurn::Requested { .. } | KeepersTurn::Granted(_))
    }

    pub fn deadline(&self) -> Option<Instant> {
        if let KeepersTurn::Granted(lease) = self { lease.deadline() } else { None }
    }

    pub fn beat(&mut self, now: Instant) {
        if let KeepersTurn::Granted(lease) = self {
            lease.beat(now);
        }
    }

    pub fn stored_login_was_read(&mut self) {
        if let KeepersTurn::Requested { has_read } = self {
            *has_read = true;
        }
    }

    /// A request to the store failed.
    pub fn failed(&mut self, why: &str) {
        if let KeepersTurn::Requested { .. } = self {
            *self = KeepersTurn::Failed(why.to_owned());
        }
    }

    /// The store's answer. Nobody refreshes what cannot be stored, so a store that does not answer refuses.
    pub fn answered(&mut self, is_granted: bool) {
        let KeepersTurn::Requested { has_read } = *self else { return };
        *self = match (is_granted, has_read) {
            (true, true) => KeepersTurn::Granted(Lease::of_store()),
            (true, false) => KeepersTurn::Failed("the store does not answer".to_owned()),
            (false, _) => KeepersTurn::Refused,
        };
    }
}

/// What became of a requested turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    Awaited,
    Granted,
    /// Another has it.
    Refused,
    /// It cannot be had, for this reason.
    Failed(String),
}
