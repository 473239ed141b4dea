//! The lease of a store: the right to let an agent refresh the login in it.
//!
//! Runs of agent-init exclude each other by flock(2), which ends with its holder. An agent outside of any container,
//! whose config directory the capture is (`-v ~/.x:/capture/x`), knows nothing of that: it honours its own
//! lock only, a directory in its config directory. So the lease of a directory is both, taken in this order.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::agent::definition::{RefreshLockRule, SharedLockRule};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::errno;
use crate::sys::lock::{DirectoryLock, FoundLock, Lock};

#[derive(Debug)]
pub struct Lease {
    /// `None` if the store keeps the lease, or grants it to everybody.
    #[allow(dead_code, reason = "held for its Drop")]
    flock: Option<Lock>,
    agents_lock: Option<AgentsLock>,
}

impl Lease {
    /// The lease of a store that keeps it itself, or has none.
    pub fn of_store() -> Lease {
        Lease { flock: None, agents_lock: None }
    }

    /// The lease of a directory that no agent uses as its home.
    pub fn of_runs(flock: Lock) -> Lease {
        Lease { flock: Some(flock), agents_lock: None }
    }

    /// The lease of a directory that an agent may use as its home. `None` if such an agent is refreshing.
    ///
    /// Without the right to write there, only the flock counts: nothing could be published either.
    pub fn of_runs_and_agents(
        flock: Lock,
        dir: &Dir,
        owner: Option<(u32, u32)>,
        rule: &RefreshLockRule,
    ) -> Option<Lease> {
        let Some(shared) = rule.shared else { return Some(Lease::of_runs(flock)) };
        match AgentsLock::take(dir, OsStr::new(&rule.intent), owner, shared, flock.excludes()) {
            Taken::Ours(lock) => Some(Lease { flock: Some(flock), agents_lock: Some(lock) }),
            Taken::Held => None,
            Taken::Unavailable => Some(Lease::of_runs(flock)),
        }
    }

    /// When [`Lease::beat`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.agents_lock.as_ref().map(|lock| lock.next_beat)
    }

    /// Moves the mtime of the agent's lock if that is due, as an agent does that is alive.
    pub fn beat(&mut self, now: Instant) {
        if let Some(lock) = &mut self.agents_lock {
            lock.beat(now);
        }
    }
}

/// The mode of a lock that a run made. No agent's lock has the sticky bit, which means nothing on an empty directory.
const MODE: u32 = 0o1755;

enum Taken {
    Ours(AgentsLock),
    /// An agent holds it, or held it a moment ago.
    Held,
    Unavailable,
}

/// The agent's own lock in a capture, held by this run.
#[derive(Debug)]
struct AgentsLock {
    parent: Dir,
    name: OsString,
    lock: DirectoryLock,
    rule: SharedLockRule,
    next_beat: Instant,
}

impl AgentsLock {
    /// `is_only_run`: no other run can hold the lock.
    fn take(dir: &Dir, name: &OsStr, owner: Option<(u32, u32)>, rule: SharedLockRule, is_only_run: bool) -> Taken {
        let Ok(parent) = dir.sub_beneath(Path::new(".")) else { return Taken::Unavailable };
        let made = match parent.make_lock(name) {
            Err(error) if errno::exists(&error) => match parent.find_lock(name) {
                Ok(Some(found)) if !is_abandoned(found, rule, is_only_run) => return Taken::Held,
                Ok(_) => parent.remove_directory(name).and_then(|()| parent.make_lock(name)),
                // It is not a lock, and keeps no agent from refreshing.
                Err(error) => Err(error),
            },
            made => made,
        };
        match made {
            Ok(lock) => {
                // An agent of the directory's owner must be able to take over an abandoned lock.
                let _ = lock.set_mode_and_owner(Attributes { mode: MODE, owner });
                let mut lock = AgentsLock { parent, name: name.to_owned(), lock, rule, next_beat: Instant::now() };
                lock.beat(lock.next_beat);
                Taken::Ours(lock)
            }
            // An agent was faster.
            Err(error) if errno::exists(&error) => Taken::Held,
            Err(_) => Taken::Unavailable,
        }
    }

    fn beat(&mut self, now: Instant) {
        if now < self.next_beat {
            return;
        }
        self.next_beat = now + Duration::from_secs(self.rule.every);
        // Dated back, it counts as abandoned soon after our death. A missed beat does no harm: the next one comes.
        let _ = self.lock.date(SystemTime::now() - Duration::from_secs(self.rule.behind));
    }
}

impl Drop for AgentsLock {
    fn drop(&mut self) {
        // A lock that stays becomes stale by the agent's rule.
        let _ = self.lock.remove(&self.parent, &self.name);
    }
}

/// Whether a lock counts as abandoned: by the rule of the agents that may hold it, or because the run that made it would
/// hold the flock.
fn is_abandoned(found: FoundLock, rule: SharedLockRule, is_only_run: bool) -> bool {
    let age = SystemTime::now().duration_since(found.modified).unwrap_or_default();
    (is_only_run && found.mode == MODE) || age > Duration::from_secs(rule.dead_after)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    struct Shared {
        temp: tempfile::TempDir,
        rule: RefreshLockRule,
    }

    impl Shared {
        fn new() -> Shared {
            let rule =
                r#"{ "intent": "i", "beside": ".lock", "shared": { "every": 2, "behind": 5, "dead-after": 60 } }"#;
            Shared { temp: tempfile::tempdir().unwrap(), rule: serde_json::from_str(rule).unwrap() }
        }

        fn lock(&self) -> PathBuf {
            self.temp.path().join("i")
        }

        fn age(&self) -> Duration {
            self.lock().metadata().unwrap().modified().unwrap().elapsed().unwrap()
        }

        /// A lock that was last touched so many seconds ago.
        fn make(&self, mode: u32, seconds: u64) {
            fs::create_dir(self.lock()).unwrap();
            self.date(seconds);
            fs::set_permissions(self.lock(), Permissions::from_mode(mode)).unwrap();
        }

        fn date(&self, seconds_ago: u64) {
            let modified = SystemTime::now() - Duration::from_secs(seconds_ago);
            File::open(self.lock()).unwrap().set_modified(modified).unwrap();
        }

        fn lease(&self) -> Option<Lease> {
            let dir = Dir::open(self.temp.path()).unwrap();
            let flock = dir.lock("flock".as_ref(), None).unwrap().unwrap();
            Lease::of_runs_and_agents(flock, &dir, None, &self.rule)
        }
    }

    #[test]
    fn the_agents_lock_shows_signs_of_life_and_goes_with_the_lease() {
        let shared = Shared::new();
        let mut lease = shared.lease().unwrap();
        assert!((5..7).contains(&shared.age().as_secs()), "{:?}", shared.age());
        let start = Instant::now();
        shared.date(40);
        lease.beat(start);
        assert!(shared.age().as_secs() > 30, "a beat that is not due");
        let due = lease.deadline().unwrap();
        assert!(due <= start + Duration::from_secs(2));
        lease.beat(due);
        assert!(shared.age().as_secs() < 7);
        drop(lease);
        assert!(!shared.lock().exists());
    }

    #[test]
    fn only_an_abandoned_lock_is_taken_over() {
        struct Row {
            what: &'static str,
            mode: u32,
            seconds: u64,
            is_taken_over: bool,
        }
        let rows = [
            Row { what: "an agent's, alive", mode: 0o755, seconds: 0, is_taken_over: false },
            Row { what: "an agent's, silent for a while", mode: 0o755, seconds: 55, is_taken_over: false },
            Row { what: "an agent's, dead", mode: 0o755, seconds: 61, is_taken_over: true },
            Row { what: "a dead run's", mode: MODE, seconds: 5, is_taken_over: true },
        ];
        for Row { what, mode, seconds, is_taken_over } in rows {
            let shared = Shared::new();
            shared.make(mode, seconds);
            let lease = shared.lease();
            assert_eq!(lease.is_some(), is_taken_over, "{what}");
            drop(lease);
            assert_eq!(shared.lock().exists(), !is_taken_over, "{what}");
            // What was refused is free for the next one.
            assert!(Dir::open(shared.temp.path()).unwrap().lock("flock".as_ref(), None).unwrap().is_some(), "{what}");
        }
    }

    #[test]
    fn something_else_in_its_place_does_not_keep_the_agent_from_its_turn() {
        let shared = Shared::new();
        fs::write(shared.lock(), "").unwrap();
        assert!(shared.lease().is_some_and(|lease| lease.agents_lock.is_none()));
        assert!(shared.lock().exists());
    }
}
