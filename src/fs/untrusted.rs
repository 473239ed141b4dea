//! Reads files in directories that somebody else can write to. No other code may.
//!
//! The agent owns its working copy and may be hostile: it could plant a link to somebody else's secret there, and so
//! make PID 1 publish it. A file is therefore opened beneath a directory handle. It must be small, regular, of an
//! expected owner, and have a single hard link, because a hard link to another file passes all other checks.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fmt, io};

use zeroize::Zeroizing;

use crate::error::reason;
use crate::sys::dir::{Dir, read_limited, stat_file};
use crate::sys::stat::{Kind, Stat};
use crate::sys::{errno, poll};

/// The maximum size of a credential, in bytes.
pub const LIMIT: u64 = 1024 * 1024;

/// Why a file was not read.
#[derive(Debug)]
pub enum Unreadable {
    Missing,
    /// A symbolic link, or one that leads out of its directory.
    Link,
    /// A directory, device, socket or fifo.
    NotRegular(Kind),
    /// The file belongs to this uid, which is not an expected one.
    Owner(u32),
    /// The file has several hard links, so it may be somebody else's.
    Links,
    /// Larger than [`LIMIT`].
    TooLarge,
    /// A system call failed. Whether there is a file, and its content, are unknown.
    Failed(io::Error),
}

impl Unreadable {
    /// Whether nothing is known of the file. All other reasons are facts about it.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Unreadable::Failed(_))
    }

    /// Whether this user lacks the permission (EACCES, EPERM).
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Unreadable::Failed(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Missing => write!(f, "it does not exist"),
            Unreadable::Link => write!(f, "it is a symbolic link"),
            Unreadable::NotRegular(Kind::Directory) => write!(f, "it is a directory"),
            Unreadable::NotRegular(_) => write!(f, "it is not a regular file"),
            Unreadable::Owner(uid) => write!(f, "it belongs to uid {uid}"),
            Unreadable::Links => write!(f, "it has more than one hard link"),
            Unreadable::TooLarge => write!(f, "it is larger than {LIMIT} bytes"),
            Unreadable::Failed(error) => write!(f, "{}", reason(error)),
        }
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Unreadable {
        match error.kind() {
            io::ErrorKind::NotFound => Unreadable::Missing,
            _ if errno::is_refused_link(&error) => Unreadable::Link,
            _ if errno::is_socket(&error) => Unreadable::NotRegular(Kind::Special),
            _ => Unreadable::Failed(error),
        }
    }
}

/// The owners whose files are read.
#[derive(Debug, Clone)]
pub enum Owners {
    /// Any owner: the operator mounted or named the file.
    Any,
    /// These uids.
    These(Vec<u32>),
}

pub struct Content {
    pub bytes: Zeroizing<Vec<u8>>,
    /// The file's metadata when it was opened.
    pub stat: Stat,
}

/// Reads the entry `name` of a directory. It must not be a link.
pub fn entry(dir: &Dir, name: &OsStr, owners: &Owners) -> Result<Content, Unreadable> {
    let file = dir.file(name)?;
    read_checked(&file, owners, true)
}

/// Reads the file at `path` beneath `dir`. Links are followed as long as they stay beneath it: Kubernetes' secret
/// volumes consist of such links.
pub fn beneath(dir: &Dir, path: &Path, owners: &Owners) -> Result<Content, Unreadable> {
    let file = dir.file_beneath(path)?;
    read_checked(&file, owners, matches!(owners, Owners::These(_)))
}

fn read_checked(file: &std::fs::File, owners: &Owners, single_link: bool) -> Result<Content, Unreadable> {
    let stat = stat_file(file)?;
    match (stat.kind, owners) {
        (Kind::File, Owners::These(uids)) if !uids.contains(&stat.uid) => return Err(Unreadable::Owner(stat.uid)),
        (Kind::File, _) => {}
        (kind, _) => return Err(Unreadable::NotRegular(kind)),
    }
    // A file that was replaced after we opened it has no link left. That is a race, not a planted link.
    if single_link && stat.links > 1 {
        return Err(Unreadable::Links);
    }
    let bytes = read_limited(file, LIMIT)?.ok_or(Unreadable::TooLarge)?;
    Ok(Content { bytes, stat })
}

/// The number of tries of a start to read a file, and the pause between them: half a second in total. A momentary error
/// (a lease on the file, a server that restarts, no free descriptor) must not decide which login is used.
const TRIES: u32 = 5;
const TRY_PAUSE: Duration = Duration::from_millis(100);

/// Calls `read` until it succeeds, or until a start has waited long enough. Returns the last error.
pub fn read_again<T, E>(read: impl Fn() -> Result<T, E>) -> Result<T, E> {
    for _ in 1..TRIES {
        if let Ok(found) = read() {
            return Ok(found);
        }
        let _ = poll::wait_readable(&[], Some(Instant::now() + TRY_PAUSE));
    }
    read()
}

/// Reads a file of the image or of /proc, of at most 4 MiB. It must be regular: reading a fifo would block forever.
pub fn image_file(path: &Path) -> io::Result<Vec<u8>> {
    const MAX: u64 = 4 * 1024 * 1024;
    let parent = Dir::open(path.parent().unwrap_or(path))?;
    let file = parent.file(path.file_name().unwrap_or(OsStr::new("")))?;
    if stat_file(&file)?.kind != Kind::File {
        return Err(io::Error::other("it is not a regular file"));
    }
    let bytes = read_limited(&file, MAX)?.ok_or_else(|| io::Error::other("it is larger than 4 MiB"))?;
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn planted_files_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        std::fs::write(at("plain"), "FAKE").unwrap();
        std::fs::write(at("victim"), "FAKE-other").unwrap();
        symlink("/etc/passwd", at("out")).unwrap();
        symlink("plain", at("link")).unwrap();
        std::fs::hard_link(at("victim"), at("hard")).unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        std::fs::write(at("huge"), vec![b' '; 1024 * 1024 + 1]).unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let me = Owners::These(vec![dir.stat().unwrap().uid]);
        let outcome = |name: &str, owners: &Owners| match entry(&dir, name.as_ref(), owners) {
            Ok(content) => String::from_utf8(content.bytes.to_vec()).unwrap(),
            Err(why) => why.to_string(),
        };
        let rows = [
            ("plain", "FAKE"),
            ("none", "it does not exist"),
            ("out", "it is a symbolic link"),
            ("link", "it is a symbolic link"),
            ("hard", "it has more than one hard link"),
            ("directory", "it is a directory"),
            ("fifo", "it is not a regular file"),
            ("huge", "it is larger than 1048576 bytes"),
        ];
        for (name, expected) in rows {
            assert_eq!(outcome(name, &me), expected, "{name}");
        }
        assert_eq!(
            outcome("plain", &Owners::These(vec![4242])),
            format!("it belongs to uid {}", dir.stat().unwrap().uid)
        );
        assert_eq!(outcome("plain", &Owners::Any), "FAKE");
        assert!(beneath(&dir, "link".as_ref(), &me).is_ok());
        assert!(matches!(beneath(&dir, "out".as_ref(), &me), Err(Unreadable::Link)));
    }
}
