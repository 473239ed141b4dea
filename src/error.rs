//! The error type of this program, and the exit statuses of a failed start.

use std::{fmt, io};

/// agent-init failed before the agent ran.
pub const EXIT_FAILURE: u8 = 125;

/// The command was found and could not be executed.
pub const EXIT_NOT_EXECUTABLE: u8 = 126;

pub const EXIT_NOT_FOUND: u8 = 127;

/// What happened and what to do about it. It is the context in an [`anyhow::Error`], whose chain has the causes.
#[derive(Debug)]
pub struct Failure {
    /// What happened.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit status.
    pub exit: u8,
}

impl Failure {
    /// A failure without a hint, with the exit status [`EXIT_FAILURE`].
    pub fn new(what: impl Into<String>) -> Failure {
        Failure { what: what.into(), hint: None, exit: EXIT_FAILURE }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

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

/// Removes Rust's "(os error N)": the words before it say the same.
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
pub fn reason(error: &io::Error) -> String {
    without_number(&error.to_string())
}
