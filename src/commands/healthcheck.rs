//! `healthcheck`: whether the running agent is healthy.

use std::time::SystemTime;

use crate::agent::definition::Method;
use crate::commands::status::running_agents;
use crate::config::HealthcheckConfig;
use crate::env::Environment;
use crate::error::Failure;
use crate::facts;
use crate::log::{Message, Reporter};
use crate::status::{AgentStatus, Clock, Health, complaint, how_to_renew, running};
use crate::words::spelling::Words;

/// Returns 0, or 1 after one message. Docker reserves every other exit status, so even an unreadable definition results
/// in 1.
pub fn healthcheck(config: &HealthcheckConfig, environment: &Environment, reporter: Reporter) -> u8 {
    let Some(why) = first_problem(config, environment) else { return 0 };
    reporter.say(&Message::error(&why));
    1
}

fn first_problem(config: &HealthcheckConfig, environment: &Environment) -> Option<anyhow::Error> {
    let why = match running::find(config.state_dir.as_deref(), environment) {
        Ok(running) => {
            let catalog = match facts::catalog() {
                Ok(catalog) => catalog,
                Err(error) => return Some(error),
            };
            let clock = Clock { now: SystemTime::now(), warn_within: config.warn_within };
            running_agents(&running, &catalog, clock).iter().find_map(complaint_and_remedy)
        }
        Err(_) if running::plain_init_has_child() => None,
        Err(why) => Some(why.to_string()),
    };
    why.map(|why| Failure::new(why).into())
}

/// What is wrong with an agent, and after the end of its login how to log in anew.
fn complaint_and_remedy(status: &AgentStatus) -> Option<String> {
    let why = complaint(status)?;
    let has_login_ended = status.state == Health::Expired && status.method == Method::Session.word();
    Some(if has_login_ended { format!("{why}: {}", how_to_renew(status)) } else { why })
}
