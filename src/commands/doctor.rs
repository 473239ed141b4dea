//! `doctor`: what is wrong here, and how to mend it.

use std::time::SystemTime;

use crate::agent::Catalog;
use crate::commands::Answer;
use crate::commands::status::{of_plan, of_running};
use crate::config::{AgentSelection, DoctorConfig, Requirement, RunConfig, WARN_WITHIN};
use crate::doctor::{Finding, Sources, input};
use crate::env::Environment;
use crate::facts::Facts;
use crate::output::doctor::{Document, page};
use crate::output::json_line;
use crate::output::style::Style;
use crate::status::running::Running;
use crate::status::{Clock, running};
use crate::{doctor, facts, plan, workcopy};

/// Answers.
///
/// # Errors
/// A definition that is none.
pub fn doctor(config: &DoctorConfig, environment: &Environment) -> anyhow::Result<Answer> {
    let catalog = facts::catalog()?;
    let running = running::find(config.inspection.run.state_dir.as_deref(), environment).ok();
    let run = running::with_init(&config.inspection)?;
    let facts = facts::facts(&run, &catalog, environment, None);
    let is_running = running.is_some();
    let around = input::look(&run, &catalog, environment, facts.as_ref().ok(), is_running);
    let of_surroundings = doctor::of_surroundings(&around);
    let mut findings = if is_running {
        facts.as_ref().err().map(|error| Finding::of_refusal("run", error)).into_iter().collect()
    } else {
        refusals(&run, &catalog, environment, &facts)
    };
    findings.extend(of_surroundings);
    let of_sources = facts.as_ref().map(|facts| of_sources(&run, facts, running.as_ref(), &catalog));
    let findings = doctor::together(findings, of_sources.unwrap_or_default());
    let is_wrong = findings.iter().any(|finding| finding.is_problem);
    let text = if config.json {
        json_line(&Document::of(&findings))?
    } else {
        page(&findings).written(Style::of_stdout(environment))
    };
    Ok(Answer { text, exit: u8::from(is_wrong) })
}

/// What would stop a start: one with these options and, where they leave the agent open, one of each agent. The functions
/// are those of a start, so the words are too.
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
        let refusal = error.map(|error| Finding::of_refusal(subject, error));
        refusals.extend(refusal.filter(|refusal| refusals.iter().all(|known| known.what != refusal.what)));
    };
    refuse("run", facts.as_ref().err());
    for name in each_agent(config, catalog) {
        // What is required of another agent, or of any, is asked of all of them together, below.
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

/// The agents that a start may be asked for beyond what the options say.
fn each_agent(config: &RunConfig, catalog: &Catalog) -> Vec<String> {
    match &config.agent {
        AgentSelection::Named(names) => names.clone(),
        AgentSelection::Nobody => Vec::new(),
        AgentSelection::Auto if !config.command.is_empty() => Vec::new(),
        AgentSelection::Auto => catalog.entries().iter().map(|entry| entry.name().to_owned()).collect(),
    }
}

fn of_sources(config: &RunConfig, facts: &Facts<'_>, running: Option<&Running>, catalog: &Catalog) -> Vec<Finding> {
    let clock = Clock { now: SystemTime::now(), warn_within: WARN_WITHIN };
    let plan = plan::draft(config, facts);
    let status = match running {
        Some(running) => of_running(running, catalog, clock),
        None => of_plan(facts, &plan, clock),
    };
    let warnings = facts.warnings().collect();
    doctor::of_sources(&Sources { config, warnings, plan: &plan, status: &status, is_running: running.is_some() })
}
