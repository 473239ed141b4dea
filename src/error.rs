//! The one error type of this program: what happened, and what helps; and the exit statuses of a start that failed.

use std::{fmt, io};

/// The exit status of a failure of ours before the agent ran.
pub const EXIT_FAILURE: u8 = 125;

/// The command was found and cannot be executed.
pub const EXIT_NOT_EXECUTABLE: u8 = 126;

/// The command was not found.
pub const EXIT_NOT_FOUND: u8 = 127;

/// What happened, and what to do about it; carried in an [`anyhow::Error`], whose chain is the cause.
#[derive(Debug)]
pub struct Failure {
    /// What happened.
    pub what: String,
    /// The remedy.
    pub hint: Option<String>,
    /// The exit status that it ends in.
    pub exit: u8,
}

impl Failure {
    /// A failure without a remedy, which ends in [`EXIT_FAILURE`].
    pub fn new(what: impl Into<String>) -> Failure {
        Failure { what: what.into(), hint: None, exit: EXIT_FAILURE }
    }

    /// With a remedy.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// With another exit status.
    pub fn exit(mut self, exit: u8) -> Failure {
        self.exit = exit;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// An error with its chain of causes.
pub fn in_words(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| without_number(&cause.to_string())).collect();
    causes.join(": ")
}

/// A text without Rust's "(os error N)": the words before it say the same, and a number helps nobody.
pub fn without_number(text: &str) -> String {
    const NUMBER: &str = " (os error ";
    let mut parts = text.split(NUMBER);
    let mut words = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => words += rest,
            _ => words.extend([NUMBER, part]),
        }
    }
    words
}
/// An I/O error in words.
pub fn reason(error: &io::Error) -> String {
    without_number(&error.to_string())
}
