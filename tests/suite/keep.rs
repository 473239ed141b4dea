//! The keeper: it refreshes what is due, one request at a time, and loses no login.

mod crash;
mod failures;
mod health;
mod real;
mod refused;
mod stops;
mod turns;

use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{Run, Sandbox, Session, needs_root};

const STORED: &str = "capture/claude/.credentials.json";

/// What a stand-in does that refreshes as a vendor wants it: the newest refresh token works once, any other ends the
/// login. `vendor/name` names the newest one. The requests are counted in `vendor/requests`.
const REFRESH: &str = r#"
name=$(sed 's/.*FAKE-refresh-\([a-z]*\)".*/\1/' "$F")
echo "$name" >>"$VENDOR/requests"
if [ "$name" = "$(cat "$VENDOR/name")" ]; then
	echo "${name}x" >"$VENDOR/name"
	refresh "${name}x"
else
	blank
fi
exit 1
"#;

/// The keeper of a capture, with a stand-in `claude` that runs this script.
pub fn keeper(sandbox: &Sandbox, script: &str) -> Run {
    let tools = sandbox.mkdir("tools");
    let vendor = sandbox.mkdir("vendor");
    if !sandbox.exists("vendor/name") {
        sandbox.write("vendor/name", "a\n");
        sandbox.write("vendor/requests", "");
    }
    let agent = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/support/agent.sh");
    let text = format!("#!/bin/sh\nVENDOR={}\nARGUMENTS=\"$*\"\nset --\n. {agent}\n{script}\n", vendor.display());
    // Another process writes it: see `Sandbox::install_programs`.
    let write = "umask 022; printf %s \"$2\" >\"$1/claude.new\" && chmod 755 \"$1/claude.new\" && mv \"$1/claude.new\" \"$1/claude\"";
    let done = Command::new("sh").args(["-ec", write, "sh"]).arg(&tools).arg(text).status();
    assert!(done.unwrap().success());
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", tools.display());
    sandbox.raw(["keep", "--agent", "claude"]).env("PATH", path)
}

/// A login "a" whose access token ends in so many seconds; it may have ended.
pub fn captured(seconds: i64) -> Sandbox {
    let sandbox = Sandbox::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let end = i64::try_from(now.as_millis()).unwrap() + seconds * 1000;
    let login = Session::new("a").expires_ms(end.try_into().unwrap()).json();
    sandbox.captured("claude", ".credentials.json", &login);
    sandbox
}

fn requests(sandbox: &Sandbox) -> Vec<String> {
    sandbox.read("vendor/requests").lines().map(str::to_owned).collect()
}

/// "b" of a login made as `Session::new("b")`.
fn name_of(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json:?}"));
    value["claudeAiOauth"]["refreshToken"].as_str().unwrap().trim_start_matches("FAKE-refresh-").to_owned()
}

/// What is below the keeper's directory, without what must be there.
fn logins_left(sandbox: &Sandbox) -> Vec<String> {
    let list = "find state/keep -type f | sort; grep -rl FAKE-refresh state/keep | grep -v '^state/keep/work/' || :";
    let found = Command::new("sh").args(["-c", list]).current_dir(sandbox.path("")).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    // The last two answer the questions of a first start.
    let expected = [
        "state/keep/state.json",
        "state/keep/work/claude/",
        "state/keep/marks/claude.lock",
        "state/keep/refresh/claude/.claude.json",
        "state/keep/refresh/claude/settings.json",
    ];
    found.lines().filter(|path| !expected.iter().any(|known| path.starts_with(known))).map(str::to_owned).collect()
}

#[test]
fn a_login_that_is_due_is_refreshed_and_another_is_not() {
    struct Row {
        what: &'static str,
        seconds: i64,
        options: &'static [&'static str],
        is_refreshed: bool,
    }
    let rows = [
        Row { what: "expired", seconds: -3600, options: &[], is_refreshed: true },
        Row { what: "ends in a while", seconds: 20 * 60, options: &[], is_refreshed: true },
        Row { what: "ends later", seconds: 40 * 60, options: &[], is_refreshed: false },
        Row { what: "ends within --before", seconds: 40 * 60, options: &["--before", "1h"], is_refreshed: true },
        Row { what: "ends after --before", seconds: 20 * 60, options: &["--before", "10m"], is_refreshed: false },
    ];
    for Row { what, seconds, options, is_refreshed } in rows {
        let sandbox = captured(seconds);
        let before = sandbox.read(STORED);
        let outcome = keeper(&sandbox, REFRESH).arguments(["--once"]).arguments(options.iter().copied()).run().ok();
        let said = outcome.stderr.contains("claude: refreshed the login in ");
        assert_eq!((requests(&sandbox).len(), said), (usize::from(is_refreshed), is_refreshed), "{what}: {outcome}");
        assert_eq!(sandbox.read(STORED) == before, !is_refreshed, "{what}: {outcome}");
        assert_eq!(name_of(&sandbox.read(STORED)), if is_refreshed { "ax" } else { "a" }, "{what}");
        assert_eq!(logins_left(&sandbox), Vec::<String>::new(), "{what}: {outcome}");
        outcome.quiet();
    }
}

#[test]
fn events_of_a_keeper_are_told() {
    let sandbox = captured(-3600);
    let command = format!("cat >>'{}'", sandbox.text("told"));
    keeper(&sandbox, REFRESH).arguments(["--once", "--on-event", &command]).run().ok().quiet();
    let told = |sandbox: &Sandbox| -> Vec<Value> {
        sandbox.read("told").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let words = |events: &[Value]| events.iter().map(|event| event["event"].clone()).collect::<Vec<_>>();
    let events = told(&sandbox);
    assert_eq!(words(&events), ["published", "refreshed"]);
    assert!(events.iter().all(|event| event["agent"] == "claude"), "{events:?}");
    // The vendor refuses the next refresh.
    sandbox.write("told", "");
    sandbox.write("vendor/name", "other\n");
    sandbox.write(STORED, Session::expired("b").json());
    keeper(&sandbox, REFRESH).arguments(["--once", "--on-event", &command]).run().code(1);
    assert_eq!(words(&told(&sandbox)), ["logged-out"]);
}

/// A refresh does not move the deadline, so that somebody has to log in, and the keeper is who is always there to say it.
#[test]
fn a_login_that_ends_although_it_is_kept_is_warned_of() {
    const DAY: u64 = 86_400_000;
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let now = u64::try_from(millis).unwrap();
    let rows = [
        (now + 20 * DAY, None, None),
        (now + 20 * DAY, Some("30d"), Some("the login deadline is ")),
        (now + 3 * DAY, None, Some("the login deadline is ")),
        (now - 3 * DAY, None, Some("the login deadline was ")),
    ];
    for (deadline, within, says) in rows {
        let sandbox = Sandbox::new();
        let login = Session::new("a").expires_ms(deadline.min(now + 7_200_000)).deadline_ms(deadline);
        sandbox.captured("claude", ".credentials.json", &login.json());
        let run = keeper(&sandbox, REFRESH).arguments(["--once"]);
        let run = match within {
            Some(within) => run.arguments(["--warn-within", within]),
            None => run,
        };
        let outcome = run.run().ok();
        match says {
            Some(says) => drop(outcome.warns_once(&["claude: ", says, &sandbox.text("capture/claude")])),
            None => drop(outcome.quiet()),
        }
    }
}

/// The command sees a private copy whose access token has ended, the definition's variables, and no other credential.
#[test]
fn the_command_runs_in_a_private_copy_of_the_login() {
    needs_root!();
    let sandbox = captured(60);
    sandbox.give("capture", 1000);
    let script = r#"
[ "$PWD" = "$CLAUDE_CONFIG_DIR" ] || exit 9
{ echo "ARGUMENTS=$ARGUMENTS"; env; echo "LOGIN=$(cat "$F")"; id -u; stat -c 'MODE=%a %a' "$F"; stat -c 'DIR=%a' "$PWD"; } >"$VENDOR/seen"
refresh b
"#;
    let run = keeper(&sandbox, script).arguments(["--once", "--user", "1000"]);
    sandbox.give("vendor", 1000);
    let outcome = run
        .env("ANTHROPIC_API_KEY", "FAKE-other")
        .env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-token")
        .env("ANTHROPIC_BASE_URL", "https://elsewhere.example")
        .run()
        .ok();
    let seen = sandbox.read("vendor/seen");
    let home = sandbox.text("state/keep/refresh/claude");
    for expected in [
        "ARGUMENTS=-p x\n".to_owned(),
        format!("CLAUDE_CONFIG_DIR={home}\n"),
        "ANTHROPIC_BASE_URL=http://127.0.0.1:9\n".to_owned(),
        "CLAUDE_CODE_MAX_RETRIES=0\n".to_owned(),
        "\"expiresAt\":1,".to_owned(),
        "\n1000\nMODE=600 600\nDIR=700\n".to_owned(),
    ] {
        assert!(seen.contains(&expected), "{expected}: {seen}\n{outcome}");
    }
    for unexpected in ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "elsewhere"] {
        assert!(!seen.contains(unexpected), "{unexpected}: {seen}");
    }
    let stored = std::fs::metadata(sandbox.path(STORED)).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&stored), 1000);
    assert_eq!(name_of(&sandbox.read(STORED)), "b");
}

/// Fields that are not the login's stay as they are in the capture.
#[test]
fn what_else_the_file_holds_is_kept() {
    let sandbox = captured(60);
    let other = sandbox.read(STORED).replacen('{', r#"{"mine":{"number":12345678901234567890123},"#, 1);
    sandbox.write(STORED, other);
    keeper(&sandbox, REFRESH).arguments(["--once"]).run().ok();
    let stored = sandbox.read(STORED);
    assert!(stored.contains(r#""mine":{"number":12345678901234567890123}"#), "{stored}");
    assert_eq!(name_of(&stored), "ax");
}

/// As a service: each login is refreshed when it is due, and nothing happens in between.
#[test]
fn a_keeper_refreshes_again_and_again() {
    let sandbox = captured(60);
    // Tokens that live for four seconds are refreshed halfway.
    let script = REFRESH.replace("refresh \"${name}x\"", "refresh \"${name}x\" $((($(date +%s) + 4) * 1000))");
    let mut live = keeper(&sandbox, &script).start();
    for _ in 0..3 {
        live.message("claude: refreshed the login in ");
    }
    live.stop();
    live.wait().ok().quiet();
    let names = requests(&sandbox);
    let expected: Vec<String> = (0..names.len()).map(|count| format!("a{}", "x".repeat(count))).collect();
    assert!((3..=4).contains(&names.len()) && names == expected, "{names:?}");
    assert_eq!(name_of(&sandbox.read(STORED)), sandbox.read("vendor/name").trim());
}

/// A login that appears, or that somebody else replaces, is planned anew.
#[test]
fn a_login_that_appears_is_kept() {
    let sandbox = Sandbox::new();
    let mut live = keeper(&sandbox, REFRESH).start();
    live.message("claude: there is no login to keep in ");
    sandbox.captured("claude", ".credentials.json", &Session::expired("a").json());
    live.message("claude: refreshed the login in ");
    live.message("will be refreshed at 2099-");
    sandbox.write("vendor/name", "b\n");
    sandbox.captured("claude", ".credentials.json", &Session::expired("b").json());
    live.message("claude: refreshed the login in ");
    live.stop();
    live.wait().ok();
    assert_eq!((requests(&sandbox), name_of(&sandbox.read(STORED))), (vec!["a".into(), "b".into()], "bx".to_owned()));
}

/// While nothing is due, the keeper makes no system call.
#[test]
fn a_keeper_that_waits_sleeps() {
    let sandbox = captured(40 * 60);
    let log = sandbox.text("log");
    let mut live = keeper(&sandbox, REFRESH).through(["strace", "-r", "-o", &log]).start();
    live.message("will be refreshed at ");
    let is_asleep =
        |text: &str| text.lines().last().is_some_and(|line| line.contains("poll(") || line.contains("ppoll("));
    crate::support::await_path(&sandbox.path(""), "a keeper in poll(2)", || is_asleep(&sandbox.read("log")));
    let before = sandbox.read("log").lines().count();
    // Longer than any timer of a refresh.
    std::thread::sleep(Duration::from_secs(3));
    let after = sandbox.read("log").lines().count();
    assert_eq!(before, after, "{}", sandbox.read("log"));
    live.signal(9);
    drop(live);
}
