//! Where the working copy is, and what stays there.

use super::Case;
use crate::support::{NODE, Outcome, Sandbox, Session, needs_root};

fn has_login(_: &Sandbox, run: &Outcome) {
    assert!(run.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{run}");
}

/// The working copy is below the state directory.
fn is_diverted(sandbox: &Sandbox, run: &Outcome) {
    has_login(sandbox, run);
    let expected = sandbox.text("state/work/claude");
    assert_eq!(run.variable("CLAUDE_CONFIG_DIR"), Some(expected.as_str()), "{run}");
}

fn captured(sandbox: &Sandbox) {
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
    ];
    cases.iter().for_each(Case::check);
}

/// A volume at the config directory that holds no login yet: whoever logs in by hand finds the login there next time.
#[test]
fn a_volume_at_the_config_directory_keeps_a_login_made_by_hand() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.mkdir("home/.claude");
    sandbox.mkdir("volume");
    let mounted = |script: &str| {
        let run = sandbox.claude(script).unset("AGENT_INIT_CAPTURE").pid1();
        run.bind(sandbox.path("volume"), sandbox.path("home/.claude"))
    };
    mounted("refresh a").run().ok();
    assert!(sandbox.read("volume/.credentials.json").contains("FAKE-refresh-a"));
    let outcome = mounted("seen").run().ok();
    assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{outcome}");
}

/// What an operator mounts in the config directory counts, wherever the working copy is.
#[test]
fn settings_that_are_mounted_win_over_captured_ones() {
    needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox);
    sandbox.write("capture/claude/settings.json", "{\"from\":\"capture\"}");
    sandbox.write("capture/claude/CLAUDE.md", "captured");
    sandbox.write("home/.claude/settings.json", "");
    let start = |content: &str| {
        sandbox.write("mounted.json", content);
        let run = sandbox.claude("cat \"$C/settings.json\" \"$C/CLAUDE.md\"").pid1();
        run.bind_read_only(sandbox.path("mounted.json"), sandbox.path("home/.claude/settings.json")).run().ok()
    };
    start("{\"from\":\"mount\"}").prints(&["\"mount\"", "captured"]).prints_no(&["\"capture\""]);
    // The next start in this container finds what is mounted then.
    start("{\"from\":\"another\"}").prints(&["\"another\""]).prints_no(&["\"mount\""]);
}

/// Conversations of an agent whose config directory is a volume stay in the volume.
#[test]
fn conversations_stay_in_a_mounted_config_directory() {
    needs_root!();
    for owner in [0, NODE] {
        let sandbox = Sandbox::new();
        sandbox.mkdir("home/.claude");
        sandbox.write("volume/.credentials.json", Session::new("a").json());
        sandbox.give("volume", owner);
        let start = |script: &str| {
            let run = sandbox.claude(script).options(["--user=node"]).unset("AGENT_INIT_CAPTURE").pid1();
            run.bind(sandbox.path("volume"), sandbox.path("home/.claude")).run().ok()
        };
        start("mkdir -p \"$C/projects/p\" && echo kept >\"$C/projects/p/session\"");
        assert_eq!(sandbox.read("volume/projects/p/session"), "kept\n");
        start("cat \"$C/projects/p/session\"").prints(&["kept"]);
    }
    // A directory of them that is mounted by itself, beside a capture.
    let sandbox = Sandbox::new();
    captured(&sandbox);
    sandbox.mkdir("history");
    sandbox.give("history", NODE);
    sandbox.mkdir("home/.claude/projects");
    let run = sandbox.claude("echo kept >\"$C/projects/session\"").options(["--user=node"]).pid1();
    run.bind(sandbox.path("history"), sandbox.path("home/.claude/projects")).run().ok();
    assert_eq!(sandbox.read("history/session"), "kept\n");
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
    ];
    cases.iter().for_each(Case::check);
}
