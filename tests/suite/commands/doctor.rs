//! `doctor`: real mounts, owners and modes, each with its fix.

use super::{captured, ready};
use crate::support::{Give, Sandbox, Session, needs_root};

/// What is wrong, and the names of the checks that speak of problems.
const WRONG: &[(&str, Give, &[&str])] = &[
    ("nothing", |_, run| run, &[]),
    (
        "a captured session",
        |s, run| {
            captured(s, &Session::new("a"));
            run
        },
        &[],
    ),
    (
        "a read-only capture",
        |s, run| {
            captured(s, &Session::new("a"));
            run.bind_read_only(s.path("capture"), s.path("capture"))
        },
        &["read-only", "stranded"],
    ),
    ("a capture in memory", |s, run| run.tmpfs(s.path("capture")), &["in-memory"]),
    (
        "a single file, mounted",
        |s, run| {
            s.write("host.json", Session::new("a").json());
            s.write("home/.claude/.credentials.json", "");
            run.bind(s.path("host.json"), s.path("home/.claude/.credentials.json"))
        },
        &["single-file-mount"],
    ),
    (
        "docker's directory for a missing file",
        |s, run| {
            s.mkdir("host/empty");
            s.mkdir("home/.claude/.credentials.json");
            run.bind(s.path("host/empty"), s.path("home/.claude/.credentials.json"))
        },
        &["made-by-docker"],
    ),
    (
        "docker's directory for a missing secret",
        |s, run| {
            s.mkdir("secrets/claude_credentials");
            run
        },
        &["refused", "made-by-docker"],
    ),
    (
        "a login that others can read",
        |s, run| {
            captured(s, &Session::new("a"));
            s.chmod("capture/claude/.credentials.json", 0o644);
            run
        },
        &["open-to-others"],
    ),
    (
        "a session with no way back",
        |_, run| run.env("CLAUDE_CREDENTIALS", Session::new("a").json()).unset("AGENT_INIT_CAPTURE"),
        &["stranded"],
    ),
    ("no JSON", |_, run| run.env("CLAUDE_CREDENTIALS", "FAKE"), &["unusable"]),
    ("a login that has ended", |_, run| run.env("CLAUDE_CREDENTIALS", super::token_only(-9)), &["login"]),
    ("two forms", |_, run| run.env("ANTHROPIC_API_KEY", "FAKE").env("ANTHROPIC_API_KEY_FILE", "/nosuch"), &["refused"]),
    ("a missing capture", |s, run| run.env("AGENT_INIT_CAPTURE", s.text("nosuch")), &["refused"]),
    ("an agent that is not there", |_, run| run.env("AGENT_INIT_AGENT", "codex"), &["missing"]),
    (
        "a full capture",
        |s, run| {
            captured(s, &Session::new("a"));
            let (disk, at) = (s.text("disk"), s.text("capture"));
            run.setup(format!("truncate -s 1M {disk}; mke2fs -q -F {disk}; mount -o loop {disk} {at} || exit 77"))
                .setup(format!("dd if=/dev/zero of={at}/fill bs=4096 2>/dev/null || true"))
        },
        &["full"],
    ),
];

/// A mode is told as it is: who beside the owner may do what.
#[test]
fn who_may_do_what_with_a_login() {
    for (mode, who) in [
        (0o640, "the group can read it"),
        (0o660, "the group can read and write it"),
        (0o604, "others can read it"),
        (0o644, "the group and others can read it"),
        (0o664, "the group can read and write it, others can read it"),
        (0o666, "the group and others can read and write it"),
    ] {
        let sandbox = Sandbox::new();
        captured(&sandbox, &Session::new("a"));
        sandbox.chmod("capture/claude/.credentials.json", mode);
        let outcome = sandbox.raw(["doctor", "--json"]).run().code(1);
        let what = outcome.json()["problems"][0]["what"].as_str().unwrap().to_owned();
        assert_eq!(what, format!("it is a login, and its mode is {mode:o}: {who}"), "{outcome}");
    }
    // A state directory is judged by who may write there.
    for (mode, who) in [(0o770, "the group can write it"), (0o707, "others can write it")] {
        let sandbox = Sandbox::new();
        sandbox.chmod("state", mode);
        let refused = sandbox.claude("true").env("CLAUDE_CREDENTIALS", Session::new("a").json()).run();
        refused.refuses(&[&format!("has mode {mode:o}: {who}")]);
    }
}

/// What stops a start of the agent's, as root or as its user.
const STOPS: &[(&str, Option<u32>, Give)] = &[
    ("a captured directory that is closed", Some(1000), |s, run| {
        captured(s, &Session::new("a"));
        s.chmod("capture/claude", 0o700);
        run
    }),
    ("a closed directory of an agent that has nothing there", Some(1000), |s, run| {
        s.mkdir("capture/claude");
        s.chmod("capture/claude", 0o000);
        run
    }),
    ("a capture that is a file", None, |s, run| run.env("AGENT_INIT_CAPTURE", s.write("file", "").to_str().unwrap())),
    ("a capture that is not there", None, |s, run| run.env("AGENT_INIT_CAPTURE", s.text("nosuch"))),
    ("the capture of an unknown agent", None, |_, run| run.env("AGENT_INIT_CAPTURE", "nosuch=/")),
    ("no base64", None, |_, run| run.env("CLAUDE_CREDENTIALS_B64", "FAKE%")),
    ("a missing file", None, |_, run| run.env("ANTHROPIC_API_KEY_FILE", "/nosuch")),
    ("a missing login", None, |_, run| run.env("CLAUDE_CREDENTIALS_FILE", "/nosuch")),
    ("a directory for a file", None, |_, run| run.env("CLAUDE_CREDENTIALS_FILE", "/etc")),
    ("a closed secret", Some(1000), |s, run| {
        s.write("secrets/anthropic_api_key", "FAKE");
        run
    }),
    ("a secret that is a directory", None, |s, run| {
        s.mkdir("secrets/claude_credentials");
        run
    }),
    ("more than a login can be", None, |s, run| {
        run.env("CLAUDE_CREDENTIALS_FILE", s.write("large", vec![b'x'; 1 << 21]).to_str().unwrap())
    }),
    ("two forms", None, |_, run| run.env("ANTHROPIC_API_KEY", "FAKE").env("ANTHROPIC_API_KEY_FILE", "/etc/passwd")),
    ("two forms of a login", None, |_, run| {
        run.env("CLAUDE_CREDENTIALS", "FAKE").env("CLAUDE_CREDENTIALS_B64", "RkFLRQ==")
    }),
    ("an unknown user", None, |_, run| run.env("AGENT_INIT_USER", "nosuch")),
    ("the owner of what is not there", None, |_, run| run.env("AGENT_INIT_USER_FROM", "/nosuch")),
    ("an unknown agent", None, |_, run| run.env("AGENT_INIT_AGENT", "nosuch")),
    ("a mode that the agent lacks", None, |_, run| {
        run.env("AGENT_INIT_AGENT", "gh").env("AGENT_INIT_AUTH", "gh=api-key")
    }),
    ("nothing that is required", None, |_, run| run.env("AGENT_INIT_REQUIRE", "on")),
    ("an agent that is required and has nothing", None, |_, run| run.env("AGENT_INIT_REQUIRE", "claude")),
    ("a required token that is an ended login", None, |_, run| {
        run.env("AGENT_INIT_REQUIRE", "claude").env("CLAUDE_CREDENTIALS", super::token_only(-9))
    }),
    ("another user's state directory", Some(1000), |s, run| {
        s.give("state", 0);
        run.env("CLAUDE_CREDENTIALS", Session::new("a").json())
    }),
    ("a state directory that cannot be made", Some(1000), |s, run| {
        s.chmod("root", 0o755);
        run.env("AGENT_INIT_STATE_DIR", s.text("root/state")).env("CLAUDE_CREDENTIALS", Session::new("a").json())
    }),
    ("a state directory that is a file", None, |s, run| {
        run.env("AGENT_INIT_STATE_DIR", s.write("file", "").to_str().unwrap())
            .env("CLAUDE_CREDENTIALS", Session::new("a").json())
    }),
    ("a home that cannot be made", Some(1000), |s, run| {
        s.chmod("root", 0o755);
        run.env("AGENT_INIT_HOME", s.text("root/home")).env("CLAUDE_CREDENTIALS", Session::new("a").json())
    }),
    ("a place for working copies that cannot be made", Some(1000), |s, run| {
        s.chmod("root", 0o755);
        run.env("AGENT_INIT_WORK_DIR", s.text("root/work")).env("CLAUDE_CREDENTIALS", Session::new("a").json())
    }),
    ("a duration that is none", None, |_, run| run.env("AGENT_INIT_GRACE", "soon")),
    ("a mode that is none", None, |_, run| run.env("AGENT_INIT_AUTH", "always")),
    ("a store that is none", None, |_, run| run.unset("AGENT_INIT_CAPTURE").env("AGENT_INIT_STORE", "vault")),
    ("a capture and a store", None, |_, run| run.env("AGENT_INIT_STORE", "exec:true")),
    ("two users", None, |_, run| run.env("AGENT_INIT_USER", "node").env("AGENT_INIT_USER_FROM", "/")),
];

/// Whatever stops a start is what doctor says, in the same words and with the same fix, before anybody starts one: doctor
/// is not told which agent that will be.
#[test]
fn what_stops_a_start_is_found_by_doctor() {
    needs_root!();
    for (what, uid, give) in STOPS {
        let sandbox = Sandbox::new();
        let outcome = |words: &[&str]| {
            let run = sandbox.raw(words.iter().copied()).env("AGENT_INIT_LOG_FORMAT", "json");
            for name in ["home", "state"] {
                sandbox.give(name, uid.unwrap_or(0));
            }
            let run = give(&sandbox, run);
            uid.iter().fold(run, |run, uid| run.uid(*uid)).run()
        };
        let error = |outcome: &crate::support::Outcome| {
            let mut lines = outcome.stderr.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            let error = lines.rfind(|line| line["level"] == "error");
            error.map(|error| (error["message"].clone(), error["hint"].clone()))
        };
        // First, for a start makes what it can.
        let doctor = outcome(&["doctor", "--json"]);
        let command = if *what == "a mode that the agent lacks" { "gh" } else { "claude" };
        let started = outcome(&["--", command, "say started"]).code(125).prints_no(&["started"]);
        let (message, hint) = error(&started).unwrap_or_else(|| panic!("{what}\n{started}"));
        // Doctor does not know which agent will be asked for.
        let hint = if what.contains("nothing that is required") { anybody(&hint) } else { hint };
        let says = |finding: &serde_json::Value| finding["what"] == message && finding["fix"] == hint;
        let is_said = match doctor.code {
            // An option that cannot be read is refused by every command, which names its own help.
            Some(125) => error(&doctor).is_some_and(|(what, fix)| {
                let fix = fix.as_str().unwrap().replace("agent-init doctor", "agent-init");
                what == message && hint == fix.as_str()
            }),
            _ => doctor.json()["problems"].as_array().unwrap().iter().any(says),
        };
        assert!(is_said, "{what}: {message} {hint}\n{started}\n{doctor}");
        assert_ne!(doctor.code, Some(0), "{what}\n{doctor}");
    }
}

fn anybody(hint: &serde_json::Value) -> serde_json::Value {
    hint.as_str().unwrap().replace("--agent claude", "--agent NAME").into()
}

fn checks(outcome: &crate::support::Outcome, kind: &str) -> Vec<String> {
    let findings = outcome.json()[kind].as_array().unwrap().clone();
    findings.iter().map(|finding| finding["check"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_problem_is_found_with_its_fix() {
    needs_root!();
    for (what, give, problems) in WRONG {
        let sandbox = Sandbox::new();
        let outcome = give(&sandbox, sandbox.raw(["doctor", "--json"]).pid1()).run();
        if outcome.code == Some(77) {
            crate::support::skip(what, "no loop devices here");
            continue;
        }
        let outcome = outcome.code(i32::from(!problems.is_empty())).says_no(&["FAKE"]).prints_no(&["FAKE"]);
        assert_eq!(checks(&outcome, "problems"), *problems, "{what}\n{outcome}");
        for finding in outcome.json()["problems"].as_array().unwrap() {
            for part in ["subject", "what", "fix"] {
                assert!(!finding[part].as_str().unwrap().is_empty(), "{what}: {part}\n{outcome}");
            }
        }
        let sandbox = Sandbox::new();
        let text = give(&sandbox, sandbox.raw(["doctor"]).pid1()).run();
        assert_eq!(text.stdout.matches("problem: ").count(), problems.len(), "{what}\n{text}");
        assert_eq!(text.stdout.contains("no problem found"), problems.is_empty(), "{what}\n{text}");
    }
}

/// What the sync would have to look for is what doctor says is seen late.
#[test]
fn a_capture_that_cannot_be_watched_is_a_note() {
    needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let doctor = || sandbox.raw(["doctor", "--json"]).pid1();
    assert_eq!(checks(&doctor().run(), "notes"), [] as [&str; 0]);
    let capture = sandbox.text("capture");
    // The mount and its server end with the namespaces.
    let outcome = doctor().setup(format!("bindfs {capture} {capture}")).run().code(0);
    assert!(checks(&outcome, "notes").contains(&"network-file-system".to_owned()), "{outcome}");
    assert!(outcome.stdout.contains("it is on fuse"), "{outcome}");
}

#[test]
fn files_of_another_user_are_found() {
    needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    sandbox.give("home", 1000);
    let as_node = || sandbox.raw(["doctor", "--json"]).env("AGENT_INIT_STATE_DIR", "/run/user-state").uid(1000);
    let run =
        as_node().setup("mkdir -m 777 /run/user-state; chown 1000:1000 /run/user-state; chmod 700 /run/user-state");
    let outcome = run.run().code(1);
    assert!(outcome.stdout.contains("chown -R 1000"), "{outcome}");
    sandbox.write("secrets/anthropic_api_key", "FAKE");
    let outcome = as_node().setup("mkdir /run/user-state; chown 1000:1000 /run/user-state").run().code(1);
    assert!(checks(&outcome, "problems").contains(&"secret-closed".to_owned()), "{outcome}");
}

#[test]
fn missing_capabilities_are_found() {
    needs_root!();
    let sandbox = Sandbox::new();
    let run = sandbox.raw(["doctor", "--json", "--user", "node"]).pid1();
    let run = run.through(["setpriv", "--bounding-set=-setuid,-kill", "--inh-caps=-setuid,-kill"]);
    let outcome = run.run().code(1);
    let subjects: Vec<_> =
        outcome.json()["problems"].as_array().unwrap().iter().map(|f| f["subject"].clone()).collect();
    assert_eq!(subjects, ["CAP_KILL", "CAP_SETUID"], "{outcome}");
}

#[test]
fn a_running_agent_that_was_logged_out_is_found() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let mut gate = sandbox.gate("gate");
    let run = sandbox.claude("say ready; hold \"$1\"; blank; say blanked; hold \"$1\"").arguments([gate.to_string()]);
    let mut live = ready(&sandbox, run);
    assert_eq!(checks(&sandbox.raw(["doctor", "--json"]).run(), "problems"), [] as [&str; 0]);
    gate.open();
    live.line("blanked");
    let outcome = sandbox.raw(["doctor", "--json"]).run().code(1);
    assert_eq!(checks(&outcome, "problems"), ["login"], "{outcome}");
    gate.open();
    live.wait().ok();
}

#[test]
fn a_login_that_ends_soon_is_worth_a_note() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.raw(["doctor", "--json"]).env("CLAUDE_CREDENTIALS", super::token_only(3600)).run().ok();
    assert!(checks(&outcome, "notes").contains(&"login".to_owned()), "{outcome}");
    outcome.prints(&["setup --agent claude"]);
}
