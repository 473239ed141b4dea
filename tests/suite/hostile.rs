//! The agent's directory is hostile ground: what it plants there is never published and never ends PID 1.

mod capture;
mod crowds;
mod floods;
mod nesting;

use std::os::unix::fs::MetadataExt;

use crate::support::{Outcome, Sandbox, Session, await_path, needs_root};

/// What the agent (uid 1000) puts in the place of its login: `$P` becomes `$F`. `$1` is a login that only root may read,
/// `$2` one of its own elsewhere.
const PLANTS: &[(&str, &str)] = &[
    ("symlink to root's file", "ln -s \"$1\" \"$P\""),
    ("symlink to its own file", "ln -s \"$2\" \"$P\""),
    ("relative symlink", "login evil >\"$C/x\"; ln -s x \"$P\""),
    ("symlink to a device", "ln -s /dev/zero \"$P\""),
    ("dangling symlink", "ln -s /nosuch \"$P\""),
    ("fifo", "mkfifo \"$P\""),
    ("directory", "mkdir \"$P\""),
    ("full directory", "mkdir \"$P\"; login evil >\"$P/x\""),
    ("hard link to its own file", "ln \"$2\" \"$P\""),
    ("second link to the file", "login evil >\"$C/x\"; ln \"$C/x\" \"$P\""),
    ("huge file", "truncate -s 64G \"$P\""),
    ("large valid file", "(login evil; head -c 2000000 /dev/zero | tr '\\0' ' ') >\"$P\""),
];

/// What is no login, and what moves the ground itself.
const OTHERS: &[(&str, &str)] = &[
    ("deeply nested JSON", "(head -c 500000 /dev/zero | tr '\\0' '[') >\"$P\"; mv \"$P\" \"$F\""),
    ("binary", "head -c 500000 /dev/urandom >\"$P\"; mv \"$P\" \"$F\""),
    (
        "directory replaced by a symlink",
        "mv \"$C\" \"$C.gone\"; login evil >\"$3/.credentials.json\"; ln -s \"$3\" \"$C\"",
    ),
];

struct Ground {
    sandbox: Sandbox,
    arguments: [String; 3],
}

const FILE: &str = "capture/claude/.credentials.json";

fn ground() -> Ground {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    let roots = sandbox.write("roots.json", Session::new("root").json()).display().to_string();
    let own = sandbox.write("own/login.json", Session::new("evil").json()).display().to_string();
    sandbox.mkdir("own/sub");
    sandbox.give("own", 1000);
    sandbox.give("home", 1000);
    let directory = sandbox.text("own/sub");
    Ground { sandbox, arguments: [roots, own, directory] }
}

#[test]
fn planted_files_are_never_published_and_reported_once() {
    needs_root!();
    for (what, plant) in PLANTS {
        for sync in ["live", "exit"] {
            let outcome = planted(what, &format!("{plant}; [ ! -d \"$P\" ] || rm \"$F\"; mv -T \"$P\" \"$F\""), sync);
            assert!(!outcome.warnings().is_empty(), "{sync}: {what}: not a word\n{outcome}");
            outcome.repeats_nothing();
        }
    }
}

#[test]
fn an_invalid_login_is_never_published() {
    needs_root!();
    for (what, plant) in OTHERS {
        for sync in ["live", "exit"] {
            planted(what, plant, sync).repeats_nothing();
        }
    }
}

/// Runs an agent that plants something; the capture must be as before.
fn planted(what: &str, plant: &str, sync: &str) -> Outcome {
    let Ground { sandbox, arguments } = ground();
    let before = sandbox.read(FILE);
    let run = sandbox.claude(&format!("P=$C/plant; {plant}; say planted; exit 5")).arguments(arguments);
    let outcome = run.options(["--user", "node", "--sync", sync]).pid1().run().code(5).prints(&["planted"]);
    assert_eq!(sandbox.read(FILE), before, "{sync}: {what}\n{outcome}");
    outcome
}

#[test]
fn a_regular_file_is_accepted_again_afterwards() {
    needs_root!();
    let Ground { sandbox, arguments } = ground();
    let mut gate = sandbox.gate("gate");
    let script = "ln -s \"$1\" \"$C/p\"; mv -T \"$C/p\" \"$F\"; for n in 1 2 3; do touch \"$C/$n\"; done; hold \"$4\" planted; refresh b";
    let run = sandbox.claude(script).arguments(arguments).arguments([gate.to_string()]).options(["--user", "node"]);
    let mut live = run.pid1().start();
    live.line("planted");
    await_login(&sandbox, "a");
    gate.open();
    live.wait().ok().warns_once(&[".credentials.json"]).repeats_nothing();
    assert!(sandbox.read(FILE).contains("FAKE-refresh-b"));
}

/// Until the working copy is a plain file with this login.
fn await_login(sandbox: &Sandbox, name: &str) {
    let directory = sandbox.path("home/.claude");
    let file = directory.join(".credentials.json");
    let is_plain = || file.symlink_metadata().is_ok_and(|meta| meta.is_file());
    let has = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains(&format!("FAKE-refresh-{name}")));
    await_path(&directory, &format!("login {name}"), || is_plain() && has());
}

#[test]
fn a_file_of_another_uid_is_not_published() {
    needs_root!();
    let Ground { sandbox, .. } = ground();
    let mut gate = sandbox.gate("gate");
    let run = sandbox.claude("hold \"$1\" ready").arguments([gate.to_string()]).options(["--user", "node"]);
    let mut live = run.pid1().start();
    live.line("ready");
    let other = sandbox.write("home/other", Session::new("evil").json());
    std::os::unix::fs::chown(&other, Some(1001), Some(1001)).unwrap();
    std::fs::rename(other, sandbox.path("home/.claude/.credentials.json")).unwrap();
    await_login(&sandbox, "a");
    gate.open();
    live.wait().ok().warns_once(&[".credentials.json"]);
    assert!(sandbox.read(FILE).contains("FAKE-refresh-a"));
}

/// Root writes the adopted login; a link planted in its way must not lead it elsewhere.
#[test]
fn adopting_does_not_write_through_a_planted_link() {
    needs_root!();
    let Ground { sandbox, arguments } = ground();
    let mut gate = sandbox.gate("gate");
    let script = "rm \"$F\"; ln -s \"$1\" \"$F\"; hold \"$4\" ready";
    let run = sandbox.claude(script).arguments(arguments).arguments([gate.to_string()]).options(["--user", "node"]);
    let mut live = run.pid1().start();
    live.line("ready");
    sandbox.write("capture/claude/.tmp", Session::new("b").json());
    std::fs::rename(sandbox.path("capture/claude/.tmp"), sandbox.path(FILE)).unwrap();
    await_login(&sandbox, "b");
    gate.open();
    live.wait().ok();
    assert!(sandbox.read("roots.json").contains("FAKE-refresh-root"));
    assert_eq!(sandbox.path("roots.json").metadata().unwrap().uid(), 0);
    assert!(sandbox.read(FILE).contains("FAKE-refresh-b"));
}

#[test]
fn a_swap_of_file_and_link_at_full_speed_publishes_no_secret() {
    needs_root!();
    let Ground { sandbox, arguments } = ground();
    let script = "n=0; while [ $n -lt 400 ]; do n=$((n+1)); ln -s \"$1\" \"$C/l\"; mv -T \"$C/l\" \"$F\"; login own$n >\"$C/p\"; mv -T \"$C/p\" \"$F\"; done";
    let run = sandbox.claude(script).arguments(arguments).options(["--user", "node"]);
    run.pid1().run().ok();
    assert!(sandbox.read(FILE).contains("FAKE-refresh-own400"));
    let kept = std::process::Command::new("grep")
        .args(["-rl", "FAKE-refresh-root"])
        .arg(sandbox.path("capture"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&kept.stdout), "");
}

#[test]
fn a_full_working_copy_does_not_end_the_run() {
    needs_root!();
    let Ground { sandbox, .. } = ground();
    sandbox.mkdir("small");
    let run = sandbox
        .claude("head -c 300000 /dev/zero >\"$C/fill\" 2>/dev/null; inplace b 2>/dev/null; exit 5")
        .options(["--user", "node"]);
    let small = sandbox.text("small");
    let run = run.setup(format!("mount -t tmpfs -o size=128k,mode=755 tmpfs {small}")).options(["--work-dir", &small]);
    run.run().code(5);
}

#[test]
fn a_hostile_capture_does_not_end_the_run() {
    needs_root!();
    let Ground { sandbox, .. } = ground();
    let mut gate = sandbox.gate("gate");
    let run = sandbox.claude("hold \"$1\" ready; say on").arguments([gate.to_string()]).options(["--user", "node"]);
    let mut live = run.pid1().start();
    live.line("ready");
    std::fs::remove_file(sandbox.path(FILE)).unwrap();
    std::os::unix::fs::symlink(sandbox.path("roots.json"), sandbox.path(FILE)).unwrap();
    gate.open();
    let outcome = live.wait().ok().prints(&["on"]);
    let working = sandbox.read("home/.claude/.credentials.json");
    assert!(!working.contains("FAKE-refresh-root"), "{outcome}");
}
