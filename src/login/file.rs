//! Login files: their bytes, their stamp, and the login in them.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use crate::fs::untrusted::{Owners, Unreadable, beneath, entry, read_again};
use crate::login::document::{Document, Login};
use crate::login::format::{Format, SessionFile};
use crate::login::merge::LoginState;
use crate::login::wrapped::unwrapped;
use crate::sys::dir::Dir;
use crate::sys::stat::Stat;

/// A login file as it was read.
pub struct LoginFile {
    pub state: LoginState,
    /// The file's content, valid or not. `None` if it could not be read.
    pub bytes: Option<Zeroizing<Vec<u8>>>,
    pub stamp: Option<FileStamp>,
}

impl LoginFile {
    /// The login file among files in memory, such as a store's answer. `read` gets a file by its name.
    pub fn from_files(read: impl Fn(&str) -> Option<Zeroizing<Vec<u8>>>, rule: &SessionFile) -> LoginFile {
        match read(&rule.file) {
            None => LoginFile { state: LoginState::Absent, bytes: None, stamp: None },
            Some(bytes) => {
                LoginFile { state: judge(&bytes, rule, |name| Ok(read(name))), bytes: Some(bytes), stamp: None }
            }
        }
    }
}

/// Judges the content of a login file. `read` reads the files beside it; `None` means that there is none.
fn judge(
    bytes: &[u8],
    rule: &SessionFile,
    read: impl Fn(&str) -> Result<Option<Zeroizing<Vec<u8>>>, Unreadable>,
) -> LoginState {
    match Document::parse(bytes, rule.format).and_then(|document| document.login(rule)) {
        Ok(login) if login.account.is_some() => LoginState::Valid(login),
        Ok(login) => match account_in_other_file(rule, read) {
            Ok(account) => LoginState::Valid(Login { account, ..login }),
            // Without its account, the login would pass for any account's.
            Err(why) => LoginState::Unreadable(format!("the account beside it: {why}")),
        },
        Err(defect) => LoginState::defective(&defect),
    }
}

/// A file's identity, size and last change. The time of the change is the ctime, which no owner can set, so another
/// stamp means that the content may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    id: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

/// The kernel takes the time of a change from a clock that ticks every 10 ms at the slowest (`CONFIG_HZ=100`). Two changes
/// within a tick leave the same time.
const SLOWEST_TICK: Duration = Duration::from_millis(20);

impl FileStamp {
    /// Whether every change after `read_at` gives the file another stamp. A time without a fraction comes from a file
    /// system that keeps whole seconds.
    pub fn shows_changes_after(self, read_at: SystemTime) -> bool {
        let (seconds, nanos) = self.changed;
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u64::try_from(nanos)) else { return false };
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanos);
        nanos != 0 && read_at.duration_since(changed).is_ok_and(|age| age >= SLOWEST_TICK)
    }
}

impl From<Stat> for FileStamp {
    fn from(stat: Stat) -> FileStamp {
        FileStamp { id: stat.id, size: stat.size, changed: stat.changed }
    }
}

/// Reads the login file of `rule` in a directory. `through_links`: links that stay beneath the directory are followed,
/// which Kubernetes' volumes need.
pub fn login(dir: &Dir, rule: &SessionFile, owners: &Owners, through_links: bool) -> LoginFile {
    let read = |name: &str| {
        if through_links { beneath(dir, Path::new(name), owners) } else { entry(dir, OsStr::new(name), owners) }
    };
    let undotted = || {
        // In a volume of a Kubernetes Secret, which has a `..data` entry, the key may lack the leading dot.
        let Some(name) = rule.undotted() else { return Err(Unreadable::Missing) };
        if !through_links {
            return Err(Unreadable::Missing);
        }
        dir.stat_entry(OsStr::new("..data"))?;
        read(name)
    };
    let found = match read(&rule.file) {
        Err(Unreadable::Missing) => undotted(),
        found => found,
    };
    let content = match found {
        Ok(content) => content,
        Err(why) => return LoginFile { state: without_content(&why), bytes: None, stamp: None },
    };
    // Only what an operator put there may be encoded. The agent's own file is as the agent wrote it.
    let bytes = if through_links { unwrapped(content.bytes, rule.format) } else { content.bytes };
    let state = judge(&bytes, rule, |name| match read(name) {
        Ok(content) => Ok(Some(content.bytes)),
        Err(why) if why.is_unknown() => Err(why),
        Err(_) => Ok(None),
    });
    LoginFile { state, bytes: Some(bytes), stamp: Some(content.stat.into()) }
}

/// Checks that a login that was merged with the other fields of a file can be read again. Whatever is written must be
/// within the limits of its readers.
pub fn check_readable(rule: &SessionFile, bytes: &[u8]) -> io::Result<()> {
    match Document::parse(bytes, rule.format) {
        Ok(_) => Ok(()),
        Err(defect) => Err(io::Error::other(format!(
            "merged with the other fields of its file, it could not be read again: {defect}"
        ))),
    }
}

/// The state of a login file of which no byte was read.
fn without_content(why: &Unreadable) -> LoginState {
    match why {
        Unreadable::Missing => LoginState::Absent,
        Unreadable::Failed(_) => LoginState::Unreadable(why.to_string()),
        _ => LoginState::Damaged(why.to_string()),
    }
}

/// The account, if the agent keeps it in a file beside the login.
fn account_in_other_file(
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

/// Like [`login`], but tries again while reading fails temporarily. It waits, so it is only for the time before the
/// agent runs.
pub fn login_at_start(dir: &Dir, rule: &SessionFile, owners: &Owners, through_links: bool) -> LoginFile {
    let read = || match login(dir, rule, owners, through_links) {
        LoginFile { state: LoginState::Unreadable(why), .. } => Err(why),
        file => Ok(file),
    };
    read_again(read).unwrap_or_else(|why| LoginFile { state: LoginState::Unreadable(why), bytes: None, stamp: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_shows_a_change_of_another_tick() {
        let changed_at = |seconds, nanos| FileStamp { id: (1, 1), size: 1, changed: (seconds, nanos) };
        let read_at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let rows = [
            ("long before", changed_at(1, 5_000_000), read_at(60_000), true),
            ("two ticks before", changed_at(1, 5_000_000), read_at(1_025), true),
            ("in the same tick", changed_at(1, 5_000_000), read_at(1_012), false),
            ("in the future", changed_at(9, 5_000_000), read_at(1_012), false),
            ("whole seconds", changed_at(1, 0), read_at(60_000), false),
            ("before 1970", changed_at(-1, 5_000_000), read_at(60_000), false),
        ];
        for (name, stamp, read_at, expected) in rows {
            assert_eq!(stamp.shows_changes_after(read_at), expected, "{name}");
        }
    }
}
