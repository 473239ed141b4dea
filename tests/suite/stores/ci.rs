//! `deploy/ci`: its files are YAML, name what exists, and the jobs with agent-init do as they say.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::github::{calls, job, login_of, secret};
use super::server::file;
use super::store::{Store, one, run, succeed};
use crate::docker::deploy_tools;
use crate::support::{NODE, Sandbox, Session, needs_root};

const GITHUB: &str = "deploy/ci/github-actions.yml";
const GITLAB: &str = "deploy/ci/gitlab-ci.yml";
const STORES: &str = "/usr/local/share/agent-init/stores";
const PLACE: &str = "github.com/me/project agent-login";

/// All scalars are strings: for `YAML` 1.1 the key `on` is a truth value.
fn parse(name: &str) -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.load(sys.stdin, Loader=yaml.BaseLoader), sys.stdout)";
    let has_yaml = Command::new("python3").args(["-c", "import yaml"]).stderr(Stdio::null()).status();
    let python = match has_yaml {
        Ok(status) if status.success() => "python3".into(),
        _ => deploy_tools().join("bin/python"),
    };
    let parsed = run(Command::new(python).args(["-c", script]), &fs::read_to_string(file(name)).unwrap());
    assert!(parsed.status.success(), "{name}: {}", String::from_utf8_lossy(&parsed.stderr));
    serde_json::from_slice(&parsed.stdout).unwrap()
}

fn strings<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
        Value::Object(values) => values.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}

/// The rows of `docs/options.md`: by option, the commands that take it.
fn known_options(page: &str) -> BTreeMap<&str, &str> {
    let rows = page.lines().filter(|line| line.starts_with("| `-"));
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let words = cells[0].split(['`', ' ', '=', '[', ',']).filter(|word| word.starts_with('-'));
        words.map(|word| (word, cells[cells.len() - 1])).collect::<Vec<_>>()
    })
    .collect()
}

/// The options of each use of agent-init in a text, with its command.
fn used_options(text: &str) -> Vec<(String, String)> {
    let mut used = Vec::new();
    for call in text.split("agent-init ").skip(1) {
        let words: Vec<&str> = call.split(['`', '\n', '|', ';', '#']).next().unwrap().split_whitespace().collect();
        let command = words.first().filter(|word| ["keep", "setup", "status", "plan"].contains(word)).unwrap_or(&"run");
        let options = words.iter().take_while(|word| **word != "--").filter(|word| word.starts_with('-'));
        used.extend(options.map(|option| (option.split('=').next().unwrap().to_owned(), (*command).to_owned())));
    }
    used
}

#[test]
fn every_option_and_variable_exists() {
    let page = fs::read_to_string(file("docs/options.md")).unwrap();
    let known = known_options(&page);
    assert!(known.len() > 30 && known["--once"].contains("`keep`"), "{known:?}");
    let mut options = 0;
    for name in [GITHUB, GITLAB, "deploy/ci/README.md"] {
        let text = fs::read_to_string(file(name)).unwrap();
        for word in text.split(|byte: char| !byte.is_ascii_uppercase() && byte != '_') {
            assert!(!word.starts_with("AGENT_INIT_") || page.contains(&format!("| `{word}` |")), "{name}: {word}");
        }
        let parsed = if name == GITHUB || name == GITLAB { parse(name) } else { text.into() };
        let mut texts = Vec::new();
        strings(&parsed, &mut texts);
        for (option, command) in texts.into_iter().flat_map(used_options) {
            let commands = known.get(option.as_str()).unwrap_or_else(|| panic!("{name}: {option} is not an option"));
            assert!(commands.contains(&format!("`{command}`")), "{name}: {option} is not one of {command}");
            options += 1;
        }
    }
    assert!(options > 8, "only {options} options were found");
}

/// Every variable of a credential, secret and helper that the jobs name is one that agent-init or a helper reads.
#[test]
fn every_credential_and_helper_exists() {
    for name in [GITHUB, GITLAB] {
        let text = fs::read_to_string(file(name)).unwrap();
        for helper in text.split(STORES).skip(1) {
            let helper = helper.trim_start_matches('/').split(|byte: char| byte.is_whitespace()).next().unwrap();
            assert!(file("scripts/stores").join(helper).exists(), "{name}: {helper}");
        }
    }
    let definition = fs::read_to_string(file("src/agent/definitions/claude.json")).unwrap();
    for variable in ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"] {
        assert!(definition.contains(&format!("\"{variable}\"")), "{variable}");
    }
}

/// A runner: the machine that a job of the file runs on, with a stand-in `claude`.
struct Runner {
    sandbox: Sandbox,
    store: Store,
}

impl Runner {
    /// The agent runs this script; `$VENDOR` is a directory for its notes.
    fn new(script: &str) -> Self {
        let (sandbox, store) = (Sandbox::new(), job());
        let agent = file("tests/suite/support/agent.sh");
        let vendor = sandbox.mkdir("vendor");
        let text = format!("#!/bin/sh\nVENDOR={}\nset --\n. {}\n{script}\n", vendor.display(), agent.display());
        // Another process writes it: a thread of ours that forks meanwhile would hold it open for writing.
        let write = "umask 022; rm -f \"$1/claude\"; printf %s \"$2\" >\"$1/claude\" && chmod 755 \"$1/claude\"";
        succeed(Command::new("sh").args(["-ec", write, "sh"]).arg(sandbox.path("bin")).arg(text));
        Self { sandbox, store }
    }

    /// Runs a script of a job with these variables, and the runner's own.
    fn run(&self, script: &str, variables: &[(String, String)]) -> Output {
        let mut shell = self.store.command("sh");
        for (name, value) in self.store.environment(&self.sandbox.path("bin")) {
            shell.env(name, value);
        }
        for (name, place) in [("HOME", "home"), ("AGENT_INIT_HOME", "home"), ("AGENT_INIT_STATE_DIR", "state")] {
            shell.env(name, self.sandbox.path(place));
        }
        // A job has what its file gives it, and no more.
        shell.env_remove("GH_TOKEN").env_remove("AGENT_LOGIN_CLAUDE");
        shell.envs(
            variables
                .iter()
                .map(|(name, value)| (name, value.replace(STORES, file("scripts/stores").to_str().unwrap()))),
        );
        run(shell.args(["-euc", script]), "")
    }

    /// Runs the step with agent-init of a job of the example for GitHub.
    fn step(&self, job: &str, secrets: &[(&str, &str)]) -> Output {
        let workflow = parse(GITHUB);
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        let step =
            steps.iter().find(|step| step["run"].as_str().is_some_and(|run| run.contains("agent-init"))).unwrap();
        let variables: Vec<(String, String)> = step["env"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                let value = value.as_str().unwrap();
                let secret = value.strip_prefix("${{ secrets.").and_then(|value| value.strip_suffix(" }}"));
                let given = |name| secrets.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value);
                (name.clone(), secret.map_or(value, given).to_owned())
            })
            .collect();
        self.run(step["run"].as_str().unwrap(), &variables)
    }
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{all}");
    all
}

fn stored(session: &Session) -> String {
    secret(&one(".credentials.json", session.json()))
}

const KEEPS: &str = "echo asked >>\"$VENDOR/requests\"; refresh b; exit 1";

#[test]
fn the_keeper_refreshes_and_sets_the_secret() {
    let runner = Runner::new(KEEPS);
    let secrets = [("AGENT_LOGIN_CLAUDE", &stored(&Session::expired("a"))[..]), ("AGENT_LOGIN_TOKEN", "FAKE-token")];
    let output = runner.step("keeper", &secrets);
    let all = said(&output, 0);
    assert!(all.contains("claude: refreshed the login in ") && !all.contains("FAKE"), "{all}");
    assert_eq!(login_of(&runner.store, PLACE), Session::new("b").json());
    // In the next hour nothing is due.
    let runner = Runner::new(KEEPS);
    let secrets = [("AGENT_LOGIN_CLAUDE", &stored(&Session::new("b"))[..]), ("AGENT_LOGIN_TOKEN", "FAKE-token")];
    said(&runner.step("keeper", &secrets), 0);
    assert!(!runner.sandbox.exists("vendor/requests"));
    assert_eq!(calls(&runner.store), Vec::<Value>::new());
}

/// The login that is stored stays good: its refresh token is not used.
#[test]
fn a_keeper_that_cannot_write_refreshes_nothing() {
    for (what, token) in [("no token", ""), ("denied", "FAKE-token")] {
        let mut runner = Runner::new(KEEPS);
        if what == "denied" {
            runner.store = runner.store.set("FAKE_CLOUD_DENIED", "1");
        }
        let secrets = [("AGENT_LOGIN_CLAUDE", &stored(&Session::expired("a"))[..]), ("AGENT_LOGIN_TOKEN", token)];
        let all = said(&runner.step("keeper", &secrets), 1);
        assert!(
            all.contains("was not refreshed: ") && all.contains("GH_TOKEN") && !all.contains("FAKE"),
            "{what}: {all}"
        );
        assert!(!runner.sandbox.exists("vendor/requests"), "{what}: {all}");
    }
}

#[test]
fn a_keeper_without_a_login_fails() {
    let runner = Runner::new(KEEPS);
    said(&runner.step("keeper", &[("AGENT_LOGIN_TOKEN", "FAKE-token")]), 1);
}

#[test]
fn the_follower_has_no_refresh_token_and_writes_nothing() {
    let runner = Runner::new("seen; refresh c");
    let login = stored(&Session::new("a"));
    let all = said(&runner.step("follower", &[("AGENT_LOGIN_CLAUDE", &login)]), 0);
    assert!(all.contains("subscription login (follow)") && all.contains("FAKE-access-a"), "{all}");
    assert!(!all.contains("FAKE-refresh-a") && !all.contains(&login), "{all}");
    assert_eq!(calls(&runner.store), Vec::<Value>::new());
    // Of a pull request from a fork the secret is empty.
    assert!(said(&runner.step("follower", &[]), 125).contains("no usable credential"));
}

/// As in the image, where root's variables and files are out of the agent's reach.
#[test]
fn an_agent_of_another_user_does_not_find_what_the_job_was_given() {
    needs_root!();
    let mut runner = Runner::new(
        "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep '^AGENT_LOGIN_CLAUDE=.'; say looked as $(id -u)",
    );
    runner.store = runner.store.set("AGENT_INIT_USER", "1000:1000");
    runner.sandbox.give("home", NODE);
    let login = stored(&Session::new("a"));
    let all = said(&runner.step("follower", &[("AGENT_LOGIN_CLAUDE", &login)]), 0);
    assert!(all.contains("looked as 1000") && !all.contains("AGENT_LOGIN_CLAUDE="), "{all}");
}

#[test]
fn the_token_of_the_example_is_used() {
    let runner = Runner::new("seen");
    let token = "sk-ant-oat01-FAKE-token-of-the-job";
    let all = said(&runner.step("token", &[("CLAUDE_CODE_OAUTH_TOKEN", token)]), 0);
    assert!(all.contains(&format!("CLAUDE_CODE_OAUTH_TOKEN={token}")), "{all}");
}

/// The commands of the page that store the first login.
#[test]
fn the_first_login_is_stored_as_the_page_says() {
    let page = fs::read_to_string(file("deploy/ci/README.md")).unwrap();
    let block = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let (login, store) = block.trim_start().split_once('\n').unwrap();
    assert!(login.contains("setup --agent claude"), "{login}");

    let runner = Runner::new("seen");
    runner.sandbox.write("login/claude/.credentials.json", Session::new("a").json());
    let script = format!("cd '{}'\nsudo() {{ \"$@\"; }}\n{store}", runner.sandbox.text(""));
    said(&runner.run(&script, &[("GH_TOKEN".into(), "FAKE-token".into())]), 0);
    assert_eq!(login_of(&runner.store, "of/the/directory agent-login"), Session::new("a").json());
    assert!(!runner.sandbox.exists("login"));
    // It is what the jobs read.
    let call = calls(&runner.store).remove(0);
    let all = said(&runner.step("follower", &[("AGENT_LOGIN_CLAUDE", call["input"].as_str().unwrap())]), 0);
    assert!(all.contains("FAKE-access-a"), "{all}");
}

/// A variable of the type File: the job has the path of a file in it.
#[test]
fn variables_of_gitlab_are_used() {
    let jobs = parse(GITLAB);
    for (job, variable, value) in [
        ("token", "CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-FAKE-token-of-the-job"),
        ("api-key", "ANTHROPIC_API_KEY", "sk-ant-api03-FAKE-key-of-the-job"),
    ] {
        let runner = Runner::new("seen");
        let path = runner.sandbox.write("variable", value);
        let script = jobs[job]["script"][0].as_str().unwrap();
        let output = runner.run(script, &[(format!("{variable}_FILE"), path.display().to_string())]);
        let all = said(&output, 0);
        assert!(all.contains(&format!("{variable}={value}")), "{job}: {all}");
    }
}
