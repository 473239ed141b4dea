//! Who starts agent-init and what it may do: users with and without a passwd entry, capabilities, a read-only root.

use super::{Container, DEBIAN, IMAGES, SOMEBODY, assert_private, captured, needs_docker, own};
use crate::support::{Sandbox, Session};

/// Who starts agent-init, what it may do, and as whom the agent then has to run.
struct Identity {
    docker: &'static [&'static str],
    options: &'static [&'static str],
    /// uid:gid of the capture.
    capture: &'static str,
    /// uid:gid of the agent.
    agent: &'static str,
    /// Whether the agent must be left without any capability.
    bare: bool,
}

impl Identity {
    const fn of(docker: &'static [&'static str], agent: &'static str) -> Self {
        Self { docker, options: &[], capture: agent, agent, bare: true }
    }

    const fn options(mut self, options: &'static [&'static str]) -> Self {
        self.options = options;
        self
    }

    const fn capture(mut self, owner: &'static str) -> Self {
        self.capture = owner;
        self
    }

    const fn with_capabilities(mut self) -> Self {
        self.bare = false;
        self
    }
}

/// What agent-init needs as root to serve an agent of another uid.
const LEAST: &[&str] = &[
    "--cap-drop=ALL",
    "--cap-add=SETUID",
    "--cap-add=SETGID",
    "--cap-add=CHOWN",
    "--cap-add=DAC_OVERRIDE",
    "--cap-add=KILL",
];

#[test]
fn every_identity_that_docker_gives_works() {
    needs_docker!();
    let rows = [
        Identity::of(&[], "0:0").with_capabilities(),
        Identity::of(&["--user=node"], "1000:1000"),
        Identity::of(&["--user=12345"], "12345:0"),
        Identity::of(&["--user=12345:12345", "--security-opt=no-new-privileges"], "12345:12345"),
        Identity::of(&["--user=12345:0", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp"], "12345:0"),
        Identity::of(
            &["--user=12345:0", "--read-only", "--cap-drop=ALL", "--tmpfs=/x", "--env=XDG_RUNTIME_DIR=/x"],
            "12345:0",
        ),
        Identity::of(&[], "1000:1000").options(&["--user", "node"]).capture(SOMEBODY),
        Identity::of(&[], "12345:12345").options(&["--user", "12345"]).capture(SOMEBODY),
        Identity::of(&[], "12345:0").options(&["--user", "12345:0"]).capture(SOMEBODY),
        Identity::of(&[], SOMEBODY).options(&["--user-from", "/capture"]).capture(SOMEBODY),
        Identity::of(LEAST, "1000:1000").options(&["--user", "node"]).capture(SOMEBODY),
    ];
    for row in rows {
        let sandbox = Sandbox::new();
        own(&sandbox, "capture", row.capture);
        let what = format!("docker {:?}, options {:?}", row.docker, row.options);
        let outcome = Container::of(&sandbox, DEBIAN)
            .docker(row.docker)
            .session(&Session::new("one"))
            .bind("capture", "/capture")
            .options(row.options)
            .claude(
                "say \"$(id -u):$(id -g)\"; stat -c '%u %a' \"$C\" \"$F\"; grep CapEff /proc/self/status; cat \"$F\"; say
                refresh two; echo refreshed",
            )
            .run();
        assert_eq!(outcome.code, Some(0), "{what}\n{outcome}");
        let uid = row.agent.split(':').next().unwrap();
        let shown = format!("{}\n{uid} 700\n{uid} 600\n", row.agent);
        assert!(outcome.stdout.starts_with(&shown), "{what}\n{outcome}");
        let bare = outcome.stdout.contains("CapEff:\t0000000000000000");
        assert_eq!(bare, row.bare, "{what}\n{outcome}");
        assert!(outcome.stdout.contains("FAKE-access-one"), "{what}\n{outcome}");
        assert!(outcome.stdout.ends_with("refreshed\n"), "{what}\n{outcome}");
        assert_eq!(captured(&sandbox), Session::new("two").value(), "{what}\n{outcome}");
        assert_private(&sandbox, "capture/claude/.credentials.json", row.capture);
    }
}

#[test]
fn a_read_only_root_needs_one_writable_place() {
    needs_docker!();
    for tmpfs in [&["--tmpfs=/run", "--tmpfs=/tmp"][..], &["--tmpfs=/run"], &["--tmpfs=/tmp"]] {
        for image in IMAGES {
            let sandbox = Sandbox::new();
            Container::of(&sandbox, image)
                .docker(&["--read-only"])
                .docker(tmpfs)
                .session(&Session::new("one"))
                .bind("capture", "/capture")
                .options(&["--user", "12345"])
                .claude("cat \"$F\" && refresh two")
                .run()
                .ok()
                .prints(&["FAKE-access-one"]);
            assert_eq!(captured(&sandbox), Session::new("two").value(), "{image} {tmpfs:?}");
        }
    }
}

#[test]
fn a_session_without_a_writable_place_is_refused_with_the_remedy() {
    needs_docker!();
    let sandbox = Sandbox::new();
    for image in IMAGES {
        Container::of(&sandbox, image)
            .docker(&["--read-only", "--user=12345"])
            .session(&Session::new("one"))
            .claude("say started")
            .run()
            .prints_no(&["started"])
            .refuses(&["hint: "]);
    }
}

#[test]
fn what_needs_no_file_needs_no_writable_place() {
    needs_docker!();
    let sandbox = Sandbox::new();
    for image in IMAGES {
        for (docker, arguments, shows) in [
            ("--env=OTHER=x", ["cat", "/etc/notes"], "not a program"),
            ("--env=OTHER=x", ["claude", "say started"], "started"),
            ("--env=ANTHROPIC_API_KEY=FAKE-key", ["claude", "say $ANTHROPIC_API_KEY"], "FAKE-key"),
        ] {
            Container::of(&sandbox, image)
                .docker(&["--read-only", "--user=12345", docker])
                .arguments(&arguments)
                .run()
                .ok()
                .prints(&[shows]);
        }
    }
}
