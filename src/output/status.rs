//! Pure. `status` in text and JSON.

use std::time::SystemTime;

use serde::Serialize;

use crate::output::page::{Line, Page, toned};
use crate::output::style::{Tone, moment};
use crate::status::{AgentStatus, Health, Kept, WriteBackStatus};

/// The object of `status --json`, and of `auth` in `plan --json`.
#[derive(Debug, Serialize)]
pub struct Document<'s> {
    /// Of this form.
    version: u32,
    agents: &'s [AgentStatus],
}

impl<'s> Document<'s> {
    /// The object for these agents.
    pub fn of(agents: &'s [AgentStatus]) -> Document<'s> {
        Document { version: 1, agents }
    }
}

/// A page for people.
pub fn page(heading: &str, agents: &[AgentStatus], now: SystemTime) -> Page {
    let mut page = Page::default();
    page.line(toned(Tone::Faint, heading));
    if agents.is_empty() {
        page.gap();
        page.line("Nothing was found that could authenticate any agent.");
        page.line("agent-init agents NAME shows the variables and files that each agent takes.");
    }
    for agent in agents {
        page.gap();
        page.page(one(agent, now));
    }
    if agents.iter().any(|agent| agent.state != Health::Ok) {
        page.gap();
        page.line("agent-init doctor says what to do.");
    }
    page
}

fn one(agent: &AgentStatus, now: SystemTime) -> Page {
    let mut rows: Vec<(&str, Line)> = Vec::new();
    let problem = agent.problem.as_ref().map(|problem| format!(": {problem}"));
    rows.push(("state", toned(tone(agent.state), agent.state.word()).text(problem.unwrap_or_default())));
    let label = agent.label.as_ref().map(|label| format!(" ({label})"));
    rows.push(("method", format!("{}{}", agent.method, label.unwrap_or_default()).into()));
    rows.extend(agent.source.as_ref().map(|source| ("source", source.into())));
    rows.extend(agent.account.as_ref().map(|account| ("account", account.into())));
    rows.extend(agent.plan.as_ref().map(|plan| ("plan", plan.into())));
    rows.extend(expiry(agent, now).map(|(name, when)| (name, when.into())));
    for aside in &agent.shadowed {
        rows.push(("set aside", format!("{}: {}", aside.source, aside.why).into()));
    }
    rows.extend(agent.write_back.as_ref().map(|to| ("write-back", write_back(to).into())));
    rows.extend(agent.write_back.iter().flat_map(|to| kept(&to.kept)).map(|(name, what)| (name, what.into())));
    if agent.shared_by > 0 {
        let others = if agent.shared_by == 1 { "1 container uses" } else { "containers use" };
        let count = if agent.shared_by == 1 { String::new() } else { format!("{} ", agent.shared_by) };
        rows.push(("shared by", format!("{count}{others} this login now").into()));
    }
    let mut page = Page::default();
    page.line(toned(Tone::Strong, &agent.agent).text(format!(" - {}", agent.title)));
    page.rows(rows);
    page
}

fn expiry(agent: &AgentStatus, now: SystemTime) -> Option<(&'static str, String)> {
    if matches!(agent.state, Health::Invalid | Health::Missing) {
        return None;
    }
    let refreshed = if agent.refreshable { "; the agent refreshes it" } else { "; it cannot be refreshed" };
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
        format!("; last: {}{at}", last.word())
    });
    target + &last.unwrap_or_default()
}

fn kept(kept: &Kept) -> Vec<(&'static str, String)> {
    let recovery = kept.recovery.as_ref().map(|path| {
        ("recovery", format!("{path}: a refreshed login that the store refused; it is published when it can be"))
    });
    let conflicts = kept
        .conflicts_in
        .as_ref()
        .filter(|_| kept.conflicts > 0)
        .map(|path| ("conflicts", format!("{}: {} kept that lost to another", path, kept.conflicts)));
    recovery.into_iter().chain(conflicts).collect()
}

fn tone(state: Health) -> Tone {
    match state {
        Health::Ok => Tone::Good,
        Health::Expiring => Tone::Notice,
        Health::Unsaved | Health::Expired | Health::Invalid | Health::Missing => Tone::Bad,
    }
}
