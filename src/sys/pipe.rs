//! Pipes that exec closes.

use std::io;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::unistd::pipe2;
use zeroize::{Zeroize, Zeroizing};

pub struct Reader(std::fs::File);

/// A reading end that is read as it fills, without blocking.
pub struct Stream(Option<std::fs::File>);

pub struct Writer(std::fs::File);

/// The maximum number of reads of 4 KiB in one call. A pipe holds 64 KiB (pipe(7)).
const MAX_READS: usize = 64;

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
    /// Keeps this end open through exec.
    pub fn survive_exec(&self) -> io::Result<()> {
        fcntl(&self.0, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(())
    }

    pub fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Makes reads from this end non-blocking.
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

    /// Reads what is available, and keeps it up to a total of `limit` bytes. Never blocks, and returns even if the
    /// other end writes without end.
    pub fn drain(&mut self, into: &mut Vec<u8>, limit: usize) -> io::Result<()> {
        let mut buffer = Zeroizing::new([0; 4096]);
        for _ in 0..MAX_READS {
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

/// Appends bytes that may be secret: a vector that grows would leave its old bytes behind, so they are wiped.
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
    /// Writes all of it into the empty pipe without waiting for a reader. Fails with EAGAIN if it does not fit.
    pub fn write_now(&self, bytes: &[u8]) -> io::Result<()> {
        fcntl(&self.0, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        self.write(bytes)
    }

    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }
}
