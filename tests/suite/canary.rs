//! Planted secrets appear in no output, no command line and no file but the credential files themselves.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Give, Outcome, Sandbox, Session, base64, codex_auth, needs_root};

/// In every token that the tests make; nothing else says it.
const CANARY: &str = "FAKE";

/// Starts of every kind: good, bad, refused, in conflict.
const STARTS: &[(&str, Give)] = &[
    ("session", |_, run| run.env("CLAUDE_CREDENTIALS", Session::new("a").json())),
    ("base64", |_, run| run.env("CLAUDE_CREDENTIALS_B64", Session::new("a").b64())),
    ("token", |_, run| run.env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-token")),
    ("short key", |_, run| run.env("ANTHROPIC_API_KEY", "FAKE")),
    ("everything", |s, run| {
        s.captured("claude", ".credentials.json", &Session::new("a").json());
        let run = run.env("CLAUDE_CREDENTIALS", Session::new("b").json()).env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-token");
        run.env("ANTHROPIC_API_KEY", "sk-FAKE")
            .env("ANTHROPIC_AUTH_TOKEN", "FAKE")
            .env("CODEX_CREDENTIALS", codex_auth("a"))
    }),
    ("both forms", |_, run| {
        run.env("CLAUDE_CREDENTIALS", Session::new("a").json()).env("CLAUDE_CREDENTIALS_B64", "FAKE")
    }),
    ("bad base64", |_, run| run.env("CLAUDE_CREDENTIALS_B64", "FAKE-%%%")),
    ("no JSON", |_, run| run.env("CLAUDE_CREDENTIALS", "FAKE no json")),
    ("wrong types", |_, run| {
        run.env(
            "CLAUDE_CREDENTIALS",
            r#"{"claudeAiOauth":{"accessToken":["FAKE"],"refreshToken":"FAKE","FAKE":"FAKE"}}"#,
        )
    }),
    ("wrong expiry", |_, run| {
        run.env("CLAUDE_CREDENTIALS", r#"{"claudeAiOauth":{"accessToken":"FAKE","refreshToken":"FAKE","expiresAt":"FAKE","scopes":["user:inference"]}}"#)
    }),
    ("wrong scopes", |_, run| {
        run.env("CLAUDE_CREDENTIALS", r#"{"claudeAiOauth":{"accessToken":"FAKE","scopes":"FAKE"}}"#)
    }),
    ("base64 of no JSON", |_, run| run.env("CLAUDE_CREDENTIALS_B64", base64("{\"FAKE"))),
    ("no JWT", |_, run| {
        run.env("CODEX_CREDENTIALS", r#"{"tokens":{"id_token":"FAKE","access_token":"FAKE","refresh_token":"FAKE"}}"#)
    }),
    ("misspelt variable", |_, run| run.env("AGENT_INIT_CAPTUR", "FAKE")),
    ("command", |s, run| {
        s.write("cwd/given", Session::new("a").json());
        run.env("CLAUDE_CREDENTIALS_COMMAND", "cat given | cat")
    }),
    ("command of no login", |s, run| {
        s.write("cwd/given", "FAKE");
        run.env("CLAUDE_CREDENTIALS_COMMAND", "cat given")
    }),
    ("command that fails after its output", |s, run| {
        s.write("cwd/given", "FAKE");
        run.env("ANTHROPIC_API_KEY_COMMAND", "cat given; exit 1")
    }),
    ("descriptor", |_, run| run.options(["--deliver", "fd"]).env("ANTHROPIC_API_KEY", "sk-FAKE")),
    ("cloud", |s, run| {
        s.write("secrets/aws_bearer_token_bedrock", "FAKE");
        run.env("CLAUDE_CODE_USE_BEDROCK", "1").env("AWS_SECRET_ACCESS_KEY", "FAKE").env("ANTHROPIC_API_KEY", "FAKE")
    }),
    ("settings", |s, run| {
        s.write("capture/claude/.claude.json", r#"{"primaryApiKey":"FAKE"}"#);
        run.env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-token")
    }),
    ("lines", |s, run| {
        s.write("capture/gh/hosts.yml", "github.com:\n    oauth_token: FAKE\n  user: x\n");
        run.options(["--agent", "gh,claude"])
    }),
    ("broken settings", |s, run| {
        s.write("home/.claude/settings.json", "{\"env\":{\"KEY\":\"FAKE");
        run.env("ANTHROPIC_API_KEY", "sk-FAKE")
    }),
];

#[track_caller]
fn assert_clean(what: &str, outcome: &Outcome) {
    assert!(!outcome.stdout.contains(CANARY) && !outcome.stderr.contains(CANARY), "{what}\n{outcome}");
}

/// Every file below that contains the canary.
fn stained(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(stained(&path));
        } else if String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(CANARY) {
            found.push(path);
        }
    }
    found
}

/// Where a secret belongs.
fn belongs(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    let recovery =
        path.components().any(|part| ["conflicts", "recovery"].contains(&part.as_os_str().to_str().unwrap()));
    // The approval of a key is its last 20 characters.
    recovery || [".credentials.json", "auth.json", ".claude.json", "hosts.yml"].contains(&name)
}

#[test]
fn no_output_and_no_bookkeeping_shows_a_secret() {
    let ways: &[&[&str]] = &[
        &[],
        &["-v"],
        &["--log-format", "json"],
        &["--log-format", "json", "-v"],
        &["--require"],
        &["--sync", "exit"],
    ];
    for (what, give) in STARTS {
        for options in ways {
            let sandbox = Sandbox::new();
            let script = "test -z \"${F:+x}\" || test ! -e \"$F\" || refresh b; blank 2>/dev/null; exit 3";
            let outcome = give(&sandbox, sandbox.claude(script).options(options.iter().copied())).run();
            assert_clean(&format!("{what} {options:?}"), &outcome);
            for directory in ["state", "capture"] {
                let wrong: Vec<PathBuf> =
                    stained(&sandbox.path(directory)).into_iter().filter(|path| !belongs(path)).collect();
                assert!(wrong.is_empty(), "{what} {options:?}: {wrong:?}");
            }
        }
    }
}

const LOOKING: &[&[&str]] = &[
    &["status"],
    &["status", "--json"],
    &["status", "--agent", "claude,codex"],
    &["plan", "--", "claude", "FAKE-prompt"],
    &["plan", "--json", "--require", "--", "claude", "FAKE-prompt"],
    &["doctor"],
    &["doctor", "--json"],
    &["healthcheck"],
    &["exec", "--", "nosuch-command"],
    &["agents", "--json"],
];

#[test]
fn no_command_that_looks_shows_a_secret() {
    for (what, give) in STARTS {
        for words in LOOKING {
            let sandbox = Sandbox::new();
            let outcome = give(&sandbox, sandbox.raw(words.iter().copied())).run();
            assert_clean(&format!("{what} {words:?}"), &outcome);
        }
    }
}

#[test]
fn no_command_beside_a_running_agent_shows_a_secret() {
    for (what, give) in STARTS {
        let sandbox = Sandbox::new();
        let mut gate = sandbox.gate("gate");
        let script = "say ready; hold \"$1\"; refresh b; say refreshed; hold \"$1\"";
        let mut live = give(&sandbox, sandbox.claude(script).arguments([gate.to_string()])).start();
        if !live.starts_with_line("ready") {
            // What is refused has no agent beside which anything runs.
            assert_clean(what, &live.wait().code(125));
            continue;
        }
        for turn in 0..2 {
            for words in LOOKING {
                // `docker exec` has the container's variables.
                let outcome = give(&sandbox, sandbox.raw(words.iter().copied())).run();
                assert_clean(&format!("{what} {words:?}"), &outcome);
            }
            gate.open();
            if turn == 0 {
                live.line("refreshed");
            }
        }
        assert_clean(what, &live.wait());
    }
}

#[test]
fn no_command_line_and_no_other_environment_shows_a_secret() {
    needs_root!();
    for (what, give) in STARTS {
        let sandbox = Sandbox::new();
        let script = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; for n in $(env | cut -d= -f1); do case $n in *_B64|*_FILE|*_COMMAND|CLAUDE_CREDENTIALS|CODEX_CREDENTIALS) say left:$n ;; esac; done";
        let outcome = give(&sandbox, sandbox.claude(script).options(["--user", "node"]).pid1()).run();
        assert_clean(what, &outcome);
        outcome.prints_no(&["left:C", "left:A"]);
    }
}

#[test]
fn refused_options_do_not_show_their_neighbours() {
    let sandbox = Sandbox::new();
    for options in [["--agent", "nosuch"], ["--grace", "soon"], ["--user", "nosuch"], ["--nosuch", "x"]] {
        let run = sandbox.raw(options).arguments(["--", "claude", "FAKE-prompt"]).env("ANTHROPIC_API_KEY", "sk-FAKE");
        let outcome = run.run().code(125);
        assert_clean(options[1], &outcome);
    }
}

/// Where in the memory of a process the canary is, but for its arguments and environment: the name of each mapping.
fn stains_in_memory(pid: i32) -> Vec<String> {
    use std::os::unix::fs::FileExt;
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut stained = Vec::new();
    for line in maps.lines().filter(|line| !line.contains("[stack]") && !line.contains("[v")) {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // What is mapped and not readable has no content of ours.
        if memory.read_exact_at(&mut bytes, from).is_ok()
            && bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
        {
            stained.push(rest.to_owned());
        }
    }
    stained
}

/// What was read, laid down, published and adopted is wiped: nothing of a login is in PID 1's memory while it waits.
#[test]
fn nothing_of_a_login_stays_in_memory() {
    needs_root!();
    let sandbox = Sandbox::new();
    let file = sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.give("home", 1000);
    let mut gate = sandbox.gate("gate");
    let script = "trap 'say back' USR1; hold \"$1\" ready; refresh b; hold \"$1\"";
    let run = sandbox.claude(script).arguments([gate.to_string()]).options(["--user", "node"]);
    let mut live = run.env("CLAUDE_CREDENTIALS_B64", Session::new("c").b64()).pid1().start();
    live.line("ready");
    assert_eq!(stains_in_memory(live.pid()), Vec::<String>::new(), "after the start");
    gate.open();
    let has = |path: &Path, name: &str| fs::read_to_string(path).is_ok_and(|text| text.contains(name));
    crate::support::await_path(file.parent().unwrap(), "login b", || has(&file, "FAKE-refresh-b"));
    sandbox.write("capture/claude/.other.tmp", Session::new("d").json());
    fs::rename(sandbox.path("capture/claude/.other.tmp"), &file).unwrap();
    let working = sandbox.path("home/.claude/.credentials.json");
    crate::support::await_path(working.parent().unwrap(), "login d", || has(&working, "FAKE-refresh-d"));
    // It may be looking at what it heard of last: what was wiped stays so.
    let mut stains = Vec::new();
    for _ in 0..100 {
        live.signal(10);
        live.line("back");
        stains = stains_in_memory(live.pid());
        if stains.is_empty() {
            break;
        }
    }
    assert_eq!(stains, Vec::<String>::new(), "after publishing and adopting");
    gate.open();
    live.wait().ok();
}
