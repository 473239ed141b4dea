//! `RUST_BACKTRACE` and `RUST_LIB_BACKTRACE` are the agent's: what goes wrong in agent-init is said in words, with them
//! and without, and never read from our own memory map.

use std::fs;

use crate::support::{Live, Run, Sandbox, Session, needs_root};

/// What people set, and what the standard library understands of it.
const SETTINGS: [&[(&str, &str)]; 5] = [
    &[("RUST_BACKTRACE", "1")],
    &[("RUST_BACKTRACE", "full")],
    &[("RUST_LIB_BACKTRACE", "1")],
    &[("RUST_BACKTRACE", "0"), ("RUST_LIB_BACKTRACE", "1")],
    &[("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "full")],
];

fn with(run: Run, setting: &[(&str, &str)]) -> Run {
    let run = run.unset("RUST_BACKTRACE").unset("RUST_LIB_BACKTRACE");
    setting.iter().fold(run, |run, (name, value)| run.env(name, *value))
}

/// What is wrong, the arguments, and what is said of it.
const ERRORS: [(&str, &[&str], &str); 6] = [
    ("an unknown option", &["--usr", "a", "true"], "--usr"),
    ("a bad value", &["--grace", "8x", "--", "true"], "8x"),
    ("an unknown user", &["--user", "nosuch", "--", "true"], "nosuch"),
    ("no login where one is required", &["--require", "--agent", "claude", "--", "true"], "claude"),
    ("a login that is not one", &["--require", "--agent", "codex", "--", "true"], "codex"),
    ("a store that is none", &["--store", "nosuch:x", "--agent", "claude", "--", "true"], "nosuch"),
];

#[test]
fn an_error_before_the_start_is_said_and_ends_with_125() {
    let sandbox = Sandbox::new();
    sandbox.captured("codex", "auth.json", "{ not a login");
    for setting in SETTINGS {
        for (what, arguments, says) in ERRORS {
            let outcome = with(sandbox.raw(arguments.iter().copied()), setting).run();
            assert_eq!(outcome.code, Some(125), "{setting:?}: {what}\n{outcome}");
            outcome.says(&["agent-init: error: ", says, "\n  hint: "]).says_no(&["stack backtrace", "0x"]);
        }
        let nowhere = with(sandbox.raw(["--agent", "none", "--", "/no/such/command"]), setting).run();
        nowhere.code(127).says(&["command not found", "\n  hint: "]).says_no(&["stack backtrace"]);
    }
}

#[test]
fn an_error_as_pid_1_is_said_and_ends_with_125() {
    needs_root!();
    let sandbox = Sandbox::new();
    for setting in SETTINGS {
        let outcome = with(sandbox.raw(["--user", "nosuch", "--", "true"]).pid1(), setting).run();
        outcome.code(125).says(&["agent-init: error: ", "nosuch", "\n  hint: "]);
    }
}

#[test]
fn the_agent_gets_the_variables_as_they_were() {
    let sandbox = Sandbox::new();
    for setting in SETTINGS {
        let outcome = with(sandbox.claude("env"), setting).run().ok();
        for name in ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"] {
            let given = setting.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
            assert_eq!(outcome.variable(name), given, "{setting:?}");
        }
    }
}

/// What captures a backtrace reads the memory map and the executable, some megabytes: work that an agent could ask for
/// again and again.
#[test]
fn no_error_reads_the_memory_map() {
    let sandbox = Sandbox::new();
    let (program, calls) = (sandbox.text("bin/agent-init"), sandbox.text("calls"));
    for (what, arguments, _) in ERRORS {
        let trace = ["-qq", "-o", &calls, "-e", "trace=open,openat", &program];
        let run = sandbox.raw(trace).arguments(arguments.iter().copied()).program("strace");
        with(run, &[("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "full")]).run().code(125);
        let calls = sandbox.read("calls");
        assert!(!calls.contains("maps") && !calls.contains("exe\""), "{what}\n{calls}");
    }
}

/// Ways in which an agent makes PID 1's work fail while it runs.
const TROUBLES: [(&str, &str); 3] = [
    ("a directory in place of the login", "rm \"$F\"; mkdir \"$F\""),
    (
        "a file in place of the state directory",
        "rm -rf \"$AGENT_INIT_STATE_DIR\"; : >\"$AGENT_INIT_STATE_DIR\"; refresh two",
    ),
    ("a full capture and a full state directory", "cat /dev/zero >\"$AGENT_INIT_CAPTURE/x\"; refresh two"),
];

#[test]
fn an_error_while_the_agent_runs_is_a_message() {
    needs_root!();
    for (what, trouble) in TROUBLES {
        for setting in [SETTINGS[0], SETTINGS[4]] {
            let sandbox = Sandbox::new();
            let store = sandbox.text("store");
            let (capture, state) = (format!("{store}/capture"), format!("{store}/state"));
            let login = Session::new("one").json();
            let prepare = format!(
                "mkdir {store}; mount -t tmpfs -o size=64k tmpfs {store}; mkdir {capture} {state}; \
                 echo '{login}' >{capture}/.credentials.json"
            );
            let mut gate = sandbox.gate("gate");
            let run =
                sandbox.claude(&format!("hold \"$1\" ready; {trouble} 2>/dev/null; say done; hold \"$1\"; exit 7"));
            let run = run.arguments([gate.to_string()]).setup(prepare);
            let run = run.env("AGENT_INIT_CAPTURE", capture).env("AGENT_INIT_STATE_DIR", state);
            let mut live = with(run, setting).start();
            live.line("ready");
            gate.open();
            live.line("done");
            live.message("agent-init: warning: ");
            gate.open();
            let outcome = live.wait();
            assert_eq!(outcome.code, Some(7), "{what}: {setting:?}\n{outcome}");
        }
    }
}

fn anonymous_memory(live: &Live) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", live.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// kB: more than the heap moves by itself, less than what one backtrace leaves behind.
const FLAT: u64 = 64;

#[test]
fn memory_is_flat_over_many_errors() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("one").json());
    let mut gate = sandbox.gate("gate");
    let script = "many() { i=0; while [ $i -lt $1 ]; do i=$((i+1)); rm \"$F\"; mkdir \"$F\"; rmdir \"$F\"; login one >\"$F\"; done; }
        hold \"$1\" ready; rm \"$F\"; mkdir \"$F\"; hold \"$1\" trouble; rmdir \"$F\"; login one >\"$F\"
        many 100; hold \"$1\" some; many 1500; hold \"$1\" many; exit 7";
    let run = with(sandbox.claude(script).arguments([gate.to_string()]), SETTINGS[4]);
    let mut live = run.start();
    live.line("ready");
    gate.open();
    live.line("trouble");
    live.message("agent-init: warning: ");
    gate.open();
    live.line("some");
    let before = anonymous_memory(&live);
    gate.open();
    live.line("many");
    let after = anonymous_memory(&live);
    assert!(after <= before + FLAT, "{before} kB, then {after} kB");
    gate.open();
    live.wait().code(7);
}
