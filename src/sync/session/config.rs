//! The configuration of a sync session.

use std::time::{Duration, Instant};

use crate::agent::definition::RefreshLockRule;
use crate::config::CommandName;
use crate::login::entries::EntriesBase;
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::merge::MergeBase;
use crate::store::directory::Presence;
use crate::store::{Recovery, Store};
use crate::sync::expiry_watch::ExpiryWatch;
use crate::sync::refresh_lock::{NoTurns, RefreshLock};
use crate::sync::watch_state::{Side, WatchState};
use crate::sys::watch;
use crate::workcopy::WorkingCopy;

/// What the first sync does with the stored login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// The stored login and the working copy's are versions of the same login.
    Continue,
    /// The stored login is another one. It is replaced and kept under `conflicts/`.
    Replace,
    /// Somebody is about to log in. Until then nothing is adopted and nothing is written to the store, not even the
    /// bookkeeping. The new login then replaces the stored one, and the session continues as `Continue`.
    LogIn,
    /// The agent follows: it gets the stored login without its refresh token, and nothing is ever stored.
    Follow,
}

pub struct SessionConfig {
    pub agent: String,
    /// The command that syncs, for the journal.
    pub command: CommandName,
    /// The format of the login file.
    pub rule: SessionFile,
    /// How the agent shows that it refreshes.
    pub refresh_lock: Option<RefreshLockRule>,
    pub working: WorkingCopy,
    pub store: Store,
    pub base: Option<MergeBase>,
    /// The merge base of the entries.
    pub entries: EntriesBase,
    /// The stored login as the start read it. The first sync compares it without another read if it is still there.
    pub known: Option<LoginFile>,
    pub beginning: Beginning,
    /// Whether changes are synced as they happen, or at the end only.
    pub live: bool,
    /// Where a login is kept that the store refuses.
    pub recovery: Recovery,
    /// A warning already said that the store refuses writes.
    pub refusal_is_known: bool,
    /// From how long before its deadline a login is warned of.
    pub warn_within: Duration,
}

impl SessionConfig {
    /// The agent's refresh lock, if containers can take turns: in a live session, and with a store that accepts writes.
    /// If the lock cannot be held, the agent refreshes when it likes, as it would without agent-init.
    pub(super) fn refresh_lock(&self, now: Instant) -> Result<Option<RefreshLock>, NoTurns> {
        let Some(rule) = &self.refresh_lock else { return Ok(None) };
        if !self.live || self.refusal_is_known {
            return Ok(None);
        }
        RefreshLock::new(rule, &self.working.dir, &self.working.path, now).map(Some)
    }

    /// What to watch. A store behind a helper is polled instead.
    pub(super) fn watch_state(&self, now: Instant) -> Option<WatchState> {
        let watches_all = match &self.store {
            Store::Directory(capture) => watch::watches_all(capture.handle()),
            Store::Expected(_) | Store::Remote(_) => true,
        };
        let mut watch_state = self.live.then(|| WatchState::new(watches_all, now))?;
        if matches!(self.store, Store::Remote(_)) {
            watch_state.watched(Side::Stored);
        }
        Some(watch_state)
    }

    /// Removes temporary files that killed runs left in the store.
    pub(super) fn sweep_store(&self) {
        if let Store::Directory(capture) = &self.store
            && !matches!(self.beginning, Beginning::LogIn | Beginning::Follow)
        {
            capture.sweep(&self.rule);
        }
    }

    /// Who logs in is told by `setup` when the new login ends.
    pub(super) fn expiry_watch(&self) -> Option<ExpiryWatch> {
        let is_follower = self.beginning == Beginning::Follow;
        (self.beginning != Beginning::LogIn).then(|| ExpiryWatch::new(self.warn_within, is_follower))
    }

    /// The mark that says that this run uses the capture.
    pub(super) fn presence(&self) -> Option<Presence> {
        match &self.store {
            // Without a mark only `status` loses information.
            Store::Directory(capture) if self.beginning != Beginning::LogIn => capture.presence().ok(),
            Store::Directory(_) | Store::Expected(_) | Store::Remote(_) => None,
        }
    }
}
