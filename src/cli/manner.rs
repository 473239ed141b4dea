//! Pure. What the name under which we were started changes.

use crate::error::{EXIT_FAILURE, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND};
use crate::sys::signal::Signal;

/// What the name under which we were started changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// The stop signal starts a stop within a budget, and a second one kills. Else signals are passed on and no more.
    pub escalates: bool,
    /// The signal that we want when our parent dies.
    pub parent_death: Option<Signal>,
    /// Exit statuses of COMMAND that become 0.
    pub expected: Vec<u8>,
    /// Reaping is worth a warning.
    pub says_reaped: bool,
    /// The exit status of our own failures.
    pub failure: u8,
    /// The exit status when COMMAND cannot be executed; else 127 or 126.
    pub exec_failure: Option<u8>,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner {
            escalates: true,
            parent_death: None,
            expected: Vec::new(),
            says_reaped: false,
            failure: EXIT_FAILURE,
            exec_failure: None,
        }
    }
}

impl Manner {
    /// The exit status for a failure.
    #[must_use]
    pub fn exit_status(&self, failure: u8) -> u8 {
        match failure {
            EXIT_FAILURE => self.failure,
            EXIT_NOT_EXECUTABLE | EXIT_NOT_FOUND => self.exec_failure.unwrap_or(failure),
            // A stop before COMMAND runs: 128 and the signal, under every name.
            other => other,
        }
    }
}
