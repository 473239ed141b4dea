//! `healthcheck`: whether the agent that runs here is well.

use std::time::SystemTime;

use crate::cli::HealthcheckOptions;
use crate::discover::{self, Environment, running};
use crate::report::{Failure, Level, Message, Reporter};
use crate::status::complaint;

use super::status::{WARN_WITHIN, of_running};

/// The exit status: 0, or 1 after one line.
///
/// # Errors
/// A definition that is none.
pub fn healthcheck(options: &HealthcheckOptions, environment: &Environment, reporter: Reporter) -> anyhow::Result<u8> {
    let why = match running::find(options.state_dir.as_deref(), environment) {
        Ok(running) => {
            let catalog = discover::catalog()?;
            let clock = crate::status::Clock { now: SystemTime::now(), warn_within: WARN_WITHIN };
            of_running(&running, &catalog, clock).iter().find_map(complaint)
        }
        Err(_) if running::plain_init_has_child() => None,
        Err(why) => Some(why),
    };
    let Some(why) = why else { return Ok(0) };
    reporter.say(&Message { level: Level::Error, ..Message::error(&Failure::new(why).into()) });
    Ok(1)
}
