//! The agent's refresh lock as others see it, and who is kept from what by whom.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};

use super::idle;
use crate::support::{Run, Sandbox, Session, await_path};

const LOCK: &str = "home/.claude.lock";
const INTENT: &str = "home/.claude/.oauth_refresh.lock";

fn modified(path: &Path) -> SystemTime {
    path.metadata().unwrap().modified().unwrap()
}

/// Dated so far ahead that no agent takes it over and no timer is needed.
fn is_at_rest(path: &Path) -> bool {
    modified(path) > SystemTime::now() + Duration::from_secs(86_400)
}

/// The lease of a capture, if nobody has it.
fn lease(store: &Sandbox) -> Option<Flock<File>> {
    let file = store.path("capture/claude/.agent-init/refresh");
    let file = File::options().read(true).write(true).create(true).truncate(false).open(file).unwrap();
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}

fn captured() -> Sandbox {
    let store = Sandbox::new();
    store.captured("claude", ".credentials.json", &Session::new("a").json());
    store
}

/// An agent that waits judges by the mtime whether the holder lives: it has to move, more often than every 7.5 s.
#[test]
fn a_lock_that_is_waited_for_moves_and_then_comes_to_rest() {
    let (store, sandbox) = (captured(), Sandbox::new());
    let (_live, _never) = idle(&sandbox, &store);
    let (home, lock, intent) = (sandbox.path("home"), sandbox.path(LOCK), sandbox.path(INTENT));
    assert!(is_at_rest(&lock));
    let _refreshes = lease(&store).unwrap();
    for _ in 0..3 {
        fs::create_dir(&intent).unwrap();
        fs::remove_dir(&intent).unwrap();
        let before = modified(&lock);
        await_path(&home, "a lock that moves", || modified(&lock) != before && !is_at_rest(&lock));
        // Neither of the two versions of the rule, 10 s and 60 s, makes it stale, and both do soon after our death.
        let now = SystemTime::now();
        assert!(modified(&lock) > now - Duration::from_secs(5) && modified(&lock) < now + Duration::from_secs(30));
    }
    await_path(&home, "a lock at rest", || is_at_rest(&lock));
}

/// A second container with the same HOME, on a volume.
fn beside(sandbox: &Sandbox, store: &Sandbox, script: &str) -> Run {
    let run = sandbox.claude(script).env("AGENT_INIT_CAPTURE", store.text("capture"));
    run.env("AGENT_INIT_STATE_DIR", sandbox.mkdir("state-beside").display().to_string())
}

/// The lock, and its inode's number, which nobody else gets while it is open.
fn inode(lock: &PathBuf) -> (File, u64) {
    let lock = File::open(lock).unwrap();
    let number = lock.metadata().unwrap().ino();
    (lock, number)
}

#[test]
fn runs_that_share_a_home_leave_each_others_lock_alone() {
    let (store, sandbox) = (captured(), Sandbox::new());
    let (first, _never) = idle(&sandbox, &store);
    let (home, lock) = (sandbox.path("home"), sandbox.path(LOCK));
    let of_first = inode(&lock);
    beside(&sandbox, &store, "say started").run().ok().warns_once(&["another run", "home/.claude", "turns"]);
    assert_eq!(inode(&lock).1, of_first.1);

    // The one that has the lock is killed: the other one takes it over, and a start after that has nothing to say.
    let gate = sandbox.gate("gate");
    let mut second = beside(&sandbox, &store, &format!("say ready; hold '{gate}'")).start();
    second.line("ready");
    second.message("another run");
    drop(first);
    assert_eq!(inode(&lock).1, of_first.1);
    fs::create_dir(sandbox.path(INTENT)).unwrap();
    await_path(&home, "a lock of the other's", || lock.exists() && inode(&lock).1 != of_first.1);
    fs::remove_dir(sandbox.path(INTENT)).unwrap();
    let of_second = inode(&lock);
    drop(second);
    let never = sandbox.gate("never-again");
    let mut third = beside(&sandbox, &store, &format!("say ready; hold '{never}'")).start();
    third.line("ready");
    assert_ne!(inode(&lock).1, of_second.1);
    assert!(is_at_rest(&lock));
}

/// What an agent left, or has in its hand: only its date and its movement tell.
#[test]
fn the_locks_of_an_agent_are_left_alone_while_they_may_be_somebodys() {
    let (store, sandbox) = (captured(), Sandbox::new());
    let (lock, intent) = (sandbox.path(LOCK), sandbox.path(INTENT));
    for path in [&lock, &intent] {
        fs::create_dir_all(path).unwrap();
    }
    let script = "[ ! -d \"$C.lock\" ] || say lock; [ ! -d \"$C/.oauth_refresh.lock\" ] || say intent";
    beside(&sandbox, &store, script).run().ok().prints(&["lock", "intent"]).quiet();
    let old = SystemTime::now() - Duration::from_secs(11);
    for path in [&lock, &intent] {
        File::open(path).unwrap().set_modified(old).unwrap();
    }
    // Nobody's by the rule of every version: our own lock is there in its stead.
    beside(&sandbox, &store, script).run().ok().prints(&["lock"]).prints_no(&["intent"]).quiet();
    assert!(!lock.exists());
}

#[test]
fn no_turns_is_always_said_with_its_reason() {
    let (store, sandbox) = (captured(), Sandbox::new());
    sandbox.write(LOCK, "");
    beside(&sandbox, &store, "say started").run().ok().warns_once(&[
        "turns at refreshing",
        ".claude.lock",
        "not a directory",
    ]);
    fs::remove_file(sandbox.path(LOCK)).unwrap();
    sandbox.write("home/.claude.lock/file", "");
    let future = SystemTime::now() + Duration::from_secs(86_400 * 400);
    File::open(sandbox.path(LOCK)).unwrap().set_modified(future).unwrap();
    beside(&sandbox, &store, "say started").run().ok().warns_once(&[
        "turns at refreshing",
        ".claude.lock",
        "not empty",
    ]);
    assert!(sandbox.exists("home/.claude.lock/file"));
}

/// A login that is never whole cannot be compared: whoever sees to that does not keep the lease from the others.
#[test]
fn a_hostile_agent_gives_the_lease_back() {
    let (store, sandbox) = (captured(), Sandbox::new());
    let (mut live, _never) = idle(&sandbox, &store);
    let file = sandbox.path("home/.claude/.credentials.json");
    // In place and all the time, on its behalf: a shell on a busy machine comes to it too seldom.
    let (stop, stopped) = channel::<()>();
    let writes = thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
            fs::write(&file, "{x").unwrap();
        }
    });
    await_path(&sandbox.path("home/.claude"), "a login that is none", || {
        fs::read_to_string(sandbox.path("home/.claude/.credentials.json")).is_ok_and(|text| text == "{x")
    });
    fs::create_dir(sandbox.path(INTENT)).unwrap();
    await_path(&store.path("capture/claude/.agent-init"), "the agent's turn", || lease(&store).is_none());
    live.message("could not be compared within 35 s");
    // Nor is it kept by asking again: the turn is another's.
    let other = Sandbox::new();
    let (_others, _never) = idle(&other, &store);
    fs::remove_dir(sandbox.path(INTENT)).unwrap();
    fs::create_dir(sandbox.path(INTENT)).unwrap();
    fs::create_dir(other.path(INTENT)).unwrap();
    await_path(&other.path("home"), "the other's turn", || !other.exists(LOCK));
    drop(stop);
    writes.join().unwrap();
}
