//! The one reader of ground that somebody else can write to.
//!
//! The agent owns its working copy and may be hostile: it could plant a link to another's secret and have PID 1 publish
//! it. So a file is opened beneath a directory handle, must be regular, of an expected owner, with a single link (a hard
//! link to another's file passes every other test), and small.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::agent::definition::{Format, SessionFile};
use crate::credential::source::LIMIT;
use crate::credential::{Document, Login};
use crate::report::without_number;
use crate::sync::reconcile::Version;
use crate::sys::dir::{Dir, Kind, Stat, read_limited, stat_file};
use crate::sys::{errno, poll};

/// Why a file is not read.
#[derive(Debug)]
pub enum Unreadable {
    /// There is none.
    Missing,
    /// A symbolic link, or one that leads out of its directory.
    Link,
    /// A directory, device, socket or fifo.
    NotRegular(Kind),
    /// It belongs to this uid, which is nobody expected.
    Owner(u32),
    /// It has other names, so that it may be another's file.
    Links,
    /// It is larger than [`LIMIT`].
    TooLarge,
    /// The kernel says no: whether there is a file, and what it holds, is not known.
    Failed(io::Error),
}

impl Unreadable {
    /// Whether nothing is known of the file: all other reasons say what it is.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Unreadable::Failed(_))
    }

    /// Whether this user may not look: another's directory or file (EACCES, EPERM).
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Unreadable::Failed(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Missing => write!(f, "it is not there"),
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

/// An I/O error in words.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    without_number(&error.to_string())
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

/// Whose files are read.
#[derive(Debug, Clone)]
pub enum Owners {
    /// Anybody's: the operator mounted or named the file.
    Any,
    /// These uids'.
    These(Vec<u32>),
}

/// A file that was read.
pub struct Content {
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
    /// What it was when it was opened.
    pub stat: Stat,
}

/// Reads the entry `name`, which may be no link at all.
///
/// # Errors
/// Why not.
pub fn entry(dir: &Dir, name: &OsStr, owners: &Owners) -> Result<Content, Unreadable> {
    let file = dir.file(name)?;
    checked(&file, owners, true)
}

/// Reads the file at `path` beneath `dir`, through links that stay beneath it: Kubernetes' secret volumes are made of
/// such links.
///
/// # Errors
/// Why not.
pub fn beneath(dir: &Dir, path: &Path, owners: &Owners) -> Result<Content, Unreadable> {
    let file = dir.file_beneath(path)?;
    checked(&file, owners, matches!(owners, Owners::These(_)))
}

fn checked(file: &std::fs::File, owners: &Owners, single_link: bool) -> Result<Content, Unreadable> {
    let stat = stat_file(file)?;
    match (stat.kind, owners) {
        (Kind::File, Owners::These(uids)) if !uids.contains(&stat.uid) => return Err(Unreadable::Owner(stat.uid)),
        (Kind::File, _) => {}
        (kind, _) => return Err(Unreadable::NotRegular(kind)),
    }
    // A file that was renamed over while we open it has no link left: that is a race, not a planted link.
    if single_link && stat.links > 1 {
        return Err(Unreadable::Links);
    }
    let bytes = read_limited(file, LIMIT)?.ok_or(Unreadable::TooLarge)?;
    Ok(Content { bytes, stat })
}

/// A login file as it was found: what it says, and its bytes where there are any.
pub struct Copy {
    /// What it says.
    pub version: Version,
    /// Its bytes, whatever they are; `None` when it could not be read.
    pub bytes: Option<Zeroizing<Vec<u8>>>,
    /// What it was.
    pub mark: Option<Mark>,
}

impl Copy {
    /// The login file among files that no file system holds; `read` gives them by name.
    #[must_use]
    pub fn among(read: impl Fn(&str) -> Option<Zeroizing<Vec<u8>>>, rule: &SessionFile) -> Copy {
        match read(&rule.file) {
            None => Copy { version: Version::Absent, bytes: None, mark: None },
            Some(bytes) => Copy { version: judge(&bytes, rule, |name| Ok(read(name))), bytes: Some(bytes), mark: None },
        }
    }
}

/// What a login file says; `read` reads the files beside it, and says `None` of what is not there.
fn judge(
    bytes: &[u8],
    rule: &SessionFile,
    read: impl Fn(&str) -> Result<Option<Zeroizing<Vec<u8>>>, Unreadable>,
) -> Version {
    match Document::parse(bytes, rule.format).and_then(|document| document.login(rule)) {
        Ok(login) if login.account.is_some() => Version::Valid(login),
        Ok(login) => match account_beside(rule, read) {
            Ok(account) => Version::Valid(Login { account, ..login }),
            // Without its account it would pass for anybody's.
            Err(why) => Version::Unreadable(format!("the account beside it: {why}")),
        },
        Err(defect) => Version::defective(&defect),
    }
}

/// The identity of a file, its size, and its last change, which no owner can set back: another mark is another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    id: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl From<Stat> for Mark {
    fn from(stat: Stat) -> Mark {
        Mark { id: stat.id, size: stat.size, changed: stat.changed }
    }
}

/// Reads the login file of `rule` in a directory. `through_links`: links that stay beneath it are followed, as
/// Kubernetes' volumes need it.
#[must_use]
pub fn login(dir: &Dir, rule: &SessionFile, owners: &Owners, through_links: bool) -> Copy {
    let read = |name: &str| {
        if through_links { beneath(dir, Path::new(name), owners) } else { entry(dir, OsStr::new(name), owners) }
    };
    let undotted = || {
        // In a volume of a Kubernetes Secret, which is told by its `..data`, the key may lack the dot.
        let Some(name) = rule.undotted().filter(|_| through_links) else { return Err(Unreadable::Missing) };
        dir.stat_entry(OsStr::new("..data"))?;
        read(name)
    };
    let found = match read(&rule.file) {
        Err(Unreadable::Missing) => undotted(),
        found => found,
    };
    let content = match found {
        Ok(content) => content,
        Err(why) => return Copy { version: without_content(&why), bytes: None, mark: None },
    };
    let bytes = content.bytes;
    let version = judge(&bytes, rule, |name| match read(name) {
        Ok(content) => Ok(Some(content.bytes)),
        Err(why) if why.is_unknown() => Err(why),
        Err(_) => Ok(None),
    });
    Copy { version, bytes: Some(bytes), mark: Some(content.stat.into()) }
}

/// Whether a login that was merged with what is kept beside it will be read: what is written is held to the bounds of those
/// who read it.
///
/// # Errors
/// Why it would not be.
pub fn check_merged(rule: &SessionFile, bytes: &[u8]) -> io::Result<()> {
    match Document::parse(bytes, rule.format) {
        Ok(_) => Ok(()),
        Err(defect) => {
            Err(io::Error::other(format!("with what is kept beside it, it could not be read again: {defect}")))
        }
    }
}

/// What is known of a login file of which no byte was read.
fn without_content(why: &Unreadable) -> Version {
    match why {
        Unreadable::Missing => Version::Absent,
        Unreadable::Failed(_) => Version::Unreadable(why.to_string()),
        _ => Version::Damaged(why.to_string()),
    }
}

/// The account, where an agent keeps it in a file beside the login.
fn account_beside(
    rule: &SessionFile,
    read: impl Fn(&str) -> Result<Option<Zeroizing<Vec<u8>>>, Unreadable>,
) -> Result<Option<String>, Unreadable> {
    for field in &rule.account {
        let Some(bytes) = field.file.as_deref().map(&read).transpose()?.flatten() else { continue };
        let account = Document::parse(&bytes, Format::Jsonc).ok().and_then(|document| document.text(field));
        if account.is_some() {
            return Ok(account);
        }
    }
    Ok(None)
}

/// How often a start reads again what it cannot read, and how long it waits in between: half a second in all. An error
/// of the moment (a lease on the file, a server that comes back, no descriptor free) must not decide which login is used.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Reads as [`login`] does, again while that fails for the moment. Only before the agent runs: it waits.
#[must_use]
pub fn login_at_start(dir: &Dir, rule: &SessionFile, owners: &Owners, through_links: bool) -> Copy {
    let read = || match login(dir, rule, owners, through_links) {
        Copy { version: Version::Unreadable(why), .. } => Err(why),
        copy => Ok(copy),
    };
    read_again(read).unwrap_or_else(|why| Copy { version: Version::Unreadable(why), bytes: None, mark: None })
}

/// Calls `read` until it succeeds, or a start has waited long enough for it.
///
/// # Errors
/// What the last try says.
pub fn read_again<T, E>(read: impl Fn() -> Result<T, E>) -> Result<T, E> {
    for _ in 1..TRIES {
        if let Ok(found) = read() {
            return Ok(found);
        }
        let _ = poll::wait_readable(&[], Some(Instant::now() + PAUSE));
    }
    read()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    #[test]
    fn what_an_agent_may_plant() {
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
        let said = |name: &str, owners: &Owners| match entry(&dir, name.as_ref(), owners) {
            Ok(content) => String::from_utf8(content.bytes.to_vec()).unwrap(),
            Err(why) => why.to_string(),
        };
        let rows = [
            ("plain", "FAKE"),
            ("none", "it is not there"),
            ("out", "it is a symbolic link"),
            ("link", "it is a symbolic link"),
            ("hard", "it has more than one hard link"),
            ("directory", "it is a directory"),
            ("fifo", "it is not a regular file"),
            ("huge", "it is larger than 1048576 bytes"),
        ];
        for (name, expected) in rows {
            assert_eq!(said(name, &me), expected, "{name}");
        }
        assert_eq!(said("plain", &Owners::These(vec![4242])), format!("it belongs to uid {}", dir.stat().unwrap().uid));
        assert_eq!(said("plain", &Owners::Any), "FAKE");
        assert!(beneath(&dir, "link".as_ref(), &me).is_ok());
        assert!(matches!(beneath(&dir, "out".as_ref(), &me), Err(Unreadable::Link)));
    }
}
