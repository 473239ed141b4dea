//! What a link is made of.

use std::time::Instant;

use crate::agent::definition::RefreshLockRule;
use crate::login::format::SessionFile;
use crate::login::merge::MergeBase;
use crate::store::directory::Presence;
use crate::store::{Recovery, Store};
use crate::sync::refresh_lock::{NoTurns, RefreshLock};
use crate::sync::watch_state::{Side, WatchState};
use crate::sys::watch;
use crate::workcopy::WorkingCopy;

/// What the first sync does with what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// The stored login and ours continue each other.
    Continue,
    /// What is stored is another login, which is replaced and kept under `conflicts/`.
    Replace,
    /// Somebody is to log in here: until they have, nothing is adopted and nothing is written to the store, not even a
    /// note; their login then replaces what is stored, and from there on it is a login like any other.
    LogIn,
}

/// What a session is made of.
pub struct SessionConfig {
    /// The agent's name.
    pub agent: String,
    /// What a login of it is.
    pub rule: SessionFile,
    /// How it shows that it refreshes.
    pub refresh_lock: Option<RefreshLockRule>,
    /// Where the agent has its login.
    pub working: WorkingCopy,
    /// Where the login lives.
    pub store: Store,
    /// What is agreed.
    pub base: Option<MergeBase>,
    /// What the first sync does with what is stored.
    pub beginning: Beginning,
    /// Changes are carried as they happen; else at the end only.
    pub live: bool,
    /// Where a login is kept that the store refuses.
    pub recovery: Recovery,
    /// That the store refuses was said already.
    pub refusal_is_known: bool,
}

impl SessionConfig {
    /// The agent's refresh lock, where containers can take turns: live, and on a capture that can be written.
    ///
    /// # Errors
    /// Why it cannot be held. The agent then refreshes when it likes, as it would without us.
    pub(super) fn refresh_lock(&self, now: Instant) -> Result<Option<RefreshLock>, NoTurns> {
        let Some(rule) = self.refresh_lock.as_ref().filter(|_| self.live && !self.refusal_is_known) else {
            return Ok(None);
        };
        RefreshLock::new(rule, &self.working.dir, &self.working.path, now).map(Some)
    }

    /// What there is to hear of changes. A store behind a helper is asked for them.
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
            && self.beginning != Beginning::LogIn
        {
            capture.sweep(&self.rule);
        }
    }

    /// The mark of who uses the capture.
    pub(super) fn presence(&self) -> Option<Presence> {
        match &self.store {
            // A mark that cannot be made is missed by `status` alone.
            Store::Directory(capture) if self.beginning != Beginning::LogIn => capture.presence().ok(),
            Store::Directory(_) | Store::Expected(_) | Store::Remote(_) => None,
        }
    }
}
