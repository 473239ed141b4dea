//! `healthcheck`: whether the running agent or keeper is healthy.

use std::time::SystemTime;

use crate::agent::Catalog;
use crate::agent::definition::Method;
use crate::commands::status::{running_agent, running_agents};
use crate::config::HealthcheckConfig;
use crate::env::Environment;
use crate::error::Failure;
use crate::facts;
use crate::log::{Message, Reporter};
use crate::status::running::{NoRun, RunningKeeper};
use crate::status::{AgentStatus, Clock, Health, complaint, how_to_renew, kept_complaint, running};
use crate::words::spelling::Words;

/// Returns 0, or 1 after one message. Docker reserves every other exit status, so even an unreadable definition results
/// in 1.
pub fn healthcheck(config: &HealthcheckConfig, environment: &Environment, reporter: Reporter) -> u8 {
    let problem = match first_problem(config, environment) {
        Ok(None) => return 0,
        Ok(Some(why)) => Failure::new(why).into(),
        Err(error) => error,
    };
    reporter.say(&Message::error(&problem));
    1
}

fn first_problem(config: &HealthcheckConfig, environment: &Environment) -> anyhow::Result<Option<String>> {
    let state_dir = config.state_dir.as_deref();
    let (run, keeper) = (running::find(state_dir, environment), running::find_keeper(state_dir, environment));
    if let (Err(no_run), Err(no_keeper)) = (&run, &keeper) {
        return Ok(nothing_runs(no_run, no_keeper));
    }
    let catalog = facts::catalog()?;
    let clock = Clock { now: SystemTime::now(), warn_within: config.warn_within };
    let of_run = run.ok().and_then(|run| running_agents(&run, &catalog, clock).iter().find_map(complaint_and_remedy));
    Ok(of_run.or_else(|| problem_of_keeper(&keeper.ok()?, &catalog, clock)))
}

fn nothing_runs(no_run: &NoRun, no_keeper: &NoRun) -> Option<String> {
    if running::plain_init_has_child() {
        return None;
    }
    Some(match (no_run, no_keeper) {
        _ if running::init_is_keeper() => "the keeper is starting: it has not looked at its logins yet".to_owned(),
        (NoRun::NoStateFile(_), no_keeper) if !matches!(no_keeper, NoRun::NoStateFile(_)) => no_keeper.to_string(),
        _ => no_run.to_string(),
    })
}

fn problem_of_keeper(keeper: &RunningKeeper, catalog: &Catalog, clock: Clock) -> Option<String> {
    let RunningKeeper { state, state_dir } = keeper;
    state.agents.iter().find_map(|served| {
        let status = running_agent(served, state_dir, state.user.0, catalog, clock);
        kept_complaint(served, &status, clock.now)
    })
}

/// What is wrong with an agent, and after the end of its login how to log in anew.
fn complaint_and_remedy(status: &AgentStatus) -> Option<String> {
    let why = complaint(status)?;
    let has_login_ended = status.state == Health::Expired && status.method == Method::Session.word();
    Some(if has_login_ended { format!("{why}: {}", how_to_renew(status)) } else { why })
}
