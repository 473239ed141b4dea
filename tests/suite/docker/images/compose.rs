//! `compose.yaml` as it is written: the setup container, an agent, a fleet, a token.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::super::container::client;
use super::super::engine::{Engine, root};
use super::{TAG, needs_images, tools};
use crate::support::{Outcome, Run, Sandbox, Session, vendor_file};

/// One project of its own: its capture, its workspace, its network.
struct Project<'a> {
    sandbox: &'a Sandbox,
    name: String,
}

impl<'a> Project<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        sandbox.mkdir("workspace");
        sandbox.give("workspace", 1000);
        Self { sandbox, name: format!("project-{}", COUNT.fetch_add(1, Ordering::Relaxed)) }
    }

    fn compose(&self, words: &[&str]) -> Run {
        let program = tools().join("bin/docker-compose");
        self.sandbox
            .raw(words.iter().copied())
            .program(program.to_str().unwrap())
            .options(["--project-name", &self.name, "--project-directory", root().to_str().unwrap()])
            .env("DOCKER_HOST", Engine::get().unwrap().host())
            .env("DOCKER_CONFIG", self.sandbox.text("home"))
            .env("TAG", TAG)
            .env("CAPTURE", &self.name)
            .env("WORKSPACE", self.sandbox.text("workspace"))
            .env("TOKEN_FILE", self.sandbox.text("token"))
    }

    /// One agent with this prompt, to its end.
    fn agent(&self, prompt: &str) -> Outcome {
        self.compose(&["run", "--rm", "-T", "agent", "claude", "-p", prompt]).run()
    }

    /// The agent's directory in the capture, seen from outside.
    fn capture(&self) -> PathBuf {
        let volume = format!("agent-logins-{}", self.name);
        let line = ["volume", "inspect", "--format={{.Mountpoint}}", &volume];
        let place = client(self.sandbox, line).run().ok().stdout;
        PathBuf::from(place.trim_end()).join("claude")
    }

    fn login(&self) -> Value {
        let file = self.capture().join(".credentials.json");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        serde_json::from_str(&text).unwrap()
    }

    /// Logs in at a terminal; the code is the login's name.
    fn set_up(&self, code: &str) -> Outcome {
        let terminal = vendor_file("terminal.py");
        let play = ["python3", "-B", &terminal, "--see", "Paste code here", "--type", &format!("{code}\\r"), "--"];
        self.compose(&["run", "--rm", "setup"]).through(play).env("TERM", "xterm").run()
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        let everything = ["--profile", "*", "down", "--volumes", "--timeout", "0"];
        drop(self.compose(&everything).run());
    }
}

#[test]
fn logged_in_once_then_agents_one_after_the_other_and_many_at_once() {
    needs_images!();
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);

    project.set_up("one").ok().prints(&["Login successful."]);
    assert_eq!(project.login(), Session::new("one").value());

    let who = project.agent("id -un; pwd; say $C; cat \"$F\"").ok();
    assert!(who.stdout.starts_with("agent\n/workspace\n/home/agent/.claude\n"), "{who}");
    who.prints(&["FAKE-access-one"]);
    project.agent("refresh two").ok();
    assert_eq!(project.login(), Session::new("two").value());

    stopped_while_it_refreshes(&project);
    project.agent("cat \"$F\"").ok().prints(&["FAKE-access-three"]);

    // All five see what another container refreshes.
    let waits = "say waiting; until grep -q FAKE-access-four \"$F\"; do sleep 0.1; done; say \"$(cat \"$F\")\"";
    let fleet = ["--profile", "fleet", "up", "--scale", "fleet=5", "--no-color"];
    let mut fleet = project.compose(&fleet).env("PROMPT", waits).start();
    for _ in 0..5 {
        fleet.line("| waiting");
    }
    project.agent("refresh four").ok();
    let fleet = fleet.wait().ok();
    assert_eq!(fleet.stdout.matches("FAKE-access-four").count(), 5, "{fleet}");
    assert_eq!(fleet.stdout.matches("exited with code 0").count(), 5, "{fleet}");
    let all = project.compose(&["--profile", "*", "ps", "--all", "--format={{.Service}}"]).run().ok().stdout;
    assert_eq!(all, "fleet\n".repeat(5), "the others were not asked for");

    // Those that follow have no refresh token, and a capture that they cannot write to.
    let follower = project.compose(&["run", "--rm", "-T", "followers", "claude", "-p", "cat \"$F\""]).run().ok();
    follower.prints(&["FAKE-access-four"]).prints_no(&["FAKE-refresh"]);
}

/// A keeper that was started and waits for a login is not healthy, and becomes so by the login.
#[test]
fn a_keeper_is_healthy_once_there_is_a_login() {
    needs_images!();
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    project.compose(&["up", "--detach", "keeper"]).run().ok();
    let probe = || project.compose(&["exec", "-T", "keeper", "agent-init", "healthcheck"]).run();
    let mut logs = project.compose(&["logs", "--follow", "--no-color", "keeper"]).start();
    logs.line("claude: there is no login to keep in ");
    probe().code(1).says(&["claude: missing: there is no login to keep in /capture/claude: log in: "]);
    project.set_up("one").ok();
    logs.line("claude: the login in /capture/claude will be refreshed at ");
    probe().ok().quiet();
    project.compose(&["up", "--detach", "--wait", "keeper"]).run().ok();
    project.compose(&["stop", "keeper"]).run().ok();
}

/// Each service is one that was asked for, and none gets the directory that compose.yaml lies in: that is ours.
#[test]
fn nothing_starts_unasked_and_nothing_gets_our_own_directory() {
    needs_images!();
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    let services = |words: &[&str]| {
        let mut found: Vec<String> = project
            .compose(&[words, &["config", "--services"]].concat())
            .run()
            .ok()
            .stdout
            .lines()
            .map(String::from)
            .collect();
        found.sort();
        found
    };
    assert_eq!(services(&[]), Vec::<String>::new());
    for name in ["agent", "fleet", "followers", "keeper", "setup", "token"] {
        assert_eq!(services(&["--profile", name]), [name]);
    }
    assert_eq!(services(&["--profile", "*"]), ["agent", "fleet", "followers", "keeper", "setup", "token"]);
    let config = project.compose(&["--profile", "*", "config", "--format=json"]).unset("WORKSPACE").run().ok().json();
    for (name, service) in config["services"].as_object().unwrap() {
        for volume in service["volumes"].as_array().unwrap() {
            assert_ne!(volume["type"], "bind", "{name}: {volume}");
        }
    }
    // One that was given no directory has room all the same.
    let line = ["run", "--rm", "-T", "agent", "claude", "-p", "ls -A; pwd; touch made"];
    let run = project.compose(&line).unset("WORKSPACE").run().ok();
    assert_eq!(run.stdout, "/workspace\n", "{run}");
}

/// The lines of the README, but for the login and the directory, which are this test's.
#[test]
fn the_quick_start_of_the_readme() {
    needs_images!();
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    project.set_up("one").ok();
    sandbox.write("workspace/of-the-reader", "");
    sandbox.give("workspace/of-the-reader", 1000);
    let page = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, text) = page.split_once("## Five minutes").unwrap();
    let (_, text) = text.split_once("```sh\n").unwrap();
    let lines = text.split_once("```").unwrap().0.lines().map(|line| line.split('#').next().unwrap().trim());
    let lines: Vec<&str> = lines.filter(|line| line.contains("docker compose")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        let (variables, words) = line.split_once("docker compose ").unwrap();
        let words: Vec<String> = words.split(' ').map(|word| word.trim_matches('"').to_owned()).collect();
        let words: Vec<&str> = words.iter().map(|word| if *word == "hello" { "ls -A" } else { word }).collect();
        let outcome = project.compose(&words).env("PROMPT", "say fleet").run().ok();
        if words.contains(&"agent") {
            assert_eq!(variables, "WORKSPACE=~/project ");
            outcome.prints(&["of-the-reader"]);
        } else {
            assert_eq!(outcome.stdout.matches("exited with code 0").count(), 5, "{outcome}");
        }
    }
}

/// `docker compose stop` comes while a new token is on its way.
fn stopped_while_it_refreshes(project: &Project<'_>) {
    let mut gate = project.sandbox.gate("workspace/gate");
    let script =
        "mkdir \"$C/.oauth_refresh.lock\"; say refreshing; hold gate; refresh three; rmdir \"$C/.oauth_refresh.lock\"
        exec sleep 600";
    project.sandbox.write("workspace/prompt", script);
    project.sandbox.give("workspace/prompt", 1000);
    project.compose(&["up", "--detach", "agent"]).run().ok();
    let mut logs = project.compose(&["logs", "--follow", "--no-color", "agent"]).start();
    logs.line("refreshing");
    let container = project.compose(&["ps", "--quiet", "agent"]).run().ok().stdout;
    let container = container.trim_end();
    let mut events = client(project.sandbox, ["events", "--since=0", "--filter=event=kill", "--filter"])
        .arguments([&format!("container={container}"), "--format={{.Actor.Attributes.signal}}"])
        .start();
    let stop = project.compose(&["stop", "agent"]).start();
    events.line("15");
    gate.open();
    stop.wait().ok();
    assert_eq!(project.login(), Session::new("three").value());
    let state = client(project.sandbox, ["inspect", "--format={{.State.ExitCode}}", container]).run().ok().stdout;
    assert_eq!(state, "143\n");
    project.compose(&["rm", "--force", "agent"]).run().ok();
}

#[test]
fn environments_are_captures_of_their_own() {
    needs_images!();
    let sandbox = Sandbox::new();
    let (main, staging) = (Project::new(&sandbox), Project::new(&sandbox));
    let give = |project: &Project<'_>, name: &str| {
        let variable = format!("CLAUDE_CREDENTIALS_B64={}", Session::new(name).b64());
        let line = ["run", "--rm", "-T", "-e", &variable, "agent", "claude", "-p", "say installed"];
        project.compose(&line).run().ok();
    };
    give(&main, "main");
    give(&staging, "staging");
    main.agent("cat \"$F\"").ok().prints(&["FAKE-access-main"]);
    staging.agent("cat \"$F\"").ok().prints(&["FAKE-access-staging"]);
}

#[test]
fn a_directory_of_the_hosts_user_is_a_capture_too() {
    needs_images!();
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    sandbox.captured("claude", ".credentials.json", &Session::new("one").json());
    sandbox.give("capture", 4242);
    sandbox.give("workspace", 4242);
    let prompt = "id -u; id -g; touch made; echo in >\"$HOME/file\" && refresh two";
    let line = ["run", "--rm", "-T", "agent", "claude", "-p", prompt];
    let run = project.compose(&line).env("CAPTURE_DIR", sandbox.text("capture"));
    run.env("AGENT_UID", "4242").env("AGENT_GID", "4242").run().ok().prints(&["4242\n4242\n"]);
    assert_eq!(super::super::captured(&sandbox), Session::new("two").value());
    super::super::assert_private(&sandbox, "capture/claude/.credentials.json", "4242:4242");
    assert_eq!(std::fs::metadata(sandbox.path("workspace/made")).unwrap().uid(), 4242);
}

#[test]
fn a_token_in_a_secret_logs_in() {
    needs_images!();
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    sandbox.write("token", "sk-ant-oat01-FAKE-token\n");
    let line = ["run", "--rm", "-T", "token", "claude", "-p", "say \"$CLAUDE_CODE_OAUTH_TOKEN\"; ls -A \"$C\""];
    project
        .compose(&line)
        .run()
        .ok()
        .prints(&["sk-ant-oat01-FAKE-token\n"])
        .prints_no(&[".credentials.json"])
        .says(&["long-lived OAuth token, secret:/run/secrets/claude_code_oauth_token"]);
}

/// Each capability that `compose.yaml` adds is needed, and its absence is said.
#[test]
fn no_capability_is_added_in_vain() {
    needs_images!();
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    let config = project.compose(&["--profile", "agent", "config", "--format=json"]).run().ok();
    let agent = &config.json()["services"]["agent"];
    assert_eq!(agent["cap_drop"], serde_json::json!(["ALL"]));
    let added: Vec<&str> = agent["cap_add"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(added, ["SETUID", "SETGID", "SETPCAP", "CHOWN", "DAC_OVERRIDE", "KILL"]);
    sandbox.mkdir("open");
    sandbox.give("open", 4242);
    sandbox.chmod("open", 0o700);
    for without in &added {
        let rest = added.iter().filter(|name| *name != without).map(|name| format!("--cap-add={name}"));
        let mut options: Vec<String> =
            ["--cap-drop=ALL", "--read-only", "--security-opt=no-new-privileges"].map(String::from).into();
        options.extend(rest);
        for place in agent["tmpfs"].as_array().unwrap() {
            options.push(format!("--tmpfs={}", place.as_str().unwrap()));
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let container = super::super::Container::of(&sandbox, super::STAND_IN)
            .docker(&options)
            .session(&Session::new("one"))
            .bind("open", "/capture");
        let script = "trap 'exit 0' TERM; say ready; grep CapBnd /proc/self/status; sleep 600 & wait";
        let mut up = container.options(&["--grace=1s"]).arguments(&["claude", "-p", script]).start();
        if *without == "SETPCAP" || *without == "KILL" {
            up.line("ready");
            let bounding = up.line("CapBnd");
            assert_eq!(bounding.ends_with("0000000000000000"), *without == "KILL", "{without}: {bounding}");
            up.stop();
            let outcome = up.wait();
            assert_eq!(outcome.code == Some(0), *without != "KILL", "{without}\n{outcome}");
        } else {
            up.wait().refuses(&["hint: "]).prints_no(&["ready"]);
        }
    }
}
