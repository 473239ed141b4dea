//! The keeper is killed at every system call that changes a file: whatever the vendor has given is stored in the end,
//! and no token is asked for twice.

use std::time::{Duration, SystemTime};

use super::{REFRESH, STORED, captured, keeper, name_of, requests};

/// All that changes files.
const CHANGES: &[&str] =
    &["mkdirat", "fchmod", "write", "fsync", "renameat", "renameat2", "unlinkat", "flock", "utimensat"];
/// More than any run makes of one kind.
const MANY: usize = 200;

/// Returns whether the keeper was killed.
fn is_killed_at(syscall: &str, n: usize) -> bool {
    let sandbox = captured(60);
    let trace = format!("trace={syscall}");
    let inject = format!("inject={syscall}:signal=KILL:when={n}");
    let strace = ["strace", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let outcome = keeper(&sandbox, REFRESH).arguments(["--once", "-v"]).through(strace).run();
    // What a killed keeper leaves before it has marked the agent's lock as its own counts as an agent's for a minute.
    if let Ok(lock) = std::fs::File::open(sandbox.path("capture/claude/.oauth_refresh.lock")) {
        lock.set_modified(SystemTime::now() - Duration::from_secs(61)).unwrap();
    }
    let next = keeper(&sandbox, REFRESH).arguments(["--once", "-v"]).run();
    let context = format!("{syscall} {n}\n{outcome}\nthe next:\n{next}");
    assert_eq!(next.code, Some(0), "{context}");
    let stored = name_of(&sandbox.read(STORED));
    assert_eq!((stored.as_str(), requests(&sandbox)), ("ax", vec!["a".to_owned()]), "{context}");
    assert_eq!(sandbox.read("vendor/name"), "ax\n", "{context}");
    outcome.code != Some(0)
}

#[test]
fn a_keeper_killed_at_any_change_loses_nothing() {
    let mut killed = 0;
    for syscall in CHANGES {
        killed += (1..MANY).take_while(|n| is_killed_at(syscall, *n)).count();
    }
    println!("killed at {killed} system calls");
    assert!(killed > 30, "only {killed}: strace did not hit");
}
