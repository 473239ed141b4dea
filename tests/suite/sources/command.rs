//! `NAME_COMMAND`: words or a shell's text, run to its end within bounds.

use std::fs::File;
use std::io::Read;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::{LIMIT, Sandbox, needs_root};

#[test]
fn a_command_that_fails_stops_the_start() {
    let rows: &[(&str, &[&str])] = &[
        ("exit 3", &["exit status 3"]),
        ("false", &["exit status 1", "wrote nothing"]),
        ("echo why >&2; exit 2", &["exit status 2", "why"]),
        ("printf '\\033[31mred\\n' >&2; exit 1", &["\u{fffd}[31mred"]),
        ("kill -9 $$", &["signal 9"]),
        ("nosuch-program --x", &["cannot find nosuch-program"]),
        ("/dev/null", &["/dev/null cannot be executed"]),
        (" ", &["blank"]),
        ("head -c 2000000 /dev/zero", &["more than 1048576 bytes"]),
        ("yes", &["more than 1048576 bytes"]),
    ];
    for (line, said) in rows {
        let sandbox = Sandbox::new();
        let run = sandbox.claude("say started").env("ANTHROPIC_API_KEY_COMMAND", *line);
        run.run().refuses(&["ANTHROPIC_API_KEY_COMMAND"]).says(said).prints_no(&["started"]);
    }
}

#[test]
fn a_commands_input_and_output_are_as_documented() {
    let rows = [
        ("printf 'FAKE value\n\n'", Some("FAKE value")),
        ("echo $GIVEN", Some("FAKE-given")),
        ("cat", None),
        ("echo noise >&2; echo FAKE", Some("FAKE")),
        ("echo FAKE; sleep 1000 &", Some("FAKE")),
        ("pwd", Some("cwd")),
    ];
    for (line, expected) in rows {
        let sandbox = Sandbox::new();
        let run = sandbox.claude("seen").env("ANTHROPIC_API_KEY_COMMAND", line).env("GIVEN", "FAKE-given");
        let started = Instant::now();
        let outcome = run.run().ok().says_no(&["noise"]);
        assert!(started.elapsed() < Duration::from_secs(20), "{line}: it waited for what was left behind");
        let expected = if expected == Some("cwd") { Some(sandbox.text("cwd")) } else { expected.map(str::to_owned) };
        assert_eq!(outcome.variable("ANTHROPIC_API_KEY"), expected.as_deref(), "{line}\n{outcome}");
        assert_eq!(outcome.variable("ANTHROPIC_API_KEY_COMMAND"), None, "{line}\n{outcome}");
        if expected.is_some() {
            outcome.says(&["command:ANTHROPIC_API_KEY_COMMAND"]);
        } else {
            outcome.warns_once(&["ANTHROPIC_API_KEY_COMMAND is ignored: it is empty"]);
        }
    }
}

#[test]
fn a_command_needs_no_shell_in_the_image() {
    needs_root!();
    let sandbox = Sandbox::new();
    let no_shell = |line: &str| {
        let run = sandbox.raw(["--", "env"]).options(["--agent", "claude"]).env("ANTHROPIC_API_KEY_COMMAND", line);
        run.bind_read_only("/dev/null", "/bin/sh").run()
    };
    let outcome = no_shell("echo 'FAKE'").ok();
    assert_eq!(outcome.variable("ANTHROPIC_API_KEY"), Some("FAKE"), "{outcome}");
    no_shell("echo FAKE | cat").refuses(&["/bin/sh"]);
}

#[test]
fn a_stop_ends_the_command_and_its_children() {
    for (signal, code) in [(15, 143), (2, 130)] {
        let sandbox = Sandbox::new();
        let alive = sandbox.path("alive");
        mkfifo(&alive, Mode::from_bits_truncate(0o600)).unwrap();
        // A child in a session of its own holds the fifo open: it runs once the fifo opens, and is gone at its end.
        let line = format!("setsid sleep 1000 >{} & exec sleep 1000", alive.display());
        let run = sandbox.claude("say started").env("ANTHROPIC_API_KEY_COMMAND", line);
        let run = run.start();
        let mut end = File::open(&alive).unwrap();
        run.signal(signal);
        let outcome = run.wait().code(code);
        outcome.says(&["ANTHROPIC_API_KEY_COMMAND", "stopped by SIG"]).prints_no(&["started"]);
        let (sender, ended) = channel();
        thread::spawn(move || sender.send(end.read_to_end(&mut Vec::new()).is_ok()));
        assert_eq!(ended.recv_timeout(LIMIT), Ok(true), "the command's child lives");
    }
}

#[test]
fn a_command_has_30_seconds() {
    let sandbox = Sandbox::new();
    let started = Instant::now();
    let run = sandbox.claude("say started").env("ANTHROPIC_API_KEY_COMMAND", "echo why >&2; sleep 1000");
    run.run().refuses(&["ANTHROPIC_API_KEY_COMMAND", "30 s"]).says(&["why"]);
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(30) && took < Duration::from_secs(45), "{took:?}");
}

/// Its end is taken once: nobody waits for it again.
#[test]
fn a_command_that_fails_takes_no_longer_than_one_that_does_not() {
    let took = |line: &str, code: i32| {
        let sandbox = Sandbox::new();
        let begun = Instant::now();
        sandbox.claude("true").env("ANTHROPIC_API_KEY_COMMAND", line).run().code(code);
        begun.elapsed()
    };
    let least = |line: &str, code: i32| (0..5).map(|_| took(line, code)).min().unwrap();
    let well = least("echo FAKE", 0);
    for line in ["false", "exit 3", "kill -9 $$", "/nosuch"] {
        let failing = least(line, 125);
        assert!(
            failing < well + Duration::from_millis(300),
            "{line}: {failing:?}, and {well:?} for one that ends well"
        );
    }
}
