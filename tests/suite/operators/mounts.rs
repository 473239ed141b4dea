//! Volumes, files and directories that are mounted at the config directory or in it.

use super::Case;
use super::places::{captured, has_login};
use crate::support::{NODE, Run, Sandbox, Session, needs_root};

/// A run of the stand-in as `node` with a volume at its config directory, and without a capture.
fn with_volume(sandbox: &Sandbox, script: &str) -> Run {
    sandbox.mkdir("home/.claude");
    sandbox.mkdir("volume");
    let run = sandbox.claude(script).options(["--user=node"]).unset("AGENT_INIT_CAPTURE").pid1();
    run.bind(sandbox.path("volume"), sandbox.path("home/.claude"))
}

/// A volume at the config directory that holds no login yet: whoever logs in by hand finds the login there next time.
#[test]
fn a_volume_at_the_config_directory_keeps_a_login_made_by_hand() {
    needs_root!();
    for content in ["", "{}", "{\"claudeAiOauth\":{\"accessToken\":\"\",\"refreshToken\":\"\"}}"] {
        let sandbox = Sandbox::new();
        if !content.is_empty() {
            sandbox.write("volume/.credentials.json", content);
        }
        let plan = with_volume(&sandbox, "refresh a").options(["plan", "--json"]).run().ok().json();
        let target = &plan["agents"][0]["write_back"];
        assert_eq!(target["path"], sandbox.text("home/.claude"), "{plan}");
        with_volume(&sandbox, "refresh a").run().ok();
        assert!(sandbox.read("volume/.credentials.json").contains("FAKE-refresh-a"), "{content}");
        has_login(&sandbox, &with_volume(&sandbox, "seen").run().ok());
    }
}

/// `~/.claude` of a Mac, whose login is in the Keychain.
#[test]
fn a_config_directory_that_was_used_and_has_no_login_is_a_warning() {
    needs_root!();
    let given = |sandbox: &Sandbox, run: Run| {
        sandbox.mkdir("home/.claude");
        sandbox.mkdir("volume/projects/-work");
        sandbox.write("volume/history.jsonl", "{}");
        run.options(["--user=node"])
            .unset("AGENT_INIT_CAPTURE")
            .pid1()
            .bind(sandbox.path("volume"), sandbox.path("home/.claude"))
    };
    Case { name: "used, and no login", given, event: Some("agent-hint"), named: &["Keychain"], ..Case::QUIET }.check();
}

/// The same where only the login file is a mount, or where the capture cannot be written.
#[test]
fn a_mounted_file_and_a_volume_beside_a_closed_capture_keep_a_login_made_by_hand() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.write("login.json", "");
    sandbox.write("home/.claude/.credentials.json", "");
    let run = sandbox.claude("refresh a").unset("AGENT_INIT_CAPTURE").pid1();
    run.bind(sandbox.path("login.json"), sandbox.path("home/.claude/.credentials.json")).run().ok();
    assert!(sandbox.read("login.json").contains("FAKE-refresh-a"));
    let sandbox = Sandbox::new();
    let run = with_volume(&sandbox, "refresh a").env("AGENT_INIT_CAPTURE", sandbox.text("capture"));
    run.bind_read_only(sandbox.path("capture"), sandbox.path("capture")).run().ok();
    assert!(sandbox.read("volume/.credentials.json").contains("FAKE-refresh-a"));
}

/// A login that a variable gives is saved to a volume that holds none, and does not replace what was refreshed from it.
#[test]
fn a_login_of_a_variable_is_saved_to_the_volume() {
    needs_root!();
    let sandbox = Sandbox::new();
    let start = |script: &str, login: &str| {
        let _ = std::fs::remove_dir_all(sandbox.path("state"));
        sandbox.mkdir("state");
        with_volume(&sandbox, script).env("CLAUDE_CREDENTIALS", Session::new(login).json()).run().ok()
    };
    start("refresh b", "a").says(&["(sync)"]);
    assert!(sandbox.read("volume/.credentials.json").contains("FAKE-refresh-b"));
    let second = start("seen", "a").says(&["the mount holds this login or one that was refreshed from it"]);
    assert!(second.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-b")), "{second}");
    // Somebody's other login stays, and it is said that nothing is saved.
    let third = start("refresh d", "c").says(&["refreshed logins are not saved"]);
    assert!(sandbox.read("volume/.credentials.json").contains("FAKE-refresh-b"), "{third}");
}

/// What is in memory ends with the container: it is no volume.
#[test]
fn a_tmpfs_at_the_config_directory_keeps_nothing() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.mkdir("home/.claude");
    let run = sandbox.claude("tree").unset("AGENT_INIT_CAPTURE").env("CLAUDE_CREDENTIALS", Session::new("a").json());
    let outcome = run.pid1().tmpfs(sandbox.path("home/.claude")).run().ok();
    outcome.says(&["refreshed logins are not saved"]).says_no(&["not kept"]).prints_no(&["projects"]);
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
    // A key helper in them is taken out like any other, at each start.
    for _ in 0..2 {
        let outcome = start("{\"apiKeyHelper\":\"echo FAKE\"}");
        outcome.says(&["apiKeyHelper"]).prints(&["captured"]).prints_no(&["apiKeyHelper"]);
    }
}

/// The settings of the image are the agent's own, and a mount beside them changes nothing about that.
#[test]
fn settings_of_the_image_win_over_captured_ones_wherever_the_working_copy_is() {
    needs_root!();
    for is_mounted in [false, true] {
        let sandbox = Sandbox::new();
        captured(&sandbox);
        sandbox.write("capture/claude/settings.json", "{\"from\":\"capture\"}");
        sandbox.write("capture/claude/CLAUDE.md", "captured");
        sandbox.write("home/.claude/settings.json", "{\"from\":\"image\"}");
        sandbox.mkdir("home/.claude/projects");
        sandbox.mkdir("history");
        let run = sandbox.claude("cat \"$C/settings.json\" \"$C/CLAUDE.md\"").pid1();
        let run =
            if is_mounted { run.bind(sandbox.path("history"), sandbox.path("home/.claude/projects")) } else { run };
        run.run().ok().prints(&["\"image\"", "captured"]).prints_no(&["\"capture\""]);
    }
}

/// A file that the agent reads from HOME itself is no exception.
#[test]
fn a_mounted_file_in_home_wins_over_a_captured_one() {
    needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox);
    sandbox.write("capture/claude/.claude.json", "{\"from\":\"capture\",\"primaryApiKey\":\"FAKE-captured\"}");
    sandbox.write("mounted.json", "{\"from\":\"mount\",\"primaryApiKey\":\"FAKE-mounted\"}");
    sandbox.write("home/.claude.json", "");
    let run = sandbox.claude("cat \"$C/.claude.json\"").pid1();
    let outcome = run.bind_read_only(sandbox.path("mounted.json"), sandbox.path("home/.claude.json")).run().ok();
    outcome.prints(&["\"mount\""]).prints_no(&["\"capture\"", "primaryApiKey"]);
    assert!(sandbox.read("mounted.json").contains("primaryApiKey"));
}

/// Conversations of an agent whose config directory is a volume stay in the volume: the agent's, a new one, which docker
/// makes root's, and root's.
#[test]
fn conversations_stay_in_a_mounted_config_directory() {
    needs_root!();
    for (owner, is_new) in [(NODE, false), (NODE, true), (0, true), (0, false)] {
        let sandbox = Sandbox::new();
        sandbox.mkdir("volume");
        if !is_new {
            sandbox.write("volume/.credentials.json", Session::new("a").json());
        }
        sandbox.give("volume", owner);
        let start = |script: &str| {
            let _ = std::fs::remove_dir_all(sandbox.path("state"));
            sandbox.mkdir("state");
            let outcome = with_volume(&sandbox, script).run().ok();
            if (owner, is_new) == (0, false) {
                // The agent could not make its lock beside the file.
                outcome.says(&["not kept", "history.jsonl", "chown -R 1000"]).says_no(&["projects"])
            } else {
                outcome.quiet()
            }
        };
        start(
            "[ -s \"$F\" ] || login a >\"$F\"; mkdir -p \"$C/projects/p\"; echo kept >\"$C/projects/p/session\"; echo first >>\"$C/history.jsonl\"",
        );
        assert_eq!(sandbox.read("volume/projects/p/session"), "kept\n");
        start("cat \"$C/projects/p/session\"; echo second >>\"$C/history.jsonl\"").prints(&["kept"]);
        if (owner, is_new) != (0, false) {
            assert_eq!(sandbox.read("volume/history.jsonl"), "first\nsecond\n");
        }
    }
    // A directory of them that is mounted by itself, beside a capture. docker makes a new volume root's.
    for owner in [0, NODE] {
        let sandbox = Sandbox::new();
        captured(&sandbox);
        sandbox.mkdir("history");
        sandbox.give("history", owner);
        sandbox.mkdir("home/.claude/projects");
        let run = sandbox.claude("echo kept >\"$C/projects/session\"").options(["--user=node"]).pid1();
        run.bind(sandbox.path("history"), sandbox.path("home/.claude/projects")).run().ok().quiet();
        assert_eq!(sandbox.read("history/session"), "kept\n");
    }
}

/// Where they cannot be kept, the start says so, and the agent works all the same.
#[test]
fn what_cannot_be_kept_is_said() {
    needs_root!();
    let not_kept = Case {
        method: "session",
        event: Some("working-copy"),
        named: &["projects"],
        after: |s, run| {
            has_login(s, run);
            assert!(!s.exists("state/work/claude/projects"), "{run}");
        },
        ..Case::QUIET
    };
    let cases = [
        Case {
            name: "a volume that is read-only",
            given: |s, run| {
                s.write("volume/.credentials.json", Session::new("a").json());
                s.mkdir("home/.claude");
                let run = run.options(["--user=node"]).pid1().unset("AGENT_INIT_CAPTURE");
                run.bind_read_only(s.path("volume"), s.path("home/.claude"))
            },
            ..not_kept
        },
        Case {
            name: "a volume that another user keeps to himself",
            given: |s, run| {
                s.write("volume/.credentials.json", Session::new("a").json());
                s.give("volume", 1001);
                s.chmod("volume", 0o700);
                s.mkdir("home/.claude");
                let run = run.options(["--user=node"]).pid1().unset("AGENT_INIT_CAPTURE");
                run.bind(s.path("volume"), s.path("home/.claude"))
            },
            ..not_kept
        },
        Case {
            name: "conversations of another user",
            given: |s, run| {
                captured(s);
                s.write("history/theirs", "");
                s.give("history", 1001);
                s.mkdir("home/.claude/projects");
                let run = run.options(["--user=node"]).pid1();
                run.bind(s.path("history"), s.path("home/.claude/projects"))
            },
            after: |s, run| {
                has_login(s, run);
                let owner = std::os::unix::fs::MetadataExt::uid(&s.path("history").metadata().unwrap());
                assert_eq!(owner, 1001, "a directory with other contents was taken over");
            },
            ..not_kept
        },
    ];
    cases.iter().for_each(Case::check);
}

/// The agent owns the volume, and may have planted anything in it: PID 1 follows none of it.
#[test]
fn traps_in_a_mounted_config_directory_catch_nobody() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.write("volume/.credentials.json", Session::new("a").json());
    sandbox.mkdir("victim");
    sandbox.write("victim-file", "root's");
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(sandbox.path(target), sandbox.path(name)).unwrap();
    link("victim", "volume/projects");
    link("victim-file", "volume/history.jsonl");
    link("missing", "volume/todos");
    sandbox.gate("volume/plans");
    sandbox.write("volume/tasks", "a file");
    sandbox.give("volume", NODE);
    let meta = |name: &str| {
        let found = sandbox.path(name).metadata().unwrap();
        (std::os::unix::fs::MetadataExt::uid(&found), std::os::unix::fs::MetadataExt::mode(&found))
    };
    let before = [meta("victim"), meta("victim-file")];
    let outcome = with_volume(&sandbox, "echo x >\"$C/projects/x\"; echo y >>\"$C/history.jsonl\"; seen").run().ok();
    has_login(&sandbox, &outcome);
    assert_eq!([meta("victim"), meta("victim-file")], before, "{outcome}");
    assert!(!sandbox.exists("missing") && !sandbox.exists("victim/x"), "{outcome}");
    assert_eq!(sandbox.read("victim-file"), "root's");
}

/// A volume that became writable after the first run of a container: what that run could not keep is not thrown away.
#[test]
fn what_an_earlier_run_could_not_keep_stays() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.write("volume/.credentials.json", Session::new("a").json());
    sandbox.give("volume", 1001);
    sandbox.chmod("volume", 0o700);
    with_volume(&sandbox, "mkdir \"$C/projects\"; echo first >\"$C/projects/session\"").run().ok().says(&["not kept"]);
    sandbox.give("volume", NODE);
    let second = with_volume(&sandbox, "echo second >\"$C/projects/session\"; tree").run().ok();
    second.says(&["projects.before-mount"]).prints(&["projects.before-mount/session"]);
    assert_eq!(sandbox.read("volume/projects/session"), "second\n");
    assert_eq!(sandbox.read("state/work/claude/projects.before-mount/session"), "first\n");
}
