//! The commands: composition, and no rules.

pub mod run;

use std::io::{self, Write};

use crate::cli::Invocation;
use crate::discover::Environment;
use crate::report::Failure;

/// What a command that looks has to say.
#[derive(Debug)]
pub struct Answer {
    /// For standard output.
    pub text: String,
    /// The exit status.
    pub exit: u8,
}

/// Carries an invocation out that does not run an agent, and returns the exit status.
///
/// # Errors
/// As the command.
pub fn answer(invocation: Invocation, _environment: &Environment) -> anyhow::Result<u8> {
    let answer = match invocation {
        Invocation::Print(text) => Answer { text, exit: 0 },
        _ => return Err(Failure::new("this command is not in this version").into()),
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
