//! Where the working copy is, and what the users may do there.

use super::Case;
use crate::support::{NODE, Outcome, Sandbox, Session, needs_root};

pub fn has_login(_: &Sandbox, run: &Outcome) {
    assert!(run.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{run}");
}

/// The working copy is below the state directory.
fn is_diverted(sandbox: &Sandbox, run: &Outcome) {
    has_login(sandbox, run);
    let expected = sandbox.text("state/work/claude");
    assert_eq!(run.variable("CLAUDE_CONFIG_DIR"), Some(expected.as_str()), "{run}");
}

pub fn captured(sandbox: &Sandbox) {
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
}

#[test]
fn a_directory_that_is_not_the_agents_alone_is_left_alone() {
    needs_root!();
    let diverted = Case {
        method: "session",
        event: Some("working-copy"),
        named: &["CLAUDE_CONFIG_DIR"],
        after: is_diverted,
        ..Case::QUIET
    };
    let cases = [
        Case {
            name: "one that everybody may write to",
            given: |s, run| {
                captured(s);
                s.mkdir("shared");
                s.chmod("shared", 0o1777);
                run.env("CLAUDE_CONFIG_DIR", s.text("shared")).options(["--user=1000"])
            },
            after: |s, run| {
                is_diverted(s, run);
                let mode = std::os::unix::fs::MetadataExt::mode(&s.path("shared").metadata().unwrap());
                assert_eq!(mode & 0o7777, 0o1777);
            },
            ..diverted
        },
        Case {
            name: "one of root with other files",
            given: |s, run| {
                captured(s);
                s.write("tools/compiler", "");
                run.env("CLAUDE_CONFIG_DIR", s.text("tools")).options(["--user=1000"])
            },
            after: |s, run| {
                is_diverted(s, run);
                assert_eq!(std::os::unix::fs::MetadataExt::uid(&s.path("tools").metadata().unwrap()), 0);
            },
            ..diverted
        },
        Case {
            name: "one in the working directory",
            given: |s, run| {
                captured(s);
                run.env("CLAUDE_CONFIG_DIR", s.text("cwd/.claude"))
            },
            after: |s, run| {
                is_diverted(s, run);
                assert!(!s.exists("cwd/.claude"));
            },
            ..diverted
        },
        Case {
            name: "the working directory itself",
            given: |s, run| {
                captured(s);
                s.write("cwd/main.c", "");
                run.env("CLAUDE_CONFIG_DIR", s.text("cwd"))
            },
            ..diverted
        },
        Case {
            name: "one in the working directory, by another path",
            given: |s, run| {
                captured(s);
                std::os::unix::fs::symlink("cwd", s.path("link")).unwrap();
                run.env("CLAUDE_CONFIG_DIR", s.text("link/.claude"))
            },
            ..diverted
        },
        Case {
            name: "one in the working directory, with dots",
            given: |s, run| {
                captured(s);
                run.env("CLAUDE_CONFIG_DIR", s.text("home/../cwd/.claude"))
            },
            ..diverted
        },
        Case {
            name: "one that an image made for the agent",
            given: |s, run| {
                captured(s);
                s.write("config/settings.json", "{}");
                s.mkdir("config/projects");
                run.env("CLAUDE_CONFIG_DIR", s.text("config")).options(["--user=1000"])
            },
            event: None,
            named: &[],
            after: |s, run| {
                has_login(s, run);
                assert_eq!(run.variable("CLAUDE_CONFIG_DIR"), Some(s.text("config").as_str()), "{run}");
            },
            ..diverted
        },
    ];
    cases.iter().for_each(Case::check);
}

#[test]
fn what_is_used_for_something_else_is_left_alone() {
    needs_root!();
    let diverted = Case {
        method: "session",
        event: Some("working-copy"),
        named: &["CLAUDE_CONFIG_DIR"],
        after: is_diverted,
        ..Case::QUIET
    };
    let cases = [
        Case {
            name: "HOME",
            given: |s, run| {
                captured(s);
                run.env("CLAUDE_CONFIG_DIR", s.text("home"))
            },
            after: |s, run| {
                is_diverted(s, run);
                assert_eq!(std::os::unix::fs::MetadataExt::mode(&s.path("home").metadata().unwrap()) & 0o777, 0o755);
            },
            ..diverted
        },
        Case {
            name: "one of root with other files, for an agent that is root",
            given: |s, run| {
                captured(s);
                s.write("tools/compiler", "");
                s.chmod("tools", 0o755);
                run.env("CLAUDE_CONFIG_DIR", s.text("tools"))
            },
            after: |s, run| {
                is_diverted(s, run);
                assert_eq!(std::os::unix::fs::MetadataExt::mode(&s.path("tools").metadata().unwrap()) & 0o777, 0o755);
            },
            ..diverted
        },
        Case {
            name: "a user's own, for an agent that is root",
            given: |s, run| {
                captured(s);
                s.write("home/.claude/settings.json", "{}");
                s.give("home", NODE);
                run
            },
            event: None,
            named: &[],
            after: |s, run| {
                is_diverted(s, run);
                let entries = std::fs::read_dir(s.path("home/.claude")).unwrap().count();
                assert_eq!(entries, 1, "root wrote into a user's directory");
            },
            ..diverted
        },
        Case {
            name: "the capture",
            given: |s, run| {
                s.write("home/.claude/.credentials.json", Session::new("a").json());
                let capture = format!("claude={}", s.text("home/.claude"));
                run.env("AGENT_INIT_CAPTURE", capture)
            },
            event: None,
            named: &[],
            after: |s, run| {
                is_diverted(s, run);
                assert!(!s.exists("home/.claude/.claude.json"), "the capture was changed");
            },
            ..diverted
        },
        Case {
            name: "root's, in which an arbitrary uid may write by its group",
            given: |s, run| {
                captured(s);
                s.mkdir("home/.claude");
                s.chmod("home/.claude", 0o775);
                s.chmod("home", 0o775);
                for name in ["capture", "state"] {
                    s.give(name, 123_456);
                }
                run.through(["setpriv", "--reuid=123456", "--regid=0", "--clear-groups"])
            },
            event: None,
            named: &[],
            ..diverted
        },
        Case {
            name: "the root of captures",
            given: |s, run| {
                captured(s);
                run.env("CLAUDE_CONFIG_DIR", s.text("capture"))
            },
            event: None,
            named: &[],
            after: |s, run| {
                is_diverted(s, run);
                assert!(!s.exists("capture/.credentials.json"), "the capture is flat now");
            },
            ..diverted
        },
    ];
    cases.iter().for_each(Case::check);
}

#[test]
fn what_the_user_may_not_write_or_read_is_named_with_its_cause() {
    needs_root!();
    let cases = [
        Case {
            name: "a HOME of root for another user",
            given: |_, run| run.env("AGENT_INIT_USER", "node").unset("AGENT_INIT_HOME").pid1(),
            event: Some("working-copy"),
            named: &["HOME", "1000"],
            ..Case::QUIET
        },
        Case {
            name: "a HOME of root for a user that stays the same",
            given: |s, run| {
                s.give("state", 1099);
                run.unset("AGENT_INIT_HOME").uid(1099)
            },
            event: Some("working-copy"),
            named: &["HOME", "1099"],
            ..Case::QUIET
        },
        Case {
            name: "a login that root may not read without DAC_OVERRIDE",
            given: |s, run| {
                captured(s);
                s.give("capture/claude/.credentials.json", NODE);
                run.through(["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override"])
            },
            event: Some("source-ignored"),
            named: &["capture/claude"],
            after: |_, run| assert!(run.stderr.contains("DAC_OVERRIDE"), "{run}"),
            ..Case::QUIET
        },
        Case {
            name: "a login of root for an agent-init that is not root",
            given: |s, run| {
                captured(s);
                s.chmod("capture/claude", 0o755);
                s.give("home", NODE);
                s.give("state", NODE);
                run.uid(NODE)
            },
            event: Some("source-ignored"),
            named: &["capture/claude"],
            after: |_, run| {
                assert!(run.stderr.contains("chown -R 1000") && !run.stderr.contains("DAC_OVERRIDE"), "{run}");
            },
            ..Case::QUIET
        },
    ];
    cases.iter().for_each(Case::check);
}
