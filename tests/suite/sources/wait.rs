//! `--wait`: a login that comes while we wait.

use std::fs;

use crate::support::{Run, Sandbox, Session, needs_root};

fn waiting(sandbox: &Sandbox) -> Run {
    sandbox.claude("seen").options(["--wait", "50s"])
}

#[test]
fn a_login_that_appears_is_used() {
    type Appear = fn(&Sandbox);
    let ways: &[(&str, Appear)] = &[
        ("flat", |s| {
            s.write("capture/.credentials.json", Session::new("a").json());
        }),
        ("renamed into its place", |s| {
            s.mkdir("capture/claude");
            s.write("capture/new", Session::new("a").json());
            fs::rename(s.path("capture/new"), s.path("capture/claude/.credentials.json")).unwrap();
        }),
        ("a directory moved in", |s| {
            s.write("new/.credentials.json", Session::new("a").json());
            fs::rename(s.path("new"), s.path("capture/claude")).unwrap();
        }),
        ("damaged first", |s| {
            s.write("capture/claude/.credentials.json", "{\"claudeAiOauth\":");
            s.write("capture/claude/.credentials.json", Session::new("a").json());
        }),
    ];
    for (what, appear) in ways {
        let sandbox = Sandbox::new();
        let mut live = waiting(&sandbox).options(["--require"]).start();
        live.message("waiting up to 50s");
        appear(&sandbox);
        let outcome = live.wait().ok().says(&["claude auth: subscription login (sync)"]);
        assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{what}\n{outcome}");
    }
}

#[test]
fn nobody_waits_with_a_credential_or_without_a_capture() {
    let sandbox = Sandbox::new();
    waiting(&sandbox).env("ANTHROPIC_API_KEY", "FAKE").run().ok().says_no(&["waiting"]);
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    waiting(&sandbox).run().ok().says_no(&["waiting"]);
    let sandbox = Sandbox::new();
    waiting(&sandbox).unset("AGENT_INIT_CAPTURE").run().ok().warns_once(&["--wait", "no capture"]);
}

#[test]
fn a_wait_ends_after_its_time() {
    let sandbox = Sandbox::new();
    let short = |options: &[&str]| sandbox.claude("say started").options(["--wait=200ms"]).options(options.to_vec());
    short(&[]).run().ok().prints(&["started"]).says(&["waiting", "claude auth: none"]);
    short(&["--require"]).run().refuses(&["no usable credential"]).prints_no(&["started"]);
    let mut live = waiting(&sandbox).start();
    live.message("waiting");
    live.stop();
    live.wait().code(143).says(&["stopped by SIGTERM while waiting"]);
}

#[test]
fn a_login_that_is_required_by_name_is_waited_for() {
    let sandbox = Sandbox::new();
    let run = sandbox.claude("seen").options(["--wait=50s", "--agent=claude,codex", "--require=claude"]);
    let mut live = run.env("CODEX_API_KEY", "FAKE").start();
    live.message("waiting");
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    live.wait().ok().says(&["claude auth: subscription login (sync)"]);
}

/// A capture on a FUSE file system, as virtiofs, and a login that comes from beneath it, as from another machine: nothing
/// is heard of it.
fn unwatched(sandbox: &Sandbox, wait: &str) -> Run {
    sandbox.mkdir("behind/claude");
    let (behind, capture) = (sandbox.text("behind"), sandbox.text("capture"));
    let run = sandbox.claude("seen").options([wait, "--require"]);
    run.pid1().setup(format!("bindfs {behind} {capture}"))
}

#[test]
fn a_login_without_an_event_is_found_by_polling() {
    needs_root!();
    // The second wait is over before the first look is due: one more is at its end.
    for wait in ["--wait=50s", "--wait=1900ms"] {
        let sandbox = Sandbox::new();
        let mut live = unwatched(&sandbox, wait).start();
        live.message("waiting up to");
        sandbox.write("behind/claude/new", Session::new("a").json());
        fs::rename(sandbox.path("behind/claude/new"), sandbox.path("behind/claude/.credentials.json")).unwrap();
        let outcome = live.wait().ok();
        assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{wait}\n{outcome}");
    }
    let sandbox = Sandbox::new();
    let mut live = unwatched(&sandbox, "--wait=50s").start();
    live.message("waiting up to");
    live.stop();
    live.wait().code(143).says(&["stopped by SIGTERM while waiting"]);
}

/// No watch is to be had: the user's limit of instances is reached, or that of watches.
#[test]
fn a_capture_that_cannot_be_watched_is_polled() {
    for fault in ["inotify_init1:error=EMFILE", "inotify_add_watch:error=ENOSPC"] {
        let sandbox = Sandbox::new();
        let inject = format!("inject={fault}");
        let mut live = waiting(&sandbox).through(["strace", "-qq", "-o", "/dev/null", "-e", &inject]).start();
        live.message("checking every 2 s instead");
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        let outcome = live.wait().ok().says_no(&["os error"]);
        assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{fault}\n{outcome}");
    }
}

#[test]
fn a_capture_behind_a_link_is_waited_for() {
    let ways: [(&str, &str); 4] = [
        ("link", "link/claude"),
        ("claude=link", "link"),
        ("link/deeper", "link/deeper/claude"),
        ("claude=link/claude", "link/claude"),
    ];
    for (option, place) in ways {
        let sandbox = Sandbox::new();
        sandbox.mkdir("data/deeper");
        sandbox.mkdir("data/claude");
        std::os::unix::fs::symlink("data", sandbox.path("link")).unwrap();
        let option = option.replace("link", &sandbox.text("link"));
        let mut live = waiting(&sandbox).options(["--capture", &option]).start();
        live.message("waiting up to");
        sandbox.write(&format!("{place}/.credentials.json"), Session::new("a").json());
        let outcome = live.wait().ok();
        assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{option}\n{outcome}");
    }
}

/// Another directory in the place of the one that was watched, and one that is made during the wait.
#[test]
fn a_capture_that_is_made_anew_during_a_wait_is_watched() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("capture/claude");
    let mut live = waiting(&sandbox).start();
    live.message("waiting up to");
    fs::remove_dir(sandbox.path("capture/claude")).unwrap();
    sandbox.mkdir("capture/claude");
    sandbox.write("new", Session::new("a").json());
    fs::rename(sandbox.path("new"), sandbox.path("capture/claude/.credentials.json")).unwrap();
    let outcome = live.wait().ok();
    assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{outcome}");
}
