//! The commands beside `run`: what they say is what `run` does, and what they look at stays as it is.

mod completions;
mod deadline;
mod doctor;
mod exec;
mod healthcheck;
mod history;
mod install;
mod metrics;
mod plan;
mod serve;
mod snapshots;
mod status;

use serde_json::Value;

use crate::support::{Live, Outcome, Run, Sandbox, Session, await_path};

/// A run that is under way: its agent has said `ready`, and it has written that down.
pub fn ready(sandbox: &Sandbox, run: Run) -> Live {
    let mut live = run.start();
    live.line("ready");
    await_agent(sandbox);
    live
}

/// The run has started its agent, and has written that down.
fn await_agent(sandbox: &Sandbox) {
    let written = || {
        let text = std::fs::read(sandbox.path("state/state.json")).unwrap_or_default();
        let state: Value = serde_json::from_slice(&text).unwrap_or_default();
        state["agent_pid"].is_number()
    };
    await_path(&sandbox.path("state"), "the state of the run", written);
}

/// The one agent of `status --json`.
#[track_caller]
fn only(outcome: &Outcome) -> Value {
    let json = outcome.json();
    assert_eq!(json["version"], 1, "{outcome}");
    assert_eq!(json["agents"].as_array().unwrap().len(), 1, "{outcome}");
    json["agents"][0].clone()
}

fn captured(sandbox: &Sandbox, session: &Session) {
    sandbox.captured("claude", ".credentials.json", &session.json());
}

/// Unix time so many seconds from now.
pub fn from_now(seconds: i64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs().checked_add_signed(seconds).unwrap()
}

/// A session without a refresh token, which ends so many seconds from now.
fn token_only(seconds: i64) -> String {
    let millis = from_now(seconds) * 1000;
    format!(r#"{{"claudeAiOauth":{{"accessToken":"FAKE-a","expiresAt":{millis},"scopes":["user:inference"]}}}}"#)
}
