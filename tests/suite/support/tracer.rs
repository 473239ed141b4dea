//! A tracer that comes to a running process: from then on the kernel fails as it is told.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

/// Dropped, it goes, and the process is as it was.
pub struct Tracer {
    strace: Child,
    /// Held open: what it says later must not end it.
    _words: BufReader<ChildStderr>,
}

impl Tracer {
    pub fn attached(pid: i32, fault: &str) -> Self {
        Self::at(pid, fault, &[])
    }

    /// Only for calls that are about these paths: the arguments, and the descriptors that lead there.
    pub fn at(pid: i32, fault: &str, paths: &[&str]) -> Self {
        let mut command = Command::new("strace");
        command.args(["-o", "/dev/null", "-e", &format!("inject={fault}"), "-p", &pid.to_string()]);
        command.args(paths.iter().flat_map(|path| ["-P", path]));
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
        // TERM lets it detach; KILL would leave the process stopped.
        let pid = self.strace.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.strace.wait();
    }
}
