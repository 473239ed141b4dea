//! Files in memory (`memfd_create(2)`): what a child reads as its standard input, with no writer that could block.

use std::fs::File;
use std::io;
use std::io::{Seek, Write};

use nix::sys::memfd::{MFdFlags, memfd_create};

/// A file with these bytes, to be read from its beginning; gone with its last descriptor.
pub fn file(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"input", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
