//! The real Claude Code and Codex under the binary as PID 1, against a fake vendor whose refresh tokens work once.

use std::process::Command;

use serde_json::Value;

use crate::support::{ANSWER, CODEX_TOKEN, Sandbox, TOKEN, Vendor, await_path, base64, needs_root, text, vendor_file};

const MESSAGES: &str = "/v1/messages";
const CODEX_RESPONSES: &str = "/codex/v1/responses";

/// Within the 300 s in which both agents refresh before anything else.
const ALMOST_EXPIRED: i64 = 60;
const FRESH: i64 = 3600;

fn at(json: &str, pointer: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json:?}"));
    text(value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {value}")))
}

fn claude_access(login: &str) -> String {
    at(login, "/claudeAiOauth/accessToken")
}

fn claude_refresh(login: &str) -> String {
    at(login, "/claudeAiOauth/refreshToken")
}

fn codex_access(login: &str) -> String {
    at(login, "/tokens/access_token")
}

#[test]
fn the_fake_vendor_keeps_its_rules() {
    let done =
        Command::new("python3").args(["-B", "-m", "unittest", "-q"]).current_dir(vendor_file("")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn claude_sends_exactly_the_bearer_that_was_installed() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let login = vendor.login("claude", FRESH);
    vendor
        .run(&sandbox, &["claude", "-p", "hello"])
        .env("CLAUDE_CREDENTIALS_B64", base64(&login))
        .run()
        .ok()
        .prints(&[ANSWER])
        .says(&["agent-init: claude auth: subscription login (sync)"]);
    assert_eq!(vendor.credentials(), [format!("bearer {}", claude_access(&login))].into());
    assert_eq!(vendor.requests(MESSAGES).len(), 1);
    assert!(vendor.requests(TOKEN).is_empty());
}

#[test]
fn claude_refreshes_and_the_capture_has_the_new_login_before_claude_ends() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let login = vendor.login("claude", ALMOST_EXPIRED);
    let capture = sandbox.mkdir("capture/claude");
    vendor.ask(&format!("hold?path={MESSAGES}"));
    let run = vendor.run(&sandbox, &["claude", "-p", "hello"]).env("CLAUDE_CREDENTIALS_B64", base64(&login)).start();

    // The answer is held back, so the agent cannot end.
    let bearer = text(&vendor.request(MESSAGES)["bearer"]);
    assert_ne!(bearer, claude_access(&login));
    let stored = || std::fs::read_to_string(capture.join(".credentials.json")).unwrap_or_default();
    await_path(&capture, "the refreshed login", || stored().contains(&bearer));
    vendor.ask("release");
    run.wait().ok().prints(&[ANSWER]);

    assert_eq!(vendor.sent(TOKEN, "refresh_token"), [claude_refresh(&login)]);
    assert_eq!(claude_access(&stored()), bearer);

    // The capture alone carries the next container.
    let next = Sandbox::new();
    vendor
        .run(&next, &["claude", "-p", "hello"])
        .env("AGENT_INIT_CAPTURE", sandbox.text("capture"))
        .run()
        .ok()
        .prints(&[ANSWER]);
    assert_eq!(vendor.sent(MESSAGES, "bearer"), [bearer.clone(), bearer]);
    assert_eq!(vendor.requests(TOKEN).len(), 1);
}

#[test]
fn a_token_that_the_vendor_no_longer_takes_is_refreshed_and_published() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let login = vendor.login("claude", FRESH);
    sandbox.captured("claude", ".credentials.json", &login);
    vendor.ask("expire");
    vendor.run(&sandbox, &["claude", "-p", "hello"]).run().ok().prints(&[ANSWER]);
    assert_eq!(vendor.sent(TOKEN, "refresh_token"), [claude_refresh(&login)]);
    let stored = claude_access(&sandbox.read("capture/claude/.credentials.json"));
    assert_eq!(vendor.sent(MESSAGES, "bearer").last(), Some(&stored));
}

#[test]
fn a_spent_login_in_the_environment_does_not_win_over_the_capture() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let login = vendor.login("claude", ALMOST_EXPIRED);
    for place in [&sandbox, &Sandbox::new()] {
        vendor
            .run(place, &["claude", "-p", "hello"])
            .env("AGENT_INIT_CAPTURE", sandbox.text("capture"))
            .env("CLAUDE_CREDENTIALS_B64", base64(&login))
            .run()
            .ok()
            .prints(&[ANSWER]);
    }
    let bearers = vendor.sent(MESSAGES, "bearer");
    assert_eq!(bearers[0], bearers[1]);
    assert_eq!(vendor.requests(TOKEN).len(), 1);
}

#[test]
fn a_refused_refresh_leaves_the_captured_login_alone() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let login = vendor.login("claude", ALMOST_EXPIRED);
    sandbox.captured("claude", ".credentials.json", &login);
    vendor.ask("revoke");
    vendor.run(&sandbox, &["claude", "-p", "hello"]).run().code(1).prints(&["/login"]).warns_once(&["claude: "]);
    assert_eq!(vendor.requests(TOKEN).len(), 1);
    let stored = sandbox.read("capture/claude/.credentials.json");
    assert_eq!(claude_refresh(&stored), claude_refresh(&login));
}

/// Variables beside an almost expired session, the credential that has to be the only one sent, and what
/// `claude auth status` calls it.
#[test]
fn exactly_one_method_reaches_the_vendor_and_auth_status_agrees() {
    needs_root!();
    let cases: &[(&[&str], &str, &str, &str)] = &[
        (&["CLAUDE_CODE_OAUTH_TOKEN"], "bearer", "CLAUDE_CODE_OAUTH_TOKEN", "oauth_token"),
        (&["ANTHROPIC_AUTH_TOKEN"], "bearer", "ANTHROPIC_AUTH_TOKEN", "oauth_token"),
        (&["ANTHROPIC_API_KEY"], "api_key", "ANTHROPIC_API_KEY", "api_key"),
        (&["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"], "bearer", "ANTHROPIC_AUTH_TOKEN", "oauth_token"),
        (
            &["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"],
            "bearer",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "oauth_token",
        ),
    ];
    for (given, header, winner, called) in cases {
        let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
        let login = vendor.login("claude", ALMOST_EXPIRED);
        let mut run = vendor
            .run(&sandbox, &["sh", "-c", "claude auth status && claude -p hello"])
            .options(["--agent", "claude"])
            .env("CLAUDE_CREDENTIALS_B64", base64(&login));
        let mut expected = String::new();
        for name in *given {
            let key = vendor.key("claude", &name.to_lowercase());
            run = run.env(name, &key);
            if name == winner {
                expected = format!("{header} {key}");
            }
        }
        run.run().ok().prints(&[ANSWER, &format!(r#""authMethod": "{called}""#)]);
        assert_eq!(vendor.credentials(), [expected].into(), "{given:?}");
        assert!(vendor.requests(TOKEN).is_empty(), "{given:?}");
    }
}

#[test]
fn auth_status_knows_the_session() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let login = vendor.login("claude", FRESH);
    vendor
        .run(&sandbox, &["claude", "auth", "status"])
        .env("CLAUDE_CREDENTIALS_B64", base64(&login))
        .run()
        .ok()
        .prints(&[r#""loggedIn": true"#, r#""authMethod": "claude.ai""#]);
}

/// What a person would be asked at a first start.
const DIALOGS: &[&str] = &["trust", "text style", "login method", "custom API key", "Bypass Permissions mode"];

/// Starts the interactive `claude`, waits for its prompt, asks, reads the answer, leaves.
fn interactive(vendor: &Vendor, sandbox: &Sandbox, command: &[&str], prompt: &str, variable: (&str, String)) {
    let terminal = vendor_file("terminal.py");
    let play = ["python3", "-B", &terminal, "--see", prompt, "--type", "hello", "--see", "hello", "--type", r"\r"];
    let leave = ["--see", ANSWER, "--type", r"/exit\r", "--"];
    let pid1 = ["unshare", "-pfm", "--mount-proc", "--kill-child"];
    vendor
        .run(sandbox, command)
        .through(play.into_iter().chain(leave).chain(pid1))
        .env(variable.0, variable.1)
        .run()
        .ok()
        .prints_no(DIALOGS);
}

#[test]
fn an_interactive_start_reaches_its_prompt_without_a_dialog() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let session = base64(&vendor.login("claude", FRESH));
    let variable = ("CLAUDE_CREDENTIALS_B64", session);
    interactive(&vendor, &sandbox, &["claude"], "? for shortcuts", variable);
}

#[test]
fn a_key_and_bypassed_permissions_ask_nothing_either() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let key = vendor.key("claude", "key");
    let command = ["claude", "--dangerously-skip-permissions"];
    let variable = ("ANTHROPIC_API_KEY", key.clone());
    interactive(&vendor, &sandbox, &command, "bypass permissions on", variable);
    assert_eq!(vendor.credentials(), [format!("api_key {key}")].into());
}

#[test]
fn codex_refreshes_and_the_capture_has_the_new_login_before_codex_ends() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let login = vendor.login("codex", ALMOST_EXPIRED);
    let capture = sandbox.captured("codex", "auth.json", &login);
    vendor.ask(&format!("hold?path={CODEX_RESPONSES}"));
    let run = vendor.codex(&sandbox).start();

    let bearer = text(&vendor.request(CODEX_RESPONSES)["bearer"]);
    assert_ne!(bearer, codex_access(&login));
    let stored = || std::fs::read_to_string(&capture).unwrap_or_default();
    await_path(capture.parent().unwrap(), "the refreshed login", || stored().contains(&bearer));
    vendor.ask("release");
    run.wait().ok().prints(&[ANSWER]);

    assert_eq!(codex_access(&stored()), bearer);
    assert_eq!(vendor.sent(CODEX_TOKEN, "refresh_token"), [at(&login, "/tokens/refresh_token")]);
}

#[test]
fn codex_with_a_key_leaves_the_session_beside_it_unspent() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let key = vendor.key("codex", "key");
    vendor
        .codex(&sandbox)
        .env("CODEX_API_KEY", &key)
        .env("CODEX_CREDENTIALS_B64", base64(&vendor.login("codex", ALMOST_EXPIRED)))
        .run()
        .ok()
        .prints(&[ANSWER]);
    assert_eq!(vendor.credentials(), [format!("bearer {key}")].into());
    assert!(vendor.requests(CODEX_TOKEN).is_empty());
}
