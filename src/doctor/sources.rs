//! Pure. Sources that are wrong, shadowed, or that a refresh will strand.

use std::path::Path;

use crate::agent::definition::Method;
use crate::config::{AgentSelection, AuthMode, RunConfig, Words};
use crate::doctor::finding::Finding;
use crate::log::Message;
use crate::login::Source;
use crate::plan::{AgentPlan, Plan, warning};
use crate::status::{AgentStatus, Health, complaint};

/// What is known of the sources.
pub struct Sources<'s, 'f, 'c> {
    /// What was asked.
    pub config: &'s RunConfig,
    /// What reading found worth a word.
    pub warnings: Vec<&'s Message>,
    /// What a start would do.
    pub plan: &'s Plan<'f, 'c>,
    /// What authenticates the agents now, where one runs; else what would.
    pub status: &'s [AgentStatus],
    /// A run is under way here: its login is judged, not what its environment would give to another start.
    pub is_running: bool,
}

/// Everything that is to be said of the sources.
pub fn of_sources(sources: &Sources<'_, '_, '_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = sources.warnings.iter().map(|message| of_message("given", message)).collect();
    if !sources.is_running {
        for agent in &sources.plan.agents {
            findings.extend(unusable(agent));
            findings.extend(shadowed(agent));
            findings.extend(warning::invalidates_source(agent).iter().map(|message| of_message("stranded", message)));
        }
    }
    // Without a run, what is no login was said above of each source.
    let is_news =
        |status: &&AgentStatus| sources.is_running || matches!(status.state, Health::Expired | Health::Unsaved);
    findings.extend(sources.status.iter().filter(is_news).filter_map(unhealthy));
    findings.extend(sources.status.iter().filter_map(ending));
    findings.extend(nothing(sources));
    findings.sort_by_key(|finding| !finding.is_problem);
    findings
}

fn of_message(check: &'static str, message: &Message) -> Finding {
    let fix = message.hint.clone().unwrap_or_else(|| "remove it, or give it a value".to_owned());
    let subject = message.about.clone().or_else(|| message.agent.clone()).unwrap_or_default();
    Finding::problem(check, subject, message.text.clone(), fix)
}

/// Sources that are no login.
fn unusable(agent: &AgentPlan<'_, '_>) -> impl Iterator<Item = Finding> {
    agent.facts.candidates.iter().filter_map(|candidate| {
        let why = candidate.found.as_ref().err()?;
        let fix = warning::fix(agent.facts.definition, candidate);
        let what = format!("it is no usable login: {why}");
        let source = candidate.source.path().map(Path::to_owned);
        Some(Finding { source, ..Finding::problem("unusable", candidate.source.to_string(), what, fix) })
    })
}

/// Sources that are usable and not used.
fn shadowed(agent: &AgentPlan<'_, '_>) -> impl Iterator<Item = Finding> {
    let worth = agent.ignored().filter(|(candidate, aside)| aside.is_warning && candidate.found.is_ok());
    worth.map(|(candidate, aside)| {
        let what = format!("it is not used: {}", aside.why);
        let fix = warning::prefer(agent, candidate).unwrap_or_else(|| match (&candidate.source, agent.mode) {
            (Source::Home(_), AuthMode::Auto) => "nothing has to be done: a start takes it out of the way".to_owned(),
            (_, AuthMode::Auto) => "remove the one that is not meant".to_owned(),
            (_, mode) => format!("remove it, or choose another mode than --auth {}", mode.word()),
        });
        Finding::note("set-aside", candidate.source.to_string(), what, fix)
    })
}

/// An agent that cannot authenticate although something was found, or whose refreshed login is refused.
fn unhealthy(status: &AgentStatus) -> Option<Finding> {
    let what = complaint(status).filter(|_| status.detected)?;
    let fix = if status.state == Health::Unsaved {
        let to = status.write_back.as_ref().and_then(|to| to.target.as_deref()).unwrap_or("the capture");
        format!("make {to} writable, and room in it: it is tried again every 10 s, and nothing has to be restarted")
    } else {
        renew(status)
    };
    Some(Finding::problem("login", status.agent.as_str(), what, fix))
}

/// A login or token that nobody refreshes, and that ends soon.
fn ending(status: &AgentStatus) -> Option<Finding> {
    let what = status.problem.clone().filter(|_| status.state == Health::Expiring)?;
    Some(Finding::note("login", status.agent.as_str(), what, renew(status)))
}

/// What gives an agent a login again.
fn renew(status: &AgentStatus) -> String {
    let again = warning::log_in(&status.agent);
    if status.method == Method::OauthToken.word() {
        format!("make a new token: {again} --token; or give another")
    } else if status.method == Method::Session.word() {
        format!("log in again: {again}; containers on the same capture adopt the new login")
    } else {
        format!("log in: {again}; or give a token, key or login")
    }
}

/// Agents for which nothing was found: wrong when they were asked for by name.
fn nothing(sources: &Sources<'_, '_, '_>) -> Vec<Finding> {
    let fix =
        |name: &str| format!("log in: {}; agent-init agents {name} shows all that it takes", warning::log_in(name));
    let what = "nothing was found that could authenticate it";
    match &sources.config.agent {
        AgentSelection::Named(names) => {
            let found = |name: &String| sources.status.iter().any(|status| status.agent == *name && status.detected);
            let missing = names.iter().filter(|name| !found(name));
            missing.map(|name| Finding::problem("missing", name.as_str(), what, fix(name))).collect()
        }
        _ if sources.status.iter().any(|status| status.detected) => Vec::new(),
        _ => vec![Finding::note("missing", "any agent", what, fix("NAME"))],
    }
}
