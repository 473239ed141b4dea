//! A stop before the agent runs ends the start, whatever the start is at: 128 and the signal, no agent, nothing left behind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

use crate::support::{Live, Outcome, Run, Sandbox, Session, StandIn, await_path, await_settled, root_or_skip};

/// What the stand-in agent says if it runs after all.
const SCRIPT: &str = "say started";

/// Something that a start may be at, for longer than a moment.
struct Phase {
    name: &'static str,
    prepare: fn(&Sandbox) -> Run,
    /// Waits until the start is at it.
    reached: fn(&Sandbox, &mut Live),
}

const PHASES: &[Phase] = &[
    Phase {
        name: "a command runs",
        prepare: |sandbox| {
            let line = format!("echo >{}; exec sleep 1000", sandbox.text("state/reached"));
            sandbox.claude(SCRIPT).env("ANTHROPIC_API_KEY_COMMAND", line)
        },
        reached: |sandbox, _| await_there(sandbox, "state", "state/reached"),
    },
    Phase {
        name: "the store is asked for the first time",
        prepare: |sandbox| {
            let store = StandIn::new(sandbox.path("capture"));
            store.seed(&Session::new("a").json());
            store.misbehave("get:hang");
            sandbox.claude(SCRIPT).unset("AGENT_INIT_CAPTURE").env("AGENT_INIT_STORE", store.spec())
        },
        reached: |sandbox, _| {
            let store = StandIn::new(sandbox.path("capture"));
            await_path(&store.0, "the get", || !store.requests("get").is_empty());
        },
    },
    Phase {
        name: "a login is waited for",
        prepare: |sandbox| sandbox.claude(SCRIPT).options(["--wait", "50s"]),
        reached: |_, live| drop(live.message("waiting up to 50s")),
    },
    Phase {
        name: "another holds the capture's lock",
        prepare: |sandbox| {
            sandbox.mkdir("capture/claude/.agent-init");
            sandbox.claude(SCRIPT).env("CLAUDE_CREDENTIALS", Session::new("n").json())
        },
        reached: |sandbox, _| {
            await_there(sandbox, "home", "home/.claude");
            await_there(sandbox, "home/.claude", "home/.claude/.credentials.json");
        },
    },
    Phase {
        name: "settings are copied",
        prepare: |sandbox| {
            sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
            let skills = sandbox.mkdir("capture/claude/skills");
            for number in 0..5000 {
                std::fs::write(skills.join(number.to_string()), "x").unwrap();
            }
            sandbox.claude(SCRIPT)
        },
        reached: |sandbox, _| {
            await_there(sandbox, "home", "home/.claude");
            await_there(sandbox, "home/.claude", "home/.claude/skills");
        },
    },
];

fn await_there(sandbox: &Sandbox, directory: &str, name: &str) {
    await_path(&sandbox.path(directory), name, || sandbox.exists(name));
}

/// The signal, and the option that makes it a stop.
const STOPS: &[(i32, &[&str])] = &[(15, &[]), (2, &[]), (1, &[]), (10, &["--stop-signal", "USR1"])];

#[test]
fn a_stop_ends_the_start_in_every_phase() {
    let root = root_or_skip("a stop of PID 1");
    for phase in PHASES {
        for ((signal, options), pid1) in STOPS.iter().zip([root, false, root, false]) {
            let sandbox = Sandbox::new();
            let run = (phase.prepare)(&sandbox).options(options.iter().copied());
            let lock = held_lock(&sandbox);
            let mut live = if pid1 { run.pid1() } else { run }.start();
            (phase.reached)(&sandbox, &mut live);
            live.signal(*signal);
            let outcome = live.wait();
            drop(lock);
            let what = format!("while {}: signal {signal}, PID 1: {pid1}", phase.name);
            assert_ended(&outcome, *signal, &what);
            assert_nothing_left(&sandbox, &what);
        }
    }
}

/// The lock of writers, where the phase has made room for it.
fn held_lock(sandbox: &Sandbox) -> Option<Flock<File>> {
    let notes = sandbox.path("capture/claude/.agent-init");
    let file = notes.is_dir().then(|| File::create(notes.join("lock")).unwrap())?;
    Some(Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap())
}

fn assert_ended(outcome: &Outcome, signal: i32, what: &str) {
    assert_eq!(outcome.code, Some(128 + signal), "{what}\n{outcome}");
    assert!(outcome.stderr.contains("error: stopped by SIG"), "{what}\n{outcome}");
    assert_eq!(outcome.stderr.matches("stopped by").count(), 1, "{what}\n{outcome}");
    assert!(!outcome.stdout.contains("started"), "{what}\n{outcome}");
}

/// No lock that is for a running agent, and no file in the middle of a write.
fn assert_nothing_left(sandbox: &Sandbox, what: &str) {
    let left: Vec<PathBuf> = ["home", "capture", "state"].iter().flat_map(|root| below(&sandbox.path(root))).collect();
    let is_left = |path: &&PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name == ".claude.lock" || name.ends_with(".tmp")
    };
    assert_eq!(left.iter().find(is_left), None, "{what}");
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| {
            let inside = if entry.file_type().unwrap().is_dir() { below(&entry.path()) } else { Vec::new() };
            std::iter::once(entry.path()).chain(inside)
        })
        .collect()
}

/// The login that the capture holds at the end is the one that was there, or the one that was given.
fn assert_login_kept(sandbox: &Sandbox, what: &str) {
    let login = sandbox.read("capture/claude/.credentials.json");
    let kept = ["a", "n"].iter().any(|name| login.contains(&Session::new(name).refresh()));
    assert!(kept, "{what}: {login}");
}

/// At every system call of these kinds, which are in all parts of a start.
#[test]
fn a_stop_at_any_moment_ends_the_start() {
    for call in ["openat", "openat2", "renameat", "fcntl"] {
        let sandbox = interrupted_sandbox();
        let log = sandbox.path("log");
        traced(&sandbox, &["-e", &format!("trace={call},signalfd4,clone"), "-o", log.to_str().unwrap()]).ok();
        let log = std::fs::read_to_string(&log).unwrap();
        let is_call = |line: &&str| line.starts_with(&format!("{call}("));
        // Before signals are ours they have their default effect; once the child is cloned, the agent runs.
        let begun = log.find("signalfd4(").expect("a signalfd");
        let early = log[..begun].lines().filter(is_call).count();
        let before = log[..log.find("clone(").expect("a clone")].lines().filter(is_call).count();
        assert!(before > early, "{call}: {log}");
        for moment in early + 1..=before {
            let sandbox = interrupted_sandbox();
            let inject = format!("inject={call}:signal=TERM:when={moment}");
            let outcome = traced(&sandbox, &["-e", &inject, "-o", "/dev/null"]);
            let what = format!("{call} {moment} of {before}");
            assert_ended(&outcome, 15, &what);
            assert_nothing_left(&sandbox, &what);
            assert_login_kept(&sandbox, &what);
        }
    }
}

/// With settings, a login in the capture that gives way to the given one, and a question of a first start to answer.
fn interrupted_sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.write("capture/claude/settings.json", "{}");
    sandbox.write("capture/claude/skills/one", "x");
    // Every start makes the same system calls.
    await_settled(&sandbox.path("capture/claude/.credentials.json"));
    sandbox
}

/// A start under strace, which does not follow the child.
fn traced(sandbox: &Sandbox, options: &[&str]) -> Outcome {
    let program = sandbox.text("bin/agent-init");
    let words = options.iter().copied().chain(["-qq", &program, "--", "claude", SCRIPT]);
    let run = sandbox.raw(words).program("strace");
    run.env("CLAUDE_CREDENTIALS", Session::new("n").json()).run()
}

/// A signal that is no stop is the agent's, whatever the start was at when it came.
#[test]
fn other_signals_wait_for_the_agent() {
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let line = format!("read -r _ <{gate}; echo FAKE");
    let mut live =
        sandbox.raw(["--agent", "claude", "--", "sleep", "1000"]).env("ANTHROPIC_API_KEY_COMMAND", line).start();
    let child = format!("/proc/{0}/task/{0}/children", live.pid());
    while std::fs::read_to_string(&child).unwrap().is_empty() {
        std::thread::yield_now();
    }
    live.signal(10);
    gate.open();
    live.message("command:ANTHROPIC_API_KEY_COMMAND");
    live.wait().code(138);
}

/// The agent's refresh lock is there for a running agent: a COMMAND that cannot be executed leaves none either.
#[test]
fn a_start_that_fails_at_its_end_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.raw(["--agent", "claude", "--", "nosuch-command"]).run().code(127);
    assert!(
        Command::new("test").arg("-e").arg(sandbox.path("home/.claude/.credentials.json")).status().unwrap().success()
    );
    assert_nothing_left(&sandbox, "a COMMAND that is not there");
}
