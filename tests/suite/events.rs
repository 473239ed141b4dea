//! `--on-event`: a command that is told what happens to a login.

use std::path::Path;

use serde_json::Value;

use crate::support::{Gate, Run, Sandbox, Session, await_path, needs_root};

/// A capture with the login "a", and a command that appends each event to a file.
struct Told {
    sandbox: Sandbox,
    gate: Gate,
}

const HOOK: &str = "hook";

impl Told {
    fn new() -> Told {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        sandbox.mkdir("told");
        let gate = sandbox.gate("gate");
        let told = Told { sandbox, gate };
        told.hook(&format!("cat >>'{}'", told.file()));
        told
    }

    fn file(&self) -> String {
        self.sandbox.text("told/events")
    }

    /// The command is this script from now on.
    fn hook(&self, script: &str) {
        self.sandbox.write(&format!("{HOOK}.new"), format!("#!/bin/sh\n{script}\n"));
        self.sandbox.chmod(&format!("{HOOK}.new"), 0o755);
        std::fs::rename(self.sandbox.path(format!("{HOOK}.new")), self.sandbox.path(HOOK)).unwrap();
    }

    /// The stand-in runs `script`, in which `pause` holds until `gate.open()`.
    fn run(&self, script: &str) -> Run {
        let script = format!("pause() {{ hold '{}' \"$@\"; }}; {script}", self.gate);
        self.sandbox.claude(&script).env("AGENT_INIT_ON_EVENT", self.sandbox.text(HOOK))
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.file()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn words(&self) -> Vec<String> {
        self.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Until the command was told of an event of this word.
    fn await_event(&self, word: &str) -> Value {
        let of_word = || self.events().into_iter().find(|event| event["event"] == word);
        await_path(&self.sandbox.path("told"), word, || of_word().is_some());
        of_word().unwrap()
    }

    fn store(&self, content: &str) {
        self.sandbox.write("capture/claude/.other.tmp", content);
        let capture = self.sandbox.path("capture/claude");
        std::fs::rename(capture.join(".other.tmp"), capture.join(".credentials.json")).unwrap();
    }
}

#[test]
fn what_happens_to_a_login_is_told_as_it_happens() {
    let mut told = Told::new();
    let live = told.run("pause ready; refresh b; pause; blank; pause").start();
    told.gate.open();
    let event = told.await_event("published");
    assert_eq!((&event["v"], &event["agent"], &event["level"]), (&1.into(), &"claude".into(), &"detail".into()));
    assert!(humantime::parse_rfc3339(event["at"].as_str().unwrap()).is_ok(), "{event}");
    assert!(event["message"].as_str().unwrap().contains("published"), "{event}");
    told.store(&Session::new("c").json());
    told.await_event("adopted");
    told.gate.open();
    let event = told.await_event("logged-out");
    assert!(event["hint"].as_str().unwrap().contains("log in again"), "{event}");
    told.gate.open();
    live.wait().ok();
    assert_eq!(told.words(), ["published", "adopted", "logged-out"]);
    assert!(!std::fs::read_to_string(told.file()).unwrap().contains("FAKE"));
}

#[test]
fn a_login_that_cannot_be_saved_is_told_and_that_it_is_saved_again() {
    needs_root!();
    let mut told = Told::new();
    // A directory in the place of the record: nothing can be published.
    let record = told.sandbox.mkdir("capture/claude/.agent-init/record.json");
    let live = told.run("refresh b; pause ready").start();
    told.await_event("publish-failed");
    std::fs::remove_dir(record).unwrap();
    let event = told.await_event("recovered");
    assert!(event["message"].as_str().unwrap().contains("saved"), "{event}");
    told.gate.open();
    live.wait().ok();
    assert_eq!(told.words(), ["publish-failed", "recovered", "published"]);
}

#[test]
fn what_a_start_finds_and_what_the_end_does_is_told() {
    let told = Told::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let millis = |days: u64| (now.as_secs() + days * 86_400) * 1000;
    told.store(&Session::new("a").expires_ms(millis(1)).deadline_ms(millis(3)).json());
    // The agent ends at once: only the final sync publishes.
    told.run("refresh b").options(["--sync", "exit"]).run().ok();
    assert_eq!(told.words(), ["expiring", "published"]);
}

#[test]
fn a_command_that_fails_or_hangs_delays_nothing() {
    struct Row {
        what: &'static str,
        /// `hold` blocks until the test's end.
        hook: &'static str,
        warned: &'static [&'static str],
    }
    let rows = [
        Row { what: "it fails", hook: "echo oops >&2; exit 3", warned: &["--on-event", "exit status 3"] },
        Row { what: "it is killed", hook: "kill -KILL $$", warned: &["--on-event", "signal"] },
        Row { what: "it hangs", hook: "exec sleep 1000", warned: &[] },
        Row { what: "it leaves somebody behind", hook: "sleep 1000 & exit 0", warned: &[] },
        Row { what: "it reads nothing", hook: "exit 0", warned: &[] },
        Row { what: "it writes a lot", hook: "head -c 100000 /dev/zero", warned: &[] },
    ];
    for Row { what, hook, warned } in rows {
        let told = Told::new();
        told.hook(hook);
        let script = "for name in b c d e; do refresh $name; pause; done";
        let live = told.run(script).pid1().start();
        let mut gate = told.gate;
        for name in ["b", "c", "d", "e"] {
            let stored = || std::fs::read_to_string(told.sandbox.path("capture/claude/.credentials.json")).unwrap();
            await_path(&told.sandbox.path("capture/claude"), what, || {
                stored().contains(&format!("FAKE-refresh-{name}"))
            });
            gate.open();
        }
        let outcome = live.wait().ok();
        if warned.is_empty() {
            outcome.quiet();
        } else {
            outcome.warns_once(warned);
        }
    }
}

#[test]
fn a_command_gets_no_credential_of_an_agent() {
    let told = Told::new();
    told.hook(&format!("env >'{}'; cat >>'{0}'", told.file()));
    told.run("refresh b").env("CODEX_CREDENTIALS", "FAKE").env("OPERATORS", "own").run().ok();
    let text = std::fs::read_to_string(Path::new(&told.file())).unwrap();
    assert!(text.contains("OPERATORS=own") && !text.contains("FAKE"), "{text}");
}

#[test]
fn a_shell_runs_what_needs_one_and_no_program_is_warned_of() {
    let told = Told::new();
    let run = told.run("refresh b").env("AGENT_INIT_ON_EVENT", format!("cat | cat >>'{}'", told.file()));
    run.run().ok().quiet();
    assert_eq!(told.words(), ["published"]);
    let run = told.run("refresh c").env("AGENT_INIT_ON_EVENT", "/nosuch/program --now");
    let outcome = run.run().ok().warns_once(&["--on-event: cannot find the program", "/nosuch/program"]);
    assert_eq!(outcome.warnings().len(), 1, "{outcome}");
    told.run("true").options(["--on-event", " "]).run().refuses(&["--on-event", "empty"]);
}
