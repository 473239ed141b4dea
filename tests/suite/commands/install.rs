//! `install`, `agents` and `completions`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::{Sandbox, needs_root};

#[test]
fn the_copy_is_the_binary_whole() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("share");
    let binary = fs::read(sandbox.path("bin/agent-init")).unwrap();
    for (argument, file) in [("share/init", "share/init"), ("share", "share/agent-init"), ("share/init", "share/init")]
    {
        sandbox.raw(["install", &sandbox.text(argument)]).run().ok().says(&["installed", file]);
        assert!(fs::read(sandbox.path(file)).unwrap() == binary, "{argument}");
        let mode = fs::metadata(sandbox.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{argument}");
    }
    let version = sandbox.raw(["--version"]).program(&sandbox.text("share/init")).run().ok();
    assert_eq!(version.stdout, "agent-init 0.1.0\n");
    assert_eq!(fs::read_dir(sandbox.path("share")).unwrap().count(), 2);
}

#[test]
fn a_copy_that_is_in_use_is_replaced() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("share");
    let path = sandbox.text("share/init");
    sandbox.raw(["install", &path]).run().ok();
    let before = fs::metadata(&path).unwrap().ino();
    let mut gate = sandbox.gate("gate");
    let run = sandbox.claude("say ready; hold \"$1\"").arguments([gate.to_string()]).program(&path);
    let live = super::ready(&sandbox, run);
    sandbox.raw(["install", &path]).run().ok();
    assert_ne!(fs::metadata(&path).unwrap().ino(), before);
    gate.open();
    live.wait().ok();
}

#[test]
fn an_unusable_target_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    for path in ["nosuch/init", "nosuch/", "file/init"] {
        sandbox.raw(["install", &sandbox.text(path)]).run().refuses(&[&sandbox.text(path.trim_end_matches('/'))]);
    }
    sandbox.raw(["install"]).run().refuses(&["PATH is missing"]);
    needs_root!();
    let run = sandbox.raw(["install", &sandbox.text("cwd")]).read_only_root(&[]);
    run.run().refuses(&["cannot write", "Read-only file system", "hint: "]);
}

#[test]
fn agents_lists_the_known_agents() {
    let sandbox = Sandbox::new();
    sandbox.raw(["agents"]).run().ok().prints(&["claude  ", "Claude Code", "codex"]);
    sandbox.raw(["agents", "claude"]).run().ok().prints(&[
        "ANTHROPIC_API_KEY",
        "CLAUDE_CREDENTIALS",
        "CLAUDE_CONFIG_DIR",
    ]);
    sandbox.raw(["agents", "nosuch"]).run().refuses(&["unknown agent 'nosuch'", "claude"]);
    let json = sandbox.raw(["agents", "--json"]).run().ok().json();
    assert_eq!((&json["version"], &json["agents"][0]["agent"]), (&1.into(), &"claude".into()));
    let one = sandbox.raw(["agents", "codex", "--json"]).run().ok().json();
    assert_eq!(one["agents"].as_array().unwrap().len(), 1);
    assert_eq!(one["agents"][0]["session"]["file"], "auth.json");
}
