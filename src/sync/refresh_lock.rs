//! Holds the agent's own refresh lock, and opens it in turn. The one owner of that lock and of the capture's lease.
//!
//! The lock is a directory, and outlives us. Nobody who waits for it can see us, only its mtime: while nobody waits that
//! is far ahead of the clock, and needs no timer; while somebody does, it moves, as the mtime of a lock does whose holder
//! lives.
//!
//! Several runs may share one working copy, by a HOME on a volume. One of them takes the turns for all: it holds a flock(2)
//! on `.agent-init/turns` in the working copy, which ends with it in whatever container, and on whatever machine. So the
//! lock of another run that lives is left alone, and one that is nobody's is known to be so.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::agent::definition::RefreshLockRule;
use crate::error::reason;
use crate::store::directory::BOOKKEEPING;
use crate::sync::turn::{Overdue, Turn};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::errno;
use crate::sys::lock::{DirectoryLock, FoundLock, Lock};

/// The file in our notes whose holder takes the turns.
const TURNS: &str = "turns";

/// Between two tries to take the lock back from an agent that is just leaving it.
const AGAIN: Duration = Duration::from_millis(20);
/// After so many tries we try so many times less often.
const PATIENT: u32 = 50;
/// So long after its last intent an agent is not at it any more: the longest time between two of its tries is 3 s.
const QUIET: Duration = Duration::from_secs(5);
/// An agent's own lock is dated now, by a clock that may count in seconds; only ours are dated further ahead.
const ROUNDED: Duration = Duration::from_secs(2);

/// The right to let the agent refresh: a capture's lock, or what a store keeps elsewhere.
struct Lease(#[allow(dead_code, reason = "held for its Drop")] Option<Lock>);

/// Who takes the turns of the agents in this working copy.
enum Taker {
    /// We do, for as long as this is held.
    We(#[allow(dead_code, reason = "held for its Drop")] Lock),
    /// Another run does, as far as we know. Whether it lives is looked at when an agent wants to refresh: an idle run has
    /// no timer.
    Another,
}

/// Signs of life for an agent that waits.
struct Signs {
    /// When the next one is due.
    next: Instant,
    /// When the agent is not at it any more, unless it shows its intent again.
    until: Instant,
}

/// A lock of another's that is in our way, and since when it has shown no sign of life.
struct InTheWay {
    found: FoundLock,
    since: Instant,
}

/// The agent's refresh lock.
pub struct RefreshLock {
    rule: RefreshLockRule,
    home: Dir,
    parent: Dir,
    path: PathBuf,
    lock: OsString,
    intent: OsString,
    taker: Taker,
    turn: Turn,
    lease: Option<Lease>,
    held: Option<DirectoryLock>,
    signs: Option<Signs>,
    /// What has the name of our lock.
    in_the_way: Option<InTheWay>,
    /// An intent that was there when we came, and may be a dead agent's.
    left: Option<InTheWay>,
    tries: u32,
    is_ending: bool,
}

/// Why no turns are taken.
#[derive(Debug)]
pub struct NoTurns(String);

impl std::fmt::Display for NoTurns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl RefreshLock {
    /// The lock of the agent whose home is `home` at `path`. What a dead run left of it is removed.
    ///
    /// # Errors
    /// Whether another run lives here cannot be known, or the home has no parent that can be opened, or what has the
    /// name of the lock cannot be removed.
    pub fn new(rule: &RefreshLockRule, home: &Dir, path: &Path, now: Instant) -> Result<RefreshLock, NoTurns> {
        let (Some(parent_path), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(NoTurns(format!("{} is not a directory of its own", path.display())));
        };
        let mut lock = name.to_owned();
        lock.push(&rule.beside);
        let failed = |path: &Path, error: &io::Error| NoTurns(format!("{}: {}", path.display(), reason(error)));
        let mut refresh_lock = RefreshLock {
            rule: rule.clone(),
            home: home.sub_beneath(Path::new(".")).map_err(|error| failed(path, &error))?,
            parent: Dir::open(parent_path).map_err(|error| failed(parent_path, &error))?,
            path: parent_path.join(&lock),
            lock,
            intent: OsString::from(&rule.intent),
            taker: Taker::Another,
            turn: Turn::Idle,
            lease: None,
            held: None,
            signs: None,
            in_the_way: None,
            left: None,
            tries: 0,
            is_ending: false,
        };
        refresh_lock.look_for_taker().map_err(|error| failed(&path.join(BOOKKEEPING).join(TURNS), &error))?;
        if refresh_lock.takes_turns() {
            refresh_lock.left =
                refresh_lock.find_left(now).map_err(|error| failed(&path.join(&refresh_lock.intent), &error))?;
            refresh_lock.hold(now)?;
        }
        Ok(refresh_lock)
    }

    /// Whether the turns are ours to take, and not another run's in the same working copy.
    pub fn takes_turns(&self) -> bool {
        matches!(self.taker, Taker::We(_))
    }

    /// Whether this entry of the agent's home is the one that shows its intent.
    pub fn is_intent(&self, name: &OsStr) -> bool {
        name == self.intent
    }

    /// Whether the agent is at it now.
    pub fn has_intent(&self) -> bool {
        self.home.stat_entry(&self.intent).is_ok()
    }

    /// Whether the agent refreshes: it may, and is at it. Where another run takes the turns, that may be so at any time.
    pub fn is_refreshing(&self) -> bool {
        (matches!(self.turn, Turn::Open { .. }) || !self.takes_turns()) && self.has_intent()
    }

    /// Whether the agent waits for the lease.
    pub fn is_asked(&self) -> bool {
        matches!(self.turn, Turn::Asked { .. })
    }

    /// Whether both ends are to be compared now: the agent waits for it, and we have the lease.
    pub fn is_granted(&self) -> bool {
        matches!(self.turn, Turn::Granted { .. })
    }

    /// Whether the lease is needed: it is asked for, or the agent's turn is not over.
    pub fn has_turn(&self) -> bool {
        self.turn.needs_lease()
    }

    /// The agent's home is another directory now.
    ///
    /// # Errors
    /// As open(2).
    pub fn moved(&mut self, home: &Dir) -> io::Result<()> {
        self.home = home.sub_beneath(Path::new("."))?;
        self.taker = Taker::Another;
        self.look_for_taker()
    }

    /// The agent showed its intent; whether the lease is to be asked for. Once the end has begun a lock that is held is
    /// not opened any more: nobody could wait for the answer.
    pub fn asked(&mut self, now: Instant) -> bool {
        if !self.takes_turns() {
            if self.is_ending || self.look_for_taker().is_err() || !self.takes_turns() {
                return false;
            }
            // The other run has ended. The agent comes to the lock milliseconds after its intent: what is in the way of
            // ours is told by the next look at it.
            let _ = self.hold(now);
        }
        self.keep_waiting(now);
        let was_asked = self.has_turn();
        if !self.is_ending {
            self.turn = self.turn.asked(now);
        }
        self.is_asked() && !was_asked
    }

    /// We have the lease; a store that has none to give gives it to everybody.
    pub fn granted(&mut self, lease: Option<Lock>, now: Instant) {
        self.turn = self.turn.granted(now);
        // One that comes too late is given back at once.
        self.lease = self.is_granted().then_some(Lease(lease));
    }

    /// Another container has the lease.
    pub fn refused(&mut self) {
        self.turn = self.turn.refused();
    }

    /// Both ends were compared.
    ///
    /// # Errors
    /// The lock cannot be opened: the agent will go on with the token that it has.
    pub fn compared(&mut self, now: Instant, adopted: bool) -> Result<(), NoTurns> {
        self.turn = self.turn.compared(now, !adopted && !self.is_ending);
        if let Turn::Open { .. } = self.turn {
            return self.release();
        }
        self.free_lease();
        Ok(())
    }

    /// A new login of the agent's was stored.
    pub fn renewed(&mut self) {
        self.turn = self.turn.renewed();
    }

    /// Takes the lock back when the turn is over, and then gives the lease back; gives signs of life; looks after what
    /// the dead left. Says when a turn took too long.
    ///
    /// # Errors
    /// The lock cannot be made for another reason than that the agent still has it.
    pub fn tend(&mut self, now: Instant) -> Result<Option<Overdue>, NoTurns> {
        if !self.takes_turns() {
            return Ok(None);
        }
        self.clear_left(now);
        let intent = matches!(self.turn, Turn::Open { .. }) && self.has_intent();
        let (turn, overdue) = self.turn.at(now, intent);
        self.turn = turn;
        if self.wants_lock() {
            self.hold(now)?;
        }
        self.free_lease();
        self.give_sign(now);
        Ok(overdue)
    }

    /// When something is due without an event.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if !self.takes_turns() {
            return None;
        }
        // An agent that was killed leaves its lock behind, and it takes a while until that is nobody's.
        let again = if self.tries < PATIENT { AGAIN } else { AGAIN * PATIENT };
        let again = self.wants_lock().then(|| now + again);
        let turn = self.turn.deadline(matches!(self.turn, Turn::Open { .. }) && self.has_intent());
        let sign = self.signs.as_ref().map(|signs| signs.next.min(signs.until));
        let left = self.left.as_ref().map(|left| left.since + self.rule.dead_after());
        [again, turn, sign, left].into_iter().flatten().min()
    }

    /// A stop has begun.
    pub fn ending(&mut self) {
        self.is_ending = true;
    }

    /// The agent has ended, and our lock goes. What the agent left of its own stays, for it may be that of another
    /// container's agent: once it gives no sign of life the next start removes it, or the next agent does.
    pub fn remove(&mut self) {
        self.is_ending = true;
        self.turn = Turn::Idle;
        self.lease = None;
        // Nothing can be done about a failure, and the next start tries again.
        let _ = self.release();
    }

    /// Whether the lock is ours to hold, and we have not got it.
    fn wants_lock(&self) -> bool {
        !matches!(self.turn, Turn::Open { .. }) && self.held.is_none() && !self.is_ending
    }

    fn free_lease(&mut self) {
        if !self.turn.needs_lease() {
            self.lease = None;
        }
    }

    /// Tries to become the one that takes the turns.
    fn look_for_taker(&mut self) -> io::Result<()> {
        let notes = self.home.make(OsStr::new(BOOKKEEPING), Attributes { mode: 0o700, owner: None })?;
        self.taker = match notes.lock(OsStr::new(TURNS), None)? {
            Some(lock) => Taker::We(lock),
            None => Taker::Another,
        };
        Ok(())
    }

    /// What has the name of an intent before any agent of ours lives: another container's agent may be at it, or one that
    /// was killed.
    fn find_left(&self, now: Instant) -> io::Result<Option<InTheWay>> {
        Ok(self.home.find_lock(&self.intent)?.map(|found| InTheWay { found, since: now }))
    }

    /// Removes an intent that was left, once it is known to be nobody's.
    fn clear_left(&mut self, now: Instant) {
        let Some(left) = self.left.take() else { return };
        match self.home.find_lock(&self.intent) {
            Ok(Some(found)) if found == left.found => {
                if self.is_dead(&left, now) {
                    // One that cannot be removed delays the agent, which takes it over by its own rule.
                    let _ = self.home.remove_directory(&self.intent);
                } else {
                    self.left = Some(left);
                }
            }
            // It is gone, or its holder lives.
            _ => {}
        }
    }

    /// Whether a lock of an agent's is known to be nobody's: its holder touches it more often than that.
    fn is_dead(&self, lock: &InTheWay, now: Instant) -> bool {
        let age = SystemTime::now().duration_since(lock.found.modified).unwrap_or_default();
        age > self.rule.dead_after() || now >= lock.since + self.rule.dead_after()
    }

    fn hold(&mut self, now: Instant) -> Result<(), NoTurns> {
        let failed = |refresh_lock: &RefreshLock, error: &io::Error| {
            NoTurns(format!("{}: {}", refresh_lock.path.display(), reason(error)))
        };
        let mut made = self.parent.make_lock(&self.lock);
        if made.as_ref().is_err_and(errno::is_there) {
            self.tries = self.tries.saturating_add(1);
            if !self.clear_way(now).map_err(|error| failed(self, &error))? {
                return Ok(());
            }
            made = self.parent.make_lock(&self.lock);
        }
        match made {
            Ok(lock) => {
                self.tries = 0;
                self.in_the_way = None;
                self.signs = None;
                let dated = lock.date(self.rule.at_rest(SystemTime::now()));
                self.held = Some(lock);
                dated.map_err(|error| failed(self, &error))
            }
            // An agent was faster.
            Err(error) if errno::is_there(&error) => Ok(()),
            Err(error) => Err(failed(self, &error)),
        }
    }

    /// Removes what has the name of our lock once it is known to be nobody's: a run's that has ended, for the turns are
    /// ours now, or an agent's that gives no sign of life. Whether the way is free.
    fn clear_way(&mut self, now: Instant) -> io::Result<bool> {
        let Some(found) = self.parent.find_lock(&self.lock)? else { return Ok(true) };
        let since = self.in_the_way.as_ref().filter(|known| known.found == found).map_or(now, |known| known.since);
        let lock = InTheWay { found, since };
        let is_a_runs = found.modified.duration_since(SystemTime::now()).is_ok_and(|ahead| ahead > ROUNDED);
        if is_a_runs && !self.knows_the_living() {
            let why = "a run made it that may live: this file system has no locks to tell by";
            return Err(io::Error::other(why));
        }
        if is_a_runs || self.is_dead(&lock, now) {
            self.in_the_way = None;
            return self.parent.remove_directory(&self.lock).map(|()| true);
        }
        self.in_the_way = Some(lock);
        Ok(false)
    }

    /// Whether no other run can take the turns while we do.
    fn knows_the_living(&self) -> bool {
        matches!(&self.taker, Taker::We(lock) if lock.excludes())
    }

    fn release(&mut self) -> Result<(), NoTurns> {
        self.signs = None;
        let Some(lock) = self.held.take() else { return Ok(()) };
        let removed = lock.remove(&self.parent, &self.lock);
        removed.map_err(|error| NoTurns(format!("{}: {}", self.path.display(), reason(&error))))
    }

    /// The agent is about to look at our lock: it gets a sign of life now, and others until it does not try any more.
    fn keep_waiting(&mut self, now: Instant) {
        let Some(lock) = &self.held else { return };
        if !lock.is_at(&self.parent, &self.lock) {
            // Somebody removed it. It is made again as soon as it can be.
            self.held = None;
            self.signs = None;
            return;
        }
        self.signs.get_or_insert(Signs { next: now, until: now }).until = now + QUIET;
        self.give_sign(now);
    }

    fn give_sign(&mut self, now: Instant) {
        let (Some(signs), Some(lock)) = (&mut self.signs, &self.held) else { return };
        // A sign that cannot be given costs the agent this try, and no more.
        if now >= signs.until {
            self.signs = None;
            let _ = lock.date(self.rule.at_rest(SystemTime::now()));
        } else if now >= signs.next {
            signs.next = now + self.rule.sign.every();
            let _ = lock.date(self.rule.sign.of_life(SystemTime::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    struct Place {
        temp: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Place {
            let temp = tempfile::tempdir().unwrap();
            std::fs::create_dir(temp.path().join(".x")).unwrap();
            Place { temp }
        }

        fn lock(&self) -> PathBuf {
            self.temp.path().join(".x.lock")
        }

        fn intent(&self) -> PathBuf {
            self.temp.path().join(".x/.intent")
        }

        fn refresh_lock(&self, now: Instant) -> Result<RefreshLock, NoTurns> {
            let rule = serde_json::from_str(r#"{ "intent": ".intent", "beside": ".lock" }"#).unwrap();
            let home = self.temp.path().join(".x");
            RefreshLock::new(&rule, &Dir::open(&home).unwrap(), &home, now)
        }

        fn lease(&self) -> Option<Lock> {
            Dir::open(self.temp.path()).unwrap().lock("lease".as_ref(), None).unwrap()
        }

        /// How far ahead of now the lock is dated.
        fn ahead(&self) -> Duration {
            let modified = self.lock().metadata().unwrap().modified().unwrap();
            modified.duration_since(SystemTime::now()).unwrap_or_default()
        }

        /// The lock's inode, whose number nobody else gets while it is open.
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
    fn a_turn() {
        let place = Place::new();
        let now = Instant::now();
        let mut refresh_lock = place.refresh_lock(now).unwrap();
        assert!(place.ahead() > YEAR);
        std::fs::create_dir(place.intent()).unwrap();
        assert!(refresh_lock.asked(now) && !refresh_lock.is_refreshing());
        assert!(!refresh_lock.asked(now), "the lease is asked for once");
        refresh_lock.granted(place.lease(), now);
        refresh_lock.compared(now, false).unwrap();
        assert!(!place.lock().exists() && refresh_lock.is_refreshing());
        assert!(place.lease().is_none());
        refresh_lock.renewed();
        assert_eq!(refresh_lock.tend(now).unwrap(), None);
        assert!(!place.lock().exists());
        std::fs::remove_dir(place.intent()).unwrap();
        refresh_lock.tend(now).unwrap();
        assert!(place.lock().exists() && !refresh_lock.is_refreshing());
        assert!(place.lease().is_some());
        refresh_lock.remove();
        assert!(!place.lock().exists());
    }

    #[test]
    fn a_follower_keeps_the_lock() {
        let place = Place::new();
        let now = Instant::now();
        let mut refresh_lock = place.refresh_lock(now).unwrap();
        refresh_lock.asked(now);
        refresh_lock.refused();
        assert!(!refresh_lock.is_asked() && place.lock().exists());
        refresh_lock.asked(now);
        refresh_lock.granted(place.lease(), now);
        refresh_lock.compared(now, true).unwrap();
        assert!(place.lock().exists() && place.lease().is_some());
    }

    /// An agent that waits sees the mtime move every 2 s, dated so that an older one's rule (10 s) keeps away, and that
    /// the lock is nobody's soon after our death. One that does not wait costs no timer.
    #[test]
    fn a_lock_that_is_waited_for_gives_signs_of_life() {
        let place = Place::new();
        let start = Instant::now();
        let mut refresh_lock = place.refresh_lock(start).unwrap();
        assert_eq!(refresh_lock.deadline(start), None);
        refresh_lock.asked(start);
        refresh_lock.refused();
        assert!((15..=20).contains(&place.ahead().as_secs()), "{:?}", place.ahead());
        let (mut now, mut signs) = (start, 0);
        while let Some(deadline) = refresh_lock.deadline(now) {
            assert!(deadline <= now + seconds(2));
            now = deadline;
            let before = place.lock().metadata().unwrap().modified().unwrap();
            // It tries for so long, every other second.
            if now < start + seconds(8) {
                refresh_lock.asked(now);
                refresh_lock.refused();
            }
            refresh_lock.tend(now).unwrap();
            signs += u32::from(place.lock().metadata().unwrap().modified().unwrap() != before);
        }
        assert!(now <= start + seconds(8) + QUIET && signs >= 5, "{signs} signs in {:?}", now - start);
        assert!(place.ahead() > YEAR);
        refresh_lock.remove();
    }

    #[test]
    fn nothing_is_opened_once_the_end_has_begun() {
        let place = Place::new();
        let now = Instant::now();
        let mut refresh_lock = place.refresh_lock(now).unwrap();
        refresh_lock.asked(now);
        refresh_lock.granted(place.lease(), now);
        refresh_lock.ending();
        refresh_lock.compared(now, false).unwrap();
        assert!(place.lock().exists() && place.lease().is_some());
        assert!(!refresh_lock.asked(now) && !refresh_lock.is_asked());
    }

    #[test]
    fn a_word_that_comes_too_late_holds_no_lease() {
        let place = Place::new();
        let now = Instant::now();
        let mut refresh_lock = place.refresh_lock(now).unwrap();
        refresh_lock.granted(place.lease(), now);
        assert!(!refresh_lock.has_turn() && place.lease().is_some());
        refresh_lock.asked(now);
        let late = now + seconds(35);
        assert_eq!(refresh_lock.tend(late).unwrap(), Some(Overdue::Comparison));
        refresh_lock.granted(place.lease(), late);
        assert!(!refresh_lock.has_turn() && place.lease().is_some());
    }

    #[test]
    fn what_a_dead_run_left_is_removed() {
        let place = Place::new();
        let now = Instant::now();
        make(&place.lock(), SystemTime::now() + YEAR);
        let before = place.inode();
        let mut refresh_lock = place.refresh_lock(now).unwrap();
        refresh_lock.tend(now).unwrap();
        assert!(refresh_lock.held.is_some() && place.inode().1 != before.1);
        // An agent's, which were touched just now: they are nobody's once they do not move.
        let place = Place::new();
        make(&place.lock(), SystemTime::now());
        make(&place.intent(), SystemTime::now());
        let mut refresh_lock = place.refresh_lock(now).unwrap();
        refresh_lock.tend(now + seconds(9)).unwrap();
        assert!(refresh_lock.held.is_none() && refresh_lock.has_intent());
        refresh_lock.tend(now + seconds(11)).unwrap();
        assert!(refresh_lock.held.is_some() && !refresh_lock.has_intent());
    }

    #[test]
    fn what_moves_is_somebodys() {
        let place = Place::new();
        let mut now = Instant::now();
        make(&place.lock(), SystemTime::now());
        make(&place.intent(), SystemTime::now());
        let mut refresh_lock = place.refresh_lock(now).unwrap();
        for beat in 0..6 {
            now += seconds(5);
            let modified = SystemTime::now() - Duration::from_millis(beat);
            for lock in [place.lock(), place.intent()] {
                File::open(lock).unwrap().set_modified(modified).unwrap();
            }
            refresh_lock.tend(now).unwrap();
        }
        assert!(refresh_lock.held.is_none() && place.lock().exists() && refresh_lock.has_intent());
    }

    /// Another run in the same working copy.
    #[test]
    fn the_lock_of_a_run_that_lives_is_left_alone() {
        let place = Place::new();
        let now = Instant::now();
        let first = place.refresh_lock(now).unwrap();
        let before = place.inode();
        let mut second = place.refresh_lock(now).unwrap();
        assert!(first.takes_turns() && !second.takes_turns());
        second.tend(now).unwrap();
        assert!(!second.asked(now) && !second.has_turn());
        assert_eq!(second.deadline(now), None);
        second.remove();
        assert_eq!(place.inode().1, before.1);
        // The first is killed, and its lock stays: the other one makes its own once an agent wants to refresh.
        let mut second = place.refresh_lock(now).unwrap();
        drop(first);
        assert!(second.asked(now));
        assert!(second.takes_turns() && second.held.is_some());
        assert_ne!(place.inode().1, before.1);
    }

    #[test]
    fn a_lock_that_somebody_removed_is_made_again() {
        let place = Place::new();
        let now = Instant::now();
        let mut refresh_lock = place.refresh_lock(now).unwrap();
        std::fs::remove_dir(place.lock()).unwrap();
        make(&place.lock(), SystemTime::now());
        let anothers = place.lock().metadata().unwrap().modified().unwrap();
        refresh_lock.asked(now);
        refresh_lock.refused();
        refresh_lock.tend(now).unwrap();
        // Nobody touches what is another's.
        assert_eq!(place.lock().metadata().unwrap().modified().unwrap(), anothers);
        std::fs::remove_dir(place.lock()).unwrap();
        refresh_lock.tend(now).unwrap();
        assert!(place.ahead() > YEAR);
    }

    #[test]
    fn no_turns_without_a_reason() {
        let full = |place: &Place| {
            std::fs::create_dir_all(place.lock().join("below")).unwrap();
            File::open(place.lock()).unwrap().set_modified(SystemTime::now() + YEAR).unwrap();
        };
        let file = |place: &Place| drop(File::create(place.lock()).unwrap());
        let notes = |place: &Place| drop(File::create(place.temp.path().join(".x").join(BOOKKEEPING)).unwrap());
        let rows: [(&dyn Fn(&Place), &str); 3] =
            [(&full, ".x.lock: Directory not empty"), (&file, ".x.lock: not a directory"), (&notes, "turns: Not a")];
        for (prepare, expected) in rows {
            let place = Place::new();
            prepare(&place);
            let why = place.refresh_lock(Instant::now()).err().map(|why| why.to_string()).unwrap_or_default();
            assert!(why.contains(expected), "{why}");
        }
    }
}
