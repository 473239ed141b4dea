//! Commands that do not refresh: what is stored stays, and the operator reads why.

use super::{REFRESH, STORED, captured, keeper, name_of, requests};
use crate::support::{Session, needs_root};

#[test]
fn a_command_that_does_not_refresh_changes_nothing() {
    struct Row {
        what: &'static str,
        script: &'static str,
        says: &'static [&'static str],
    }
    let rows = [
        Row {
            what: "fails",
            script: "echo 'Failed to authenticate' >&2; exit 3",
            says: &[
                "was not refreshed: claude -p x failed: exit status 3",
                "the command wrote: Failed to authenticate",
            ],
        },
        Row {
            what: "succeeds, and did nothing",
            script: "printf 'fine\\033[31m \\n'",
            says: &["was not refreshed: claude -p x ended without a refresh", "the command wrote: fine"],
        },
        Row {
            what: "is killed",
            script: "kill -9 $$",
            says: &["was not refreshed: claude -p x was killed by signal 9"],
        },
        Row {
            what: "leaves garbage",
            script: "torn",
            says: &["was not refreshed: the file that claude -p x left is not a usable login: "],
        },
        Row {
            what: "leaves a directory",
            script: "rm \"$F\"; mkdir \"$F\"",
            says: &["was not refreshed: the file that claude -p x left is not a usable login: "],
        },
        Row {
            what: "leaves a link",
            script: "login b >\"$VENDOR/elsewhere\"; rm \"$F\"; ln -s \"$VENDOR/elsewhere\" \"$F\"",
            says: &["was not refreshed: the file that claude -p x left is not a usable login: "],
        },
        Row {
            what: "blanks the login",
            script: "blank",
            says: &["the vendor refused to refresh the login in ", "log in again: "],
        },
        Row { what: "removes the login", script: "rm \"$F\"", says: &["the vendor refused to refresh the login in "] },
        Row {
            what: "writes without end",
            script: "yes FAKE | head -c 3000000; exit 1",
            says: &["was not refreshed: claude -p x failed: exit status 1"],
        },
    ];
    for Row { what, script, says } in rows {
        let sandbox = captured(60);
        let before = sandbox.read(STORED);
        let outcome = keeper(&sandbox, script).arguments(["--once"]).run().code(1).says(says);
        assert_eq!(sandbox.read(STORED), before, "{what}");
        assert!(!sandbox.exists("state/keep/refresh/claude/.credentials.json"), "{what}: {outcome}");
        assert!(!sandbox.exists("state/keep/marks/claude"), "{what}: {outcome}");
        assert!(!outcome.stderr.contains('\u{1b}'), "{what}: {outcome}");
    }
}

/// The command is killed with its children at the end of its time, and the file is looked at all the same.
#[test]
fn a_command_that_hangs_is_killed_and_its_login_counts() {
    struct Row {
        what: &'static str,
        before: &'static str,
        code: i32,
        stored: &'static str,
    }
    let rows = [
        Row { what: "before it refreshed", before: ":", code: 1, stored: "a" },
        Row { what: "after it refreshed", before: "refresh b", code: 0, stored: "b" },
    ];
    needs_root!();
    let definition = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/agent/definitions/claude.json"));
    let definition = definition.unwrap().replace("\"refresh\": {", "\"refresh\": { \"limit\": 1,");
    for Row { what, before, code, stored } in rows {
        let sandbox = captured(60);
        sandbox.write("agents/claude.json", &definition);
        let from = sandbox.text("agents");
        let run = keeper(&sandbox, &format!("{before}\nsleep 1000 & sleep 1000")).arguments(["--once"]).pid1();
        let run = run.tmpfs("/etc").setup(format!("mkdir -p /etc/agent-init; cp -R {from} /etc/agent-init/agents"));
        let outcome = run.run();
        assert_eq!((outcome.code, name_of(&sandbox.read(STORED)).as_str()), (Some(code), stored), "{what}: {outcome}");
        if code == 1 {
            outcome.says(&["was not refreshed: claude -p x did not end within 1 s, and was killed"]);
        }
    }
}

/// A service tries again, later each time.
#[test]
fn a_service_tries_again_after_a_failure() {
    let sandbox = captured(60);
    let script =
        format!("echo try >>\"$VENDOR/tries\"\n[ \"$(wc -l <\"$VENDOR/tries\")\" -ge 2 ] || exit 1\n{REFRESH}");
    let mut live = keeper(&sandbox, &script).start();
    live.message("was not refreshed: claude -p x failed: exit status 1");
    live.message("hint: the command wrote nothing on standard error: run it by hand to see what is wrong; the keeper tries again in 10s");
    live.message("claude: refreshed the login in ");
    live.stop();
    live.wait().ok();
    assert_eq!(name_of(&sandbox.read(STORED)), "ax");
}

/// A refused login is not tried again, until there is another.
#[test]
fn a_refused_login_is_not_tried_again() {
    let sandbox = captured(60);
    let run = keeper(&sandbox, REFRESH);
    sandbox.write("vendor/name", "other\n");
    let mut live = run.start();
    live.message("the vendor refused to refresh the login in ");
    sandbox.write("vendor/name", "b\n");
    sandbox.captured("claude", ".credentials.json", &Session::expired("b").json());
    live.message("claude: refreshed the login in ");
    live.stop();
    live.wait().ok();
    assert_eq!(requests(&sandbox), ["a", "b"]);
}

/// A capture that refuses the new login: it is kept, and the next start publishes it without a request.
#[test]
fn a_login_that_cannot_be_published_is_kept() {
    let sandbox = captured(60);
    let record = sandbox.text("capture/claude/.agent-init/record.json");
    let script = REFRESH.replace("exit 1", &format!("rm -f {record}; mkdir -p {record}"));
    let mut live = keeper(&sandbox, &script).start();
    live.message("claude: cannot save the login to ");
    live.stop();
    live.wait().ok();
    assert_eq!(name_of(&sandbox.read(STORED)), "a");
    assert_eq!(name_of(&sandbox.read("state/keep/recovery/claude/.credentials.json")), "ax");
    std::fs::remove_dir(record).unwrap();
    keeper(&sandbox, REFRESH).arguments(["--once"]).run().ok();
    assert_eq!((name_of(&sandbox.read(STORED)).as_str(), requests(&sandbox).len()), ("ax", 1));
    assert!(!sandbox.exists("state/keep/recovery/claude/.credentials.json"));
}
