//! Recovery copies: logins that could not be stored, kept in the state directory until this run or a later one stores
//! them.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::untrusted::Owners;
use crate::login::format::SessionFile;
use crate::login::{Login, file};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::{access, privilege};

#[derive(Debug, Clone)]
pub struct Recovery {
    state_dir: PathBuf,
    agent: String,
    file: String,
}

const PRIVATE: Attributes = Attributes { mode: 0o700, owner: None };

impl Recovery {
    pub fn new(state_dir: &Path, agent: &str, file: &str) -> Recovery {
        Recovery { state_dir: state_dir.to_owned(), agent: agent.to_owned(), file: file.to_owned() }
    }

    pub fn directory(&self) -> PathBuf {
        self.state_dir.join("recovery").join(&self.agent)
    }

    /// Where the copy is, whether or not it exists.
    pub fn path(&self) -> PathBuf {
        self.directory().join(&self.file)
    }

    /// The path of the copy, if it exists or may exist.
    pub fn found(&self) -> Option<PathBuf> {
        Some(self.path()).filter(|path| access::is_there(path))
    }

    /// Whether the copy is of this login.
    pub fn holds(&self, rule: &SessionFile, login: &Login) -> bool {
        let owners = Owners::These(vec![privilege::current().0]);
        let file = Dir::open(&self.directory()).map(|dir| file::login(&dir, rule, &owners, false));
        file.is_ok_and(|copy| copy.state.login().is_some_and(|kept| kept.content == login.content))
    }

    pub fn keep(&self, bytes: &[u8]) -> io::Result<()> {
        let recovery = Dir::open(&self.state_dir)?.make(OsStr::new("recovery"), PRIVATE)?;
        let dir = recovery.make(OsStr::new(&self.agent), PRIVATE)?;
        dir.write_whole(OsStr::new(&self.file), bytes, Attributes { mode: 0o600, owner: None })
    }

    /// Removes the copy, because the store has this login or a newer one. It is not an error if there is none.
    pub fn clear(&self) -> io::Result<()> {
        let removed = Dir::open(&self.directory()).and_then(|dir| dir.remove(OsStr::new(&self.file)));
        removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_kept_and_removed() {
        let temp = tempfile::tempdir().unwrap();
        let recovery = Recovery::new(temp.path(), "x", "login");
        recovery.clear().unwrap();
        recovery.keep(b"FAKE").unwrap();
        assert_eq!(std::fs::read(recovery.directory().join("login")).unwrap(), b"FAKE");
        recovery.clear().unwrap();
        assert!(!recovery.directory().join("login").exists());
    }
}
