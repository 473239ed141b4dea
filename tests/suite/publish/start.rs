//! The way of a stored login from the facts of a start to its first sync.

use super::{Captured, FILE, name_of};
use crate::support::{Run, Sandbox, Session, await_settled, codex_auth, needs_root};

/// A start at which nothing changes.
struct Start {
    name: &'static str,
    /// The login file, below the capture.
    file: &'static str,
    run: fn(&Sandbox) -> Run,
}

const STARTS: &[Start] = &[
    Start { name: "first start", file: "claude/.credentials.json", run: |sandbox| sandbox.claude(":") },
    Start {
        name: "restart",
        file: "claude/.credentials.json",
        run: |sandbox| {
            sandbox.claude(":").run().ok();
            sandbox.claude(":")
        },
    },
    Start {
        name: "sync at the end",
        file: "claude/.credentials.json",
        run: |sandbox| sandbox.claude(":").options(["--sync", "exit"]),
    },
    Start {
        name: "read-only capture",
        file: "claude/.credentials.json",
        run: |sandbox| sandbox.claude(":").bind_read_only(sandbox.path("capture"), sandbox.path("capture")),
    },
    Start {
        name: "another agent",
        file: "codex/auth.json",
        run: |sandbox| sandbox.raw(["--agent", "codex", "--", "codex", ":"]),
    },
];

#[test]
fn a_start_opens_a_stored_login_once() {
    needs_root!();
    for Start { name, file, run } in STARTS {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        sandbox.captured("codex", "auth.json", &codex_auth("a"));
        let run = run(&sandbox);
        await_settled(&sandbox.path("capture").join(file));
        // -y: with the paths of descriptors.
        let calls = "trace=open,openat,openat2,clone,clone3,fork,vfork";
        let outcome = run.through(["strace", "-qq", "-y", "-o", &sandbox.text("log"), "-e", calls]).run();
        assert_eq!(outcome.code, Some(0), "{name}\n{outcome}");
        let log = sandbox.read("log");
        let is_start_of_agent = |line: &&str| line.starts_with("clone") || line.contains("fork(");
        let (directory, entry) = file.split_once('/').unwrap();
        let login = format!("/capture/{directory}>, \"{entry}\"");
        let start: Vec<&str> = log.lines().take_while(|line| !is_start_of_agent(line)).collect();
        assert!(start.len() < log.lines().count(), "{name}: the agent was not started\n{log}");
        let opened: Vec<_> = start.iter().filter(|line| line.contains(&login)).collect();
        assert_eq!(opened.len(), 1, "{name}: {opened:#?}\n{outcome}");
    }
}

/// Another container publishes after this start has read the stored login, and before it watches the capture. The helper
/// of the agent that is looked for next stands for it. The new login is as long as the old one.
#[test]
fn a_login_published_during_a_start_is_adopted() {
    let ways = [
        ("renamed", "mv \"$1\" \"$2\""),
        // The inode stays.
        ("overwritten", "cat \"$1\" >\"$2\""),
        ("removed and made anew", "rm \"$2\"; cp \"$1\" \"$2\""),
    ];
    for (name, way) in ways {
        for is_settled in [true, false] {
            let captured = Captured::new();
            let sandbox = &captured.sandbox;
            sandbox.write("other.json", Session::new("b").json());
            sandbox.write("codex.json", codex_auth("c"));
            let script = format!("set -e; {way}; cat \"$3\"");
            sandbox.write("publish", script);
            let paths =
                [sandbox.text("publish"), sandbox.text("other.json"), sandbox.text(FILE), sandbox.text("codex.json")];
            let run = sandbox
                .claude("seen")
                .options(["--agent", "claude,codex"])
                .env("CODEX_CREDENTIALS_COMMAND", format!("sh {}", paths.join(" ")));
            if is_settled {
                await_settled(&sandbox.path(FILE));
            }
            let outcome = run.run();
            assert_eq!(outcome.code, Some(0), "{name}\n{outcome}");
            let outcome = outcome.says(&["codex auth: "]);
            let seen = name_of(outcome.variable("FILE").unwrap_or_default());
            assert_eq!((seen.as_str(), captured.stored().as_str()), ("b", "b"), "{name}, {is_settled}\n{outcome}");
        }
    }
}
