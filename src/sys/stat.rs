//! The metadata of a file, from fstat(2).

use nix::libc;
use nix::sys::stat;
use nix::sys::stat::FileStat;

/// The type of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    /// A symbolic link.
    Link,
    /// A device, socket or fifo.
    Special,
}

/// The part of stat(2) that decisions depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub kind: Kind,
    /// The permission bits, 0o7777.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// The number of hard links: 32 bits wide on some architectures, 64 on others.
    pub links: libc::nlink_t,
    /// In bytes.
    pub size: u64,
    /// Device and inode, which identify a file.
    pub id: (u64, u64),
    /// The ctime in seconds and nanoseconds. It changes with every write, and no owner can set it.
    pub changed: (i64, i64),
    /// The mtime in seconds and nanoseconds. The owner can set it.
    pub modified: (i64, i64),
}

impl From<FileStat> for Stat {
    fn from(raw: FileStat) -> Stat {
        let kind = match raw.st_mode & stat::SFlag::S_IFMT.bits() {
            bits if bits == stat::SFlag::S_IFREG.bits() => Kind::File,
            bits if bits == stat::SFlag::S_IFDIR.bits() => Kind::Directory,
            bits if bits == stat::SFlag::S_IFLNK.bits() => Kind::Link,
            _ => Kind::Special,
        };
        Stat {
            kind,
            mode: raw.st_mode & 0o7777,
            uid: raw.st_uid,
            gid: raw.st_gid,
            links: raw.st_nlink,
            size: u64::try_from(raw.st_size).unwrap_or(0),
            id: (raw.st_dev, raw.st_ino),
            changed: (raw.st_ctime, raw.st_ctime_nsec),
            modified: (raw.st_mtime, raw.st_mtime_nsec),
        }
    }
}
