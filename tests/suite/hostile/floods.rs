//! An agent that makes more work than PID 1 can do: a stop comes to its end all the same, and nothing grows.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Live, Sandbox, Session, needs_root};

/// A uid that nobody else has, so that its limit of processes is this test's alone.
const UID: u32 = 4_242_011;

/// `orphans N`: so many processes that do nothing but leave dead children of dead children behind. `events N DIR`: so many
/// that do nothing but write files in DIR. `signals N S`: so many that do nothing but send S to PID 1, in sessions of their
/// own. Each says "up" when it is at it, and all ignore HUP and TERM.
const STORM: &str = r#"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void orphans(void) {
    setsid();
    for (unsigned turn = 0, said = 0;; turn++) {
        pid_t child = vfork();
        // There are as many as may be, or nothing is behind with reaping them.
        if (!said && (child < 0 || turn > 20000)) said = write(1, "up\n", 3);
        if (child == 0) {
            vfork();
            _exit(0);
        }
        if (child > 0) waitpid(child, 0, 0);
    }
}
static void events(int number, const char *directory) {
    char name[64];
    if (chdir(directory) != 0) _exit(1);
    for (unsigned turn = 0;; turn++) {
        snprintf(name, sizeof name, "flood-%d-%u", number, turn % 2);
        close(open(name, O_WRONLY | O_CREAT, 0600));
    }
}
static void signals(int number) {
    setsid();
    for (unsigned turn = 0;; turn++) {
        kill(1, number);
        if (turn == 1000) write(1, "up\n", 3);
    }
}
int main(int count, char **words) {
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    for (int number = 0; number < atoi(words[2]); number++)
        if (fork() == 0) {
            if (words[1][0] == 'o') orphans();
            if (words[1][0] == 's') signals(atoi(words[3]));
            events(number, words[3]);
        }
    if (words[1][0] == 'e') write(1, "up\n", 3);
    for (;;) pause();
}
"#;

fn storm(sandbox: &Sandbox) -> String {
    let source = sandbox.write("storm.c", STORM);
    let (source, program) = (source.display().to_string(), sandbox.text("bin/storm"));
    let compiled = Command::new("cc").args(["-O2", "-w", "-o", &program, &source]).status();
    assert!(compiled.unwrap().success(), "cc");
    program
}

#[test]
fn endless_orphans_do_not_delay_a_stop() {
    needs_root!();
    let sandbox = Sandbox::new();
    let storm = storm(&sandbox);
    let run = sandbox.raw(["--agent", "none", "--grace", "1s", "--user", &UID.to_string(), "--"]);
    let run = run.arguments([storm.as_str(), "orphans", "16"]).through(["prlimit", "--nproc=2500:2500"]);
    // Sixteen busy makers of orphans leave little of two processors to anybody else.
    let mut live = run.pid1().limit(Duration::from_secs(300)).start();
    for _ in 0..16 {
        live.line("up");
    }
    live.stop();
    // It ends at all.
    live.wait().code(137);
}

/// The kernel hands out the pending signal of the lowest number first: one that comes without end hides the stop signal and
/// the end of the agent. PID 1 is slowed down, so that it always does.
#[test]
fn endless_signals_do_not_delay_a_stop() {
    needs_root!();
    let sandbox = Sandbox::new();
    let storm = storm(&sandbox);
    let mut gate = sandbox.gate("gate");
    let gate_path = gate.to_string();
    // All as one user; with a stop, and with an agent that ends by itself and leaves the flood behind.
    for (script, stop, code) in [
        ("trap '' HUP TERM; \"$1\" signals 8 1 & wait", true, 137),
        ("trap '' HUP; \"$1\" signals 8 1 & read -r go <\"$2\"", false, 0),
    ] {
        let run = sandbox.raw(["--agent", "none", "--grace", "2s", "--", "sh", "-c", script, "sh"]);
        let mut live = run.arguments([&storm, &gate_path]).pid1().start();
        for _ in 0..8 {
            live.line("up");
        }
        let mut slow = slowed(live.pid());
        if stop {
            live.stop();
        } else {
            gate.open();
        }
        let outcome = live.wait();
        slow.wait().unwrap();
        outcome.code(code);
    }
}

/// A process that takes 5 ms longer for each read, until it ends.
fn slowed(pid: i32) -> Child {
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "-e", "trace=read", "-e", "inject=read:delay_enter=5000", "-p", &pid.to_string()]);
    let mut strace = strace.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(strace.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("attached")), "strace did not attach");
    strace
}

/// The login that the agent writes meanwhile is published, whatever else it writes.
#[test]
fn endless_file_events_do_not_delay_a_stop() {
    needs_root!();
    let sandbox = Sandbox::new();
    let storm = storm(&sandbox);
    let capture = sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.give("home", UID);
    let run = sandbox.claude("\"$1\" events 6 \"$C\" & refresh b; wait").arguments([storm]);
    let run = run.options(["--grace", "1s", "--user", &UID.to_string()]);
    let mut live = run.pid1().start();
    live.line("up");
    crate::support::await_path(capture.parent().unwrap(), "login b", || {
        std::fs::read_to_string(&capture).is_ok_and(|text| text.contains("FAKE-refresh-b"))
    });
    let most = most_memory(&live);
    live.stop();
    let outcome = live.wait();
    assert!(outcome.code.is_some_and(|code| code > 128), "{outcome}");
    assert!(most < 24 * 1024, "{most} KiB");
}

/// The most memory that PID 1 ever had resident, in KiB.
fn most_memory(live: &Live) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", live.pid())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
    most.unwrap().parse().unwrap()
}

/// A login that takes hundreds of times its size once it is parsed would do so in every container that shares it.
#[test]
fn endless_values_are_refused() {
    needs_root!();
    let sandbox = Sandbox::new();
    let capture = sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.give("home", UID);
    let mut gate = sandbox.gate("gate");
    let login = Session::new("evil").json().replacen("\"claudeAiOauth\":{", "\"claudeAiOauth\":{\"z\":[@],", 1);
    assert!(login.contains('@'));
    let plain = std::fs::read_to_string(&capture).unwrap();
    for item in ["{\"a\":0}", "{}", "[]", "0", "\"\""] {
        let items = vec![item; (1024 * 1024 - login.len()) / (item.len() + 1)].join(",");
        let evil = sandbox.write("evil.json", login.replace('@', &items));
        sandbox.give("evil.json", UID);
        let script = "cp \"$1\" \"$F.t\"; mv \"$F.t\" \"$F\"; hold \"$2\"";
        let run = sandbox.claude(script).arguments([evil.display().to_string(), gate.to_string()]);
        let mut live = run.options(["--user", &UID.to_string()]).pid1().start();
        live.message("is not saved: it holds more values than any login");
        let most = most_memory(&live);
        gate.open();
        live.wait().ok();
        assert!(most < 24 * 1024, "{item}: {most} KiB");
        assert_eq!(std::fs::read_to_string(&capture).unwrap(), plain, "{item}");
    }
}

/// A directory that was watched is so no more once the agent has put another in its place: the kernel grants a user so
/// many watches, for the whole machine.
#[test]
fn endless_directories_do_not_delay_a_stop() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.give("home", UID);
    let mut gate = sandbox.gate("gate");
    let script = "n=0; while [ $n -lt 600 ]; do n=$((n+1)); mkdir \"$HOME/new\"; mv -T \"$C\" \"$HOME/old-$n\"
        mv -T \"$HOME/new\" \"$C\"; refresh \"own$n\"; done; hold \"$1\" done";
    let run = sandbox.claude(script).arguments([gate.to_string()]).options(["--user", &UID.to_string()]);
    let mut live = run.pid1().start();
    live.line("done");
    let descriptors = std::fs::read_dir(format!("/proc/{}/fdinfo", live.pid())).unwrap();
    let told = descriptors.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default());
    let watches: usize = told.map(|text| text.matches("inotify wd:").count()).sum();
    gate.open();
    live.wait().ok();
    assert!(watches <= 2, "{watches} watches");
    assert!(sandbox.read("capture/claude/.credentials.json").contains("FAKE-refresh-own600"));
}
