//! Watches the directories of a sync session, and reopens those that were removed, renamed or mounted over.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::reason;
use crate::log::event::EventKey;
use crate::store::Store;
use crate::sync::dedup_log::Subject;
use crate::sync::session::SyncSession;
use crate::sync::watch_state::{Side, WatchState};
use crate::sys::watch;

impl SyncSession {
    /// The directories that should be watched and are not.
    pub fn unwatched(&self) -> Vec<(Side, PathBuf)> {
        let sides = self.watch_state.iter().flat_map(WatchState::unwatched);
        sides.filter_map(|side| Some((*side, self.to_watch(*side)?))).collect()
    }

    /// The directory of one side, by a path whose last component is not a symbolic link: a watch does not follow one. A
    /// capture is watched where it was opened, even if a link has since taken its place.
    fn to_watch(&self, side: Side) -> Option<PathBuf> {
        match &self.config.store {
            Store::Directory(capture) if side == Side::Stored && !capture.is_current() => None,
            Store::Directory(_) if side == Side::Stored => self.directory(side)?.canonicalize().ok(),
            _ => self.directory(side),
        }
    }

    fn directory(&self, side: Side) -> Option<PathBuf> {
        match (side, &self.config.store) {
            (Side::Working, _) => Some(self.config.working.path.clone()),
            (Side::Stored, Store::Directory(capture)) => Some(capture.directory()),
            // The missing directory will appear in its parent.
            (Side::Stored, Store::Expected(path)) => path.parent().map(Path::to_owned),
            (Side::Stored, Store::Remote(_)) => None,
        }
    }

    /// One side is watched from now on. A sync finds what changed before.
    pub fn watched(&mut self, side: Side, now: Instant) {
        if let Some(watch_state) = &mut self.watch_state {
            watch_state.watched(side);
        }
        self.request_sync(now);
    }

    pub fn not_watched(&mut self, side: Side, why: &str) {
        let text = format!("{}: cannot watch for changes ({why}): agent-init polls every 2 s", self.config.agent);
        self.log.once_about(Subject::Side(side), self.warning(EventKey::NotWatched, text).hint(watch::MORE_WATCHES));
    }

    /// The directory of one side was removed, renamed or unmounted.
    pub fn directory_gone(&mut self, side: Side, now: Instant) {
        let Some(directory) = self.directory(side) else { return };
        let Some(watch_state) = &mut self.watch_state else { return };
        watch_state.lost(side, now);
        let text = format!("{}: {} was removed, renamed or unmounted", self.config.agent, directory.display());
        let hint = "agent-init looks for it every 2 s, and uses it again when it is back";
        self.log.once_about(Subject::Side(side), self.warning(EventKey::DirectoryGone, text).hint(hint));
    }

    /// Reopens directories that others have taken the place of.
    pub(super) fn reopen_directories(&mut self, now: Instant) {
        let is_another = match &mut self.config.store {
            Store::Directory(capture) if !capture.is_current() => match capture.reopen() {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return self.directory_gone(Side::Stored, now);
                }
                Err(error) => {
                    let (agent, path) = (&self.config.agent, capture.path.display());
                    let text = format!("{agent}: cannot reopen {path}: {}", reason(&error));
                    let hint = "agent-init uses the directory that was there before until it can";
                    self.log.once(self.warning(EventKey::DirectoryClosed, text).hint(hint));
                    if let Some(watch_state) = &mut self.watch_state {
                        watch_state.lost(Side::Stored, now);
                    }
                    return;
                }
            },
            // A capture that cannot be opened counts as missing. A publish to it will report the reason.
            store => store.open_expected(false).unwrap_or(false),
        };
        if is_another {
            self.store_replaced(now);
        }
        if !self.config.working.is_current() && self.config.working.reopen().is_ok() {
            self.compared_pair = None;
            if let Some(watch_state) = &mut self.watch_state {
                watch_state.lost(Side::Working, now);
            }
            if let Some(refresh_lock) = &mut self.refresh_lock
                && let Err(error) = refresh_lock.config_dir_replaced(&self.config.working.dir)
            {
                self.stop_taking_turns(&format!("{}: {}", self.config.working.path.display(), reason(&error)));
            }
        }
    }

    /// Another directory has taken the place of the capture, or the capture has appeared.
    pub(super) fn store_replaced(&mut self, now: Instant) {
        self.presence = self.config.presence();
        self.compared_pair = None;
        if let (Some(watch_state), Store::Directory(capture)) = (&mut self.watch_state, &self.config.store) {
            watch_state.store_replaced(watch::watches_all(capture.handle()), now);
        }
    }
}
