//! Commands after `docker exec`: in an image with nothing in it, with docker's default capabilities and with none.

use super::{Container, DEBIAN, SCRATCH, captured, needs_docker};
use crate::support::{Sandbox, Session};

const HOLD: &str = "say ready; exec sleep 600";

#[test]
fn every_command_works_beside_a_running_agent() {
    needs_docker!();
    for image in [SCRATCH, DEBIAN] {
        let sandbox = Sandbox::new();
        let container = Container::of(&sandbox, image).session(&Session::new("one")).bind("capture", "/capture");
        let mut up = container.options(&["--user", "12345:0"]).claude(HOLD).start();
        up.line("ready");
        assert_eq!(captured(&sandbox), Session::new("one").value(), "{image}");
        let binary = if image == SCRATCH { "/agent-init" } else { "agent-init" };
        let exec = |words: &[&str]| up.exec(&[], &[&[binary], words].concat());
        let status = exec(&["status", "--json"]).ok();
        let agent = &status.json()["agents"][0];
        assert_eq!(
            (&agent["source"], &agent["state"]),
            (&"env:CLAUDE_CREDENTIALS_B64".into(), &"ok".into()),
            "{status}"
        );
        assert_eq!(agent["shared_by"], 1, "{status}");
        let health = exec(&["healthcheck"]).ok();
        assert_eq!((health.stdout.as_str(), health.stderr.as_str()), ("", ""), "{image}");
        // The agent, not the image's root; without the blob that the container's environment has.
        let who = exec(&["exec", "--", "claude", "id -u; id -g; env; cat \"$F\""]).ok();
        assert!(who.stdout.starts_with("12345\n0\n"), "{image}\n{who}");
        assert_eq!(who.variable("CLAUDE_CREDENTIALS_B64"), None, "{image}\n{who}");
        assert!(who.stdout.contains("FAKE-access-one"), "{image}\n{who}");
        // PID 1's own options are known: the user is the agent's, and nothing is wrong with it.
        exec(&["doctor"]).prints_no(&["CAP_"]).says_no(&["error"]);
        // As the agent's own user, without any capability.
        let same = up.exec(&["--user", "12345:0"], &[binary, "exec", "--", "claude", "id -u"]).ok();
        assert_eq!(same.stdout, "12345\n", "{image}");
        up.exec(&["--user", "12345:0"], &[binary, "healthcheck"]).ok();
        up.exec(&["--user", "77"], &[binary, "exec", "--", "claude", "id -u"]).refuses(&["the agent is uid 12345"]);
        up.stop();
        up.wait().code(143);
    }
}

#[test]
fn a_key_is_joined_without_ptrace() {
    needs_docker!();
    let sandbox = Sandbox::new();
    let container = Container::of(&sandbox, DEBIAN).docker(&["--env=ANTHROPIC_API_KEY_FILE=/key"]);
    sandbox.write("key", "sk-FAKE-from-a-file");
    let mut up = container.bind("key", "/key").options(&["--user", "node"]).claude(HOLD).start();
    up.line("ready");
    let outcome = up.exec(&[], &["agent-init", "exec", "--", "env"]).ok();
    assert_eq!(outcome.variable("ANTHROPIC_API_KEY"), Some("sk-FAKE-from-a-file"), "{outcome}");
    assert_eq!(outcome.variable("ANTHROPIC_API_KEY_FILE"), None, "{outcome}");
    up.stop();
    up.wait().code(143);
}

#[test]
fn a_container_that_is_not_root_and_has_no_capability() {
    needs_docker!();
    let sandbox = Sandbox::new();
    let options = ["--user=12345:12345", "--cap-drop=ALL", "--read-only", "--tmpfs=/tmp:mode=1777"];
    let container = Container::of(&sandbox, SCRATCH).docker(&options).session(&Session::new("one"));
    let mut up = container.claude(HOLD).start();
    up.line("ready");
    up.exec(&[], &["/agent-init", "healthcheck"]).ok();
    up.exec(&[], &["/agent-init", "status"]).ok().prints(&["runs here as 12345:12345"]);
    assert_eq!(up.exec(&[], &["/agent-init", "exec", "--", "claude", "id -u"]).ok().stdout, "12345\n");
    // Root of `docker exec` finds it too, and stays what the agent is.
    assert_eq!(up.exec(&["--user=0"], &["/agent-init", "exec", "--", "claude", "id -u"]).code(125).stdout, "");
    up.stop();
    up.wait().code(143);
}
