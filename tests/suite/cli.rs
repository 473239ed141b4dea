//! The command line: what is an option, what is the COMMAND, and what is refused.

use std::os::unix::fs::symlink;

use crate::support::{Sandbox, Session};

#[test]
fn the_command_starts_at_the_first_word_that_is_not_an_option() {
    let sandbox = Sandbox::new();
    for name in ["run", "status"] {
        symlink(sandbox.path("bin/claude"), sandbox.path("bin").join(name)).unwrap();
    }
    let cases: &[(&[&str], &str)] = &[
        (&["claude", "say hi"], "hi"),
        (&["--", "claude", "say hi"], "hi"),
        (&["run", "claude", "say hi"], "hi"),
        (&["run", "--", "claude", "say hi"], "hi"),
        (&["--", "run", "say hi"], "hi"),
        (&["run", "run", "say hi"], "hi"),
        (&["--", "status", "say hi"], "hi"),
        (&["run", "--", "status", "say hi"], "hi"),
        (&["--agent", "none", "claude", "say hi"], "hi"),
        (&["--agent=none", "claude", "say hi"], "hi"),
        (&["run", "--agent", "none", "claude", "say hi"], "hi"),
        (&["-v", "claude", "say hi"], "hi"),
        (&["-q", "--", "claude", "say hi"], "hi"),
        (&["-q", "--", "status", "say hi"], "hi"),
        (&["--agent", "none", "--", "run", "say hi"], "hi"),
    ];
    for (arguments, expected) in cases {
        let outcome = sandbox.raw(arguments.iter().copied()).run().ok();
        assert_eq!(outcome.stdout.trim_end(), *expected, "{arguments:?}\n{outcome}");
    }
}

/// An image whose ENTRYPOINT has options answers the documented commands, as one without them does.
#[test]
fn a_command_is_named_behind_options_too() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("one").json());
    let installed = sandbox.text("installed");
    let commands: &[(&[&str], &str)] = &[
        (&["status"], "Claude Code"),
        (&["status", "--json"], "\"agents\""),
        (&["plan", "--", "claude"], "claude"),
        (&["doctor"], ""),
        (&["doctor", "--json"], "\"problems\""),
        (&["agents"], "claude"),
        (&["agents", "claude", "--json"], "\"name\""),
        (&["completions", "bash"], "agent-init"),
        (&["install", &installed], ""),
        (&["status", "--help"], "agent-init status"),
        (&["run", "claude", "say hi"], "hi"),
    ];
    let me = nix::unistd::geteuid().to_string();
    let before: &[&[&str]] =
        &[&["--user", &me], &[&format!("--user={me}")], &["-v"], &["--grace", "3s", "--require", "-q"]];
    for before in before {
        for (words, says) in commands {
            let outcome = sandbox.raw([*before, *words].concat()).run().ok();
            assert!(outcome.stdout.contains(says), "{before:?} {words:?}\n{outcome}");
        }
        // Nothing runs here: what these say of that, they say themselves.
        sandbox.raw([*before, &["healthcheck"]].concat()).run().code(1).says(&["error: "]);
        sandbox.raw([*before, &["exec", "--", "true"]].concat()).run().refuses(&["cannot join the agent"]);
        sandbox.raw([*before, &["setup"]].concat()).run().refuses(&["setup needs a terminal"]);
    }
    assert!(std::path::Path::new(&installed).exists());
}

#[test]
fn option_parsing_stops_at_the_command() {
    let sandbox = Sandbox::new();
    let rest = ["--help", "--version", "--user", "nosuch", "--", "-v", "--nosuch", ""];
    for head in [&["claude"][..], &["--", "claude"], &["run", "claude"]] {
        let run = sandbox.raw(head.iter().copied()).arguments(["printf '<%s>' \"$@\""]).arguments(rest);
        let outcome = run.run().ok();
        assert_eq!(outcome.stdout, "<--help><--version><--user><nosuch><--><-v><--nosuch><>", "{head:?}");
    }
}

#[test]
fn require_takes_a_value_only_with_an_equals_sign() {
    let sandbox = Sandbox::new();
    let run = sandbox.raw(["--require", "claude", "say hi"]).env("ANTHROPIC_API_KEY", "sk-FAKE-key");
    run.run().ok().prints(&["hi"]);
}

/// Values that do not parse: option, its variable, value.
const BAD_VALUES: &[(&str, &str, &str)] = &[
    ("--auth", "AGENT_INIT_AUTH", "nosuch"),
    ("--auth", "AGENT_INIT_AUTH", "claude=nosuch"),
    ("--sync", "AGENT_INIT_SYNC", "nosuch"),
    ("--grace", "AGENT_INIT_GRACE", "soon"),
    ("--grace", "AGENT_INIT_GRACE", "-1"),
    ("--grace", "AGENT_INIT_GRACE", "8 parsecs"),
    ("--log-format", "AGENT_INIT_LOG_FORMAT", "nosuch"),
];

#[test]
fn a_bad_value_is_refused_and_named() {
    let sandbox = Sandbox::new();
    for (option, variable, value) in BAD_VALUES {
        let given = sandbox.claude("say started").options([format!("{option}={value}")]);
        given.run().refuses(&[option, value, "\n  hint: "]).prints_no(&["started"]);
        let given = sandbox.claude("say started").env(variable, *value);
        given.run().refuses(&[variable, value, "\n  hint: "]).prints_no(&["started"]);
    }
}

/// Compose writes an empty value for what is not set. For an agent that would then run as root, that is no answer.
#[test]
fn an_empty_user_is_refused() {
    let sandbox = Sandbox::new();
    for variable in ["AGENT_INIT_USER", "AGENT_INIT_DROP_CAPS", "AGENT_INIT_NO_NEW_PRIVS"] {
        let run = sandbox.claude("say started").env(variable, "").run();
        run.refuses(&[&format!("{variable} is empty"), "\n  hint: set it to ", "compose"]).prints_no(&["started"]);
    }
    sandbox.claude(":").env("AGENT_INIT_HOME", "").env("AGENT_INIT_GRACE", "").run().ok().quiet();
}

#[test]
fn every_spelling_of_a_boolean() {
    let sandbox = Sandbox::new();
    let run = |value: &str| {
        let names = ["AGENT_INIT_FIRST_RUN", "AGENT_INIT_DROP_CAPS", "AGENT_INIT_NO_NEW_PRIVS", "AGENT_INIT_VERBOSE"];
        names.iter().fold(sandbox.raw(["--agent=none", "true"]), |run, name| run.env(name, value)).run()
    };
    for off in ["0", "false", "No", "off"] {
        run(off).ok().quiet();
    }
    for on in ["1", "TRUE", "yes", "On"] {
        let caps = |name: &str| sandbox.raw(["--agent=none", name, on, "true"]).run().code;
        assert!([Some(0), Some(125)].contains(&caps("--drop-caps")), "{on}");
        sandbox.raw(["--agent=none", "--no-new-privs", on, "--first-run", on, "true"]).run().ok().quiet();
    }
}

#[test]
fn a_path_that_others_will_read_is_absolute() {
    let sandbox = Sandbox::new();
    for name in ["home", "work-dir", "state-dir"] {
        let variable = format!("AGENT_INIT_{}", name.to_ascii_uppercase().replace('-', "_"));
        let option = format!("--{name}");
        let run = || sandbox.raw(["true"]).unset(&variable);
        run().options([option.as_str(), "some/where"]).run().refuses(&[&option, "some/where", "not absolute"]);
        run().env(&variable, "some/where").run().refuses(&[&variable, "some/where", "not absolute"]);
    }
    let trust = sandbox.claude("cat \"$C/.claude.json\"").options(["--trust", ".:/a/b/"]).run().ok();
    trust.prints(&[&format!("\"{}\"", sandbox.text("cwd")), "\"/a/b\""]);
}

#[test]
fn an_unknown_agent_is_refused_with_the_known_ones() {
    let sandbox = Sandbox::new();
    for option in
        ["--agent=nosuch", "--agent=claude,nosuch", "--auth=nosuch=sync", "--capture=nosuch=/x", "--require=nosuch"]
    {
        let outcome = sandbox.claude("say started").options([option]).run();
        outcome.refuses(&["'nosuch'", "\n  hint: ", "claude", "codex"]).prints_no(&["started"]);
    }
}

#[test]
fn an_error_lists_what_is_accepted() {
    let sandbox = Sandbox::new();
    for (option, value, form) in [("--auth", "synch", "api-key"), ("--sync", "life", "live"), ("--grace", "soon", "8s")]
    {
        sandbox.claude(":").options([option, value]).run().refuses(&[option, value, form]);
    }
}

#[test]
fn durations_are_numbers_with_or_without_a_unit() {
    let sandbox = Sandbox::new();
    for duration in ["500ms", "8s", "2m", "1h", "8"] {
        sandbox.claude(":").options(["--grace", duration]).run().ok().quiet();
        sandbox.claude(":").env("AGENT_INIT_GRACE", duration).run().ok().quiet();
    }
}

#[test]
fn the_option_wins_over_its_variable() {
    let sandbox = Sandbox::new();
    let both = |options: [&str; 2], name: &str, value: &str| {
        sandbox.claude(":").options(options).env(name, value).env("ANTHROPIC_API_KEY", "sk-FAKE-key")
    };
    both(["--log-format", "text"], "AGENT_INIT_LOG_FORMAT", "json")
        .run()
        .ok()
        .says(&["agent-init: claude auth: API key"]);
    both(["--auth", "api-key"], "AGENT_INIT_AUTH", "ignore").run().ok().says(&["auth: API key"]);
    both(["--agent", "claude"], "AGENT_INIT_AGENT", "none").run().ok().says(&["claude auth:"]);
    both(["--agent", "none"], "AGENT_INIT_AGENT", "claude").run().ok().says_no(&["claude auth:"]);
}

#[test]
fn unknown_options_are_refused() {
    let sandbox = Sandbox::new();
    for option in ["--nosuch", "--usr", "-Z", "--nosuch=1"] {
        let name = option.split('=').next().unwrap();
        sandbox.claude("say started").options([option]).run().refuses(&[name]).prints_no(&["started"]);
    }
    sandbox.raw(["--user"]).run().refuses(&["--user"]);
}

#[test]
fn no_command_is_refused() {
    let sandbox = Sandbox::new();
    for arguments in [&[][..], &["--"], &["run"], &["run", "--"], &["--agent", "none"]] {
        sandbox.raw(arguments.iter().copied()).run().refuses(&["COMMAND"]);
    }
}

#[test]
fn an_unknown_variable_is_a_warning_with_the_nearest_name() {
    let sandbox = Sandbox::new();
    for (name, nearest) in
        [("AGENT_INIT_CAPTUR", "AGENT_INIT_CAPTURE"), ("AGENT_INIT_GRACE_PERIOD", "AGENT_INIT_GRACE")]
    {
        let outcome = sandbox.claude("say started").env(name, "1").run().ok();
        outcome.prints(&["started"]).warns_once(&[name]).says(&[nearest]);
    }
}

#[test]
fn help_and_version_are_printed() {
    let sandbox = Sandbox::new();
    let version = sandbox.raw(["--version"]).run().ok();
    assert_eq!(version.stdout, "agent-init 0.1.0\n");
    for arguments in [&["--help"][..], &["run", "--help"]] {
        sandbox.raw(arguments.iter().copied()).run().ok().prints(&["--capture", "--user", "COMMAND", "AGENT_INIT_"]);
    }
}

#[test]
fn the_log_is_json_if_asked() {
    let sandbox = Sandbox::new();
    let run = sandbox
        .claude(":")
        .options(["--log-format", "json"])
        .env("ANTHROPIC_API_KEY", "sk-FAKE-key")
        .env("AGENT_INIT_NOSUCH", "1");
    let outcome = run.run().ok();
    assert!(outcome.stderr.lines().count() >= 2, "{outcome}");
    for line in outcome.stderr.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        assert!(value.is_object(), "{line:?}");
    }
    let refused =
        sandbox.claude(":").options(["--log-format", "json"]).env("CLAUDE_CREDENTIALS_B64", "FAKE%").run().code(125);
    assert!(refused.stderr.lines().all(|line| line.starts_with('{')), "{refused}");
}

#[test]
fn quiet_prints_only_problems() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.claude(":").options(["-q"]).env("ANTHROPIC_API_KEY", "sk-FAKE-key").run().ok();
    assert_eq!(outcome.stderr, "");
}
