//! What operators really do: mistakes from bug reports and images. Each is a [`Case`], and `run`, `plan`, `status` and
//! `doctor` must agree on it.

mod elsewhere;
mod mounts;
mod places;
mod values;

use serde_json::Value;

use crate::support::{Give, Outcome, Sandbox, Session};

/// One thing that operators do. `Case { name, given, ..Case::QUIET }` is done once with each command, each time in a
/// sandbox of its own. Every made-up secret contains `FAKE`, which no command may print.
pub struct Case {
    /// What was done.
    pub name: &'static str,
    /// The agent. Its COMMAND is `NAME seen`, which prints the environment and the login.
    pub agent: &'static str,
    pub given: Give,
    /// Exit status of `run`.
    pub exit: i32,
    /// The method in `plan` and `status`, if the agent starts.
    pub method: &'static str,
    /// The `event` of one of `run`'s warnings or errors. Without one, `run` has nothing to say.
    pub event: Option<&'static str>,
    /// What `run`, `plan` and `doctor` name: variables, files, agents. No prose.
    pub named: &'static [&'static str],
    /// Looks at what the agent saw (stdout of `run`) and at what is on the disk afterwards.
    pub after: fn(&Sandbox, &Outcome),
}

impl Case {
    /// All is well: Claude Code starts without a login, and nothing is said.
    pub const QUIET: Self = Self {
        name: "",
        agent: "claude",
        given: |_, run| run,
        exit: 0,
        method: "none",
        event: None,
        named: &[],
        after: |_, _| (),
    };

    pub fn check(&self) {
        let (sandbox, run) = self.outcome(&["--log-format", "json"]);
        self.check_run(&run);
        let plan = self.outcome(&["plan", "--json"]).1;
        let doctor = self.outcome(&["doctor", "--json"]).1;
        let status = self.outcome(&["status", "--json"]).1;
        self.check_plan(&run, &plan);
        self.check_doctor(&run, &doctor);
        if self.exit != 125 {
            let method = &status.json()["agents"][0]["method"];
            assert_eq!(method, self.method, "{}: status\n{status}", self.name);
        }
        (self.after)(&sandbox, &run);
        self.check_secrets(&[plan, doctor, status], &run, &sandbox);
    }

    /// Does the case with a command of agent-init.
    fn outcome(&self, command: &[&str]) -> (Sandbox, Outcome) {
        let sandbox = Sandbox::new();
        let rest: &[&str] = if command[0] == "status" { &["--agent", self.agent] } else { &["--", self.agent, "seen"] };
        let run = sandbox.raw(command.iter().chain(rest).copied());
        let outcome = (self.given)(&sandbox, run).run();
        (sandbox, outcome)
    }

    fn check_run(&self, run: &Outcome) {
        assert_eq!(run.code, Some(self.exit), "{}: exit status of run\n{run}", self.name);
        let said = said(run);
        match self.event {
            None => assert!(said.is_empty(), "{}: run says something\n{run}", self.name),
            Some(event) => {
                assert!(said.iter().any(|line| line["event"] == event), "{}: no {event}\n{run}", self.name);
            }
        }
        let text = said.iter().map(Value::to_string).collect::<String>();
        self.check_named("run", &text, run);
    }

    /// `plan` shows what `run` warns of, and refuses what `run` refuses.
    fn check_plan(&self, run: &Outcome, plan: &Outcome) {
        if self.exit == 125 {
            let is_refused = plan.code == Some(125) || plan.json()["refuses"].is_string();
            assert!(is_refused, "{}: run refuses and plan does not\n{run}\n{plan}", self.name);
        } else {
            let method = &plan.json()["auth"]["agents"][0]["method"];
            assert_eq!(method, self.method, "{}: plan\n{plan}", self.name);
        }
        self.check_named("plan", &format!("{}{}", plan.stdout, plan.stderr), plan);
    }

    /// `doctor` never finds everything in order where `run` warns, and finds no problem where `run` says nothing.
    fn check_doctor(&self, run: &Outcome, doctor: &Outcome) {
        let found = doctor.json();
        let findings = |kind: &str| found[kind].as_array().unwrap().clone();
        let (problems, notes) = (findings("problems"), findings("notes"));
        if self.event.is_none() {
            assert!(problems.is_empty(), "{}: only doctor finds a problem\n{run}\n{doctor}", self.name);
        } else {
            assert!(!problems.is_empty() || !notes.is_empty(), "{}: doctor finds nothing\n{run}\n{doctor}", self.name);
        }
        if self.exit == 125 {
            assert!(!problems.is_empty(), "{}: doctor finds no problem\n{run}\n{doctor}", self.name);
        }
        for finding in problems.iter().chain(&notes) {
            let fix = finding["fix"].as_str().unwrap_or_default();
            assert!(!fix.is_empty(), "{}: a finding without a fix\n{doctor}", self.name);
        }
        self.check_named("doctor", &doctor.stdout, doctor);
    }

    fn check_named(&self, command: &str, text: &str, outcome: &Outcome) {
        for name in self.named {
            assert!(text.contains(name), "{}: {command} does not name {name}\n{outcome}", self.name);
        }
    }

    /// No command prints a secret, in text or JSON, and none is in the state file.
    fn check_secrets(&self, documents: &[Outcome], run: &Outcome, sandbox: &Sandbox) {
        let texts = [&["-v"][..], &["plan", "-v"], &["doctor", "-v"], &["status", "-v"]];
        let texts = texts.map(|command| self.outcome(command).1);
        // What the agent prints is its own affair.
        let stdout = documents.iter().chain(&texts[1..]).map(|outcome| (&outcome.stdout, outcome));
        let stderr = documents.iter().chain(&texts).chain([run]).map(|outcome| (&outcome.stderr, outcome));
        for (text, outcome) in stdout.chain(stderr) {
            assert!(!text.contains("FAKE"), "{}: a secret is printed\n{outcome}", self.name);
        }
        if sandbox.exists("state/state.json") {
            let state = sandbox.read("state/state.json");
            assert!(!state.contains("FAKE"), "{}: a secret is in state.json: {state}", self.name);
        }
    }
}

/// The warnings and errors of a run with `--log-format json`.
fn said(run: &Outcome) -> Vec<Value> {
    let lines = run.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["level"] == "warning" || line["level"] == "error").collect()
}

#[test]
fn what_is_well_is_not_commented_on() {
    let cases = [
        Case { name: "no login", ..Case::QUIET },
        Case {
            name: "an API key",
            given: |_, run| run.env("ANTHROPIC_API_KEY", "sk-ant-api03-FAKE"),
            method: "api-key",
            after: |_, run| assert_eq!(run.variable("ANTHROPIC_API_KEY"), Some("sk-ant-api03-FAKE")),
            ..Case::QUIET
        },
        Case {
            name: "a captured login",
            given: |sandbox, run| {
                sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
                run
            },
            method: "session",
            after: |_, run| assert!(run.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{run}"),
            ..Case::QUIET
        },
    ];
    for case in cases {
        case.check();
    }
}

#[test]
fn a_value_that_is_no_login_is_named() {
    Case {
        name: "a list",
        given: |_, run| run.env("CLAUDE_CREDENTIALS", "[\"FAKE\"]"),
        event: Some("source-ignored"),
        named: &["CLAUDE_CREDENTIALS"],
        ..Case::QUIET
    }
    .check();
}
