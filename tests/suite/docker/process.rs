//! Exit statuses, the stop, orphans, the terminal.

use super::{Container, IMAGES, SOMEBODY, captured, needs_docker, own};
use crate::support::{Sandbox, Session};

#[test]
fn the_exit_status_is_the_agents_or_says_why_there_was_none() {
    needs_docker!();
    let sandbox = Sandbox::new();
    let rows: [(&[&str], i32); 8] = [
        (&["claude", "exit 0"], 0),
        (&["claude", "exit 7"], 7),
        (&["--", "claude", "exit 125"], 125),
        (&["claude", "kill -KILL $$"], 137),
        (&["no-such-command"], 127),
        (&["/no/such/command"], 127),
        (&["/etc/notes"], 126),
        (&["--no-such-option", "claude", "exit 0"], 125),
    ];
    for image in IMAGES {
        for (arguments, code) in &rows {
            let run = Container::of(&sandbox, image).arguments(arguments);
            assert_eq!(run.run().code, Some(*code), "{image} {arguments:?}");
        }
    }
}

#[test]
fn docker_stop_publishes_within_its_time() {
    needs_docker!();
    // Without live sync, what is captured was captured by the stop. Docker's own KILL, 10 s after its TERM, publishes nothing.
    let rows: [(&str, &[&str], &str, i32, &str); 4] = [
        ("TERM ends it", &[], "refresh two; say ready; exec sleep 600", 143, "two"),
        ("it refreshes on TERM", &[], "trap 'refresh three; exit 3' TERM; say ready; hold /gate", 3, "three"),
        ("it ignores TERM", &["--grace", "2s"], "trap '' TERM; refresh two; say ready; hold /gate", 137, "two"),
        (
            "it has left its process group",
            &["--grace", "2s"],
            "refresh two; setsid sh -c \"trap '' TERM; echo ready; exec sleep 600\" & wait",
            143,
            "two",
        ),
    ];
    for image in IMAGES {
        for (what, options, script, code, last) in &rows {
            let sandbox = Sandbox::new();
            sandbox.captured("claude", ".credentials.json", &Session::new("one").json());
            own(&sandbox, "capture", SOMEBODY);
            let _gate = sandbox.gate("gate");
            let mut container = Container::of(&sandbox, image)
                .bind("capture", "/capture")
                .bind("gate", "/gate")
                .options(&["--user", "1000", "--sync", "exit"])
                .options(options)
                .claude(script)
                .start();
            container.line("ready");
            assert_eq!(captured(&sandbox), Session::new("one").value(), "{image}: {what}");
            container.stop();
            assert_eq!(container.wait().code, Some(*code), "{image}: {what}");
            assert_eq!(captured(&sandbox), Session::new(last).value(), "{image}: {what}");
        }
    }
}

#[test]
fn orphans_are_reaped() {
    needs_docker!();
    let sandbox = Sandbox::new();
    // The substitution ends with the last orphan. Its reaping is another process's act, so look more than once.
    let script = "
        orphans=$(i=0; while [ $i -lt 50 ]; do i=$((i+1)); sh -c 'sleep 0.1 & echo $!'; done)
        look=0
        while grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null && [ $look -lt 100 ]; do look=$((look+1)); done >/dev/null
        [ $look -lt 100 ] && say 'none is left'";
    for image in IMAGES {
        for user in ["0", "1000"] {
            Container::of(&sandbox, image)
                .options(&["--user", user])
                .claude(script)
                .run()
                .ok()
                .prints(&["none is left"]);
        }
    }
}

#[test]
fn the_agent_gets_the_terminal() {
    needs_docker!();
    let sandbox = Sandbox::new();
    for image in IMAGES {
        Container::of(&sandbox, image)
            .docker(&["--tty"])
            .options(&["--user", "1000"])
            .claude("[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && (: >/dev/tty) && say 'a terminal'")
            .run()
            .ok()
            .prints(&["a terminal"]);
    }
}
