//! Signals: forwarded, and handed on as they were.

use crate::support::{Run, Sandbox, needs_root};

/// Everything that an agent can catch (not KILL 9 and STOP 19; its own C library refuses 32 and 33).
fn catchable() -> impl Iterator<Item = i32> {
    (1..=64).filter(|number| ![9, 19, 32, 33].contains(number))
}

fn pid1_or_not(run: impl Fn() -> Run) -> Vec<(&'static str, Run)> {
    let mut runs = vec![("not PID 1", run())];
    if crate::support::root_or_skip("as PID 1") {
        runs.push(("PID 1", run().pid1()));
    }
    runs
}

/// The stop signal (TERM) has tests of its own; CHLD is the init's.
fn forwarded() -> impl Iterator<Item = i32> {
    catchable().filter(|number| ![15, 17].contains(number))
}

#[test]
fn each_signal_reaches_the_agent() {
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let numbers: Vec<String> = forwarded().map(|number| number.to_string()).collect();
    let script = "for n in $1; do trap \"say got $n.\" $n; done; hold \"$2\" ready";
    let arguments = [numbers.join(" "), gate.to_string()];
    for (what, run) in pid1_or_not(|| sandbox.claude(script).arguments(arguments.clone())) {
        let mut live = run.start();
        live.line("ready");
        for number in forwarded() {
            live.signal(number);
            live.line(&format!("got {number}."));
        }
        gate.open();
        println!("{what}");
        live.wait().ok();
    }
}

#[test]
fn a_signal_that_kills_the_agent_is_its_exit_status() {
    let sandbox = Sandbox::new();
    // Default action is to end: all but CHLD, CONT, URG, WINCH and the terminal's stops.
    for number in [1, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15, 31, 34, 50, 64] {
        for (what, run) in pid1_or_not(|| sandbox.raw(["--", "sh", "-c", "ulimit -c 0; echo ready; exec sleep 1000"])) {
            let mut live = run.start();
            live.line("ready");
            live.signal(number);
            let outcome = live.wait();
            assert_eq!(outcome.code, Some(128 + number), "{what}\n{outcome}");
        }
    }
}

/// Runs COMMAND with 32 and 33 as they are at login: `posix_spawn(3)`, which tests start runs with, ignores them. Only a system
/// call can change that.
const WITH_DEFAULTS: &str = "
import ctypes, os, platform, sys
call = {'x86_64': 13, 'aarch64': 134}[platform.machine()]
for number in (32, 33):
    ctypes.CDLL(None).syscall(call, number, ctypes.create_string_buffer(32), None, 8)
os.execvp(sys.argv[1], sys.argv[1:])
";

/// 32 and 33 are glibc's and musl's for their threads, 34 is musl's too.
#[test]
fn real_time_signals_that_a_libc_reserves_are_forwarded() {
    let sandbox = Sandbox::new();
    for number in [32, 33, 34] {
        for (what, run) in pid1_or_not(|| sandbox.raw(["--", "sh", "-c", "echo ready; exec sleep 1000"])) {
            let mut live = run.through(["python3", "-c", WITH_DEFAULTS]).start();
            live.line("ready");
            live.signal(number);
            let outcome = live.wait();
            assert_eq!(outcome.code, Some(128 + number), "{what}\n{outcome}");
        }
    }
}

#[test]
fn the_whole_group_gets_a_forwarded_signal() {
    let sandbox = Sandbox::new();
    let (mut gate, never) = (sandbox.gate("gate"), sandbox.gate("never"));
    let script = "(trap 'say child got it; exit' USR1; hold \"$2\" 'child ready') & trap 'say agent got it' USR1; hold \"$1\" ready";
    for (_, run) in pid1_or_not(|| sandbox.claude(script).arguments([gate.to_string(), never.to_string()])) {
        let mut live = run.start();
        live.line("ready");
        live.line("ready");
        live.signal(10);
        live.line("got it");
        live.line("got it");
        gate.open();
        live.wait().ok().prints(&["child got it", "agent got it"]);
    }
}

#[test]
fn mask_and_dispositions_are_handed_on() {
    let sandbox = Sandbox::new();
    // Through `env`: what it ignores or blocks, and what the agent then shows (CHLD and PIPE are always default).
    let cases: &[(&[&str], u64, u64)] = &[
        (&[], 0, 0),
        (&["--block-signal=USR1"], 1 << 9, 0),
        (&["--block-signal=TERM,CHLD,RTMIN+2"], 1 << 14 | 1 << 16 | 1 << 35, 0),
        (&["--ignore-signal=HUP"], 0, 1),
        (&["--ignore-signal=INT,QUIT,TERM,TSTP,TTIN,TTOU"], 0, 1 << 1 | 1 << 2 | 1 << 14 | 1 << 19 | 1 << 20 | 1 << 21),
        (&["--ignore-signal=CHLD,PIPE"], 0, 0),
        (&["--block-signal=PIPE", "--ignore-signal=USR2"], 1 << 12, 1 << 11),
    ];
    let show = ["-E", "^Sig(Blk|Ign)", "/proc/self/status"];
    // What this very process was started with is handed on as well.
    let ours = masks(&sandbox.raw(show).program("/bin/grep").run().stdout);
    for (given, blocked, ignored) in cases {
        for (what, run) in pid1_or_not(|| sandbox.raw(["--", "grep"]).arguments(show)) {
            let outcome = run.through(["env"]).through(given.iter().copied()).run().ok();
            let expected = (ours.0 | blocked, ours.1 | ignored);
            assert_eq!(masks(&outcome.stdout), expected, "{what}: {given:?}\n{outcome}");
        }
    }
}

/// Blocked and ignored signals.
fn masks(status: &str) -> (u64, u64) {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    (field("SigBlk:"), field("SigIgn:"))
}

#[test]
fn it_works_when_started_with_sigchld_ignored_or_blocked() {
    let sandbox = Sandbox::new();
    for how in ["--ignore-signal=CHLD", "--block-signal=CHLD"] {
        for (what, run) in pid1_or_not(|| sandbox.raw(["--", "sh", "-c", "sleep 0 & true; exit 7"])) {
            let outcome = run.through(["env", how]).run();
            assert_eq!(outcome.code, Some(7), "{what}: {how}\n{outcome}");
        }
    }
}

/// Nobody could ever continue it.
#[test]
fn an_agent_that_stops_under_pid_1_goes_on() {
    needs_root!();
    let sandbox = Sandbox::new();
    for signal in ["STOP", "TSTP"] {
        let script = format!("sh -c 'kill -{signal} $PPID'; say on");
        sandbox.claude(&script).pid1().run().ok().prints(&["on"]);
    }
}
