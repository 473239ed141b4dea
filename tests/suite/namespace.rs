//! User namespaces as rootless engines make them: root in there is nobody out here, and only some ids exist.

use std::os::unix::fs::chown;

use crate::support::{Run, Sandbox, Session, needs_root};

/// Root of a user namespace whose id 0 is this one outside.
const OUTSIDE: u32 = 100_000;

/// A run as PID 1 in a user namespace of `count` ids, with a capture that belongs to `owner` as seen from outside.
fn run(sandbox: &Sandbox, count: u32, owner: u32, options: &[&str]) -> Run {
    for name in ["", "home", "state", "capture", "cwd"] {
        chown(sandbox.path(name), Some(OUTSIDE), Some(OUTSIDE)).unwrap();
    }
    chown(sandbox.path("capture"), Some(owner), Some(owner)).unwrap();
    let mapped = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/support/mapped.py");
    let (outside, count) = (OUTSIDE.to_string(), count.to_string());
    let enter = ["python3", "-B", mapped, &outside, &count, "unshare", "-pfm", "--mount-proc", "--kill-child"];
    sandbox
        .claude("say \"$(id -u):$(id -g)\"; cat \"$F\"; say; refresh two; say refreshed")
        .options(options.iter().copied())
        .through(enter)
        .env("CLAUDE_CREDENTIALS_B64", Session::new("one").b64())
}

#[test]
fn a_login_is_installed_and_its_refresh_is_published() {
    needs_root!();
    for (user, who) in [("1000:1000", "1000:1000"), ("1000:0", "1000:0"), ("0", "0:0")] {
        // The capture is root's of the namespace, or the agent's.
        for owner in [OUTSIDE, OUTSIDE + 1000] {
            let sandbox = Sandbox::new();
            let outcome = run(&sandbox, 65536, owner, &["--user", user]).run().ok();
            outcome.prints(&[&format!("{who}\n"), "FAKE-access-one", "refreshed"]).quiet();
            let file = sandbox.path("capture/claude/.credentials.json");
            assert_eq!(std::os::unix::fs::MetadataExt::uid(&file.metadata().unwrap()), owner, "{user}");
            assert!(sandbox.read("capture/claude/.credentials.json").contains("FAKE-access-two"), "{user}");
        }
    }
}

#[test]
fn an_unmapped_id_is_refused_and_the_mapped_ones_are_listed() {
    needs_root!();
    for (count, user, says) in [
        (1001, "12345", "uid 12345 is not in this container's user namespace, which has 0 to 1000"),
        (1001, "1000:12345", "gid 12345 is not in this container's user namespace, which has 0 to 1000"),
        (1, "1000:1000", "uid 1000 is not in this container's user namespace, which has 0 to 0"),
    ] {
        let sandbox = Sandbox::new();
        run(&sandbox, count, OUTSIDE, &["--user", user]).run().refuses(&[says, "\n  hint: "]).prints_no(&["FAKE"]);
    }
    let sandbox = Sandbox::new();
    run(&sandbox, 1, OUTSIDE, &[]).run().ok().prints(&["0:0\n", "refreshed"]);
}

/// A directory of the host's root: to root in there it is nobody's.
#[test]
fn a_capture_of_an_unmapped_owner_cannot_be_written() {
    needs_root!();
    let sandbox = Sandbox::new();
    let outcome =
        run(&sandbox, 65536, 0, &["--user", "1000:1000"]).run().ok().prints(&["FAKE-access-one", "refreshed"]);
    outcome.warns_once(&["capture/claude", "not writable"]);
    assert!(!sandbox.exists("capture/claude"));
}
