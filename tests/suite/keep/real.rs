//! The real CLIs refresh with one request to the vendor, and ask no model anything.

use serde_json::Value;

use crate::support::{CODEX_TOKEN, NODE, Run, Sandbox, TOKEN, Vendor, needs_root, text};

/// A keeper in the vendor's network, with the agents of this directory.
fn keeper(vendor: &Vendor, sandbox: &Sandbox, bin: &str, agent: &str) -> Run {
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", sandbox.text(&format!("agents/{bin}")));
    sandbox.give("capture", NODE);
    vendor.run_of(sandbox, &["--user", "node", "keep", "--agent", agent, "--once"]).env("PATH", path)
}

fn is_refreshed(agent: &str, file: &str, bin: &str, pointer: &str, token: &str) {
    for expires_in in [-60, 60] {
        let (sandbox, vendor) = (Sandbox::new(), Vendor::strict());
        let login = vendor.login(agent, expires_in);
        sandbox.captured(agent, file, &login);
        let outcome = keeper(&vendor, &sandbox, bin, agent).run().ok();
        assert_eq!(vendor.requests(token).len(), 1, "{expires_in}: {outcome}");
        let stored: Value = serde_json::from_str(&sandbox.read(&format!("capture/{agent}/{file}"))).unwrap();
        let before: Value = serde_json::from_str(&login).unwrap();
        let refresh = |login: &Value| text(login.pointer(pointer).unwrap());
        assert_ne!(refresh(&stored), refresh(&before), "{outcome}");
        for path in ["/v1/messages", "/responses", "/codex/responses", "/backend-api/codex/responses"] {
            assert!(vendor.requests(path).is_empty(), "{path}: {:?}", vendor.requests(path));
        }
        // It works: the next keeper finds it good.
        keeper(&vendor, &sandbox, bin, agent).arguments(["--before", "1s"]).run().ok();
        assert_eq!(vendor.requests(token).len(), 1);
    }
}

const CLAUDE: (&str, &str, &str) = (".credentials.json", "/claudeAiOauth/refreshToken", TOKEN);

#[test]
fn claude_refreshes_for_a_keeper() {
    needs_root!();
    is_refreshed("claude", CLAUDE.0, "bin", CLAUDE.1, CLAUDE.2);
}

#[test]
fn the_newest_claude_refreshes_for_a_keeper() {
    needs_root!();
    is_refreshed("claude", CLAUDE.0, "claude-latest/node_modules/.bin", CLAUDE.1, CLAUDE.2);
}

#[test]
fn codex_refreshes_for_a_keeper() {
    needs_root!();
    is_refreshed("codex", "auth.json", "bin", "/tokens/refresh_token", CODEX_TOKEN);
}

/// A vendor that takes its time: the token is not lost.
#[test]
fn a_slow_vendor_is_waited_for() {
    needs_root!();
    for bin in ["bin", "claude-latest/node_modules/.bin"] {
        let (sandbox, vendor) = (Sandbox::new(), Vendor::strict());
        vendor.ask("set?delay_token=12");
        sandbox.captured("claude", CLAUDE.0, &vendor.login("claude", 60));
        keeper(&vendor, &sandbox, bin, "claude").run().ok().says(&["claude: refreshed the login in "]);
        assert_eq!(vendor.requests(TOKEN).len(), 1);
    }
}
