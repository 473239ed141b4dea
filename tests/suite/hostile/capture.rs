//! A capture that the agent's own uid can write to: what it plants there leads root nowhere else.

use std::os::unix::fs::{MetadataExt, lchown, symlink};

use super::{FILE, Ground, await_login, ground};
use crate::support::{Sandbox, Session, await_path, needs_root};

/// A login in a directory that only root may enter: another capture, say.
fn roots_login(sandbox: &Sandbox) -> String {
    sandbox.write("root/prod/.credentials.json", Session::new("prod").json());
    sandbox.chmod("root/prod", 0o700);
    sandbox.text("root/prod")
}

/// It is as it was, and nothing lies beside it.
#[track_caller]
fn assert_untouched(sandbox: &Sandbox) {
    let names = std::fs::read_dir(sandbox.path("root/prod")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), [".credentials.json"]);
    assert_eq!(sandbox.read("root/prod/.credentials.json"), Session::new("prod").json());
}

/// The user of a container often owns the directory on the host that is its capture.
fn owned() -> Ground {
    let ground = ground();
    ground.sandbox.give("capture", 1000);
    ground
}

#[test]
fn a_capture_replaced_by_a_link_is_not_followed_while_the_agent_runs() {
    needs_root!();
    let Ground { sandbox, .. } = owned();
    let roots = roots_login(&sandbox);
    let mut gate = sandbox.gate("gate");
    let script = "mv \"$2/claude\" \"$2/moved\"; ln -s \"$1\" \"$2/claude\"; refresh b; hold \"$3\"; cat \"$F\"";
    let run = sandbox.claude(script).arguments([roots, sandbox.text("capture"), gate.to_string()]);
    let mut live = run.options(["--user", "node"]).pid1().start();
    live.message("the symbolic link claude of uid 1000 leads out of its directory");
    // The directory that was there is the capture still.
    let moved = sandbox.path("capture/moved/.credentials.json");
    await_path(moved.parent().unwrap(), "login b", || {
        std::fs::read_to_string(&moved).is_ok_and(|text| text.contains("FAKE-refresh-b"))
    });
    gate.open();
    let outcome = live.wait().ok();
    assert!(!outcome.stdout.contains("FAKE-refresh-prod"), "{outcome}");
    assert_untouched(&sandbox);
}

#[test]
fn a_capture_replaced_by_a_link_is_not_followed_at_the_next_start() {
    needs_root!();
    let Ground { sandbox, .. } = owned();
    let roots = roots_login(&sandbox);
    std::fs::rename(sandbox.path("capture/claude"), sandbox.path("capture/moved")).unwrap();
    symlink(roots, sandbox.path("capture/claude")).unwrap();
    lchown(sandbox.path("capture/claude"), Some(1000), Some(1000)).unwrap();
    for options in [["--scope", "login"], ["--scope", "all"]] {
        let run = sandbox.claude("say started; cat \"$F\"; ls -A \"$C\"").options(["--user", "node"]).options(options);
        let outcome = run.pid1().run();
        outcome
            .refuses(&["capture/claude", "of uid 1000 leads out of its directory", "\n  hint: "])
            .prints_no(&["started"]);
        assert_untouched(&sandbox);
    }
}

/// A link of root's is the operator's: it is followed, and what happens where it leads is heard.
#[test]
fn an_operators_link_is_followed() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.write("logins/claude/.credentials.json", Session::new("a").json());
    std::fs::remove_dir(sandbox.path("capture")).unwrap();
    symlink("logins", sandbox.path("capture")).unwrap();
    std::fs::rename(sandbox.path("logins/claude"), sandbox.path("elsewhere")).unwrap();
    symlink(sandbox.path("elsewhere"), sandbox.path("logins/claude")).unwrap();
    sandbox.give("home", 1000);
    let mut gate = sandbox.gate("gate");
    let script = "hold \"$1\" ready; refresh c; hold \"$1\"";
    let run = sandbox.claude(script).arguments([gate.to_string()]).options(["--user", "node"]);
    let mut live = run.pid1().start();
    live.line("ready");
    sandbox.write("elsewhere/.other.tmp", Session::new("b").json());
    std::fs::rename(sandbox.path("elsewhere/.other.tmp"), sandbox.path("elsewhere/.credentials.json")).unwrap();
    await_login(&sandbox, "b");
    gate.open();
    let stored = sandbox.path("elsewhere/.credentials.json");
    await_path(stored.parent().unwrap(), "login c", || {
        std::fs::read_to_string(&stored).is_ok_and(|text| text.contains("FAKE-refresh-c"))
    });
    gate.open();
    live.wait().ok().quiet();
}

/// The login is a mount of its own in a directory that the agent can move.
#[test]
fn a_single_file_is_found_when_its_directory_is_moved() {
    needs_root!();
    let Ground { sandbox, .. } = ground();
    let roots = roots_login(&sandbox);
    std::fs::remove_dir_all(sandbox.path("capture/claude")).unwrap();
    let mounted = sandbox.write("mounted.json", Session::new("m").json());
    sandbox.write("home/.claude/.credentials.json", "");
    sandbox.give("home", 1000);
    let mut gate = sandbox.gate("gate");
    let script =
        "mv \"$HOME/.claude\" \"$HOME/moved\"; ln -s \"$1\" \"$HOME/.claude\"; refresh n; hold \"$2\"; cat \"$F\"";
    let run = sandbox.claude(script).arguments([roots, gate.to_string()]).options(["--user", "node"]);
    let run = run.pid1().bind(&mounted, sandbox.path("home/.claude/.credentials.json"));
    let live = run.start();
    await_path(mounted.parent().unwrap(), "login n", || sandbox.read("mounted.json").contains("FAKE-refresh-n"));
    gate.open();
    let outcome = live.wait().ok();
    assert!(!outcome.stdout.contains("FAKE-refresh-prod"), "{outcome}");
    assert_untouched(&sandbox);
}

/// Where the kernel lets everybody make hard links (`fs.protected_hardlinks=0`).
#[test]
fn hard_links_to_another_users_files_are_not_read() {
    needs_root!();
    let Ground { sandbox, .. } = ground();
    sandbox.write("root/key", "FAKE-key");
    for place in ["capture/claude/.agent-init/lock", "capture/claude/.agent-init/refresh", "capture/claude/CLAUDE.md"] {
        let path = sandbox.path(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::hard_link(sandbox.path("root/key"), path).unwrap();
    }
    for place in ["capture", "capture/claude", FILE, "capture/claude/.agent-init"] {
        lchown(sandbox.path(place), Some(1000), Some(1000)).unwrap();
    }
    let run = sandbox.claude("refresh b; cat \"$C/CLAUDE.md\"").options(["--user", "node"]);
    let outcome =
        run.pid1().run().says(&["it belongs to uid 0, and has more than one hard link", "lock is not a lock file"]);
    assert!(!outcome.stdout.contains("FAKE-key"), "{outcome}");
    let key = sandbox.path("root/key").metadata().unwrap();
    assert_eq!((key.uid(), key.mode() & 0o777), (0, 0o600));
    assert!(sandbox.read("state/recovery/claude/.credentials.json").contains("FAKE-refresh-b"));
}
