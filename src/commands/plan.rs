//! `plan`: what `run` would do, and why. Nothing is written.

use std::time::SystemTime;

use crate::cli::PlanOptions;
use crate::commands::Answer;
use crate::commands::status::{WARN_WITHIN, of_plan};
use crate::env::Environment;
use crate::error::EXIT_FAILURE;
use crate::log::{Message, Reporter};
use crate::output::json_line;
use crate::output::plan::View;
use crate::output::plan::text::page;
use crate::output::style::Style;
use crate::status::Clock;
use crate::{facts, plan};

/// Answers.
///
/// # Errors
/// What would stop a start before there is a plan.
pub fn plan(options: &PlanOptions, environment: &Environment, reporter: Reporter) -> anyhow::Result<Answer> {
    let catalog = facts::catalog()?;
    let facts = facts::facts(&options.run, &catalog, environment, None)?;
    let plan = plan::draft(&options.run, &facts);
    let refusal = plan::required(&options.run, &plan.agents).err();
    let clock = Clock { now: SystemTime::now(), warn_within: WARN_WITHIN };
    let auth = of_plan(&facts, &plan, clock);
    let view = View::of(&options.run, &facts, &plan, refusal.as_ref(), &auth);
    let text = if options.json {
        json_line(&view)?
    } else {
        page(&view, &auth, clock.now).written(Style::of_stdout(environment))
    };
    if let Some(refusal) = &refusal {
        reporter.say(&Message::error(refusal));
    }
    Ok(Answer { text, exit: if refusal.is_some() { EXIT_FAILURE } else { 0 } })
}
