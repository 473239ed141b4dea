//! The working copy: where it is, who owns it, what is in it, and what never gets into it.

mod first_run;
mod trees;

use std::os::unix::fs::symlink;

use crate::support::{Give, Outcome, Sandbox, Session, needs_root};

/// A sandbox with a captured login "a".
fn captured() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox
}

#[track_caller]
fn assert_place(outcome: &Outcome, expected: &str) {
    assert_eq!(outcome.variable("CLAUDE_CONFIG_DIR"), Some(expected), "{outcome}");
    assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{outcome}");
}

#[test]
fn the_working_copy_is_in_the_config_directory_by_default() {
    let sandbox = captured();
    assert_place(&sandbox.claude("seen").run().ok(), &sandbox.text("home/.claude"));
}

#[test]
fn the_working_copy_is_where_work_dir_says() {
    let sandbox = captured();
    let work = sandbox.text("work");
    assert_place(&sandbox.claude("seen").options(["--work-dir", &work]).run().ok(), &format!("{work}/claude"));
    assert!(!sandbox.exists("home/.claude"));
}

#[test]
fn the_working_copy_is_in_the_state_directory_when_home_is_unusable() {
    needs_root!();
    let cases: &[(&str, Give)] = &[
        ("a mount point", |s, run| {
            s.mkdir("home/.claude");
            run.tmpfs(s.path("home/.claude"))
        }),
        ("holds a mount point", |s, run| {
            s.mkdir("home/.claude/projects");
            run.tmpfs(s.path("home/.claude/projects"))
        }),
        ("HOME read-only", |s, run| run.bind_read_only(s.path("home"), s.path("home"))),
    ];
    for (what, spoil) in cases {
        let sandbox = captured();
        sandbox.give("home", 1000);
        let outcome = spoil(&sandbox, sandbox.claude("seen").options(["--user", "node"]).pid1()).run().ok();
        println!("{what}");
        assert_place(&outcome, &sandbox.text("state/work/claude"));
    }
}

#[test]
fn files_have_the_agents_owner_and_private_modes() {
    needs_root!();
    for (user, owner) in [("node", "1000:1000"), ("12345", "12345:12345"), ("node:docker", "1000:999"), ("root", "0:0")]
    {
        let sandbox = captured();
        sandbox.chmod("capture/claude/.credentials.json", 0o644);
        sandbox.write("capture/claude/settings.json", "{}");
        sandbox.chmod("capture/claude/settings.json", 0o644);
        let script = "umask 077; touch \"$C/mine\"; say \"$(stat -c '%a %u:%g' \"$C\" \"$F\" \"$C/settings.json\")\"";
        let outcome = sandbox.claude(script).options(["--user", user]).pid1().run().ok();
        assert_eq!(outcome.stdout.trim(), format!("700 {owner}\n600 {owner}\n600 {owner}"), "{user}\n{outcome}");
    }
}

#[test]
fn an_ordinary_user_gets_a_working_copy() {
    needs_root!();
    let sandbox = captured();
    for directory in ["home", "state", "capture"] {
        sandbox.give(directory, 1000);
    }
    let outcome = sandbox.claude("seen; stat -c '%a %u' \"$F\"").uid(1000).run().ok().prints(&["600 1000"]);
    assert_place(&outcome, &sandbox.text("home/.claude"));
}

#[test]
fn it_works_with_a_read_only_root() {
    needs_root!();
    for user in ["node", "12345"] {
        let sandbox = captured();
        let run = sandbox.claude("seen").options(["--user", user]).unset("AGENT_INIT_STATE_DIR");
        let outcome = run.read_only_root(&[&sandbox.path("capture")]).run().ok();
        assert_place(&outcome, "/run/agent-init/work/claude");
    }
}

#[test]
fn it_works_without_capabilities_and_passwd_entry() {
    needs_root!();
    let sandbox = captured();
    for directory in ["capture", "state"] {
        sandbox.give(directory, 12345);
    }
    let options = ["--reuid=12345", "--regid=12345", "--clear-groups", "--bounding-set=-all"];
    let run = sandbox.claude("seen; id -u").through(["setpriv"]).through(options);
    let outcome = run.read_only_root(&[&sandbox.path("capture"), &sandbox.path("state")]).run().ok();
    assert_place(&outcome.prints(&["12345"]), &sandbox.text("state/work/claude"));
}

/// A fresh, empty /tmp that still holds the sandbox.
fn fresh_tmp(sandbox: &Sandbox) -> String {
    let path = sandbox.text("");
    format!(
        "mkdir /run/keep; mount --bind {path} /run/keep; mount -t tmpfs tmpfs /tmp; mkdir -p {path}; mount --move /run/keep {path}"
    )
}

#[test]
fn home_follows_option_account_and_environment() {
    needs_root!();
    let sandbox = captured();
    let (home, root, elsewhere) = (sandbox.text("home"), sandbox.text("root"), sandbox.text("elsewhere"));
    sandbox.mkdir("elsewhere");
    sandbox.chmod("elsewhere", 0o777);
    let cases: &[(&[&str], Option<&str>, &str)] = &[
        (&["--user", "node", "--home", &elsewhere], Some("/nowhere"), &elsewhere),
        (&["--user", "node"], Some(&elsewhere), &home),
        (&["--user", "node"], None, &home),
        (&["--user", "0"], None, &root),
        (&["--user", "12345"], Some(&elsewhere), &elsewhere),
        (&["--user", "12345"], None, "/tmp/agent-home"),
    ];
    for (options, given, expected) in cases {
        let mut run = sandbox
            .claude("say \"HOME=$HOME\"")
            .options(options.iter().copied())
            .unset("AGENT_INIT_HOME")
            .unset("HOME");
        if let Some(home) = given {
            run = run.env("HOME", *home);
        }
        let outcome = run.setup(fresh_tmp(&sandbox)).run().ok();
        assert_eq!(outcome.variable("HOME"), Some(*expected), "{options:?} with HOME {given:?}\n{outcome}");
    }
}

#[test]
fn a_made_up_home_is_the_users_own() {
    needs_root!();
    let sandbox = captured();
    let script = "touch \"$HOME/x\" && stat -c '%a %u:%g' \"$HOME\"; seen";
    let run = sandbox.claude(script).options(["--user", "12345"]).unset("AGENT_INIT_HOME").unset("HOME");
    let outcome = run.setup(fresh_tmp(&sandbox)).run().ok().prints(&["700 12345:12345"]);
    assert_place(&outcome, "/tmp/agent-home/.claude");
}

/// What an attacker in the image leaves where root is about to write.
#[test]
fn a_config_directory_that_is_a_symlink_is_not_followed() {
    needs_root!();
    let sandbox = captured();
    sandbox.mkdir("victim");
    sandbox.give("home", 1000);
    symlink(sandbox.path("victim"), sandbox.path("home/.claude")).unwrap();
    let outcome = sandbox.claude("seen").options(["--user", "node"]).pid1().run();
    assert!(!sandbox.exists("victim/.credentials.json"), "{outcome}");
    let owner = std::os::unix::fs::MetadataExt::uid(&sandbox.path("victim").metadata().unwrap());
    assert_eq!(owner, 0, "{outcome}");
}

#[test]
fn a_credential_file_that_is_a_symlink_is_replaced() {
    needs_root!();
    let sandbox = captured();
    let victim = sandbox.write("victim", "untouched");
    sandbox.mkdir("home/.claude");
    symlink(&victim, sandbox.path("home/.claude/.credentials.json")).unwrap();
    sandbox.give("home", 1000);
    assert_place(&sandbox.claude("seen").options(["--user", "node"]).pid1().run().ok(), &sandbox.text("home/.claude"));
    assert_eq!(sandbox.read("victim"), "untouched");
}

/// The mode of a directory that an agent left is set without the capability to change other users' files: by way of us.
#[test]
fn a_directory_of_another_mode_takes_no_fowner() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.give("home", 1000);
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    let run = |script: &str| {
        let run = sandbox.claude(script).options(["--user", "1000"]);
        run.through(["setpriv", "--bounding-set=-fowner"].map(str::to_owned))
    };
    run("chmod 755 \"$C\"").run().ok();
    let outcome = run("stat -c '%a %u:%g' \"$C\"").run().ok();
    assert_eq!(outcome.stdout, "700 1000:1000\n", "{outcome}");
}

/// What `--tmpfs /run/agent-init` of docker's and an emptyDir of Kubernetes' look like.
#[test]
fn a_state_directory_that_is_mounted_open_to_all() {
    needs_root!();
    let mounted = |sandbox: &Sandbox, mode: &str| {
        sandbox
            .claude("stat -c %a /run/agent-init")
            .unset("AGENT_INIT_STATE_DIR")
            .env("CLAUDE_CREDENTIALS", Session::new("a").json())
            .pid1()
            .tmpfs("/run")
            .setup(format!("mkdir /run/agent-init; mount -t tmpfs -o mode={mode} none /run/agent-init"))
    };
    for mode in ["1777", "0777"] {
        let sandbox = Sandbox::new();
        let outcome = mounted(&sandbox, mode).options(["--user", "node"]).run().ok();
        outcome.prints(&["711\n"]).says_no(&["/run/agent-init"]);
        // Another's, to a user who is not root: its state goes where it always may.
        let sandbox = Sandbox::new();
        sandbox.give("home", 1000);
        mounted(&sandbox, mode).uid(1000).run().ok().says_no(&["/run/agent-init"]);
    }
    // What --state-dir names may be anybody's: it is not closed, and the message says how to mount it.
    let sandbox = Sandbox::new();
    let open = sandbox.text("cwd");
    sandbox.chmod("cwd", 0o1777);
    let run = sandbox.claude("true").env("AGENT_INIT_STATE_DIR", &open);
    let run = run.env("CLAUDE_CREDENTIALS", Session::new("a").json());
    run.run().refuses(&["has mode 1777: the group and others can write it", &format!("--tmpfs {open}:mode=755,uid=0")]);
}
