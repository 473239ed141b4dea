//! What authenticates an agent beside its own variables and logins: cloud providers, its own settings; what is known to
//! go wrong.

use crate::support::{Give, Sandbox, Session, codex_auth, needs_root};

#[test]
fn the_files_of_a_cloud_provider_reach_another_user() {
    needs_root!();
    let rows: &[(&str, &str, &str, &str)] = &[
        ("BEDROCK", "Amazon Bedrock", "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        ("BEDROCK", "Amazon Bedrock", "AWS_CONFIG_FILE", ".aws/config"),
        (
            "VERTEX",
            "Google Vertex AI",
            "GOOGLE_APPLICATION_CREDENTIALS",
            ".config/gcloud/application_default_credentials.json",
        ),
    ];
    for (switch, label, variable, default) in rows {
        for is_named in [false, true] {
            let sandbox = Sandbox::new();
            let script = format!("cat \"${variable}\"; stat -c 'MODE=%a %u' \"${variable}\"; env");
            let run = sandbox.claude(&script).options(["--user", "node"]).pid1().unset("AGENT_INIT_HOME");
            let run = run.env("HOME", sandbox.text("root")).env(&format!("CLAUDE_CODE_USE_{switch}"), "1");
            let run = if is_named {
                run.env(variable, sandbox.write("root/named", "FAKE-cloud\n").display().to_string())
            } else {
                sandbox.write(&format!("root/{default}"), "FAKE-cloud\n");
                run
            };
            let outcome = run.run().ok().prints(&["FAKE-cloud"]).says(&[&format!("claude auth: {label}")]);
            assert_eq!(outcome.variable("MODE"), Some("600 1000"), "{variable} {is_named}\n{outcome}");
        }
    }
}

/// The session of an AWS profile is where no variable leads: below HOME.
#[test]
fn the_cache_of_a_cloud_provider_goes_with_its_profile() {
    needs_root!();
    let sandbox = Sandbox::new();
    let show = "cd ~/.aws/sso/cache && cat *.json; stat -c 'MODE=%a %u' .; stat -c 'FILE=%a %u' one.json; say LISTED=$(ls -A | tr '\\n' ' ')";
    let run = |script: &str| {
        let run = sandbox.claude(script).options(["--user", "node"]).pid1().unset("AGENT_INIT_HOME");
        run.env("HOME", sandbox.text("root")).env("CLAUDE_CODE_USE_BEDROCK", "1").run()
    };
    sandbox.give("home", 1000);
    sandbox.write("root/.aws/sso/cache/one.json", "FAKE-sso-one\n");
    // Without a profile nothing asks for it.
    run("test ! -e ~/.aws").ok();
    sandbox.write("root/.aws/config", "[profile x]\n");
    sandbox.write("root/.aws/sso/cache/two.json", "FAKE-sso-two\n");
    sandbox.write("root/.aws/sso/cache/notes", "FAKE-note\n");
    sandbox.write("root/.aws/cli/cache/role.json", "FAKE-role\n");
    let outcome = run(show).ok().quiet().prints(&["FAKE-sso-one\nFAKE-sso-two\n"]).says_no(&["FAKE"]);
    let seen = ["MODE", "FILE", "LISTED"].map(|name| outcome.variable(name));
    assert_eq!(seen, [Some("700 1000"), Some("600 1000"), Some("one.json two.json")], "{outcome}");
    // What the agent refreshed outlives the container's restart, until a newer one is given.
    run("echo FAKE-refreshed >~/.aws/sso/cache/one.json").ok();
    run(show).ok().prints(&["FAKE-refreshed\nFAKE-sso-two\n"]);
    sandbox.write("root/.aws/sso/cache/one.json", "FAKE-anew\n");
    run(show).ok().prints(&["FAKE-anew\n"]);
    // A link that the agent left is not followed.
    sandbox.mkdir("elsewhere");
    run(&format!("rm -r ~/.aws && ln -s {} ~/.aws", sandbox.text("elsewhere"))).ok();
    run("say started").ok().prints(&["started"]).warns_once(&["the cache of AWS_CONFIG_FILE"]);
    assert_eq!(sandbox.path("elsewhere").read_dir().unwrap().count(), 0);
}

#[test]
fn only_the_variables_of_the_chosen_cloud_provider_are_passed() {
    let sandbox = Sandbox::new();
    sandbox.write("secrets/aws_bearer_token_bedrock", "FAKE-bearer\n");
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    let run = sandbox.claude("seen").env("CLAUDE_CODE_USE_BEDROCK", "1").env("AWS_REGION", "eu-north-1");
    let run = run.env("ANTHROPIC_API_KEY", "FAKE").env("CLAUDE_CODE_USE_VERTEX", "true");
    let run = run.env("AWS_SECRET_ACCESS_KEY_COMMAND", "echo FAKE-secret");
    let outcome = run.run().ok().says(&["claude auth: Amazon Bedrock"]);
    let rows = [
        ("CLAUDE_CODE_USE_BEDROCK", Some("1")),
        ("AWS_BEARER_TOKEN_BEDROCK", Some("FAKE-bearer")),
        ("AWS_SECRET_ACCESS_KEY", Some("FAKE-secret")),
        ("AWS_SECRET_ACCESS_KEY_COMMAND", None),
        ("AWS_REGION", Some("eu-north-1")),
        ("ANTHROPIC_API_KEY", None),
        ("CLAUDE_CODE_USE_VERTEX", None),
        ("FILE", None),
    ];
    for (name, expected) in rows {
        assert_eq!(outcome.variable(name), expected, "{name}\n{outcome}");
    }
    let gateway = sandbox.claude("seen").env("CLAUDE_CODE_USE_GATEWAY", "1").env("ANTHROPIC_AUTH_TOKEN", "FAKE");
    let outcome = gateway.run().ok().says(&["claude auth: gateway"]).says_no(&["ANTHROPIC_AUTH_TOKEN"]);
    assert_eq!(outcome.variable("ANTHROPIC_AUTH_TOKEN"), Some("FAKE"), "{outcome}");
    let off = sandbox.claude("seen").env("CLAUDE_CODE_USE_BEDROCK", "0").run().ok();
    off.says(&["claude auth: subscription login"]);
}

#[test]
fn a_helper_in_the_settings_is_a_method_and_never_a_second_one() {
    for place in ["capture/claude", "home/.claude"] {
        let sandbox = Sandbox::new();
        let settings = r#"{"apiKeyHelper":"/bin/helper","model":"opus"}"#;
        sandbox.write(&format!("{place}/settings.json"), settings);
        let show = "cat \"$C/settings.json\"";
        let outcome = sandbox.claude(show).run().ok().says(&["claude auth: API key helper, ", "settings.json"]);
        outcome.quiet().prints(&["apiKeyHelper"]);
        let outcome = sandbox.claude(show).options(["--require=claude"]).env("ANTHROPIC_API_KEY", "FAKE").run().ok();
        outcome.prints(&["opus"]).prints_no(&["apiKeyHelper"]).warns_once(&["settings.json (apiKeyHelper)"]);
        if place.starts_with("capture") {
            assert_eq!(sandbox.read("capture/claude/settings.json"), settings);
        }
    }
    let sandbox = Sandbox::new();
    sandbox.write("capture/claude/.claude.json", r#"{"primaryApiKey":"FAKE-key"}"#);
    sandbox.claude(":").run().ok().says(&["claude auth: API key of a console login"]).says_no(&["FAKE"]);
}

/// Starts that a definition knows to go wrong, and a word of what is said; then ones that it does not.
const KNOWN: &[(&str, &[&str], Give, Option<&str>)] = &[
    ("claude", &[], |_, run| run.env("IS_SANDBOX", "true"), None),
    ("claude", &["--bare"], |_, run| run.env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE"), Some("--bare")),
    ("claude", &["--bare"], |_, run| run.env("ANTHROPIC_API_KEY", "FAKE"), None),
    ("codex", &[], |_, run| run.env("OPENAI_API_KEY", "FAKE"), Some("does not read OPENAI_API_KEY")),
    ("codex", &["exec"], |_, run| run.env("CODEX_API_KEY", "FAKE"), None),
    ("codex", &[], |_, run| run.env("CODEX_API_KEY", "FAKE"), Some("does not read CODEX_API_KEY")),
    (
        "codex",
        &[],
        |_, run| run.env("CODEX_CREDENTIALS", codex_auth("a")).options(["--auth=copy"]),
        Some("invalidates"),
    ),
    ("gemini", &[], |_, run| run.env("GEMINI_API_KEY", "FAKE").env("GOOGLE_API_KEY", "FAKE"), Some("GOOGLE_API_KEY")),
    ("copilot", &[], |_, run| run.env("COPILOT_GITHUB_TOKEN", "ghp_FAKE"), Some("classic")),
    ("copilot", &[], |_, run| run.env("COPILOT_GITHUB_TOKEN", "github_pat_FAKE"), None),
];

#[test]
fn known_problems_are_warnings() {
    for (command, arguments, give, expected) in KNOWN {
        let sandbox = Sandbox::new();
        let run = sandbox.raw(["--", command, ":"]).arguments(arguments.iter().copied());
        let outcome = give(&sandbox, run).run().ok();
        match expected {
            Some(word) => outcome.warns_once(&[word]).says(&["\n  hint: "]),
            None => outcome.quiet(),
        };
    }
    if !crate::support::root_or_skip("root and bypass") {
        return;
    }
    let sandbox = Sandbox::new();
    let bypass = || sandbox.claude("seen").arguments(["--dangerously-skip-permissions"]);
    bypass().env("IS_SANDBOX", "true").run().ok().warns_once(&["IS_SANDBOX"]);
    assert_eq!(bypass().run().ok().quiet().variable("IS_SANDBOX"), Some("1"));
}

#[test]
fn a_login_in_the_agents_own_variable_is_installed() {
    let sandbox = Sandbox::new();
    let login = r#"{"openai":{"type":"oauth","access":"FAKE-a","refresh":"FAKE-r","expires":4102444800000}}"#;
    let show = "env; cat \"$XDG_DATA_HOME/opencode/auth.json\"";
    let run = sandbox.raw(["--", "opencode", show]).env("OPENCODE_AUTH_CONTENT", login);
    let outcome = run.run().ok().prints(&["FAKE-r"]).says(&["opencode auth: provider login (sync), env:"]);
    assert_eq!(outcome.variable("OPENCODE_AUTH_CONTENT"), None, "{outcome}");
}

/// Where the agent looks by itself: its own variable, then XDG's, then below HOME.
#[test]
fn a_config_directory_moves_with_the_xdg_directories() {
    let login = |token: &str| format!("github.com:\n    user: me\n    oauth_token: FAKE-{token}\n");
    let rows = [("", "", "home"), ("", "xdg", "xdg"), ("own", "xdg", "own"), ("own", "", "own")];
    for (own, xdg, expected) in rows {
        for command in ["gh", "env"] {
            let sandbox = Sandbox::new();
            for (token, place) in [("home", "home/.config/gh"), ("xdg", "xdg/gh"), ("own", "own")] {
                sandbox.write(&format!("{place}/hosts.yml"), login(token));
            }
            // Empty counts as not set.
            let named = |name: &str| if name.is_empty() { String::new() } else { sandbox.text(name) };
            let run = sandbox
                .raw(["--", command])
                .arguments((command == "gh").then_some("env; cat \"$GH_CONFIG_DIR/hosts.yml\""));
            let run = run.env("GH_CONFIG_DIR", named(own)).env("XDG_CONFIG_HOME", named(xdg));
            let outcome = run.run().ok().says(&["gh auth: GitHub login"]);
            let place = match expected {
                "home" => sandbox.text("home/.config/gh"),
                "xdg" => sandbox.text("xdg/gh"),
                _ => sandbox.text("own"),
            };
            let outcome = outcome.says(&[&format!("home:{place}/hosts.yml")]);
            assert_eq!(outcome.variable("GH_CONFIG_DIR"), Some(&*place), "{command} {own} {xdg}\n{outcome}");
            if command == "gh" {
                outcome.prints(&[&format!("FAKE-{expected}")]);
            }
        }
    }
}

#[test]
fn a_descriptor_is_readable_for_the_agents_user() {
    needs_root!();
    let sandbox = Sandbox::new();
    let script = "env; say READ=$(cat /proc/self/fd/$CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR)";
    let run = sandbox.claude(script).options(["--deliver=fd", "--user=node"]).env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-t");
    let outcome = run.pid1().run().ok();
    assert_eq!(outcome.variable("READ"), Some("FAKE-t"), "{outcome}");
    assert_eq!(outcome.variable("CLAUDE_CODE_OAUTH_TOKEN"), None, "{outcome}");
    let run = sandbox.claude("seen").env("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "7");
    run.run().ok().warns_once(&["CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR"]);
}

#[test]
fn a_mode_without_a_method_of_the_agent_is_refused() {
    let sandbox = Sandbox::new();
    let opencode = |options: &[&str]| {
        sandbox.raw(["--", "opencode", "say started"]).options(options.to_vec()).env("OPENAI_API_KEY", "FAKE").run()
    };
    let refused = opencode(&["--auth=opencode=token"]);
    refused.refuses(&["--auth opencode=token", "no such method", "api-key, session"]).prints_no(&["started"]);
    opencode(&["--auth=token"]).ok().warns_once(&["--auth token", "no such method"]).says(&["opencode auth: none"]);
    opencode(&["--prefer=cloud,api-key"]).ok().warns_once(&["--prefer cloud"]).says(&["opencode auth: OpenAI API key"]);
    opencode(&["--auth=opencode=ignore"]).ok().warns_once(&["OPENAI_API_KEY", "the mode is ignore"]);
}
