//! `--wait`: a login that comes while we wait.

use std::fs;

use crate::support::{Run, Sandbox, Session};

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
        let outcome = live.wait().ok().says(&["claude auth: forwarded host session (sync)"]);
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
fn the_wait_ends() {
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
    live.wait().ok().says(&["claude auth: forwarded host session (sync)"]);
}
