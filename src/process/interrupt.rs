//! Ends a start, at any of its steps, if a stop signal comes before the agent runs.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::error::Failure;
use crate::process::children::End;
use crate::sys::signal::{Signal, Signals, SomeSignals};

/// Reads stop signals, and remembers the first. A step that a stop cuts short need not report it, because the next
/// [`Interrupt::check`] does.
///
/// SIGCHLD is read too, so that it wakes those who wait for a helper. Other signals stay pending: they are for the
/// agent, once it runs.
pub struct Interrupt {
    signals: SomeSignals,
    first: Cell<Option<Signal>>,
}

impl Interrupt {
    /// Reads TERM, INT, HUP, QUIT and `stop`. Fails like signalfd(2), if no descriptor or memory is left.
    pub fn listen(signals: &Signals, stop: Signal) -> io::Result<Interrupt> {
        let watched = [Signal::CHLD, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, stop];
        Ok(Interrupt { signals: signals.only(&watched)?, first: Cell::new(None) })
    }

    /// The first stop signal that came. Never waits. It leaves no SIGCHLD unread, so the caller reaps after it.
    pub fn stopped_by(&self) -> io::Result<Option<Signal>> {
        while let Some(signal) = self.signals.next()? {
            if signal != Signal::CHLD && self.first.get().is_none() {
                self.first.set(Some(signal));
            }
        }
        Ok(self.first.get())
    }

    /// Whether a stop has come. For steps that only need to return.
    pub fn has_come(&self) -> bool {
        // A failed read is repeated by the next check.
        matches!(self.stopped_by(), Ok(Some(_)))
    }

    /// Fails if a stop has come, with exit status 128 + signal. `during` completes "stopped by TERM while ...".
    pub fn check(&self, during: &str) -> anyhow::Result<()> {
        match self.stopped_by()? {
            Some(signal) => Err(stop_error(signal, during).into()),
            None => Ok(()),
        }
    }
}

impl AsFd for Interrupt {
    /// Readable when a stop signal or SIGCHLD is pending.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

pub(super) fn stop_error(signal: Signal, during: &str) -> Failure {
    let what = format!("stopped by {signal} while {during}: the agent was not started");
    Failure::new(what).exit(End::Signaled(signal.number()).exit_status())
}
