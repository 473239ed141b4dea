//! `healthcheck`: 0 and silence, or 1 and one line.

use super::{captured, ready, token_only};
use crate::support::{Outcome, Sandbox, Session, await_path};

#[track_caller]
fn well(sandbox: &Sandbox) {
    let outcome = sandbox.raw(["healthcheck"]).run().ok();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""), "{outcome}");
}

#[track_caller]
fn unwell(sandbox: &Sandbox, why: &str) -> Outcome {
    let outcome = sandbox.raw(["healthcheck"]).run().code(1).says(&[why]);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.lines().count()), ("", 1), "{outcome}");
    outcome
}

#[test]
fn healthcheck_follows_the_life_of_an_agent() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    unwell(&sandbox, "no agent runs here");
    let mut gate = sandbox.gate("gate");
    let script = "say ready; hold \"$1\"; refresh b; say refreshed; hold \"$1\"; blank; say blanked; hold \"$1\"";
    let mut live = ready(&sandbox, sandbox.claude(script).arguments([gate.to_string()]));
    well(&sandbox);
    gate.open();
    live.line("refreshed");
    well(&sandbox);
    gate.open();
    live.line("blanked");
    unwell(&sandbox, "claude: invalid: logged out by the vendor");
    gate.open();
    live.wait().ok();
    unwell(&sandbox, "has ended");
}

#[test]
fn an_agent_without_a_valid_login_is_unhealthy() {
    for (login, why) in [(Some(token_only(-5)), "claude: expired"), (None, "claude: missing")] {
        let sandbox = Sandbox::new();
        let mut gate = sandbox.gate("gate");
        let run = sandbox.claude("say ready; hold \"$1\"; refresh a; say logged in; hold \"$1\"");
        let run = run.arguments([gate.to_string()]).unset("AGENT_INIT_CAPTURE");
        let run = match login {
            Some(login) => run.env("CLAUDE_CREDENTIALS", login),
            None => run,
        };
        let mut live = ready(&sandbox, run);
        unwell(&sandbox, why);
        gate.open();
        live.line("logged in");
        well(&sandbox);
        gate.open();
        live.wait().ok();
    }
}

#[test]
fn an_agent_with_a_key_is_healthy_while_it_runs() {
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let run = sandbox.claude("say ready; hold \"$1\"").arguments([gate.to_string()]);
    let live = ready(&sandbox, run.env("ANTHROPIC_API_KEY", "sk-FAKE"));
    well(&sandbox);
    gate.open();
    live.wait().ok();
}

#[test]
fn an_agent_whose_login_cannot_be_saved_is_unhealthy() {
    crate::support::needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let mut gate = sandbox.gate("gate");
    let script = "say ready; hold \"$1\"; refresh b; hold \"$1\"";
    let run = sandbox.claude(script).arguments([gate.to_string()]).options(["--user", "1000"]);
    let live = ready(&sandbox, run.bind_read_only(sandbox.path("capture"), sandbox.path("capture")));
    gate.open();
    await_path(&sandbox.path("state"), "the refusal", || sandbox.read("state/state.json").contains("failed"));
    // In the container, as a probe is: its processes are not ours.
    let inside = ["nsenter".to_owned(), "-a".to_owned(), "-t".to_owned(), live.pid().to_string()];
    sandbox.raw(["healthcheck"]).through(inside).run().code(1).says(&["claude: unsaved: the last publish failed"]);
    gate.open();
    live.wait();
}

#[test]
fn a_state_file_without_this_agent_is_unhealthy() {
    let sandbox = Sandbox::new();
    sandbox.chmod("state", 0o711);
    // Nobody has this number: what the machine's own processes are must not matter.
    let nobody = 2_147_483_646;
    for state in [
        "{}".to_owned(),
        "no JSON".to_owned(),
        format!(r#"{{"version":1,"pid":{nobody},"agent_pid":null,"user":[0,0],"agents":[]}}"#),
        format!(r#"{{"version":1,"pid":{nobody},"agent_pid":{},"user":[0,0],"agents":[]}}"#, std::process::id()),
        format!(r#"{{"version":1,"pid":1,"agent_pid":{nobody},"user":[0,0],"agents":[]}}"#),
    ] {
        sandbox.write("state/state.json", &state);
        unwell(&sandbox, "error: ");
    }
}
