//! The commands. They compose the other modules and contain no rules.

pub mod agents;
pub mod completions;
pub mod doctor;
pub mod exec;
pub mod healthcheck;
pub mod history;
pub mod install;
pub mod keep;
pub mod plan;
pub mod run;
pub mod serve;
pub mod setup;
pub mod status;

use std::io;
use std::io::Write;

use crate::config::Command;
use crate::env::Environment;
use crate::error::Failure;
use crate::log::Reporter;

/// The output of a command that changes nothing.
#[derive(Debug)]
pub struct Answer {
    /// Written to standard output.
    pub text: String,
    /// The exit status.
    pub exit: u8,
}

/// Carries out a command and returns the exit status.
pub fn perform(command: Command, environment: Environment, reporter: Reporter) -> anyhow::Result<u8> {
    let answer = match command {
        Command::Run(config) => return run::run(&config, environment),
        Command::Serve(config) => return serve::serve(config, environment),
        Command::Idle => return serve::idle(),
        Command::Setup(config) => return setup::setup(&config, environment, reporter),
        Command::Keep(config) => return keep::keep(&config, &environment, reporter),
        Command::Healthcheck(config) => return Ok(healthcheck::healthcheck(&config, &environment, reporter)),
        Command::Exec(config) => return exec::exec(&config, &environment, reporter),
        Command::Install(path) => return install::install(&path, reporter),
        Command::Status(config) => status::status(&config, &environment, reporter)?,
        Command::History(config) => history::history(&config, &environment, reporter)?,
        Command::Plan(config) => plan::plan(&config, &environment, reporter)?,
        Command::Doctor(config) => doctor::doctor(&config, &environment)?,
        Command::Agents(config) => agents::agents(&config, &environment)?,
        Command::Completions(shell) => completions::completions(shell),
        Command::Print(text) => Answer { text, exit: 0 },
    };
    print(&answer.text)?;
    Ok(answer.exit)
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // A reader that has exited (`| head`) is not an error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other.map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?),
    }
}
