//! What is captured, when, from whom, and what becomes of what was there.

use super::{claude, claude_as_node, everything, holds, install, pid1_or_not, setup};
use crate::support::{Pty, Sandbox, Session, await_path, needs_root};

#[test]
fn a_login_is_captured_while_its_agent_still_runs_and_a_run_uses_it() {
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    for name in ["first", "second"] {
        let script = format!("refresh {name}; say ready; hold \"$1\"; mkdir \"$C/skills\"; say x >\"$C/skills/s\"");
        for (what, run) in pid1_or_not(|| claude(&sandbox, &script, &gate.to_string())) {
            let mut pty = Pty::new();
            let live = pty.leads(run).start();
            pty.shows("log in to Claude Code now");
            pty.shows("ready");
            let capture = sandbox.mkdir("capture/claude");
            await_path(&capture, what, || holds(&sandbox, name));
            gate.open();
            pty.shows(&format!("captured the login of Claude Code, which the agent refreshes: {}", capture.display()));
            pty.shows("next: docker run");
            live.wait().ok();
        }
        sandbox.claude("seen").run().ok().prints(&["FILE={", &format!("FAKE-refresh-{name}\"")]);
        assert_eq!(sandbox.read("capture/claude/skills/s"), "x\n");
        assert!(sandbox.read("capture/claude/.claude.json").contains("hasCompletedOnboarding"));
    }
}

/// Somebody who has just logged in learns when to do so again.
#[test]
fn a_captured_login_is_named_with_its_deadline() {
    let sandbox = Sandbox::new();
    let login = Session::expired("new").deadline_ms(1_800_000_000_000).json();
    let pty = Pty::new();
    let live = pty.leads(claude(&sandbox, &format!("replace '{login}'"), "-")).start();
    let shown = pty.all();
    live.wait().ok();
    let said = "captured the login of Claude Code, which the agent refreshes until 2027-01-15T08:00:00Z";
    assert!(shown.contains(said), "{shown}");
}

#[test]
fn settings_that_would_override_the_login_stay_in_the_capture() {
    let sandbox = Sandbox::new();
    let settings = r#"{"apiKeyHelper":"/bin/helper","env":{"ANTHROPIC_API_KEY":"FAKE-there"},"theme":"mine"}"#;
    sandbox.write("capture/claude/settings.json", settings);
    let pty = Pty::new();
    let live = pty.leads(claude(&sandbox, "cat \"$C/settings.json\"; refresh new", "-")).start();
    let shown = pty.all();
    live.wait().ok();
    assert!(shown.contains("mine") && !shown.contains("FAKE-there") && !shown.contains("apiKeyHelper"), "{shown}");
    let after: serde_json::Value = serde_json::from_str(&sandbox.read("capture/claude/settings.json")).unwrap();
    let before: serde_json::Value = serde_json::from_str(settings).unwrap();
    for key in ["apiKeyHelper", "env", "theme"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert!(holds(&sandbox, "new"));
}

#[test]
fn the_agent_is_its_own_user_at_its_own_terminal_with_no_credential() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.write("capture/claude/settings.json", r#"{"theme":"mine"}"#);
    sandbox.captured("claude", ".credentials.json", &Session::new("old").json());
    sandbox.give("capture", 4242);
    sandbox.give("home", 1000);
    let script = "id -u; stty size; test -O \"$(tty)\" && : >\"$(tty)\" && : >/dev/tty && say own-terminal; \
                  env | sort; ls -A \"$C\"; cat \"$C/settings.json\"; \
                  printf '{\"oauthAccount\":{\"emailAddress\":\"me@example.com\"}}' >\"$C/.claude.json\"; refresh new";
    let pty = Pty::new();
    let run = claude_as_node(&sandbox, script, "-")
        .unset("AGENT_INIT_HOME")
        .env("ANTHROPIC_API_KEY", "FAKE-canary")
        .env("CLAUDE_CREDENTIALS_FILE", "/nonexistent")
        .env("CODEX_API_KEY", "FAKE-canary")
        .env("GITHUB_TOKEN", "shared-with-others");
    let live = pty.leads(run).through(["sh", "-c", "stty rows 33 cols 77; exec \"$@\"", "sh"]).start();
    let shown = pty.all();
    live.wait().ok();
    for part in [
        "1000\r\n33 77\r\nown-terminal",
        "mine",
        "GITHUB_TOKEN=shared-with-others",
        &format!("HOME={}", sandbox.text("home")),
        "captured the login of Claude Code (me@example.com)",
    ] {
        assert!(shown.contains(part), "{part:?}: {shown}");
    }
    for part in ["canary", "CLAUDE_CREDENTIALS_FILE", ".credentials.json\r\n", "warning"] {
        assert!(!shown.contains(part), "{part:?}: {shown}");
    }
    assert!(holds(&sandbox, "new"));
    for (path, (mode, uid, _)) in everything(&sandbox.path("capture")) {
        let is_private = mode.trailing_zeros() >= 6 || !path.contains("credentials");
        assert!(uid == 4242 && is_private, "{path} {uid} {mode:o}");
    }
    assert!(sandbox.read("capture/claude/settings.json").contains("mine"));
    let left: Vec<String> =
        everything(&sandbox.path("state")).into_keys().filter(|path| path.contains("setup")).collect();
    assert!(left.is_empty(), "the working copy is left: {left:?}");
}

#[test]
fn a_new_login_replaces_anothers_and_running_containers_have_it_at_once() {
    let sandbox = Sandbox::new();
    let old = Session::new("old");
    sandbox.captured("claude", ".credentials.json", &old.json());
    sandbox.write("capture/claude/.claude.json", r#"{"oauthAccount":{"emailAddress":"old@example.com"}}"#);
    let mut gate = sandbox.gate("gate");
    let mut running = sandbox.claude("say ready; hold \"$1\"; seen").arguments([gate.to_string()]).start();
    running.line("ready");

    let other = Sandbox::new();
    let script = "printf '{\"oauthAccount\":{\"emailAddress\":\"new@example.com\"}}' >\"$C/.claude.json\"; refresh new";
    let mut pty = Pty::new();
    let live = pty.leads(claude(&other, script, "-").env("AGENT_INIT_CAPTURE", sandbox.text("capture"))).start();
    pty.shows("captured the login of Claude Code (new@example.com)");
    live.wait().ok();

    let copy = sandbox.path("home/.claude");
    await_path(&copy, "the new login in the running container", || {
        std::fs::read_to_string(copy.join(".credentials.json")).is_ok_and(|text| text.contains("FAKE-refresh-new"))
    });
    gate.open();
    running.wait().ok().quiet().prints(&["FAKE-refresh-new"]);
    assert!(holds(&sandbox, "new"));
    let kept = everything(&sandbox.path("capture/claude/.agent-init/conflicts"));
    assert!(
        kept.values().any(|(mode, _, bytes)| bytes == old.json().as_bytes() && mode.trailing_zeros() >= 6),
        "{kept:?}"
    );
}

/// What is refreshed elsewhere while a person logs in is neither installed here nor taken for their login.
#[test]
fn a_refresh_elsewhere_is_no_login() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("old").json());
    let mut gate = sandbox.gate("gate");
    let mut pty = Pty::new();
    let script = "say ready; hold \"$1\"; test ! -e \"$F\" && say none-here";
    let live = pty.leads(claude(&sandbox, script, &gate.to_string())).start();
    pty.shows("ready");
    sandbox.claude("refresh elsewhere").run().ok();
    gate.open();
    pty.shows("none-here");
    pty.shows("error: nothing was captured: claude exited without a login; the earlier capture is unchanged");
    live.wait().code(1);
    assert!(holds(&sandbox, "elsewhere"));
}

#[test]
fn the_login_command_of_the_only_installed_agent_is_run() {
    let sandbox = Sandbox::new();
    let login = Session::new("new").json();
    install(
        &sandbox,
        "claude",
        &format!("echo \"ran: $*\"; printf %s '{login}' >\"$CLAUDE_CONFIG_DIR/.credentials.json\""),
    );
    // Nothing else is there: what the script needs is built into the shell.
    let rows: [(&[&str], &str); 3] = [
        (&[], "ran: auth login"),
        (&["--agent", "claude"], "ran: auth login"),
        (&["--auto"], "ran: --dangerously-skip-permissions"),
    ];
    for (options, ran) in rows {
        let mut pty = Pty::new();
        let run = setup(&sandbox, []).arguments(options.iter().copied()).env("PATH", sandbox.text("only"));
        let live = pty.leads(run).start();
        pty.shows(ran);
        pty.shows("captured the login of Claude Code");
        live.wait().ok();
    }
    let mut pty = Pty::new();
    let run = setup(&sandbox, [])
        .env("PATH", sandbox.text("only"))
        .env("AGENT_INIT_AUTO", "yes")
        .env("AGENT_INIT_AUTH", "copy");
    let live = pty.leads(run).start();
    pty.shows("ran: --dangerously");
    assert!(!pty.all().contains("unknown variable"));
    live.wait().ok();
}

#[test]
fn a_shell_for_several_agents_says_what_to_type() {
    let sandbox = Sandbox::new();
    for (what, run) in pid1_or_not(|| setup(&sandbox, []).unset("AGENT_INIT_AUTH")) {
        let mut pty = Pty::new();
        let live = pty.leads(run).start();
        pty.shows("log in to any of these agents now, then leave with 'exit' or Ctrl-D:");
        pty.shows("claude auth login");
        // What is typed is shown too, by the terminal and perhaps by the shell.
        pty.types("claude 'refresh new; say made\"\"-one'\n");
        pty.shows("made-one");
        pty.types("codex \"replace '{\\\"OPENAI_API_KEY\\\":\\\"FAKE-key\\\"}'; say made''-two\"\n");
        pty.shows("made-two");
        pty.types("exit\n");
        let shown = pty.all();
        println!("{what}: {shown}");
        live.wait().ok();
        for part in ["captured the login of Claude Code", "captured the login of Codex"] {
            assert!(shown.contains(part), "{what}: {part}: {shown}");
        }
        // No directory is left of those who did not log in.
        let names: Vec<String> = std::fs::read_dir(sandbox.path("capture"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(names.len() == 2 && names.contains(&"codex".into()), "{names:?}");
    }
}

/// A root that itself holds a login is that agent's capture.
#[test]
fn a_flat_capture_stays_flat() {
    let sandbox = Sandbox::new();
    sandbox.write("capture/.credentials.json", Session::new("old").json());
    let mut pty = Pty::new();
    let live = pty.leads(claude(&sandbox, "refresh new", "-")).start();
    pty.shows("captured the login of Claude Code");
    live.wait().ok();
    assert!(sandbox.read("capture/.credentials.json").contains("FAKE-refresh-new"));
    assert!(!sandbox.exists("capture/claude"));
}

/// The old login is gone by then, and the new one is worth nothing.
#[test]
fn a_login_that_was_logged_out_again_is_no_success() {
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let mut pty = Pty::new();
    let live = pty.leads(claude(&sandbox, "refresh new; hold \"$1\"; rm \"$F\"", &gate.to_string())).start();
    let capture = sandbox.mkdir("capture/claude");
    await_path(&capture, "the login", || holds(&sandbox, "new"));
    gate.open();
    pty.shows("warning: Claude Code: a login was captured, and then the agent logged out");
    assert!(!pty.all().contains("the earlier capture is unchanged"));
    live.wait().code(1);
}

/// A login of the console has no session; its key is a setting.
#[test]
fn a_login_that_is_a_setting_is_captured_too() {
    let sandbox = Sandbox::new();
    let script = "printf '{\"primaryApiKey\":\"FAKE-console-key\"}' >\"$C/.claude.json\"";
    let mut pty = Pty::new();
    let live = pty.leads(claude(&sandbox, script, "-")).start();
    let shown = {
        pty.shows("captured the settings of Claude Code, with its API key of a console login");
        pty.all()
    };
    live.wait().ok();
    assert!(!shown.contains("FAKE-console-key"));
    assert!(sandbox.read("capture/claude/.claude.json").contains("FAKE-console-key"));
    // It was there before: this time nothing was made.
    let mut pty = Pty::new();
    let live = pty.leads(claude(&sandbox, "true", "-")).start();
    pty.shows("nothing was captured");
    live.wait().code(1);
}

#[test]
fn planted_files_are_not_captured() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.write("secret", "FAKE-roots-secret");
    sandbox.give("home", 1000);
    let script = "ln -s \"$1\" \"$C/settings.local.json\"; mkdir \"$C/skills\"; ln -s \"$1\" \"$C/skills/s\"; refresh new; \
                  cd \"$C/..\" && mv claude away && ln -s / claude";
    let pty = Pty::new();
    let secret = sandbox.text("secret");
    let run = claude_as_node(&sandbox, script, &secret);
    let live = pty.leads(run).start();
    let shown = pty.all();
    live.wait().ok();
    for part in ["settings.local.json: not captured: it is a symbolic link", "skills/s: not captured"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let all = everything(&sandbox.path("capture"));
    assert!(!all.values().any(|(_, _, bytes)| bytes == b"FAKE-roots-secret"));
    assert!(std::path::Path::new("/etc/passwd").exists());
}

#[test]
fn keys_screens_and_sizes_of_any_amount_pass() {
    let sandbox = Sandbox::new();
    let script = "trap 'say \"size $(stty size)\"' WINCH; say ready; until read -r go; do :; done; \
                  head -c 3000000 /dev/zero | tr '\\0' x; say end; stty raw -echo; say typing; \
                  head -c 200000 | cksum; stty sane; refresh new";
    let mut pty = Pty::new();
    let live = pty.leads(claude(&sandbox, script, "-")).start();
    pty.shows("ready");
    pty.resize(51, 123);
    pty.shows("size 51 123");
    pty.types("\n");
    let shown = pty.shows("end");
    assert_eq!(shown.matches('x').count(), 3_000_000);
    pty.shows("typing");
    let keys: String = (0..200_000).map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap())).collect();
    pty.types(&keys);
    let sum = std::process::Command::new("sh")
        .args(["-c", "awk 'BEGIN { for (i = 0; i < 200000; i++) printf \"%c\", 97 + i % 26 }' | cksum"])
        .output()
        .unwrap();
    pty.shows(String::from_utf8(sum.stdout).unwrap().trim());
    pty.shows("captured");
    live.wait().ok();
}
