//! Runs helper commands to their end, before the agent runs: a group of their own, a time limit, a bounded output.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::report::{Failure, sanitized};
use crate::supervise::children::{Children, End};
use crate::sys::pipe::{self, Writer};
use crate::sys::poll;
use crate::sys::process::{self, Pid, Program, Target};
use crate::sys::signal::{Inherited, Signal, Signals};
use crate::workcopy::read::reason;

/// How much of a helper's complaint is kept, in bytes.
const COMPLAINT: usize = 4096;
/// How long a killed helper may take to be gone; a process that hangs in the kernel is reaped later.
const DYING: Duration = Duration::from_millis(500);

/// Runs helpers. There is no other reader of signals or children while it does.
pub struct Helpers<'s> {
    /// The one owner of signal delivery.
    pub signals: &'s Signals,
    /// The mask that helpers get back.
    pub inherited: Inherited,
    /// The one owner of waitpid.
    pub children: &'s mut Children,
    /// The signal that stops us, beside INT, HUP, QUIT and TERM.
    pub stop: Signal,
}

/// What a helper is given.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long it may take.
    pub time: Duration,
    /// How much it may write on standard output, in bytes.
    pub output: usize,
}

impl Helpers<'_> {
    /// Runs `argv` with this environment (`NAME=value`), an empty standard input and our own working directory, user and
    /// rights. What it wrote on standard output, if it ended well; what it leaves behind in the background goes on.
    ///
    /// # Errors
    /// It can not be started, ends otherwise, writes or takes too much, or we are told to stop meanwhile; it and its
    /// children are then killed. `name` is what the messages call it.
    pub fn run(
        &mut self,
        name: &str,
        argv: &[OsString],
        environment: &[OsString],
        bounds: Bounds,
    ) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let failed = |error: io::Error| Failure::new(format!("{name}: {}", reason(&error)));
        let program = Program::new(argv, environment).map_err(failed)?;
        let (stdout, child_stdout) = pipe::pipe().map_err(failed)?;
        let (stderr, child_stderr) = pipe::pipe().map_err(failed)?;
        let pid = self.start(name, argv, &program, [&child_stdout, &child_stderr])?;
        drop((child_stdout, child_stderr));
        let (mut stdout, mut stderr) = (stdout.stream().map_err(failed)?, stderr.stream().map_err(failed)?);
        let mut output = Zeroizing::new(Vec::with_capacity(bounds.output.min(16 * 1024)));
        let mut complaint = Vec::new();
        let deadline = Instant::now() + bounds.time;
        loop {
            // Signals before children: a SIGCHLD that is read here announces an end that the next line sees, and one that
            // comes later wakes us.
            let stopped_by = self.told_to_stop().map_err(failed)?;
            // Children before pipes: what it wrote before its end is in the pipe by then.
            self.children.reap().map_err(failed)?;
            let end = self.children.take_helper(pid);
            stdout.drain(&mut output, bounds.output + 1).map_err(failed)?;
            stderr.drain(&mut complaint, COMPLAINT).map_err(failed)?;
            if output.len() > bounds.output {
                self.kill(pid);
                let what = format!("{name} wrote more than {} bytes", bounds.output);
                return Err(Failure::new(what).hint("standard output must be the value alone").into());
            }
            if let Some(end) = end {
                return if end == End::Exited(0) { Ok(output) } else { Err(ended(name, end, &complaint).into()) };
            }
            if let Some(signal) = stopped_by {
                self.kill(pid);
                let what = format!("stopped by {signal} while {name} ran");
                return Err(Failure::new(what).exit(End::Signaled(signal.number()).exit_status()).into());
            }
            if deadline <= Instant::now() {
                self.kill(pid);
                let what = format!("{name} did not end within {} s, and was killed", bounds.time.as_secs());
                return Err(with_complaint(Failure::new(what), &complaint).into());
            }
            let fds: Vec<_> = [Some(self.signals.as_fd()), stdout.fd(), stderr.fd()].into_iter().flatten().collect();
            poll::wait_readable(&fds, Some(deadline)).map_err(failed)?;
        }
    }

    /// A signal that asks us to end, if one came.
    ///
    /// # Errors
    /// As read(2) on a signalfd.
    pub fn told_to_stop(&self) -> io::Result<Option<Signal>> {
        while let Some(signal) = self.signals.next()? {
            let is_stop = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, self.stop].contains(&signal);
            if is_stop {
                return Ok(Some(signal));
            }
        }
        Ok(None)
    }

    fn start(
        &mut self,
        name: &str,
        argv: &[OsString],
        program: &Program,
        output: [&Writer; 2],
    ) -> Result<Pid, Failure> {
        let failed = |error: io::Error| Failure::new(format!("{name}: cannot be started: {}", reason(&error)));
        let parent = process::id();
        let mut error = None;
        let pid = process::vfork(&mut || {
            error = Some(become_helper(parent, program, output, &self.inherited));
            127
        });
        let pid = pid.map_err(failed)?;
        match error {
            None => {
                self.children.expect_helper(pid);
                Ok(pid)
            }
            Some(error) => Err(not_started(name, argv, &error)),
        }
    }

    /// Kills a helper, its group and its descendants, and waits a moment until it is gone.
    fn kill(&mut self, pid: Pid) {
        let descendants = process::descendants_of(pid);
        // One that ended in this moment is no longer there to be killed.
        let _ = process::kill(Target::Group(pid), Signal::KILL);
        for descendant in descendants {
            let _ = process::kill(Target::Process(descendant), Signal::KILL);
        }
        let until = Instant::now() + DYING;
        while self.children.reap().is_ok() && self.children.take_helper(pid).is_none() && Instant::now() < until {
            let _ = poll::wait_readable(&[self.signals.as_fd()], Some(until));
            while matches!(self.signals.next(), Ok(Some(_))) {}
        }
    }
}

/// The child's side; returns only the error.
fn become_helper(parent: Pid, program: &Program, output: [&Writer; 2], inherited: &Inherited) -> io::Error {
    let prepare = || {
        process::own_group()?;
        let (nothing, writer) = pipe::pipe()?;
        drop(writer);
        process::standard_streams(nothing.as_fd(), output[0].as_fd(), output[1].as_fd())?;
        process::on_parent_death(Signal::KILL)?;
        if process::parent_id() != parent {
            process::exit_now(127);
        }
        inherited.restore()
    };
    match prepare() {
        Ok(()) => program.exec(),
        Err(error) => error,
    }
}

fn not_started(name: &str, argv: &[OsString], error: &io::Error) -> Failure {
    let program = argv.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    if error.kind() != io::ErrorKind::NotFound {
        return Failure::new(format!("{name}: {program} can not be executed: {}", reason(error)));
    }
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

/// The failure with the last words of standard error, sanitised and on one line.
fn with_complaint(failure: Failure, complaint: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(complaint);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join(" / ");
    if last.is_empty() {
        failure.hint("it wrote nothing on standard error: run it by hand to see what is wrong")
    } else {
        failure.hint(format!("it wrote: {}", sanitized(&last)))
    }
}
