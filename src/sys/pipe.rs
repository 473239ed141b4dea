//! A pipe that exec closes.

use std::io;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::unistd::pipe2;
use zeroize::{Zeroize, Zeroizing};

/// The reading end.
pub struct Reader(std::fs::File);

/// A reading end that is read as it fills.
pub struct Stream(Option<std::fs::File>);

/// The writing end.
pub struct Writer(std::fs::File);

/// Reads of 4 KiB at a time; a pipe holds 64 KiB (pipe(7)).
const ROUNDS: usize = 64;

/// A new pipe.
///
/// # Errors
/// As pipe2(2).
pub fn pipe() -> io::Result<(Reader, Writer)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    Ok((Reader(reader.into()), Writer(writer.into())))
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Reader {
    /// Lets this end stay open through exec.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn survive_exec(&self) -> io::Result<()> {
        fcntl(&self.0, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(())
    }

    /// The descriptor's number.
    pub fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// This end, read without waiting from now on.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn stream(self) -> io::Result<Stream> {
        fcntl(&self.0, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Stream(Some(self.0)))
    }
}

impl Stream {
    /// The descriptor, until the last writer has gone.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there, and keeps it up to a length of `limit`; never waits, and returns to one who writes forever.
    ///
    /// # Errors
    /// As read(2).
    pub fn drain(&mut self, into: &mut Vec<u8>, limit: usize) -> io::Result<()> {
        let mut buffer = Zeroizing::new([0; 4096]);
        for _ in 0..ROUNDS {
            let Some(file) = &mut self.0 else { break };
            match file.read(buffer.as_mut_slice()) {
                Ok(0) => self.0 = None,
                Ok(count) => {
                    let kept = count.min(limit.saturating_sub(into.len()));
                    append(into, buffer.get(..kept).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Appends; a vector that grows leaves its old bytes behind unless they are wiped, and these may be a secret.
fn append(into: &mut Vec<u8>, bytes: &[u8]) {
    if into.capacity() - into.len() < bytes.len() {
        let mut larger = Vec::with_capacity((into.capacity() * 2).max(into.len() + bytes.len()));
        larger.extend_from_slice(into);
        std::mem::replace(into, larger).zeroize();
    }
    into.extend_from_slice(bytes);
}

impl AsFd for Writer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Writer {
    /// Writes all of it into the empty pipe, without waiting for a reader.
    ///
    /// # Errors
    /// As write(2): EAGAIN when the pipe does not hold it.
    pub fn write_now(&self, bytes: &[u8]) -> io::Result<()> {
        fcntl(&self.0, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        self.write(bytes)
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// As write(2).
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }
}
