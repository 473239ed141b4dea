//! The login that a store refused: kept in our state directory until the store takes it, by this run or the next.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::untrusted::Owners;
use crate::login::format::SessionFile;
use crate::login::{Login, file};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::{access, privilege};

/// The recovery copy of one agent's login.
#[derive(Debug, Clone)]
pub struct Recovery {
    state_dir: PathBuf,
    agent: String,
    file: String,
}

const PRIVATE: Attributes = Attributes { mode: 0o700, owner: None };

impl Recovery {
    /// The copy of this agent's login file below our state directory.
    pub fn new(state_dir: &Path, agent: &str, file: &str) -> Recovery {
        Recovery { state_dir: state_dir.to_owned(), agent: agent.to_owned(), file: file.to_owned() }
    }

    /// The directory that holds it.
    pub fn directory(&self) -> PathBuf {
        self.state_dir.join("recovery").join(&self.agent)
    }

    /// The copy, whether or not it is there.
    pub fn path(&self) -> PathBuf {
        self.directory().join(&self.file)
    }

    /// The copy, if there is, or may be, one.
    pub fn found(&self) -> Option<PathBuf> {
        Some(self.path()).filter(|path| access::is_there(path))
    }

    /// Whether the copy is this login.
    pub fn holds(&self, rule: &SessionFile, login: &Login) -> bool {
        let owners = Owners::These(vec![privilege::current().0]);
        let there = Dir::open(&self.directory()).map(|dir| file::login(&dir, rule, &owners, false));
        there.is_ok_and(|copy| copy.state.login().is_some_and(|kept| kept.content == login.content))
    }

    /// Keeps these bytes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn keep(&self, bytes: &[u8]) -> io::Result<()> {
        let recovery = Dir::open(&self.state_dir)?.make(OsStr::new("recovery"), PRIVATE)?;
        let dir = recovery.make(OsStr::new(&self.agent), PRIVATE)?;
        dir.write_whole(OsStr::new(&self.file), bytes, Attributes { mode: 0o600, owner: None })
    }

    /// Forgets the copy: the store has it, or a newer one.
    ///
    /// # Errors
    /// What the kernel says; a copy that is not there is none.
    pub fn clear(&self) -> io::Result<()> {
        let removed = Dir::open(&self.directory()).and_then(|dir| dir.remove(OsStr::new(&self.file)));
        removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_and_cleared() {
        let temp = tempfile::tempdir().unwrap();
        let recovery = Recovery::new(temp.path(), "x", "login");
        recovery.clear().unwrap();
        recovery.keep(b"FAKE").unwrap();
        assert_eq!(std::fs::read(recovery.directory().join("login")).unwrap(), b"FAKE");
        recovery.clear().unwrap();
        assert!(!recovery.directory().join("login").exists());
    }
}
