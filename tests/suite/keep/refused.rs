//! Starts that keep nothing.

use super::{captured, keeper};
use crate::support::{Give, Sandbox, needs_root};

#[test]
fn a_keeper_without_anything_to_keep_is_refused() {
    struct Row {
        what: &'static str,
        arguments: &'static [&'static str],
        give: Give,
        says: &'static [&'static str],
    }
    let rows = [
        Row {
            what: "no login directory",
            arguments: &["keep", "--agent", "claude"],
            give: |_, run| run.unset("AGENT_INIT_CAPTURE"),
            says: &["nothing to keep: there is no login directory for claude", "mount the login directory as /capture"],
        },
        Row {
            what: "an agent without a command that refreshes",
            arguments: &["keep", "--agent", "copilot"],
            give: |_, run| run,
            says: &[
                "nothing to keep: Copilot CLI has no command",
                "logins of these agents can be kept: claude, codex, gemini",
            ],
        },
        Row {
            what: "an agent that is not installed",
            arguments: &["keep", "--agent", "claude"],
            give: |_, run| run.env("PATH", "/usr/bin:/bin"),
            says: &["Claude Code is not installed: there is no claude on PATH"],
        },
        Row {
            what: "the agent of a login that is not installed",
            arguments: &["keep"],
            give: |sandbox, run| {
                sandbox.captured("claude", ".credentials.json", &crate::support::Session::new("a").json());
                run.env("PATH", "/usr/bin:/bin")
            },
            says: &["warning: claude: its login is not kept", "Claude Code is not installed"],
        },
        Row {
            what: "no agent at all",
            arguments: &["keep"],
            give: |_, run| run.env("PATH", "/usr/bin:/bin"),
            says: &["nothing to keep: no agent whose login can be kept is installed"],
        },
        Row {
            what: "an unknown agent",
            arguments: &["keep", "--agent", "other"],
            give: |_, run| run,
            says: &["other"],
        },
        Row {
            what: "a COMMAND",
            arguments: &["keep", "claude"],
            give: |_, run| run,
            says: &["unexpected word 'claude'"],
        },
        Row { what: "no duration", arguments: &["keep", "--before", "soon"], give: |_, run| run, says: &["--before"] },
    ];
    for Row { what, arguments, give, says } in rows {
        let sandbox = Sandbox::new();
        let outcome = give(&sandbox, sandbox.raw(arguments.iter().copied())).run().refuses(says);
        assert!(!outcome.stdout.contains("FAKE"), "{what}");
    }
}

/// Refreshing a login that cannot be stored would end it for everybody else.
#[test]
fn a_capture_that_is_read_only_is_refused() {
    needs_root!();
    let sandbox = captured(60);
    let run = keeper(&sandbox, super::REFRESH).bind_read_only(sandbox.path("capture"), sandbox.path("capture"));
    run.run().refuses(&["is not writable", "mount it read-write"]);
    assert_eq!(sandbox.read("vendor/requests"), "");
}

#[test]
fn an_empty_capture_is_waited_for_but_not_once() {
    let sandbox = Sandbox::new();
    let says = &["claude: there is no login to keep in ", "setup --agent claude"];
    keeper(&sandbox, super::REFRESH).arguments(["--once"]).run().code(1).says(says);
    let mut live = keeper(&sandbox, super::REFRESH).start();
    live.message("claude: there is no login to keep in ");
    live.stop();
    live.wait().ok();
}

/// An agent that is only installed does not fail a job that keeps another's login.
#[test]
fn an_installed_agent_without_a_login_is_no_failure() {
    let sandbox = captured(60);
    let run = keeper(&sandbox, super::REFRESH).arguments(["--once", "--agent", "auto"]);
    let path = format!("{}:{}:/usr/bin:/bin", sandbox.text("tools"), sandbox.text("bin"));
    run.env("PATH", path).run().ok().says(&["claude: refreshed the login in "]).says_no(&["codex", "gemini"]);
}

#[test]
fn a_login_that_cannot_be_refreshed_is_named() {
    let rows = [
        (r#","refreshToken":"FAKE-refresh-a""#, "", "it has no refresh token"),
        ("\"expiresAt\":4102444800000", "\"expiresAt\":null", "it does not tell when it expires"),
    ];
    for (from, to, says) in rows {
        let sandbox = Sandbox::new();
        let login = crate::support::Session::new("a").json();
        assert!(login.contains(from));
        sandbox.captured("claude", ".credentials.json", &login.replace(from, to));
        keeper(&sandbox, super::REFRESH).arguments(["--once"]).run().ok().warns_once(&["cannot be kept", says]);
        assert_eq!(sandbox.read("vendor/requests"), "");
    }
}
