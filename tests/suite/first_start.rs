//! The first start of real agents in a fresh container: with the first-run state they come to their prompt without a
//! question, and answer without a terminal; without it they ask, or refuse.

use serde_json::Value;

use crate::support::{ANSWER, LIMIT, NODE, Run, Sandbox, Screen, Vendor, assert_kept, needs_root};

/// A first start at a terminal.
struct Interactive {
    command: &'static [&'static str],
    /// What authenticates it, and where it finds the vendor.
    give: fn(&Sandbox, &Vendor, Run) -> Run,
    /// Settings that were there before: file of the home, content.
    settings: &'static [(&'static str, &'static str)],
    /// What stands on the screen when it waits for the first prompt, and not before.
    prompt: &'static [&'static str],
    /// What stands in its dialogs.
    dialogs: &'static [&'static str],
    /// What it asks without the state, if it asks at all.
    asks: Option<&'static str>,
}

fn claude_session(sandbox: &Sandbox, vendor: &Vendor, run: Run) -> Run {
    sandbox.captured("claude", ".credentials.json", &vendor.login("claude", 3600));
    run
}

fn claude_key(_: &Sandbox, vendor: &Vendor, run: Run) -> Run {
    run.env("ANTHROPIC_API_KEY", vendor.key("claude", "key"))
}

/// In a repository: elsewhere `codex exec` does not start.
fn codex_key(sandbox: &Sandbox, vendor: &Vendor, run: Run) -> Run {
    for part in ["objects", "refs"] {
        sandbox.mkdir(&format!("cwd/.git/{part}"));
    }
    sandbox.write("cwd/.git/HEAD", "ref: refs/heads/main\n");
    let login = format!(r#"{{"auth_mode":"apikey","OPENAI_API_KEY":"{}"}}"#, vendor.key("codex", "key"));
    sandbox.captured("codex", "auth.json", &login);
    run.arguments(vendor.codex_arguments())
}

pub fn gemini_key(_: &Sandbox, vendor: &Vendor, run: Run) -> Run {
    run.env("GEMINI_API_KEY", vendor.key("codex", "key")).env("GOOGLE_GEMINI_BASE_URL", vendor.url(""))
}

fn gemini_type_chosen(sandbox: &Sandbox, vendor: &Vendor, run: Run) -> Run {
    let chosen = r#"{"security":{"auth":{"selectedType":"gemini-api-key"}}}"#;
    sandbox.captured("gemini", "settings.json", chosen);
    gemini_key(sandbox, vendor, run)
}

/// It would tunnel to the loopback through the proxy.
fn qwen_key(_: &Sandbox, vendor: &Vendor, run: Run) -> Run {
    let proxies = ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"];
    let run = proxies.iter().fold(run, |run, name| run.unset(name));
    run.env("OPENAI_API_KEY", vendor.key("codex", "key")).env("OPENAI_BASE_URL", vendor.url("/v1"))
}

/// The model tells it what kind of key it has.
pub fn qwen_model(sandbox: &Sandbox, vendor: &Vendor, run: Run) -> Run {
    qwen_key(sandbox, vendor, run).env("OPENAI_MODEL", "fake")
}

/// A model provider of one's own: a token would be asked about at GitHub first.
pub fn copilot_provider(_: &Sandbox, vendor: &Vendor, run: Run) -> Run {
    run.env("COPILOT_PROVIDER_BASE_URL", vendor.url("/v1"))
        .env("COPILOT_PROVIDER_API_KEY", vendor.key("codex", "key"))
        .env("COPILOT_MODEL", "fake")
        .env("COPILOT_OFFLINE", "true")
}

pub fn opencode_provider(_: &Sandbox, vendor: &Vendor, run: Run) -> Run {
    let options = format!(r#"{{"baseURL":"{}","apiKey":"{}"}}"#, vendor.url("/v1"), vendor.key("codex", "key"));
    let fake = format!(r#"{{"npm":"@ai-sdk/openai-compatible","options":{options},"models":{{"fake":{{}}}}}}"#);
    let content = format!(r#"{{"model":"fake/fake","small_model":"fake/fake","provider":{{"fake":{fake}}}}}"#);
    run.env("OPENCODE_CONFIG_CONTENT", content).env("OPENCODE_DISABLE_MODELS_FETCH", "1")
}

const CLAUDE_DIALOGS: &[&str] =
    &["text style", "login method", "trust", "custom API key", "Bypass Permissions mode", "Press Enter"];
const CLAUDE_SETTINGS: &[(&str, &str)] = &[
    (".claude/settings.json", r#"{"cleanupPeriodDays":90,"permissions":{"allow":["Bash(ls)"]}}"#),
    (".claude/.claude.json", r#"{"theme":"light","projects":{"/elsewhere":{"hasTrustDialogAccepted":false}}}"#),
];
const INTERACTIVE: &[Interactive] = &[
    Interactive {
        command: &["claude"],
        give: claude_session,
        settings: CLAUDE_SETTINGS,
        prompt: &["? for shortcuts"],
        dialogs: CLAUDE_DIALOGS,
        asks: Some("text style"),
    },
    Interactive {
        command: &["claude", "--dangerously-skip-permissions"],
        give: claude_key,
        settings: CLAUDE_SETTINGS,
        prompt: &["bypass permissions on"],
        dialogs: CLAUDE_DIALOGS,
        asks: None,
    },
    Interactive {
        command: &["codex", "--no-daemon"],
        give: codex_key,
        settings: &[(".codex/config.toml", "model_reasoning_effort = \"low\"\n")],
        prompt: &["Ask Codex", "agents"],
        dialogs: &["rust this folder", "Sign in with", "API key"],
        asks: Some("Trust this folder?"),
    },
    Interactive {
        command: &["gemini"],
        give: gemini_key,
        settings: &[
            (".gemini/settings.json", r#"{"ui":{"hideTips":true},"general":{"vimMode":false}}"#),
            (".gemini/trustedFolders.json", r#"{"/elsewhere":"DO_NOT_TRUST"}"#),
        ],
        prompt: &["Type your message", "no sandbox"],
        dialogs: &["Do you trust", "Trust folder", "How would you like to authenticate", "Select Theme"],
        asks: Some("Do you trust the files in this folder?"),
    },
    Interactive {
        command: &["qwen"],
        give: qwen_key,
        settings: &[
            (".qwen/settings.json", r#"{"ui":{"hideTips":true},"general":{"vimMode":false}}"#),
            (".qwen/trustedFolders.json", r#"{"/elsewhere":"DO_NOT_TRUST"}"#),
        ],
        prompt: &["Type your message", "? for shortcuts"],
        dialogs: &["Do you trust", "Trust folder", "Select Authentication Method", "Select Theme"],
        asks: Some("Select Authentication Method"),
    },
    Interactive {
        command: &["copilot"],
        give: copilot_provider,
        settings: &[
            (".copilot/config.json", r#"{"trustedFolders":["/elsewhere"]}"#),
            (".copilot/settings.json", r#"{"banner":"never"}"#),
        ],
        prompt: &["? help"],
        dialogs: &["Confirm folder trust", "Do you trust", "log in"],
        asks: Some("Confirm folder trust"),
    },
    Interactive {
        command: &["opencode"],
        give: opencode_provider,
        settings: &[(".config/opencode/opencode.json", r#"{"autoupdate":false}"#)],
        prompt: &["Ask anything"],
        dialogs: &["trust", "Connect a provider", "Select provider", "log in"],
        asks: None,
    },
];

impl Interactive {
    fn start(&self, sandbox: &Sandbox, vendor: &Vendor, first_run: &str) {
        for (file, content) in self.settings {
            sandbox.write(&format!("home/{file}"), content);
        }
        // Without the line about the login, which may say how to log in.
        let options = ["--first-run", first_run, "--grace", "3s", "--quiet"];
        let run = vendor.run(sandbox, self.command).options(options);
        sandbox.give("cwd", NODE);
        let mut screen = Screen::new();
        let live = screen.leads((self.give)(sandbox, vendor, run)).start();
        if first_run == "on" {
            screen.shows(self.prompt, self.dialogs);
            // A question would take the keys.
            screen.types("hello there");
            screen.shows(&["hello there"], self.dialogs);
        } else {
            screen.shows(self.asks.as_slice(), &[]);
        }
        live.stop();
        screen.drain();
        live.wait();
    }
}

#[test]
fn on_a_terminal_the_clis_reach_their_prompt_without_a_question() {
    needs_root!();
    for row in INTERACTIVE {
        let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
        row.start(&sandbox, &vendor, "on");
        for (file, before) in row.settings {
            let after = sandbox.read(&format!("home/{file}"));
            if !before.starts_with('{') {
                assert!(after.contains(before), "{file}: {after}");
                continue;
            }
            let after: String = after.lines().filter(|line| !line.starts_with("//")).collect();
            let after: Value = serde_json::from_str(&after).unwrap_or_else(|e| panic!("{file}: {e}: {after}"));
            assert_kept(&serde_json::from_str(before).unwrap(), &after);
        }
    }
}

#[test]
fn without_our_first_run_state_the_clis_ask() {
    needs_root!();
    for row in INTERACTIVE.iter().filter(|row| row.asks.is_some()) {
        let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
        row.start(&sandbox, &vendor, "off");
    }
}

/// A first start without a terminal: the command, what authenticates it, and what it says without the state where that
/// keeps it from starting.
type Headless = (&'static [&'static str], fn(&Sandbox, &Vendor, Run) -> Run, Option<(i32, &'static str)>);

const HEADLESS: &[Headless] = &[
    (&["claude", "-p", "hello"], claude_session, None),
    (&["codex", "exec", "hello"], codex_key, None),
    (&["gemini", "-m", "fake", "-p", "hello"], gemini_key, Some((41, "Invalid auth method selected"))),
    (&["gemini", "-m", "fake", "-p", "hello"], gemini_type_chosen, Some((55, "not running in a trusted directory"))),
    (&["qwen", "-p", "hello"], qwen_model, None),
    (&["copilot", "-p", "hello"], copilot_provider, None),
    (&["opencode", "run", "hello"], opencode_provider, None),
];

#[test]
fn without_a_terminal_the_clis_answer() {
    needs_root!();
    for (command, give, refuses) in HEADLESS {
        for first_run in if refuses.is_some() { &["on", "off"][..] } else { &["on"] } {
            let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
            let run = vendor.run(&sandbox, command).options(["--first-run", *first_run]);
            let run = give(&sandbox, &vendor, run);
            sandbox.give("cwd", NODE);
            let outcome = run.limit(LIMIT * 3).run();
            let _ = match refuses {
                Some((code, says)) if *first_run == "off" => outcome.code(*code).says(&[says]),
                _ => outcome.ok().prints(&[ANSWER]),
            };
        }
    }
}
