//! Output that never blocks: the terminal or pipe of a descriptor is opened again, and what does not fit is buffered.
//!
//! `O_NONBLOCK` belongs to the open file description (open(2)), and the agent shares that of standard error. If it were
//! set there, the agent's own writes would fail, and the agent could clear it. So a terminal or a pipe is opened again,
//! and a socket is written to with `MSG_DONTWAIT`. A regular file is used as it is: no reader delays a write to it, and
//! our lines and the agent's must share one offset. Nothing helps against a file system that hangs.

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

/// What a pipe takes atomically, in bytes (pipe(7)). Longer lines may be mixed with the agent's.
const PIPE_BUF: usize = 4096;
/// The size of the buffer for a slow reader, in bytes.
const BUFFER_LIMIT: usize = 64 * 1024;
/// A terminal with room for half of a line feed is writable for poll(2) and not for write(2), until somebody reads. The
/// next try comes after this time.
const FUTILE_RETRY: Duration = Duration::from_secs(1);

/// How a write is kept from blocking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteMode {
    /// By `O_NONBLOCK` on an open file description of our own.
    OwnDescription,
    /// By `MSG_DONTWAIT`.
    Socket,
    /// A regular file does not block.
    File,
    /// As far as the kernel allows, on a description that others share: see [`write_shared`].
    SharedDescription,
}

/// An output descriptor, and the messages that are still to be written to it.
#[derive(Debug)]
pub struct Output<'f> {
    fd: BorrowedFd<'f>,
    mode: WriteMode,
    pending: VecDeque<Vec<u8>>,
    /// How much of the first message is written.
    written: usize,
    /// The length of all messages, in bytes.
    length: usize,
    dropped: usize,
    /// Until then poll(2) says that it is writable, and write(2) fails.
    futile_until: Option<Instant>,
}

impl Output<'static> {
    /// Standard error, as it was inherited.
    pub const fn standard_error() -> Output<'static> {
        // SAFETY: descriptor 2 is open from the start of `main` to the end of the process.
        Output::of(unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) })
    }

    /// Writes never block from now on. Must be called before [`crate::sys::process::set_undumpable`] closes /proc/self
    /// to us.
    pub fn stop_waiting(&mut self) {
        let kind = fstat(self.fd).map(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT);
        let own = match kind {
            Ok(SFlag::S_IFSOCK) => return self.mode = WriteMode::Socket,
            Ok(SFlag::S_IFREG) => return self.mode = WriteMode::File,
            Ok(SFlag::S_IFIFO) => open_again(self.fd, OFlag::O_WRONLY),
            Ok(_) if isatty(self.fd).unwrap_or(false) => open_again(self.fd, OFlag::O_WRONLY),
            _ => return,
        };
        if let Ok(own) = own {
            // SAFETY: the descriptor has just been opened, and nobody closes it: it is open to the end of the process.
            self.fd = unsafe { BorrowedFd::borrow_raw(own.into_raw_fd()) };
            self.mode = WriteMode::OwnDescription;
        }
    }
}

impl<'f> Output<'f> {
    /// An output for this descriptor, which blocks only where the kernel leaves no choice.
    pub const fn of(fd: BorrowedFd<'f>) -> Output<'f> {
        let pending = VecDeque::new();
        Output {
            fd,
            mode: WriteMode::SharedDescription,
            pending,
            written: 0,
            length: 0,
            dropped: 0,
            futile_until: None,
        }
    }

    /// Writes a message now, or buffers it. Once messages were dropped, later ones are dropped too until that was
    /// reported.
    pub fn write(&mut self, message: Vec<u8>) {
        if self.dropped > 0 || self.length + message.len() > BUFFER_LIMIT {
            self.dropped += 1;
            return;
        }
        self.length += message.len();
        self.pending.push_back(message);
        self.write_pending();
    }

    /// Writes buffered messages, if there is room by now.
    pub fn flush(&mut self, now: Instant) {
        if self.pending.is_empty() || self.futile_until.is_some_and(|until| now < until) {
            return;
        }
        let is_futile = poll::is_writable(self.fd) && !self.write_pending();
        self.futile_until = is_futile.then(|| now + FUTILE_RETRY);
    }

    /// How many messages were dropped, once all before them are written. Returned only once.
    pub fn take_dropped(&mut self) -> Option<usize> {
        let is_due = self.pending.is_empty() && self.dropped > 0;
        is_due.then(|| std::mem::take(&mut self.dropped))
    }

    /// Whether nothing is left to write or report.
    pub fn is_done(&self) -> bool {
        self.pending.is_empty() && self.dropped == 0
    }

    /// Drops all messages.
    pub fn clear(&mut self) {
        self.pending.clear();
        (self.written, self.length, self.dropped) = (0, 0, 0);
    }

    /// The descriptor to poll while messages are buffered.
    pub fn interest(&self) -> Option<Interest<'f>> {
        (!self.pending.is_empty() && self.futile_until.is_none()).then(|| Interest::to_write(self.fd))
    }

    /// When to try again, if polling does not help.
    pub fn deadline(&self) -> Option<Instant> {
        if self.pending.is_empty() { None } else { self.futile_until }
    }

    /// Writes as much as fits. Returns whether that was anything.
    fn write_pending(&mut self) -> bool {
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
                // Nobody reads it any more, or the disk is full. Nobody can be told.
                Err(_) => {
                    self.clear();
                    return true;
                }
            }
        }
        has_moved
    }

    fn put(&self, piece: &[u8]) -> io::Result<usize> {
        match self.mode {
            WriteMode::OwnDescription | WriteMode::File => Ok(write(self.fd, piece)?),
            WriteMode::Socket => send(self.fd, piece),
            WriteMode::SharedDescription => write_shared(self.fd, piece),
        }
    }
}

/// Opens the terminal or pipe behind a descriptor again: non-blocking, and not as a controlling terminal. A terminal
/// that belongs to another user (after su) is opened as /dev/tty, which needs no permission, if it controls our
/// session.
///
/// Fails without /proc, for another user's pipe, and for a pipe that nobody reads (ENXIO).
pub fn open_again(fd: BorrowedFd<'_>, access: OFlag) -> io::Result<OwnedFd> {
    let flags = access | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let opened = open(Path::new(&path), flags, Mode::empty());
    // tcgetpgrp fails with ENOTTY if it is not a terminal, or does not control our session.
    if opened.is_err() && tcgetpgrp(fd).is_ok() {
        return Ok(open(Path::new("/dev/tty"), flags, Mode::empty())?);
    }
    Ok(opened?)
}

/// Sends without SIGPIPE.
fn send(fd: BorrowedFd<'_>, piece: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and the length are those of one slice, which outlives the call.
    let sent = unsafe { libc::send(fd.as_raw_fd(), piece.as_ptr().cast(), piece.len(), flags) };
    Ok(usize::try_from(Errno::result(sent)?).unwrap_or_default())
}

/// Writes to a description that could not be opened again. `RWF_NOWAIT` is `O_NONBLOCK` for a single write. Kernels
/// support it for pipes since 6.4, and not for terminals. Without it, poll(2) is asked first: an agent that fills the
/// pipe or stops the terminal between the two calls blocks us.
fn write_shared(fd: BorrowedFd<'_>, piece: &[u8]) -> io::Result<usize> {
    let vector = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
    // The offset -1 means the description's own, as for writev(2).
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

    /// An output like the one of standard error.
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

    /// Writes until some messages are dropped, and reads until all buffered ones have come, in order.
    fn fill_and_drain(mut output: Output<'_>, read: &mut dyn FnMut(&mut [u8]) -> usize) {
        let mut count = 0;
        while output.dropped < 3 {
            output.write(line(count));
            count += 1;
            assert!(count < 100_000);
        }
        let interest = output.interest();
        assert!(interest.is_some() && output.take_dropped().is_none() && output.length <= BUFFER_LIMIT);
        assert!(!poll::is_writable(output.fd));
        let mut seen: Vec<u8> = Vec::new();
        while !output.pending.is_empty() || seen.len() < (count - 3) * 100 {
            let mut chunk = [0; 8192];
            let got = read(&mut chunk);
            seen.extend(chunk[..got].iter().filter(|byte| **byte != b'\r'));
            output.flush(Instant::now() + FUTILE_RETRY * 2);
        }
        let expected: Vec<u8> = (0..count - 3).flat_map(line).collect();
        assert!(seen == expected, "{} bytes, {} expected", seen.len(), expected.len());
        assert_eq!((output.take_dropped(), output.take_dropped()), (Some(3), None));
        assert!(output.interest().is_none() && output.is_done());
    }

    #[test]
    fn a_full_pipe_loses_nothing_that_was_buffered() {
        let (reader, writer) = pipe::pipe().unwrap();
        let output = output(&writer);
        assert_eq!(output.mode, WriteMode::OwnDescription);
        let mut reader = File::from(reader.as_fd().try_clone_to_owned().unwrap());
        fill_and_drain(output, &mut |chunk| reader.read(chunk).unwrap());
    }

    /// On kernels before 6.4 this tests the poll(2) fallback.
    #[test]
    fn a_full_pipe_that_cannot_be_opened_again_loses_nothing() {
        let (reader, writer) = pipe::pipe().unwrap();
        let mut reader = File::from(reader.as_fd().try_clone_to_owned().unwrap());
        fill_and_drain(Output::of(writer.as_fd()), &mut |chunk| reader.read(chunk).unwrap());
    }

    #[test]
    fn a_full_socket_loses_nothing_that_was_buffered() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let output = output(&writer);
        assert_eq!(output.mode, WriteMode::Socket);
        fill_and_drain(output, &mut |chunk| reader.read(chunk).unwrap());
    }

    #[test]
    fn a_full_terminal_loses_nothing_that_was_buffered() {
        let (mut master, slave) = pty::open().unwrap();
        let output = output(&slave);
        assert_eq!(output.mode, WriteMode::OwnDescription);
        fill_and_drain(output, &mut |chunk| match master.read(chunk) {
            Ok(count) => count.unwrap(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        });
    }

    #[test]
    fn lines_in_a_file_follow_the_agents_lines() {
        let mut file = tempfile::tempfile().unwrap();
        let mut output = output(&file);
        assert_eq!(output.mode, WriteMode::File);
        output.write(b"ours\n".to_vec());
        io::Write::write_all(&mut file, b"the agent's\n").unwrap();
        output.write(b"ours again\n".to_vec());
        io::Seek::rewind(&mut file).unwrap();
        assert_eq!(io::read_to_string(file).unwrap(), "ours\nthe agent's\nours again\n");
    }

    #[test]
    fn output_that_nobody_reads_is_dropped() {
        let (reader, writer) = pipe::pipe().unwrap();
        let mut output = output(&writer);
        drop(reader);
        output.write(line(1));
        assert!(output.is_done());
    }
}
