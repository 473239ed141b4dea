//! The real Claude Code logs in at our terminal, with a code as a person would paste it, against the fake vendor.

use crate::support::{ANSWER, Pty, Run, Sandbox, TOKEN, Vendor, await_path, needs_root, text};

/// The first thing that it asks for once the login is on its disk.
const AFTER: &str = "/api/claude_cli/bootstrap";
const MESSAGES: &str = "/v1/messages";

fn setup(vendor: &Vendor, sandbox: &Sandbox, options: &[&str]) -> Run {
    let options = ["setup", "--agent", "claude"].iter().chain(options).copied();
    vendor.run(sandbox, &[]).options(options)
}

/// As the leader of a session on a terminal of so many columns.
fn at(pty: &Pty, run: Run, columns: usize) -> Run {
    let size = format!("stty rows 40 cols {columns}; exec \"$@\"");
    pty.leads(run).through(["sh", "-c", &size, "sh"])
}

#[test]
fn a_login_is_captured_before_it_ends_and_another_container_answers() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let code = vendor.key("claude", "code");
    vendor.ask(&format!("hold?path={AFTER}"));
    let mut pty = Pty::new();
    let live = at(&pty, setup(&vendor, &sandbox, &[]), 100).start();
    pty.shows("log in to Claude Code now (claude auth login)");
    pty.shows("https://claude.com/cai/oauth/authorize");
    pty.shows("Paste code here if prompted >");
    pty.types(&format!("{code}#FAKE-state\r"));
    vendor.request(AFTER);
    let capture = sandbox.mkdir("capture/claude");
    let stored = || std::fs::read_to_string(capture.join(".credentials.json")).unwrap_or_default();
    await_path(&capture, "the login", || stored().contains("FAKE-claude-refresh"));
    vendor.ask("release");
    pty.shows("captured the login of Claude Code (fake@example.com), which the agent refreshes");
    let shown = pty.all();
    live.wait().ok();
    assert!(!shown.contains("FAKE-claude") && !shown.contains("warning"), "{shown}");

    let next = Sandbox::new();
    let run = vendor.run(&next, &["claude", "-p", "hello"]).env("AGENT_INIT_CAPTURE", sandbox.text("capture"));
    run.run().ok().quiet().prints(&[ANSWER]).says(&["subscription login (sync)", "fake@example.com"]);
    let sent = text(&vendor.requests(MESSAGES)[0]["bearer"]);
    assert!(stored().contains(&sent), "{sent}");
    assert_eq!(vendor.requests(TOKEN).len(), 1);
}

#[test]
fn a_code_that_the_vendor_refuses_leaves_the_old_login() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let login = vendor.login("claude", 3600);
    sandbox.captured("claude", ".credentials.json", &login);
    let mut pty = Pty::new();
    let live = at(&pty, setup(&vendor, &sandbox, &[]), 100).start();
    pty.shows("Paste code here if prompted >");
    pty.types("FAKE-wrong#FAKE-state\r");
    pty.shows("error: nothing was captured: claude exited with status 1 without a login; the earlier capture");
    live.wait().code(1);
    assert_eq!(sandbox.read("capture/claude/.credentials.json"), login);
}

#[test]
fn a_long_lived_token_is_captured_unseen_and_another_container_answers() {
    needs_root!();
    for columns in [60, 80, 200] {
        let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
        let code = vendor.key("claude", "code");
        let mut pty = Pty::new();
        let live = at(&pty, setup(&vendor, &sandbox, &["--token"]), columns).start();
        pty.shows("make a long-lived token of Claude Code now");
        pty.shows("prompted");
        pty.types(&format!("{code}#FAKE-state"));
        // It shows an asterisk for each; Enter in the same breath would be a part of what is pasted.
        pty.shows("****");
        pty.types("\r");
        pty.shows("sk-ant-oat01-****");
        let shown = pty.all();
        live.wait().ok();
        assert!(shown.contains("captured a long-lived token of Claude Code, until "), "{shown}");
        assert!(!shown.contains("FAKE"), "{columns}: {shown}");
        let token = sandbox.read("capture/claude/oauth-token");
        assert_eq!(vendor.sent("/api/oauth/profile", "bearer"), std::slice::from_ref(&token), "{columns}");
        assert!(!sandbox.exists("capture/claude/.credentials.json"));

        let run = vendor.run(&sandbox, &["claude", "-p", "hello"]).run().ok().quiet().prints(&[ANSWER]);
        run.says(&["claude auth: long-lived OAuth token, capture:"]);
        assert_eq!(vendor.sent(MESSAGES, "bearer"), [token]);
    }
}

/// Its own interactive form, with no dialog in between, and the login that it offers itself.
#[test]
fn the_interactive_form_reaches_its_prompt() {
    needs_root!();
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    let mut pty = Pty::new();
    let live = at(&pty, setup(&vendor, &sandbox, &["--auto"]), 120).start();
    pty.shows("without asking for permissions; log in there");
    // Words are put at their columns, one by one.
    pty.shows("bypass");
    pty.shows("/login");
    pty.types("\u{3}");
    pty.shows("again");
    pty.types("\u{3}");
    pty.shows("nothing was captured: claude exited without a login");
    live.wait().code(1);
}
