//! `docs/migration.md`: its Dockerfiles are built, and do what the page says.

use std::fs;
use std::process::Command;

use super::super::container::Container;
use super::super::engine::{Engine, root};
use super::{AGENT, BINARY, STAND_IN, TAG, needs_images};
use crate::support::{Sandbox, Session, vendor_file};

/// The Dockerfile that follows "After:" in a section of the page, built.
fn after(section: &str, tag: &str) {
    let page = fs::read_to_string(root().join("docs/migration.md")).unwrap();
    let (_, text) = page.split_once(&format!("## {section}")).unwrap();
    let (_, text) = text.split_once("After:\n\n```dockerfile\n").unwrap();
    build(text.split_once("```").unwrap().0, tag);
}

fn build(dockerfile: &str, tag: &str) {
    let empty = |_: &std::path::Path| Command::new("true").status();
    let engine = Engine::get().unwrap();
    engine.with_context(empty, |context| engine.build(context, tag, Some(dockerfile), &[]));
}

#[test]
fn migration_from_tini_and_gosu_works() {
    needs_images!();
    after("From tini and gosu", "after-gosu");
    let sandbox = Sandbox::new();
    let run = |words: &[&str]| Container::of(&sandbox, "after-gosu").arguments(words).run();
    run(&["claude", "--version"]).ok().prints(&["(Claude Code)"]);
    run(&["--", "sh", "-c", "id -un; echo $HOME; exit 7"]).code(7).prints(&["node\n/home/node\n"]);
    let leftovers = "mkfifo /tmp/up
        setsid sh -c 'trap \"echo left; exit\" TERM; echo >/tmp/up; while :; do sleep 0.1; done' &
        read -r _ </tmp/up";
    run(&["--", "sh", "-c", leftovers]).ok().prints(&["left"]);
}

#[test]
fn migration_from_a_shell_entrypoint_works() {
    needs_images!();
    after("From CLAUDE_CREDENTIALS_B64", "after-shell");
    let sandbox = Sandbox::new();
    let run = |script: &str| {
        let container =
            Container::of(&sandbox, "after-shell").session(&Session::new("one")).bind("capture", "/capture");
        container.arguments(&["--agent=claude", "--", "sh", "-c", script]).run().ok()
    };
    let script = "F=$CLAUDE_CONFIG_DIR/.credentials.json; stat -c '%U %a' $F; cat $F; env; sed s/-one/-two/g <$F >$F.new; mv $F.new $F";
    run(script).prints(&["node 600\n", "FAKE-access-one"]).prints_no(&["CLAUDE_CREDENTIALS_B64"]);
    // The variable is still there, and spent.
    run("cat $CLAUDE_CONFIG_DIR/.credentials.json").prints(&["FAKE-access-two"]).prints_no(&["FAKE-access-one"]);
}

#[test]
fn migration_from_a_mounted_config_directory_works() {
    needs_images!();
    let sandbox = Sandbox::new();
    sandbox.write("own/.credentials.json", Session::new("one").json());
    sandbox.write("own/history.jsonl", "mine");
    super::super::own(&sandbox, "own", "4242:4243");
    let script = "cat \"$F\"; refresh two; echo theirs >\"$C/history.jsonl\"; ls -A \"$C\"";
    let container = Container::of(&sandbox, STAND_IN).bind("own", "/home/agent/.claude");
    let outcome = container.arguments(&["claude", "-p", script]).run().ok().prints(&["FAKE-access-one"]);
    outcome.warns_once(&["not kept when the container ends: history.jsonl"]).says(&["--user-from /home/agent/.claude"]);
    assert_eq!(super::super::login(&sandbox, "own/.credentials.json"), Session::new("two").value());
    super::super::assert_private(&sandbox, "own/.credentials.json", "4242:4243");
    assert_eq!(sandbox.read("own/history.jsonl"), "mine");
}

/// The flat directory of claude-hub's setup container, and its words.
#[test]
fn migration_from_claude_hub_works() {
    needs_images!();
    let sandbox = Sandbox::new();
    sandbox.mkdir("hub");
    let terminal = vendor_file("terminal.py");
    let image = format!("agent-init-setup:{TAG}");
    let setup = |see: &str, keys: &str, words: &[&str]| {
        let play = ["python3", "-B", &terminal, "--see", see, "--type", keys, "--"];
        let container = Container::of(&sandbox, &image).docker(&["--interactive", "--tty"]).bind("hub", "/auth-output");
        container.through(play).arguments(words).run().ok();
    };
    let run = |script: &str| {
        let container = Container::of(&sandbox, STAND_IN).bind("hub", "/capture");
        container.arguments(&["claude", "-p", script]).run().ok()
    };
    setup("Paste code here", "one\\r", &[]);
    assert_eq!(super::super::login(&sandbox, "hub/.credentials.json"), Session::new("one").value());
    run("cat \"$F\"; refresh two").prints(&["FAKE-access-one"]);
    run("cat \"$F\"").prints(&["FAKE-access-two"]);
    // `--auto` starts the agent itself, which bypasses permissions.
    build(&format!("FROM {image}\nRUN printf 'say \"$*\"; read -r code; refresh \"$code\"' >prompt\n"), "setup-auto");
    let play = ["python3", "-B", &terminal, "--see", "skip-permissions", "--type", "three\\r", "--"];
    let container =
        Container::of(&sandbox, "setup-auto").docker(&["--interactive", "--tty"]).bind("hub", "/auth-output");
    container.through(play).arguments(&["--auto"]).run().ok();
    run("cat \"$F\"").prints(&["FAKE-access-three"]);
}

/// The README's own image, and one whose ENTRYPOINT has options: both answer every documented command.
#[test]
fn every_command_on_the_images_of_the_readme() {
    needs_images!();
    let page = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, text) = page.split_once("## In an image of your own").unwrap();
    let (_, text) = text.split_once("```dockerfile\n").unwrap();
    let lines = text.split_once("```").unwrap().0;
    let base = "FROM node:22-bookworm-slim\n";
    build(&format!("{base}{lines}"), "of-the-readme");
    let entrypoint = r#"ENTRYPOINT ["agent-init", "--user", "node", "--grace=5s", "-q"]"#;
    build(&format!("{base}COPY --from={BINARY} /agent-init /usr/local/bin/\n{entrypoint}\n"), "with-options");
    for image in ["of-the-readme", "with-options"] {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("one").json());
        let container = || Container::of(&sandbox, image).bind("capture", "/capture");
        let answers: &[(&[&str], i32, &str)] = &[
            (&["status"], 0, "Claude Code"),
            (&["status", "--json"], 0, "\"source\":\"capture:/capture/claude\""),
            (&["plan", "--", "claude"], 0, "node"),
            (&["doctor"], 0, "no problem found"),
            (&["healthcheck"], 1, ""),
            (&["exec", "--", "true"], 125, ""),
            (&["agents"], 0, "codex"),
            (&["install", "/tmp"], 0, ""),
            (&["completions", "bash"], 0, "complete"),
            (&["--help"], 0, "Usage: agent-init"),
            (&["--version"], 0, "agent-init "),
            // Without a terminal it says so.
            (&["setup", "--agent", "claude"], 125, ""),
            (&["--", "sh", "-c", "id -un"], 0, "node"),
            (&["run", "sh", "-c", "id -un"], 0, "node"),
        ];
        for (words, code, says) in answers {
            let outcome = container().arguments(words).run().code(*code);
            assert!(outcome.stdout.contains(says), "{image} {words:?}\n{outcome}");
        }
        let setup = container().arguments(&["setup", "--agent", "claude"]).run();
        setup.refuses(&["setup needs a terminal"]);
        let mut up = container().arguments(&["--", "sh", "-c", "echo ready; exec sleep 600"]).start();
        up.line("ready");
        assert_eq!(up.exec(&[], &["agent-init", "exec", "--", "id", "-un"]).ok().stdout, "node\n", "{image}");
        up.exec(&[], &["agent-init", "healthcheck"]).ok();
        up.stop();
        up.wait();
    }
}

/// One binary for images that others make: what the page says of links and of the image's own words.
#[test]
fn the_binary_works_under_the_name_of_tini() {
    needs_images!();
    build(
        &format!("FROM {AGENT}\nRUN ln -s agent-init /usr/local/bin/tini\nENTRYPOINT [\"tini\", \"--\"]\n"),
        "as-tini",
    );
    let sandbox = Sandbox::new();
    Container::of(&sandbox, "as-tini").arguments(&["sh", "-c", "id -u; exit 3"]).run().code(3).prints(&["0\n"]);
}

/// Another setup container's place and layout: the files lie in the mounted directory itself, and a run finds them there.
#[test]
fn a_login_goes_where_other_setup_containers_put_it() {
    needs_images!();
    let sandbox = Sandbox::new();
    sandbox.mkdir("output");
    super::super::own(&sandbox, "output", "1000:1000");
    let terminal = vendor_file("terminal.py");
    let play = ["python3", "-B", &terminal, "--see", "Paste code here", "--type", "one\\r", "--"];
    let setup = Container::of(&sandbox, "agent-init-setup:stand-in").bind("output", "/auth-output");
    let setup = setup.docker(&["--interactive", "--tty", "--env=TERM=xterm"]).through(play).run().ok();
    setup.prints(&["Login successful.", "/auth-output"]);
    super::super::assert_private(&sandbox, "output/.credentials.json", "1000:1000");
    let run = Container::of(&sandbox, STAND_IN).bind("output", "/capture").arguments(&["claude", "-p", "cat \"$F\""]);
    run.run().ok().prints(&["FAKE-access-one"]).says(&["capture:/capture,"]);
}
