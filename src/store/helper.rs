//! The helper command of a store.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use crate::error::Failure;
use crate::process::children::Children;
use crate::process::task::{Bounds, Job, Task};
use crate::store::breach::Breach;
use crate::store::protocol;
use crate::store::protocol::Verb;
use crate::sys::process::Program;
use crate::sys::signal::Inherited;

/// The limits of a helper's run.
pub const BOUNDS: Bounds = Bounds { time: Duration::from_secs(30), output: protocol::MAX_ANSWER };

pub struct Helper {
    /// The command as the operator wrote it.
    pub text: String,
    program: Program,
    inherited: Inherited,
}

impl Helper {
    /// The helper that `argv` names, with this environment (`NAME=value`). Fails if a word contains a NUL byte.
    pub fn new(text: &str, argv: &[OsString], environment: Vec<OsString>, inherited: Inherited) -> io::Result<Helper> {
        let argv_with_verb: Vec<OsString> = argv.iter().cloned().chain([OsString::new()]).collect();
        Ok(Helper { text: text.to_owned(), program: Program::new(&argv_with_verb, environment)?, inherited })
    }

    pub(super) fn ask(&mut self, verb: Verb, input: &[u8], children: &mut Children) -> Result<Task, Failure> {
        self.program.set_last(verb.word());
        let name = request_name(&self.text, verb);
        let Helper { program, inherited, .. } = self;
        let (prepare, ends_with_us) = (None, true);
        Task::start(&Job { name: &name, program, input, bounds: BOUNDS, inherited, prepare, ends_with_us }, children)
    }
}

/// What messages call a helper.
pub fn request_name(text: &str, verb: Verb) -> String {
    format!("store {text}: {}", verb.word())
}

/// The error for an answer that does not follow the protocol.
pub fn protocol_error(text: &str, verb: Verb, why: &Breach) -> Failure {
    let what = format!("{}: the answer cannot be used: {why}", request_name(text, verb));
    Failure::new(what).hint("run it by hand: it must print one JSON object, and nothing else, on standard output")
}
