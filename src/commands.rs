//! The commands: composition, and no rules.

pub mod agents;
pub mod completions;
pub mod doctor;
pub mod exec;
pub mod healthcheck;
pub mod install;
pub mod plan;
pub mod run;
pub mod setup;
pub mod status;

use std::io;
use std::io::Write;

use crate::cli::{Invocation, Request};
use crate::env::Environment;
use crate::error::Failure;
use crate::log::Reporter;

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
    match invocation {
        Invocation::Run(options, manner) => run::run(&options, &manner, environment),
        Invocation::Beside(Request::Setup(options)) => setup::setup(&options, environment, reporter),
        Invocation::Beside(request) => answer(request, &environment, reporter),
    }
}

/// Apart, so that a start does not touch the pages of what it does not need: inlined, all of it is one large frame.
#[cold]
#[inline(never)]
fn answer(request: Request, environment: &Environment, reporter: Reporter) -> anyhow::Result<u8> {
    let answer = match request {
        Request::Setup(options) => return setup::setup(&options, Environment::default(), reporter),
        Request::Healthcheck(options) => return Ok(healthcheck::healthcheck(&options, environment, reporter)),
        Request::Exec(options) => return exec::exec(&options, environment, reporter),
        Request::Install(options) => return install::install(&options, reporter),
        Request::Status(options) => status::status(options, environment, reporter)?,
        Request::Plan(options) => plan::plan(&options, environment, reporter)?,
        Request::Doctor(options) => doctor::doctor(options, environment)?,
        Request::Agents(options) => agents::agents(&options, environment)?,
        Request::Completions(options) => completions::completions(&options),
        Request::Print(text) => Answer { text, exit: 0 },
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
