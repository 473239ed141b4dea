//! Runs helper commands to their end, before the agent runs.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::error::{Failure, reason};
use crate::process::children::Children;
use crate::process::interrupt::{Interrupt, stop_error};
use crate::process::task::{Bounds, Job, Task};
use crate::sys::poll;
use crate::sys::process::Program;
use crate::sys::signal::{Inherited, Signal};

/// How long to wait for a killed helper to end. One that hangs in the kernel is reaped later.
const KILL_WAIT: Duration = Duration::from_millis(500);

/// Runs helpers. It is the only reader of signals and the only reaper while it does.
pub struct Helpers<'s> {
    /// Reports a stop, and wakes at SIGCHLD.
    pub signals: &'s Interrupt,
    /// The signal mask that helpers get.
    pub inherited: Inherited,
    /// The only caller of waitpid(2).
    pub children: &'s mut Children,
}

impl Helpers<'_> {
    /// Runs `argv` with this environment (`NAME=value`) and input to its end, and returns its standard output. `name`
    /// is what messages call the helper.
    ///
    /// Fails if the helper cannot be started, fails, exceeds `bounds`, or a stop comes meanwhile. The helper and its
    /// children are then killed.
    pub fn run(
        &mut self,
        name: &str,
        argv: &[OsString],
        environment: Vec<OsString>,
        input: &[u8],
        bounds: Bounds,
    ) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let failed = |error: io::Error| Failure::new(format!("{name}: {}", reason(&error)));
        let program = Program::new(argv, environment).map_err(failed)?;
        let inherited = &self.inherited;
        let job = Job { name, program: &program, input, bounds, inherited, prepare: None, ends_with_us: true };
        let mut task = Task::start(&job, self.children)?;
        loop {
            // Signals are read before children are reaped. A SIGCHLD that is read here announces an end that the
            // reaping below sees; a later one wakes the poll.
            let stopped_by = self.stopped_by().map_err(failed)?;
            self.children.reap_all().map_err(failed)?;
            match task.step(Instant::now(), self.children) {
                Ok(None) => {}
                Ok(Some(output)) => return Ok(output),
                Err(failure) => {
                    self.await_end(&task);
                    return Err(failure.into());
                }
            }
            if let Some(signal) = stopped_by {
                task.kill(self.children);
                self.await_end(&task);
                return Err(stop_error(signal, &format!("{name} ran")).into());
            }
            let fds: Vec<_> = std::iter::once(self.signals.as_fd()).chain(task.fds()).collect();
            poll::wait_readable(&fds, Some(task.deadline())).map_err(failed)?;
        }
    }

    /// The stop signal, if one came.
    pub fn stopped_by(&self) -> io::Result<Option<Signal>> {
        self.signals.stopped_by()
    }

    /// Waits a moment for a killed helper to end. Returns at once if it has ended.
    fn await_end(&mut self, task: &Task) {
        let until = Instant::now() + KILL_WAIT;
        loop {
            // Signals before children, as above.
            let _ = self.signals.stopped_by();
            if self.children.reap_all().is_err() || task.is_gone(self.children) || Instant::now() >= until {
                return;
            }
            let _ = poll::wait_readable(&[self.signals.as_fd()], Some(until));
        }
    }
}
