//! A running helper command: in a process group of its own, with limits on time and output, and never waited for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::error::{Failure, reason};
use crate::process::children::{Children, End, HelperId};
use crate::sys::pipe::{Stream, Writer};
use crate::sys::process::{Pid, Program, Target};
use crate::sys::signal::{Inherited, Signal};
use crate::sys::{memory, pipe, process};

/// How much of a helper's standard error is kept, in bytes.
const MAX_ERROR_OUTPUT: usize = 4096;

/// The limits of a helper's run.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub time: Duration,
    /// The maximum length of its standard output, in bytes.
    pub output: usize,
}

/// A helper to start.
pub struct Job<'j> {
    /// What messages call it.
    pub name: &'j str,
    /// Its command line and environment. Working directory, user and privileges are ours.
    pub program: &'j Program,
    /// Its standard input.
    pub input: &'j [u8],
    pub bounds: Bounds,
    /// The signal mask that it gets.
    pub inherited: &'j Inherited,
    /// Steps of the child before it executes the program, such as a change of user. They must not allocate.
    pub prepare: Option<&'j dyn Fn() -> io::Result<()>>,
    /// Whether it is killed when agent-init ends. The end of PID 1 ends everybody.
    pub ends_with_us: bool,
}

pub struct Task {
    name: String,
    id: HelperId,
    stdout: Stream,
    stderr: Stream,
    output: Zeroizing<Vec<u8>>,
    error_output: Vec<u8>,
    bounds: Bounds,
    deadline: Instant,
}

impl Task {
    pub fn start(job: &Job<'_>, children: &mut Children) -> Result<Task, Failure> {
        let failed = |error: io::Error| Failure::new(format!("{}: cannot start: {}", job.name, reason(&error)));
        let input = memory::file(job.input).map_err(failed)?;
        let (stdout, child_stdout) = pipe::pipe().map_err(failed)?;
        let (stderr, child_stderr) = pipe::pipe().map_err(failed)?;
        let (stdout, stderr) = (stdout.stream().map_err(failed)?, stderr.stream().map_err(failed)?);
        let parent = process::id();
        let mut failed_step = None;
        let pid = process::vfork(&mut || {
            failed_step = Some(become_helper(parent, job, input.as_fd(), [&child_stdout, &child_stderr]));
            127
        });
        let pid = pid.map_err(failed)?;
        let id = children.expect_helper(pid);
        if let Some((step, error)) = failed_step {
            children.abandon(id);
            return Err(start_error(job, step, &error));
        }
        Ok(Task {
            name: job.name.to_owned(),
            id,
            stdout,
            stderr,
            output: Zeroizing::new(Vec::with_capacity(job.bounds.output.min(16 * 1024))),
            error_output: Vec::new(),
            bounds: job.bounds,
            deadline: Instant::now() + job.bounds.time,
        })
    }

    /// The descriptors that become readable when there is something to do. The helper's end is a SIGCHLD.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.stdout.fd(), self.stderr.fd()].into_iter().flatten()
    }

    /// When the helper must have ended.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Reads the helper's output. Returns all of it once the helper has succeeded. Processes that it left in the
    /// background go on. The caller has reaped before, so the pipe holds all that the helper wrote before its end.
    ///
    /// Fails if the helper failed. If it exceeded a limit, it is killed.
    pub fn step(&mut self, now: Instant, children: &mut Children) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let end = children.take_end(self.id);
        let outcome = self.outcome(now, end);
        // The process id of a helper that has ended may be another process's.
        if outcome.is_err() && end.is_none() {
            self.kill(children);
        }
        outcome
    }

    fn outcome(&mut self, now: Instant, end: Option<End>) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let name = &self.name;
        let failed = |error: io::Error| Failure::new(format!("{name}: {}", reason(&error)));
        self.stdout.drain(&mut self.output, self.bounds.output + 1).map_err(failed)?;
        self.stderr.drain(&mut self.error_output, MAX_ERROR_OUTPUT).map_err(failed)?;
        if self.output.len() > self.bounds.output {
            let what = format!("{name} wrote more than {} bytes", self.bounds.output);
            return Err(Failure::new(what).hint("standard output must hold only the value"));
        }
        match end {
            Some(End::Exited(0)) => Ok(Some(std::mem::take(&mut self.output))),
            Some(end) => Err(end_error(name, end, &self.error_output)),
            None if self.deadline <= now => {
                let what = format!("{name} did not end within {} s, and was killed", self.bounds.time.as_secs());
                Err(with_error_output(Failure::new(what), &self.error_output))
            }
            None => Ok(None),
        }
    }

    /// Kills the helper, its group and its descendants, unless it is reaped. It is reaped later, and nobody waits for
    /// it.
    pub fn kill(&self, children: &mut Children) {
        if let Some(pid) = children.unreaped(self.id) {
            let descendants = process::descendants_of(pid);
            // Until its leader is reaped, a group's id is not reused. A helper that has just ended is a zombie.
            let _ = process::kill(Target::Group(pid), Signal::KILL);
            for descendant in descendants {
                let _ = process::kill(Target::Process(descendant), Signal::KILL);
            }
        }
        children.abandon(self.id);
    }

    /// The last lines that the helper wrote on standard error, on one line.
    pub fn last_words(&self) -> String {
        last_words(&self.error_output)
    }

    /// Whether the helper's process is reaped.
    pub fn is_gone(&self, children: &Children) -> bool {
        children.unreaped(self.id).is_none()
    }
}

/// A step of the child before execve(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Group,
    Streams,
    Prepare,
    ParentDeath,
    Mask,
    Exec,
}

/// The child's side. It must not allocate, because it shares our memory. Returns only on failure.
fn become_helper(parent: Pid, job: &Job<'_>, input: BorrowedFd<'_>, output: [&Writer; 2]) -> (Step, io::Error) {
    let at = |step: Step| move |error: io::Error| (step, error);
    let prepare = || {
        process::own_group().map_err(at(Step::Group))?;
        process::standard_streams(input, output[0].as_fd(), output[1].as_fd()).map_err(at(Step::Streams))?;
        job.prepare.map_or(Ok(()), |prepare| prepare()).map_err(at(Step::Prepare))?;
        if job.ends_with_us {
            process::on_parent_death(Signal::KILL).map_err(at(Step::ParentDeath))?;
            if process::parent_id() != parent {
                process::exit_now(127);
            }
        }
        job.inherited.restore().map_err(at(Step::Mask))
    };
    match prepare() {
        Ok(()) => (Step::Exec, job.program.exec()),
        Err(failed) => failed,
    }
}

fn start_error(job: &Job<'_>, step: Step, error: &io::Error) -> Failure {
    let (name, program) = (job.name, job.program.name());
    let what = match step {
        Step::Group => "cannot get a process group of its own",
        Step::Streams => "cannot get its standard input and output",
        Step::Prepare => "cannot become the agent's user in its directory",
        Step::ParentDeath => "cannot be made to end with agent-init",
        Step::Mask => "cannot get its signal mask back",
        Step::Exec if error.kind() == io::ErrorKind::NotFound => return not_found_error(name, &program),
        Step::Exec => "cannot be executed",
    };
    Failure::new(format!("{name}: {program} {what}: {}", reason(error)))
}

fn not_found_error(name: &str, program: &str) -> Failure {
    let hint = if program == "/bin/sh" {
        "the command needs a shell (for a pipe, a variable or a redirection), and the image has none: \
         use plain words, or put the command into a program"
    } else {
        "is it installed in this image, and on PATH?"
    };
    Failure::new(format!("{name}: cannot find {program}")).hint(hint)
}

fn end_error(name: &str, end: End, error_output: &[u8]) -> Failure {
    let how = match end {
        End::Exited(code) => format!("{name} failed: exit status {code}"),
        End::Signaled(signal) => format!("{name} was killed by signal {signal}"),
    };
    with_error_output(Failure::new(how), error_output)
}

/// Adds the last lines of standard error, on one line, as a hint.
fn with_error_output(failure: Failure, error_output: &[u8]) -> Failure {
    let last = last_words(error_output);
    if last.is_empty() {
        failure.hint("the command wrote nothing on standard error: run it by hand to see what is wrong")
    } else {
        failure.hint(format!("the command wrote: {last}"))
    }
}

fn last_words(error_output: &[u8]) -> String {
    let text = String::from_utf8_lossy(error_output);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join(" / ")
}
