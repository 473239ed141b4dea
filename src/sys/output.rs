//! Output that never waits: what a descriptor is, opened once more, and what does not fit kept until it does.
//!
//! `O_NONBLOCK` belongs to the open file description (open(2)), and the agent shares that of standard error: set there,
//! the agent's own writes would fail, and the agent could clear it again. So a terminal or a pipe is opened anew, and a
//! socket is sent to with `MSG_DONTWAIT`. A regular file is written to as it is: nobody's reading holds a write to it up,
//! and our lines and the agent's must go on from one offset. Nothing helps against a file system that hangs.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{isatty, tcgetpgrp, write};

use crate::sys::poll;
use crate::sys::poll::Interest;

/// What a pipe takes as a whole, in bytes (pipe(7)); longer lines may be mixed with the agent's.
const PIPE_BUF: usize = 4096;
/// How much is kept for a reader that is slow, in bytes.
const LIMIT: usize = 64 * 1024;
/// A terminal whose buffer has room for half of what a line feed takes is writable to poll(2) and not to write(2), for as
/// long as nobody reads. Then the next try is so far ahead.
const FUTILE: Duration = Duration::from_secs(1);

/// How a write is kept from waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By `O_NONBLOCK`, on an open file description of our own.
    Own,
    /// By `MSG_DONTWAIT`.
    Socket,
    /// A regular file does not wait.
    File,
    /// As far as the kernel lets us, on a description that others share: see [`write_shared`].
    Shared,
}

/// One descriptor for output, and what is still to be written to it.
#[derive(Debug)]
pub struct Output<'f> {
    fd: BorrowedFd<'f>,
    way: Way,
    pending: VecDeque<Vec<u8>>,
    /// How much of the first of them is written.
    written: usize,
    /// How long all of them are, in bytes.
    length: usize,
    dropped: usize,
    /// Writable to poll(2) alone, until then.
    futile_until: Option<Instant>,
}

impl Output<'static> {
    /// Standard error, as it was inherited.
    pub const fn standard_error() -> Output<'static> {
        // SAFETY: descriptor 2 is open from the start of `main` to the end of the process.
        Output::of(unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) })
    }

    /// Writes never wait from now on. To be called before /proc/self is closed to us by [`crate::sys::process::set_undumpable`].
    pub fn stop_waiting(&mut self) {
        let kind = fstat(self.fd).map(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT);
        let own = match kind {
            Ok(SFlag::S_IFSOCK) => return self.way = Way::Socket,
            Ok(SFlag::S_IFREG) => return self.way = Way::File,
            Ok(SFlag::S_IFIFO) => open_again(self.fd, OFlag::O_WRONLY),
            Ok(_) if isatty(self.fd).unwrap_or(false) => open_again(self.fd, OFlag::O_WRONLY),
            _ => return,
        };
        if let Ok(own) = own {
            // SAFETY: the descriptor has just been opened, and nobody closes it: it is open to the end of the process.
            self.fd = unsafe { BorrowedFd::borrow_raw(own.into_raw_fd()) };
            self.way = Way::Own;
        }
    }
}

impl<'f> Output<'f> {
    /// What this descriptor is, written to as far as the kernel lets us without waiting.
    pub const fn of(fd: BorrowedFd<'f>) -> Output<'f> {
        let pending = VecDeque::new();
        Output { fd, way: Way::Shared, pending, written: 0, length: 0, dropped: 0, futile_until: None }
    }

    /// Writes it now, or keeps it for when there is room. Once some are dropped, the next have to wait until that was told.
    pub fn write(&mut self, message: Vec<u8>) {
        if self.dropped > 0 || self.length + message.len() > LIMIT {
            self.dropped += 1;
            return;
        }
        self.length += message.len();
        self.pending.push_back(message);
        self.push();
    }

    /// Writes what is kept, if there is room by now.
    pub fn flush(&mut self, now: Instant) {
        if self.pending.is_empty() || self.futile_until.is_some_and(|until| now < until) {
            return;
        }
        let is_futile = poll::is_writable(self.fd) && !self.push();
        self.futile_until = is_futile.then(|| now + FUTILE);
    }

    /// How many were dropped, once all before them are written. It is told once.
    pub fn take_dropped(&mut self) -> Option<usize> {
        let is_due = self.pending.is_empty() && self.dropped > 0;
        is_due.then(|| std::mem::take(&mut self.dropped))
    }

    /// Whether nothing is left to be written or told.
    pub fn is_done(&self) -> bool {
        self.pending.is_empty() && self.dropped == 0
    }

    /// Gives up what is left.
    pub fn clear(&mut self) {
        self.pending.clear();
        (self.written, self.length, self.dropped) = (0, 0, 0);
    }

    /// What to wait for while something is left.
    pub fn interest(&self) -> Option<Interest<'f>> {
        (!self.pending.is_empty() && self.futile_until.is_none()).then(|| Interest::to_write(self.fd))
    }

    /// When to try again where waiting tells nothing.
    pub fn deadline(&self) -> Option<Instant> {
        self.futile_until.filter(|_| !self.pending.is_empty())
    }

    /// Writes as much as there is room for; whether that was anything.
    fn push(&mut self) -> bool {
        let mut has_moved = false;
        while let Some(first) = self.pending.front() {
            let left = first.get(self.written..).unwrap_or_default();
            if left.is_empty() {
                self.length -= first.len();
                self.written = 0;
                self.pending.pop_front();
                continue;
            }
            let piece = left.get(..PIPE_BUF).unwrap_or(left);
            match self.put(piece) {
                Ok(0) => return has_moved,
                Ok(count) => {
                    self.written += count;
                    has_moved = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return has_moved,
                // Nobody reads it any more, or the disk is full: there is nobody to tell.
                Err(_) => {
                    self.clear();
                    return true;
                }
            }
        }
        has_moved
    }

    fn put(&self, piece: &[u8]) -> io::Result<usize> {
        match self.way {
            Way::Own | Way::File => Ok(write(self.fd, piece)?),
            Way::Socket => send(self.fd, piece),
            Way::Shared => write_shared(self.fd, piece),
        }
    }
}

/// The terminal or pipe behind a descriptor, opened anew: without waiting, and nobody's controlling terminal. A terminal
/// that belongs to another user (after su) is opened as /dev/tty, which asks for no right, if it controls our session.
///
/// # Errors
/// As open(2): no /proc, another user's, a pipe that nobody reads (ENXIO).
pub fn open_again(fd: BorrowedFd<'_>, access: OFlag) -> io::Result<OwnedFd> {
    let flags = access | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let opened = open(Path::new(&path), flags, Mode::empty());
    // ENOTTY for what is no terminal, and for one that does not control our session.
    if opened.is_err() && tcgetpgrp(fd).is_ok() {
        return Ok(open(Path::new("/dev/tty"), flags, Mode::empty())?);
    }
    Ok(opened?)
}

/// Without SIGPIPE.
fn send(fd: BorrowedFd<'_>, piece: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and the length are those of one slice, which outlives the call.
    let sent = unsafe { libc::send(fd.as_raw_fd(), piece.as_ptr().cast(), piece.len(), flags) };
    Ok(usize::try_from(Errno::result(sent)?).unwrap_or_default())
}

/// Where nothing could be opened anew. `RWF_NOWAIT` is what `O_NONBLOCK` is, for one write: kernels have it for pipes
/// since 6.4, and not for terminals. Without it poll(2) is asked first, and an agent that fills the pipe or stops the
/// terminal in the moment between the two holds us up.
fn write_shared(fd: BorrowedFd<'_>, piece: &[u8]) -> io::Result<usize> {
    let vector = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
    // The offset -1 is that of the description, as for writev(2).
    let (low, high): (libc::c_long, libc::c_long) = (-1, 0);
    // SAFETY: `vector` is one iovec of one slice, which is read, and both outlive the call; the rest are integers.
    let written =
        unsafe { libc::syscall(libc::SYS_pwritev2, fd.as_raw_fd(), &raw const vector, 1, low, high, libc::RWF_NOWAIT) };
    match Errno::result(written) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => {}
        other => return Ok(usize::try_from(other?).unwrap_or_default()),
    }
    if poll::is_writable(fd) { Ok(write(fd, piece)?) } else { Err(io::ErrorKind::WouldBlock.into()) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::sys::{pipe, pty};

    /// As standard error would be.
    fn output(fd: &impl AsFd) -> Output<'static> {
        // SAFETY: the copy has just been made, and nobody closes it.
        let fd = unsafe { BorrowedFd::borrow_raw(fd.as_fd().try_clone_to_owned().unwrap().into_raw_fd()) };
        let mut output = Output::of(fd);
        output.stop_waiting();
        output
    }

    fn line(number: usize) -> Vec<u8> {
        format!("{number:099}\n").into_bytes()
    }

    /// Writes until some are dropped, and reads until all that was kept has come, in order.
    fn fill_and_drain(mut output: Output<'_>, read: &mut dyn FnMut(&mut [u8]) -> usize) {
        let mut count = 0;
        while output.dropped < 3 {
            output.write(line(count));
            count += 1;
            assert!(count < 100_000);
        }
        let interest = output.interest();
        assert!(interest.is_some() && output.take_dropped().is_none() && output.length <= LIMIT);
        assert!(!poll::is_writable(output.fd));
        let mut seen: Vec<u8> = Vec::new();
        while !output.pending.is_empty() || seen.len() < (count - 3) * 100 {
            let mut chunk = [0; 8192];
            let got = read(&mut chunk);
            seen.extend(chunk[..got].iter().filter(|byte| **byte != b'\r'));
            output.flush(Instant::now() + FUTILE * 2);
        }
        let expected: Vec<u8> = (0..count - 3).flat_map(line).collect();
        assert!(seen == expected, "{} bytes, {} expected", seen.len(), expected.len());
        assert_eq!((output.take_dropped(), output.take_dropped()), (Some(3), None));
        assert!(output.interest().is_none() && output.is_done());
    }

    #[test]
    fn a_pipe_that_is_full() {
        let (reader, writer) = pipe::pipe().unwrap();
        let output = output(&writer);
        assert_eq!(output.way, Way::Own);
        let mut reader = File::from(reader.as_fd().try_clone_to_owned().unwrap());
        fill_and_drain(output, &mut |chunk| reader.read(chunk).unwrap());
    }

    /// Kernels before 6.4 ask poll(2), which this test does not tell apart.
    #[test]
    fn a_pipe_that_can_not_be_opened_anew() {
        let (reader, writer) = pipe::pipe().unwrap();
        let mut reader = File::from(reader.as_fd().try_clone_to_owned().unwrap());
        fill_and_drain(Output::of(writer.as_fd()), &mut |chunk| reader.read(chunk).unwrap());
    }

    #[test]
    fn a_socket_that_is_full() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let output = output(&writer);
        assert_eq!(output.way, Way::Socket);
        fill_and_drain(output, &mut |chunk| reader.read(chunk).unwrap());
    }

    #[test]
    fn a_terminal_that_nobody_reads() {
        let (mut master, slave) = pty::open().unwrap();
        let output = output(&slave);
        assert_eq!(output.way, Way::Own);
        fill_and_drain(output, &mut |chunk| match master.read(chunk) {
            Ok(count) => count.unwrap(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        });
    }

    #[test]
    fn a_file_is_gone_on_with() {
        let mut file = tempfile::tempfile().unwrap();
        let mut output = output(&file);
        assert_eq!(output.way, Way::File);
        output.write(b"ours\n".to_vec());
        io::Write::write_all(&mut file, b"the agent's\n").unwrap();
        output.write(b"ours again\n".to_vec());
        io::Seek::rewind(&mut file).unwrap();
        assert_eq!(io::read_to_string(file).unwrap(), "ours\nthe agent's\nours again\n");
    }

    #[test]
    fn nobody_reads_any_more() {
        let (reader, writer) = pipe::pipe().unwrap();
        let mut output = output(&writer);
        drop(reader);
        output.write(line(1));
        assert!(output.is_done());
    }
}
