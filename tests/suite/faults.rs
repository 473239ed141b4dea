//! System calls that fail where they hardly ever do (`strace -e inject`), and input that is refused.

use std::process::Command;

use crate::support::{Live, Outcome, Run, Sandbox, Session, Tracer, needs_root};

/// A run under strace: `-f` where the fault is the child's, before it executes the command.
fn strace(sandbox: &Sandbox, fault: &str, words: &[&str]) -> Run {
    let inject = format!("inject={fault}");
    let program = sandbox.text("bin/agent-init");
    sandbox
        .raw(["-qq", "-f", "-o", "/dev/null", "-e", &inject, &program])
        .arguments(words.iter().copied())
        .program("strace")
}

enum Ends {
    /// With the command's own status.
    Well,
    /// With 125, said, before the command ran.
    Refused,
}
use Ends::{Refused, Well};

/// System calls, the fault, and at which of each process's calls of that kind it strikes.
const FAULTS: &[(&str, &str, &[&str], Ends)] = &[
    // Interrupted.
    ("poll,ppoll", "error=EINTR", &["1", "2", "3", "4", "1..6"], Well),
    ("read", "error=EINTR", &["1", "2", "3", "4", "1..5"], Well),
    ("wait4,waitid", "error=EINTR", &["1", "2", "3", "1..9"], Well),
    ("write", "error=EINTR", &["1"], Well),
    ("close", "error=EINTR", &["1", "2", "3"], Well),
    // No terminal, or one that has gone.
    ("ioctl", "error=ENOTTY", &["1", "1+"], Well),
    ("ioctl", "error=EIO", &["1", "1+"], Well),
    ("ioctl", "error=EBADF", &["1+"], Well),
    // Nothing to have.
    ("clone,clone3,fork,vfork", "error=EAGAIN", &["1"], Refused),
    ("clone,clone3,fork,vfork", "error=ENOMEM", &["1"], Refused),
    ("signalfd4", "error=EMFILE", &["1"], Refused),
    ("signalfd4", "error=ENOMEM", &["1"], Refused),
    ("setpgid", "error=EPERM", &["1"], Refused),
    ("setpgid", "error=EACCES", &["1"], Refused),
    ("execve", "error=EAGAIN", &["1"], Refused),
    // A kernel or a filter that has not got it.
    ("close_range", "error=ENOSYS", &["1"], Well),
    ("close_range", "error=EPERM", &["1"], Well),
    ("statx", "error=ENOSYS", &["1", "1+"], Well),
    ("openat2", "error=ENOSYS", &["1", "1+"], Well),
    ("getrandom", "error=ENOSYS", &["1+"], Well),
    ("rseq,set_robust_list", "error=ENOSYS", &["1+"], Well),
    // Limits that cannot be asked for or set: the agent runs by then.
    ("prlimit64", "error=EPERM", &["1", "2", "3", "4", "1+"], Well),
    ("dup2,dup3", "error=EBUSY", &["1", "2"], Well),
    ("fcntl", "error=EINVAL", &["1", "1+"], Well),
    // What keeps the secrets ours; see also `prctl_where_it_is_refused`.
    ("prctl", "error=EPERM", &["1"], Refused),
    ("prctl", "error=EINVAL", &["1+"], Refused),
    ("prctl", "error=EPERM", &["2", "3", "2+"], Well),
    ("prctl", "error=EINVAL", &["2", "3", "2+"], Well),
];

/// A statically linked command: faults that follow the fork must not strike a dynamic loader.
const COMMAND: [&str; 6] = ["--agent", "none", "--", "busybox", "sh", "-c"];

#[test]
fn a_start_survives_or_reports_every_fault() {
    let sandbox = Sandbox::new();
    let mut starts = 0;
    let mut wrong = Vec::new();
    // The first reads and closes of a dynamically linked build (cargo's own) are its loader's, which gives up at once.
    let program = std::fs::read(sandbox.path("bin/agent-init")).unwrap();
    let is_dynamic = program.windows(8).any(|window| window == b"ld-linux");
    let counts = |calls: &str| !is_dynamic || !["read", "close"].contains(&calls);
    for (calls, error, moments, ends) in FAULTS.iter().filter(|(calls, ..)| counts(calls)) {
        for when in *moments {
            let fault = format!("{calls}:{error}:when={when}");
            // Every child of the command's shell would be struck as well: it has none.
            let outcome = strace(&sandbox, &fault, &[&COMMAND[..], &["echo started; exit 7"]].concat()).run();
            wrong.extend(unlike(&outcome, ends).then(|| format!("{fault}\n{outcome}")));
            starts += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(starts >= 50 || is_dynamic, "{starts} starts");
}

fn unlike(outcome: &Outcome, ends: &Ends) -> bool {
    let started = outcome.stdout.contains("started");
    match ends {
        Well => outcome.code != Some(7) || outcome.stderr.contains("agent-init: error:"),
        Refused => started || outcome.code != Some(125) || !outcome.stderr.contains("agent-init: error: "),
    }
}

/// prctl(2), operation by operation: what is asked for beside it, and what is warned of.
struct Refusal {
    name: &'static str,
    option: u8,
    options: &'static [&'static str],
    ends: Ends,
    warns: Option<&'static str>,
}

const AS_NODE: &[&str] = &["--user", "4242"];
const FIRMLY: &[&str] = &["--user", "4242", "--drop-caps", "on", "--no-new-privs", "on"];

const REFUSALS: &[Refusal] = &[
    Refusal {
        name: "PR_SET_CHILD_SUBREAPER",
        option: 36,
        options: &[],
        ends: Well,
        warns: Some("cannot become a subreaper"),
    },
    Refusal {
        name: "PR_SET_PDEATHSIG",
        option: 1,
        options: &[],
        ends: Well,
        warns: Some("will keep running if agent-init is killed"),
    },
    Refusal { name: "PR_SET_DUMPABLE", option: 4, options: &[], ends: Refused, warns: None },
    Refusal { name: "PR_CAPBSET_DROP", option: 24, options: AS_NODE, ends: Well, warns: None },
    Refusal { name: "PR_CAPBSET_DROP", option: 24, options: FIRMLY, ends: Refused, warns: None },
    Refusal { name: "PR_SET_NO_NEW_PRIVS", option: 38, options: AS_NODE, ends: Well, warns: None },
    Refusal { name: "PR_SET_NO_NEW_PRIVS", option: 38, options: FIRMLY, ends: Refused, warns: None },
    Refusal { name: "PR_CAP_AMBIENT", option: 47, options: FIRMLY, ends: Well, warns: None },
];

/// An old seccomp filter or an emulation: only what somebody relies on stops a start. PID 1 asks for neither of the two
/// that are warned of.
#[test]
fn a_refused_prctl_is_a_warning_or_an_error() {
    needs_root!();
    let sandbox = Sandbox::new();
    let refused = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/support/refused.py");
    for Refusal { name, option, options, ends, warns } in REFUSALS {
        for (errno, reason) in [("EINVAL", "Invalid argument"), ("EPERM", "Operation not permitted"), ("ENOSYS", "")] {
            let run = || {
                let run = sandbox.raw(options.iter().chain(&COMMAND).copied()).arguments(["echo started; exit 7"]);
                run.through(["python3", "-B", refused, &option.to_string(), errno])
            };
            let outcome = run().run();
            assert!(!unlike(&outcome, ends), "{name}: {errno}\n{outcome}");
            let warnings: Vec<&str> = outcome.warnings();
            assert_eq!(warnings.len(), usize::from(warns.is_some()), "{name}: {errno}\n{outcome}");
            if let Some(warns) = warns {
                outcome.says(&[warns, reason, "\n  hint: "]).says_no(&["os error"]);
            }
            let outcome = run().pid1().run();
            assert!(!unlike(&outcome, ends), "{name} as PID 1: {errno}\n{outcome}");
            assert_eq!(outcome.warnings(), Vec::<&str>::new(), "{name} as PID 1: {errno}");
        }
    }
}

/// What was asked for by name is not left out.
#[test]
fn a_signal_at_the_parents_death_that_was_asked_for_is_insisted_on() {
    needs_root!();
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink("agent-init", sandbox.path("bin/tini")).unwrap();
    let refused = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/support/refused.py");
    let run = sandbox.raw(["-p", "TERM", "--", "true"]).program(&sandbox.text("bin/tini"));
    let outcome = run.through(["python3", "-B", refused, "1", "EINVAL"]).run();
    assert_ne!(outcome.code, Some(0), "{outcome}");
    outcome.says(&["parent's death"]);
}

/// Faults on the way to another user. What `--drop-caps` does beyond the change of user is insisted on only when asked.
const CHANGES: &[(&str, &str, &str)] = &[
    ("setgroups", "EPERM", "auto"),
    ("setresgid", "EPERM", "auto"),
    ("setresuid", "EPERM", "auto"),
    ("setresuid", "EAGAIN", "auto"),
    ("capset", "EPERM", "on"),
    ("prctl", "EPERM", "on"),
];

#[test]
fn a_user_that_cannot_be_changed_stops_the_start() {
    needs_root!();
    let sandbox = Sandbox::new();
    for (call, error, drop_caps) in CHANGES {
        let options = ["--user", "4242", "--drop-caps", drop_caps];
        let words = [&options[..], &COMMAND[..], &["echo started; exit 7"]].concat();
        let outcome = strace(&sandbox, &format!("{call}:error={error}:when=1"), &words).run();
        assert!(!unlike(&outcome, &Refused), "{call}: {error}\n{outcome}");
    }
}

/// With a login to install and to watch: what cannot be had costs the sync, or is said before the agent runs.
#[test]
fn a_login_survives_every_fault() {
    let rows = [
        ("inotify_init1:error=EMFILE:when=1", Well),
        ("inotify_add_watch:error=ENOSPC:when=1", Well),
        ("inotify_add_watch:error=ENOSPC:when=1+", Well),
        ("flock:error=EINTR:when=1", Well),
        ("flock:error=ENOLCK:when=1+", Well),
        ("openat2:error=ENOSYS:when=1+", Well),
        ("openat2:error=EAGAIN:when=1", Well),
        ("fsync,fdatasync:error=EINVAL:when=1+", Well),
    ];
    for (fault, ends) in rows {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("one").json());
        let words = ["--agent", "claude", "--", "busybox", "sh", "-c", "echo started; exit 7"];
        let outcome = strace(&sandbox, fault, &words).run();
        assert!(!unlike(&outcome, &ends) || !unlike(&outcome, &Refused), "{fault}\n{outcome}");
    }
}

/// A network file system that goes away while the agent runs, as its locks see it: what is asked of it fails, and giving
/// a lock back is nothing to ask for. At the first, third, ... call and all that follow.
#[test]
fn failing_locks_are_reported_and_harm_nothing() {
    for error in ["EIO", "ESTALE", "ENOTCONN", "ENOLCK"] {
        for when in ["1+", "2+", "3+", "4+", "5+", "6"] {
            let sandbox = Sandbox::new();
            sandbox.captured("claude", ".credentials.json", &Session::new("one").json());
            let script =
                "say started; mkdir \"$C/.oauth_refresh.lock\"; refresh two; rmdir \"$C/.oauth_refresh.lock\"; exit 7";
            let fault = format!("flock:error={error}:when={when}");
            let outcome = strace(&sandbox, &fault, &["--agent", "claude", "--", "claude", script]).run();
            assert!(outcome.code == Some(7) && outcome.stdout.contains("started"), "{fault}\n{outcome}");
            // What could not be stored is said.
            let stored = sandbox.read("capture/claude/.credentials.json").contains("FAKE-access-two");
            assert!(stored || outcome.stderr.contains("agent-init: warning: "), "{fault}\n{outcome}");
        }
    }
}

/// The init's own pid is not strace's: the agent says it.
fn init_of(live: &mut Live) -> String {
    live.line("init ").trim_start_matches("init ").to_owned()
}

fn signal(pid: &str, number: &str) {
    assert!(Command::new("kill").args([number, pid]).status().unwrap().success());
}

#[test]
fn a_signal_that_cannot_be_sent_is_reported() {
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let script = "say \"init $PPID\"; hold \"$1\"; exit 3";
    let path = gate.to_string();
    let words = ["--agent", "none", "--", "claude", script, &path];
    for error in ["EPERM", "EINVAL", "ESRCH"] {
        // Without -f: the agent's own kill works.
        let inject = format!("inject=kill:error={error}");
        let program = sandbox.text("bin/agent-init");
        let run = sandbox.raw(["-qq", "-o", "/dev/null", "-e", &inject, &program]).arguments(words);
        let mut live = run.program("strace").start();
        let init = init_of(&mut live);
        signal(&init, "-USR1");
        if error == "ESRCH" {
            // It has ended in this moment, which is nothing to talk about.
            signal(&init, "-USR2");
        } else {
            live.message("cannot send SIGUSR1");
        }
        gate.open();
        live.wait().code(3);
    }
}

/// What is done once the agent runs: each step on its own.
#[test]
fn a_step_that_fails_beside_the_agent_hinders_no_other() {
    needs_root!();
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let script = "say \"init $PPID\"; hold \"$1\"; exit 3";
    let path = gate.to_string();
    let words = ["--agent", "none", "--", "claude", script, &path];
    let program = sandbox.text("bin/agent-init");
    let strace = ["-qq", "-o", "/dev/null", "-e", "inject=prlimit64:error=EPERM", &program];
    let mut live = sandbox.raw(strace).arguments(words).program("strace").start();
    live.message("cannot turn core dumps off");
    let init = init_of(&mut live);
    let stdout = std::fs::read_link(format!("/proc/{init}/fd/1")).unwrap();
    assert_eq!(stdout.to_str(), Some("/dev/null"), "it holds the agent's standard output open");
    gate.open();
    live.wait().code(3);
}

/// A kernel that does not tell root its capabilities: the login is the capture's owner's all the same.
#[test]
fn a_login_is_its_owners_where_capabilities_are_not_told() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    let capture = sandbox.path("capture/claude");
    std::os::unix::fs::chown(&capture, Some(4242), Some(4242)).unwrap();
    let strace = ["strace", "-o", "/dev/null", "-e", "trace=capget", "-e", "inject=capget:error=EPERM"];
    sandbox.claude("refresh b").through(strace).run().ok();
    let stored = std::fs::metadata(capture.join(".credentials.json")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&stored), 4242);
    assert!(sandbox.read("capture/claude/.credentials.json").contains("FAKE-refresh-b"));
}

/// Not even KILL gets through: the end comes by itself, and the kernel takes the agent along.
#[test]
fn a_stop_that_fails_is_reported() {
    let sandbox = Sandbox::new();
    let script = "say \"init $PPID\"; exec sleep 1000";
    let program = sandbox.text("bin/agent-init");
    let run = sandbox.raw(["-qq", "-o", "/dev/null", "-e", "inject=kill:error=EPERM", &program]);
    let run = run.arguments(["--agent", "none", "--grace", "500ms", "--", "claude", script]).program("strace");
    let mut live = run.start();
    signal(&init_of(&mut live), "-TERM");
    live.wait().code(137).says(&["cannot send SIGTERM", "cannot send SIGKILL"]);
}

/// Killed at any moment between the fork and the first sleep, it takes the agent along.
#[test]
fn a_start_that_is_killed_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let program = sandbox.text("bin/agent-init");
    for call in ["clone,clone3,fork,vfork", "close_range", "dup2,dup3", "wait4,waitid"] {
        let inject = format!("inject={call}:signal=KILL:when=1");
        let run = sandbox.raw(["-qq", "-o", "/dev/null", "-e", &inject, &program]);
        // An end of its own would tell of a call that never came, its last word of an agent that outlived its init.
        let words = ["--agent", "none", "--", "sh", "-c", "sleep 3 >/dev/null 2>&1; echo outlived it; exit 9"];
        let outcome = run.arguments(words).program("strace").run();
        assert_eq!(outcome.code, None, "{call}\n{outcome}");
        outcome.prints_no(&["outlived it"]);
    }
}

/// As PID 1: the tracer stays outside the namespace, for inside it would be a process to reap and to stop.
#[test]
fn pid_1_survives_every_fault() {
    needs_root!();
    let sandbox = Sandbox::new();
    let faults = [
        "poll:error=EINTR:when=1..5",
        "read:error=EINTR:when=1..3",
        "wait4:error=EINTR:when=1..5",
        "kill:error=EPERM",
        "kill:error=ESRCH",
        "write:error=EPIPE",
        "write:error=EIO",
        "ioctl:error=EIO",
    ];
    for fault in faults {
        let (mut gate, mut childs) = (sandbox.gate(&format!("gate-{fault}")), sandbox.gate(&format!("child-{fault}")));
        let script = "(setsid sh -c 'exit 9' &); (hold \"$2\" &); say ready; hold \"$1\"; exit 3";
        let run = sandbox.claude(script).arguments([gate.to_string(), childs.to_string()]);
        let mut live = run.options(["--agent", "none"]).pid1().start();
        live.line("ready");
        let tracer = Tracer::attached(live.pid(), fault);
        live.signal(10);
        childs.open();
        // USR1 ends the agent, unless it does not get through.
        let code = if fault.starts_with("kill") { 3 } else { 138 };
        if code == 3 {
            gate.open();
        }
        let outcome = live.wait();
        drop(tracer);
        assert_eq!(outcome.code, Some(code), "{fault}\n{outcome}");
    }
}

/// An option, its variable, a value, and what is said of the accepted forms.
const BAD_VALUES: &[(&str, &str, &str, &[&str])] = &[
    ("--stop-signal", "AGENT_INIT_STOP_SIGNAL", "NOPE", &["name", "number", "TERM"]),
    ("--stop-signal", "AGENT_INIT_STOP_SIGNAL", "SIG", &["name", "number", "TERM"]),
    ("--stop-signal", "AGENT_INIT_STOP_SIGNAL", "0", &["name", "number", "TERM"]),
    ("--stop-signal", "AGENT_INIT_STOP_SIGNAL", "65", &["name", "number", "TERM"]),
    ("--stop-signal", "AGENT_INIT_STOP_SIGNAL", "-15", &["name", "number", "TERM"]),
    ("--stop-signal", "AGENT_INIT_STOP_SIGNAL", "15s", &["name", "number", "TERM"]),
    ("--stop-signal", "AGENT_INIT_STOP_SIGNAL", "RTMIN+31", &["name", "number", "RTMIN"]),
    ("--stop-signal", "AGENT_INIT_STOP_SIGNAL", "TERM INT", &["name", "number", "TERM"]),
    ("--rewrite", "AGENT_INIT_REWRITE", "TERM", &["FROM:TO"]),
    ("--rewrite", "AGENT_INIT_REWRITE", "TERM:", &["name", "number"]),
    ("--rewrite", "AGENT_INIT_REWRITE", ":TERM", &["name", "number"]),
    ("--rewrite", "AGENT_INIT_REWRITE", "TERM:NOPE", &["name", "number"]),
    ("--rewrite", "AGENT_INIT_REWRITE", "NOPE:TERM", &["name", "number"]),
    ("--rewrite", "AGENT_INIT_REWRITE", "0:TERM", &["name", "number"]),
    ("--rewrite", "AGENT_INIT_REWRITE", "TERM:65", &["name", "number"]),
    ("--rewrite", "AGENT_INIT_REWRITE", "TERM:INT:HUP", &["name", "number"]),
    ("--grace", "AGENT_INIT_GRACE", "8x", &["500ms", "8s", "2m", "1h", "seconds"]),
    ("--grace", "AGENT_INIT_GRACE", "1.5.2", &["500ms", "8s", "2m", "1h", "seconds"]),
    ("--grace", "AGENT_INIT_GRACE", "1e3", &["500ms", "8s", "2m", "1h", "seconds"]),
    ("--grace", "AGENT_INIT_GRACE", "99999999999999999999", &["500ms", "8s", "2m", "1h", "seconds"]),
    ("--grace", "AGENT_INIT_GRACE", "100000h", &["500ms", "8s", "2m", "1h", "seconds"]),
    ("--forward-to", "AGENT_INIT_FORWARD_TO", "everyone", &["group", "process"]),
    ("--drop-caps", "AGENT_INIT_DROP_CAPS", "maybe", &["on", "off", "auto"]),
    ("--no-new-privs", "AGENT_INIT_NO_NEW_PRIVS", "2", &["on", "off", "auto"]),
];

#[test]
fn bad_values_are_refused_with_the_accepted_forms() {
    let sandbox = Sandbox::new();
    for (option, variable, value, forms) in BAD_VALUES {
        let given = sandbox.claude("say started").options([format!("{option}={value}")]).run();
        given.refuses(&[option, &format!("'{value}'")]).says(forms).prints_no(&["started"]);
        let given = sandbox.claude("say started").env(variable, *value).run();
        given.refuses(&[variable, &format!("'{value}'")]).says(forms).prints_no(&["started"]);
    }
}

#[test]
fn signals_that_cannot_be_caught_are_refused() {
    let sandbox = Sandbox::new();
    for name in ["KILL", "SIGSTOP", "9", "19", "CHLD"] {
        for option in ["--stop-signal=", "--rewrite="] {
            let value = if option == "--rewrite=" { format!("{name}:TERM") } else { name.to_owned() };
            let run = sandbox.claude("say started").options([format!("{option}{value}")]).run();
            run.refuses(&[option.trim_end_matches('='), "caught"]).prints_no(&["started"]);
        }
    }
}

#[test]
fn bad_users_are_refused_with_the_accepted_forms() {
    needs_root!();
    let sandbox = Sandbox::new();
    let rows: [(&str, &[&str]); 9] = [
        ("nosuch", &["name", "number"]),
        ("-1", &["name", "number"]),
        ("4294967295", &["4294967294"]),
        ("4294967296", &["4294967294"]),
        ("1000abc", &["name", "number"]),
        ("node:nosuch", &["name", "number"]),
        (":", &["name", "number"]),
        ("1:2:3", &["name", "number"]),
        ("", &["name", "number"]),
    ];
    for (user, forms) in rows {
        let outcome = sandbox.claude("say started").options([format!("--user={user}")]).run();
        outcome.refuses(&["\n  hint: "]).says(forms).prints_no(&["started"]);
    }
}
