//! The terminal: who holds it, what keys do, job control, modes, size, hang-up; and the same without one.

mod jobs;

use crate::support::{Live, Pty, Run, Sandbox, root_or_skip};

/// A key and the signal that it is, what the agent does, and the exit status.
const KEYS: &[(&str, i32, &str, i32)] = &[
    ("\u{3}", 2, "trap 'say got INT; exit 5' INT; say ready; hold \"$1\"", 5),
    ("\u{3}", 2, "trap 'say got INT' INT; say ready; hold \"$1\"", 0),
    ("\u{3}", 2, "say ready; exec sleep 1000", 130),
    ("\u{1c}", 3, "trap 'say got QUIT; exit 6' QUIT; say ready; hold \"$1\"", 6),
    ("\u{1c}", 3, "ulimit -c 0; say ready; exec sleep 1000", 131),
];

fn pid1_or_not(run: impl Fn() -> Run) -> Vec<(&'static str, Run)> {
    let mut runs = vec![("not PID 1", run())];
    if root_or_skip("terminals as PID 1") {
        runs.push(("PID 1", run().pid1()));
    }
    runs
}

/// A plain init around the stand-in agent.
fn agent(sandbox: &Sandbox, script: &str, gate: &str) -> Run {
    sandbox.claude(script).arguments([gate]).options(["--agent", "none"])
}

#[test]
fn keys_reach_the_agent_once() {
    let sandbox = Sandbox::new();
    for (key, number, script, code) in KEYS {
        let mut gate = sandbox.gate(&format!("gate-{number}-{code}"));
        for (what, run) in pid1_or_not(|| agent(&sandbox, script, &gate.to_string())) {
            let mut pty = Pty::new();
            let live = pty.leads(run).start();
            pty.shows("ready");
            pty.types(key);
            if *code < 10 {
                pty.shows("got ");
            }
            if *code == 0 {
                gate.open();
            }
            let shown = pty.all();
            assert!(shown.matches("got ").count() <= 1, "{what}: {script}\n{shown}");
            live.wait().code(*code);
        }
        for (_, run) in pid1_or_not(|| agent(&sandbox, script, &gate.to_string())) {
            let mut live = run.through(["setsid"]).start();
            live.line("ready");
            live.signal(*number);
            if *code == 0 {
                live.line("got ");
                gate.open();
            }
            live.wait().code(*code);
        }
    }
}

#[test]
fn a_resize_reaches_the_agent() {
    let sandbox = Sandbox::new();
    let script =
        "trap 'say got WINCH; say \"size $(stty size 2>&1)\"' WINCH; say \"before $(stty size 2>&1)\"; hold \"$1\"";
    let mut gate = sandbox.gate("gate");
    for (_, run) in pid1_or_not(|| agent(&sandbox, script, &gate.to_string())) {
        let mut pty = Pty::new();
        let live = pty.leads(run).start();
        pty.shows("before 0 0");
        pty.resize(51, 123);
        pty.shows("size 51 123");
        gate.open();
        live.wait().ok();
    }
    for (_, run) in pid1_or_not(|| agent(&sandbox, script, &gate.to_string())) {
        let mut live = run.through(["setsid"]).start();
        live.line("before");
        live.signal(28);
        live.line("got WINCH");
        gate.open();
        live.wait().ok();
    }
}

#[test]
fn a_hang_up_ends_the_agent_and_nothing_hangs() {
    let sandbox = Sandbox::new();
    let rows = [
        ("log=$2; trap 'echo HUP >>\"$log\"; exit 9' HUP; say ready; hold \"$1\"", 9, "HUP\n"),
        ("say ready; exec sleep 1000", 129, ""),
    ];
    let never = sandbox.gate("never");
    for (script, code, heard) in rows {
        let log = sandbox.write("log", "").display().to_string();
        let run = || agent(&sandbox, script, &never.to_string()).arguments([log.clone()]);
        for (what, run) in pid1_or_not(run) {
            sandbox.write("log", "");
            let mut pty = Pty::new();
            let live = pty.leads(run).start();
            pty.shows("ready");
            drop(pty);
            live.wait().code(code);
            assert_eq!(sandbox.read("log"), heard, "{what}");
        }
        for (what, run) in pid1_or_not(run) {
            sandbox.write("log", "");
            let mut live = run.through(["setsid"]).start();
            live.line("ready");
            live.signal(1);
            live.wait().code(code);
            assert_eq!(sandbox.read("log"), heard, "no terminal, {what}");
        }
    }
}

/// Modes that the agent changed, and how it then ended.
#[test]
fn modes_and_foreground_are_restored_at_the_end() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate").to_string();
    // The shell is still the leader when the run ends: a terminal that hung up would prove nothing.
    let after = "\"$@\"; echo \"status $?\"; read -r word; echo \"word $word\"";
    for (end, status) in [("exit 3", 3), ("kill -9 $$", 137), ("exec nosuch 2>/dev/null", 127)] {
        let script = format!("stty raw -echo; say ready; {end}");
        let run = agent(&sandbox, &script, &gate);
        let mut pty = Pty::new();
        assert!(pty.is_cooked());
        let live = pty.leads(run).through(["sh", "-c", after, "sh"]).start();
        pty.shows("ready");
        pty.shows(&format!("status {status}"));
        assert!(pty.is_cooked(), "{end}");
        assert_eq!(pty.foreground(), live.pid(), "{end}");
        // Only the foreground may read.
        pty.types("typed\n");
        pty.shows("word typed");
        live.wait().ok();
    }
}

#[test]
fn a_start_that_fails_leaves_the_terminal_as_it_was() {
    let sandbox = Sandbox::new();
    let after = "\"$@\"; echo \"status $?\"; read -r word; echo \"word $word\"";
    for (command, status) in [("nosuch-command", 127), ("/etc", 126)] {
        let mut pty = Pty::new();
        let run = sandbox.raw(["--agent", "none", "--", command]);
        let live = pty.leads(run).through(["sh", "-c", after, "sh"]).start();
        pty.shows(&format!("status {status}"));
        assert_eq!(pty.foreground(), live.pid(), "{command}");
        pty.types("typed\n");
        pty.shows("word typed");
        live.wait().ok();
    }
}

/// One of the three is a terminal: that is enough to hand it over.
#[test]
fn a_terminal_on_any_standard_stream() {
    let sandbox = Sandbox::new();
    let never = sandbox.gate("never").to_string();
    let script = "trap 'say got INT >/dev/tty; exit 5' INT; say ready >/dev/tty; hold \"$1\"";
    for redirect in ["</dev/null", "</dev/null >/dev/null", ">/dev/null 2>&1", "<&-", "<&- >&-"] {
        for (what, run) in pid1_or_not(|| agent(&sandbox, script, &never)) {
            let mut pty = Pty::new();
            let redirected = format!("exec \"$@\" {redirect}");
            let live = pty.leads(run).through(["sh", "-c", &redirected, "sh"]).start();
            pty.shows("ready");
            pty.types("\u{3}");
            pty.shows("got INT");
            println!("{what}: {redirect}");
            live.wait().code(5);
        }
    }
}

/// As PID 1 there is no shell that could ever continue what Ctrl-Z stopped.
#[test]
fn ctrl_z_does_not_freeze_a_container() {
    if !root_or_skip("Ctrl-Z as PID 1") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let script = "trap 'say continued' CONT; say ready; hold \"$1\"; say on";
    let mut pty = Pty::new();
    let run = agent(&sandbox, script, &gate.to_string()).pid1();
    let live = pty.leads(run).start();
    pty.shows("ready");
    for _ in 0..3 {
        pty.types("\u{1a}");
        pty.shows("continued");
    }
    gate.open();
    pty.shows("on");
    live.wait().ok();
}

/// The signal as its key would send it, without a terminal.
#[test]
fn a_stop_without_a_terminal_does_not_freeze_a_container() {
    if !root_or_skip("a stop signal as PID 1") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let script = "trap 'say continued' CONT; say ready; hold \"$1\"; say on";
    let mut live: Live = agent(&sandbox, script, &gate.to_string()).pid1().through(["setsid"]).start();
    live.line("ready");
    for number in [20, 21, 22] {
        live.signal(number);
        live.line("continued");
    }
    gate.open();
    live.wait().ok().prints(&["on"]);
}
