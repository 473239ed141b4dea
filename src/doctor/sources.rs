//! Pure. Sources that are wrong, shadowed, or that a refresh will strand.

use crate::cli::{AgentSelection, RunOptions};
use crate::plan::{AgentPlan, Plan, warning};
use crate::report::Message;
use crate::status::{AgentStatus, Health, complaint};

use super::Finding;

/// What is known of the sources.
pub struct Sources<'s, 'f, 'c> {
    /// What was asked.
    pub options: &'s RunOptions,
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
#[must_use]
pub fn of_sources(sources: &Sources<'_, '_, '_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = sources.warnings.iter().map(|message| of_message("given", message)).collect();
    if !sources.is_running {
        for agent in &sources.plan.agents {
            findings.extend(unusable(agent));
            findings.extend(shadowed(agent));
            findings.extend(warning::stranded(agent).iter().map(|message| of_message("stranded", message)));
        }
    }
    // Without a run, what is no login was said above of each source.
    let is_news = |status: &&AgentStatus| sources.is_running || status.state == Health::Expired;
    findings.extend(sources.status.iter().filter(is_news).filter_map(unwell));
    findings.extend(nothing(sources));
    findings.sort_by_key(|finding| !finding.is_problem);
    findings
}

fn of_message(check: &'static str, message: &Message) -> Finding {
    let fix = message.hint.clone().unwrap_or_else(|| "remove it, or give it a value".to_owned());
    let subject = message.text.split([':', ' ']).next().unwrap_or_default().to_owned();
    Finding::problem(check, subject, message.text.clone(), fix)
}

/// Sources that are no login.
fn unusable(agent: &AgentPlan<'_, '_>) -> impl Iterator<Item = Finding> {
    agent.facts.offers.iter().filter_map(|offer| {
        let why = offer.found.as_ref().err()?;
        let fix = "log in again with a setup container, or remove it";
        Some(Finding::problem("unusable", offer.source.to_string(), format!("it is no usable login: {why}"), fix))
    })
}

/// Sources that are usable and not used.
fn shadowed(agent: &AgentPlan<'_, '_>) -> impl Iterator<Item = Finding> {
    let worth = agent.choice.set_aside.iter().filter(|aside| aside.is_warning);
    worth.filter_map(|aside| {
        let offer = agent.facts.offers.get(aside.offer).filter(|offer| offer.found.is_ok())?;
        let what = format!("it is not used: {}", aside.why);
        let fix = "remove one of them, or say with --auth or --prefer which one is meant";
        Some(Finding::note("set-aside", offer.source.to_string(), what, fix))
    })
}

/// An agent that can not authenticate although something was found, or whose refreshed login is refused.
fn unwell(status: &AgentStatus) -> Option<Finding> {
    let what = complaint(status).filter(|_| status.detected)?;
    let fix = "log in again with a setup container, or give another token, key or login";
    Some(Finding::problem("login", status.agent.as_str(), what, fix))
}

/// Agents for which nothing was found: wrong when they were asked for by name.
fn nothing(sources: &Sources<'_, '_, '_>) -> Vec<Finding> {
    let fix = "agent-init agents NAME shows the variables and files that an agent takes";
    let what = "nothing was found that could authenticate it";
    match &sources.options.agent {
        Some(AgentSelection::Named(names)) => {
            let found = |name: &String| sources.status.iter().any(|status| status.agent == *name && status.detected);
            names
                .iter()
                .filter(|name| !found(name))
                .map(|name| Finding::problem("missing", name.as_str(), what, fix))
                .collect()
        }
        _ if sources.status.iter().any(|status| status.detected) => Vec::new(),
        _ => vec![Finding::note("missing", "any agent", what, fix)],
    }
}
