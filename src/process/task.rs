//! A helper command on its way: a group of its own, a bounded time and output, and no wait for it anywhere.

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

/// How much of a helper's complaint is kept, in bytes.
const COMPLAINT: usize = 4096;

/// What a helper is given.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long it may take.
    pub time: Duration,
    /// How much it may write on standard output, in bytes.
    pub output: usize,
}

/// What is started.
pub struct Job<'j> {
    /// What the messages call it.
    pub name: &'j str,
    /// Words and environment. Working directory, user and rights are ours.
    pub program: &'j Program,
    /// Its standard input.
    pub input: &'j [u8],
    /// How long and how much.
    pub bounds: Bounds,
    /// The mask that it gets back.
    pub inherited: &'j Inherited,
}

/// A helper that runs.
pub struct Task {
    name: String,
    id: HelperId,
    stdout: Stream,
    stderr: Stream,
    output: Zeroizing<Vec<u8>>,
    complaint: Vec<u8>,
    bounds: Bounds,
    deadline: Instant,
}

impl Task {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started, in words.
    pub fn start(job: &Job<'_>, children: &mut Children) -> Result<Task, Failure> {
        let failed = |error: io::Error| Failure::new(format!("{}: cannot be started: {}", job.name, reason(&error)));
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
            return Err(not_started(job, step, &error));
        }
        Ok(Task {
            name: job.name.to_owned(),
            id,
            stdout,
            stderr,
            output: Zeroizing::new(Vec::with_capacity(job.bounds.output.min(16 * 1024))),
            complaint: Vec::new(),
            bounds: job.bounds,
            deadline: Instant::now() + job.bounds.time,
        })
    }

    /// The descriptors that are readable when there is something to do. Its end is a SIGCHLD.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.stdout.fd(), self.stderr.fd()].into_iter().flatten()
    }

    /// When it has had its time.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Reads what it wrote; after its end, all of its standard output. What it leaves behind in the background goes on.
    /// The caller has reaped before: what it wrote before its end is in the pipe by then.
    ///
    /// # Errors
    /// It ended otherwise than well; or it wrote or took too much, and was killed.
    pub fn step(&mut self, now: Instant, children: &mut Children) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let end = children.take_end(self.id);
        let outcome = self.outcome(now, end);
        // One that has ended leaves its process id to others.
        if outcome.is_err() && end.is_none() {
            self.kill(children);
        }
        outcome
    }

    fn outcome(&mut self, now: Instant, end: Option<End>) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let name = &self.name;
        let failed = |error: io::Error| Failure::new(format!("{name}: {}", reason(&error)));
        self.stdout.drain(&mut self.output, self.bounds.output + 1).map_err(failed)?;
        self.stderr.drain(&mut self.complaint, COMPLAINT).map_err(failed)?;
        if self.output.len() > self.bounds.output {
            let what = format!("{name} wrote more than {} bytes", self.bounds.output);
            return Err(Failure::new(what).hint("standard output must be the value alone"));
        }
        match end {
            Some(End::Exited(0)) => Ok(Some(std::mem::take(&mut self.output))),
            Some(end) => Err(ended(name, end, &self.complaint)),
            None if self.deadline <= now => {
                let what = format!("{name} did not end within {} s, and was killed", self.bounds.time.as_secs());
                Err(with_complaint(Failure::new(what), &self.complaint))
            }
            None => Ok(None),
        }
    }

    /// Kills it, its group and its descendants, unless it is reaped. Nobody waits for it: it is reaped when it is gone.
    pub fn kill(&self, children: &mut Children) {
        if let Some(pid) = children.unreaped(self.id) {
            let descendants = process::descendants_of(pid);
            // Until its leader is reaped, a group's id is no other group's. One that ended in this moment is a zombie.
            let _ = process::kill(Target::Group(pid), Signal::KILL);
            for descendant in descendants {
                let _ = process::kill(Target::Process(descendant), Signal::KILL);
            }
        }
        children.abandon(self.id);
    }

    /// Whether its process is reaped.
    pub fn is_gone(&self, children: &Children) -> bool {
        children.unreaped(self.id).is_none()
    }
}

/// A step of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Group,
    Streams,
    ParentDeath,
    Mask,
    Exec,
}

/// The child's side: it allocates nothing, for its memory is ours. Returns only the step that failed.
fn become_helper(parent: Pid, job: &Job<'_>, input: BorrowedFd<'_>, output: [&Writer; 2]) -> (Step, io::Error) {
    let at = |step: Step| move |error: io::Error| (step, error);
    let prepare = || {
        process::own_group().map_err(at(Step::Group))?;
        process::standard_streams(input, output[0].as_fd(), output[1].as_fd()).map_err(at(Step::Streams))?;
        process::on_parent_death(Signal::KILL).map_err(at(Step::ParentDeath))?;
        if process::parent_id() != parent {
            process::exit_now(127);
        }
        job.inherited.restore().map_err(at(Step::Mask))
    };
    match prepare() {
        Ok(()) => (Step::Exec, job.program.exec()),
        Err(failed) => failed,
    }
}

fn not_started(job: &Job<'_>, step: Step, error: &io::Error) -> Failure {
    let (name, program) = (job.name, job.program.name());
    let what = match step {
        Step::Group => "cannot get a process group of its own",
        Step::Streams => "cannot get its standard input and output",
        Step::ParentDeath => "cannot be made to end with agent-init",
        Step::Mask => "cannot get its signal mask back",
        Step::Exec if error.kind() == io::ErrorKind::NotFound => return not_found(name, &program),
        Step::Exec => "cannot be executed",
    };
    Failure::new(format!("{name}: {program} {what}: {}", reason(error)))
}

fn not_found(name: &str, program: &str) -> Failure {
    let hint = if program == "/bin/sh" {
        "the command takes a shell (a pipe, a variable, a redirection), and the image has none: \
         write it as plain words, or as a program of its own"
    } else {
        "is it installed in this image, and on PATH?"
    };
    Failure::new(format!("{name}: {program} is not there")).hint(hint)
}

fn ended(name: &str, end: End, complaint: &[u8]) -> Failure {
    let how = match end {
        End::Exited(code) => format!("{name} failed: exit status {code}"),
        End::Signaled(signal) => format!("{name} was ended by signal {signal}"),
    };
    with_complaint(Failure::new(how), complaint)
}

/// The failure with the last words of standard error, on one line.
fn with_complaint(failure: Failure, complaint: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(complaint);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join(" / ");
    if last.is_empty() {
        failure.hint("it wrote nothing on standard error: run it by hand to see what is wrong")
    } else {
        failure.hint(format!("it wrote: {last}"))
    }
}
