//! Under an interactive shell: foreground and background jobs.

use super::Pty;
use crate::support::{Gate, Live, Sandbox};

/// An interactive bash at a terminal. `$TOOL` is the agent's script, `$GATE` its gate, `$INIT` agent-init or a peer.
struct Shell {
    gate: Gate,
    pty: Pty,
    live: Live,
    _sandbox: Sandbox,
}

const INIT: &str = "agent-init --agent none --";

impl Shell {
    fn new(init: &str, tool: &str) -> Self {
        let sandbox = Sandbox::new();
        let gate = sandbox.gate("gate");
        let run = sandbox
            .raw(["--norc", "--noprofile", "--noediting", "-i"])
            .program("/bin/bash")
            .env("PS1", "prompt> ")
            .env("TERM", "dumb")
            .env("INIT", init)
            .env("GATE", gate.to_string())
            .env("TOOL", tool);
        let mut pty = Pty::new();
        let live = pty.leads(run).start();
        pty.shows("prompt> ");
        Self { gate, pty, live, _sandbox: sandbox }
    }

    /// Types a line.
    fn line(&mut self, line: &str) {
        self.pty.types(&format!("{line}\n"));
        self.pty.shows("\n");
    }

    /// Types a line that ends, and gives what it showed.
    fn runs(&mut self, line: &str) -> String {
        self.line(line);
        self.pty.shows("prompt> ")
    }

    fn has_terminal(&self) -> bool {
        self.pty.foreground() == self.live.pid()
    }

    fn leave(mut self) {
        self.line("exit 0");
        self.live.wait().ok();
    }
}

#[test]
fn ctrl_c_ends_the_job_and_not_the_shell() {
    let mut shell = Shell::new(INIT, "say ready; exec sleep 1000");
    for (key, status) in [("\u{3}", "status=130"), ("\u{1c}", "status=131")] {
        shell.line("ulimit -c 0; $INIT claude \"$TOOL\"; echo \"status=$?\"");
        shell.pty.shows("ready");
        assert!(!shell.has_terminal());
        shell.pty.types(key);
        shell.pty.shows(status);
        shell.pty.shows("prompt> ");
        assert!(shell.has_terminal());
    }
    shell.leave();
}

#[test]
fn ctrl_z_stops_the_job_and_fg_continues_it() {
    let mut shell = Shell::new(INIT, "trap 'say continued' CONT; say ready; hold \"$1\"; exit 4");
    shell.line("$INIT claude \"$TOOL\" \"$GATE\"");
    shell.pty.shows("ready");
    let agent = shell.pty.foreground();
    for _ in 0..3 {
        shell.pty.types("\u{1a}");
        shell.pty.shows("Stopped");
        shell.pty.shows("prompt> ");
        assert!(shell.has_terminal());
        shell.line("fg; echo \"status=$?\"");
        shell.pty.shows("continued");
        assert_eq!(shell.pty.foreground(), agent);
    }
    shell.gate.open();
    shell.pty.shows("status=4");
    shell.pty.shows("prompt> ");
    assert!(shell.has_terminal());
    shell.leave();
}

/// A full-screen program finds its own modes again, and the shell has the shell's meanwhile.
#[test]
fn terminal_modes_follow_the_job() {
    let script = "trap 'say continued' CONT; stty -echo -icanon; say ready; hold \"$1\"; exit 4";
    let mut shell = Shell::new(INIT, script);
    assert!(shell.pty.is_cooked());
    shell.line("$INIT claude \"$TOOL\" \"$GATE\"; echo \"status=$?\"");
    shell.pty.shows("ready");
    assert!(!shell.pty.is_cooked());
    shell.pty.types("\u{1a}");
    shell.pty.shows("Stopped");
    shell.pty.shows("prompt> ");
    assert!(shell.pty.is_cooked());
    shell.line("fg; echo \"status=$?\"");
    shell.pty.shows("continued");
    assert!(!shell.pty.is_cooked());
    shell.gate.open();
    shell.pty.shows("status=4");
    shell.pty.shows("prompt> ");
    assert!(shell.pty.is_cooked());
    shell.leave();
}

/// The program, and whether it leaves the terminal to the shell that started it in the background.
const BACKGROUND: &[(&str, bool, &str)] = &[
    (INIT, true, ""),
    ("dumb-init -c --", true, ""),
    ("tini -s --", false, "hands the terminal to its child whoever holds it"),
    ("catatonit --", false, "hands the terminal to its child whoever holds it"),
];

#[test]
fn a_background_job_does_not_take_the_terminal() {
    for (init, leaves, reason) in BACKGROUND {
        let mut shell = Shell::new(init, "say ready; hold \"$1\"; say ending");
        // A shell that waits does not read, so that one without its terminal is not ended by that.
        shell.line("$INIT claude \"$TOOL\" \"$GATE\" & wait; echo \"waited\"");
        shell.pty.shows("ready");
        let foreground = shell.pty.foreground();
        assert_eq!(foreground == shell.live.pid(), *leaves, "{init}: {foreground}: {reason}");
        shell.gate.open();
        if *leaves {
            shell.pty.shows("ending");
            shell.pty.shows("waited");
            shell.pty.shows("prompt> ");
            assert!(shell.has_terminal(), "{init}");
            shell.leave();
        }
    }
}

#[test]
fn a_job_that_went_to_the_background_leaves_the_terminal_alone() {
    let script = "trap 'say continued' CONT; say ready; hold \"$1\"; say ending";
    let mut shell = Shell::new(INIT, script);
    shell.runs("set -b");
    shell.line("$INIT claude \"$TOOL\" \"$GATE\"");
    shell.pty.shows("ready");
    shell.pty.types("\u{1a}");
    shell.pty.shows("Stopped");
    shell.pty.shows("prompt> ");
    shell.line("bg");
    shell.pty.shows("continued");
    assert!(shell.has_terminal(), "after bg");
    shell.gate.open();
    shell.pty.shows("ending");
    shell.pty.shows("Done");
    assert!(shell.has_terminal(), "after its end");
    assert!(shell.runs("echo still \"here\"").contains("still here"));
    shell.leave();
}

/// It reads the terminal in the background, so the kernel stops it (TTIN). That must not cost the shell the terminal.
#[test]
fn a_background_job_that_reads_is_stopped_and_goes_on_in_the_foreground() {
    let script = "say ready; hold \"$1\"; read -r word; say \"word $word\"";
    for start in ["foreground", "background"] {
        let mut shell = Shell::new(INIT, script);
        // Says at once when a job stops: running anything to find out would give the shell its terminal back.
        shell.runs("set -b");
        if start == "foreground" {
            shell.line("$INIT claude \"$TOOL\" \"$GATE\"");
            shell.pty.shows("ready");
            shell.pty.types("\u{1a}");
            shell.pty.shows("Stopped");
            shell.pty.shows("prompt> ");
            shell.runs("bg");
        } else {
            shell.line("$INIT claude \"$TOOL\" \"$GATE\" &");
            shell.pty.shows("ready");
        }
        shell.gate.open();
        shell.pty.shows("Stopped");
        assert!(shell.has_terminal(), "started in the {start}");
        shell.line("fg; echo \"status=$?\"");
        shell.pty.shows("$GATE");
        shell.pty.types("typed\n");
        shell.pty.shows("status=");
        let shown = shell.pty.shows("prompt> ");
        assert!(shown.starts_with('0'), "started in the {start}: status={shown}");
        shell.leave();
    }
}

#[test]
fn a_job_from_the_background_gets_the_keys_in_the_foreground() {
    let mut shell = Shell::new(INIT, "trap 'say got INT; exit 5' INT; say ready; hold \"$1\"");
    shell.line("$INIT claude \"$TOOL\" \"$GATE\" &");
    shell.pty.shows("ready");
    shell.line("fg; echo \"status=$?\"");
    shell.pty.leaves(shell.live.pid());
    shell.pty.types("\u{3}");
    shell.pty.shows("got INT");
    shell.pty.shows("status=5");
    shell.leave();
}

#[test]
fn job_control_works_in_a_pipeline() {
    let mut shell = Shell::new(INIT, "cat; say ready >&2; exit 3");
    let shown = shell.runs("echo one | $INIT claude \"$TOOL\" | tr a-z A-Z; echo \"status=${PIPESTATUS[1]}\"");
    assert!(shown.contains("ONE") && shown.contains("status=3"), "{shown}");
    assert!(shell.has_terminal());
    shell.leave();
}

/// The agent is itself an interactive shell: the everyday `docker run -it IMAGE bash`.
#[test]
fn a_shell_as_the_agent_has_job_control() {
    let sandbox = Sandbox::new();
    for (what, run) in super::pid1_or_not(|| {
        let shell = ["--agent", "none", "--", "bash", "--norc", "--noprofile", "--noediting", "-i"];
        sandbox.raw(shell).env("PS1", "inner> ")
    }) {
        let mut pty = Pty::new();
        let live = pty.leads(run).start();
        let greeting = pty.shows("inner> ");
        assert!(!greeting.contains("job control"), "{what}: {greeting}");
        pty.types("sh -c 'echo \"up\"; exec sleep 1000'\n");
        pty.shows("\nup");
        pty.types("\u{1a}");
        pty.shows("Stopped");
        pty.shows("inner> ");
        let inner = pty.foreground();
        pty.types("fg\n");
        pty.leaves(inner);
        pty.types("\u{3}");
        pty.types("echo \"status $?\"; exit 6\n");
        pty.shows("status 130");
        live.wait().code(6);
    }
}
