//! Appending to a file that several processes append to.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::Write;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::sys::dir::{self, Attributes, Dir};
use crate::sys::stat::Kind;

impl Dir {
    /// Appends `line` to the entry `name` with one write(2), and returns the size of the file then. An entry that does
    /// not exist is made. `O_APPEND` keeps writers from overwriting each other's lines. Nothing but a regular file with
    /// one link is written to. The line is not synced: a crash may lose it.
    pub fn append(&self, name: &OsStr, line: &[u8], attributes: Attributes) -> io::Result<u64> {
        dir::check_component(name)?;
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let mut file = match openat(self, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(nix::errno::Errno::ENOENT) => {
                self.make_file(name, attributes)?;
                File::from(openat(self, name, flags, Mode::empty())?)
            }
            Err(errno) => return Err(errno.into()),
        };
        let there = dir::stat_file(&file)?;
        if there.kind != Kind::File || there.links != 1 {
            return Err(io::Error::other("not a regular file with one link"));
        }
        match file.write(line)? {
            written if written == line.len() => Ok(there.size + line.len() as u64),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}
