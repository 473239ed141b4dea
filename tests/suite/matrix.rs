//! Every built-in agent, from every source, in every mode: the tables are made from the definitions and their fixtures.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::support::{Definition, Outcome, Run, Sandbox, base64, definitions, needs_root};

/// A way to hand over a login.
type Give = fn(&Definition, &Sandbox, Run, &str) -> Run;

const SESSIONS: &[(&str, Give)] = &[
    ("variable", |d, _, run, login| run.env(&d.variable(), login)),
    ("base64", |d, _, run, login| run.env(&format!("{}_B64", d.variable()), base64(login))),
    ("file", |d, s, run, login| {
        s.write("given", login);
        run.env(&format!("{}_FILE", d.variable()), s.text("given"))
    }),
    ("command", |d, s, run, login| {
        s.write("given", login);
        run.env(&format!("{}_COMMAND", d.variable()), format!("cat '{}'", s.text("given")))
    }),
    ("command for a shell", |d, s, run, login| {
        s.write("given", login);
        run.env(&format!("{}_COMMAND", d.variable()), format!("cat <{} | cat", s.text("given")))
    }),
    ("secret", |d, s, run, login| {
        s.write(&format!("secrets/{}", d.variable().to_lowercase()), login);
        run
    }),
    ("secret by the file's own name", |d, s, run, login| {
        s.write(&format!("secrets/{}", d.file()), login);
        run
    }),
    ("secret without the dot", |d, s, run, login| {
        s.write(&format!("secrets/{}", d.file().trim_start_matches('.')), login);
        run
    }),
    ("systemd's credentials", |d, s, run, login| {
        s.write(&format!("systemd/{}", d.variable().to_lowercase()), login);
        run.unset("AGENT_INIT_SECRETS").env("CREDENTIALS_DIRECTORY", s.text("systemd"))
    }),
    ("capture", |d, s, run, login| {
        s.captured(d.name(), d.file(), login);
        run
    }),
    ("flat capture", |d, s, run, login| {
        s.write(&format!("capture/{}", d.file()), login);
        run
    }),
    ("capture of its own", |d, s, run, login| {
        s.write(&format!("mine/{}", d.file()), login);
        run.env("AGENT_INIT_CAPTURE", format!("{}={}", d.name(), s.text("mine")))
    }),
    ("capture that is a Kubernetes Secret", |d, s, run, login| {
        kubernetes(s, &format!("capture/{}", d.name()), d.file().trim_start_matches('.'), login);
        run
    }),
    ("flat capture that is a Kubernetes Secret", |d, s, run, login| {
        kubernetes(s, "capture", d.file().trim_start_matches('.'), login);
        run
    }),
    ("home", |d, s, run, login| {
        s.write(&format!("home/{}/{}", d.place(), d.file()), login);
        run
    }),
];

const MODES: &[&str] = &["auto", "sync", "copy", "token", "api-key", "ignore"];

/// A volume as the kubelet makes it.
fn kubernetes(sandbox: &Sandbox, volume: &str, key: &str, content: &str) {
    sandbox.write(&format!("{volume}/..2026_01_01/{key}"), content);
    if sandbox.exists(&format!("{volume}/..data")) {
        return;
    }
    symlink("..2026_01_01", sandbox.path(format!("{volume}/..data"))).unwrap();
    symlink(format!("..data/{key}"), sandbox.path(format!("{volume}/{key}"))).unwrap();
}

fn start(definition: &Definition, sandbox: &Sandbox) -> Run {
    sandbox.raw(["--", definition.command(), &definition.show()])
}

/// The credential file that the agent saw.
fn file(outcome: &Outcome) -> &str {
    outcome.stdout.split_once("FILE-FOLLOWS\n").unwrap_or_else(|| panic!("the agent did not run\n{outcome}")).1
}

/// What the auth line says of a login after how it is shared.
fn facts(definition: &Definition) -> Vec<String> {
    let text = |key: &str| definition.expected[key].as_str().map(str::to_owned);
    let expires = text("expires").map(|at| format!("expires {at}"));
    text("account").into_iter().chain(expires).collect()
}

#[track_caller]
fn assert_login(definition: &Definition, outcome: &Outcome, what: &str) {
    let seen = file(outcome);
    for token in definition.tokens() {
        assert!(seen.contains(token), "{what}: {token} is not in place\n{outcome}");
    }
    let name = definition.name();
    let head = format!("agent-init: {name} auth: {} (", definition.label());
    let line = outcome.stderr.lines().find(|line| line.starts_with(&head));
    let line = line.unwrap_or_else(|| panic!("{what}: no auth line\n{outcome}"));
    for fact in facts(definition) {
        assert!(line.ends_with(&fact) || line.contains(&format!("{fact},")), "{what}: {fact} is not said\n{outcome}");
    }
    assert!(!outcome.stdout.contains(&definition.variable()), "{what}: a blob variable is left\n{outcome}");
}

#[track_caller]
fn assert_nothing(definition: &Definition, outcome: &Outcome, what: &str) {
    let name = definition.name();
    let none = format!("agent-init: {name} auth: none (not logged in)");
    assert!(outcome.stderr.contains(&none), "{what}: something authenticates it\n{outcome}");
    for token in definition.tokens() {
        assert!(!file(outcome).contains(token), "{what}: {token} is in place\n{outcome}");
    }
}

/// Every agent's login in every form, and in every mode for one form of each kind. `test` also gets a name for messages.
fn for_each_session(test: impl Fn(&Definition, Give, &str, &str)) {
    for definition in definitions() {
        for (form, give) in SESSIONS {
            let is_one_of_each_kind = ["variable", "capture"].contains(form);
            for mode in if is_one_of_each_kind { MODES } else { &["auto"] } {
                test(&definition, *give, mode, &format!("{}, {form}, {mode}", definition.name()));
            }
        }
    }
}

#[test]
fn a_login_from_every_source_in_every_mode() {
    for_each_session(|definition, give, mode, what| {
        let sandbox = Sandbox::new();
        let run = start(definition, &sandbox).options(["--auth", mode]);
        let outcome = give(definition, &sandbox, run, &definition.login).run().ok();
        if ["auto", "sync", "copy"].contains(&mode) {
            assert_login(definition, &outcome, what);
        } else {
            assert_nothing(definition, &outcome, what);
        }
    });
}

/// What `plan --json` said of this agent, against what a run with the same input did.
#[track_caller]
fn assert_as_planned(definition: &Definition, sandbox: &Sandbox, plan: &Value, outcome: &Outcome, what: &str) {
    let agents = plan["agents"].as_array().unwrap();
    let agent = agents.iter().find(|agent| agent["agent"] == definition.name());
    let agent = agent.unwrap_or_else(|| panic!("{what}: it is not in the plan\n{plan:#}"));
    let what = format!("{what}\n{plan:#}\n{outcome}");

    let mut chosen = agent["sources"].as_array().unwrap().iter().filter(|source| source["verdict"] == "chosen");
    let head = format!("agent-init: {} auth: ", definition.name());
    let line = outcome.stderr.lines().find(|line| line.starts_with(&head)).unwrap_or_else(|| panic!("{what}"));
    match chosen.next() {
        Some(source) => assert!(line.contains(source["source"].as_str().unwrap()), "{what}"),
        None => assert!(line.contains(": none ("), "{what}"),
    }

    let is_planned = ["written", "stays"].contains(&agent["login_file"]["what"].as_str().unwrap_or_default());
    let is_there = definition.tokens().iter().all(|token| file(outcome).contains(token));
    assert_eq!(is_there, is_planned, "the login file: {what}");

    let names = |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
    for name in names(&plan["environment"]["set"]) {
        assert!(outcome.variable(&name).is_some(), "{name} is set: {what}");
    }
    for name in names(&plan["environment"]["unset"]) {
        assert_eq!(outcome.variable(&name), None, "{name} is not set: {what}");
    }

    let place = agent["place"]["path"].as_str().unwrap();
    let answered = names(&agent["first_run"]);
    for answers in definition.value["first-run"].as_array().into_iter().flatten() {
        let name = answers["file"].as_str().unwrap();
        if answers["append"].is_null() && name != definition.file() {
            let is_answered = answered.iter().any(|planned| planned == name);
            assert_eq!(Path::new(place).join(name).exists(), is_answered, "{name}: {what}");
        }
    }

    let state: Value = serde_json::from_str(&sandbox.read("state/state.json")).unwrap();
    let served = state["agents"].as_array().unwrap().iter().find(|served| served["agent"] == definition.name());
    let served = served.unwrap_or_else(|| panic!("{what}"));
    assert_eq!(served["place"], place, "{what}");
    if !agent["write_back"].is_null() {
        assert_eq!(served["write_back"], agent["write_back"]["path"], "{what}");
    }
}

/// Makes the plan and the run of one input, which `give` adds to both, and compares them.
fn compare(definition: &Definition, mode: &str, what: &str, give: impl Fn(&Sandbox, Run) -> Run) {
    let sandbox = Sandbox::new();
    let plan = sandbox.raw(["plan", "--json", "--auth", mode, "--", definition.command()]);
    let plan = give(&sandbox, plan).run().ok().json();
    let outcome = give(&sandbox, start(definition, &sandbox).options(["--auth", mode])).run().ok();
    assert_as_planned(definition, &sandbox, &plan, &outcome, what);
}

#[test]
fn a_run_does_what_its_plan_says() {
    for_each_session(|definition, give, mode, what| {
        compare(definition, mode, what, |sandbox, run| give(definition, sandbox, run, &definition.login));
    });
    for definition in definitions() {
        for carrier in definition.carriers() {
            for mode in MODES {
                let what = format!("{}, {}, {mode}", definition.name(), carrier.variable);
                compare(&definition, mode, &what, |_, run| run.env(&carrier.variable, carrier.value()));
            }
        }
    }
}

#[test]
fn a_login_mounted_in_place() {
    needs_root!();
    for definition in definitions() {
        let place = format!("home/{}", definition.place());
        let mounts: [(&str, bool); 4] = [("directory", false), ("directory", true), ("file", false), ("file", true)];
        for (kind, read_only) in mounts {
            let what = format!("{}, mounted {kind}, read-only {read_only}", definition.name());
            let sandbox = Sandbox::new();
            sandbox.write(&format!("host/{}", definition.file()), &definition.login);
            let target = if kind == "file" {
                sandbox.write(&format!("{place}/{}", definition.file()), "")
            } else {
                sandbox.mkdir(&place)
            };
            let source =
                if kind == "file" { sandbox.path("host").join(definition.file()) } else { sandbox.path("host") };
            let run = start(&definition, &sandbox).pid1();
            let run = if read_only { run.bind_read_only(source, target) } else { run.bind(source, target) };
            assert_login(&definition, &run.run().ok(), &what);
        }
    }
}

#[test]
fn a_spent_login_is_a_warning_and_nothing_else() {
    for definition in definitions() {
        for (form, give) in SESSIONS {
            let what = format!("{}, {form}", definition.name());
            let sandbox = Sandbox::new();
            let outcome = give(&definition, &sandbox, start(&definition, &sandbox), &definition.spent).run().ok();
            assert_nothing(&definition, &outcome, &what);
            // What a run leaves behind in its own place was that run's to warn of.
            let expected = usize::from(*form != "home");
            assert_eq!(outcome.warnings().len(), expected, "{what}\n{outcome}");
        }
        let sandbox = Sandbox::new();
        sandbox.captured(definition.name(), definition.file(), &definition.spent);
        let run = start(&definition, &sandbox).options(["--require"]);
        run.run().refuses(&["no usable credential", "\n  hint: "]);
    }
}

const VALUES: &[(&str, fn(&Sandbox, Run, &str, &str) -> Run)] = &[
    ("variable", |_, run, name, value| run.env(name, value)),
    ("file", |s, run, name, value| {
        s.write("given", format!("{value}\n"));
        run.env(&format!("{name}_FILE"), s.text("given"))
    }),
    ("command", |_, run, name, value| run.env(&format!("{name}_COMMAND"), format!("printf %s {value}"))),
    ("secret", |s, run, name, value| {
        s.write(&format!("secrets/{name}"), format!("{value}\n"));
        run
    }),
    ("secret in lower case", |s, run, name, value| {
        s.write(&format!("secrets/{}", name.to_lowercase()), value);
        run
    }),
];

#[test]
fn a_value_from_every_source_in_every_mode() {
    for definition in definitions() {
        for carrier in definition.carriers() {
            for (form, give) in VALUES {
                for mode in if *form == "variable" { MODES } else { &["auto"] } {
                    let what = format!("{}, {}, {form}, {mode}", definition.name(), carrier.variable);
                    let sandbox = Sandbox::new();
                    let run = start(&definition, &sandbox).options(["--auth", mode]);
                    let outcome = give(&sandbox, run, &carrier.variable, carrier.value()).run().ok();
                    let is_token = carrier.method.ends_with("-token");
                    let is_allowed = match *mode {
                        "auto" => true,
                        "token" => is_token,
                        "api-key" => carrier.method == "api-key",
                        _ => false,
                    };
                    let expected = is_allowed.then_some(carrier.value());
                    assert_eq!(outcome.variable(&carrier.variable), expected, "{what}\n{outcome}");
                    for form in ["_FILE", "_COMMAND"] {
                        let name = format!("{}{form}", carrier.variable);
                        assert_eq!(outcome.variable(&name), None, "{what}\n{outcome}");
                    }
                    let said = format!("agent-init: {} auth: {}, ", definition.name(), carrier.label);
                    assert_eq!(outcome.stderr.contains(&said), is_allowed, "{what}\n{outcome}");
                }
            }
        }
    }
}

#[test]
fn two_forms_of_one_credential_are_refused() {
    for definition in definitions() {
        let names = definition.carriers().into_iter().map(|carrier| carrier.variable).chain([definition.variable()]);
        for name in names {
            for second in ["_FILE", "_COMMAND"] {
                let sandbox = Sandbox::new();
                let other = format!("{name}{second}");
                let run = start(&definition, &sandbox).env(&name, "FAKE").env(&other, "FAKE");
                run.run().refuses(&[&format!("both {name} and {other} are set"), "\n  hint: "]).says_no(&["FAKE"]);
            }
        }
    }
}

#[test]
fn a_value_is_passed_by_descriptor_if_the_agent_reads_one() {
    for definition in definitions() {
        for carrier in definition.carriers() {
            let what = format!("{}, {}", definition.name(), carrier.variable);
            let sandbox = Sandbox::new();
            let script = match &carrier.descriptor {
                Some(descriptor) => format!(
                    "env; say READ=$(cat /proc/self/fd/${descriptor}); say NONE=$(cat /proc/self/fd/${descriptor})"
                ),
                None => "env".to_owned(),
            };
            let run = sandbox.raw(["--", definition.command(), &script]).options(["--deliver", "fd"]);
            let outcome = run.env(&carrier.variable, carrier.value()).run().ok();
            if carrier.descriptor.is_some() {
                assert_eq!(outcome.variable(&carrier.variable), None, "{what}\n{outcome}");
                assert_eq!(outcome.variable("READ"), Some(carrier.value()), "{what}\n{outcome}");
                assert_eq!(outcome.variable("NONE"), Some(""), "{what}: it can be read twice\n{outcome}");
            } else {
                assert_eq!(outcome.variable(&carrier.variable), Some(carrier.value()), "{what}\n{outcome}");
                outcome.warns_once(&["--deliver fd", definition.text("/title"), &carrier.variable]);
            }
        }
    }
}

/// Everything in `part` is in `whole`.
fn has(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| has(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => part.iter().all(|part| whole.contains(part)),
        (whole, part) => whole == part,
    }
}

#[test]
fn the_questions_of_a_first_start_are_answered() {
    for definition in definitions() {
        for answer in definition.expected["first-run"].as_array().unwrap() {
            let sandbox = Sandbox::new();
            let cwd = sandbox.text("cwd");
            let method = answer["method"].as_str().unwrap_or("session");
            let run = start(&definition, &sandbox);
            let carriers = definition.carriers();
            let carrier = carriers.iter().find(|carrier| carrier.method == method);
            let run = match carrier {
                Some(carrier) => run.env(&carrier.variable, carrier.value()),
                None => run.env(&definition.variable(), definition.login.as_str()),
            };
            let outcome = run.run().ok();
            let name = answer["file"].as_str().unwrap();
            let written = sandbox.read(&format!("home/{}/{name}", definition.place()));
            let what = format!("{}, {method}, {name}: {written}\n{outcome}", definition.name());
            if let Some(text) = answer["text"].as_str() {
                assert!(written.contains(&text.replace("{cwd}", &cwd)), "{what}");
            } else {
                let part = answer["has"].to_string().replace("{cwd}", &cwd);
                // Comments of the agent's own stay where they are.
                let without_comments: Vec<&str> =
                    written.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
                let written: Value = serde_json::from_str(&without_comments.join("\n")).unwrap();
                assert!(has(&written, &serde_json::from_str(&part).unwrap()), "{what}");
            }
        }
    }
}

#[test]
fn of_two_agents_with_files_of_one_name_each_gets_its_own() {
    for definition in definitions() {
        let sandbox = Sandbox::new();
        sandbox.write(&format!("capture/{}", definition.file()), &definition.login);
        let outcome = sandbox.raw(["--", "sh", "-c", ":"]).run().ok();
        let served: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains(" auth: ")).collect();
        assert_eq!(served.len(), 1, "{}\n{outcome}", definition.name());
        assert!(served[0].starts_with(&format!("agent-init: {} auth: ", definition.name())), "{outcome}");
    }
}

#[test]
fn a_variable_that_belongs_to_no_agent_stays() {
    let sandbox = Sandbox::new();
    for name in ["GITHUB_TOKEN", "GH_TOKEN", "OPENAI_API_KEY"] {
        let outcome = sandbox.raw(["--", "sh", "-c", "env"]).env(name, "FAKE-value").run().ok().says_no(&["auth:"]);
        assert_eq!(outcome.variable(name), Some("FAKE-value"), "{outcome}");
    }
}
