//! Runs helper commands to their end, before the agent runs.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::error::{Failure, reason};
use crate::process::children::Children;
use crate::process::interrupt::{Interrupt, stopped};
use crate::process::task::{Bounds, Job, Task};
use crate::sys::poll;
use crate::sys::process::Program;
use crate::sys::signal::{Inherited, Signal};

/// How long a killed helper may take to be gone; a process that hangs in the kernel is reaped later.
const DYING: Duration = Duration::from_millis(500);

/// Runs helpers. There is no other reader of signals or children while it does.
pub struct Helpers<'s> {
    /// The stop, and the ends of helpers.
    pub signals: &'s Interrupt,
    /// The mask that helpers get back.
    pub inherited: Inherited,
    /// The one owner of waitpid.
    pub children: &'s mut Children,
}

impl Helpers<'_> {
    /// Runs `argv` with this environment (`NAME=value`) and input to its end. What it wrote on standard output, if it ended
    /// well.
    ///
    /// # Errors
    /// It cannot be started, ends otherwise, writes or takes too much, or we are told to stop meanwhile; it and its
    /// children are then killed. `name` is what the messages call it.
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
        let job = Job { name, program: &program, input, bounds, inherited: &self.inherited };
        let mut task = Task::start(&job, self.children)?;
        loop {
            // Signals before children: a SIGCHLD that is read here announces an end that the next line sees, and one that
            // comes later wakes us.
            let stopped_by = self.told_to_stop().map_err(failed)?;
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
                return Err(stopped(signal, &format!("{name} ran")).into());
            }
            let fds: Vec<_> = std::iter::once(self.signals.as_fd()).chain(task.fds()).collect();
            poll::wait_readable(&fds, Some(task.deadline())).map_err(failed)?;
        }
    }

    /// A signal that asks us to end, if one came.
    ///
    /// # Errors
    /// As read(2) on a signalfd.
    pub fn told_to_stop(&self) -> io::Result<Option<Signal>> {
        self.signals.stopped_by()
    }

    /// Waits a moment until a helper that was killed is gone; not at all for one that has ended.
    fn await_end(&mut self, task: &Task) {
        let until = Instant::now() + DYING;
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
