//! What a link hears of its ends, and how it finds again what was removed, renamed or mounted over.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::reason;
use crate::log::event::EventKey;
use crate::store::Store;
use crate::sync::dedup_log::About;
use crate::sync::session::SyncSession;
use crate::sync::watch_state::{Side, WatchState};
use crate::sys::watch;

impl SyncSession {
    /// The directories that are to be watched, and are not.
    pub fn unwatched(&self) -> Vec<(Side, PathBuf)> {
        let sides = self.watch_state.iter().flat_map(WatchState::unwatched);
        sides.filter_map(|side| Some((side, self.to_watch(side)?))).collect()
    }

    /// The directory of one end, by a path whose last name is no link: a watch follows none. A capture is watched where we
    /// have it, and not where a link has since been put in its place.
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
            // Whoever makes it, makes it there.
            (Side::Stored, Store::Expected(path)) => path.parent().map(Path::to_owned),
            (Side::Stored, Store::Remote(_)) => None,
        }
    }

    /// This end is watched from now on; what happened before is looked at.
    pub fn watched(&mut self, side: Side, now: Instant) {
        if let Some(watch_state) = &mut self.watch_state {
            watch_state.watched(side);
        }
        self.ask(now);
    }

    /// An end cannot be watched.
    pub fn not_watched(&mut self, side: Side, why: &str) {
        let text = format!("{}: changes are not heard ({why}): they are looked for every 2 s", self.config.agent);
        self.log.once_of(About::End(side), self.warning(EventKey::NotWatched, text).hint(watch::MORE_WATCHES));
    }

    /// The directory of one end was removed, renamed or unmounted.
    pub fn directory_gone(&mut self, side: Side, now: Instant) {
        let Some(directory) = self.directory(side) else { return };
        let Some(watch_state) = &mut self.watch_state else { return };
        watch_state.lost(side, now);
        let text = format!("{}: {} was removed, renamed or unmounted", self.config.agent, directory.display());
        let hint = "it is looked for every 2 s, and used again when it is there";
        self.log.once_of(About::End(side), self.warning(EventKey::DirectoryGone, text).hint(hint));
    }

    /// Opens anew what is another directory by now.
    pub(super) fn find_again(&mut self, now: Instant) {
        let is_another = match &mut self.config.store {
            Store::Directory(capture) if !capture.is_current() => match capture.reopen() {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return self.directory_gone(Side::Stored, now);
                }
                Err(error) => {
                    let (agent, path) = (&self.config.agent, capture.path.display());
                    let text = format!("{agent}: {path} cannot be opened any more: {}", reason(&error));
                    let hint = "until it can, the directory that was there is used";
                    self.log.once(self.warning(EventKey::DirectoryClosed, text).hint(hint));
                    if let Some(watch_state) = &mut self.watch_state {
                        watch_state.lost(Side::Stored, now);
                    }
                    return;
                }
            },
            // One that cannot be opened is none for us; what is to be stored there will say so.
            store => store.appear(false).unwrap_or(false),
        };
        if is_another {
            self.store_is_another(now);
        }
        if !self.config.working.is_current() && self.config.working.reopen().is_ok() {
            self.settled = None;
            if let Some(watch_state) = &mut self.watch_state {
                watch_state.lost(Side::Working, now);
            }
            if let Some(refresh_lock) = &mut self.refresh_lock
                && let Err(error) = refresh_lock.moved(&self.config.working.dir)
            {
                self.open_for_good(&format!("{}: {}", self.config.working.path.display(), reason(&error)));
            }
        }
    }

    /// The capture's directory is another than before, or is there.
    pub(super) fn store_is_another(&mut self, now: Instant) {
        self.presence = self.config.presence();
        self.settled = None;
        if let (Some(watch_state), Store::Directory(capture)) = (&mut self.watch_state, &self.config.store) {
            watch_state.moved(watch::watches_all(capture.handle()), now);
        }
    }
}
