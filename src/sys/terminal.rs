//! The controlling terminal: its foreground process group and its modes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// The controlling terminal, when our process group was its foreground group as we started.
///
/// A background job must not take the terminal from the shell that holds it, so without the foreground there is none
/// of these.
pub struct Terminal {
    fd: OwnedFd,
    modes: Option<Termios>,
}

impl Terminal {
    /// The terminal on standard input, output or error, if we hold its foreground.
    #[must_use]
    pub fn held() -> Option<Terminal> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let candidates: [BorrowedFd<'_>; 3] = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let held = candidates.into_iter().find(|fd| tcgetpgrp(fd) == Ok(getpgrp()))?;
        Some(Terminal { fd: held.try_clone_to_owned().ok()?, modes: tcgetattr(held).ok() })
    }

    /// Makes `group` the foreground group. SIGTTOU must be blocked: the caller may be in the background.
    ///
    /// # Errors
    /// As tcsetpgrp(3): ENOTTY or EIO when the terminal has gone, EPERM when the group has.
    pub fn give_to(&self, group: i32) -> io::Result<()> {
        Ok(tcsetpgrp(&self.fd, Pid::from_raw(group))?)
    }

    /// Takes the foreground back and restores the modes of the start. SIGTTOU must be blocked.
    ///
    /// # Errors
    /// As tcsetpgrp(3) and tcsetattr(3).
    pub fn take_back(&self) -> io::Result<()> {
        self.give_to(getpgrp().as_raw())?;
        if let Some(modes) = &self.modes {
            tcsetattr(&self.fd, SetArg::TCSADRAIN, modes)?;
        }
        Ok(())
    }

    /// Whether our own group is its foreground group.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        tcgetpgrp(&self.fd) == Ok(getpgrp())
    }

    /// The modes in force now, to put back after a stop (Ctrl-Z, fg).
    #[must_use]
    pub fn modes(&self) -> Option<Termios> {
        tcgetattr(&self.fd).ok()
    }

    /// Puts modes back that [`Terminal::modes`] gave.
    ///
    /// # Errors
    /// As tcsetattr(3).
    pub fn set_modes(&self, modes: &Termios) -> io::Result<()> {
        Ok(tcsetattr(&self.fd, SetArg::TCSADRAIN, modes)?)
    }
}
