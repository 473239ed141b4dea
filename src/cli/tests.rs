use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())))
}

fn run(words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<(RunOptions, Vec<Message>)> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let parsed = parse(OsStr::new("agent-init"), &words, &environment(variables))?;
    match parsed.invocation {
        Invocation::Run(options, _) => Ok((options, parsed.warnings)),
        Invocation::Beside(request) => panic!("{request:?}"),
    }
}

#[test]
fn where_the_command_begins() {
    let rows: [(&[&str], &[&str]); 8] = [
        (&["claude"], &["claude"]),
        (&["claude", "--version"], &["claude", "--version"]),
        (&["run", "claude", "-p", "x"], &["claude", "-p", "x"]),
        (&["--", "run"], &["run"]),
        (&["run", "--", "--odd"], &["--odd"]),
        (&["--user", "node", "claude", "--user", "x"], &["claude", "--user", "x"]),
        (&["-q", "--", "claude", "--"], &["claude", "--"]),
        (&["claude", "--", "-x"], &["claude", "--", "-x"]),
    ];
    for (words, command) in rows {
        assert_eq!(run(words, &[]).unwrap().0.command, command, "{words:?}");
    }
}

#[test]
fn an_option_wins_over_its_twin_and_an_empty_twin_is_not_set() {
    let (options, warnings) =
        run(&["--grace", "3s", "x"], &[("AGENT_INIT_GRACE", "9s"), ("AGENT_INIT_USER", "")]).unwrap();
    assert_eq!(options.grace(), std::time::Duration::from_secs(3));
    assert_eq!(options.workplace.user, None);
    assert!(warnings.is_empty());
    let (options, _) = run(&["--user-from", "/w", "x"], &[("AGENT_INIT_USER", "node")]).unwrap();
    assert_eq!((options.workplace.user, options.workplace.user_from), (None, Some("/w".into())));
}

#[test]
fn what_is_refused_and_what_the_error_names() {
    let rows: [(&[&str], &[(&str, &str)], &str); 12] = [
        (&["--grace", "soon", "x"], &[], "--grace: 'soon' is not accepted: use a duration"),
        (&["x"], &[("AGENT_INIT_GRACE", "soon")], "AGENT_INIT_GRACE: 'soon' is not accepted"),
        (&["x"], &[("AGENT_INIT_QUIET", "maybe")], "AGENT_INIT_QUIET: 'maybe' is not accepted: use 1 or 0"),
        (&["--sync", "often", "x"], &[], "--sync: 'often' is not accepted"),
        (&["--auth", "a=b", "x"], &[], "--auth: 'a=b' is not accepted"),
        (&["--stop-signal", "NOPE", "x"], &[], "--stop-signal: 'NOPE' is not accepted"),
        (&["--no-such-option", "x"], &[], "unknown option --no-such-option"),
        (&["--store", "vault", "x"], &[], "--store: 'vault' is not accepted: 'vault' is no store"),
        (&["--user"], &[], "--user"),
        (&[], &[], "no COMMAND"),
        (&["--user", "a", "--user-from", "b", "x"], &[], "--user and --user-from"),
        (&["--stop-signal", "KILL", "x"], &[], "--stop-signal"),
    ];
    for (words, variables, expected) in rows {
        let error = run(words, variables).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{words:?}: {error}");
    }
}

#[test]
fn an_unknown_twin_names_its_nearest() {
    let (_, warnings) = run(&["x"], &[("AGENT_INIT_GRAZE", "1")]).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].hint.as_deref().unwrap().contains("AGENT_INIT_GRACE"));
}

#[test]
fn a_value_of_require_only_with_an_equals_sign() {
    let required = |words: &[&str]| run(words, &[]).unwrap().0.require.unwrap();
    assert_eq!(required(&["--require", "claude"]), Requirement::Anybody);
    assert_eq!(required(&["--require=a,b", "x"]), Requirement::Named(vec!["a".into(), "b".into()]));
    assert_eq!(run(&["x"], &[("AGENT_INIT_REQUIRE", "off")]).unwrap().0.require, Some(Requirement::Nobody));
}

#[test]
fn repeated_rewrites_add_up_and_replace_their_twin() {
    let (options, _) = run(&["--rewrite", "1:2", "--rewrite", "3:0", "x"], &[("AGENT_INIT_REWRITE", "15:2")]).unwrap();
    assert_eq!(options.rewrite.len(), 2);
    assert_eq!(run(&["x"], &[("AGENT_INIT_REWRITE", "15:2,1:0")]).unwrap().0.rewrite.len(), 2);
}

#[test]
fn help_and_version() {
    let rows: [(&[&str], &str); 6] = [
        (&["--version"], "agent-init 0.1.0\n"),
        (&["--help"], "Usage: agent-init"),
        (&["run", "--help"], "Commands:"),
        (&["status", "--help"], "Usage: agent-init status"),
        (&["plan", "--help"], "--grace"),
        (&["install", "-h"], "Usage: agent-init install PATH"),
    ];
    for (words, expected) in rows {
        assert!(printed(words).contains(expected), "{words:?}: {}", printed(words));
    }
    assert!(!printed(&["status", "--help"]).contains("--grace"));
}

fn printed(words: &[&str]) -> String {
    match asked(words, &[]).unwrap() {
        Request::Print(text) => text,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn asked(words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Request> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    match parse(OsStr::new("agent-init"), &words, &environment(variables))?.invocation {
        Invocation::Beside(request) => Ok(request),
        Invocation::Run(..) => panic!("{words:?} runs"),
    }
}

#[test]
fn commands_by_their_first_word() {
    assert!(matches!(asked(&["status", "--json"], &[]).unwrap(), Request::Status(options) if options.json));
    assert!(matches!(asked(&["doctor", "x", "--json"], &[]).unwrap(), Request::Doctor(options) if options.json));
    assert!(
        matches!(asked(&["plan", "x", "--json"], &[]).unwrap(), Request::Plan(options) if !options.json && options.run.command.len() == 2)
    );
    assert!(
        matches!(asked(&["exec", "--", "ls", "-l"], &[]).unwrap(), Request::Exec(options) if options.command.len() == 2)
    );
    assert!(matches!(asked(&["agents"], &[]).unwrap(), Request::Agents(options) if options.name.is_none()));
    assert!(matches!(asked(&["install", "/x"], &[]).unwrap(), Request::Install(options) if options.path.is_absolute()));
    assert!(
        matches!(asked(&["completions", "zsh"], &[]).unwrap(), Request::Completions(options) if options.shell == Shell::Zsh)
    );
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

/// An image's ENTRYPOINT may end with options of `run`: the name of a command is one behind them too.
#[test]
fn commands_after_options_of_run() {
    let rest = |name| match name {
        "run" | "plan" | "exec" => &["x", "-y"][..],
        "install" => &["/x"],
        "completions" => &["zsh"],
        _ => &[],
    };
    for before in BEFORE {
        for (name, word) in WORDS {
            let words: Vec<&str> = before.iter().copied().chain([name]).chain(rest(name).iter().copied()).collect();
            if word == Word::Run {
                assert_eq!(run(&words, &[]).unwrap().0.command, ["x", "-y"], "{words:?}");
                continue;
            }
            let without: Vec<&str> = [name].into_iter().chain(rest(name).iter().copied()).collect();
            let (found, alone) = (asked(&words, &[]).unwrap(), asked(&without, &[]).unwrap());
            assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&alone), "{words:?}");
            // Behind `--` it is a COMMAND.
            let command: Vec<&str> = before.iter().copied().chain(["--"]).chain(without.iter().copied()).collect();
            assert_eq!(run(&command, &[]).unwrap().0.command, without, "{command:?}");
        }
    }
}

#[test]
fn options_before_a_command_mean_to_it_what_they_mean_to_run() {
    let twins = [("AGENT_INIT_USER", "third"), ("AGENT_INIT_GRACE", "3s"), ("AGENT_INIT_STATE_DIR", "/third")];
    let before = |words: &[&str]| {
        let all: Vec<&str> = ["--user", "first", "--grace", "1s"].iter().chain(words).copied().collect();
        asked(&all, &twins).unwrap()
    };
    let Request::Status(StatusOptions { run, json, .. }) = before(&["status", "--user=second", "--json"]) else {
        panic!("no status")
    };
    assert_eq!((run.workplace.user.as_deref(), run.grace().as_secs(), json), (Some("second"), 1, true));
    assert!(!run.workplace.user_is_preset);
    let Request::Plan(PlanOptions { run, .. }) = before(&["plan", "x"]) else { panic!("no plan") };
    assert_eq!((run.workplace.user.as_deref(), run.command.len()), (Some("first"), 1));
    assert!(!run.workplace.user_is_preset);
    let Request::Setup(setup) = before(&["--agent=a", "setup", "--token"]) else { panic!("no setup") };
    assert_eq!((setup.workplace.user.as_deref(), setup.token), (Some("first"), Some(true)));
    assert_eq!(setup.agent, Some(AgentSelection::Named(vec!["a".into()])));
    let Request::Doctor(DoctorOptions { run, .. }) = asked(&["-q", "doctor"], &twins).unwrap() else {
        panic!("no doctor")
    };
    assert!(run.workplace.user_is_preset && run.workplace.user.as_deref() == Some("third"));
    for words in [&["exec", "x"][..], &["healthcheck"]] {
        let state_dir = |words: &[&str]| match before(words) {
            Request::Exec(ExecOptions { state_dir, .. }) | Request::Healthcheck(HealthcheckOptions { state_dir }) => {
                state_dir.unwrap()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(state_dir(words), std::path::Path::new("/third"));
        assert_eq!(state_dir(&[&["--state-dir", "/first"], words].concat()), std::path::Path::new("/first"));
    }
}

/// What is no option of `run`, or has a bad value, is refused before a command as it is without one.
#[test]
fn bad_options_before_a_command() {
    let rows: [(&[&str], &str); 5] = [
        (&["--grace", "soon", "agents"], "--grace: 'soon' is not accepted"),
        (&["--grace", "soon", "status"], "--grace: 'soon' is not accepted"),
        (&["--nosuch=x", "healthcheck"], "unknown option --nosuch"),
        (&["--user", "a", "--user-from", "b", "status"], "--user and --user-from"),
        (&["--store", "exec:x", "setup"], "setup captures into a directory, and --store names a store"),
    ];
    for (words, expected) in rows {
        let error = asked(words, &[]).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{words:?}: {error}");
    }
    // An option's value is no command, and an unknown option may have one.
    assert!(run(&["--user", "status", "x"], &[]).unwrap().0.command == ["x"]);
    assert!(run(&["--nosuch", "status"], &[]).is_err());
    assert!(printed(&["--user", "x", "status", "--help"]).starts_with("Shows what would authenticate"));
}

/// Which options have their value behind `=` alone is known without clap.
#[test]
fn options_without_a_value_of_their_own() {
    let mut command = <RunOptions as clap::CommandFactory>::command();
    command.build();
    for option in command.get_arguments().filter(|option| option.get_long().is_some()) {
        let takes_word = option.get_action().takes_values() && !option.is_require_equals_set();
        let long = format!("--{}", option.get_long().unwrap());
        assert_eq!(WITHOUT_VALUE.contains(&long.as_str()), !takes_word, "{long}");
        assert!(option.get_short().is_none() || !takes_word, "{long}");
    }
}

#[test]
fn twins_of_the_commands() {
    let variables = [("AGENT_INIT_WARN_WITHIN", "2h"), ("AGENT_INIT_STATE_DIR", "/s"), ("AGENT_INIT_JSON", "1")];
    match asked(&["status"], &variables).unwrap() {
        Request::Status(options) => {
            assert_eq!(options.warn_within, Some(std::time::Duration::from_secs(7200)));
            assert_eq!(options.run.conduct.state_dir, Some("/s".into()));
            assert!(!options.json);
        }
        other => panic!("{other:?}"),
    }
    assert!(
        matches!(asked(&["healthcheck"], &variables).unwrap(), Request::Healthcheck(options) if options.state_dir == Some("/s".into()))
    );
    // What another command takes is known to `run`.
    let (_, warnings) = run(&["x"], &variables).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].text.contains("AGENT_INIT_JSON"));
}

#[test]
fn what_commands_refuse() {
    let rows: [(&[&str], &str); 8] = [
        (&["status", "--nosuch"], "unknown option --nosuch"),
        (&["status", "--warn-within", "soon"], "--warn-within: 'soon' is not accepted"),
        (&["plan"], "no COMMAND"),
        (&["exec"], "no COMMAND"),
        (&["install"], "<PATH> is missing"),
        (&["install", "/a", "/b"], "unexpected word '/b'"),
        (&["completions", "tcsh"], "'tcsh' is not accepted"),
        (&["doctor", "--user", "a", "--user-from", "b"], "--user and --user-from"),
    ];
    for (words, expected) in rows {
        let error = asked(words, &[]).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{words:?}: {error}");
    }
}

#[test]
fn the_whole_command_line_is_sound() {
    whole().debug_assert();
}

/// What is read without clap is what clap reads.
#[test]
fn the_usual_command_lines() {
    let rows: [(&[&str], bool); 22] = [
        (&["x"], true),
        (&["x", "--user", "a"], true),
        (&["--", "x", "-y"], true),
        (&["--", "--user"], true),
        (&["--user", "a", "x"], true),
        (&["--user", "a:b", "--", "x", "--user", "c"], true),
        (&["--user", "", "x"], true),
        (&["--user", "1000", "--", "-x"], true),
        (&["--user", "a", "--user", "b", "x"], true),
        (
            &["--agent", "claude,codex", "--home", "/h", "--state-dir", "/s", "--work-dir", "/w", "--grace", "2m", "x"],
            true,
        ),
        (&["--store", "exec:a b", "x"], true),
        (&["--home", "", "x"], false),
        (&["--grace", "soon", "x"], false),
        (&["--store", "vault", "x"], false),
        (&["--user", "a", "-v", "x"], false),
        (&["--user", "--", "x"], false),
        (&["--user", "-1", "x"], false),
        (&["--user=a", "x"], false),
        (&["--user", "a"], false),
        (&["--user"], false),
        (&["-v", "x"], false),
        (&[], false),
    ];
    for (words, is_usual) in rows {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let found = usual::words(&words);
        assert_eq!(found.is_some(), is_usual, "{words:?}");
        if let Some(found) = found {
            let read = RunOptions::try_parse_from(with_program(&words)).unwrap();
            assert_eq!(format!("{found:?}"), format!("{read:?}"), "{words:?}");
        }
    }
}

#[test]
fn the_usual_twins() {
    let rows: [(&[(&str, &str)], bool); 6] = [
        (&[("PATH", "/bin")], true),
        (&[("AGENT_INIT_USER", "agent"), ("AGENT_INIT_HOME", "/h"), ("AGENT_INIT_GRACE", "8s")], true),
        (&[("AGENT_INIT_USER", "")], true),
        (&[("AGENT_INIT_GRACE", "soon")], false),
        (&[("AGENT_INIT_SYNC", "exit")], false),
        (&[("AGENT_INIT_NONSENSE", "")], false),
    ];
    for (variables, is_usual) in rows {
        let environment = environment(variables);
        let found = usual::twins(&environment);
        assert_eq!(found.is_some(), is_usual, "{variables:?}");
        if let Some(found) = found {
            let (words, warnings) = twins::words(&environment, <RunOptions as clap::CommandFactory>::command);
            let read = RunOptions::try_parse_from(with_program(&words)).unwrap();
            assert_eq!((format!("{found:?}"), warnings.len()), (format!("{read:?}"), 0), "{variables:?}");
        }
    }
}
