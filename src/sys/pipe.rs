//! A pipe that exec closes.

use std::io::{self, Read, Write};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

/// The reading end.
pub struct Reader(std::fs::File);

/// The writing end.
pub struct Writer(std::fs::File);

/// A new pipe.
///
/// # Errors
/// As pipe2(2).
pub fn pipe() -> io::Result<(Reader, Writer)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    Ok((Reader(reader.into()), Writer(writer.into())))
}

impl Reader {
    /// Everything until the last writer has gone. Signals do not cut it short: they are blocked.
    #[must_use]
    pub fn read_to_end(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes);
        bytes
    }
}

impl Writer {
    /// Writes all of it.
    ///
    /// # Errors
    /// As write(2).
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }
}
