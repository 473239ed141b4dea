//! The agent's refresh lock as others see it, and who is kept from what by whom.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::idle;
use crate::support::{LIMIT, Run, Sandbox, Session, await_path};

const LOCK: &str = "home/.claude.lock";
const INTENT: &str = "home/.claude/.oauth_refresh.lock";
const WRITE_LOCK: &str = "home/.claude/.storage-write.lock";

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
    let others_refresh = lease(&store).unwrap();
    fs::create_dir(sandbox.path(INTENT)).unwrap();
    fs::remove_dir(sandbox.path(INTENT)).unwrap();
    let is_made = || lock.exists() && modified(&lock) > SystemTime::now();
    await_path(&home, "a lock of the other's", || is_made() && inode(&lock).1 != of_first.1);
    drop(others_refresh);
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
fn locks_that_may_be_held_are_left_alone() {
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
fn a_missing_turn_is_reported_with_its_reason() {
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

/// What happens to entries of the agent's home, in its order: opened, made, renamed to, removed.
struct Watch(Inotify);

impl Watch {
    fn new(directory: &Path) -> Self {
        let watch = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
        let flags =
            AddWatchFlags::IN_OPEN | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE;
        watch.add_watch(directory, flags).unwrap();
        Self(watch)
    }

    /// The next events, until there are so many of this kind about this name; all of them as words.
    fn until(&self, count: usize, kind: AddWatchFlags, name: &str) -> Vec<String> {
        let (mut found, mut events) = (0, Vec::new());
        while found < count {
            let timeout = PollTimeout::try_from(LIMIT).unwrap();
            let ready = poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout).unwrap();
            assert!(ready > 0, "{found} of {count} events about {name}: {events:?}");
            for event in self.0.read_events().unwrap() {
                let entry = event.name.unwrap_or_default().into_string().unwrap();
                found += usize::from(event.mask.contains(kind) && entry == name);
                let kinds = [
                    (AddWatchFlags::IN_CREATE, "made"),
                    (AddWatchFlags::IN_MOVED_TO, "renamed to"),
                    (AddWatchFlags::IN_DELETE, "removed"),
                ];
                let kind = kinds.iter().find(|(kind, _)| event.mask.contains(*kind));
                events.extend(kind.map(|(_, word)| format!("{word} {entry}")));
            }
        }
        events
    }
}

/// An agent that writes beside its login reads the whole file, and writes it whole again, under a lock of its own. What
/// is adopted between the two would be undone.
#[test]
fn an_adopt_waits_for_the_agents_own_lock_around_writes() {
    let (store, sandbox) = (captured(), Sandbox::new());
    let (live, _never) = idle(&sandbox, &store);
    let file = sandbox.path("home/.claude/.credentials.json");
    let read = || fs::read_to_string(&file).unwrap();
    assert!(read().contains("FAKE-access-a"));

    fs::create_dir(sandbox.path(WRITE_LOCK)).unwrap();
    let watch = Watch::new(&sandbox.path("home/.claude"));
    let next = store.write("capture/claude/next", Session::new("b").json());
    fs::rename(next, store.path("capture/claude/.credentials.json")).unwrap();
    // It looks at the file again and again.
    watch.until(8, AddWatchFlags::IN_OPEN, ".credentials.json");
    assert!(read().contains("FAKE-access-a"));
    fs::remove_dir(sandbox.path(WRITE_LOCK)).unwrap();
    let events = watch.until(2, AddWatchFlags::IN_DELETE, ".storage-write.lock");
    assert!(read().contains("FAKE-access-b"));
    let order = |word: &str| events.iter().rposition(|event| event == word).unwrap_or_else(|| panic!("{events:?}"));
    let (made, renamed) = (order("made .storage-write.lock"), order("renamed to .credentials.json"));
    assert!(made < renamed && renamed < order("removed .storage-write.lock"), "{events:?}");
    assert!(!sandbox.exists(WRITE_LOCK));
    drop(live);
}

/// One that was killed while it wrote leaves its lock behind: nobody's after 15 s by its own rule, and not waited for at a
/// start.
#[test]
fn a_stale_write_lock_delays_nobody() {
    let (store, sandbox) = (captured(), Sandbox::new());
    sandbox.claude("say started").env("AGENT_INIT_CAPTURE", store.text("capture")).run().ok();
    fs::create_dir_all(sandbox.path(WRITE_LOCK)).unwrap();
    store.write("capture/claude/.credentials.json", Session::new("b").json());
    let started = std::time::Instant::now();
    let (_live, _never) = idle(&sandbox, &store);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let home = sandbox.path("home/.claude");
    let has = |name: &str| fs::read_to_string(home.join(".credentials.json")).unwrap().contains(name);
    assert!(has("FAKE-access-b"));
    let next = store.write("capture/claude/next", Session::new("c").json());
    fs::rename(next, store.path("capture/claude/.credentials.json")).unwrap();
    await_path(&home, "the newer login", || has("FAKE-access-c"));
}

/// A version of the agent that does not honour the lock would log the others out one day.
#[test]
fn a_refresh_out_of_turn_is_a_warning_where_a_login_is_shared() {
    for (is_shared, expected) in [(true, 1), (false, 0)] {
        let (store, sandbox, other) = (captured(), Sandbox::new(), Sandbox::new());
        let _other = is_shared.then(|| idle(&other, &store));
        let mut gate = sandbox.gate("gate");
        let script = format!("refresh b; hold '{gate}'; refresh c; hold '{gate}'");
        let live = sandbox.claude(&script).env("AGENT_INIT_CAPTURE", store.text("capture")).start();
        let stored = store.path("capture/claude/.credentials.json");
        for name in ["FAKE-refresh-b", "FAKE-refresh-c"] {
            let is_published = || fs::read_to_string(&stored).is_ok_and(|login| login.contains(name));
            await_path(stored.parent().unwrap(), "the published login", is_published);
            gate.open();
        }
        let outcome = live.wait().ok();
        let warnings = outcome.warnings().iter().filter(|line| line.contains("not its turn")).count();
        assert_eq!(warnings, expected, "{outcome}");
    }
}
