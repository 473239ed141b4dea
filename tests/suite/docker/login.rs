//! Where a login comes from, where its refresh goes, and where it must not show.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{Container, DEBIAN, SCRATCH, SOMEBODY, assert_private, await_captured, captured, login, needs_docker, own};
use crate::support::{Sandbox, Session};

#[test]
fn a_login_in_a_variable_is_installed_and_its_refresh_captured_while_the_container_runs() {
    needs_docker!();
    for (image, user) in [(SCRATCH, "1000:1000"), (DEBIAN, "node")] {
        let sandbox = Sandbox::new();
        own(&sandbox, "capture", SOMEBODY);
        let mut container = Container::of(&sandbox, image)
            .session(&Session::new("one"))
            .bind("capture", "/capture")
            .options(&["--user", user])
            .claude("stat -c '%u:%g %a' \"$C\" \"$F\"; cat \"$F\"; say; refresh two; say refreshed; exec sleep 600")
            .start();
        assert_eq!(container.line(""), "1000:1000 700", "{image}: the directory");
        assert_eq!(container.line(""), "1000:1000 600", "{image}: the file");
        assert!(container.line("").contains("FAKE-access-one"), "{image}");
        container.line("refreshed");
        await_captured(&sandbox, "two");
        assert!(container.running(), "{image}");
        assert_private(&sandbox, "capture/claude/.credentials.json", SOMEBODY);
        container.stop();
        container.wait().code(143);
    }
}

/// The agent's own place in the Debian image.
const HOME: &str = "/home/node/.claude";
const FILE: &str = "/home/node/.claude/.credentials.json";

#[test]
fn a_login_mounted_in_the_config_directory_is_used_and_written_back() {
    needs_docker!();
    for (source, target, writable) in [
        ("own", HOME, true),
        ("own", HOME, false),
        ("own/.credentials.json", FILE, true),
        ("own/.credentials.json", FILE, false),
    ] {
        let what = format!("{target}, writable: {writable}");
        let sandbox = Sandbox::new();
        let file = sandbox.write("own/.credentials.json", Session::new("one").json());
        own(&sandbox, "own", SOMEBODY);
        sandbox.chmod("own", 0o700);
        let inode = fs::metadata(&file).unwrap().ino();
        let container = Container::of(&sandbox, DEBIAN);
        let container =
            if writable { container.bind(source, target) } else { container.bind_read_only(source, target) };
        let outcome = container
            .options(&["--user", "node"])
            .claude("cat \"$F\"; say; case $C in /home/*) say in-place ;; esac; refresh two && say refreshed")
            .run()
            .ok()
            .prints(&["FAKE-access-one", "refreshed"])
            .prints_no(&["in-place"])
            .says(&["claude auth: subscription login ("]);
        let last = if writable { "two" } else { "one" };
        assert_eq!(login(&sandbox, "own/.credentials.json"), Session::new(last).value(), "{what}\n{outcome}");
        // A directory of somebody else's keeps no conversations of the agent.
        assert_eq!(outcome.stderr.contains("not kept when the container ends"), source == "own", "{what}\n{outcome}");
        let is_quiet = writable && source != "own";
        assert_eq!(outcome.warnings().is_empty(), is_quiet, "{what}\n{outcome}");
        assert_private(&sandbox, "own/.credentials.json", SOMEBODY);
        // rename over a mount point is EBUSY.
        if source != "own" {
            assert_eq!(fs::metadata(&file).unwrap().ino(), inode, "{what}");
        }
    }
}

#[test]
fn a_secret_file_is_a_source() {
    needs_docker!();
    for (mode, docker, options) in [(0o600, "--user=root", &["--user", "node"][..]), (0o444, "--user=12345:0", &[])] {
        let sandbox = Sandbox::new();
        sandbox.write("secrets/claude_credentials", Session::new("one").json());
        sandbox.chmod("secrets/claude_credentials", mode);
        own(&sandbox, "capture", "12345:0");
        Container::of(&sandbox, DEBIAN)
            .docker(&[docker])
            .bind_read_only("secrets", "/run/secrets")
            .bind("capture", "/capture")
            .options(options)
            .claude("cat \"$F\" && refresh two")
            .run()
            .ok()
            .prints(&["FAKE-access-one"])
            .says(&["/run/secrets/claude_credentials"]);
        assert_eq!(captured(&sandbox), Session::new("two").value());
    }
}

#[test]
fn the_last_of_many_quick_refreshes_is_captured() {
    needs_docker!();
    // Each write may fall into any moment of the publishing of the one before; several rounds, as no moment is certain.
    let script = "i=0; while [ $i -lt 40 ]; do refresh n$i; i=$((i+1)); done; refresh last";
    for round in 0..6 {
        let sandbox = Sandbox::new();
        Container::of(&sandbox, DEBIAN)
            .session(&Session::new("one"))
            .bind("capture", "/capture")
            .options(&["--user", "node"])
            .claude(script)
            .run()
            .ok();
        assert_eq!(captured(&sandbox), Session::new("last").value(), "round {round}");
    }
}

#[test]
fn no_secret_is_shown() {
    needs_docker!();
    // One uid for both is the harder case: only a PID 1 that is not dumpable keeps its memory and environment to itself.
    for (docker, options) in [("--user=root", &["--user", "node"][..]), ("--user=node", &[]), ("--user=12345", &[])] {
        let sandbox = Sandbox::new();
        own(&sandbox, "capture", "12345:0");
        let session = Session::new("one");
        let mut container = Container::of(&sandbox, DEBIAN)
            .docker(&[docker])
            .session(&session)
            .bind("capture", "/capture")
            .options(options)
            .claude(
                "tr '\\0' '\\n' </proc/$$/environ | grep -E 'CREDENTIALS|F[A]KE' && say 'in the environment'
                (: </proc/1/environ) && say 'the environment of PID 1'
                (: </proc/1/mem) && say 'the memory of PID 1'
                say ready; exec sleep 600",
            )
            .start();
        container.line("ready");
        let seen = [
            container.docker(&["inspect", "--format", "{{json .State}} {{json .Path}} {{json .Args}}"]).stdout,
            container.docker(&["top"]).stdout,
        ];
        container.stop();
        let outcome = container.wait().code(143);
        assert_eq!(outcome.stdout, "ready\n", "{docker}\n{outcome}");
        for text in seen.iter().chain([&outcome.stdout, &outcome.stderr]) {
            for secret in ["FAKE", &session.b64()[..24]] {
                assert!(!text.contains(secret), "{docker}: {secret} in\n{text}");
            }
        }
    }
}
