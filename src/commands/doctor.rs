//! `doctor`: finds problems and says how to fix them.

use std::time::SystemTime;

use crate::agent::Catalog;
use crate::commands::Answer;
use crate::commands::status::{planned_agents, running_agents};
use crate::config::{AgentSelection, DoctorConfig, Requirement, RunConfig};
use crate::doctor::{Finding, Sources, input};
use crate::env::Environment;
use crate::facts::Facts;
use crate::output::doctor::{Document, page};
use crate::output::json_line;
use crate::output::style::Style;
use crate::status::running::Running;
use crate::status::{Clock, running};
use crate::{doctor, facts, plan, workcopy};

pub fn doctor(config: &DoctorConfig, environment: &Environment) -> anyhow::Result<Answer> {
    let catalog = facts::catalog()?;
    let running = running::find(config.inspection.run.state_dir.as_deref(), environment).ok();
    let run = running::with_init(&config.inspection)?;
    let facts = facts::facts(&run, &catalog, environment, None);
    let is_running = running.is_some();
    let doctor_input = input::inspect(&run, &catalog, environment, facts.as_ref().ok(), is_running);
    let check_input = doctor::check_input(&doctor_input);
    let mut findings = if is_running {
        facts.as_ref().err().map(|error| Finding::from_refusal("run", error)).into_iter().collect()
    } else {
        refusals(&run, &catalog, environment, &facts)
    };
    findings.extend(check_input);
    let check_sources = facts.as_ref().map(|facts| check_sources(&run, facts, running.as_ref(), &catalog));
    let findings = doctor::combine(findings, check_sources.unwrap_or_default());
    let has_problem = findings.iter().any(|finding| finding.is_problem);
    let text = if config.json {
        json_line(&Document::of(&findings))?
    } else {
        page(&findings).written(Style::of_stdout(environment))
    };
    Ok(Answer { text, exit: u8::from(has_problem) })
}

/// The errors that would prevent a start with these options and, if they do not name an agent, a start of each agent.
/// They come from the functions of a start, so the messages are the same.
fn refusals(
    config: &RunConfig,
    catalog: &Catalog,
    environment: &Environment,
    facts: &anyhow::Result<Facts<'_>>,
) -> Vec<Finding> {
    let of_plan = |config: &RunConfig, facts: &Facts<'_>| {
        plan::plan(config, facts).and_then(|plan| workcopy::check_possible(facts, &plan)).err()
    };
    let mut refusals: Vec<Finding> = Vec::new();
    let mut refuse = |subject: &str, error: Option<&anyhow::Error>| {
        let refusal = error.map(|error| Finding::from_refusal(subject, error));
        refusals.extend(refusal.filter(|refusal| refusals.iter().all(|known| known.what != refusal.what)));
    };
    refuse("run", facts.as_ref().err());
    for name in each_agent(config, catalog) {
        // A requirement on another agent, or on any agent, is checked below for all of them together.
        let require = match &config.require {
            Requirement::Named(names) if names.contains(&name) => Requirement::Named(vec![name.clone()]),
            _ => Requirement::Nobody,
        };
        let agent = AgentSelection::Named(vec![name.clone()]);
        let alone = RunConfig { agent, require, ..config.clone() };
        match facts::facts(&alone, catalog, environment, None) {
            Err(error) => refuse(&name, Some(&error)),
            Ok(facts) => refuse(&name, of_plan(&alone, &facts).as_ref()),
        }
    }
    if let Ok(facts) = facts {
        refuse("run", of_plan(config, facts).as_ref());
    }
    refusals
}

/// The agents whose start is checked one by one.
fn each_agent(config: &RunConfig, catalog: &Catalog) -> Vec<String> {
    match &config.agent {
        AgentSelection::Named(names) => names.clone(),
        AgentSelection::Nobody => Vec::new(),
        AgentSelection::Auto if !config.command.is_empty() => Vec::new(),
        AgentSelection::Auto => catalog.entries().iter().map(|entry| entry.name().to_owned()).collect(),
    }
}

fn check_sources(config: &RunConfig, facts: &Facts<'_>, running: Option<&Running>, catalog: &Catalog) -> Vec<Finding> {
    let clock = Clock { now: SystemTime::now(), warn_within: config.warn_within };
    let plan = plan::draft(config, facts);
    let status = match running {
        Some(running) => running_agents(running, catalog, clock),
        None => planned_agents(facts, &plan, clock),
    };
    let warnings = facts.warnings().collect();
    doctor::check_sources(&Sources {
        config,
        facts,
        warnings,
        plan: &plan,
        status: &status,
        is_running: running.is_some(),
    })
}
