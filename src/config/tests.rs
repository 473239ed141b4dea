use super::command::{self, CommandSpec, Operand, Variables};
use super::command_name::CommandName;
use super::flag::{Action, Flag, Printed, Takes};
use super::profile::PROFILES;
use super::*;
use crate::env::Environment;
use crate::error::Failure;
use crate::log::{Level, LogFormat, Message};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())))
}

fn parsed(words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Parsed> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    parse(OsStr::new("agent-init"), &words, &environment(variables))
}

fn command(words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Command> {
    parsed(words, variables).map(|parsed| parsed.command)
}

fn run_and_warnings(words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<(RunConfig, Vec<Message>)> {
    let parsed = parsed(words, variables)?;
    match parsed.command {
        Command::Run(run) => Ok((run, parsed.warnings)),
        other => panic!("{words:?}: {other:?}"),
    }
}

fn run(words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<RunConfig> {
    run_and_warnings(words, variables).map(|(run, _)| run)
}

fn printed(words: &[&str]) -> String {
    match command(words, &[]).unwrap() {
        Command::Print(text) => text,
        other => panic!("{words:?}: {other:?}"),
    }
}

struct Refusal {
    what: String,
    hint: String,
    exit: u8,
}

fn refusal(words: &[&str], variables: &[(&str, &str)]) -> Refusal {
    let error = command(words, variables).map(|_| ()).unwrap_err();
    let failure = error.downcast::<Failure>().unwrap();
    Refusal { what: failure.what, hint: failure.hint.unwrap_or_default(), exit: failure.exit }
}

#[test]
fn where_the_command_begins() {
    let rows: [(&[&str], &[&str]); 14] = [
        (&["claude"], &["claude"]),
        (&["claude", "--version"], &["claude", "--version"]),
        (&["run", "claude", "-p", "x"], &["claude", "-p", "x"]),
        (&["--", "run"], &["run"]),
        (&["run", "--", "--odd"], &["--odd"]),
        (&["run", "run", "x"], &["run", "x"]),
        (&["--user", "node", "claude", "--user", "x"], &["claude", "--user", "x"]),
        (&["-q", "--", "claude", "--"], &["claude", "--"]),
        (&["claude", "--", "-x"], &["claude", "--", "-x"]),
        (&["--user", "status", "x"], &["x"]),
        (&["--require", "status-page"], &["status-page"]),
        (&["-v", "off"], &["off"]),
        (&["-"], &["-"]),
        (&["x", "", "--help"], &["x", "", "--help"]),
    ];
    for (words, command) in rows {
        assert_eq!(run(words, &[]).unwrap().command, command, "{words:?}");
    }
}

#[test]
fn every_default() {
    let run = run(&["x"], &[]).unwrap();
    assert_eq!((&run.agent, run.auth.of("a")), (&AgentSelection::Auto, &AuthMode::Auto));
    assert_eq!((run.store, run.deliver, run.sync), (StoreChoice::Directory, Delivery::Env, SyncMode::Live));
    assert_eq!((run.wait, run.grace), (Duration::ZERO, Duration::from_secs(8)));
    assert_eq!(run.warn_within, Duration::from_secs(7 * 86_400));
    assert_eq!((run.require, run.user), (Requirement::Nobody, UserChoice::Unchanged));
    assert_eq!((run.scope, run.first_run), (Scope::Settings, true));
    assert_eq!((run.drop_caps, run.no_new_privs, run.forward_to), (Switch::Auto, Switch::Auto, Forwarding::Group));
    assert_eq!((run.stop_signal.to_string().as_str(), run.rewrite.len(), run.prefer.len()), ("SIGTERM", 0, 0));
    assert_eq!((run.log.format, run.log.level), (LogFormat::Text, Level::Notice));
    assert_eq!((run.home, run.work_dir, run.state_dir, run.secrets, run.trust), (None, None, None, None, None));
    assert!(!run.capture.is_given() && run.compat == Compat::default());
}

/// Each option, in each of the ways to give it, and by its variable.
#[test]
fn every_option_of_run() {
    let rows: &[(&str, &str, fn(&RunConfig) -> bool)] = &[
        ("agent", "a,b", |run| run.agent == AgentSelection::Named(vec!["a".into(), "b".into()])),
        ("auth", "a=token,copy", |run| (run.auth.of("a"), run.auth.of("b")) == (&AuthMode::Token, &AuthMode::Copy)),
        ("prefer", "session, api-key", |run| run.prefer.len() == 2),
        ("capture", "/c", |run| run.capture.for_all == Some("/c".into())),
        ("store", "exec:a b", |run| run.store.helper().is_some_and(|helper| helper.argv == ["a", "b"])),
        ("secrets", "/a:/b", |run| run.secrets == Some("/a:/b".into())),
        ("deliver", "fd", |run| run.deliver == Delivery::Fd),
        ("sync", "exit", |run| run.sync == SyncMode::Exit),
        ("wait", "2m", |run| run.wait == Duration::from_secs(120)),
        ("user", "node:users", |run| run.user == UserChoice::Named("node:users".into())),
        ("user-from", "work", |run| run.user == UserChoice::OwnerOf("work".into())),
        ("home", "/h", |run| run.home == Some("/h".into())),
        ("work-dir", "/w", |run| run.work_dir == Some("/w".into())),
        ("state-dir", "/s", |run| run.state_dir == Some("/s".into())),
        ("scope", "all", |run| run.scope == Scope::All),
        ("first-run", "No", |run| !run.first_run),
        ("trust", "/a:/b", |run| run.trust == Some("/a:/b".into())),
        ("drop-caps", "TRUE", |run| run.drop_caps == Switch::On),
        ("no-new-privs", "0", |run| run.no_new_privs == Switch::Off),
        ("stop-signal", "SIGINT", |run| run.stop_signal.number() == 2),
        ("grace", "500ms", |run| run.grace == Duration::from_millis(500)),
        ("forward-to", "process", |run| run.forward_to == Forwarding::Process),
        ("rewrite", "15:2,1:0", |run| run.rewrite.len() == 2),
        ("log-format", "json", |run| run.log.format == LogFormat::Json),
        ("on-event", "notify 'a b'", |run| run.on_event == Some(vec!["notify".into(), "a b".into()])),
        ("warn-within", "3d", |run| run.warn_within == Duration::from_secs(3 * 86_400)),
    ];
    for (long, value, is_set) in rows {
        let (option, variable) = (format!("--{long}"), variable(long));
        assert!(is_set(&run(&[&option, value, "x"], &[]).unwrap()), "{option} {value}");
        assert!(is_set(&run(&[&format!("{option}={value}"), "x"], &[]).unwrap()), "{option}={value}");
        assert!(is_set(&run(&["run", &option, value, "x"], &[]).unwrap()), "run {option} {value}");
        assert!(is_set(&run(&[&option, value, "run", "x"], &[]).unwrap()), "{option} {value} run");
        assert!(is_set(&run(&["x"], &[(&variable, value)]).unwrap()), "{variable}={value}");
        if !matches!(*long, "user" | "drop-caps" | "no-new-privs") {
            assert!(!is_set(&run(&["x"], &[(&variable, "")]).unwrap()), "{variable} empty");
        }
    }
    let takes_value = flags::all().filter(|flag| flag.is_shown_in(CommandName::Run));
    let takes_value = takes_value.filter(|flag| matches!(flag.takes, Takes::Value(..)));
    assert_eq!(takes_value.count(), rows.len());
}

fn variable(long: &str) -> String {
    format!("{PREFIX}{}", long.to_ascii_uppercase().replace('-', "_"))
}

#[test]
fn an_option_wins_over_its_variable_and_an_empty_variable_is_not_set() {
    let variables = [("AGENT_INIT_GRACE", "9s"), ("AGENT_INIT_HOME", "")];
    let (run, warnings) = run_and_warnings(&["--grace", "3s", "x"], &variables).unwrap();
    assert_eq!((run.grace, run.home), (Duration::from_secs(3), None));
    assert!(warnings.is_empty());
    // A value that is not used is read all the same.
    assert!(refusal(&["--grace", "3s", "x"], &[("AGENT_INIT_GRACE", "soon")]).what.contains("AGENT_INIT_GRACE"));
}

/// What an empty one stands for must not be guessed where a wrong guess gives the agent more rights.
#[test]
fn an_empty_variable_that_limits_the_agent_is_refused() {
    let rows = [
        ("AGENT_INIT_USER", "a user"),
        ("AGENT_INIT_DROP_CAPS", "on, off or auto"),
        ("AGENT_INIT_NO_NEW_PRIVS", "auto"),
    ];
    for (variable, remedy) in rows {
        for words in [&["x"][..], &["status"], &["doctor"], &["plan", "x"], &["--user", "node", "--drop-caps=on", "x"]]
        {
            let failure = refusal(words, &[(variable, "")]);
            assert!(failure.what.contains(variable) && failure.what.contains("empty"), "{words:?}: {}", failure.what);
            let hint = failure.hint;
            assert!(
                hint.contains(remedy) && hint.contains("unset it") && hint.contains("compose"),
                "{words:?}: {hint}"
            );
        }
        for words in [&["healthcheck"][..], &["exec", "x"], &["agents"], &["version"]] {
            assert!(command(words, &[(variable, "")]).is_ok(), "{words:?} {variable}");
        }
    }
}

#[test]
fn help_and_version_are_commands_too() {
    let printed = |words: &[&str]| match command(words, &[]).unwrap() {
        Command::Print(text) => text,
        other => panic!("{words:?}: {other:?}"),
    };
    assert_eq!(printed(&["version"]), printed(&["--version"]));
    assert_eq!(printed(&["help"]), printed(&["--help"]));
    for name in CommandName::VALUES {
        assert_eq!(printed(&["help", name.word()]), printed(&[name.word(), "--help"]), "{}", name.word());
    }
    let unknown = refusal(&["help", "nosuch"], &[]);
    assert!(unknown.what.contains("unknown command 'nosuch'") && unknown.hint.contains("setup"));
    assert!(matches!(command(&["--", "help"], &[]).unwrap(), Command::Run(_)));
}

#[test]
fn the_last_of_repeated_options_counts() {
    let run = run(&["--grace", "1s", "--sync=exit", "--grace=2s", "--user", "a", "--user", "b", "x"], &[]).unwrap();
    assert_eq!((run.grace, run.user), (Duration::from_secs(2), UserChoice::Named("b".into())));
    assert!(matches!(command(&["agents", "--json", "--json"], &[]).unwrap(), Command::Agents(agents) if agents.json));
}

/// The user can be named in two ways, which exclude each other. On the command line either silences the variable of the
/// other, and what follows a command's name silences what is before it.
#[test]
fn who_the_user_is() {
    let user = |words: &[&str], variables: &[(&str, &str)]| {
        let run = run(words, variables).unwrap();
        (run.user, run.user_is_preset)
    };
    let both = [("AGENT_INIT_USER", "node"), ("AGENT_INIT_USER_FROM", "/v")];
    let owner = UserChoice::OwnerOf("/w".into());
    assert_eq!(user(&["--user-from", "/w", "x"], &both[..1]), (owner.clone(), false));
    assert_eq!(user(&["--user-from", "/w", "x"], &both), (owner.clone(), false));
    assert_eq!(user(&["x"], &both[..1]), (UserChoice::Named("node".into()), true));
    assert_eq!(user(&["--user", "a", "run", "--user-from", "/w", "x"], &both), (owner, false));
    assert_eq!(user(&["--user", "", "x"], &[]), (UserChoice::Named(String::new()), false));
    for (words, variables) in [(&["x"][..], &both[..]), (&["--user=a", "--user-from=b", "x"], &[])] {
        assert!(refusal(words, variables).what.contains("--user and --user-from"), "{words:?}");
    }
    let preset = run(&["x"], &both[..1]).unwrap();
    assert!(preset.user_is_void((1000, 1000)) && !preset.user_is_void((0, 0)));
    assert!(!run(&["--user", "a", "x"], &[]).unwrap().user_is_void((1000, 1000)));
}

#[test]
fn what_is_refused_and_what_the_error_names() {
    let rows: &[(&[&str], &[(&str, &str)], &str, &str)] = &[
        (&["--grace", "soon", "x"], &[], "--grace: 'soon' is not a duration", "500ms, 8s, 2m, 1h or 7d"),
        (&["--grace", "2M", "x"], &[], "--grace: '2M' is not a duration", "2m"),
        (&["--grace=", "x"], &[], "--grace: '' is not a duration", "8s"),
        (&["--grace=-1", "x"], &[], "--grace: '-1' is not a duration", "8s"),
        (&["x"], &[("AGENT_INIT_GRACE", "soon")], "AGENT_INIT_GRACE: 'soon' is not a duration", "8s"),
        (&["x"], &[("AGENT_INIT_QUIET", "maybe")], "AGENT_INIT_QUIET: unknown value 'maybe'", "1 or 0, true or false"),
        (&["--verbose=", "x"], &[], "--verbose: unknown value ''", "on or off"),
        (&["-v=maybe", "x"], &[], "--verbose: unknown value 'maybe'", "on or off"),
        (&["--sync", "often", "x"], &[], "--sync: unknown time 'often'", "live, exit or off"),
        (&["--sync", "LIVE", "x"], &[], "--sync: unknown time 'LIVE'", "live"),
        (&["--auth", "a=b", "x"], &[], "--auth: unknown mode 'b' in 'a=b'", "api-key"),
        (&["--auth", "a=copy,a=sync", "x"], &[], "--auth: 'a' is given twice", "NAME=MODE"),
        (&["--auth", "copy,sync", "x"], &[], "--auth: there are two values for all agents", "NAME=MODE"),
        (&["--capture", "", "x"], &[], "--capture: the name of a directory is empty", "DIR"),
        (&["--stop-signal", "NOPE", "x"], &[], "--stop-signal: 'NOPE' is not a signal", "TERM"),
        (&["--stop-signal", "KILL", "x"], &[], "--stop-signal: SIGKILL cannot start a stop", "TERM"),
        (&["x"], &[("AGENT_INIT_REWRITE", "15")], "AGENT_INIT_REWRITE: '15' is not a pair", "FROM:TO"),
        (&["--store", "vault", "x"], &[], "--store: unknown store 'vault'", "exec:"),
        (&["--store", "exec:a|b", "x"], &[], "--store: the command after exec: is not a list", "script"),
        (&["--home", "some/where", "x"], &[], "--home: 'some/where' is not absolute", "/"),
        (&["x"], &[("AGENT_INIT_WORK_DIR", "w")], "AGENT_INIT_WORK_DIR: 'w' is not absolute", "/"),
        (&["--state-dir=", "x"], &[], "--state-dir: the path is empty", "/"),
        (&["--require=", "x"], &[], "--require: the name of an agent is empty", "agents"),
        (&["--no-such-option", "x"], &[], "unknown option --no-such-option", "--help"),
        (&["--usr=1", "x"], &[], "unknown option --usr", "did you mean --user?"),
        (&["-Z", "x"], &[], "unknown option -Z", "--help"),
        (&["-vZ", "x"], &[], "unknown option -Z", "--help"),
        (&["-voff", "x"], &[], "unknown option -o", "--help"),
        (&["--json", "x"], &[], "unknown option --json", "plan"),
        (&["--user"], &[], "--user needs a value", "--user USER[:GROUP]"),
        (&["--user", "-1", "x"], &[], "--user needs a value", "--user=VALUE"),
        (&["--user", "--", "x"], &[], "--user needs a value", "--help"),
        (&[], &[], "no COMMAND", "usage: agent-init [run]"),
        (&["--"], &[], "no COMMAND", "usage: agent-init [run]"),
        (&["run"], &[], "no COMMAND", "usage: agent-init [run]"),
        (&["--agent", "none"], &[], "no COMMAND", "usage: agent-init [run]"),
        (&["--store", "exec:a", "--capture", "/c", "x"], &[], "--store exec: and --capture", "NAME_CREDENTIALS_FILE"),
    ];
    for (words, variables, what, hint) in rows {
        let found = refusal(words, variables);
        assert!(found.what.starts_with(what), "{words:?} {variables:?}: {}", found.what);
        assert!(found.hint.contains(hint), "{words:?} {variables:?}: {}", found.hint);
        assert_eq!(found.exit, 125);
    }
}

#[test]
fn words_that_are_not_utf_8() {
    let bad = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let parse = |words: &[OsString]| parse(OsStr::new("agent-init"), words, &environment(&[]));
    // Paths and COMMAND may hold any bytes.
    let words = [bad(b"--home=/\xff"), "--trust".into(), bad(b"/\xfe"), bad(b"x\xff"), bad(b"-\xff")];
    let Command::Run(run) = parse(&words).unwrap().command else { panic!("no run") };
    assert_eq!((run.home, run.trust), (Some(bad(b"/\xff").into()), Some(bad(b"/\xfe"))));
    assert_eq!(run.command, words[3..]);
    let rows: &[(&[OsString], &str)] = &[
        (&["--grace".into(), bad(b"\xff"), "x".into()], "--grace: the value is not valid UTF-8"),
        (&[bad(b"--user=\xff"), "x".into()], "--user: the value is not valid UTF-8"),
        (&[bad(b"--gr\xff=1")], "unknown option (not shown)"),
        (&[bad(b"-\xff")], "unknown option (not shown)"),
        (&[bad(b"-v\xff")], "unknown option (not shown)"),
        (&["agents".into(), bad(b"\xff")], "the word is not valid UTF-8"),
        (&["healthcheck".into(), bad(b"\xff")], "unexpected word (not shown)"),
    ];
    for (words, expected) in rows {
        assert_eq!(parse(words).map(|_| ()).unwrap_err().to_string(), *expected, "{words:?}");
    }
    let variables =
        Environment::new([("AGENT_INIT_GRACE".into(), bad(b"\xff")), (bad(b"AGENT_INIT_\xff"), "x".into())]);
    let error = super::parse(OsStr::new("agent-init"), &["x".into()], &variables).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "AGENT_INIT_GRACE: the value is not valid UTF-8");
}

#[test]
fn an_unknown_variable_names_its_nearest() {
    for (name, nearest) in [
        ("AGENT_INIT_GRAZE", "AGENT_INIT_GRACE"),
        ("AGENT_INIT_CAPTUR", "AGENT_INIT_CAPTURE"),
        ("AGENT_INIT_GRACE_PERIOD", "AGENT_INIT_GRACE"),
    ] {
        let (_, warnings) = run_and_warnings(&["x"], &[(name, "1")]).unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].text.contains(name), "{warnings:?}");
        assert!(warnings[0].hint.as_deref().unwrap().contains(nearest), "{warnings:?}");
    }
}

#[test]
fn booleans_of_options_without_a_value() {
    let level = |words: &[&str]| run(words, &[]).unwrap().log.level;
    for on in [&["-v", "x"][..], &["--verbose", "x"], &["--verbose=1", "x"], &["-v=yes", "x"], &["-vq", "x"]] {
        assert_eq!(level(on), Level::Detail, "{on:?}");
    }
    for off in [&["-v=off", "x"][..], &["--verbose=0", "x"], &["-v", "-v=No", "x"]] {
        assert_eq!(level(off), Level::Notice, "{off:?}");
    }
    for quiet in [&["-q", "x"][..], &["-qq", "x"], &["-q=on", "x"], &["-qv=off", "x"], &["-v=off", "-q", "x"]] {
        assert_eq!(level(quiet), Level::Warning, "{quiet:?}");
    }
    assert_eq!(run(&["-q", "x"], &[("AGENT_INIT_VERBOSE", "1")]).unwrap().log.level, Level::Detail);
}

#[test]
fn a_value_of_require_only_with_an_equals_sign() {
    let required = |words: &[&str]| run(words, &[]).unwrap().require;
    assert_eq!(required(&["--require", "claude"]), Requirement::Anybody);
    assert_eq!(required(&["--require=a,b", "x"]), Requirement::Named(vec!["a".into(), "b".into()]));
    assert_eq!(run(&["x"], &[("AGENT_INIT_REQUIRE", "off")]).unwrap().require, Requirement::Nobody);
    assert_eq!(run(&["--require=off", "x"], &[("AGENT_INIT_REQUIRE", "1")]).unwrap().require, Requirement::Nobody);
}

#[test]
fn repeated_rewrites_add_up_and_replace_their_variable() {
    let variables = [("AGENT_INIT_REWRITE", "15:2")];
    assert_eq!(run(&["--rewrite", "1:2", "--rewrite", "3:0", "x"], &variables).unwrap().rewrite.len(), 2);
    assert_eq!(run(&["x"], &[("AGENT_INIT_REWRITE", "15:2,1:0")]).unwrap().rewrite.len(), 2);
    // The first of two variables of one name counts, once.
    let rewrite = run(&["x"], &[("AGENT_INIT_REWRITE", "15:2"), ("AGENT_INIT_REWRITE", "1:0")]).unwrap().rewrite;
    assert_eq!(rewrite.len(), 1);
}

#[test]
fn help_and_version() {
    let rows: [(&[&str], &str); 10] = [
        (&["--version"], "agent-init 0.1.0\n"),
        (&["-V"], "agent-init 0.1.0\n"),
        (&["run", "--version"], "agent-init 0.1.0\n"),
        (&["--help"], "Usage: agent-init"),
        (&["run", "--help"], "Commands:"),
        (&["-h"], "Commands:"),
        (&["--user", "x", "status", "--help"], "Usage: agent-init status"),
        (&["plan", "--help"], "--grace"),
        (&["install", "-h"], "Usage: agent-init install PATH"),
        (&["--help=x"], "Usage: agent-init"),
    ];
    for (words, expected) in rows {
        assert!(printed(words).contains(expected), "{words:?}: {}", printed(words));
    }
    assert!(!printed(&["status", "--help"]).contains("--grace"));
    // Whoever asks for help gets it, whatever the environment says.
    assert!(matches!(command(&["--help"], &[("AGENT_INIT_GRACE", "soon")]).unwrap(), Command::Print(_)));
    assert!(printed(&["-h"]).len() < printed(&["--help"]).len());
}

/// Every program with a command line of its own.
fn every_spec() -> Vec<&'static CommandSpec> {
    let commands = CommandName::VALUES.iter().map(|name| name.spec());
    commands.chain(PROFILES.iter().map(|profile| &profile.spec)).collect()
}

#[test]
fn help_fits_80_columns_and_names_every_option() {
    for spec in every_spec() {
        for page in [help::short(spec), help::long(spec)] {
            for line in page.lines() {
                assert!(line.chars().count() <= 80 && line.trim_end() == line, "{}: {line:?}", spec.program);
            }
            for flag in spec.shown_flags() {
                assert!(page.contains(&flag.spelled()), "{}: {}", spec.program, flag.spelled());
            }
            assert!(!page.contains("\n\n\n") && page.ends_with('\n'), "{page}");
        }
    }
}

#[test]
fn commands_by_their_first_word() {
    assert!(
        matches!(command(&["status", "--json"], &[]).unwrap(), Command::Status(status) if status.form == StatusForm::Json)
    );
    assert!(matches!(command(&["doctor", "x", "--json"], &[]).unwrap(), Command::Doctor(doctor) if doctor.json));
    let Command::Plan(plan) = command(&["plan", "x", "--json"], &[]).unwrap() else { panic!("no plan") };
    assert_eq!((plan.json, plan.run.command.len()), (false, 2));
    let Command::Exec(exec) = command(&["exec", "--", "ls", "-l"], &[]).unwrap() else { panic!("no exec") };
    assert_eq!(exec.command, ["ls", "-l"]);
    let Command::Agents(agents) = command(&["agents", "a", "--json"], &[]).unwrap() else { panic!("no agents") };
    assert_eq!((agents.name.as_deref(), agents.json), (Some("a"), true));
    assert!(matches!(command(&["agents"], &[]).unwrap(), Command::Agents(agents) if agents.name.is_none()));
    assert!(matches!(command(&["install", "/x"], &[]).unwrap(), Command::Install(path) if path.is_absolute()));
    assert!(
        matches!(command(&["install", "--", "-x"], &[]).unwrap(), Command::Install(path) if path == OsStr::new("-x"))
    );
    assert!(matches!(command(&["completions", "zsh"], &[]).unwrap(), Command::Completions(Shell::Zsh)));
    let Command::Status(status) = command(&["status", "a", "--", "--json", "-x"], &[]).unwrap() else {
        panic!("no status")
    };
    assert_eq!((status.form, status.inspection.run.command.len()), (StatusForm::Text(Detail::Normal), 3));
    let Command::Setup(setup) = command(&["setup", "--auto", "x", "-y"], &[]).unwrap() else { panic!("no setup") };
    assert_eq!((setup.auto, setup.token, setup.run.command.len()), (true, false, 2));
}

/// Options of `run` in each of their forms.
const BEFORE: [&[&str]; 9] = [
    &["--user", "node"],
    &["--user=node"],
    &["-v"],
    &["-vq"],
    &["--verbose=off", "--require"],
    &["--capture", "claude=/x", "--sync", "exit"],
    &["--require=claude", "--user", "node", "--rewrite", "15:2", "--trust", "/a:/b"],
    &["--drop-caps", "on", "--grace=3s", "--first-run", "off"],
    &["--log-format", "json", "--state-dir", "/s", "--user-from", "/w"],
];

/// An image's ENTRYPOINT may end with options of `run`: the name of a command is recognised after them too.
#[test]
fn commands_after_options_of_run() {
    let rest = |name| match name {
        CommandName::Run | CommandName::Plan | CommandName::Exec => &["x", "-y"][..],
        CommandName::Install => &["/x"],
        CommandName::Completions => &["zsh"],
        _ => &[],
    };
    for before in BEFORE {
        for name in CommandName::VALUES {
            let without: Vec<&str> = [name.word()].into_iter().chain(rest(*name).iter().copied()).collect();
            let words = [before, &without].concat();
            let (found, alone) = (command(&words, &[]).unwrap(), command(&without, &[]).unwrap());
            assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&alone), "{words:?}");
            // After `--` it is a COMMAND.
            let separated = [before, &["--"], &without].concat();
            assert_eq!(run(&separated, &[]).unwrap().command, without, "{separated:?}");
        }
    }
}

#[test]
fn options_before_a_command_mean_to_it_what_they_mean_to_run() {
    let variables = [("AGENT_INIT_USER", "third"), ("AGENT_INIT_GRACE", "3s"), ("AGENT_INIT_STATE_DIR", "/third")];
    let before = |words: &[&str]| {
        let all: Vec<&str> = ["--user", "first", "--grace", "1s"].iter().chain(words).copied().collect();
        command(&all, &variables).unwrap()
    };
    let user = |name: &str| UserChoice::Named(name.into());
    let Command::Status(status) = before(&["status", "--user=second", "--json"]) else { panic!("no status") };
    let looked_at = status.inspection.run;
    assert_eq!((looked_at.user, looked_at.grace.as_secs(), status.form), (user("second"), 1, StatusForm::Json));
    assert!(!looked_at.user_is_preset);
    let Command::Plan(plan) = before(&["plan", "x"]) else { panic!("no plan") };
    assert_eq!((plan.run.user, plan.run.command.len(), plan.run.user_is_preset), (user("first"), 1, false));
    let Command::Setup(setup) = before(&["--agent=a", "setup", "--token"]) else { panic!("no setup") };
    assert_eq!((setup.run.user, setup.token), (user("first"), true));
    assert_eq!(setup.run.agent, AgentSelection::Named(vec!["a".into()]));
    let Command::Doctor(doctor) = command(&["-q", "doctor"], &variables).unwrap() else { panic!("no doctor") };
    assert_eq!((doctor.inspection.run.user, doctor.inspection.run.user_is_preset), (user("third"), true));
    for words in [&["exec", "x"][..], &["healthcheck"]] {
        let state_dir = |words: &[&str]| match before(words) {
            Command::Exec(ExecConfig { state_dir, .. }) | Command::Healthcheck(HealthcheckConfig { state_dir, .. }) => {
                state_dir.unwrap()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(state_dir(words), std::path::Path::new("/third"));
        assert_eq!(state_dir(&[&["--state-dir", "/first"], words].concat()), std::path::Path::new("/first"));
    }
    // What a command does not take means nothing to it.
    assert_eq!(parsed(&["-q", "--log-format=json", "install", "/x"], &[]).unwrap().log, LogConfig::default());
    assert_eq!(parsed(&["-q", "status"], &[]).unwrap().log.level, Level::Warning);
}

/// What is no option of `run`, or has a bad value, is refused before a command as it is without one.
#[test]
fn bad_options_before_a_command() {
    let rows: [(&[&str], &str); 7] = [
        (&["--grace", "soon", "agents"], "--grace: 'soon' is not a duration"),
        (&["--grace", "soon", "status"], "--grace: 'soon' is not a duration"),
        (&["--nosuch=x", "healthcheck"], "unknown option --nosuch"),
        (&["--nosuch", "status"], "unknown option --nosuch"),
        (&["--user", "a", "--user-from", "b", "status"], "--user and --user-from"),
        (&["--store", "exec:x", "setup"], "setup captures into a directory, but --store names a store"),
        (&["setup", "--auth", "sync"], "unknown option --auth"),
    ];
    for (words, expected) in rows {
        let error = refusal(words, &[]).what;
        assert!(error.contains(expected), "{words:?}: {error}");
    }
    let stored = [("AGENT_INIT_STORE", "exec:x")];
    let error = refusal(&["setup"], &stored).what;
    assert_eq!(error, "setup captures into a directory, but AGENT_INIT_STORE names a store");
    assert!(
        command(&["--store=dir", "setup"], &stored).is_ok()
            && command(&["setup"], &[("AGENT_INIT_STORE", "dir")]).is_ok()
    );
}

#[test]
fn variables_of_the_commands() {
    let variables = [("AGENT_INIT_WARN_WITHIN", "2h"), ("AGENT_INIT_STATE_DIR", "/s"), ("AGENT_INIT_JSON", "1")];
    let Command::Status(status) = command(&["status"], &variables).unwrap() else { panic!("no status") };
    assert_eq!(
        (status.inspection.run.warn_within, status.form),
        (Duration::from_secs(7200), StatusForm::Text(Detail::Normal))
    );
    assert_eq!(status.inspection.run.state_dir, Some("/s".into()));
    let parsed = parsed(&["healthcheck"], &variables).unwrap();
    assert!(matches!(parsed.command, Command::Healthcheck(HealthcheckConfig { state_dir: Some(_), .. })));
    assert!(parsed.warnings.is_empty());
    // What another command takes is known to `run`.
    let (_, warnings) = run_and_warnings(&["x"], &variables).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].text.contains("AGENT_INIT_JSON"));
    // A bad value of an option that the command does not take means nothing to it.
    for words in [&["agents"][..], &["healthcheck"], &["exec", "x"], &["install", "/x"], &["completions", "fish"]] {
        assert!(command(words, &[("AGENT_INIT_GRACE", "soon")]).is_ok(), "{words:?}");
    }
    let Command::Setup(setup) =
        command(&["setup"], &[("AGENT_INIT_AUTO", "yes"), ("AGENT_INIT_TOKEN", "off")]).unwrap()
    else {
        panic!("no setup")
    };
    assert_eq!((setup.auto, setup.token), (true, false));
    let Command::Status(status) = command(&["status"], &[]).unwrap() else { panic!("no status") };
    assert_eq!(status.inspection.run.warn_within.as_secs(), 7 * 86_400);
}

#[test]
fn what_commands_refuse() {
    let rows: [(&[&str], &str); 16] = [
        (&["status", "--nosuch"], "unknown option --nosuch"),
        (&["status", "--version"], "unknown option --version"),
        (&["status", "x", "-p"], "unknown option -p"),
        (&["status", "--warn-within", "soon"], "--warn-within: 'soon' is not a duration"),
        (&["status", "--short", "--json"], "--short and --json are both set"),
        (&["status", "--json", "--openmetrics"], "--json and --openmetrics are both set"),
        (&["doctor", "--json=1"], "--json takes no value"),
        (&["plan"], "no COMMAND"),
        (&["exec"], "no COMMAND"),
        (&["install"], "PATH is missing"),
        (&["install", "/a", "/b"], "unexpected word '/b'"),
        (&["agents", "a", "b"], "unexpected word 'b'"),
        (&["healthcheck", "x"], "unexpected word 'x'"),
        (&["completions"], "SHELL is missing"),
        (&["completions", "tcsh"], "unknown shell 'tcsh'"),
        (&["doctor", "--user", "a", "--user-from", "b"], "--user and --user-from"),
    ];
    for (words, expected) in rows {
        let error = refusal(words, &[]).what;
        assert!(error.contains(expected), "{words:?}: {error}");
    }
}

/// A command after `docker exec` looks where the run of PID 1 looks.
#[test]
fn what_is_not_given_is_as_pid_1_was_told() {
    let init = |words: &[&str]| InitConfig::of(&words.iter().map(OsString::from).collect::<Vec<_>>());
    let line =
        ["/bin/agent-init", "--user=node", "--state-dir", "/s", "--rewrite=15:2", "-q", "run", "--grace=3s", "x"];
    let init_run = init(&line).unwrap();
    let looked_at = |words: &[&str], variables: &[(&str, &str)]| match command(words, variables).unwrap() {
        Command::Status(status) => status.inspection.with_init(&init_run).unwrap(),
        other => panic!("{other:?}"),
    };
    let alone = looked_at(&["status"], &[]);
    assert_eq!((alone.user, alone.user_is_preset), (UserChoice::Named("node".into()), true));
    assert_eq!((alone.state_dir, alone.grace), (Some("/s".into()), Duration::from_secs(3)));
    assert_eq!((alone.command.len(), alone.rewrite.len()), (1, 1));
    let own = looked_at(&["--user-from=/w", "status", "y", "z"], &[("AGENT_INIT_STATE_DIR", "/t")]);
    assert_eq!((own.user, own.user_is_preset), (UserChoice::OwnerOf("/w".into()), false));
    assert_eq!((own.state_dir, own.command.len()), (Some("/t".into()), 2));
    assert_eq!(init_run.run.state_dir, Some("/s".into()));
    let keeper = init(&["agent-init", "--capture=/c", "keep", "--state-dir=/k", "--before=1h"]).unwrap();
    assert!(keeper.is_keeper && !init_run.is_keeper);
    assert_eq!(keeper.run.state_dir, Some("/k".into()));
    for other in [&[][..], &["/bin/sh", "x"], &["agent-init"], &["agent-init", "setup"], &["tini", "x"]] {
        assert!(init(other).is_none(), "{other:?}");
    }
}

#[test]
fn an_init_by_another_name() {
    let parse = |program: &str| parse(OsStr::new(program), &["x".into()], &environment(&[])).unwrap();
    assert_eq!(parse("/sbin/dumb-init").compat().exec_status_of_missing_command(), 2);
    assert_eq!(parse("/sbin/tini").compat().exec_status_of_missing_command(), 127);
    assert_eq!(parse("agent-init").compat(), Compat::default());
    assert_eq!((Compat::default().exit_status(125), parse("tini").compat().exit_status(125)), (125, 1));
    assert_eq!(parse("tini").compat().exit_status(143), 143);
}

impl Compat {
    fn exec_status_of_missing_command(&self) -> u8 {
        self.exit_status(127)
    }
}

/// The definition itself.
#[test]
fn the_table_is_sound() {
    let mut names = BTreeSet::new();
    for flag in flags::all() {
        let long = flag.long().unwrap();
        assert!(names.insert(long.to_owned()), "--{long} stands twice");
        assert!(flag.short().is_none_or(|short| names.insert(short.to_string())), "{long}");
        assert!(flag.variable.is_none_or(|name| name == variable(long)), "{long}");
        let is_asked_each_time = matches!(long, "short" | "openmetrics" | "json" | "idle" | "help" | "version");
        assert_eq!(flag.variable.is_none(), is_asked_each_time, "{long}");
        assert!(flag.short().is_none() || !matches!(flag.takes, Takes::Value(..)), "{long}");
        let shown: BTreeSet<&str> = flag.taken_by.shown.iter().map(|command| command.word()).collect();
        assert_eq!(shown.len(), flag.taken_by.shown.len(), "{long}");
        assert!(!flag.taken_by.hidden.iter().any(|command| shown.contains(command.word())), "{long}");
        for about in std::iter::once(flag.about).chain(flag.about_in.iter().map(|(_, about)| *about)) {
            assert!(about.short.len() <= 52 && !about.short.ends_with(". "), "{long}: {}", about.short);
            assert!(about.long.is_empty() || about.long.ends_with('.'), "{long}");
        }
        for (command, _) in flag.about_in {
            assert!(flag.is_shown_in(*command), "{long}");
        }
    }
    // `status` and `doctor` take what `run` takes, so that one set of words gives one answer.
    for flag in flags::all().filter(|flag| flag.is_taken_by(CommandName::Run) && flag.long() != Some("version")) {
        for command in [CommandName::Plan, CommandName::Status, CommandName::Doctor] {
            assert!(flag.is_taken_by(command), "{} of {}", flag.spelled(), command.word());
        }
    }
    for spec in every_spec() {
        let is_help = |flag: &&'static Flag| matches!(flag.action, Action::Print(Printed::Help));
        assert_eq!(spec.flags().filter(is_help).count(), 1, "{}", spec.program);
        assert!(spec.usage.starts_with(spec.program) || spec.usage.starts_with("tini"), "{}", spec.program);
        let needs_words = matches!(spec.operand, Operand::CommandToLookAt);
        assert!(!needs_words || spec.variables == Variables::OwnAndWarn, "{}", spec.program);
    }
    assert!(command::RUN.flags().count() > 25);
    assert_eq!(AuthMode::ApiKey.word(), "api-key");
}

/// A word of a command line: an option, a value, the name of a command, or any bytes.
fn any_word() -> impl Strategy<Value = OsString> {
    let options: Vec<String> = flags::all().map(Flag::spelled).collect();
    let names: Vec<&str> = CommandName::WORDS.iter().map(|word| word.word).collect();
    let values = ["on", "a=b", "/x", "15:2", "3s", "auto", "exec:x", "", "-", "--", "-v", "-vq", "-v=off", "-=", "--="];
    let given =
        (select(options.clone()), select(values.to_vec())).prop_map(|(option, value)| format!("{option}={value}"));
    prop_oneof![
        select(options).prop_map(OsString::from),
        given.prop_map(OsString::from),
        select(names).prop_map(OsString::from),
        select(values.to_vec()).prop_map(OsString::from),
        vec(1_u8.., 0..6).prop_map(|bytes| OsStr::from_bytes(&bytes).to_owned()),
    ]
}

proptest! {
    /// Whatever stands on a command line, it is read or refused in words, and COMMAND is the end of it as it was.
    #[test]
    fn any_command_line(words in vec(any_word(), 0..7), program in select(vec!["agent-init", "tini", "dumb-init"])) {
        match parse(OsStr::new(program), &words, &environment(&[("AGENT_INIT_SYNC", "exit")])) {
            Ok(Parsed { command: Command::Run(run), .. }) => {
                prop_assert!(!run.command.is_empty() && words.ends_with(&run.command), "{:?}", run.command);
            }
            Ok(Parsed { command: Command::Print(text), .. }) => prop_assert!(text.ends_with('\n')),
            Ok(_) => {}
            Err(error) => {
                let failure = error.downcast::<Failure>().expect("a failure of ours");
                prop_assert!(!failure.what.is_empty() && failure.hint.is_some(), "{failure:?}");
            }
        }
    }
}
