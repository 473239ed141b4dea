//! A login file as it was read: its bytes, its stamp, and what it says.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::fs::untrusted::{Owners, Unreadable, beneath, entry, read_again};
use crate::login::document::{Document, Login};
use crate::login::format::{Format, SessionFile};
use crate::login::merge::LoginState;
use crate::sys::dir::Dir;
use crate::sys::stat::Stat;

/// A login file as it was found: what it says, and its bytes where there are any.
pub struct LoginFile {
    /// What it says.
    pub state: LoginState,
    /// Its bytes, whatever they are; `None` when it could not be read.
    pub bytes: Option<Zeroizing<Vec<u8>>>,
    /// What it was.
    pub stamp: Option<FileStamp>,
}

impl LoginFile {
    /// The login file among files that no file system holds; `read` gives them by name.
    pub fn among(read: impl Fn(&str) -> Option<Zeroizing<Vec<u8>>>, rule: &SessionFile) -> LoginFile {
        match read(&rule.file) {
            None => LoginFile { state: LoginState::Absent, bytes: None, stamp: None },
            Some(bytes) => {
                LoginFile { state: judge(&bytes, rule, |name| Ok(read(name))), bytes: Some(bytes), stamp: None }
            }
        }
    }
}

/// What a login file says; `read` reads the files beside it, and says `None` of what is not there.
fn judge(
    bytes: &[u8],
    rule: &SessionFile,
    read: impl Fn(&str) -> Result<Option<Zeroizing<Vec<u8>>>, Unreadable>,
) -> LoginState {
    match Document::parse(bytes, rule.format).and_then(|document| document.login(rule)) {
        Ok(login) if login.account.is_some() => LoginState::Valid(login),
        Ok(login) => match account_beside(rule, read) {
            Ok(account) => LoginState::Valid(Login { account, ..login }),
            // Without its account it would pass for anybody's.
            Err(why) => LoginState::Unreadable(format!("the account beside it: {why}")),
        },
        Err(defect) => LoginState::defective(&defect),
    }
}

/// The identity of a file, its size, and its last change, which no owner can set back: another mark is another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    id: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl From<Stat> for FileStamp {
    fn from(stat: Stat) -> FileStamp {
        FileStamp { id: stat.id, size: stat.size, changed: stat.changed }
    }
}

/// Reads the login file of `rule` in a directory. `through_links`: links that stay beneath it are followed, as
/// Kubernetes' volumes need it.
pub fn login(dir: &Dir, rule: &SessionFile, owners: &Owners, through_links: bool) -> LoginFile {
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
        Err(why) => return LoginFile { state: without_content(&why), bytes: None, stamp: None },
    };
    let bytes = content.bytes;
    let version = judge(&bytes, rule, |name| match read(name) {
        Ok(content) => Ok(Some(content.bytes)),
        Err(why) if why.is_unknown() => Err(why),
        Err(_) => Ok(None),
    });
    LoginFile { state: version, bytes: Some(bytes), stamp: Some(content.stat.into()) }
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
fn without_content(why: &Unreadable) -> LoginState {
    match why {
        Unreadable::Missing => LoginState::Absent,
        Unreadable::Failed(_) => LoginState::Unreadable(why.to_string()),
        _ => LoginState::Damaged(why.to_string()),
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

/// Reads as [`login`] does, again while that fails for the moment. Only before the agent runs: it waits.
pub fn login_at_start(dir: &Dir, rule: &SessionFile, owners: &Owners, through_links: bool) -> LoginFile {
    let read = || match login(dir, rule, owners, through_links) {
        LoginFile { state: LoginState::Unreadable(why), .. } => Err(why),
        copy => Ok(copy),
    };
    read_again(read).unwrap_or_else(|why| LoginFile { state: LoginState::Unreadable(why), bytes: None, stamp: None })
}
