//! Pure. `status` in text and JSON.

use std::time::SystemTime;

use serde::Serialize;

use crate::status::{AgentStatus, Health, Kept, WriteBackStatus};

use super::sanitized;
use super::style::{Style, Tone, moment, rows};

/// The object of `status --json`, and of `auth` in `plan --json`.
#[derive(Debug, Serialize)]
pub struct Document<'s> {
    /// Of this form.
    version: u32,
    agents: &'s [AgentStatus],
}

impl<'s> Document<'s> {
    /// The object for these agents.
    #[must_use]
    pub fn of(agents: &'s [AgentStatus]) -> Document<'s> {
        Document { version: 1, agents }
    }
}

/// Text for people.
#[must_use]
pub fn text(heading: &str, agents: &[AgentStatus], now: SystemTime, style: Style) -> String {
    let mut text = format!("{}\n", style.paint(Tone::Faint, heading));
    if agents.is_empty() {
        text += "\nNothing was found that could authenticate any agent.\n";
        text += "agent-init agents NAME shows the variables and files that each agent takes.\n";
    }
    for agent in agents {
        text.push('\n');
        text += &one(agent, now, style);
    }
    if agents.iter().any(|agent| agent.state != Health::Ok) {
        text += "\nagent-init doctor says what to do.\n";
    }
    text
}

fn one(agent: &AgentStatus, now: SystemTime, style: Style) -> String {
    let plain = sanitized;
    let mut lines: Vec<(&str, String)> = Vec::new();
    let state = style.paint(tone(agent.state), agent.state.word());
    let problem = agent.problem.as_ref().map(|problem| format!(": {}", plain(problem)));
    lines.push(("state", state + &problem.unwrap_or_default()));
    let label = agent.label.as_ref().map(|label| format!(" ({})", plain(label)));
    lines.push(("method", plain(&agent.method) + &label.unwrap_or_default()));
    lines.extend(agent.source.as_ref().map(|source| ("source", plain(source))));
    lines.extend(agent.account.as_ref().map(|account| ("account", plain(account))));
    lines.extend(agent.plan.as_ref().map(|plan| ("plan", plain(plan))));
    lines.extend(expiry(agent, now));
    for aside in &agent.shadowed {
        lines.push(("set aside", format!("{}: {}", plain(&aside.source), plain(&aside.why))));
    }
    lines.extend(agent.write_back.as_ref().map(|to| ("write-back", plain(&write_back(to)))));
    lines.extend(agent.write_back.iter().flat_map(|to| kept(&to.kept)));
    if agent.shared_by > 0 {
        let others = if agent.shared_by == 1 { "1 container uses" } else { "containers use" };
        let count = if agent.shared_by == 1 { String::new() } else { format!("{} ", agent.shared_by) };
        lines.push(("shared by", format!("{count}{others} this login now")));
    }
    format!("{} - {}\n{}", style.paint(Tone::Strong, &agent.agent), plain(&agent.title), rows(&lines))
}

fn expiry(agent: &AgentStatus, now: SystemTime) -> Option<(&'static str, String)> {
    if matches!(agent.state, Health::Invalid | Health::Missing) {
        return None;
    }
    let refreshed = if agent.refreshable { "; the agent refreshes it" } else { "; it can not be refreshed" };
    let when = match agent.access_expires_at {
        Some(at) if at > now => format!("expires {}", moment(at, now)),
        Some(at) => format!("expired {}", moment(at, now)),
        None if agent.write_back.is_some() => "does not say when it expires".to_owned(),
        None => return None,
    };
    let token = if agent.write_back.is_some() { "access token" } else { "token" };
    Some((token, when + refreshed))
}

fn write_back(to: &WriteBackStatus) -> String {
    let target = match &to.target {
        None => "none: what is refreshed stays in the container".to_owned(),
        Some(target) => {
            let writable = if to.writable { "writable" } else { "not writable" };
            format!("{target} ({}, {writable})", to.mode)
        }
    };
    let last = to.last.as_ref().map(|last| {
        let at = to.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
        format!("; last: {last}{at}")
    });
    target + &last.unwrap_or_default()
}

fn kept(kept: &Kept) -> Vec<(&'static str, String)> {
    let recovery = kept.recovery.as_ref().map(|path| {
        (
            "recovery",
            format!("{}: a refreshed login that the store refused; it is published when it can be", sanitized(path)),
        )
    });
    let conflicts = kept
        .conflicts_in
        .as_ref()
        .filter(|_| kept.conflicts > 0)
        .map(|path| ("conflicts", format!("{}: {} kept that lost to another", sanitized(path), kept.conflicts)));
    recovery.into_iter().chain(conflicts).collect()
}

fn tone(state: Health) -> Tone {
    match state {
        Health::Ok => Tone::Good,
        Health::Expiring => Tone::Notice,
        Health::Expired | Health::Invalid | Health::Missing => Tone::Bad,
    }
}
