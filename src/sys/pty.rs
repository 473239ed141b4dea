//! Pseudoterminals (pty(7)): one of our own for a program, and the terminal that a person sits at.

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

/// Rows, columns, and the pixels that nobody uses.
pub type Size = libc::winsize;

/// The side of a terminal that its program does not see: what is written here is typed, what is read is shown.
pub struct Master(PtyMaster);

/// The side that is the program's terminal.
pub struct Slave(OwnedFd);

/// A new terminal: nobody's controlling terminal, and closed by exec on both sides.
///
/// # Errors
/// As `posix_openpt(3)` and `ioctl_tty(2)`: no /dev/ptmx, or the limit of terminals (kernel.pty.max).
pub fn open() -> io::Result<(Master, Slave)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = posix_openpt(flags)?;
    unlockpt(&master)?;
    // By the master and not by name: the /dev/pts of this mount namespace may be another one.
    let how = (OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).bits();
    // SAFETY: TIOCGPTPEER takes the flags of open(2) as an integer and gives a new descriptor, which nobody else owns.
    let slave = unsafe {
        let fd = Errno::result(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, how))?;
        OwnedFd::from_raw_fd(fd)
    };
    Ok((Master(master), Slave(slave)))
}

impl Master {
    /// What the program shows, without waiting: `None` when nobody has the other side open any more (EIO).
    ///
    /// # Errors
    /// As read(2): `WouldBlock` while there is nothing.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match self.0.read(into) {
            Ok(0) => Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Types these bytes, as far as there is room.
    ///
    /// # Errors
    /// As write(2): `WouldBlock` while there is no room.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// Makes the program's terminal this large; its foreground gets a SIGWINCH if that is a change.
    ///
    /// # Errors
    /// As `ioctl_tty(2)`.
    pub fn resize(&self, size: &Size) -> io::Result<()> {
        // SAFETY: TIOCSWINSZ reads one winsize, which outlives the call.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCSWINSZ, std::ptr::from_ref(size)) })?;
        Ok(())
    }

    /// The foreground process group of the program's terminal.
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
    /// Makes this process the leader of a session of its own, this terminal its controlling one, and its standard input,
    /// output and error. For the child, before it loses privilege.
    ///
    /// # Errors
    /// As setsid(2), `ioctl_tty(2)` and dup2(2).
    pub fn become_leader(&self) -> io::Result<()> {
        setsid()?;
        // SAFETY: TIOCSCTTY takes an integer: 0 does not steal a terminal that is another session's.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
        crate::sys::process::standard_streams(self.as_fd(), self.as_fd(), self.as_fd())
    }
}

/// The terminal on our standard input and output, raw until this is dropped.
pub struct Outer {
    input: File,
    output: File,
    modes: Termios,
    /// Descriptors that are shared with others and were made not to wait, with the flags that they had.
    shared: Vec<(OwnedFd, OFlag)>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTerminal {
    /// Standard input is no terminal.
    Input,
    /// Standard output is none.
    Output,
    /// It is in the foreground of another job.
    Background,
}

/// Whether standard input and output are a terminal that we may use.
///
/// # Errors
/// Why not.
pub fn usable() -> Result<(), NoTerminal> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    if !isatty(&stdin).unwrap_or(false) {
        return Err(NoTerminal::Input);
    }
    if !isatty(&stdout).unwrap_or(false) {
        return Err(NoTerminal::Output);
    }
    // ENOTTY for a terminal that does not control our session: nobody has a foreground there.
    match tcgetpgrp(&stdin) {
        Ok(group) if group != getpgrp() => Err(NoTerminal::Background),
        _ => Ok(()),
    }
}

impl Outer {
    /// Opens it. Before core dumps are forbidden, which closes /proc/self/fd to a process that is not root's.
    ///
    /// # Errors
    /// As open(2), fcntl(2) and tcgetattr(3).
    pub fn open() -> io::Result<Outer> {
        let modes = tcgetattr(io::stdin())?;
        let mut shared = Vec::new();
        let input = own_description(io::stdin().as_fd(), &mut shared)?;
        let output = own_description(io::stdout().as_fd(), &mut shared)?;
        Ok(Outer { input, output, modes, shared })
    }

    /// Every key comes as it is typed, and what is shown is shown as it comes. SIGTTOU must be blocked.
    ///
    /// # Errors
    /// As tcsetattr(3).
    pub fn make_raw(&self) -> io::Result<()> {
        let mut raw = self.modes.clone();
        cfmakeraw(&mut raw);
        // Not after a drain, here and in `drop`: a terminal whose person has pressed Ctrl-S would keep us forever.
        Ok(tcsetattr(&self.input, SetArg::TCSANOW, &raw)?)
    }

    /// Its size.
    pub fn size(&self) -> Option<Size> {
        let mut size = Size { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: TIOCGWINSZ writes one winsize, which outlives the call.
        let got = unsafe { libc::ioctl(self.output.as_raw_fd(), libc::TIOCGWINSZ, std::ptr::from_mut(&mut size)) };
        (got == 0).then_some(size)
    }

    /// What was typed, without waiting: `None` once the terminal has hung up.
    ///
    /// # Errors
    /// As read(2): `WouldBlock` while there is nothing.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match self.input.read(into) {
            Ok(0) => Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Shows these bytes, as far as there is room.
    ///
    /// # Errors
    /// As write(2): `WouldBlock` while there is no room, EIO once it has hung up.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    /// Where keys come from.
    pub fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// Where the screen is.
    pub fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        for (fd, flags) in &self.shared {
            let _ = fcntl(fd, FcntlArg::F_SETFL(*flags));
        }
        // One that has hung up has no modes.
        let _ = tcsetattr(&self.input, SetArg::TCSANOW, &self.modes);
    }
}

/// The terminal behind a standard descriptor, opened anew: one that waits for nobody, while the shell that shares the
/// standard one keeps one that does. Where it cannot be opened the shared one has to do.
fn own_description(fd: BorrowedFd<'_>, shared: &mut Vec<(OwnedFd, OFlag)>) -> io::Result<File> {
    if let Ok(own) = open_again(fd, OFlag::O_RDWR) {
        return Ok(File::from(own));
    }
    let before = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(before | OFlag::O_NONBLOCK))?;
    shared.push((fd.try_clone_to_owned()?, before));
    Ok(File::from(fd.try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_terminal() {
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
