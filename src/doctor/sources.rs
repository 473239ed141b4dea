//! Pure. Checks the sources: unusable, ignored, or to be invalidated by a refresh.

use std::path::Path;

use crate::config::{AgentSelection, AuthMode, RunConfig, Words};
use crate::doctor::finding::Finding;
use crate::facts::Facts;
use crate::log::Message;
use crate::login::Source;
use crate::plan::{AgentPlan, Plan, warning};
use crate::status::{AgentStatus, Health, complaint, how_to_renew};

pub struct Sources<'s, 'f, 'c> {
    pub config: &'s RunConfig,
    pub facts: &'s Facts<'c>,
    /// The warnings of reading the facts.
    pub warnings: Vec<&'s Message>,
    /// The plan of a start.
    pub plan: &'s Plan<'f, 'c>,
    /// The status of the running agents or, if none runs, of the planned ones.
    pub status: &'s [AgentStatus],
    /// An agent runs here. Then its login is checked, and not the sources of another start.
    pub is_running: bool,
}

/// Runs all checks of the sources. Problems come first.
pub fn check_sources(sources: &Sources<'_, '_, '_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = sources.warnings.iter().map(|message| of_message("given", message)).collect();
    if !sources.is_running {
        for agent in &sources.plan.agents {
            findings.extend(unusable(agent));
            findings.extend(ignored(agent));
            findings.extend(warning::unknown_kind(agent).iter().map(note_of_message));
            findings.extend(warning::diverted(agent).iter().map(note_of_message));
            findings.extend(warning::state_not_kept(agent).iter().map(note_of_message));
            findings.extend(warning::hints(agent, sources.facts).iter().map(note_of_message));
            if agent.mode != AuthMode::Follow {
                let stranded = warning::invalidates_source(agent);
                findings.extend(stranded.iter().map(|message| of_message("stranded", message)));
            }
        }
    }
    // If no agent runs, every unusable source already has a finding.
    let needs_finding =
        |status: &&AgentStatus| sources.is_running || matches!(status.state, Health::Expired | Health::Unsaved);
    findings.extend(sources.status.iter().filter(needs_finding).filter_map(unhealthy));
    findings.extend(sources.status.iter().filter_map(expiring));
    findings.extend(missing_credentials(sources));
    findings.sort_by_key(|finding| !finding.is_problem);
    findings
}

fn of_message(check: &'static str, message: &Message) -> Finding {
    let fix = message.hint.clone().unwrap_or_else(|| "give it a value, or remove it".to_owned());
    let subject = message.about.clone().or_else(|| message.agent.clone()).unwrap_or_default();
    Finding::problem(check, subject, message.text.clone(), fix)
}

fn note_of_message(message: &Message) -> Finding {
    Finding { is_problem: false, ..of_message("given", message) }
}

/// Sources that are not usable.
fn unusable(agent: &AgentPlan<'_, '_>) -> impl Iterator<Item = Finding> {
    agent.facts.candidates.iter().filter_map(|candidate| {
        let why = candidate.found.as_ref().err()?;
        let fix = warning::fix(agent.facts, candidate);
        let what = format!("it is not a usable login: {why}");
        let source = candidate.source.path().map(Path::to_owned);
        Some(Finding { source, ..Finding::problem("unusable", candidate.source.to_string(), what, fix) })
    })
}

/// Sources that are usable and ignored.
fn ignored(agent: &AgentPlan<'_, '_>) -> impl Iterator<Item = Finding> {
    let notable = agent.ignored().filter(|(candidate, ignored)| ignored.is_warning && candidate.found.is_ok());
    notable.map(|(candidate, ignored)| {
        let what = format!("it is not used: {}", ignored.why);
        let fix = warning::prefer(agent, candidate).unwrap_or_else(|| match (&candidate.source, agent.mode) {
            (Source::Home(_), AuthMode::Auto) => "none needed: a start moves it to conflicts/".to_owned(),
            (_, AuthMode::Auto) => "remove the one that you do not want".to_owned(),
            (_, mode) => format!("remove it, or choose a mode other than --auth {}", mode.word()),
        });
        Finding::note("set-aside", candidate.source.to_string(), what, fix)
    })
}

/// An agent that cannot authenticate although something was found, or whose refreshed login is refused.
fn unhealthy(status: &AgentStatus) -> Option<Finding> {
    if !status.detected {
        return None;
    }
    let what = complaint(status)?;
    let fix = if status.state == Health::Unsaved {
        let to = status.write_back.as_ref().and_then(|to| to.target.as_deref()).unwrap_or("the capture");
        format!("make {to} writable and free space there: a running agent-init tries again every 10 s")
    } else {
        how_to_renew(status)
    };
    Some(Finding::problem("login", status.agent.as_str(), what, fix))
}

/// A login or token that ends soon.
fn expiring(status: &AgentStatus) -> Option<Finding> {
    if status.state != Health::Expiring {
        return None;
    }
    let what = status.problem.clone()?;
    Some(Finding::note("login", status.agent.as_str(), what, how_to_renew(status)))
}

/// Agents without any credential. This is a problem if `--agent` names them.
fn missing_credentials(sources: &Sources<'_, '_, '_>) -> Vec<Finding> {
    let fix = |name: &str| format!("log in: {}; agent-init agents {name} lists what it accepts", warning::log_in(name));
    let what = "no credential was found";
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
