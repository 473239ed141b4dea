//! The helper command of a store: started with a verb, and what messages call it.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use crate::error::Failure;
use crate::process::children::Children;
use crate::process::task::{Bounds, Job, Task};
use crate::store::protocol;
use crate::store::protocol::Verb;
use crate::sys::process::Program;
use crate::sys::signal::Inherited;

/// What a helper may take.
pub const BOUNDS: Bounds = Bounds { time: Duration::from_secs(30), output: protocol::LONGEST };

/// The helper command.
pub struct Helper {
    /// As the operator wrote it.
    pub text: String,
    program: Program,
    inherited: Inherited,
}

impl Helper {
    /// The helper that `argv` names, with this environment (`NAME=value`).
    ///
    /// # Errors
    /// A word has a NUL byte.
    pub fn new(text: &str, argv: &[OsString], environment: Vec<OsString>, inherited: Inherited) -> io::Result<Helper> {
        let with_verb: Vec<OsString> = argv.iter().cloned().chain([OsString::new()]).collect();
        Ok(Helper { text: text.to_owned(), program: Program::new(&with_verb, environment)?, inherited })
    }

    pub(super) fn ask(&mut self, verb: Verb, input: &[u8], children: &mut Children) -> Result<Task, Failure> {
        self.program.set_last(verb.word());
        let name = called(&self.text, verb);
        let Helper { program, inherited, .. } = self;
        Task::start(&Job { name: &name, program, input, bounds: BOUNDS, inherited }, children)
    }
}

/// What messages call a helper.
pub fn called(text: &str, verb: Verb) -> String {
    format!("store {text}: {}", verb.word())
}

/// A failure to understand an answer.
pub fn misunderstood(text: &str, verb: Verb, why: &str) -> Failure {
    let what = format!("{}: the answer cannot be used: {why}", called(text, verb));
    Failure::new(what).hint("the helper must write one JSON object and nothing else on standard output: run it by hand")
}
