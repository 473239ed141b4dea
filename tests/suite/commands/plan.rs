//! `plan`: what `run` does then, and nothing is touched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{captured, token_only};
use crate::support::{Give, Sandbox, Session, codex_auth, needs_root};

/// Starts of all kinds.
const STARTS: &[(&str, Give)] = &[
    ("nothing", |_, run| run),
    ("variable", |_, run| run.env("CLAUDE_CREDENTIALS", Session::new("a").json())),
    ("variable and capture", |s, run| {
        captured(s, &Session::new("a"));
        run.env("CLAUDE_CREDENTIALS", Session::new("b").json()).env("ANTHROPIC_API_KEY_FILE", "")
    }),
    ("capture with settings", |s, run| {
        captured(s, &Session::new("a"));
        s.write("capture/claude/settings.json", "{}");
        run
    }),
    ("left in home", |s, run| {
        s.write("home/.claude/.credentials.json", Session::new("a").json());
        run
    }),
    ("key and session", |_, run| {
        run.env("ANTHROPIC_API_KEY", "sk-FAKE").env("CLAUDE_CREDENTIALS", Session::new("a").json())
    }),
    ("two agents", |_, run| {
        run.env("CODEX_CREDENTIALS", codex_auth("a")).env("CLAUDE_CREDENTIALS_B64", Session::new("a").b64())
    }),
    ("invalid", |s, run| run.env("CLAUDE_CREDENTIALS", "FAKE").env("AGENT_INIT_HOME", s.text("no-such-home"))),
    ("ends", |_, run| run.env("CLAUDE_CREDENTIALS", token_only(60))),
];

/// Every path below with type, mode, owner, times and content.
fn tree(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut queue = vec![directory.to_owned()];
    while let Some(path) = queue.pop() {
        let about = path.symlink_metadata().unwrap();
        let content = if about.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let line = format!(
            "{:o} {}:{} {}.{} {} {content:?}",
            about.mode(),
            about.uid(),
            about.gid(),
            about.mtime(),
            about.mtime_nsec(),
            about.ino()
        );
        if about.is_dir() {
            queue.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, line);
    }
    found
}

#[test]
fn plan_changes_nothing() {
    for (what, give) in STARTS {
        let sandbox = Sandbox::new();
        let commands: [&[&str]; 5] =
            [&["plan", "--", "claude"], &["plan", "--json", "--", "sh"], &["status"], &["doctor"], &["agents"]];
        let runs = commands.map(|words| give(&sandbox, sandbox.raw(words.iter().copied())));
        let before = tree(&sandbox.path(""));
        for run in runs {
            run.run();
            assert_eq!(tree(&sandbox.path("")), before, "{what}");
        }
    }
}

#[test]
fn a_read_only_root_changes_nothing() {
    needs_root!();
    for (what, give) in STARTS {
        let sandbox = Sandbox::new();
        let plan = |read_only: bool| {
            let run = give(&sandbox, sandbox.raw(["plan", "--json", "--user", "node", "--", "claude"])).pid1();
            let run = if read_only { run.read_only_root(&[]) } else { run };
            run.run().ok().json()
        };
        let (writable, read_only) = (plan(false), plan(true));
        for part in ["identity", "home", "stop", "privileges", "command"] {
            assert_eq!(writable[part], read_only[part], "{what}");
        }
        // The place moves to where it can be written, and nothing else is different.
        let sources = |plan: &Value| plan["agents"][0]["sources"].clone();
        assert_eq!(
            writable["agents"].as_array().unwrap().len(),
            read_only["agents"].as_array().unwrap().len(),
            "{what}"
        );
        if writable["agents"][0]["sources"].as_array().is_some_and(|all| all.iter().all(|s| s["method"] != "session")) {
            assert_eq!(sources(&writable), sources(&read_only), "{what}");
        }
    }
}

#[test]
fn run_does_what_was_planned() {
    for (what, give) in STARTS {
        let sandbox = Sandbox::new();
        let plan = give(&sandbox, sandbox.raw(["plan", "--json", "--", "claude"])).run().ok().json();
        let given = give(&sandbox, sandbox.raw(["--agent", "none", "--", "env"])).run().ok();
        let run = give(&sandbox, sandbox.claude("seen")).run().ok();
        let names = |plan: &Value| -> Vec<String> { serde_json::from_value(plan.clone()).unwrap() };
        for name in names(&plan["environment"]["set"]) {
            assert!(run.variable(&name).is_some(), "{what}: {name} is set\n{run}");
        }
        let removed = names(&plan["environment"]["unset"]);
        let gone = given.stdout.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
        // The shell's own.
        let gone: Vec<&str> =
            gone.filter(|name| run.variable(name).is_none() && !["_", "OLDPWD"].contains(name)).collect();
        let mut sorted = gone.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, removed, "{what}\n{run}");
        assert_eq!(run.variable("HOME"), plan["home"]["path"].as_str(), "{what}");
        let claude = &plan["agents"].as_array().unwrap().iter().find(|agent| agent["agent"] == "claude").unwrap();
        assert_eq!(run.variable("CLAUDE_CONFIG_DIR"), claude["place"]["path"].as_str(), "{what}");
        let laid_down = claude["login_file"]["what"] != "absent";
        assert_eq!(run.variable("FILE").is_some(), laid_down, "{what}\n{run}");
        let source = &plan["auth"]["agents"][0]["source"];
        assert!(run.stderr.contains(source.as_str().unwrap_or("none (not logged in)")), "{what}\n{run}");
    }
}

#[test]
fn each_step_has_its_reason() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let run = sandbox.raw(["plan", "--grace", "3s", "--rewrite", "TERM:INT", "--", "claude", "-p", "FAKE-prompt"]);
    let run = run.env("ANTHROPIC_API_KEY", "sk-FAKE").env("CLAUDE_CREDENTIALS", "{}");
    run.env("COLUMNS", "1000").run().ok().says_no(&["FAKE"]).prints_no(&["FAKE"]).prints(&[
        "run would start claude\n",
        "command    claude\n",
        "neither --user nor --user-from",
        "--home names it",
        "ANTHROPIC_API_KEY CLAUDE_CONFIG_DIR HOME",
        "env:CLAUDE_CREDENTIALS (session): unusable - ",
        "(session): ignored - env:ANTHROPIC_API_KEY is preferred",
        "env:ANTHROPIC_API_KEY (api-key): chosen - ",
        "absent - the method that was chosen is not a login",
        "merged into .claude.json, settings.json",
        "SIGTERM stops it within 3 s",
        "SIGTERM as SIGINT",
    ]);
}

#[test]
fn what_run_refuses_is_refused_with_the_plan() {
    let sandbox = Sandbox::new();
    let refused = sandbox.raw(["plan", "--require=codex", "--", "claude"]).env("ANTHROPIC_API_KEY", "FAKE").run();
    refused.refuses(&["no usable credential for codex"]).prints(&["run would refuse", "env:ANTHROPIC_API_KEY"]);
    let json = sandbox.raw(["plan", "--require", "--json", "--", "claude"]).run().code(125).json();
    assert!(json["refuses"]["what"].as_str().unwrap().contains("no usable credential"), "{json}");
    sandbox.raw(["plan", "--user", "nosuch", "--", "claude"]).run().refuses(&["nosuch"]);
    sandbox.raw(["plan"]).run().refuses(&["no COMMAND"]);
}
