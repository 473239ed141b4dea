//! What is different under the name of another init.

use crate::error::{EXIT_FAILURE, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND};
use crate::sys::signal::Signal;

/// What is different under the name of another init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compat {
    /// The stop signal starts a stop within a time budget, and a second one kills. Otherwise signals are only forwarded.
    pub escalates: bool,
    /// The signal that we get when our parent dies.
    pub parent_death: Option<Signal>,
    /// Exit statuses of COMMAND that become 0.
    pub expected: Vec<u8>,
    /// Each process that is reaped is worth a warning.
    pub says_reaped: bool,
    /// The exit status of our own failures.
    pub failure: u8,
    /// The exit status if COMMAND cannot be executed; otherwise 127 or 126.
    pub exec_failure: Option<u8>,
}

impl Default for Compat {
    fn default() -> Compat {
        Compat {
            escalates: true,
            parent_death: None,
            expected: Vec::new(),
            says_reaped: false,
            failure: EXIT_FAILURE,
            exec_failure: None,
        }
    }
}

impl Compat {
    /// The exit status for a failure of ours. A stop before COMMAND runs is 128 and the signal under every name.
    pub fn exit_status(&self, failure: u8) -> u8 {
        match failure {
            EXIT_FAILURE => self.failure,
            EXIT_NOT_EXECUTABLE | EXIT_NOT_FOUND => self.exec_failure.unwrap_or(failure),
            other => other,
        }
    }
}
