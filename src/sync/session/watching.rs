//! What a link hears of its ends, and how it finds again what was removed, renamed or mounted over.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::reason;
use crate::log::event::EventKey;
use crate::store::Store;
use crate::sync::dedup_log::About;
use crate::sync::session::Link;
use crate::sync::watch_state::{Hearing, Side};
use crate::sys::watch;

impl Link {
    /// The directories that are to be watched, and are not.
    #[must_use]
    pub fn unheard(&self) -> Vec<(Side, PathBuf)> {
        let sides = self.hearing.iter().flat_map(Hearing::unheard);
        sides.filter_map(|side| Some((side, self.to_watch(side)?))).collect()
    }

    /// The directory of one end, by a path whose last name is no link: a watch follows none. A capture is watched where we
    /// have it, and not where a link has since been put in its place.
    fn to_watch(&self, side: Side) -> Option<PathBuf> {
        match &self.ends.store {
            Store::Directory(capture) if side == Side::Stored && !capture.is_current() => None,
            Store::Directory(_) if side == Side::Stored => self.directory(side)?.canonicalize().ok(),
            _ => self.directory(side),
        }
    }

    fn directory(&self, side: Side) -> Option<PathBuf> {
        match (side, &self.ends.store) {
            (Side::Working, _) => Some(self.ends.working.path.clone()),
            (Side::Stored, Store::Directory(capture)) => Some(capture.directory()),
            // Whoever makes it, makes it there.
            (Side::Stored, Store::Expected(path)) => path.parent().map(Path::to_owned),
            (Side::Stored, Store::Remote(_)) => None,
        }
    }

    /// This end is watched from now on; what happened before is looked at.
    pub fn watched(&mut self, side: Side, now: Instant) {
        if let Some(hearing) = &mut self.hearing {
            hearing.watched(side);
        }
        self.ask(now);
    }

    /// An end can not be watched.
    pub fn not_watched(&mut self, side: Side, why: &str) {
        let text = format!("{}: changes are not heard ({why}): they are looked for every 2 s", self.ends.agent);
        self.voice.once_of(About::End(side), self.warning(EventKey::NotWatched, text).hint(watch::MORE_WATCHES));
    }

    /// The directory of one end was removed, renamed or unmounted.
    pub fn directory_gone(&mut self, side: Side, now: Instant) {
        let Some(directory) = self.directory(side) else { return };
        let Some(hearing) = &mut self.hearing else { return };
        hearing.lost(side, now);
        let text = format!("{}: {} was removed, renamed or unmounted", self.ends.agent, directory.display());
        let hint = "it is looked for every 2 s, and used again when it is there";
        self.voice.once_of(About::End(side), self.warning(EventKey::DirectoryGone, text).hint(hint));
    }

    /// Opens anew what is another directory by now.
    pub(super) fn find_again(&mut self, now: Instant) {
        let is_another = match &mut self.ends.store {
            Store::Directory(capture) if !capture.is_current() => match capture.reopen() {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return self.directory_gone(Side::Stored, now);
                }
                Err(error) => {
                    let (agent, path) = (&self.ends.agent, capture.path.display());
                    let text = format!("{agent}: {path} can not be opened any more: {}", reason(&error));
                    let hint = "until it can, the directory that was there is used";
                    self.voice.once(self.warning(EventKey::DirectoryClosed, text).hint(hint));
                    if let Some(hearing) = &mut self.hearing {
                        hearing.lost(Side::Stored, now);
                    }
                    return;
                }
            },
            // One that can not be opened is none for us; what is to be stored there will say so.
            store => store.appear(false).unwrap_or(false),
        };
        if is_another {
            self.store_is_another(now);
        }
        if !self.ends.working.is_current() && self.ends.working.reopen().is_ok() {
            self.settled = None;
            if let Some(hearing) = &mut self.hearing {
                hearing.lost(Side::Working, now);
            }
            if let Some(gate) = &mut self.gate
                && let Err(error) = gate.moved(&self.ends.working.dir)
            {
                self.shut_no_more(&format!("{}: {}", self.ends.working.path.display(), reason(&error)));
            }
        }
    }

    /// The capture's directory is another than before, or is there.
    pub(super) fn store_is_another(&mut self, now: Instant) {
        self.presence = self.ends.presence();
        self.settled = None;
        if let (Some(hearing), Store::Directory(capture)) = (&mut self.hearing, &self.ends.store) {
            hearing.moved(watch::hears_all(capture.handle()), now);
        }
    }
}
