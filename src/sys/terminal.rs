//! The controlling terminal: its foreground process group and its modes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// The settings that stty(1) shows.
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
    /// The controlling terminal, if standard input, output or error is it.
    pub fn controlling() -> Option<Terminal> {
        // Not by std::io, which allocates buffers and their pages.
        // SAFETY: descriptors 0, 1 and 2 are open from the start of `main` to the end of the process.
        let candidates = [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
        // ENOTTY if it is not a terminal, or not our controlling one.
        let found = candidates.into_iter().find(|fd| tcgetpgrp(fd).is_ok())?;
        Some(Terminal { fd: found.try_clone_to_owned().ok()?, modes: tcgetattr(found).ok() })
    }

    /// Makes `group` the foreground group. SIGTTOU must be blocked, because the caller may be in the background. ENOTTY
    /// or EIO if the terminal has gone, EPERM if the group has.
    pub fn give_to(&self, group: i32) -> io::Result<()> {
        Ok(tcsetpgrp(&self.fd, Pid::from_raw(group))?)
    }

    /// Makes our group the foreground group, and restores the modes of the start. SIGTTOU must be blocked.
    pub fn take_back(&self) -> io::Result<()> {
        self.give_to(getpgrp().as_raw())?;
        if let Some(modes) = &self.modes {
            self.set_modes(modes)?;
        }
        Ok(())
    }

    /// Whether our own group is the foreground group.
    pub fn is_ours(&self) -> bool {
        self.is_held_by(getpgrp().as_raw())
    }

    /// Whether `group` is the foreground group.
    pub fn is_held_by(&self, group: i32) -> bool {
        tcgetpgrp(&self.fd) == Ok(Pid::from_raw(group))
    }

    /// The current modes, to restore after a stop (Ctrl-Z, fg).
    pub fn modes(&self) -> Option<Modes> {
        tcgetattr(&self.fd).ok()
    }

    /// Sets modes that [`Terminal::modes`] returned. Without draining: a serial line whose output the agent has stopped
    /// (TCOOFF in `ioctl_tty(2)`) would block forever.
    pub fn set_modes(&self, modes: &Modes) -> io::Result<()> {
        Ok(tcsetattr(&self.fd, SetArg::TCSANOW, modes)?)
    }
}
