//! Every way to end, with a login and without one.

use super::{claude, everything, holds, pid1_or_not, setup};
use crate::support::{Live, Pty, Sandbox, Session};

/// How a session ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Exit,
    Key(&'static str),
    HangUp,
    Signal(i32),
}

const ENDS: [End; 7] =
    [End::Exit, End::Key("\u{3}"), End::Key("\u{4}"), End::HangUp, End::Signal(15), End::Signal(1), End::Signal(2)];

/// Waits for a line, so that every end ends it: an end of input, a signal, a hang-up.
const WAITS: &str = "say ready; read -r line; exit 7";

impl End {
    /// Brings it about; what was on the screen, where somebody still sees it.
    fn bring(self, mut pty: Pty, live: &Live) -> String {
        match self {
            End::Exit => pty.types("\n"),
            End::Key(key) => pty.types(key),
            End::HangUp => {
                drop(pty);
                return String::new();
            }
            End::Signal(number) => live.signal(number),
        }
        pty.all()
    }
}

#[test]
fn a_login_is_captured_however_the_session_ends() {
    let sandbox = Sandbox::new();
    for (number, end) in ENDS.into_iter().enumerate() {
        let name = format!("of-{number}");
        let script = format!("refresh {name}; {WAITS}");
        for (what, run) in pid1_or_not(|| claude(&sandbox, &script, "-")) {
            let mut pty = Pty::new();
            let live = pty.leads(run).start();
            pty.shows("ready");
            let shown = end.bring(pty, &live);
            live.wait().ok();
            assert!(holds(&sandbox, &name), "{what} {end:?}");
            assert!(matches!(end, End::HangUp) || shown.contains("captured the login"), "{what} {end:?}: {shown}");
        }
    }
}

#[test]
fn without_a_login_nothing_is_touched_however_the_session_ends() {
    let sandbox = Sandbox::new();
    let unusable =
        ["", "blank; ", "torn; ", "replace ''; ", "replace '[]'; ", "mkdir \"$F\"; ", "ln -s /etc/passwd \"$F\"; "];
    for is_empty in [true, false] {
        if !is_empty {
            sandbox.captured("claude", ".credentials.json", &Session::new("old").json());
            sandbox.write("capture/claude/settings.json", "{}");
            sandbox.chmod("capture/claude/settings.json", 0o640);
        }
        let before = everything(&sandbox.path("capture"));
        let ends = ENDS.into_iter().map(|end| (end, ""));
        for (end, makes) in ends.chain(unusable.map(|makes| (End::Exit, makes))) {
            let script = format!("{makes}{WAITS}");
            for (what, run) in pid1_or_not(|| claude(&sandbox, &script, "-")) {
                let mut pty = Pty::new();
                let live = pty.leads(run).start();
                pty.shows("ready");
                let shown = end.bring(pty, &live);
                live.wait().code(1);
                let row = format!("{what} {end:?} {makes:?}");
                assert_eq!(everything(&sandbox.path("capture")), before, "{row}");
                assert!(matches!(end, End::HangUp) || shown.contains("agent-init: error: "), "{row}: {shown}");
                assert!(!shown.contains("warning"), "{row}: {shown}");
            }
        }
    }
}

/// The shell is still the leader when the run ends: a terminal that hung up would prove nothing.
#[test]
fn the_terminal_modes_are_restored() {
    let sandbox = Sandbox::new();
    let after = "\"$@\"; echo \"status $?\"; read -r word; echo \"word $word\"";
    let rows = [
        (vec!["--", "claude", "stty raw -echo; say ready; exit 3"], "ready", 1),
        (vec!["--", "claude", "stty raw -echo; say ready; kill -9 $$"], "ready", 1),
        (vec!["--", "claude", "say ready; refresh new"], "ready", 0),
        (vec!["--", "nosuch-command"], "command not found", 127),
        (vec!["--", "/etc"], "cannot execute", 126),
        (vec!["--agent", "nosuch"], "unknown agent", 125),
        (vec!["--capture", "/nonexistent"], "/nonexistent", 125),
    ];
    for (arguments, says, status) in rows {
        let mut pty = Pty::new();
        let run = setup(&sandbox, []).arguments(arguments.clone());
        let live = pty.leads(run).through(["sh", "-c", after, "sh"]).start();
        pty.shows(says);
        pty.shows(&format!("status {status}"));
        assert!(pty.is_cooked(), "{arguments:?}");
        assert_eq!(pty.foreground(), live.pid(), "{arguments:?}");
        pty.types("typed\n");
        pty.shows("word typed");
        live.wait().ok();
    }
}

/// An agent that ignores all that can be ignored ends with the grace; so does what it leaves in sessions of its own.
#[test]
fn a_session_that_does_not_end_is_killed() {
    let sandbox = Sandbox::new();
    let stubborn = "trap '' TERM HUP INT; refresh new; say ready; while :; do sleep 1000; done";
    let leaves = "refresh new; setsid sh -c 'trap \"\" HUP TERM; sleep 1000' & say ready; read -r line";
    for script in [stubborn, leaves] {
        for end in [End::HangUp, End::Signal(15)] {
            for (what, run) in pid1_or_not(|| claude(&sandbox, script, "-").env("AGENT_INIT_GRACE", "1s")) {
                println!("{what} {end:?}");
                let mut pty = Pty::new();
                let live = pty.leads(run).start();
                pty.shows("ready");
                end.bring(pty, &live);
                live.wait().ok();
            }
        }
    }
}

#[test]
fn a_shell_ends_with_the_container_and_with_its_terminal() {
    let sandbox = Sandbox::new();
    for end in [End::Signal(15), End::HangUp] {
        // The grace is longer than the test may take.
        for (_, run) in pid1_or_not(|| setup(&sandbox, []).env("AGENT_INIT_GRACE", "1h")) {
            let mut pty = Pty::new();
            let live = pty.leads(run).start();
            pty.shows("Ctrl-D:");
            // What is typed is shown too, by the terminal and perhaps by the shell.
            pty.types("claude 'refresh new; say ma\"\"de; exec sleep 1000'\n");
            pty.shows("made");
            end.bring(pty, &live);
            live.wait().ok();
        }
    }
}

/// A second stop signal does not wait, and the login is stored all the same.
#[test]
fn repeated_interrupts_end_the_session() {
    let sandbox = Sandbox::new();
    let script = "trap 'say heard' TERM; refresh new; say ready; while :; do read -r line; done";
    for (_, run) in pid1_or_not(|| claude(&sandbox, script, "-").env("AGENT_INIT_GRACE", "1h")) {
        let mut pty = Pty::new();
        let live = pty.leads(run).start();
        pty.shows("ready");
        live.stop();
        pty.shows("heard");
        live.stop();
        pty.shows("captured");
        live.wait().ok();
    }
}
