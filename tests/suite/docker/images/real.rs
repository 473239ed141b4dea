//! The real Claude Code in its image, against the fake vendor in the engine's network.

use super::super::container::Container;
use super::super::engine::Engine;
use super::{AGENT, needs_images};
use crate::support::{ANSWER, Sandbox, TOKEN, Vendor, base64, text, vendor_file};

/// The options of compose.yaml, or of a cluster that gives any uid.
const PRESET: &[&str] = &[
    "--read-only",
    "--tmpfs=/run:mode=755",
    "--tmpfs=/tmp:mode=1777,exec",
    "--tmpfs=/home/agent:uid=1000,gid=1000,mode=700,exec",
];
const ANY_UID: &[&str] = &["--user=12345:0", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp:mode=1777,exec"];

fn container<'a>(sandbox: &'a Sandbox, vendor: &Vendor, options: &[&str]) -> Container<'a> {
    let mut container = Container::of(sandbox, AGENT).engines_network().docker(options).bind("capture", "/capture");
    for (name, value) in vendor.environment() {
        container = container.docker(&[&format!("--env={name}={value}")]);
        if name == "NODE_EXTRA_CA_CERTS" {
            container = container.docker(&[&format!("--volume={value}:{value}:ro")]);
        }
    }
    container
}

#[test]
fn it_answers_and_its_refreshed_login_is_captured() {
    needs_images!();
    let vendor = Vendor::within(&Engine::get().unwrap().network());
    for (options, owner) in [(PRESET, "4242:4243"), (ANY_UID, "12345:0")] {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &vendor.login("claude", 60));
        super::super::own(&sandbox, "capture", owner);
        let before = vendor.requests(TOKEN).len();
        let ask =
            || container(&sandbox, &vendor, options).arguments(&["claude", "-p", "hello"]).run().ok().prints(&[ANSWER]);
        ask();
        ask();
        assert_eq!(vendor.requests(TOKEN).len(), before + 1, "{options:?}: the second found what the first refreshed");
        let access = text(&super::super::captured(&sandbox)["claudeAiOauth"]["accessToken"]);
        assert!(vendor.sent("/v1/messages", "bearer").contains(&access), "{options:?}");
        super::super::assert_private(&sandbox, "capture/claude/.credentials.json", owner);
    }
}

#[test]
fn it_reaches_its_prompt_without_a_dialog_and_answers() {
    needs_images!();
    let vendor = Vendor::within(&Engine::get().unwrap().network());
    let sandbox = Sandbox::new();
    let terminal = vendor_file("terminal.py");
    for (command, prompt) in
        [(&["claude"][..], "? for shortcuts"), (&["claude", "--dangerously-skip-permissions"], "bypass permissions on")]
    {
        let play = ["python3", "-B", &terminal, "--see", prompt, "--type", "hello", "--see", "hello", "--type", r"\r"];
        let leave = ["--see", ANSWER, "--type", r"/exit\r", "--"];
        container(&sandbox, &vendor, PRESET)
            .docker(&["--interactive", "--tty", "--env=CLAUDE_CREDENTIALS_B64", "--env=TERM=xterm-256color"])
            .variable("CLAUDE_CREDENTIALS_B64", base64(&vendor.login("claude", 3600)))
            .through(play.into_iter().chain(leave))
            .arguments(command)
            .run()
            .ok()
            .prints_no(&["trust", "text style", "login method", "Bypass Permissions mode", "uto-update"]);
    }
}
