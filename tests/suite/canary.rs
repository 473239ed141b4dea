//! Planted secrets appear in no output, no command line and no file but the credential files themselves.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Gate, Give, Live, Outcome, Run, Sandbox, Session, StandIn, base64, codex_auth, needs_root};

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
    &["status", "--openmetrics"],
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
fn no_read_only_command_shows_a_secret() {
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

/// Nothing but canaries, so that a piece of it is found too.
const VALUE: &str = "FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE";

/// Base64 of any piece of [`VALUE`] that is longer than this.
const ENCODED: &str = "RkFLRUZB";

/// Where in the memory of a process a canary is, its arguments excepted: the name of each writable mapping.
fn stains_in_memory(pid: i32) -> Vec<String> {
    use std::os::unix::fs::FileExt;
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut stained = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).unwrap().starts_with("rw")) {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        memory.read_exact_at(&mut bytes, from).unwrap_or_else(|error| panic!("{line}: {error}"));
        let text = String::from_utf8_lossy(&bytes);
        for canary in [CANARY, ENCODED] {
            stained.extend(text.find(canary).map(|at| {
                let around: String = text[at..].chars().take(24).collect();
                format!("{rest}: {around:?}")
            }));
        }
    }
    stained
}

/// A start that comes as far as its agent, which waits until the gate opens.
fn waiting(sandbox: &Sandbox, run: Run, script: &str) -> (Live, Gate) {
    let gate = sandbox.gate("gate");
    let run = run.arguments([format!("trap 'say back' USR1; hold \"$1\" ready; {script}"), gate.to_string()]);
    let mut live = run.pid1().start();
    live.line("ready");
    rest(&mut live);
    (live, gate)
}

/// Waits until PID 1 has done all that belongs to the start, which the agent may be ahead of, and sleeps.
fn rest(live: &mut Live) {
    // A signal is forwarded once the start is over.
    live.signal(10);
    live.line("back");
    let call = format!("/proc/{}/syscall", live.pid());
    while fs::read_to_string(&call).unwrap().starts_with("running") {
        std::thread::yield_now();
    }
}

/// A way to give a value, by this variable.
type GiveValue = fn(&Sandbox, Run, &str) -> Run;

const VALUES: &[(&str, GiveValue)] = &[
    ("variable", |_, run, name| run.env(name, VALUE)),
    ("variable with a short value", |_, run, name| run.env(name, CANARY)),
    ("file", |s, run, name| {
        let file = s.write("given", VALUE);
        run.env(&format!("{name}_FILE"), file.display().to_string())
    }),
    ("command", |s, run, name| {
        let file = s.write("given", VALUE);
        run.env(&format!("{name}_COMMAND"), format!("cat {}", file.display()))
    }),
    ("command that holds the value", |_, run, name| run.env(&format!("{name}_COMMAND"), format!("echo {VALUE} | cat"))),
    ("secret", |s, run, name| {
        s.write(&format!("secrets/{}", name.to_lowercase()), VALUE);
        run
    }),
];

#[track_caller]
fn assert_no_stain(what: &str, sandbox: &Sandbox, run: Run) {
    let (live, mut gate) = waiting(sandbox, run, "");
    assert_eq!(stains_in_memory(live.pid()), Vec::<String>::new(), "{what}");
    gate.open();
    live.wait().ok();
}

/// What was given for an agent is the agent's from its start on, and nothing of it stays in PID 1.
#[test]
fn nothing_of_a_value_stays_in_memory() {
    needs_root!();
    for (what, give) in VALUES {
        for name in ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"] {
            for deliver in ["env", "fd"] {
                let sandbox = Sandbox::new();
                let run = sandbox.raw(["--user", "node", "--deliver", deliver, "--", "claude"]);
                assert_no_stain(
                    &format!("{name}: {what}, delivered by {deliver}"),
                    &sandbox,
                    give(&sandbox, run, name),
                );
            }
        }
    }
}

/// A cloud provider's keys, and what goes with its switch.
#[test]
fn nothing_of_a_cloud_providers_key_stays_in_memory() {
    needs_root!();
    for (switch, name) in [
        ("CLAUDE_CODE_USE_BEDROCK", "AWS_SECRET_ACCESS_KEY"),
        ("CLAUDE_CODE_USE_BEDROCK", "AWS_BEARER_TOKEN_BEDROCK"),
        ("CLAUDE_CODE_USE_FOUNDRY", "ANTHROPIC_FOUNDRY_API_KEY"),
    ] {
        for (what, give) in VALUES {
            let sandbox = Sandbox::new();
            let run = sandbox.raw(["--user", "node", "--", "claude"]).env(switch, "1");
            assert_no_stain(&format!("{name}: {what}"), &sandbox, give(&sandbox, run, name));
        }
    }
}

/// A login from each source; several at once, of which all but one are ignored; of other agents, and of added ones.
#[test]
fn nothing_of_what_was_given_stays_in_memory() {
    needs_root!();
    let login = || Session::new(VALUE).json();
    let rows: &[(&str, &dyn Fn(&Sandbox, Run) -> Run)] = &[
        ("variable", &|_, run| run.env("CLAUDE_CREDENTIALS", login())),
        ("base64", &|_, run| run.env("CLAUDE_CREDENTIALS_B64", base64(&login()))),
        ("file", &|s, run| run.env("CLAUDE_CREDENTIALS_FILE", s.write("given", login()).display().to_string())),
        ("command", &|s, run| {
            run.env("CLAUDE_CREDENTIALS_COMMAND", format!("cat {} | cat", s.write("given", login()).display()))
        }),
        ("secret", &|s, run| {
            s.write("secrets/claude_credentials", login());
            run
        }),
        ("capture", &|s, run| {
            s.captured("claude", ".credentials.json", &login());
            run
        }),
        ("store without a login, and others", &|s, run| {
            let run = run.unset("AGENT_INIT_CAPTURE").env("AGENT_INIT_STORE", StandIn::new(s.path("capture")).spec());
            run.env("CODEX_API_KEY", VALUE).env("ANTHROPIC_API_KEY", VALUE)
        }),
        ("in its own place", &|s, run| {
            s.write("home/.claude/.credentials.json", login());
            run
        }),
        ("many", &|s, run| {
            s.captured("claude", ".credentials.json", &login());
            let run = run.env("CLAUDE_CREDENTIALS_B64", base64(&login())).env("CODEX_CREDENTIALS", codex_auth(VALUE));
            run.env("CLAUDE_CODE_OAUTH_TOKEN", VALUE).env("ANTHROPIC_API_KEY", VALUE).env("OPENAI_API_KEY", VALUE)
        }),
        ("a plain init", &|_, run| run.options(["--agent", "none"]).env("ANTHROPIC_API_KEY", VALUE)),
        ("an agent that the image adds", &|s, run| {
            let definition = r#"{ "name": "mine", "title": "Mine", "commands": ["claude"],
                "methods": [{ "method": "api-key", "label": "API key", "variable": "MINE_KEY" }],
                "home": { "variable": "MINE_HOME", "default": "~/.mine" } }"#;
            s.write("etc/agent-init/agents/mine.json", definition);
            s.chmod("etc/agent-init/agents/mine.json", 0o644);
            let etc = s.text("etc");
            run.tmpfs("/etc").setup(format!("cp -R {etc}/. /etc")).env("MINE_KEY", VALUE)
        }),
    ];
    for (what, give) in rows {
        let sandbox = Sandbox::new();
        let run = sandbox.raw(["--user", "node", "--", "claude"]);
        assert_no_stain(what, &sandbox, give(&sandbox, run));
    }
}

/// What was read, installed, published and adopted is wiped: nothing of a login is in PID 1's memory while it waits.
#[test]
fn nothing_of_a_login_stays_in_memory() {
    needs_root!();
    let sandbox = Sandbox::new();
    let file = sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.give("home", 1000);
    let run = sandbox.raw(["--user", "node", "--", "claude"]).env("CLAUDE_CREDENTIALS_B64", Session::new("c").b64());
    let (mut live, mut gate) = waiting(&sandbox, run, "refresh b; hold \"$1\"");
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
        rest(&mut live);
        stains = stains_in_memory(live.pid());
        if stains.is_empty() {
            break;
        }
    }
    assert_eq!(stains, Vec::<String>::new(), "after publishing and adopting");
    gate.open();
    live.wait().ok();
}
