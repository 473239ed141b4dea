//! The part of a sync session that a keeper uses. The keeper refreshes the login itself, and no agent uses the working
//! copy: the keeper requests the turn, and puts the refreshed login into the working copy, from which it is published.

use std::time::Instant;

use zeroize::Zeroizing;

use crate::config::CommandName;
use crate::error::{in_words, reason};
use crate::login::file::LoginFile;
use crate::login::{Digest, Document, Login, file};
use crate::store::LockOutcome;
use crate::sync::keepers_turn::{KeepersTurn, Turn};
use crate::sync::session::SyncSession;

impl SyncSession {
    /// No agent uses the working copy, so its refresh lock is not needed. The keeper itself says when a login ends.
    pub fn keep(&mut self) {
        self.config.command = CommandName::Keep;
        self.expiry_watch = None;
        if let Some(mut refresh_lock) = self.refresh_lock.take() {
            refresh_lock.remove();
        }
    }

    /// Where the login is stored.
    pub fn location(&self) -> String {
        self.config.store.location()
    }

    /// The login on which the working copy and the store agree, with its bytes.
    pub fn agreed_login(&self) -> Option<(Login, Zeroizing<Vec<u8>>)> {
        let (working, stored) = self.read();
        let theirs = stored.state.login()?;
        let ours = working.state.login().filter(|ours| ours.digest == theirs.digest)?;
        Some((ours.clone(), working.bytes?))
    }

    /// Whether this login is, or was, the stored one. `None` if that is not known now.
    pub fn was_stored(&self, login: Digest) -> Option<bool> {
        Some(self.config.store.record(&self.config.rule).ok()?.history.contains(login))
    }

    /// Requests the right to refresh.
    pub fn request_turn(&mut self, now: Instant) {
        let lease = self.config.store.lease(self.config.refresh_lock.as_ref());
        self.keepers_turn = match lease {
            Ok(LockOutcome::Granted(lease)) => KeepersTurn::Granted(lease),
            Ok(LockOutcome::Refused) => KeepersTurn::Refused,
            Ok(LockOutcome::Later) => KeepersTurn::Requested { has_read: false },
            Err(error) => KeepersTurn::Failed(format!("{}: {}", self.location(), reason(&error))),
        };
        // Another may have refreshed before the lease was ours.
        self.request_sync(now);
    }

    pub fn turn(&self) -> Turn {
        match &self.keepers_turn {
            KeepersTurn::Requested { .. } => Turn::Awaited,
            KeepersTurn::Granted(_) => Turn::Granted,
            KeepersTurn::None | KeepersTurn::Refused => Turn::Refused,
            KeepersTurn::Failed(why) => Turn::Failed(why.clone()),
        }
    }

    /// Gives the turn back. The lease of a store ends with the next step.
    pub fn end_turn(&mut self, now: Instant) {
        self.keepers_turn = KeepersTurn::None;
        self.request_sync(now);
    }

    /// Whether working copy and store were compared, and nothing is under way between them.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.due.is_none() && self.unconfirmed.is_none() && !self.config.store.is_busy(now)
    }

    /// Puts a refreshed login into the working copy, to be published. A recovery copy is made first, so that the login
    /// is in the state directory before anything else happens. Fails if neither could be written.
    pub fn put_refreshed(&mut self, bytes: &[u8], now: Instant) -> Result<(), String> {
        let (working, _) = self.read();
        // The entries of the working copy may be newer than those that the refresh began with.
        let there = working.bytes.as_ref().map(|there| there.as_slice());
        let merged = Document::with_other_keys_of(&self.config.rule, bytes, there, None);
        let bytes = merged.as_ref().map_or(bytes, |merged| merged.as_slice());
        file::check_readable(&self.config.rule, bytes).map_err(|error| reason(&error))?;
        let kept = self.config.recovery.keep(bytes);
        self.may_have_recovery_copy |= kept.is_ok();
        self.config.working.write(&self.config.rule.file, bytes).map_err(|error| in_words(&error))?;
        self.request_sync(now);
        Ok(())
    }

    /// Keeps a login that is not published under `conflicts/`.
    pub fn keep_unpublished(&self, login: &[u8]) -> Result<(), String> {
        self.config.store.keep_conflict(&self.config.rule, login).map_err(|error| reason(&error))
    }

    /// The stored login.
    pub fn stored(&self) -> LoginFile {
        self.config.store.read(&self.config.rule)
    }
}
