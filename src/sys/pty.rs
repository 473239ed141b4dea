//! Pseudoterminals (pty(7)): the one that we make for a program, and the user's terminal.

use std::fs::File;
use std::io;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::pty::{PtyMaster, posix_openpt, unlockpt};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, isatty, setsid, tcgetpgrp};

use crate::sys::output::open_again;
use crate::sys::process::Pid;

/// Rows and columns. The pixels are not used.
pub type Size = libc::winsize;

/// Our side of a terminal: what is written here is typed, and what is read is shown.
pub struct Master(PtyMaster);

/// The program's side of a terminal.
pub struct Slave(OwnedFd);

/// Makes a terminal that is nobody's controlling terminal. Exec closes both sides. Fails without /dev/ptmx, and at the
/// limit of terminals (kernel.pty.max).
pub fn open() -> io::Result<(Master, Slave)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = posix_openpt(flags)?;
    unlockpt(&master)?;
    // By the master and not by name: /dev/pts of this mount namespace may be another instance.
    let flags = (OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).bits();
    // SAFETY: TIOCGPTPEER takes the flags of open(2) as an integer and gives a new descriptor, which nobody else owns.
    let slave = unsafe {
        let fd = Errno::result(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags))?;
        OwnedFd::from_raw_fd(fd)
    };
    Ok((Master(master), Slave(slave)))
}

impl Master {
    /// Reads what the program shows, without blocking. `None` once nobody has the other side open (EIO).
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match self.0.read(into) {
            Ok(0) => Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Types these bytes, as far as there is room.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// Sets the size of the program's terminal. Its foreground group gets a SIGWINCH if the size changes.
    pub fn resize(&self, size: &Size) -> io::Result<()> {
        // SAFETY: TIOCSWINSZ reads one winsize, which outlives the call.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCSWINSZ, std::ptr::from_ref(size)) })?;
        Ok(())
    }

    pub fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(&self.0).ok().map(nix::unistd::Pid::as_raw).filter(|group| *group > 1)
    }
}

impl AsFd for Master {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Slave {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Slave {
    /// Makes this process the leader of a new session, this terminal the session's controlling one, and its standard
    /// input, output and error. For the child, before it drops privileges.
    pub fn become_leader(&self) -> io::Result<()> {
        setsid()?;
        // SAFETY: TIOCSCTTY takes an integer: 0 does not steal a terminal that is another session's.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
        crate::sys::process::standard_streams(self.as_fd(), self.as_fd(), self.as_fd())
    }
}

/// The user's terminal, on our standard input and output. Dropping this restores its modes.
pub struct Outer {
    input: File,
    output: File,
    modes: Termios,
    /// Descriptors that we share with others and made non-blocking, with their original flags.
    shared: Vec<(OwnedFd, OFlag)>,
}

/// Why there is no usable terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTerminal {
    /// Standard input is not a terminal.
    Input,
    /// Standard output is not a terminal.
    Output,
    /// Another job is in its foreground.
    Background,
}

/// Checks that standard input and output are a terminal that we may use.
pub fn usable() -> Result<(), NoTerminal> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    if !isatty(&stdin).unwrap_or(false) {
        return Err(NoTerminal::Input);
    }
    if !isatty(&stdout).unwrap_or(false) {
        return Err(NoTerminal::Output);
    }
    // ENOTTY for a terminal that does not control our session: it has no foreground group.
    match tcgetpgrp(&stdin) {
        Ok(group) if group != getpgrp() => Err(NoTerminal::Background),
        _ => Ok(()),
    }
}

impl Outer {
    /// Opens the terminal. Must come before core dumps are forbidden, which closes /proc/self/fd to a process that is
    /// not root.
    pub fn open() -> io::Result<Outer> {
        let modes = tcgetattr(io::stdin())?;
        let mut shared = Vec::new();
        let input = own_description(io::stdin().as_fd(), &mut shared)?;
        let output = own_description(io::stdout().as_fd(), &mut shared)?;
        Ok(Outer { input, output, modes, shared })
    }

    /// Sets raw mode: keys arrive as they are typed, and output is shown unchanged. SIGTTOU must be blocked.
    pub fn make_raw(&self) -> io::Result<()> {
        let mut raw = self.modes.clone();
        cfmakeraw(&mut raw);
        // Without draining, here and in `drop`: on a terminal whose user has pressed Ctrl-S it would block forever.
        Ok(tcsetattr(&self.input, SetArg::TCSANOW, &raw)?)
    }

    pub fn size(&self) -> Option<Size> {
        let mut size = Size { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: TIOCGWINSZ writes one winsize, which outlives the call.
        let result = unsafe { libc::ioctl(self.output.as_raw_fd(), libc::TIOCGWINSZ, std::ptr::from_mut(&mut size)) };
        (result == 0).then_some(size)
    }

    /// Reads what was typed, without blocking. `None` once the terminal has hung up.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match self.input.read(into) {
            Ok(0) => Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Shows these bytes, as far as there is room. EIO once the terminal has hung up.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    /// The descriptor to read keys from.
    pub fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// The descriptor to write output to.
    pub fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        for (fd, flags) in &self.shared {
            let _ = fcntl(fd, FcntlArg::F_SETFL(*flags));
        }
        // A terminal that has hung up has no modes.
        let _ = tcsetattr(&self.input, SetArg::TCSANOW, &self.modes);
    }
}

/// Opens the terminal behind a standard descriptor again, non-blocking, so that the shell that shares the standard one
/// keeps a blocking one. If it cannot be opened, the shared one is used.
fn own_description(fd: BorrowedFd<'_>, shared: &mut Vec<(OwnedFd, OFlag)>) -> io::Result<File> {
    if let Ok(own) = open_again(fd, OFlag::O_RDWR) {
        return Ok(File::from(own));
    }
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    shared.push((fd.try_clone_to_owned()?, flags));
    Ok(File::from(fd.try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_terminal_work() {
        let (mut master, slave) = open().unwrap();
        master.resize(&Size { ws_row: 5, ws_col: 7, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let mut program = File::from(slave.0);
        program.write_all(b"a\n").unwrap();
        let mut shown = [0; 16];
        assert_eq!(master.read(&mut shown).unwrap(), Some(3));
        assert_eq!(&shown[..3], b"a\r\n");
        assert_eq!(master.read(&mut shown).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(master.write(b"typed\n").unwrap(), 6);
        let mut line = [0; 16];
        assert_eq!(program.read(&mut line).unwrap(), 6);
        assert_eq!(master.foreground(), None);
        drop(program);
        // The echo of what was typed, and then the end.
        assert_eq!(master.read(&mut shown).unwrap(), Some(7));
        assert_eq!(master.read(&mut shown).unwrap(), None);
    }
}
