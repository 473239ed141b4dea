//! Holds the agent's own refresh lock, and opens it in turn. The one owner of that lock and of the capture's lease.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::agent::definition::RefreshLock;
use crate::sys::dir::Dir;
use crate::sys::errno;
use crate::sys::lock::Lock;

use super::turn::Turn;

/// The agent takes over a lock whose mtime is older than 10 s: ours has one in the future, and below 2038, where a
/// 32-bit time ends. 2037 begins then; from now on would not do, as a clock that was wrong is set forward by years.
const FAR: Duration = Duration::from_secs(2_114_380_800);
/// At least so far from now, where that is later.
const FUTURE: Duration = Duration::from_secs(366 * 86_400);
/// Between two tries to take the lock back from an agent that is just leaving it.
const AGAIN: Duration = Duration::from_millis(20);
/// After so many tries we try so many times less often.
const PATIENT: u32 = 50;

/// The right to let the agent refresh: a capture's lock, or what a store keeps elsewhere.
struct Lease(#[allow(dead_code, reason = "held for its Drop")] Option<Lock>);

/// The agent's refresh lock.
pub struct Gate {
    home: Dir,
    parent: Dir,
    lock: OsString,
    intent: OsString,
    turn: Turn,
    lease: Option<Lease>,
    is_held: bool,
    tries: u32,
    is_ending: bool,
}

impl Gate {
    /// The lock of the agent whose home is `home` at `path`. What a killed run left of it is removed: no agent of this
    /// container lives yet.
    ///
    /// # Errors
    /// The home has no parent that can be opened.
    pub fn new(rule: &RefreshLock, home: &Dir, path: &Path) -> io::Result<Gate> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut lock = name.to_owned();
        lock.push(&rule.beside);
        let gate = Gate {
            home: home.sub_beneath(Path::new("."))?,
            parent: Dir::open(parent)?,
            lock,
            intent: OsString::from(&rule.intent),
            turn: Turn::Shut,
            lease: None,
            is_held: false,
            tries: 0,
            is_ending: false,
        };
        gate.home.remove_directory(&gate.intent)?;
        gate.parent.remove_directory(&gate.lock)?;
        Ok(gate)
    }

    /// Whether this entry of the agent's home is the one that shows its intent.
    #[must_use]
    pub fn is_intent(&self, name: &OsStr) -> bool {
        name == self.intent
    }

    /// Whether the agent is at it now.
    #[must_use]
    pub fn has_intent(&self) -> bool {
        self.home.stat_entry(&self.intent).is_ok()
    }

    /// Whether the agent refreshes: it may, and is at it.
    #[must_use]
    pub fn is_refreshing(&self) -> bool {
        matches!(self.turn, Turn::Open { .. }) && self.has_intent()
    }

    /// Whether the agent waits for us to compare both ends, which takes the lease.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.turn == Turn::Asked
    }

    /// Whether both ends are to be compared now: the agent waits for it, and we have the lease.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.is_asked() && self.lease.is_some()
    }

    /// Whether the lease is needed: it is asked for, or the agent's turn is not over.
    #[must_use]
    pub fn has_turn(&self) -> bool {
        self.turn != Turn::Shut || self.lease.is_some()
    }

    /// The agent's home is another directory now.
    ///
    /// # Errors
    /// As open(2).
    pub fn moved(&mut self, home: &Dir) -> io::Result<()> {
        self.home = home.sub_beneath(Path::new("."))?;
        Ok(())
    }

    /// The agent showed its intent. Once the end has begun a lock that is held is not opened any more: nobody could wait
    /// for the answer.
    pub fn asked(&mut self) {
        if !self.is_ending {
            self.turn = self.turn.asked();
        }
    }

    /// We have the lease; a store that has none to give gives it to everybody.
    pub fn granted(&mut self, lease: Option<Lock>) {
        self.lease = Some(Lease(lease));
    }

    /// Another container has the lease.
    pub fn refused(&mut self) {
        self.turn = self.turn.refused();
    }

    /// Both ends were compared.
    ///
    /// # Errors
    /// The lock can not be opened: the agent will go on with the token that it has.
    pub fn compared(&mut self, now: Instant, adopted: bool) -> io::Result<()> {
        self.turn = self.turn.compared(now, adopted);
        match self.turn {
            Turn::Open { .. } => self.release(),
            Turn::Shut | Turn::Asked => {
                self.lease = None;
                Ok(())
            }
        }
    }

    /// A new login of the agent's was stored.
    pub fn renewed(&mut self) {
        self.turn = self.turn.renewed();
    }

    /// Takes the lock back when the turn is over, and then gives the lease back.
    ///
    /// # Errors
    /// The lock can not be made for another reason than that the agent still has it.
    pub fn tend(&mut self, now: Instant) -> io::Result<()> {
        if matches!(self.turn, Turn::Open { .. }) && self.turn.is_done(now, self.has_intent()) {
            self.turn = Turn::Shut;
        }
        if self.turn == Turn::Shut && !self.is_held && !self.is_ending {
            self.hold()?;
            self.lease = None;
        }
        Ok(())
    }

    /// When something is due without an event.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let wants_back = self.turn == Turn::Shut && !self.is_held && !self.is_ending;
        // An agent that was killed leaves its lock behind, and the next one takes 10 s to take it over.
        let again = if self.tries < PATIENT { AGAIN } else { AGAIN * PATIENT };
        if wants_back { Some(now + again) } else { self.turn.deadline(self.turn != Turn::Shut && self.has_intent()) }
    }

    /// A stop has begun.
    pub fn ending(&mut self) {
        self.is_ending = true;
    }

    /// The agent has ended: its lock goes, and what it left of its own.
    pub fn remove(&mut self) {
        self.is_ending = true;
        self.lease = None;
        // Nothing can be done about a failure, and the next start tries again.
        let _ = self.release();
        let _ = self.home.remove_directory(&self.intent);
    }

    fn hold(&mut self) -> io::Result<()> {
        let modified = (SystemTime::UNIX_EPOCH + FAR).max(SystemTime::now() + FUTURE);
        match self.parent.make_lock(&self.lock, modified) {
            Ok(()) => {
                self.is_held = true;
                self.tries = 0;
                Ok(())
            }
            Err(error) if errno::is_there(&error) => {
                self.tries = self.tries.saturating_add(1);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn release(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_held) { self.parent.remove_directory(&self.lock) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(temp: &Path) -> Gate {
        let home = temp.join(".x");
        std::fs::create_dir_all(&home).unwrap();
        let rule = RefreshLock { intent: ".intent".into(), beside: ".lock".into() };
        Gate::new(&rule, &Dir::open(&home).unwrap(), &home).unwrap()
    }

    fn lease(temp: &Path) -> Option<Lock> {
        Dir::open(temp).unwrap().lock("lease".as_ref(), None).unwrap()
    }

    #[test]
    fn a_turn() {
        let temp = tempfile::tempdir().unwrap();
        let (lock, intent) = (temp.path().join(".x.lock"), temp.path().join(".x/.intent"));
        let now = Instant::now();
        let mut gate = gate(temp.path());
        gate.tend(now).unwrap();
        let held = lock.metadata().unwrap();
        let years = |count: u64| Duration::from_secs(count * 31_556_952);
        assert!(held.modified().unwrap() >= SystemTime::UNIX_EPOCH + years(67));
        assert!(held.modified().unwrap() > SystemTime::now() + Duration::from_secs(86_400));
        std::fs::create_dir(&intent).unwrap();
        gate.asked();
        assert!(gate.is_asked() && !gate.is_refreshing());
        gate.granted(lease(temp.path()));
        gate.compared(now, false).unwrap();
        assert!(!lock.exists() && gate.is_refreshing());
        assert!(lease(temp.path()).is_none());
        gate.renewed();
        gate.tend(now).unwrap();
        assert!(!lock.exists());
        std::fs::remove_dir(&intent).unwrap();
        gate.tend(now).unwrap();
        assert!(lock.exists() && !gate.is_refreshing());
        assert!(lease(temp.path()).is_some());
        gate.remove();
        assert!(!lock.exists());
    }

    #[test]
    fn a_follower_keeps_the_lock() {
        let temp = tempfile::tempdir().unwrap();
        let mut gate = gate(temp.path());
        gate.tend(Instant::now()).unwrap();
        gate.asked();
        gate.refused();
        assert!(!gate.is_asked() && temp.path().join(".x.lock").exists());
        gate.asked();
        gate.granted(lease(temp.path()));
        gate.compared(Instant::now(), true).unwrap();
        assert!(temp.path().join(".x.lock").exists() && lease(temp.path()).is_some());
    }

    #[test]
    fn nothing_is_opened_once_the_end_has_begun() {
        let temp = tempfile::tempdir().unwrap();
        let mut gate = gate(temp.path());
        gate.tend(Instant::now()).unwrap();
        gate.ending();
        gate.asked();
        assert!(!gate.is_asked());
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temp.path().join(".x/.intent")).unwrap();
        std::fs::create_dir(temp.path().join(".x.lock")).unwrap();
        let mut gate = gate(temp.path());
        assert!(!gate.has_intent());
        gate.tend(Instant::now()).unwrap();
        assert!(gate.is_held);
    }
}
