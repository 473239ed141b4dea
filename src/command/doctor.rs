//! `doctor`: what is wrong here, and how to mend it.

use std::time::SystemTime;

use crate::agent::Catalog;
use crate::cli::{DoctorOptions, RunOptions};
use crate::discover::{self, Environment, Facts, Running, running, surroundings};
use crate::doctor::{self, Finding, Sources};
use crate::plan;
use crate::report::doctor::{Document, page};
use crate::report::json_line;
use crate::report::style::Style;
use crate::status::Clock;

use super::Answer;
use super::status::{WARN_WITHIN, of_plan, of_running};

/// Answers.
///
/// # Errors
/// A definition that is none.
pub fn doctor(options: DoctorOptions, environment: &Environment) -> anyhow::Result<Answer> {
    let catalog = discover::catalog()?;
    let running = running::find(options.run.conduct.state_dir.as_deref(), environment).ok();
    let run = running::with_options_of_init(options.run);
    let facts = discover::facts(&run, &catalog, environment, None);
    let is_running = running.is_some();
    let around = surroundings::look(&run, &catalog, environment, facts.as_ref().ok(), is_running);
    let of_surroundings = doctor::of_surroundings(&around);
    let findings = match &facts {
        Err(error) => doctor::together(vec![Finding::of_refusal(error)], of_surroundings),
        Ok(facts) => doctor::together(of_surroundings, of_sources(&run, facts, running.as_ref(), &catalog)),
    };
    let is_wrong = findings.iter().any(|finding| finding.is_problem);
    let text = if options.json {
        json_line(&Document::of(&findings))?
    } else {
        page(&findings).written(Style::of_stdout(environment))
    };
    Ok(Answer { text, exit: u8::from(is_wrong) })
}

fn of_sources(options: &RunOptions, facts: &Facts<'_>, running: Option<&Running>, catalog: &Catalog) -> Vec<Finding> {
    let clock = Clock { now: SystemTime::now(), warn_within: WARN_WITHIN };
    let plan = plan::draft(options, facts);
    let status = match running {
        Some(running) => of_running(running, catalog, clock),
        None => of_plan(facts, &plan, clock),
    };
    let warnings = facts.warnings().collect();
    doctor::of_sources(&Sources { options, warnings, plan: &plan, status: &status, is_running: running.is_some() })
}
