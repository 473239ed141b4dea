//! strace(1) at a run that is under way.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

/// A tracer that came to a running init. Dropped, it goes.
pub struct Tracer {
    strace: Child,
    /// Held open: what it says later must not end it.
    _words: BufReader<ChildStderr>,
}

impl Tracer {
    /// Once it traces.
    pub fn attached(pid: i32, fault: &str) -> Self {
        let mut command = Command::new("strace");
        command.args(["-o", "/dev/null", "-e", &format!("inject={fault}"), "-p", &pid.to_string()]);
        let mut strace = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut words = BufReader::new(strace.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("attached") {
            line.clear();
            assert!(words.read_line(&mut line).unwrap() > 0, "strace is not attached");
        }
        Self { strace, _words: words }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
