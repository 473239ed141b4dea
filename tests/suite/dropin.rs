//! Started under the name of another init, by a symbolic link, it is that init: flags, variables, exit codes. What the
//! real one does is checked in the same rows.

use std::os::unix::fs::symlink;

use crate::support::{Outcome, Run, Sandbox, Session, needs_root, root_or_skip};

const TINI: &str = "tini";
const DOCKER: &str = "docker-init";
const DUMB: &str = "dumb-init";

/// The real program, or a link of its name to ours.
fn program(sandbox: &Sandbox, name: &str, ours: bool) -> String {
    if !ours {
        let real = if name == DOCKER { TINI } else { name };
        return format!("/usr/bin/{real}");
    }
    let link = sandbox.mkdir("links").join(name);
    if link.symlink_metadata().is_err() {
        symlink(sandbox.path("bin/agent-init"), &link).unwrap();
    }
    link.into_os_string().into_string().unwrap()
}

fn start(sandbox: &Sandbox, name: &str, ours: bool, words: &[&str]) -> Run {
    sandbox.raw(words.iter().copied()).program(&program(sandbox, name, ours))
}

/// The name, the words, the exit status, and what stands on either stream.
const ROWS: &[(&str, &[&str], i32, &str)] = &[
    (TINI, &["--", "sh", "-c", "exit 7"], 7, ""),
    (TINI, &["true"], 0, ""),
    (DOCKER, &["--", "sh", "-c", "exit 7"], 7, ""),
    (TINI, &["-s", "--", "true"], 0, ""),
    (TINI, &["-sg", "--", "true"], 0, ""),
    (TINI, &["-v", "-s", "--", "true"], 0, ""),
    (TINI, &["-vvv", "-s", "--", "true"], 0, ""),
    (TINI, &["-w", "-s", "--", "true"], 0, ""),
    (TINI, &["-s", "-e", "7", "--", "sh", "-c", "exit 7"], 0, ""),
    (TINI, &["-s", "-e7", "--", "sh", "-c", "exit 7"], 0, ""),
    (TINI, &["-s", "-e", "143", "-e", "7", "--", "sh", "-c", "exit 7"], 0, ""),
    (TINI, &["-s", "-e", "143", "--", "sh", "-c", "kill $$"], 0, ""),
    (TINI, &["-s", "-e", "143", "--", "sh", "-c", "exit 7"], 7, ""),
    (TINI, &["-s", "-e", "255", "--", "sh", "-c", "exit 255"], 0, ""),
    (TINI, &["-s", "-p", "SIGKILL", "--", "true"], 0, ""),
    (TINI, &["-s", "-p", "SIGTERM", "--", "sh", "-c", "exit 7"], 7, ""),
    (TINI, &["--", "sh", "-c", "kill -KILL $$"], 137, ""),
    (TINI, &["--", "nosuch-command"], 127, ""),
    (TINI, &["--", "/etc/passwd"], 126, ""),
    (TINI, &["-s", "-e", "256", "--", "true"], 1, ""),
    (TINI, &["-s", "-e", "x", "--", "true"], 1, ""),
    (TINI, &["-s", "-e", "-1", "--", "true"], 1, ""),
    (TINI, &["-p", "NOPE", "--", "true"], 1, ""),
    (TINI, &["-x", "--", "true"], 1, ""),
    (TINI, &[], 1, ""),
    (TINI, &["-s"], 1, ""),
    (TINI, &["--version"], 0, "tini version "),
    (DOCKER, &["--version"], 0, "tini version "),
    (TINI, &["-h"], 0, "-e"),
    (TINI, &["-l"], 0, "MIT"),
    (DUMB, &["--", "sh", "-c", "exit 7"], 7, ""),
    (DUMB, &["sh", "-c", "exit 7"], 7, ""),
    (DUMB, &["sh", "-c", "kill -KILL $$"], 137, ""),
    (DUMB, &["-c", "sh", "-c", "exit 7"], 7, ""),
    (DUMB, &["--single-child", "--", "true"], 0, ""),
    (DUMB, &["-v", "true"], 0, ""),
    (DUMB, &["--verbose", "true"], 0, ""),
    (DUMB, &["-r", "15:2", "-r", "1:0", "--", "sh", "-c", "exit 7"], 7, ""),
    (DUMB, &["--rewrite", "15:2", "sh", "-c", "exit 7"], 7, ""),
    (DUMB, &["--rewrite=15:2", "sh", "-c", "exit 7"], 7, ""),
    (DUMB, &["printf", "<%s>", "-c", "-v", "--"], 0, "<-c><-v><-->"),
    (DUMB, &["nosuch-command"], 2, ""),
    (DUMB, &["/etc/passwd"], 2, ""),
    (DUMB, &["-r", "15", "true"], 1, ""),
    (DUMB, &["-r", "NOPE:2", "true"], 1, ""),
    (DUMB, &["-x", "true"], 1, ""),
    (DUMB, &["--nosuch", "true"], 1, ""),
    (DUMB, &[], 1, ""),
    (DUMB, &["-c"], 1, ""),
    (DUMB, &["-V"], 0, "dumb-init"),
    (DUMB, &["--version"], 0, "dumb-init"),
    (DUMB, &["-h"], 0, "--rewrite"),
    (DUMB, &["--help"], 0, "--single-child"),
];

#[test]
fn flags_and_exit_statuses_are_those_of_the_originals() {
    let sandbox = Sandbox::new();
    let mut wrong = Vec::new();
    for (name, words, code, shows) in ROWS {
        for ours in [false, true] {
            let outcome = start(&sandbox, name, ours, words).run();
            let shown = format!("{}{}", outcome.stdout, outcome.stderr).contains(shows);
            let who = if ours { "our" } else { "the real" };
            let unlike = outcome.code != Some(*code) || !shown;
            wrong.extend(unlike.then(|| format!("{who} {name} {words:?}: not {code} {shows:?}\n{outcome}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_drop_in_works_as_pid_1() {
    needs_root!();
    let sandbox = Sandbox::new();
    for (name, words, code) in [
        (TINI, &["--", "sh", "-c", "exit 7"][..], 7),
        (DOCKER, &["--", "nosuch-command"], 127),
        (TINI, &["-e", "7", "--", "sh", "-c", "exit 7"], 0),
        (DUMB, &["--", "sh", "-c", "exit 7"], 7),
        (DUMB, &["nosuch-command"], 2),
    ] {
        for ours in [false, true] {
            start(&sandbox, name, ours, words).pid1().run().code(code);
        }
    }
}

/// Name, words before the command, variable, and whether a child of the command gets what is forwarded.
const GROUPS: &[(&str, &[&str], Option<(&str, &str)>, bool)] = &[
    (TINI, &["-s"], None, false),
    (DOCKER, &["-s"], None, false),
    (TINI, &["-s", "-g"], None, true),
    (TINI, &["-s"], Some(("TINI_KILL_PROCESS_GROUP", "")), true),
    (TINI, &[], Some(("TINI_SUBREAPER", "")), false),
    (TINI, &["-s"], Some(("TINI_VERBOSITY", "3")), false),
    (TINI, &["-s"], Some(("TINI_VERBOSITY", "0")), false),
    (DUMB, &[], None, true),
    (DUMB, &["-c"], None, false),
    (DUMB, &["--single-child"], None, false),
    (DUMB, &[], Some(("DUMB_INIT_SETSID", "0")), false),
    (DUMB, &[], Some(("DUMB_INIT_SETSID", "1")), true),
    (DUMB, &[], Some(("DUMB_INIT_DEBUG", "1")), true),
];

#[test]
fn a_forwarded_signal_goes_to_process_or_group() {
    let sandbox = Sandbox::new();
    let script =
        "(trap 'say child got it' USR1; say ready; hold \"$1\") & trap 'say got it' USR1; say ready; hold \"$2\"";
    for (number, (name, options, variable, group)) in GROUPS.iter().enumerate() {
        for ours in [false, true] {
            let mut childs = sandbox.gate(&format!("child-{number}-{ours}"));
            let mut gate = sandbox.gate(&format!("gate-{number}-{ours}"));
            let (childs_path, path) = (childs.to_string(), gate.to_string());
            let words = [*options, &["--", "claude", script, &childs_path, &path]].concat();
            let mut run = start(&sandbox, name, ours, &words);
            if let Some((variable, value)) = variable {
                run = run.env(variable, *value);
            }
            let mut live = run.start();
            live.line("ready");
            live.line("ready");
            live.signal(10);
            live.line("got it");
            if *group {
                live.line("got it");
            }
            childs.open();
            gate.open();
            let outcome = live.wait().ok();
            let reached = outcome.stdout.contains("child got it");
            assert_eq!(reached, *group, "ours {ours}: {name} {options:?} {variable:?}\n{outcome}");
        }
    }
}

/// What dumb-init is told to rewrite: what is sent, and what comes.
#[test]
fn signals_are_rewritten() {
    let sandbox = Sandbox::new();
    let rows: [(&[&str], i32, &str); 4] = [
        (&["-r", "10:12"], 10, "got 12"),
        (&["--rewrite", "10:12", "-r", "12:1"], 12, "got 1."),
        (&["-r", "10:0"], 10, "got 30"),
        (&["-r", "15:3"], 15, "got 3."),
    ];
    let script = "for n in 1 3 10 12 15 30; do trap \"say got $n.\" $n; done; say ready; hold \"$1\"";
    for (number, (options, sends, comes)) in rows.iter().enumerate() {
        for ours in [false, true] {
            let mut gate = sandbox.gate(&format!("gate-{number}-{ours}"));
            let path = gate.to_string();
            let words = [*options, &["--", "claude", script, &path]].concat();
            let mut live = start(&sandbox, DUMB, ours, &words).start();
            live.line("ready");
            live.signal(*sends);
            live.signal(30);
            live.line("got 30");
            gate.open();
            let outcome = live.wait().ok();
            assert!(outcome.stdout.contains(comes), "ours {ours}: {options:?}\n{outcome}");
            let sent = format!("got {sends}.");
            assert!(!outcome.stdout.contains(&sent), "ours {ours}: {options:?}\n{outcome}");
        }
    }
}

/// The death of the parent as a signal.
#[test]
fn the_parents_death_sends_the_signal() {
    let sandbox = Sandbox::new();
    for name in [TINI, DOCKER] {
        for ours in [false, true] {
            let never = sandbox.gate(&format!("never-{name}-{ours}")).to_string();
            let script = "trap 'say got USR1; exit 0' USR1; say ready; hold \"$1\"";
            let words = ["-s", "-p", "SIGUSR1", "--", "claude", script, &never];
            let parent = ["sh", "-c", "\"$@\" & wait", "sh"];
            let mut live = start(&sandbox, name, ours, &words).through(parent).start();
            live.line("ready");
            live.signal(9);
            live.line("got USR1");
            assert_eq!(live.wait().code, None);
        }
    }
}

/// tini -w tells of each zombie that was not its own.
#[test]
fn reaped_orphans_are_reported_if_asked() {
    let sandbox = Sandbox::new();
    let script = "sh -c 'setsid sh -c \"read -r _ <\\\"\\$1\\\"\" sh \"$1\" &' sh \"$1\"; echo go >\"$1\"; hold \"$2\"";
    for options in [&["-s", "-w"][..], &["-s"]] {
        for ours in [false, true] {
            let orphans = sandbox.gate(&format!("orphan-{}-{ours}", options.len())).to_string();
            let mut gate = sandbox.gate(&format!("gate-{}-{ours}", options.len()));
            let path = gate.to_string();
            let words = [options, &["--", "claude", script, &orphans, &path]].concat();
            let mut live = start(&sandbox, TINI, ours, &words).start();
            if options.contains(&"-w") {
                live.message("eaped");
            }
            gate.open();
            let outcome = live.wait().ok();
            let says = outcome.stderr.contains("eaped");
            assert_eq!(says, options.contains(&"-w"), "ours {ours}: {options:?}\n{outcome}");
        }
    }
}

/// A stop is the container's affair there: nothing is killed after a time, and a second TERM is a TERM.
#[test]
fn a_stop_is_forwarded_without_escalation() {
    let sandbox = Sandbox::new();
    for name in [TINI, DUMB] {
        for ours in [false, true] {
            let mut gate = sandbox.gate(&format!("gate-{name}-{ours}"));
            let script = "trap 'say got TERM' TERM; say ready; hold \"$1\"; exit 4";
            let words = ["--", "claude", script, &gate.to_string()];
            let mut live = start(&sandbox, name, ours, &words).env("AGENT_INIT_GRACE", "100ms").start();
            live.line("ready");
            for _ in 0..3 {
                live.stop();
                live.line("got TERM");
            }
            gate.open();
            live.wait().code(4);
        }
    }
}

/// Under these names there is no agent: environment, home and capture are as they were.
#[test]
fn the_drop_in_serves_no_agent() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("one").json());
    let before = sandbox.read("capture/claude/.credentials.json");
    let blob = Session::new("two").b64();
    let root = root_or_skip("no agent as PID 1");
    for (name, pid1) in [TINI, DOCKER, DUMB].into_iter().flat_map(|name| [(name, false), (name, true)]) {
        if pid1 && !root {
            continue;
        }
        let given = |ours: bool| -> Outcome {
            let run = start(&sandbox, name, ours, &["--", "claude", "env | sort; ls -A \"$HOME\"; exit 0"]);
            let run = run.env("ANTHROPIC_API_KEY", "sk-FAKE-key").env("CLAUDE_CREDENTIALS_B64", &blob);
            let run = run.env("ANTHROPIC_AUTH_TOKEN_FILE", "/nosuch").env("AGENT_INIT_NOSUCH", "1");
            if pid1 { run.pid1().run().ok() } else { run.run().ok() }
        };
        let (real, ours) = (given(false), given(true));
        let shown = |outcome: &Outcome| {
            let apart = |line: &&str| !line.starts_with("_=");
            outcome.stdout.lines().filter(apart).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(shown(&ours), shown(&real), "{name}");
        assert_eq!(ours.stderr, "", "{name}");
        assert!(!sandbox.exists("home/.claude"), "{name}");
        assert_eq!(sandbox.read("capture/claude/.credentials.json"), before, "{name}");
    }
}
