//! The commands: composition, and no rules.

pub mod agents;
pub mod completions;
pub mod doctor;
pub mod exec;
pub mod healthcheck;
pub mod install;
pub mod plan;
pub mod run;
pub mod status;

use std::io::{self, Write};

use crate::cli::Invocation;
use crate::discover::Environment;
use crate::report::{Failure, Reporter};

/// What a command that looks has to say.
#[derive(Debug)]
pub struct Answer {
    /// For standard output.
    pub text: String,
    /// The exit status.
    pub exit: u8,
}

/// Carries an invocation out and returns the exit status.
///
/// # Errors
/// As the command.
pub fn perform(invocation: Invocation, environment: Environment, reporter: Reporter) -> anyhow::Result<u8> {
    let answer = match invocation {
        Invocation::Run(options, manner) => return run::run(&options, &manner, environment),
        Invocation::Healthcheck(options) => return healthcheck::healthcheck(&options, &environment, reporter),
        Invocation::Exec(options) => return exec::exec(&options, &environment, reporter),
        Invocation::Install(options) => return install::install(&options, reporter),
        Invocation::Status(options) => status::status(options, &environment, reporter)?,
        Invocation::Plan(options) => plan::plan(&options, &environment, reporter)?,
        Invocation::Doctor(options) => doctor::doctor(options, &environment)?,
        Invocation::Agents(options) => agents::agents(&options, &environment)?,
        Invocation::Completions(options) => completions::completions(&options),
        Invocation::Print(text) => Answer { text, exit: 0 },
    };
    print(&answer.text)?;
    Ok(answer.exit)
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // A reader that has gone (`| head`) is no error of ours.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other.map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?),
    }
}
