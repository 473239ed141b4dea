//! `completions`, in the shells that they are for.

use std::process::Command;

use crate::support::{Sandbox, noise, skip};

/// A line up to the cursor, what must be offered there, and what must not.
const LINES: &[(&str, &[&str], &[&str])] = &[
    ("agent-init sta", &["status"], &["setup", "--state-dir"]),
    ("agent-init --sy", &["--sync"], &["--json"]),
    ("agent-init run --sy", &["--sync"], &[]),
    ("agent-init plan --js", &["--json"], &[]),
    ("agent-init status --warn", &["--warn-within"], &[]),
    ("agent-init setup --to", &["--token"], &[]),
    ("agent-init run --sync ", &["live", "exit", "off"], &["status"]),
    ("agent-init --user node --auth ", &["auto", "sync", "copy", "token", "api-key", "ignore"], &["run"]),
    ("agent-init --first-run ", &["on", "off"], &[]),
    ("agent-init --agent ", &["auto", "none", "claude", "codex", "gh"], &["run"]),
    ("agent-init agents ", &["claude", "qwen"], &["auto"]),
    ("agent-init completions ", &["bash", "zsh", "fish"], &["run"]),
    ("agent-init --home /us", &["usr"], &["/usr/bin"]),
    // A command's name is only that in the first place.
    ("agent-init -v health", &[], &["healthcheck"]),
    // What follows COMMAND is COMMAND's own.
    ("agent-init mycommand --sy", &[], &["--sync"]),
    ("agent-init run --user node mycommand --sy", &[], &["--sync"]),
    ("agent-init exec -- mycommand --st", &[], &["--state-dir"]),
];

/// What a shell offers at the end of a line; `None` where it is not installed.
fn asked(shell: &str, sandbox: &Sandbox, line: &str) -> Option<Vec<String>> {
    let support = |name: &str| format!("{}/tests/suite/support/{name}", env!("CARGO_MANIFEST_DIR"));
    let file = sandbox.text("completions/_agent-init");
    let words = match shell {
        "bash" => vec!["bash".to_owned(), support("ask.bash"), file, line.to_owned()],
        "zsh" => {
            vec!["zsh".to_owned(), "-f".to_owned(), support("ask.zsh"), sandbox.text("completions"), line.to_owned()]
        }
        _ => vec!["fish".to_owned(), "-c".to_owned(), format!("source {file}; complete --do-complete='{line}'")],
    };
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", sandbox.text("bin"));
    let home = sandbox.text("home");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env_clear().envs(noise()).envs([("PATH", &path), ("HOME", &home)]).env("TERM", "dumb");
    let outcome = command.current_dir(&home).output().ok()?;
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert!(said.is_empty(), "{shell}: {line}: {said}");
    let offered = String::from_utf8(outcome.stdout).unwrap();
    let first = |line: &str| line.split('\t').next().unwrap_or_default().trim_matches('/').to_owned();
    Some(offered.lines().map(first).collect())
}

#[test]
fn every_shell_completes_commands_and_options() {
    for shell in ["bash", "zsh", "fish"] {
        let sandbox = Sandbox::new();
        let text = sandbox.raw(["completions", shell]).run().ok().stdout;
        sandbox.write("completions/_agent-init", text);
        for (line, there, absent) in LINES {
            let Some(offered) = asked(shell, &sandbox, line) else {
                skip("completions", &format!("there is no {shell} here"));
                break;
            };
            let has = |word: &&&str| offered.iter().any(|offered| offered == **word);
            assert!(there.iter().all(|word| has(&word)), "{shell}: {line}: {there:?} in {offered:?}");
            assert!(!absent.iter().any(|word| has(&word)), "{shell}: {line}: none of {absent:?} in {offered:?}");
        }
    }
    Sandbox::new().raw(["completions", "tcsh"]).run().refuses(&["tcsh", "bash"]);
}

#[test]
fn completions_of_command_come_from_its_own_file() {
    let sandbox = Sandbox::new();
    let text = sandbox.raw(["completions", "bash"]).run().ok().stdout;
    sandbox.write("completions/_agent-init", text);
    for (line, expected) in [
        ("agent-init --sync live git comm", "completions of git comm"),
        ("agent-init --sync=live -- git comm", "completions of git comm"),
        ("agent-init exec git comm", "completions of git comm"),
    ] {
        let offered = asked("bash", &sandbox, line).unwrap_or_default();
        assert_eq!(offered, [expected], "{line}");
    }
    assert_eq!(asked("bash", &sandbox, "agent-init --sync=l").unwrap_or_default(), ["live"]);
}
