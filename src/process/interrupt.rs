//! A stop before the agent runs: it ends the start, whatever the start is at.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::error::Failure;
use crate::process::children::End;
use crate::sys::signal::{Signal, Signals, SomeSignals};

/// Hears of a stop. What has come once is remembered: a step that is cut short need not say so itself, because the next
/// [`Interrupt::check`] does.
///
/// SIGCHLD is read too, so that its descriptor wakes those who wait for a helper. Every other signal stays pending: it is
/// the agent's, once it runs.
pub struct Interrupt {
    signals: SomeSignals,
    came: Cell<Option<Signal>>,
}

impl Interrupt {
    /// Listens for TERM, INT, HUP, QUIT and this stop signal.
    ///
    /// # Errors
    /// As signalfd(2): no descriptor or no memory left.
    pub fn listen(signals: &Signals, stop: Signal) -> io::Result<Interrupt> {
        let watched = [Signal::CHLD, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, stop];
        Ok(Interrupt { signals: signals.only(&watched)?, came: Cell::new(None) })
    }

    /// The first signal that stopped the start, if one came. Never waits, and leaves nothing to read: the caller reaps
    /// after it.
    ///
    /// # Errors
    /// As read(2) on a signalfd.
    pub fn stopped_by(&self) -> io::Result<Option<Signal>> {
        while let Some(signal) = self.signals.next()? {
            if signal != Signal::CHLD && self.came.get().is_none() {
                self.came.set(Some(signal));
            }
        }
        Ok(self.came.get())
    }

    /// Whether a stop has come, for steps that only need to cease.
    pub fn has_come(&self) -> bool {
        // What cannot be read now is read by the next check.
        matches!(self.stopped_by(), Ok(Some(_)))
    }

    /// Fails once a stop has come. `during`: what was being done, as in "while ...".
    ///
    /// # Errors
    /// A stop has come; its exit status is 128 and the signal's number.
    pub fn check(&self, during: &str) -> anyhow::Result<()> {
        match self.stopped_by()? {
            Some(signal) => Err(stopped(signal, during).into()),
            None => Ok(()),
        }
    }
}

impl AsFd for Interrupt {
    /// Readable when a stop or a SIGCHLD is pending.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

/// The end of a start by a signal.
pub(super) fn stopped(signal: Signal, during: &str) -> Failure {
    let what = format!("stopped by {signal} while {during}: the agent was not started");
    Failure::new(what).exit(End::Signaled(signal.number()).exit_status())
}
