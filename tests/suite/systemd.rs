//! `deploy/systemd`: checked by systemd itself, and the keeper as the unit starts it.

use std::process::Command;

use crate::keep::{captured, keeper};
use crate::support::{Outcome, Sandbox, needs_root, skip};

const UNIT: &str = "agent-init-keeper.service";

fn text() -> String {
    std::fs::read_to_string(format!("{}/deploy/systemd/{UNIT}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The values of a key, each line that sets it.
fn values(key: &str) -> Vec<String> {
    let text = text();
    let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

fn value(key: &str) -> String {
    let [value] = values(key).try_into().unwrap_or_else(|found| panic!("{key}: {found:?}"));
    value
}

/// `systemd-analyze WORDS UNIT` for a host whose only service is this unit.
fn analyze(sandbox: &Sandbox, unit: &str, words: &[&str]) -> Outcome {
    for target in ["sysinit", "basic", "shutdown", "multi-user", "network-online"] {
        sandbox.write(&format!("host/usr/lib/systemd/system/{target}.target"), "[Unit]\n");
    }
    sandbox.write(&format!("host/etc/systemd/system/{UNIT}"), unit);
    sandbox.write("host/usr/local/bin/agent-init", "");
    sandbox.chmod("host/usr/local/bin/agent-init", 0o755);
    let root = format!("--root={}", sandbox.text("host"));
    sandbox.raw(words.iter().copied()).program("systemd-analyze").options([root]).arguments([UNIT]).run()
}

fn has_systemd() -> bool {
    let found = Command::new("systemd-analyze").arg("--version").output();
    found.is_ok_and(|done| done.status.success()) || skip(module_path!(), "needs systemd-analyze (package systemd)")
}

/// systemd warns of keys and values that it does not know, and takes the unit all the same.
#[test]
fn systemd_has_no_complaint_about_the_unit() {
    struct Row {
        what: &'static str,
        from: &'static str,
        to: &'static str,
        says: &'static str,
    }
    let rows = [
        Row { what: "as it is", from: "", to: "", says: "" },
        Row { what: "an unknown key", from: "ProtectHome=", to: "ProtectHomes=", says: "ProtectHomes" },
        Row { what: "a wrong value", from: "KillMode=mixed", to: "KillMode=mix", says: "mix" },
        Row {
            what: "an unknown system call",
            from: "@system-service",
            to: "@system-services",
            says: "@system-services",
        },
        Row { what: "no such program", from: "bin/agent-init keep", to: "bin/other keep", says: "other" },
    ];
    if !has_systemd() {
        return;
    }
    for Row { what, from, to, says } in rows {
        let sandbox = Sandbox::new();
        let outcome = analyze(&sandbox, &text().replace(from, to), &["--man=no", "verify"]);
        assert_eq!(outcome.stderr.is_empty(), says.is_empty(), "{what}: {outcome}");
        assert!(outcome.stderr.contains(says), "{what}: {outcome}");
    }
}

/// systemd rates how much a service could do to its host, from 0 to 10 (here 100). What is left is the network, and what
/// names resolve by.
#[test]
fn the_unit_may_do_little() {
    if !has_systemd() {
        return;
    }
    let rated = |unit: &str| {
        let sandbox = Sandbox::new();
        analyze(&sandbox, unit, &["--offline=true", "--threshold=20", "--no-pager", "security"])
    };
    rated(&text()).ok();
    rated(&text().replace("CapabilityBoundingSet=\n", "").replace("ProtectSystem=strict\n", "")).code(1);
}

/// With the unit's variables, as an ordinary user that may write to its directories only, a login is refreshed and the
/// keeper has nothing to warn of.
#[test]
fn the_keeper_works_as_the_unit_starts_it() {
    needs_root!();
    let sandbox = captured(60);
    let state = format!("/var/lib/{}", value("StateDirectory"));
    let runtime = format!("/run/{}", value("RuntimeDirectory"));
    let logins = value("ReadWritePaths");
    let make = format!("mkdir -p {state} {runtime} && cp -R {} {logins}", sandbox.text("capture"));
    let give = format!("chown -R 4242:4242 {state} {runtime} {logins} && chmod 700 {state} {runtime} {logins}");
    let mut run = keeper(&sandbox, "refresh b").tmpfs("/var/lib").setup(make).setup(give);
    sandbox.give("vendor", 4242);
    for name in ["AGENT_INIT_HOME", "AGENT_INIT_STATE_DIR", "AGENT_INIT_CAPTURE", "HOME"] {
        run = run.unset(name);
    }
    for variable in values("Environment") {
        let (name, value) = variable.split_once('=').unwrap();
        run = run.env(name, value);
    }
    assert!(text().contains("\nNoNewPrivileges=yes\n") && value("ExecStart").ends_with("/agent-init keep"));
    let run = run.uid(4242).through(["setpriv".to_owned(), "--no-new-privs".to_owned()]);
    let run = run.read_only_root(&[state.as_ref(), runtime.as_ref(), logins.as_ref()]);
    let outcome = run.arguments(["--once"]).run().ok();
    outcome.says(&["claude: refreshed the login in /var/lib/agent-logins/claude"]).quiet();
}

/// A stop waits for the vendor's answer, and systemd for the keeper.
#[test]
fn systemd_waits_longer_than_the_keeper() {
    let seconds = |text: &str| text.strip_suffix('s').unwrap().parse::<u32>().unwrap();
    let variables = values("Environment");
    let grace = variables.iter().find_map(|variable| variable.strip_prefix("AGENT_INIT_GRACE=")).unwrap();
    assert!(seconds(&value("TimeoutStopSec")) > seconds(grace));
    assert_eq!(value("KillMode"), "mixed");
}
