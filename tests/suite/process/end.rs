//! Orphans, leftovers and the stop.

use std::time::{Duration, Instant};

use crate::support::{Run, Sandbox, needs_root};

/// Runs in both ways: as PID 1, and under the machine's own init.
fn both(run: impl Fn() -> Run) -> [(&'static str, Run); 2] {
    [("not PID 1", run()), ("PID 1", run().pid1())]
}

#[test]
fn orphans_are_reaped() {
    needs_root!();
    let sandbox = Sandbox::new();
    // Orphans end while the agent lives; the agent then counts the zombies that its init left.
    let script = "i=0; while [ $i -lt 200 ]; do (sh -c ':' & ) ; i=$((i+1)); done; \
        ( (echo $$ >/dev/null; sh -c 'exit 9') & ); hold \"$1\" ready; grep -hs '^State:.Z' /proc/[0-9]*/status | wc -l";
    let mut gate = sandbox.gate("gate");
    let mut live = sandbox.claude(script).arguments([gate.to_string()]).pid1().start();
    live.line("ready");
    gate.open();
    let outcome = live.wait().ok();
    // One may have ended in this very moment.
    let zombies: u32 = outcome.stdout.lines().last().unwrap().trim().parse().unwrap();
    assert!(zombies <= 1, "{outcome}");
}

#[test]
fn a_subreaper_reaps_orphans_too() {
    needs_root!();
    let sandbox = Sandbox::new();
    let script = "(setsid sh -c 'read -r _ <\"$1\"; grep ^PPid /proc/self/status; say() { :; }' sh \"$1\" & ); say ready; say \"init $PPID\"; hold \"$2\"";
    let (mut orphan, mut gate) = (sandbox.gate("orphan"), sandbox.gate("gate"));
    let mut live = sandbox.claude(script).arguments([orphan.to_string(), gate.to_string()]).start();
    let init = live.line("init ").trim_start_matches("init ").to_owned();
    assert_eq!(init, live.pid().to_string());
    orphan.open();
    // grep's parent is the orphaned shell; the shell's own parent is read below.
    live.line("PPid");
    gate.open();
    live.wait().ok();
}

#[test]
fn the_exit_status_is_the_agents_and_not_an_orphans() {
    needs_root!();
    let sandbox = Sandbox::new();
    for (what, run) in both(|| sandbox.raw(["--", "sh", "-c", "(sh -c 'exit 9' &); (sh -c 'kill -9 $$' &); exit 4"])) {
        let outcome = run.run();
        assert_eq!(outcome.code, Some(4), "{what}\n{outcome}");
    }
}

/// Starts a process with the trap `$1`, in a session of its own where `$2` says so, and goes on once it is up.
const LEAVES: &str = "$2 sh -c \"$1; echo leftover up; sleep 1000 >/dev/null & echo up >\\\"\\$1\\\"; wait\" sh \"$3\" & read -r _ <\"$3\"; ";

#[test]
fn leftovers_get_term_and_then_kill() {
    needs_root!();
    for (heeds, trap) in [(true, "trap 'echo leftover got TERM; exit' TERM"), (false, "trap '' TERM")] {
        for session in ["", "setsid"] {
            let sandbox = Sandbox::new();
            let up = sandbox.gate("up").to_string();
            let script = format!("{LEAVES} exit 5");
            for (what, run) in both(|| sandbox.claude(&script).arguments([trap, session, &up])) {
                let outcome = run.run().code(5).prints(&["leftover up"]);
                let got = outcome.stdout.contains("leftover got TERM");
                assert_eq!(got, heeds, "{what} {session}\n{outcome}");
            }
        }
    }
}

/// An agent that ends on TERM with status 7, and one that does not heed it.
const HEEDS: &str = "trap 'say got TERM; exit 7' TERM; hold \"$1\" ready";
const IGNORES: &str = "trap 'say got TERM' TERM; hold \"$1\" ready";

#[test]
fn the_stop_signal_is_forwarded() {
    needs_root!();
    let sandbox = Sandbox::new();
    let never = sandbox.gate("never");
    for (_, run) in both(|| sandbox.claude(HEEDS).arguments([never.to_string()])) {
        let mut live = run.start();
        live.line("ready");
        live.stop();
        live.wait().code(7).prints(&["got TERM"]);
    }
}

#[test]
fn a_stop_ends_within_its_grace() {
    needs_root!();
    let sandbox = Sandbox::new();
    let never = sandbox.gate("never");
    for (what, run) in both(|| sandbox.claude(IGNORES).options(["--grace", "1s"]).arguments([never.to_string()])) {
        let mut live = run.start();
        live.line("ready");
        let begun = Instant::now();
        live.stop();
        live.wait().code(137).prints(&["got TERM"]);
        // Twice the grace: only the default of 8 s must not pass for it.
        assert!(begun.elapsed() < Duration::from_secs(4), "{what}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_stop_reaches_processes_that_left_the_session() {
    needs_root!();
    let sandbox = Sandbox::new();
    let (up, never) = (sandbox.gate("up"), sandbox.gate("never"));
    let script = format!("{LEAVES} trap 'exit 7' TERM; hold \"$4\" ready");
    let arguments = ["trap '' TERM".to_owned(), "setsid".to_owned(), up.to_string(), never.to_string()];
    for (_, run) in both(|| sandbox.claude(&script).options(["--grace", "1s"]).arguments(arguments.clone())) {
        let mut live = run.start();
        live.line("ready");
        live.stop();
        // The end of its streams shows that the other is gone as well.
        live.wait().code(7);
    }
}

#[test]
fn a_second_stop_signal_kills_at_once() {
    needs_root!();
    let sandbox = Sandbox::new();
    let never = sandbox.gate("never");
    for (what, run) in both(|| sandbox.claude(IGNORES).options(["--grace", "50s"]).arguments([never.to_string()])) {
        let mut live = run.start();
        live.line("ready");
        let begun = Instant::now();
        live.stop();
        live.line("got TERM");
        live.stop();
        live.wait().code(137);
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
    }
}

#[test]
fn the_agent_dies_with_an_init_that_is_not_pid_1() {
    needs_root!();
    let sandbox = Sandbox::new();
    let never = sandbox.gate("never");
    let mut live = sandbox.claude("hold \"$1\" ready").arguments([never.to_string()]).start();
    live.line("ready");
    live.signal(9);
    // The agent holds our stdout: its end shows that it is gone.
    assert_eq!(live.wait().code, None);
}
