//! What the images are made of.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::super::container::{Container, client};
use super::super::engine::{CLIENT, Engine, root};
use super::{AGENT, BINARY, CANARY, SETUP, STAND_IN, needs_images};
use crate::support::{Outcome, Sandbox, Session};

fn docker(words: &[&str]) -> Outcome {
    client(&Sandbox::new(), words.iter().copied()).run().ok()
}

fn config(image: &str) -> Value {
    serde_json::from_str(&docker(&["image", "inspect", "--format={{json .Config}}", image]).stdout).unwrap()
}

/// Two files that each build by themselves, and share every layer down to the last stage.
#[test]
fn the_two_files_are_one_but_for_their_end() {
    let stages = |name: &str| {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let (_, rest) = text.split_once("\nARG BUILDER").unwrap();
        rest.split_once("\nFROM agents AS ").unwrap().0.to_owned()
    };
    assert_eq!(stages("Dockerfile.agent"), stages("Dockerfile.setup"));
}

#[test]
fn the_images_have_the_versions_that_are_tested() {
    let tested = |agent: &str| {
        let text = fs::read_to_string(root().join(format!("tests/agents/{agent}/package.json"))).unwrap();
        let tested: Value = serde_json::from_str(&text).unwrap();
        let (name, version) = tested["dependencies"].as_object().unwrap().iter().next().unwrap();
        format!("{name}@{}", version.as_str().unwrap())
    };
    let packages = |agents: &[&str]| {
        let run = Command::new(root().join("scripts/install-agents")).arg("--packages").args(agents).output().unwrap();
        (run.status.success(), String::from_utf8(run.stdout).unwrap())
    };
    let agents = ["claude", "codex", "copilot", "gemini", "opencode", "qwen"];
    let (_, packaged) = packages(&agents);
    assert_eq!(packaged.lines().collect::<Vec<_>>(), agents.map(tested));
    assert!(!packages(&["claude", "nosuch"]).0);
    assert_eq!(packages(&["gh"]), (true, String::new()));
}

#[test]
fn an_image_has_its_labels() {
    needs_images!();
    let (agent, setup, binary) = (config(AGENT), config(SETUP), config(BINARY));
    assert_eq!(agent["Entrypoint"], serde_json::json!(["agent-init"]));
    assert_eq!(setup["Entrypoint"], serde_json::json!(["agent-init", "setup"]));
    assert_eq!(binary["Entrypoint"], serde_json::json!(["/agent-init"]));
    for config in [&agent, &setup] {
        assert_eq!(config["StopSignal"], "SIGTERM");
        assert_eq!(config["WorkingDir"], "/workspace");
        // What is mounted nowhere is said to be lost, not put into a volume that nobody knows of.
        assert_eq!(config["Volumes"], Value::Null);
    }
    assert_eq!(agent["Healthcheck"]["Test"], serde_json::json!(["CMD", "agent-init", "healthcheck"]));
    let layers = docker(&["image", "inspect", "--format={{len .RootFS.Layers}}", BINARY]);
    assert_eq!(layers.stdout, "1\n", "the binary and nothing else");
    assert!(docker(&["run", "--rm", "--network=none", BINARY, "--version"]).stdout.starts_with("agent-init "));
}

#[test]
fn an_image_contains_only_what_is_built() {
    needs_images!();
    for image in [AGENT, SETUP, BINARY] {
        let told = docker(&["history", "--no-trunc", image]).stdout + &docker(&["image", "inspect", image]).stdout;
        assert!(!told.contains("FAKE"), "{image}\n{told}");
    }
    let mut save = Command::new(CLIENT)
        .args(["-H", &Engine::get().unwrap().host(), "save", AGENT, SETUP, BINARY])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Its layers are plain tar files in a tar file.
    let grep =
        Command::new("grep").args(["-c", "-a", "-F", CANARY]).stdin(save.stdout.take().unwrap()).output().unwrap();
    assert!(save.wait().unwrap().success());
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "0\n");
}

#[test]
fn the_binary_is_taken_into_another_image() {
    needs_images!();
    let dockerfile = format!(
        "FROM debian:bookworm-slim\nCOPY --from={BINARY} /agent-init /usr/local/bin/\nENTRYPOINT [\"agent-init\"]\n"
    );
    let engine = Engine::get().unwrap();
    engine.with_context(
        |_| Command::new("true").status(),
        |context| engine.build(context, "another", Some(&dockerfile), &[]),
    );
    docker(&["run", "--rm", "--network=none", "another", "--", "sh", "-c", "exit 0"]);
}

#[test]
fn the_agent_is_an_ordinary_user() {
    needs_images!();
    let sandbox = Sandbox::new();
    let script = "id -u; id -g; say $HOME; pwd; touch made; grep -E '^(CapEff|CapBnd)' /proc/self/status; cat \"$F\"";
    let run =
        Container::of(&sandbox, STAND_IN).session(&Session::new("one")).arguments(&["claude", "-p", script]).run();
    assert!(run.stdout.starts_with("1000\n1000\n/home/agent\n/workspace\n"), "{run}");
    run.ok().prints(&["CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n", "FAKE-access-one"]);
}

/// `docker run --user`, and what `OpenShift` does: any uid, in root's group, without capabilities.
#[test]
fn any_uid_without_rights_on_a_root_that_is_read_only() {
    needs_images!();
    let sandbox = Sandbox::new();
    super::super::own(&sandbox, "capture", "12345:0");
    let options =
        ["--user=12345:0", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp"];
    let script = "id -u; id -g; cat \"$F\"; refresh two";
    Container::of(&sandbox, STAND_IN)
        .docker(&options)
        .session(&Session::new("one"))
        .bind("capture", "/capture")
        .arguments(&["claude", "-p", script])
        .run()
        .ok()
        .prints(&["12345\n0\n", "FAKE-access-one"])
        .quiet();
    assert_eq!(super::super::captured(&sandbox), Session::new("two").value());
}

#[test]
fn docker_shows_the_health_of_the_agent() {
    needs_images!();
    let sandbox = Sandbox::new();
    // Only the interval is changed.
    let container =
        Container::of(&sandbox, STAND_IN).docker(&["--health-interval=200ms"]).session(&Session::new("one"));
    let mut up = container.arguments(&["claude", "-p", "say ready; exec sleep 600"]).start();
    up.line("ready");
    let mut events = client(&sandbox, ["events", "--since=0", "--filter=event=health_status", "--filter"])
        .arguments([format!("container={}", up.name()), "--format={{.Status}}".to_owned()])
        .start();
    events.line("health_status: healthy");
    // It blanks its login: what the vendor's refusal comes to.
    up.exec(&[], &["agent-init", "exec", "--", "claude", "-p", "blank"]).ok();
    events.line("health_status: unhealthy");
    up.stop();
    up.wait();
}
