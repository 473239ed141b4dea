//! The agent's own refresh lock, which agent-init holds on its behalf and opens in turn. This file is the only owner of
//! that lock, and holds the store's lease during a turn.
//!
//! The lock is a directory, and outlives agent-init. An agent that waits for it sees only its mtime. While no agent
//! waits, the mtime is far in the future, which needs no timer. While one does, the mtime moves, like that of a lock
//! whose holder is alive.
//!
//! Several runs may share one working copy, by a HOME on a volume. One of them takes the turns for all: it holds a
//! flock(2) on `.agent-init/turns` in the working copy. The kernel releases that lock with the run, in whatever
//! container or machine it was. So the refresh lock of another living run is left alone, and an abandoned one is
//! recognised.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::agent::definition::RefreshLockRule;
use crate::error::reason;
use crate::store::Lease;
use crate::store::directory::BOOKKEEPING;
use crate::sync::turn::{Overdue, Turn};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::errno;
use crate::sys::lock::{DirectoryLock, FoundLock, Lock};

/// The file in `.agent-init` whose holder takes the turns.
const TURNS: &str = "turns";

/// The time between two tries to take the lock back from an agent that is about to release it.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// After this many tries, the time between tries grows by this factor.
const RETRY_SLOWDOWN: u32 = 50;
/// An agent that has shown no intent for this long has given up: the longest time between two of its tries is 3 s.
const INTENT_EXPIRY: Duration = Duration::from_secs(5);
/// An agent's own lock is dated now, by a clock that may count in seconds. Only agent-init dates locks further ahead.
const CLOCK_ROUNDING: Duration = Duration::from_secs(2);

/// Which run takes the turns of the agents in this working copy.
enum TurnHolder {
    /// This run, for as long as it holds the lock.
    ThisRun(#[allow(dead_code, reason = "held for its Drop")] Lock),
    /// Another run, as far as known. Whether it lives is checked when an agent wants to refresh, because an idle run
    /// has no timer.
    OtherRun,
}

/// The moving mtime that shows a waiting agent that the lock's holder is alive.
struct Heartbeat {
    next: Instant,
    /// When to stop, unless the agent shows its intent again.
    until: Instant,
}

/// A lock that somebody else made, and since when its mtime has not moved.
struct ForeignLock {
    found: FoundLock,
    since: Instant,
}

pub struct RefreshLock {
    rule: RefreshLockRule,
    config_dir: Dir,
    parent: Dir,
    path: PathBuf,
    lock: OsString,
    intent: OsString,
    turn_holder: TurnHolder,
    turn: Turn,
    lease: Option<Lease>,
    held: Option<DirectoryLock>,
    heartbeat: Option<Heartbeat>,
    /// What stands at the path of our lock.
    foreign_lock: Option<ForeignLock>,
    /// An intent that was there at the start. Its agent may be dead.
    leftover_intent: Option<ForeignLock>,
    tries: u32,
    is_stopping: bool,
}

#[derive(Debug)]
pub struct NoTurns(String);

impl std::fmt::Display for NoTurns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl RefreshLock {
    /// The lock of the agent whose config directory is `config_dir` at `path`. Removes what a dead run left there.
    ///
    /// Fails if it cannot be known whether another run uses the working copy, if the config directory's parent cannot
    /// be opened, or if something that cannot be removed stands at the path of the lock.
    pub fn new(rule: &RefreshLockRule, config_dir: &Dir, path: &Path, now: Instant) -> Result<RefreshLock, NoTurns> {
        let (Some(parent_path), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(NoTurns(format!("{} is not a directory of its own", path.display())));
        };
        let mut lock = name.to_owned();
        lock.push(&rule.beside);
        let failed = |path: &Path, error: &io::Error| NoTurns(format!("{}: {}", path.display(), reason(error)));
        let mut refresh_lock = RefreshLock {
            rule: rule.clone(),
            config_dir: config_dir.sub_beneath(Path::new(".")).map_err(|error| failed(path, &error))?,
            parent: Dir::open(parent_path).map_err(|error| failed(parent_path, &error))?,
            path: parent_path.join(&lock),
            lock,
            intent: OsString::from(&rule.intent),
            turn_holder: TurnHolder::OtherRun,
            turn: Turn::Idle,
            lease: None,
            held: None,
            heartbeat: None,
            foreign_lock: None,
            leftover_intent: None,
            tries: 0,
            is_stopping: false,
        };
        refresh_lock.try_to_take_turns().map_err(|error| failed(&path.join(BOOKKEEPING).join(TURNS), &error))?;
        if refresh_lock.takes_turns() {
            refresh_lock.leftover_intent = refresh_lock
                .find_leftover_intent(now)
                .map_err(|error| failed(&path.join(&refresh_lock.intent), &error))?;
            refresh_lock.hold(now)?;
        }
        Ok(refresh_lock)
    }

    /// Whether this run takes the turns, and not another one in the same working copy.
    pub fn takes_turns(&self) -> bool {
        matches!(self.turn_holder, TurnHolder::ThisRun(_))
    }

    /// Whether this entry of the config directory is the agent's intent.
    pub fn is_intent(&self, name: &OsStr) -> bool {
        name == self.intent
    }

    pub fn has_intent(&self) -> bool {
        self.config_dir.stat_entry(&self.intent).is_ok()
    }

    /// Whether the agent refreshes: it may, and shows its intent. If another run takes the turns, it may at any time.
    pub fn is_refreshing(&self) -> bool {
        (matches!(self.turn, Turn::Open { .. }) || !self.takes_turns()) && self.has_intent()
    }

    /// Whether this run holds the lock, and did so during any refresh that is just over. After a turn that took too long
    /// its answer may still come.
    pub fn keeps_agent_out(&self) -> bool {
        self.held.is_some() && !matches!(self.turn, Turn::Open { .. } | Turn::Resting { .. })
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.turn, Turn::Waiting { .. })
    }

    /// Whether the logins are to be compared now: the agent waits, and we have the lease.
    pub fn is_granted(&self) -> bool {
        matches!(self.turn, Turn::Granted { .. })
    }

    /// Whether the lease is needed: it is requested, or the agent's turn has not ended.
    pub fn has_turn(&self) -> bool {
        self.turn.needs_lease()
    }

    /// Another directory has taken the place of the agent's config directory.
    pub fn config_dir_replaced(&mut self, config_dir: &Dir) -> io::Result<()> {
        self.config_dir = config_dir.sub_beneath(Path::new("."))?;
        self.turn_holder = TurnHolder::OtherRun;
        self.try_to_take_turns()
    }

    /// The agent showed its intent. Returns whether the lease is to be requested. Once a stop has begun, a held lock is
    /// not opened any more: the answer would come too late.
    pub fn intent_shown(&mut self, now: Instant) -> bool {
        if !self.takes_turns() {
            if self.is_stopping || self.try_to_take_turns().is_err() || !self.takes_turns() {
                return false;
            }
            // The other run has ended. The agent comes to the lock milliseconds after its intent. A failure to take the
            // lock is reported by the next `step`.
            let _ = self.hold(now);
        }
        self.start_heartbeat(now);
        let had_turn = self.has_turn();
        if !self.is_stopping {
            self.turn = self.turn.intent_shown(now);
        }
        self.is_waiting() && !had_turn
    }

    /// We have the lease.
    pub fn granted(&mut self, lease: Lease, now: Instant) {
        self.turn = self.turn.granted(now);
        // A grant that comes too late is given back at once.
        self.lease = self.is_granted().then_some(lease);
    }

    pub fn refused(&mut self) {
        self.turn = self.turn.refused();
    }

    /// The logins were compared. Fails if the lock cannot be opened: the agent then goes on with the token that it has.
    pub fn compared(&mut self, now: Instant, adopted: bool) -> Result<(), NoTurns> {
        self.turn = self.turn.compared(now, !adopted && !self.is_stopping);
        if let Turn::Open { .. } = self.turn {
            return self.release();
        }
        self.drop_unneeded_lease();
        Ok(())
    }

    /// A new login of the agent was stored.
    pub fn renewed(&mut self) {
        self.turn = self.turn.renewed();
    }

    /// Takes the lock back when the turn is over and then gives the lease back, moves the mtime, and removes what dead
    /// processes left. Reports a turn that took too long. Fails if the lock cannot be made, unless the agent still has
    /// it.
    pub fn step(&mut self, now: Instant) -> Result<Option<Overdue>, NoTurns> {
        if !self.takes_turns() {
            return Ok(None);
        }
        self.clear_leftover_intent(now);
        let intent = matches!(self.turn, Turn::Open { .. }) && self.has_intent();
        let (turn, overdue) = self.turn.after(now, intent);
        self.turn = turn;
        if self.wants_lock() {
            self.hold(now)?;
        }
        self.drop_unneeded_lease();
        if let Some(lease) = &mut self.lease {
            lease.beat(now);
        }
        self.beat(now);
        Ok(overdue)
    }

    /// When the next step is due without an event.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if !self.takes_turns() {
            return None;
        }
        // An agent that was killed leaves its lock behind, and it takes a while until that counts as abandoned.
        let retry_interval = if self.tries < RETRY_SLOWDOWN { RETRY_INTERVAL } else { RETRY_INTERVAL * RETRY_SLOWDOWN };
        let retry = self.wants_lock().then(|| now + retry_interval);
        let turn = self.turn.deadline(matches!(self.turn, Turn::Open { .. }) && self.has_intent());
        let heartbeat = self.heartbeat.as_ref().map(|heartbeat| heartbeat.next.min(heartbeat.until));
        let leftover = self.leftover_intent.as_ref().map(|intent| intent.since + self.rule.dead_after());
        let lease = self.lease.as_ref().and_then(Lease::deadline);
        [retry, turn, heartbeat, leftover, lease].into_iter().flatten().min()
    }

    pub fn stop_begun(&mut self) {
        self.is_stopping = true;
    }

    /// Removes our lock, because the agent has ended. A lock of the agent's own stays, for it may belong to another
    /// container's agent. Once its mtime stops moving, the next start or the next agent removes it.
    pub fn remove(&mut self) {
        self.is_stopping = true;
        self.turn = Turn::Idle;
        self.lease = None;
        // Nothing can be done about a failure. The next start tries again.
        let _ = self.release();
    }

    /// Whether this run should hold the lock and does not.
    fn wants_lock(&self) -> bool {
        !matches!(self.turn, Turn::Open { .. }) && self.held.is_none() && !self.is_stopping
    }

    fn drop_unneeded_lease(&mut self) {
        if !self.turn.needs_lease() {
            self.lease = None;
        }
    }

    /// Tries to become the run that takes the turns.
    fn try_to_take_turns(&mut self) -> io::Result<()> {
        let notes = self.config_dir.make(OsStr::new(BOOKKEEPING), Attributes { mode: 0o700, owner: None })?;
        self.turn_holder = match notes.lock(OsStr::new(TURNS), None)? {
            Some(lock) => TurnHolder::ThisRun(lock),
            None => TurnHolder::OtherRun,
        };
        Ok(())
    }

    /// An intent that exists before any agent of this run lives. It belongs to another container's agent, or to a dead
    /// one.
    fn find_leftover_intent(&self, now: Instant) -> io::Result<Option<ForeignLock>> {
        Ok(self.config_dir.find_lock(&self.intent)?.map(|found| ForeignLock { found, since: now }))
    }

    /// Removes an intent that was there at the start, once it is known to be abandoned.
    fn clear_leftover_intent(&mut self, now: Instant) {
        let Some(left) = self.leftover_intent.take() else { return };
        match self.config_dir.find_lock(&self.intent) {
            Ok(Some(found)) if found == left.found => {
                if self.is_abandoned(&left, now) {
                    // One that cannot be removed delays the agent, which takes it over by its own rule.
                    let _ = self.config_dir.remove_directory(&self.intent);
                } else {
                    self.leftover_intent = Some(left);
                }
            }
            // It is gone, or its holder is alive.
            _ => {}
        }
    }

    /// Whether an agent's lock is known to be abandoned. A living holder touches it more often than that.
    fn is_abandoned(&self, lock: &ForeignLock, now: Instant) -> bool {
        let age = SystemTime::now().duration_since(lock.found.modified).unwrap_or_default();
        age > self.rule.dead_after() || now >= lock.since + self.rule.dead_after()
    }

    fn hold(&mut self, now: Instant) -> Result<(), NoTurns> {
        let failed = |refresh_lock: &RefreshLock, error: &io::Error| {
            NoTurns(format!("{}: {}", refresh_lock.path.display(), reason(error)))
        };
        let mut made = self.parent.make_lock(&self.lock);
        if made.as_ref().is_err_and(errno::exists) {
            self.tries = self.tries.saturating_add(1);
            if !self.clear_foreign_lock(now).map_err(|error| failed(self, &error))? {
                return Ok(());
            }
            made = self.parent.make_lock(&self.lock);
        }
        match made {
            Ok(lock) => {
                self.tries = 0;
                self.foreign_lock = None;
                self.heartbeat = None;
                let dated = lock.date(self.rule.at_rest(SystemTime::now()));
                self.held = Some(lock);
                dated.map_err(|error| failed(self, &error))
            }
            // An agent was faster.
            Err(error) if errno::exists(&error) => Ok(()),
            Err(error) => Err(failed(self, &error)),
        }
    }

    /// Removes what stands at the path of our lock once it is known to be abandoned: the lock of a run that has ended,
    /// since this run takes the turns now, or the lock of an agent that stopped touching it. Returns whether the path
    /// is free.
    fn clear_foreign_lock(&mut self, now: Instant) -> io::Result<bool> {
        let Some(found) = self.parent.find_lock(&self.lock)? else { return Ok(true) };
        let since = self.foreign_lock.as_ref().filter(|known| known.found == found).map_or(now, |known| known.since);
        let lock = ForeignLock { found, since };
        let is_made_by_a_run =
            found.modified.duration_since(SystemTime::now()).is_ok_and(|ahead| ahead > CLOCK_ROUNDING);
        if is_made_by_a_run && !self.excludes_other_runs() {
            let why = "another run that may be alive made it, and this file system has no locks to tell whether it is";
            return Err(io::Error::other(why));
        }
        if is_made_by_a_run || self.is_abandoned(&lock, now) {
            self.foreign_lock = None;
            return self.parent.remove_directory(&self.lock).map(|()| true);
        }
        self.foreign_lock = Some(lock);
        Ok(false)
    }

    /// Whether no other run can take the turns while this one does.
    fn excludes_other_runs(&self) -> bool {
        matches!(&self.turn_holder, TurnHolder::ThisRun(lock) if lock.excludes())
    }

    fn release(&mut self) -> Result<(), NoTurns> {
        self.heartbeat = None;
        let Some(lock) = self.held.take() else { return Ok(()) };
        let removed = lock.remove(&self.parent, &self.lock);
        removed.map_err(|error| NoTurns(format!("{}: {}", self.path.display(), reason(&error))))
    }

    /// The agent is about to look at our lock: moves its mtime now, and regularly until the agent gives up.
    fn start_heartbeat(&mut self, now: Instant) {
        let Some(lock) = &self.held else { return };
        if !lock.is_at(&self.parent, &self.lock) {
            // Somebody removed it. It is made again as soon as possible.
            self.held = None;
            self.heartbeat = None;
            return;
        }
        self.heartbeat.get_or_insert(Heartbeat { next: now, until: now }).until = now + INTENT_EXPIRY;
        self.beat(now);
    }

    fn beat(&mut self, now: Instant) {
        let (Some(heartbeat), Some(lock)) = (&mut self.heartbeat, &self.held) else { return };
        // A missed heartbeat costs the agent no more than this try.
        if now >= heartbeat.until {
            self.heartbeat = None;
            let _ = lock.date(self.rule.at_rest(SystemTime::now()));
        } else if now >= heartbeat.next {
            heartbeat.next = now + self.rule.sign.every();
            let _ = lock.date(self.rule.sign.of_life(SystemTime::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    struct TestDirectory {
        temp: tempfile::TempDir,
    }

    impl TestDirectory {
        fn new() -> TestDirectory {
            let temp = tempfile::tempdir().unwrap();
            std::fs::create_dir(temp.path().join(".x")).unwrap();
            TestDirectory { temp }
        }

        fn lock(&self) -> PathBuf {
            self.temp.path().join(".x.lock")
        }

        fn intent(&self) -> PathBuf {
            self.temp.path().join(".x/.intent")
        }

        fn refresh_lock(&self, now: Instant) -> Result<RefreshLock, NoTurns> {
            let rule = serde_json::from_str(r#"{ "intent": ".intent", "beside": ".lock" }"#).unwrap();
            let config_dir = self.temp.path().join(".x");
            RefreshLock::new(&rule, &Dir::open(&config_dir).unwrap(), &config_dir, now)
        }

        fn lease(&self) -> Option<Lease> {
            Dir::open(self.temp.path()).unwrap().lock("lease".as_ref(), None).unwrap().map(Lease::of_runs)
        }

        /// How far in the future the lock's mtime is.
        fn ahead(&self) -> Duration {
            let modified = self.lock().metadata().unwrap().modified().unwrap();
            modified.duration_since(SystemTime::now()).unwrap_or_default()
        }

        /// The lock's inode. Its number is not reused while the file is open.
        fn inode(&self) -> (File, u64) {
            let lock = File::open(self.lock()).unwrap();
            let number = lock.metadata().unwrap().ino();
            (lock, number)
        }
    }

    fn make(lock: &Path, modified: SystemTime) {
        std::fs::create_dir(lock).unwrap();
        File::open(lock).unwrap().set_modified(modified).unwrap();
    }

    const YEAR: Duration = Duration::from_secs(31_556_952);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_lock_is_open_and_the_lease_held_during_a_turn() {
        let directory = TestDirectory::new();
        let now = Instant::now();
        let mut refresh_lock = directory.refresh_lock(now).unwrap();
        assert!(directory.ahead() > YEAR);
        std::fs::create_dir(directory.intent()).unwrap();
        assert!(refresh_lock.intent_shown(now) && !refresh_lock.is_refreshing());
        assert!(!refresh_lock.intent_shown(now), "the lease is requested once");
        refresh_lock.granted(directory.lease().unwrap(), now);
        refresh_lock.compared(now, false).unwrap();
        assert!(!directory.lock().exists() && refresh_lock.is_refreshing());
        assert!(directory.lease().is_none());
        refresh_lock.renewed();
        assert_eq!(refresh_lock.step(now).unwrap(), None);
        assert!(!directory.lock().exists());
        std::fs::remove_dir(directory.intent()).unwrap();
        refresh_lock.step(now).unwrap();
        assert!(directory.lock().exists() && !refresh_lock.is_refreshing());
        assert!(directory.lease().is_some());
        refresh_lock.remove();
        assert!(!directory.lock().exists());
    }

    #[test]
    fn a_follower_keeps_the_lock_closed() {
        let directory = TestDirectory::new();
        let now = Instant::now();
        let mut refresh_lock = directory.refresh_lock(now).unwrap();
        refresh_lock.intent_shown(now);
        refresh_lock.refused();
        assert!(!refresh_lock.is_waiting() && directory.lock().exists());
        refresh_lock.intent_shown(now);
        refresh_lock.granted(directory.lease().unwrap(), now);
        refresh_lock.compared(now, true).unwrap();
        assert!(directory.lock().exists() && directory.lease().is_some());
    }

    /// A waiting agent sees the mtime move every 2 s. The mtime is dated so that an older agent's rule (10 s) does not
    /// take the lock, and so that the lock counts as abandoned soon after our death. An agent that does not wait costs
    /// no timer.
    #[test]
    fn the_mtime_moves_while_an_agent_waits() {
        let directory = TestDirectory::new();
        let start = Instant::now();
        let mut refresh_lock = directory.refresh_lock(start).unwrap();
        assert_eq!(refresh_lock.deadline(start), None);
        refresh_lock.intent_shown(start);
        refresh_lock.refused();
        assert!((15..=20).contains(&directory.ahead().as_secs()), "{:?}", directory.ahead());
        let (mut now, mut signs) = (start, 0);
        while let Some(deadline) = refresh_lock.deadline(now) {
            assert!(deadline <= now + seconds(2));
            now = deadline;
            let before = directory.lock().metadata().unwrap().modified().unwrap();
            // The agent tries for this long, every other second.
            if now < start + seconds(8) {
                refresh_lock.intent_shown(now);
                refresh_lock.refused();
            }
            refresh_lock.step(now).unwrap();
            signs += u32::from(directory.lock().metadata().unwrap().modified().unwrap() != before);
        }
        assert!(now <= start + seconds(8) + INTENT_EXPIRY && signs >= 5, "{signs} signs in {:?}", now - start);
        assert!(directory.ahead() > YEAR);
        refresh_lock.remove();
    }

    #[test]
    fn the_lock_is_not_opened_once_a_stop_has_begun() {
        let directory = TestDirectory::new();
        let now = Instant::now();
        let mut refresh_lock = directory.refresh_lock(now).unwrap();
        refresh_lock.intent_shown(now);
        refresh_lock.granted(directory.lease().unwrap(), now);
        refresh_lock.stop_begun();
        refresh_lock.compared(now, false).unwrap();
        assert!(directory.lock().exists() && directory.lease().is_some());
        assert!(!refresh_lock.intent_shown(now) && !refresh_lock.is_waiting());
    }

    #[test]
    fn a_grant_that_comes_too_late_holds_no_lease() {
        let directory = TestDirectory::new();
        let now = Instant::now();
        let mut refresh_lock = directory.refresh_lock(now).unwrap();
        refresh_lock.granted(directory.lease().unwrap(), now);
        assert!(!refresh_lock.has_turn() && directory.lease().is_some());
        refresh_lock.intent_shown(now);
        let late = now + seconds(35);
        assert_eq!(refresh_lock.step(late).unwrap(), Some(Overdue::Comparison));
        refresh_lock.granted(directory.lease().unwrap(), late);
        assert!(!refresh_lock.has_turn() && directory.lease().is_some());
    }

    #[test]
    fn abandoned_locks_and_intents_are_removed() {
        let directory = TestDirectory::new();
        let now = Instant::now();
        make(&directory.lock(), SystemTime::now() + YEAR);
        let before = directory.inode();
        let mut refresh_lock = directory.refresh_lock(now).unwrap();
        refresh_lock.step(now).unwrap();
        assert!(refresh_lock.held.is_some() && directory.inode().1 != before.1);
        // An agent's lock and intent, touched just now: they count as abandoned once they do not move.
        let directory = TestDirectory::new();
        make(&directory.lock(), SystemTime::now());
        make(&directory.intent(), SystemTime::now());
        let mut refresh_lock = directory.refresh_lock(now).unwrap();
        refresh_lock.step(now + seconds(9)).unwrap();
        assert!(refresh_lock.held.is_none() && refresh_lock.has_intent());
        refresh_lock.step(now + seconds(11)).unwrap();
        assert!(refresh_lock.held.is_some() && !refresh_lock.has_intent());
    }

    #[test]
    fn a_lock_whose_mtime_moves_is_left_alone() {
        let directory = TestDirectory::new();
        let mut now = Instant::now();
        make(&directory.lock(), SystemTime::now());
        make(&directory.intent(), SystemTime::now());
        let mut refresh_lock = directory.refresh_lock(now).unwrap();
        for beat in 0..6 {
            now += seconds(5);
            let modified = SystemTime::now() - Duration::from_millis(beat);
            for lock in [directory.lock(), directory.intent()] {
                File::open(lock).unwrap().set_modified(modified).unwrap();
            }
            refresh_lock.step(now).unwrap();
        }
        assert!(refresh_lock.held.is_none() && directory.lock().exists() && refresh_lock.has_intent());
    }

    #[test]
    fn the_lock_of_a_living_run_is_left_alone() {
        let directory = TestDirectory::new();
        let now = Instant::now();
        let first = directory.refresh_lock(now).unwrap();
        let before = directory.inode();
        let mut second = directory.refresh_lock(now).unwrap();
        assert!(first.takes_turns() && !second.takes_turns());
        second.step(now).unwrap();
        assert!(!second.intent_shown(now) && !second.has_turn());
        assert_eq!(second.deadline(now), None);
        second.remove();
        assert_eq!(directory.inode().1, before.1);
        // The first run is killed, and its lock stays. The second makes its own once an agent wants to refresh.
        let mut second = directory.refresh_lock(now).unwrap();
        drop(first);
        assert!(second.intent_shown(now));
        assert!(second.takes_turns() && second.held.is_some());
        assert_ne!(directory.inode().1, before.1);
    }

    #[test]
    fn a_lock_that_somebody_removed_is_made_again() {
        let directory = TestDirectory::new();
        let now = Instant::now();
        let mut refresh_lock = directory.refresh_lock(now).unwrap();
        std::fs::remove_dir(directory.lock()).unwrap();
        make(&directory.lock(), SystemTime::now());
        let other_agents = directory.lock().metadata().unwrap().modified().unwrap();
        refresh_lock.intent_shown(now);
        refresh_lock.refused();
        refresh_lock.step(now).unwrap();
        // The other agent's lock is not touched.
        assert_eq!(directory.lock().metadata().unwrap().modified().unwrap(), other_agents);
        std::fs::remove_dir(directory.lock()).unwrap();
        refresh_lock.step(now).unwrap();
        assert!(directory.ahead() > YEAR);
    }

    #[test]
    fn a_failure_names_its_path_and_reason() {
        let full = |directory: &TestDirectory| {
            std::fs::create_dir_all(directory.lock().join("below")).unwrap();
            File::open(directory.lock()).unwrap().set_modified(SystemTime::now() + YEAR).unwrap();
        };
        let file = |directory: &TestDirectory| drop(File::create(directory.lock()).unwrap());
        let notes =
            |directory: &TestDirectory| drop(File::create(directory.temp.path().join(".x").join(BOOKKEEPING)).unwrap());
        let rows: [(&dyn Fn(&TestDirectory), &str); 3] =
            [(&full, ".x.lock: Directory not empty"), (&file, ".x.lock: not a directory"), (&notes, "turns: Not a")];
        for (prepare, expected) in rows {
            let directory = TestDirectory::new();
            prepare(&directory);
            let why = directory.refresh_lock(Instant::now()).err().map(|why| why.to_string()).unwrap_or_default();
            assert!(why.contains(expected), "{why}");
        }
    }
}
