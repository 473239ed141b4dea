//! `healthcheck` in a keeper's container: 0 and silence, or 1 and one line.

use super::{REFRESH, STORED, captured, keeper, name_of};
use crate::support::{Live, Outcome, Sandbox, Session, await_path, needs_root};

fn probe(sandbox: &Sandbox) -> Outcome {
    sandbox.raw(["healthcheck"]).run()
}

#[track_caller]
fn healthy(sandbox: &Sandbox, what: &str) {
    let outcome = probe(sandbox);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()),
        (Some(0), "", ""),
        "{what}: {outcome}"
    );
}

#[track_caller]
fn unhealthy(sandbox: &Sandbox, what: &str, says: &[&str]) {
    let outcome = probe(sandbox);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{what}: {outcome}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{what}: {outcome}");
    outcome.says(says);
}

/// Healthy if nothing is to be said.
#[track_caller]
fn checked(sandbox: &Sandbox, what: &str, says: &[&str]) {
    if says.is_empty() {
        healthy(sandbox, what);
    } else {
        unhealthy(sandbox, what, says);
    }
}

struct Row {
    what: &'static str,
    sandbox: fn() -> Sandbox,
    script: &'static str,
    /// What the keeper says when it knows, and what its state file says then.
    after: &'static str,
    state: &'static str,
    /// Nothing: it is healthy.
    says: &'static [&'static str],
}

const GOOD: Row = Row {
    what: "a login that is not due",
    sandbox: || captured(3600),
    script: REFRESH,
    after: "will be refreshed at ",
    state: "good",
    says: &[],
};

/// A login that ends after so many seconds, and its deadline.
fn with_deadline(seconds: i64) -> Sandbox {
    let sandbox = Sandbox::new();
    let millis = |seconds| crate::commands::from_now(seconds) * 1000;
    let login = Session::new("a").expires_ms(millis(3600)).deadline_ms(millis(seconds));
    sandbox.captured("claude", ".credentials.json", &login.json());
    sandbox
}

#[test]
fn the_health_of_a_keeper_is_that_of_its_logins() {
    let rows = [
        GOOD,
        Row {
            what: "a login that was refreshed",
            sandbox: || captured(60),
            after: "claude: refreshed the login in ",
            ..GOOD
        },
        Row {
            what: "a failure while the access token works",
            sandbox: || captured(600),
            script: "exit 1",
            after: "was not refreshed: ",
            state: "failing",
            ..GOOD
        },
        Row {
            what: "a failure after its end",
            sandbox: || captured(-60),
            script: "exit 1",
            after: "was not refreshed: ",
            state: "failing",
            says: &[
                "error: claude: expired: the access token of the login in /",
                "/capture/claude has ended, and refreshing it fails: the log of the keeper says why",
            ],
        },
        Row {
            what: "a refused login",
            sandbox: || captured(600),
            script: "blank",
            after: "the vendor refused to refresh the login in ",
            state: "refused",
            says: &[
                "error: claude: invalid: the vendor refused to refresh the login in /",
                ": log in again: docker run ",
                " setup --agent claude",
            ],
        },
        Row { what: "a deadline that is near", sandbox: || with_deadline(86400), ..GOOD },
        Row {
            what: "a deadline that has passed",
            sandbox: || with_deadline(-86400),
            says: &["error: claude: expired: the login deadline was ", ": log in again: docker run "],
            ..GOOD
        },
        Row {
            what: "no login yet",
            sandbox: Sandbox::new,
            after: "claude: there is no login to keep in ",
            state: "missing",
            says: &["error: claude: missing: there is no login to keep in /", ": log in: docker run "],
            ..GOOD
        },
        Row {
            what: "a refreshed login that cannot be saved",
            sandbox: || captured(60),
            script: concat!(
                "record=$VENDOR/../capture/claude/.agent-init/record.json; rm -f \"$record\"; mkdir -p \"$record\"\n",
                "refresh b"
            ),
            after: "claude: cannot save the login to ",
            state: "failed",
            says: &["error: claude: unsaved: the last publish failed", "the log of the keeper says why"],
        },
    ];
    for Row { what, sandbox, script, after, state, says } in rows {
        let sandbox = sandbox();
        let mut live = keeper(&sandbox, script).start();
        live.message(after);
        await_path(&sandbox.path("state/keep"), what, || {
            sandbox.read("state/keep/state.json").contains(&format!("\"{state}\""))
        });
        checked(&sandbox, what, says);
        live.stop();
        live.wait();
        unhealthy(&sandbox, what, &["error: its keeper has ended (", "/state/keep/state.json)"]);
    }
}

/// Somebody logs in, and the keeper is healthy again without a restart.
#[test]
fn a_new_login_makes_a_keeper_healthy() {
    for (what, sandbox, script, after) in [
        ("after a refusal", captured(60), "blank", "the vendor refused to refresh the login in "),
        ("the first one", Sandbox::new(), REFRESH, "claude: there is no login to keep in "),
    ] {
        let mut live = keeper(&sandbox, script).start();
        live.message(after);
        unhealthy(&sandbox, what, &["log in"]);
        sandbox.captured("claude", ".credentials.json", &Session::new("b").json());
        live.message("will be refreshed at 2");
        healthy(&sandbox, what);
        live.stop();
        live.wait();
    }
}

/// An agent that is only installed is no reason to alert anybody.
#[test]
fn an_installed_agent_without_a_login_is_no_complaint() {
    let sandbox = captured(3600);
    let run = keeper(&sandbox, REFRESH).arguments(["--agent", "auto"]);
    let path = format!("{}:{}:/usr/bin:/bin", sandbox.text("tools"), sandbox.text("bin"));
    let mut live = run.env("PATH", path).start();
    live.message("claude: the login in ");
    await_path(&sandbox.path("state"), "all logins looked at", || {
        sandbox.exists("state/keep/state.json")
            && sandbox.read("state/keep/state.json").matches("\"unused\"").count() == 2
    });
    healthy(&sandbox, "claude alone has a login");
    live.stop();
    live.wait();
}

/// The state file of an earlier keeper says nothing about this one, although PID 1 of a container is each of them: not before
/// this one has looked, and not if its process is somebody else's now.
#[test]
fn the_state_of_an_earlier_keeper_does_not_count() {
    needs_root!();
    let sandbox = captured(3600);
    let mut live = keeper(&sandbox, REFRESH).pid1().start();
    live.message("will be refreshed at ");
    inside(&sandbox, &live).ok();
    live.signal(9);
    live.wait();

    // The next one is still reading its sources.
    let mut gate = sandbox.gate("gate");
    let command = format!("touch {}; read -r word <{gate}; cat {}", sandbox.text("started"), sandbox.text(STORED));
    let mut live = keeper(&sandbox, REFRESH).pid1().env("CLAUDE_CREDENTIALS_COMMAND", command).start();
    await_path(&sandbox.path(""), "the start", || sandbox.exists("started"));
    inside(&sandbox, &live).code(1).says(&["error: the keeper is starting: it has not looked at its logins yet"]);
    gate.open();
    live.message("will be refreshed at ");
    inside(&sandbox, &live).ok();
    live.stop();
    live.wait().ok();
    assert_eq!(name_of(&sandbox.read(STORED)), "a");

    // This test has the number that the file names.
    let state = sandbox.read("state/keep/state.json");
    let pid = format!("\"pid\": {}", std::process::id());
    assert!(state.contains("\"pid\": 1,"), "{state}");
    sandbox.write("state/keep/state.json", state.replace("\"pid\": 1", &pid));
    unhealthy(&sandbox, "another process", &["its keeper has ended"]);
}

/// On a host the keeper has a user of its own, and root's monitoring asks.
#[test]
fn root_is_told_of_another_users_keeper() {
    needs_root!();
    for (what, script, says) in
        [("good", REFRESH, &[][..]), ("refused", "blank", &["claude: invalid: the vendor refused to refresh"][..])]
    {
        let sandbox = captured(60);
        let run = keeper(&sandbox, script).uid(4242);
        for directory in ["capture", "state", "vendor", "home"] {
            sandbox.give(directory, 4242);
        }
        let mut live = run.start();
        live.message(if says.is_empty() { "claude: refreshed the login in " } else { "the vendor refused" });
        checked(&sandbox, what, says);
        live.stop();
        live.wait();
        unhealthy(&sandbox, what, &["its keeper has ended"]);
    }
}

/// In the container, as a probe is.
fn inside(sandbox: &Sandbox, live: &Live) -> Outcome {
    let enter = ["nsenter".to_owned(), "-a".to_owned(), "-t".to_owned(), live.pid().to_string()];
    sandbox.raw(["healthcheck"]).through(enter).run()
}
