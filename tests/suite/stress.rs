//! Many orphans, many signals, many ends at once, and no more processes to be had.

use std::process::Command;

use crate::support::{Run, Sandbox, needs_root, root_or_skip};

fn pid1_or_not(run: impl Fn() -> Run) -> Vec<(&'static str, Run)> {
    let mut runs = vec![("not PID 1", run())];
    if root_or_skip("stress as PID 1") {
        runs.push(("PID 1", run().pid1()));
    }
    runs
}

/// Each orphan writes a byte; the pipe ends with the last of them. Reaping is another process's act, so look more than
/// once.
const ORPHANS: &str = "
    orphans=$(round=0; while [ $round -lt 50 ]; do round=$((round+1))
        (i=0; while [ $i -lt 200 ]; do i=$((i+1)); printf . & done)
    done)
    say \"${#orphans} orphans\"
    look=0
    while grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null && [ $look -lt 2000 ]; do look=$((look+1)); done >/dev/null
    [ $look -lt 2000 ] && say none is left; exit 7";

#[test]
fn ten_thousand_orphans_are_reaped() {
    needs_root!();
    let sandbox = Sandbox::new();
    let run = sandbox.claude(ORPHANS).options(["--agent", "none"]).pid1();
    let outcome = run.run().code(7).prints(&["10000 orphans\n", "none is left"]);
    assert_eq!(outcome.stderr, "");
}

/// Counts signals that are queued for it, beside orphans and two processes that do nothing but run.
const COUNTS: &str = r#"
import collections, os, signal, subprocess, sys
signals = set(range(34, 65)) | {signal.SIGUSR1, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
burn = "while :; do :; done"
orphans = "i=0; while [ $i -lt 500 ]; do i=$((i+1)); (: &); done"
for script in (burn, burn, orphans):
    subprocess.Popen(["sh", "-c", script], start_new_session=True)
print("init", os.getppid(), flush=True)
seen = collections.Counter()
while True:
    number = signal.sigwaitinfo(signals).si_signo
    if number == 64:
        break
    seen[number] += 1
for number in sorted(seen):
    print(f"<{int(number)}:{seen[number]}>", flush=True)
"#;

/// Real-time signals are queued, so that none is lost. Of the classic ones several may come as one.
#[test]
fn a_thousand_signals_are_forwarded_under_load() {
    let sandbox = Sandbox::new();
    sandbox.write("cwd/counts.py", COUNTS);
    for (what, run) in pid1_or_not(|| sandbox.raw(["--agent", "none", "--", "python3", "counts.py"])) {
        let mut live = run.start();
        live.line("init ");
        // 1000 of ten real-time signals in turn and 200 classic ones between them; 64 comes last of all that wait.
        let script = "i=0; while [ $i -lt 100 ]; do i=$((i+1))
            for n in 40 34 41 35 42 36 43 37 44 38 USR1 USR2; do kill -$n $1 || exit; done; done; kill -64 $1";
        let sent = Command::new("sh").args(["-c", script, "sh", &live.pid().to_string()]).status();
        assert!(sent.unwrap().success());
        let outcome = live.wait().ok();
        for number in 34..=44 {
            let count = if number == 39 { 0 } else { 100 };
            let line = format!("<{number}:{count}>");
            assert_eq!(outcome.stdout.contains(&line), count > 0, "{what}: {line}\n{outcome}");
        }
        outcome.prints(&["<10:", "<12:"]);
    }
}

/// One SIGCHLD may stand for all of them, the agent among them.
#[test]
fn many_children_end_with_the_agent() {
    let sandbox = Sandbox::new();
    // Children wait for the end of a pipe that the agent holds, or are killed with it.
    let pipe = "import os\nr, w = os.pipe()\nfor _ in range(150):\n    if os.fork() == 0:\n        os.close(w)\n        os.read(r, 1)\n        os._exit(9)\nos._exit(7)";
    let group = "i=0; while [ $i -lt 150 ]; do i=$((i+1)); sleep 1000 & done; kill -KILL 0";
    for _ in 0..5 {
        for (command, code) in [(["python3", "-c", pipe], 7), (["sh", "-c", group], 137)] {
            for (what, run) in pid1_or_not(|| sandbox.raw(["--agent", "none", "--"]).arguments(command)) {
                let outcome = run.run();
                assert_eq!(outcome.code, Some(code), "{what}: {command:?}\n{outcome}");
            }
        }
    }
}

/// A uid that nobody else has, with one process to its name: the kernel does not limit root's.
#[test]
fn a_start_without_free_processes_fails_with_a_reason() {
    needs_root!();
    let sandbox = Sandbox::new();
    for directory in ["home", "state"] {
        sandbox.give(directory, 4_242_001);
    }
    for (_, run) in pid1_or_not(|| sandbox.claude("say started").options(["--agent", "none"]).uid(4_242_001)) {
        run.through(["prlimit", "--nproc=1:1"])
            .run()
            .refuses(&["process", "\n  hint: ", "limit"])
            .prints_no(&["started"]);
    }
}

/// The kernel counts when the user changes, and then refuses the exec: the command is not to blame for that.
#[test]
fn a_process_limit_of_the_agents_user_is_named() {
    needs_root!();
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let script = ["-c", "echo up; read -r _ <\"$1\"", "sh", &gate.to_string()];
    let mut another = sandbox.raw(script).program("/bin/sh").uid(4_242_002).start();
    another.line("up");
    for (_, run) in pid1_or_not(|| sandbox.claude("say started").options(["--agent", "none", "--user", "4242002"])) {
        run.through(["prlimit", "--nproc=0:0"]).run().refuses(&["\n  hint: ", "limit"]).prints_no(&["started"]);
    }
    gate.open();
    another.wait().ok();
}
