//! The controlling terminal: its foreground process group and its modes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// What stty(1) shows.
pub type Modes = Termios;

/// The controlling terminal, and the modes that it had.
pub struct Terminal {
    fd: OwnedFd,
    modes: Option<Modes>,
}

/// How many columns a terminal has; `None` for what is no terminal, and for one that does not know (a serial line).
pub fn columns(terminal: BorrowedFd<'_>) -> Option<u16> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize, which outlives the call.
    let got = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, std::ptr::from_mut(&mut size)) };
    (got == 0 && size.ws_col > 0).then_some(size.ws_col)
}

impl Terminal {
    /// The controlling terminal, if standard input, output or error is one.
    pub fn controlling() -> Option<Terminal> {
        // Not by std::io: that makes buffers, and pages to hold them.
        // SAFETY: descriptors 0, 1 and 2 are open from the start of `main` to the end of the process.
        let candidates = [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
        // ENOTTY for what is no terminal, and for one that is not ours.
        let found = candidates.into_iter().find(|fd| tcgetpgrp(fd).is_ok())?;
        Some(Terminal { fd: found.try_clone_to_owned().ok()?, modes: tcgetattr(found).ok() })
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
            self.set_modes(modes)?;
        }
        Ok(())
    }

    /// Whether our own group is its foreground group.
    pub fn is_ours(&self) -> bool {
        self.is_held_by(getpgrp().as_raw())
    }

    /// Whether `group` is its foreground group.
    pub fn is_held_by(&self, group: i32) -> bool {
        tcgetpgrp(&self.fd) == Ok(Pid::from_raw(group))
    }

    /// The modes in force now, to put back after a stop (Ctrl-Z, fg).
    pub fn modes(&self) -> Option<Modes> {
        tcgetattr(&self.fd).ok()
    }

    /// Puts modes back that [`Terminal::modes`] gave. Not after a drain: a serial line whose output the agent has stopped
    /// (TCOOFF in `ioctl_tty(2)`) would keep us forever.
    ///
    /// # Errors
    /// As tcsetattr(3).
    pub fn set_modes(&self, modes: &Modes) -> io::Result<()> {
        Ok(tcsetattr(&self.fd, SetArg::TCSANOW, modes)?)
    }
}
