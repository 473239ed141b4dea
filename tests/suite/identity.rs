//! Who the agent is: users, groups, capabilities.

use crate::support::{Sandbox, needs_root};

/// What the agent says of itself: uid, gid and groups.
const WHO: &str = "say \"$(id -u):$(id -g) $(id -G)\"";

/// `--user`, then uid:gid and groups of the agent.
const USERS: &[(&str, &str)] = &[
    ("node", "1000:1000 1000 50 999"),
    ("1000", "1000:1000 1000 50 999"),
    ("node:node", "1000:1000 1000"),
    ("node:docker", "1000:999 999"),
    ("node:999", "1000:999 999"),
    ("node:4321", "1000:4321 4321"),
    ("1000:1000", "1000:1000 1000"),
    ("1000:staff", "1000:50 50"),
    ("node:root", "1000:0 0"),
    ("other", "1001:1001 1001 999"),
    ("12345", "12345:12345 12345"),
    ("12345:docker", "12345:999 999"),
    ("12345:0", "12345:0 0"),
    ("12345:54321", "12345:54321 54321"),
    ("root", "0:0 0"),
    ("0", "0:0 0"),
    ("0:0", "0:0 0"),
    ("root:node", "0:1000 1000"),
    ("2147483647", "2147483647:2147483647 2147483647"),
];

#[test]
fn a_user_is_named_in_every_form_of_docker() {
    needs_root!();
    let sandbox = Sandbox::new();
    for (user, expected) in USERS {
        let outcome = sandbox.claude(WHO).options(["--user", user]).pid1().run().ok();
        assert_eq!(outcome.stdout.trim_end(), *expected, "--user {user}\n{outcome}");
        let outcome = sandbox.claude(WHO).env("AGENT_INIT_USER", *user).pid1().run().ok();
        assert_eq!(outcome.stdout.trim_end(), *expected, "AGENT_INIT_USER={user}\n{outcome}");
    }
}

#[test]
fn without_a_user_nothing_changes() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.claude(WHO).pid1().through(["setpriv", "--groups", "4,5"]).run().ok().prints(&["0:0 0 4 5"]);
    for directory in ["home", "state"] {
        sandbox.give(directory, 1000);
    }
    sandbox.claude(WHO).uid(1000).run().ok().prints(&["1000:1000 1000"]);
}

const UNKNOWN_USERS: &[&str] = &[
    "nosuch",
    "node:nosuch",
    "nosuch:node",
    "-1",
    "4294967295",
    "4294967296",
    "99999999999999999999",
    "1000abc",
    "0x0",
    "+0",
    " 0",
    "1e3",
    "node:docker:more",
    "node:-1",
    "node:4294967295",
];

#[test]
fn an_unknown_user_is_refused() {
    needs_root!();
    let sandbox = Sandbox::new();
    for user in UNKNOWN_USERS {
        let option = format!("--user={user}");
        sandbox.claude("say started").options([&option]).pid1().run().refuses(&["\n  hint: "]).prints_no(&["started"]);
    }
    sandbox.claude(":").options(["--user", "nosuch"]).pid1().run().refuses(&["'nosuch'"]);
    sandbox.claude(":").options(["--user", "node:nosuch"]).pid1().run().refuses(&["'nosuch'"]);
}

/// Lines that are no entries, then `--user` and what the agent is, or nothing where the start is refused.
const GARBAGE: &str = "garbage\n\n# comment:x:0:0\n::::::\n:x:0:0::/:/bin/sh\nbad:x:abc:0::/:/bin/sh\nnogid:x:5000::::\nnegative:x:-1:0::/:\n\
wide:x:4294967296:0::/:\nshort:x:6000\nnode:x:0:0:a second node:/:/bin/sh\n\u{fffd}\u{0}:x:0:0::/:\nfine:x:7000:7001::/:\n";
const WITH_GARBAGE: &[(&str, Option<&str>)] = &[
    ("node", Some("1000:1000 1000 50 999")),
    ("fine", Some("7000:7001 7001")),
    ("bad", None),
    ("abc", None),
    ("nogid", None),
    ("negative", None),
    ("wide", None),
    ("short", None),
    ("garbage", None),
    ("# comment", None),
];

#[test]
fn damaged_lines_of_passwd_are_skipped() {
    needs_root!();
    let sandbox = Sandbox::new();
    let passwd = sandbox.read("etc/passwd") + GARBAGE;
    sandbox.write("etc/passwd", passwd);
    let group = "junk\n:::\nx:y\nnogid:x::node\nbad:x:abc:node,fine\n".to_owned() + &sandbox.read("etc/group");
    sandbox.write("etc/group", group);
    for name in ["etc/passwd", "etc/group"] {
        sandbox.chmod(name, 0o644);
    }
    for (user, expected) in WITH_GARBAGE {
        let outcome = sandbox.claude(WHO).options(["--user", user]).pid1().run();
        match expected {
            Some(expected) => assert_eq!(outcome.ok().stdout.trim_end(), *expected, "{user}"),
            None => assert_eq!(outcome.refuses(&[user]).stdout, "", "{user}"),
        }
    }
}

#[test]
fn numbers_work_without_passwd_and_group() {
    needs_root!();
    let sandbox = Sandbox::new();
    let empty = sandbox.write("empty", "");
    for (user, expected) in [("12345", Some("12345:12345 12345")), ("1000", Some("1000:1000 1000")), ("node", None)] {
        let run = sandbox.claude(WHO).options(["--user", user]);
        let outcome = run.bind(&empty, "/etc/passwd").bind(&empty, "/etc/group").run();
        match expected {
            Some(expected) => assert_eq!(outcome.ok().stdout.trim_end(), expected, "{user}"),
            None => drop(outcome.refuses(&[user])),
        }
    }
}

#[test]
fn user_from_takes_the_owner_of_a_path() {
    needs_root!();
    let sandbox = Sandbox::new();
    let workspace = sandbox.mkdir("workspace");
    std::os::unix::fs::chown(&workspace, Some(1234), Some(4321)).unwrap();
    let from = |path: &str| sandbox.claude(WHO).options(["--user-from", path]).pid1().run();
    from(&sandbox.text("workspace")).ok().prints(&["1234:4321 4321"]);
    from(&sandbox.text("nosuch")).refuses(&["--user-from", "nosuch"]);
}

#[test]
fn only_root_may_change_the_user() {
    needs_root!();
    let sandbox = Sandbox::new();
    for directory in ["home", "state", "capture"] {
        sandbox.give(directory, 1000);
    }
    for user in ["other", "0", "1001:1001"] {
        let run = sandbox.claude("say started").options(["--user", user]).pid1().uid(1000);
        run.run().refuses(&["root", "\n  hint: "]).prints_no(&["started"]);
    }
}

/// An image presets the user of a container that starts as root.
#[test]
fn a_preset_user_is_ignored_without_root() {
    needs_root!();
    for (name, value) in
        [("AGENT_INIT_USER", "other"), ("AGENT_INIT_USER", "nosuch"), ("AGENT_INIT_USER_FROM", "/root")]
    {
        let sandbox = Sandbox::new();
        for directory in ["home", "state", "capture"] {
            sandbox.give(directory, 1000);
        }
        sandbox.claude(WHO).env(name, value).pid1().uid(1000).run().ok().prints(&["1000:1000 1000"]);
        let plan = sandbox.raw(["plan", "--", "claude"]).env(name, value).pid1().uid(1000).run().ok();
        plan.prints(&["unchanged: the image presets a user"]);
    }
}

/// The agent's capability sets, in the order of `/proc/self/status`, and `NoNewPrivs`.
const POWERS: &str = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status | tr -d ' \\t'";
const NONE: &str = "CapInh:0000000000000000\nCapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:0000000000000000\nCapAmb:0000000000000000\nNoNewPrivs:1\n";

#[test]
fn another_user_has_no_capabilities() {
    needs_root!();
    let sandbox = Sandbox::new();
    let workspace = sandbox.mkdir("workspace");
    std::os::unix::fs::chown(&workspace, Some(1234), Some(4321)).unwrap();
    let path = sandbox.text("workspace");
    for options in [["--user", "12345"], ["--user", "12345:0"], ["--user-from", &path]] {
        let outcome = sandbox.claude(POWERS).options(options).pid1().run().ok();
        assert_eq!(outcome.stdout, NONE, "{options:?}\n{outcome}");
        let outcome = sandbox.claude(POWERS).options(options).run().ok();
        assert_eq!(outcome.stdout, NONE, "not PID 1, {options:?}\n{outcome}");
    }
}

#[test]
fn capabilities_stay_when_the_user_stays() {
    needs_root!();
    let sandbox = Sandbox::new();
    let bare = sandbox.raw(["-c", POWERS]).program("/bin/sh").pid1().run().ok();
    for options in [&[][..], &["--user", "root"], &["--user", "0:0"]] {
        let outcome = sandbox.claude(POWERS).options(options.iter().copied()).pid1().run().ok();
        assert_eq!(outcome.stdout, bare.stdout, "{options:?}\n{outcome}");
    }
    let bare = sandbox.raw(["-c", POWERS]).program("/bin/sh").uid(1000).run().ok();
    for directory in ["home", "state"] {
        sandbox.give(directory, 1000);
    }
    assert_eq!(sandbox.claude(POWERS).uid(1000).run().ok().stdout, bare.stdout);
}

#[test]
fn the_bounding_set_stays_without_setpcap() {
    needs_root!();
    let sandbox = Sandbox::new();
    let run = sandbox.claude(&format!("{WHO}; {POWERS}")).options(["--user", "node"]).pid1();
    let outcome = run.through(["setpriv", "--bounding-set=-setpcap", "--inh-caps=-setpcap"]).run().ok();
    outcome.prints(&["1000:1000", "CapEff:0000000000000000", "CapPrm:0000000000000000", "NoNewPrivs:1"]);
}

#[test]
fn the_environment_follows_the_user() {
    needs_root!();
    let sandbox = Sandbox::new();
    let run = sandbox.claude("env").options(["--user", "node"]).unset("AGENT_INIT_HOME").env("HOME", "/nowhere").pid1();
    let outcome = run.run().ok();
    assert_eq!(outcome.variable("HOME"), Some(sandbox.text("home").as_str()), "{outcome}");
}
