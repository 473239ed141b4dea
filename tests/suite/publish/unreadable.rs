//! An I/O error says nothing of what a file holds: it is read again, told of, and nothing takes its place meanwhile.

use std::os::unix::fs::MetadataExt;

use super::{Captured, FILE, name_of, ready};
use crate::support::{Live, Outcome, Sandbox, Session, Tracer};

/// Errors that come and go: leases, servers, limits, disks, rights.
const ERRORS: &[&str] = &["EAGAIN", "EIO", "ESTALE", "EMFILE", "ENFILE", "ENOMEM", "EACCES", "ETIMEDOUT"];
const OPEN: &str = "openat,openat2";
/// One step of reading a file, and the errors that it is tried with.
const STEPS: &[(&str, &[&str])] =
    &[(OPEN, ERRORS), ("read", &["EIO", "ESTALE"]), ("fstat,newfstatat,statx", &["EIO", "ESTALE"])];

fn each_error(test: impl Fn(&str)) {
    for (calls, errors) in STEPS {
        for error in *errors {
            test(&format!("{calls}:error={error}"));
        }
    }
}

/// Renames a new login into its place while it holds a write lease on it (`F_SETLEASE` in fcntl(2)), which makes others'
/// open(2) fail with EAGAIN; gives the lease back when the gate opens.
const LEASE: &str = r#"
import fcntl, os, signal, sys
new, place, gate = sys.argv[1:]
signal.signal(signal.SIGIO, signal.SIG_IGN)
held = os.open(new, os.O_RDWR)
fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
os.rename(new, place)
print("leased", flush=True)
os.read(os.open(gate, os.O_RDONLY), 3)
fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
"#;

#[test]
fn a_login_under_a_write_lease_is_waited_for() {
    let mut captured = Captured::new();
    captured.sandbox.write("lease.py", LEASE);
    let script = "login b >\"$F.new\"; chmod 600 \"$F.new\"; python3 \"$1\" \"$F.new\" \"$F\" \"$2\"; pause";
    let mut live =
        captured.run(script).arguments([captured.sandbox.text("lease.py"), captured.gate.to_string()]).start();
    live.line("leased");
    let inode = captured.sandbox.path("home/.claude/.credentials.json").metadata().unwrap().ino();
    // Half a second: longer than what is taken for a write that is under way.
    live.message("cannot read");
    assert_eq!(captured.sandbox.path("home/.claude/.credentials.json").metadata().unwrap().ino(), inode);
    assert_eq!(captured.stored(), "a");
    captured.gate.open();
    captured.await_stored("b");
    captured.gate.open();
    let outcome = live.wait().ok().warns_once(&["cannot read", "home/.claude/.credentials.json"]);
    assert_eq!(outcome.warnings().len(), 1, "{outcome}");
    assert_eq!(name_of(&captured.sandbox.read("home/.claude/.credentials.json")), "b");
}

/// The agent refreshes to "b" while the kernel fails at these paths, until the warning came.
fn while_failing(captured: &mut Captured, fault: &str, paths: &[&str]) -> Live {
    let live = ready(captured.run("pause ready; refresh b; pause"));
    let paths: Vec<String> = paths.iter().map(|path| captured.sandbox.text(path)).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let tracer = Tracer::at(live.pid(), fault, &paths);
    captured.gate.open();
    let mut live = live;
    live.message("cannot read");
    assert_eq!(name_of(&captured.sandbox.read("home/.claude/.credentials.json")), "b", "{fault}");
    assert_eq!(captured.stored(), "a", "{fault}");
    drop(tracer);
    live
}

#[test]
fn a_working_copy_that_cannot_be_read_is_not_replaced() {
    each_error(|fault| {
        let mut captured = Captured::new();
        let paths = ["home/.claude", "home/.claude/.credentials.json"];
        let live = while_failing(&mut captured, fault, &paths);
        captured.await_stored("b");
        captured.gate.open();
        let outcome = live.wait().ok();
        assert_eq!(captured.conflicts(), "", "{fault}\n{outcome}");
        assert!(outcome.says_no(&["os error"]).stderr.contains("home/.claude/.credentials.json"), "{fault}");
    });
}

#[test]
fn a_stored_login_that_cannot_be_read_is_not_replaced() {
    for error in ERRORS {
        let mut captured = Captured::new();
        let fault = format!("{OPEN}:error={error}");
        let live = while_failing(&mut captured, &fault, &["capture/claude"]);
        captured.await_stored("b");
        captured.gate.open();
        let outcome = live.wait().ok().says(&["is kept in", "state/recovery/claude"]).says_no(&["os error"]);
        assert!(!captured.sandbox.exists("state/recovery/claude/.credentials.json"), "{error}\n{outcome}");
    }
}

/// Another container's record tells that ours is spent: until it can be read, nothing is published.
#[test]
fn a_record_that_cannot_be_read_is_not_taken_for_none() {
    let mut captured = Captured::new();
    let mut live = ready(captured.run("refresh x; pause ready; refresh b; pause"));
    captured.await_stored("x");
    let record = captured.sandbox.text("capture/claude/.agent-init/record.json");
    let tracer = Tracer::at(live.pid(), "read:error=EIO", &[&record]);
    captured.gate.open();
    live.message("the record of");
    assert_eq!(captured.stored(), "x");
    drop(tracer);
    captured.await_stored("b");
    captured.gate.open();
    live.wait().ok();
}

/// What cannot be read to the end is said, with the place.
#[test]
fn a_working_copy_that_cannot_be_read_at_the_end_is_reported() {
    let mut captured = Captured::new();
    let mut live = ready(captured.run("pause ready; refresh b"));
    let place = captured.sandbox.text("home/.claude");
    let tracer = Tracer::at(live.pid(), "openat:error=EIO", &[&place]);
    captured.gate.open();
    live.message("cannot read");
    let outcome =
        live.wait().ok().says(&["agent-init: error: ", "could not be read", "home/.claude/.credentials.json"]);
    drop(tracer);
    outcome.says_no(&["a copy is in", "is kept in", "os error"]);
    assert_eq!(captured.stored(), "a");
    assert_eq!(name_of(&captured.sandbox.read("home/.claude/.credentials.json")), "b");
}

/// A start, with the kernel failing at these paths from its `when`th such call on.
fn start(sandbox: &Sandbox, fault: &str, when: &str, paths: &[&str]) -> Outcome {
    let fault = format!("inject={fault}:when={when}");
    let paths: Vec<String> = paths.iter().flat_map(|path| ["-P".to_owned(), sandbox.text(path)]).collect();
    let strace = ["strace", "-qq", "-o", "/dev/null", "-e", &fault].map(str::to_owned);
    sandbox.claude("seen").through(strace.into_iter().chain(paths)).run()
}

/// After a run that refreshed to "b" and could not publish it: the capture has "a".
fn refreshed() -> Sandbox {
    let captured = Captured::new();
    captured.run("refresh b").options(["--sync", "exit"]).run().ok();
    captured.store(&Session::new("a"));
    captured.sandbox
}

const WORKING: &str = "home/.claude/.credentials.json";

/// What an earlier run left and a start cannot read is neither passed over nor written over.
#[test]
fn a_start_does_not_pass_over_what_it_cannot_read() {
    let rows: [(&str, &str, &[&str]); 6] = [
        (WORKING, "openat:error=EIO", &["home/.claude"]),
        (WORKING, "read:error=EIO", &[WORKING]),
        (WORKING, "fstat,newfstatat,statx:error=ESTALE", &[WORKING]),
        ("state/state.json", "read:error=EIO", &["state/state.json"]),
        ("state/state.json", "openat:error=EMFILE", &["state"]),
        ("capture/claude/.agent-init/record.json", "read:error=EIO", &["capture/claude/.agent-init/record.json"]),
    ];
    for (file, fault, paths) in rows {
        let sandbox = refreshed();
        let before = sandbox.read(file);
        let outcome = start(&sandbox, fault, "1+", paths);
        outcome.refuses(&["cannot read", file, "\n  hint: "]).says_no(&["os error"]).prints_no(&["FILE="]);
        assert_eq!(sandbox.read(file), before, "{fault}");
        assert_eq!(
            (name_of(&sandbox.read(WORKING)), name_of(&sandbox.read(FILE))),
            ("b".into(), "a".into()),
            "{fault}"
        );
        // An error of the moment costs a moment.
        let outcome = start(&sandbox, fault, "1", paths).ok().says_no(&["cannot read"]);
        assert_eq!(name_of(outcome.variable("FILE").unwrap()), "b", "{fault}\n{outcome}");
        assert_eq!(name_of(&sandbox.read(FILE)), "b", "{fault}\n{outcome}");
    }
}

/// The stored login cannot be read at the start and is read later: it is not given up, and no login that somebody makes
/// meanwhile takes its place unseen.
#[test]
fn a_stored_login_that_cannot_be_read_at_the_start_is_adopted_later() {
    let mut captured = Captured::new();
    let fault = "inject=read:error=EIO:when=1..9";
    let place = captured.sandbox.text(FILE);
    let run = captured.run("pause ready; say \"FILE=$(cat \"$F\")\"");
    let mut live = ready(run.through(["strace", "-qq", "-o", "/dev/null", "-e", fault, "-P", &place]));
    captured.await_working("a");
    captured.gate.open();
    live.line("FAKE-refresh-a");
    live.wait().ok().says(&["not usable: it cannot be read"]).says_no(&["os error"]);
    assert_eq!(captured.stored(), "a");
}

/// Which of two places a login is taken from is not decided by a look that failed: neither the layout of a capture nor
/// whether something was mounted at the agent's own place.
#[test]
fn a_directory_that_cannot_be_examined_is_not_taken_for_empty() {
    for error in ["EIO", "ESTALE", "EMFILE", "ENOMEM"] {
        for name in ["capture/.credentials.json", "capture/oauth-token"] {
            let sandbox = refreshed();
            // glibc asks by newfstatat(2), musl by lstat(2), which not every architecture has.
            let fault = format!("newfstatat,?lstat:error={error}");
            let outcome = start(&sandbox, &fault, "1+", &[name]);
            outcome
                .refuses(&["cannot read the capture", "capture", "\n  hint: "])
                .says_no(&["os error"])
                .prints_no(&["FILE="]);
            assert_eq!(name_of(&sandbox.read(FILE)), "a", "{fault} {name}");
        }
    }
}
