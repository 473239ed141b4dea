//! `serve`: a run whose COMMAND is this binary, which waits for a signal. So whatever finds a run also finds this one:
//! `exec`, `status`, `healthcheck`.

use anyhow::Context;

use super::run;
use crate::config::RunConfig;
use crate::env::Environment;
use crate::sys::signal::{self, Signal};

/// The signals with which a person or a service manager ends a service.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

pub fn serve(config: RunConfig, environment: Environment) -> anyhow::Result<u8> {
    let mut config = config;
    let own = std::env::current_exe().context("cannot read /proc/self/exe, which is this binary")?;
    config.command = vec![own.into(), "serve".into(), "--idle".into()];
    // One that comes before `idle` waits for it kills the process.
    config.compat.expected.extend(ENDING.iter().filter_map(|signal| u8::try_from(128 + signal.number()).ok()));
    run::run(&config, environment)
}

/// Waits for a signal that ends a process.
pub fn idle() -> anyhow::Result<u8> {
    signal::wait_for_end().context("cannot wait for a signal")?;
    Ok(0)
}
