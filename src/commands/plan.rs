//! `plan`: shows what `run` would do, and why. Writes nothing.

use std::time::SystemTime;

use crate::commands::Answer;
use crate::commands::status::planned_agents;
use crate::config::PlanConfig;
use crate::env::Environment;
use crate::error::EXIT_FAILURE;
use crate::log::{Message, Reporter};
use crate::output::json_line;
use crate::output::plan::View;
use crate::output::plan::text::page;
use crate::output::style::Style;
use crate::status::Clock;
use crate::{facts, plan};

pub fn plan(config: &PlanConfig, environment: &Environment, reporter: Reporter) -> anyhow::Result<Answer> {
    let catalog = facts::catalog()?;
    let facts = facts::facts(&config.run, &catalog, environment, None)?;
    let plan = plan::draft(&config.run, &facts);
    let refusal = plan::required(&config.run, &plan.agents).err();
    let clock = Clock { now: SystemTime::now(), warn_within: config.run.warn_within };
    let auth = planned_agents(&facts, &plan, clock);
    let view = View::of(&facts, &plan, refusal.as_ref(), &auth);
    let text = if config.json {
        json_line(&view)?
    } else {
        page(&view, &auth, clock.now).written(Style::of_stdout(environment))
    };
    if let Some(refusal) = &refusal {
        reporter.say(&Message::error(refusal));
    }
    Ok(Answer { text, exit: if refusal.is_some() { EXIT_FAILURE } else { 0 } })
}
