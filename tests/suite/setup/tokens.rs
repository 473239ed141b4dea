//! `setup --token`: a long-lived token is taken from a screen on which nobody sees it, and kept with its dates.

use std::process::Command;

use serde_json::{Value, json};

use super::{everything, install, setup};
use crate::commands::ready;
use crate::support::{Pty, Run, Sandbox, Session, needs_root};

const TOKEN: &str = "capture/claude/oauth-token";
const NOTE: &str = "capture/claude/.agent-init/oauth-token.json";

/// A token of the real shape and length.
fn token(name: &str) -> String {
    format!("sk-ant-oat01-FAKE-{name}-{}AA", "x0_Y-".repeat(16))
}

/// A stand-in that shows this (printf's format) and then does what the script says.
fn shows(sandbox: &Sandbox, text: &str, then: &str) {
    let script = format!(
        "[ \"$*\" = setup-token ] || echo \"odd: $*\"; printf 'Your token:\\r\\n\\r\\n{text}\\r\\n\\r\\nStore it\\r\\n'; {then}"
    );
    install(sandbox, "claude", &script);
}

fn mint(sandbox: &Sandbox) -> Run {
    let path = format!("{}:/usr/bin:/bin", sandbox.text("only"));
    setup(sandbox, ["--token"]).env("PATH", path)
}

/// What the terminal showed, the status, and that the token is nowhere but in its file.
#[track_caller]
fn play(sandbox: &Sandbox, run: Run, columns: usize, status: i32) -> String {
    let pty = Pty::new();
    let size = format!("stty rows 24 cols {columns}; exec \"$@\"");
    let live = pty.leads(run).through(["sh", "-c", &size, "sh"]).start();
    let shown = pty.all();
    live.wait().code(status);
    assert!(!shown.contains("FAKE"), "{shown}");
    for name in ["capture", "state", "home", "work"] {
        for (path, (_, _, bytes)) in everything(&sandbox.path(name)) {
            let has = bytes.windows(4).any(|window| window == b"FAKE");
            assert!(!has || path.ends_with("/oauth-token"), "{path} has the token");
        }
    }
    shown
}

#[test]
fn a_token_is_taken_from_the_screen_and_hidden_on_it() {
    let rows: [(&str, usize, fn(&str) -> String); 6] = [
        ("plain", 80, str::to_owned),
        ("in an export line", 200, |token| format!("export TOKEN={token}")),
        ("in colour", 80, |token| format!("\\033[33m{token}\\033[39m")),
        ("wrapped", 40, |token| wrapped(token, 40)),
        ("wrapped, narrow", 21, |token| wrapped(token, 21)),
        ("twice", 120, |token| format!("{token}\\r\\n{token}")),
    ];
    for (number, (what, columns, text)) in rows.into_iter().enumerate() {
        let sandbox = Sandbox::new();
        let token = token(&number.to_string());
        shows(&sandbox, &text(&token), "true");
        let shown = play(&sandbox, mint(&sandbox), columns, 0);
        assert_eq!(sandbox.read(TOKEN), token, "{what}");
        let shown: String = shown.split_whitespace().collect();
        for part in ["makealong-livedtokenofClaudeCodenow", "sk-ant-oat01-*****", "Storeit", "capturedalong-livedtoken"]
        {
            assert!(shown.contains(part), "{what}: {part}: {shown}");
        }
    }
}

fn wrapped(token: &str, columns: usize) -> String {
    let lines: Vec<&str> = token.as_bytes().chunks(columns).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\\r\\n")
}

#[test]
fn a_captured_token_is_used_and_its_expiry_is_shown() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.mkdir("capture/claude");
    sandbox.give("capture", 4242);
    shows(&sandbox, &token("one"), "true");
    play(&sandbox, mint(&sandbox), 120, 0);
    for (path, (mode, uid, _)) in everything(&sandbox.path("capture")) {
        assert_eq!(uid, 4242, "{path}");
        assert!(!path.ends_with("oauth-token") || mode.trailing_zeros() >= 6, "{path} {mode:o}");
    }
    let note: Value = serde_json::from_str(&sandbox.read(NOTE)).unwrap();
    assert!(!note.to_string().contains("FAKE") && note["minted_at"].is_string(), "{note}");
    let until = note["expires_at"].as_str().unwrap();
    let source = format!("capture:{}", sandbox.text(TOKEN));

    let auth = format!("claude auth: long-lived OAuth token, {source}, expires {until}");
    sandbox
        .claude("env; test ! -e \"$F\" && say no-file")
        .run()
        .ok()
        .quiet()
        .says(&[&auth])
        .prints(&[&format!("CLAUDE_CODE_OAUTH_TOKEN={}", token("one")), "no-file"]);
    let is_ok = |run: Run, at: &str| {
        let outcome = run.run().ok();
        let agent = outcome.json().pointer(at).cloned().unwrap_or_default();
        for (key, value) in [
            ("method", json!("oauth-token")),
            ("source", json!(source)),
            ("access_expires_at", json!(until)),
            ("refreshable", json!(false)),
            ("state", json!("ok")),
        ] {
            assert_eq!(agent[key], value, "{key}: {outcome}");
        }
    };
    is_ok(sandbox.raw(["status", "--json"]), "/agents/0");
    is_ok(sandbox.raw(["plan", "--json", "--", "claude"]), "/auth/agents/0");

    // It is expiring within so long, and expired after its end.
    let states = [("9h", "1h", 0, "ok"), ("30m", "1h", 0, "expiring"), ("-1h", "1h", 1, "expired")];
    for (left, within, status, state) in states {
        let mut changed = note.clone();
        let seconds = match left {
            "9h" => 9 * 3600,
            "30m" => 1800,
            _ => -3600,
        };
        let date =
            Command::new("date").args(["-u", "-d", &format!("{seconds} seconds"), "+%Y-%m-%dT%H:%M:%SZ"]).output();
        changed["expires_at"] = String::from_utf8(date.unwrap().stdout).unwrap().trim().into();
        sandbox.write(NOTE, changed.to_string());
        let outcome = sandbox.raw(["status", "--json", "--warn-within", within]).run().code(status);
        assert_eq!(outcome.json()["agents"][0]["state"], json!(state), "{left}: {outcome}");
        // The same where it runs.
        let mut gate = sandbox.gate(&format!("gate{left}"));
        std::fs::remove_file(sandbox.path("state/state.json")).unwrap();
        let live = ready(&sandbox, sandbox.claude("say ready; hold \"$1\"").arguments([gate.to_string()]));
        sandbox.raw(["healthcheck"]).run().code(status);
        gate.open();
        let outcome = live.wait().ok();
        assert_eq!(outcome.stderr.contains("the token has expired"), status == 1, "{outcome}");
    }
}

#[test]
fn a_newer_token_replaces_the_old_one_and_a_given_one_wins() {
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        shows(&sandbox, &token(name), "true");
        play(&sandbox, mint(&sandbox), 120, 0);
        assert_eq!(sandbox.read(TOKEN), token(name));
    }
    // What is given for this start comes first, and the token before a session.
    let given = sandbox.claude("env").env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-given").run().ok();
    given.prints(&["CLAUDE_CODE_OAUTH_TOKEN=FAKE-given"]).warns_once(&["oauth-token is ignored"]);
    sandbox.captured("claude", ".credentials.json", &Session::new("s").json());
    sandbox.claude("seen").run().ok().prints(&["CLAUDE_CODE_OAUTH_TOKEN=sk"]).prints_no(&["FILE="]);
    sandbox.claude("seen").options(["--auth", "sync"]).run().ok().prints(&["FILE="]).prints_no(&["oat01"]);
    let fd = sandbox.claude("cat /proc/self/fd/$CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR").options(["--deliver", "fd"]);
    fd.run().ok().prints(&[&token("two")]);
    // A command that is no agent's finds it too; another agent does not.
    sandbox.raw(["--", "env"]).run().ok().prints(&["CLAUDE_CODE_OAUTH_TOKEN=sk"]);
    sandbox.codex("env").run().ok().prints_no(&["CLAUDE_CODE_OAUTH_TOKEN"]);
    // One that a person put there by hand has no date.
    sandbox.write(TOKEN, "sk-ant-oat01-FAKE-by-hand\n");
    let outcome = sandbox.raw(["status", "--json"]).run().ok();
    assert_eq!(outcome.json()["agents"][0]["access_expires_at"], Value::Null, "{outcome}");
    sandbox.claude("env").run().ok().prints(&["=sk-ant-oat01-FAKE-by-hand\n"]);
    // A login that is captured now would not be used: that is said.
    let mut pty = Pty::new();
    let live = pty.leads(setup(&sandbox, ["--", "claude", "refresh new"])).start();
    pty.shows("captured the login");
    pty.shows("run uses it instead of the login");
    live.wait().ok();
}

#[test]
fn without_a_token_the_old_one_stays() {
    let rows = [
        ("nothing here", "exit 3", "claude exited with status 3 without a token"),
        ("nothing here", "true", "claude exited without a token"),
        ("sk-ant-oat01-", "true", "without a token"),
        ("sk-ant-oat01-short", "true", "without a token"),
        ("sk-ant-oat01-...", "kill -9 $$", "status 137 without a token"),
    ];
    let sandbox = Sandbox::new();
    for is_there in [false, true] {
        if is_there {
            shows(&sandbox, &token("old"), "true");
            play(&sandbox, mint(&sandbox), 120, 0);
        }
        let before = everything(&sandbox.path("capture"));
        for (text, then, says) in rows {
            shows(&sandbox, text, then);
            let shown = play(&sandbox, mint(&sandbox), 120, 1);
            assert!(shown.contains("error: nothing was captured: ") && shown.contains(says), "{says}: {shown}");
            assert_eq!(shown.contains("the earlier capture is unchanged"), is_there, "{shown}");
            assert_eq!(everything(&sandbox.path("capture")), before, "{says}");
        }
    }
}

/// A token that was shown is minted: it is kept however the command ends then.
#[test]
fn an_end_in_the_middle_keeps_a_token_that_was_shown() {
    let sandbox = Sandbox::new();
    for (number, then) in ["kill -9 $$", "kill -15 $PPID; sleep 1000", "exit 9"].into_iter().enumerate() {
        let token = token(&number.to_string());
        shows(&sandbox, &token, then);
        play(&sandbox, mint(&sandbox), 120, 0);
        assert_eq!(sandbox.read(TOKEN), token, "{then}");
    }
}

#[test]
fn a_token_that_cannot_be_stored_is_an_error() {
    needs_root!();
    let sandbox = Sandbox::new();
    let capture = sandbox.text("capture");
    shows(&sandbox, &token("new"), &format!("cat /dev/zero >{capture}/fill 2>/dev/null"));
    let pty = Pty::new();
    let run = mint(&sandbox).setup(format!("mount -t tmpfs -o size=256k tmpfs {capture}"));
    let live = pty.leads(run).through(["sh", "-c", "stty cols 120; exec \"$@\"", "sh"]).start();
    let shown = pty.all();
    live.wait().code(1);
    assert!(shown.contains("a token was made and could not be stored") && !shown.contains("FAKE"), "{shown}");
}

/// A flat capture, as another setup container's: the token is found where its directory is mounted.
#[test]
fn a_token_is_stored_in_a_flat_capture() {
    let sandbox = Sandbox::new();
    let flat = format!("claude={}", sandbox.text("capture"));
    shows(&sandbox, &token("flat"), "true");
    play(&sandbox, mint(&sandbox).env("AGENT_INIT_CAPTURE", flat), 120, 0);
    assert_eq!(sandbox.read("capture/oauth-token"), token("flat"));
    sandbox.claude("env").run().ok().prints(&[&token("flat")]);
}
