//! A run that is under way, and what it left.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use std::{fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::LIMIT;

/// A run under way. Killed when dropped, or after its limit.
pub struct Live {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    namespace: bool,
    /// Dropped at the end: ends the hang guard.
    guard: Option<Sender<()>>,
}

impl Live {
    pub(super) fn new(mut child: Child, namespace: bool, input: &str, limit: Duration) -> Self {
        // A reader that has gone is the run's own affair.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let (guard, ended) = channel();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                kill_tree(pid);
            }
        });
        Self {
            stdout: Lines::of(child.stdout.take().unwrap()),
            stderr: Lines::of(child.stderr.take().unwrap()),
            child,
            namespace,
            guard: Some(guard),
        }
    }

    /// The pid of the binary (in our own pid namespace). Only once it has said something.
    pub fn pid(&self) -> i32 {
        let outer = self.child.id();
        if !self.namespace {
            return outer.try_into().unwrap();
        }
        let list = format!("/proc/{outer}/task/{outer}/children");
        let children = fs::read_to_string(&list).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Sends a signal by number (real-time ones have no name in nix).
    pub fn signal(&self, number: i32) {
        let pid = self.pid().to_string();
        let kill = Command::new("sh").args(["-c", "kill -$1 $2", "sh", &number.to_string(), &pid]).status();
        assert!(kill.unwrap().success(), "kill -{number} {pid}");
    }

    /// The stop signal.
    pub fn stop(&self) {
        self.signal(Signal::SIGTERM as i32);
    }

    /// Reads stdout up to and with the first line that contains `text`; gives that line.
    pub fn line(&mut self, text: &str) -> String {
        let found = self.stdout.until(text);
        found.unwrap_or_else(|| panic!("no {text:?} on stdout\n{}", self.so_far()))
    }

    /// Whether stdout has a line with this text before it ends.
    pub fn starts_with_line(&mut self, text: &str) -> bool {
        self.stdout.until(text).is_some()
    }

    /// The same for stderr.
    pub fn message(&mut self, text: &str) -> String {
        let found = self.stderr.until(text);
        found.unwrap_or_else(|| panic!("no {text:?} on stderr\n{}", self.so_far()))
    }

    fn so_far(&self) -> String {
        format!("stdout so far:\n{}\nstderr so far:\n{}", self.stdout.text(), self.stderr.text())
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Outcome {
        let status = self.child.wait().unwrap();
        self.guard = None;
        self.stdout.rest();
        self.stderr.rest();
        Outcome { code: status.code(), stdout: self.stdout.text(), stderr: self.stderr.text() }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.guard.take().is_some() {
            kill_tree(Pid::from_raw(self.child.id().try_into().unwrap()));
            let _ = self.child.wait();
        }
    }
}

/// Children first: unshare's `--kill-child` covers its own, a binary that is not PID 1 leaves its agent.
fn kill_tree(pid: Pid) {
    let list = format!("/proc/{pid}/task/{pid}/children");
    for child in fs::read_to_string(list).unwrap_or_default().split_whitespace() {
        if let Ok(child) = child.parse() {
            let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
        }
    }
    let _ = kill(pid, Signal::SIGKILL);
}

/// The lines of one stream, as they come.
struct Lines {
    incoming: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, incoming) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        Self { incoming, seen: Vec::new() }
    }

    fn until(&mut self, text: &str) -> Option<String> {
        while let Ok(line) = self.incoming.recv_timeout(LIMIT) {
            self.seen.extend(&line);
            let line = String::from_utf8_lossy(&line);
            if line.contains(text) {
                return Some(line.trim_end_matches('\n').to_owned());
            }
        }
        None
    }

    /// To the end of the stream. A process that outlived the run and holds the stream open is a failure.
    fn rest(&mut self) {
        loop {
            match self.incoming.recv_timeout(LIMIT / 4) {
                Ok(line) => self.seen.extend(&line),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("something outlived the run and holds its output:\n{}", self.text())
                }
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

/// What a run left.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status; none if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Asserts the exit status.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "exit status\n{self}");
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Asserts that stdout has each of these.
    #[track_caller]
    pub fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "stdout lacks {part:?}\n{self}");
        }
        self
    }

    /// Asserts that stdout has none of these.
    #[track_caller]
    pub fn prints_no(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(!self.stdout.contains(part), "stdout has {part:?}\n{self}");
        }
        self
    }

    /// Asserts that stderr has each of these.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "stderr lacks {part:?}\n{self}");
        }
        self
    }

    /// Asserts that stderr has none of these.
    #[track_caller]
    pub fn says_no(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(!self.stderr.contains(part), "stderr has {part:?}\n{self}");
        }
        self
    }

    /// Asserts a start that failed before the agent ran: 125, `agent-init: error:` and each of these on stderr.
    #[track_caller]
    pub fn refuses(self, parts: &[&str]) -> Self {
        self.code(125).says(&["agent-init: error: "]).says(parts)
    }

    /// The stderr lines that are warnings.
    pub fn warnings(&self) -> Vec<&str> {
        let warning = |line: &&str| line.starts_with("agent-init: warning: ");
        self.stderr.lines().filter(warning).collect()
    }

    /// Asserts exactly one warning that has each of these.
    #[track_caller]
    pub fn warns_once(self, parts: &[&str]) -> Self {
        let matching = |line: &&&str| parts.iter().all(|part| line.contains(part));
        let found = self.warnings().iter().filter(matching).count();
        assert_eq!(found, 1, "warnings with {parts:?}\n{self}");
        self
    }

    /// Asserts that no warning comes twice.
    #[track_caller]
    pub fn repeats_nothing(self) -> Self {
        let mut warnings = self.warnings();
        let all = warnings.len();
        warnings.sort_unstable();
        warnings.dedup();
        assert_eq!(warnings.len(), all, "a warning comes twice\n{self}");
        self
    }

    /// Asserts that there is no warning.
    #[track_caller]
    pub fn quiet(self) -> Self {
        assert!(self.warnings().is_empty(), "a warning\n{self}");
        self
    }

    /// The value of `NAME=` in what `env` printed.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let pair = |line: &'_ str| line.split_once('=').is_some_and(|(key, _)| key == name);
        let line = self.stdout.lines().find(|line| pair(line))?;
        Some(&line[name.len() + 1..])
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("stdout is no JSON: {e}\n{self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr } = self;
        write!(f, "--- exit {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
