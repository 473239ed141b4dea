//! The login deadline: what `run`, `status`, `plan`, `doctor` and `healthcheck` say of a login that ends although it is
//! refreshed.

use serde_json::Value;

use super::{captured, from_now, only, ready, token_only};
use crate::support::{Outcome, Sandbox, Session};

const DAY: i64 = 86_400;

/// A login with these days left until its deadline. Its access token has expired, which a refresh repairs.
fn with_days_left(days: i64) -> Session {
    let expired = from_now(days.min(0) * DAY - 3600) * 1000;
    Session::new("a").expires_ms(expired).deadline_ms(from_now(days * DAY + 60) * 1000)
}

struct Row {
    what: &'static str,
    days: i64,
    /// Of `--warn-within`.
    within: Option<&'static str>,
    state: &'static str,
}

const ROWS: &[Row] = &[
    Row { what: "far away", days: 20, within: None, state: "ok" },
    Row { what: "far away, and warned of early", days: 20, within: Some("21d"), state: "expiring" },
    Row { what: "within a week", days: 6, within: None, state: "expiring" },
    Row { what: "within a week, and warned of late", days: 6, within: Some("36h"), state: "ok" },
    Row { what: "past", days: -2, within: None, state: "expired" },
    Row { what: "past, and warned of never", days: -2, within: Some("0"), state: "expired" },
];

const LOG_IN: &str = "docker run -it --rm -v LOGINS:/capture IMAGE setup --agent claude";

/// RFC 3339 times begin with the day, which the tests and the program take from the same clock.
#[track_caller]
fn assert_names_the_deadline(what: &str, text: &str, status: &Value) {
    let at = status["login_expires_at"].as_str().unwrap();
    assert!(text.contains(at), "{what}: {at}\n{text}");
}

#[test]
fn every_command_says_when_a_login_ends_and_how_to_log_in_again() {
    for Row { what, days, within, state } in ROWS {
        let sandbox = Sandbox::new();
        captured(&sandbox, &with_days_left(*days));
        let with = |run: crate::support::Run| match within {
            Some(within) => run.env("AGENT_INIT_WARN_WITHIN", *within).env("COLUMNS", "1000"),
            None => run.env("COLUMNS", "1000"),
        };
        let has_ended = *state == "expired";
        let failure = i32::from(has_ended);
        let json = only(&with(sandbox.raw(["status", "--json"])).run().code(failure));
        assert_eq!(json["state"], *state, "{what}: {json}");
        assert_eq!(json["problem"].is_null(), *state == "ok", "{what}: {json}");
        if *state != "ok" {
            assert_names_the_deadline(what, json["problem"].as_str().unwrap(), &json);
        }
        let plan = with(sandbox.raw(["plan", "--json", "--", "claude"])).run().ok().json();
        assert_eq!(plan["auth"]["agents"][0], json, "{what}");

        let text = with(sandbox.raw(["status"])).run().code(failure);
        assert!(text.stdout.contains("login deadline  "), "{what}\n{text}");
        assert_eq!(text.stdout.contains(LOG_IN), *state != "ok", "{what}\n{text}");
        assert_names_the_deadline(what, &with(sandbox.raw(["status", "-v"])).run().stdout, &json);

        let doctor = with(sandbox.raw(["doctor", "--json", "--agent", "claude"])).run().json();
        let of_login = |list: &str| {
            let findings = doctor[list].as_array().unwrap().iter();
            findings.filter(|finding| finding["check"] == "login").cloned().collect::<Vec<_>>()
        };
        let (problems, notes) = (of_login("problems"), of_login("notes"));
        let expected = match *state {
            "ok" => (0, 0),
            "expiring" => (0, 1),
            _ => (1, 0),
        };
        assert_eq!((problems.len(), notes.len()), expected, "{what}: {doctor}");
        for finding in problems.iter().chain(&notes) {
            assert_names_the_deadline(what, finding["what"].as_str().unwrap(), &json);
            assert!(finding["fix"].as_str().unwrap().contains(LOG_IN), "{what}: {finding}");
        }

        let outcome = with(sandbox.claude("test -e \"$F\"")).run().ok();
        assert_auth_line(what, &outcome, &json);
        let warns = outcome.warnings().iter().any(|line| line.contains(json["login_expires_at"].as_str().unwrap()));
        assert_eq!(warns, *state != "ok", "{what}\n{outcome}");
        assert_eq!(outcome.stderr.contains(LOG_IN), *state != "ok", "{what}\n{outcome}");
    }
}

#[track_caller]
fn assert_auth_line(what: &str, outcome: &Outcome, status: &Value) {
    let line = outcome.stderr.lines().find(|line| line.contains("claude auth: ")).unwrap();
    let expected = format!(", login expires {}", status["login_expires_at"].as_str().unwrap());
    assert!(line.ends_with(&expected), "{what}: {expected}\n{line}");
}

/// The vendor may still refresh it, so that it is installed, and nothing better is passed over for it.
#[test]
fn a_login_past_its_deadline_is_installed_all_the_same() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &with_days_left(-2));
    let run = sandbox.claude("seen").options(["--require"]);
    run.run().ok().prints(&["FAKE-access-a"]).warns_once(&["claude: the login deadline was ", " (capture:"]);
}

#[test]
fn the_health_check_fails_once_the_deadline_has_passed() {
    for Row { what, days, within, state } in ROWS {
        let sandbox = Sandbox::new();
        captured(&sandbox, &with_days_left(*days));
        let mut gate = sandbox.gate("gate");
        let live = ready(&sandbox, sandbox.claude("say ready; hold \"$1\"").arguments([gate.to_string()]));
        let run = sandbox.raw(["healthcheck"]);
        let outcome = match within {
            Some(within) => run.env("AGENT_INIT_WARN_WITHIN", *within).run(),
            None => run.run(),
        };
        let has_ended = *state == "expired";
        let outcome = outcome.code(i32::from(has_ended));
        assert_eq!(outcome.stderr.lines().count(), usize::from(has_ended), "{what}\n{outcome}");
        if has_ended {
            let status = only(&sandbox.raw(["status", "--json"]).run().code(1));
            assert_names_the_deadline(what, &outcome.stderr, &status);
            outcome.says(&["claude: expired: the login deadline was", LOG_IN]);
        }
        gate.open();
        live.wait().ok();
    }
}

/// A container may run for longer than its login.
#[test]
fn an_end_that_comes_while_the_agent_runs_is_said() {
    struct Row {
        what: &'static str,
        auth: &'static str,
        login: fn() -> String,
        said: &'static [&'static str],
    }
    fn in_ms(ms: u64) -> u64 {
        from_now(0) * 1000 + ms
    }
    let rows = [
        Row {
            what: "the login deadline",
            auth: "auto",
            login: || Session::new("a").expires_ms(in_ms(4_000_000)).deadline_ms(in_ms(3000)).json(),
            said: &["the login deadline is ", "the login deadline was "],
        },
        Row { what: "no refresh token", auth: "auto", login: || token_only(2), said: &["has expired, "] },
        Row {
            what: "nobody refreshes",
            auth: "follow",
            login: || Session::new("a").expires_ms(in_ms(20 * 60_000 + 2000)).json(),
            said: &["no keeper has refreshed it"],
        },
        Row {
            what: "nobody has refreshed",
            auth: "follow",
            login: || Session::new("a").expires_ms(in_ms(2000)).json(),
            said: &["no keeper has refreshed it", "ended"],
        },
    ];
    for Row { what, auth, login, said } in rows {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &login());
        let mut gate = sandbox.gate("gate");
        let run = sandbox.claude("say ready; hold \"$1\"").arguments([gate.to_string()]);
        let mut live = ready(&sandbox, run.env("AGENT_INIT_AUTH", auth).env("AGENT_INIT_WARN_WITHIN", "1s"));
        for text in said {
            live.message(text);
        }
        gate.open();
        let outcome = live.wait().ok();
        assert_eq!(outcome.warnings().len(), said.len(), "{what}: {outcome}");
    }
}

/// What cannot be the end of a refresh token is not taken for it.
#[test]
fn an_implausible_deadline_is_ignored() {
    let far = from_now(11 * 366 * DAY) * 1000;
    let rows = [
        ("in 1970", Session::expired("a").deadline_ms(1)),
        ("in seconds", Session::expired("a").deadline_ms(from_now(DAY))),
        ("before 2025", Session::expired("a").deadline_ms(1_735_689_599_999)),
        ("too far away", Session::expired("a").deadline_ms(far)),
        ("long before the access token's", Session::new("a").deadline_ms(from_now(DAY) * 1000)),
    ];
    for (what, login) in rows {
        let sandbox = Sandbox::new();
        captured(&sandbox, &login);
        let json = only(&sandbox.raw(["status", "--json"]).run().ok());
        assert_eq!((&json["state"], &json["login_expires_at"]), (&"ok".into(), &Value::Null), "{what}: {json}");
        sandbox.raw(["status"]).run().ok().prints_no(&["login deadline"]);
        sandbox.claude(":").run().ok().says_no(&["login expires"]).quiet();
    }
}

/// The wider one of what PID 1 was told and the command's own words counts as with every option: the command's wins.
#[test]
fn the_command_of_a_running_container_warns_as_its_run_does() {
    crate::support::needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox, &with_days_left(20));
    let mut gate = sandbox.gate("gate");
    let run = sandbox.claude("say ready; hold \"$1\"").arguments([gate.to_string()]);
    let live = ready(&sandbox, run.options(["--warn-within", "25d"]).pid1());
    let inside = || ["nsenter".to_owned(), "-a".to_owned(), "-t".to_owned(), live.pid().to_string()];
    let state =
        |words: &[&str]| only(&sandbox.raw(words.iter().copied()).through(inside()).run().ok())["state"].clone();
    assert_eq!(state(&["status", "--json"]), "expiring");
    assert_eq!(state(&["status", "--json", "--warn-within", "7d"]), "ok");
    gate.open();
    live.wait().ok();
}

/// What a keeper refreshes is healthy for its followers until its deadline. What none has refreshed is not.
#[test]
fn a_follower_is_healthy_as_long_as_its_login_is_kept() {
    struct Row {
        what: &'static str,
        /// Of the access token.
        minutes: i64,
        /// Until the deadline.
        days: i64,
        state: &'static str,
        says: &'static str,
    }
    let rows = [
        Row { what: "kept", minutes: 180, days: 20, state: "ok", says: "a keeper refreshes it" },
        Row { what: "kept until its end", minutes: 180, days: 3, state: "expiring", says: LOG_IN },
        Row { what: "not kept", minutes: 10, days: 20, state: "expiring", says: "no keeper has refreshed it" },
        Row {
            what: "not kept, and expired",
            minutes: -10,
            days: 20,
            state: "expired",
            says: "no keeper has refreshed it",
        },
        Row { what: "past its deadline", minutes: 180, days: -1, state: "expired", says: LOG_IN },
    ];
    for Row { what, minutes, days, state, says } in rows {
        let sandbox = Sandbox::new();
        let login = Session::new("a").expires_ms(from_now(minutes * 60) * 1000);
        captured(&sandbox, &login.deadline_ms(from_now(days * DAY + 60) * 1000));
        let ask = |words: &[&str]| {
            let run = sandbox.raw(words.iter().copied()).env("AGENT_INIT_AUTH", "follow").env("COLUMNS", "1000");
            run.run()
        };
        let code = i32::from(state == "expired");
        let mut gate = sandbox.gate("gate");
        for is_running in [false, true] {
            let live = is_running.then(|| {
                let run = sandbox.claude("say ready; hold \"$1\"").arguments([gate.to_string()]);
                ready(&sandbox, run.env("AGENT_INIT_AUTH", "follow"))
            });
            let json = only(&ask(&["status", "--json"]).code(code));
            assert_eq!(
                (&json["state"], &json["write_back"]["mode"]),
                (&state.into(), &"follow".into()),
                "{what}: {json}"
            );
            ask(&["status"]).code(code).prints(&[says]);
            let doctor = ask(&["doctor"]);
            assert_eq!(doctor.stdout.contains("agent-init keep"), what.starts_with("not kept"), "{what}\n{doctor}");
            if let Some(live) = live {
                assert_eq!(ask(&["healthcheck"]).code, Some(code), "{what}");
                gate.open();
                live.wait().ok();
            }
        }
    }
}
