//! The private copy of a login that the agent's own command refreshes, and what became of it.
//!
//! A mark in the keeper's state directory stands from before the command starts until its result is stored. It names
//! the login that is refreshed. So a keeper that was killed finds the result at its next start, even if the command
//! outlived it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::{in_words, reason};
use crate::fs::untrusted::Owners;
use crate::fs::{directories, tree, untrusted};
use crate::login::format::SessionFile;
use crate::login::merge::LoginState;
use crate::login::{Digest, Login, file, forced};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::lock::Lock;
use crate::sys::privilege;
use crate::workcopy::WorkingCopy;

/// The directory of the copies, in the keeper's state directory.
const COPIES: &str = "refresh";
/// The directory of the marks there.
const MARKS: &str = "marks";

pub struct RefreshCopy {
    /// The directory that the agent's home variable names.
    pub root: PathBuf,
    copy: WorkingCopy,
    session: SessionFile,
    force: BTreeMap<String, Value>,
    /// The keeper's state directory.
    state: Dir,
    marks: Dir,
    mark: OsString,
    /// A lock that the command holds for as long as it runs.
    lock: OsString,
    /// Files of the agent's config directory without which its command does not refresh.
    beside: Vec<(String, Zeroizing<Vec<u8>>)>,
}

/// A refresh that was begun and whose result is not stored.
pub struct Unfinished {
    /// The login that was to be refreshed.
    pub of: Digest,
    /// How long ago it was begun.
    pub age: Duration,
    /// The command may still run.
    pub may_run: bool,
    pub result: Answer,
}

/// What the login file says about a refresh.
pub enum Answer {
    Refreshed {
        login: Login,
        bytes: Zeroizing<Vec<u8>>,
    },
    /// The file is as it was before.
    None,
    /// The tokens are blank, or the file is gone: the vendor refused.
    LoggedOut,
    Damaged {
        why: String,
        bytes: Option<Zeroizing<Vec<u8>>>,
    },
    Unreadable(String),
}

/// Where a copy is, and whose it is.
pub struct Place<'p> {
    pub agent: &'p str,
    /// The part of the config directory's path below the directory that the home variable names.
    pub suffix: &'p str,
    /// The keeper's state directory.
    pub state_dir: &'p Path,
    pub owner: Option<(u32, u32)>,
}

impl RefreshCopy {
    pub fn new(place: &Place<'_>, session: SessionFile, force: BTreeMap<String, Value>) -> anyhow::Result<RefreshCopy> {
        let state = directories::state_directory(place.state_dir)?;
        let root = place.state_dir.join(COPIES).join(place.agent);
        let path = if place.suffix.is_empty() { root.clone() } else { root.join(place.suffix) };
        let (dir, _) = directories::private_directory(&path, place.state_dir, place.owner)?;
        let copy = WorkingCopy { path, dir, trusted: place.state_dir.to_owned(), owner: place.owner };
        let marks = state.make(OsStr::new(MARKS), Attributes { mode: 0o700, owner: None })?;
        let (mark, lock) = (place.agent.into(), format!("{}.lock", place.agent).into());
        Ok(RefreshCopy { root, copy, session, force, state, marks, mark, lock, beside: Vec::new() })
    }

    /// The config directory of the command.
    pub fn working_copy(&self) -> &WorkingCopy {
        &self.copy
    }

    /// Remembers these files of the directory, to lay them beside each login.
    pub fn keep_beside(&mut self, names: impl Iterator<Item = String>) {
        let read = |name: String| {
            let content = untrusted::entry(&self.copy.dir, OsStr::new(&name), &self.copy.owners()).ok()?;
            Some((name, content.bytes))
        };
        self.beside = names.filter_map(read).collect();
    }

    /// Prepares a refresh of the login `bytes`: nothing is left of an earlier one. Returns the lock that the command is
    /// to hold. Without one, the next keeper takes a killed command for a running one until its time is over.
    pub fn begin(&mut self, login: &Login, bytes: &[u8]) -> Result<Option<Lock>, String> {
        self.empty().map_err(|error| in_words(&error))?;
        for (name, bytes) in &self.beside {
            self.copy.write_copy(name, bytes).map_err(|error| in_words(&error))?;
        }
        let forced = forced::with_values(bytes, &self.force);
        self.copy.write_copy(&self.session.file, &forced).map_err(|error| in_words(&error))?;
        let attributes = Attributes { mode: 0o600, owner: None };
        self.marks
            .write_whole(&self.mark, login.digest.to_string().as_bytes(), attributes)
            .map_err(|error| format!("{MARKS}/{}: {}", self.mark.display(), reason(&error)))?;
        Ok(self.marks.lock(&self.lock, None).ok().flatten())
    }

    fn empty(&mut self) -> anyhow::Result<()> {
        if let Ok(copies) = self.state.sub(OsStr::new(COPIES)) {
            tree::remove(&copies, self.root.file_name().unwrap_or_default());
        }
        let (dir, _) = directories::private_directory(&self.copy.path, &self.copy.trusted, self.copy.owner)?;
        self.copy.dir = dir;
        Ok(())
    }

    /// The refresh that was begun and not ended, with its result.
    pub fn unfinished(&self) -> Option<Unfinished> {
        let owners = Owners::These(vec![privilege::current().0]);
        let mark = untrusted::entry(&self.marks, &self.mark, &owners).ok()?;
        let of = Digest::parse(std::str::from_utf8(&mark.bytes).ok()?)?;
        let begun = self.marks.file(&self.mark).and_then(|file| file.metadata()?.modified());
        let age = SystemTime::now().duration_since(begun.unwrap_or(SystemTime::UNIX_EPOCH)).unwrap_or_default();
        // The lock is free once the command has ended, so the file is read after that.
        let may_run = match self.marks.lock(&self.lock, None) {
            Ok(Some(lock)) => !lock.excludes(),
            Ok(None) | Err(_) => true,
        };
        Some(Unfinished { of, age, may_run, result: self.answer() })
    }

    /// What the login file says now.
    pub fn answer(&self) -> Answer {
        let file = file::login(&self.copy.dir, &self.session, &self.copy.owners(), false);
        let is_untouched = file.bytes.as_ref().is_some_and(|bytes| forced::has_values(bytes, &self.force));
        match (file.state, file.bytes) {
            _ if is_untouched => Answer::None,
            (LoginState::Valid(login), Some(bytes)) => Answer::Refreshed { login, bytes },
            (LoginState::LoggedOut | LoginState::Absent, _) => Answer::LoggedOut,
            (LoginState::Unreadable(why), _) => Answer::Unreadable(why),
            (LoginState::Damaged(why), bytes) => Answer::Damaged { why, bytes },
            (LoginState::Valid(_), None) => Answer::Unreadable("it was read without its bytes".to_owned()),
        }
    }

    /// Ends the refresh: its result is stored, or worth nothing.
    pub fn end(&mut self) -> anyhow::Result<()> {
        let is_gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        // The mark goes last: without it, nobody looks at the file.
        self.empty()?;
        Ok(is_gone(self.marks.remove(&self.mark))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r#"{ "file": "login", "access-token": ["/access"], "refresh-token": ["/refresh"],
        "expiry": { "field": "/end", "unit": "seconds" } }"#;
    const LOGIN: &[u8] = br#"{ "access": "FAKE-a", "refresh": "FAKE-r", "end": 4102444800 }"#;

    fn copy(state_dir: &Path) -> RefreshCopy {
        let place = Place { agent: "x", suffix: "below", state_dir, owner: None };
        let force = serde_json::from_str(r#"{ "/end": 1 }"#).unwrap();
        RefreshCopy::new(&place, serde_json::from_str(RULE).unwrap(), force).unwrap()
    }

    #[test]
    fn the_file_tells_what_became_of_a_refresh() {
        struct Row {
            what: &'static str,
            becomes: Option<&'static str>,
            answer: &'static str,
        }
        let rows = [
            Row {
                what: "a new login",
                becomes: Some(r#"{ "access": "FAKE-b", "refresh": "FAKE-s", "end": 4102444800 }"#),
                answer: "refreshed",
            },
            Row {
                what: "a refresh token that stays",
                becomes: Some(r#"{ "access": "FAKE-b", "refresh": "FAKE-r", "end": 4102444800 }"#),
                answer: "refreshed",
            },
            Row {
                what: "written anew without an answer",
                becomes: Some(r#"{"end":1,"access":"FAKE-a","refresh":"FAKE-r"}"#),
                answer: "none",
            },
            Row { what: "blank", becomes: Some(r#"{ "access": "", "refresh": "", "end": 0 }"#), answer: "logged out" },
            Row { what: "torn", becomes: Some(r#"{ "access": "FAKE"#), answer: "damaged" },
            Row { what: "gone", becomes: None, answer: "logged out" },
        ];
        for Row { what, becomes, answer } in rows {
            let temp = tempfile::tempdir().unwrap();
            let state_dir = temp.path().join("state");
            let mut refresh = copy(&state_dir);
            let login = file::LoginFile::from_files(|_| Some(Zeroizing::new(LOGIN.to_vec())), &refresh.session);
            let login = login.state.login().unwrap().clone();
            std::fs::write(refresh.copy.path.join("earlier"), "FAKE").unwrap();
            assert!(refresh.unfinished().is_none(), "{what}");
            refresh.begin(&login, LOGIN).unwrap();
            assert!(matches!(refresh.answer(), Answer::None), "{what}");
            assert_eq!(std::fs::read_dir(&refresh.copy.path).unwrap().count(), 1, "{what}");
            let path = refresh.copy.path.join("login");
            match becomes {
                Some(text) => std::fs::write(path, text).unwrap(),
                None => std::fs::remove_file(path).unwrap(),
            }
            // The next keeper finds it.
            let mut refresh = copy(&state_dir);
            let unfinished = refresh.unfinished().unwrap();
            let found = match unfinished.result {
                Answer::Refreshed { .. } => "refreshed",
                Answer::None => "none",
                Answer::LoggedOut => "logged out",
                Answer::Damaged { .. } => "damaged",
                Answer::Unreadable(_) => "unreadable",
            };
            assert_eq!((unfinished.of, found), (login.digest, answer), "{what}");
            refresh.end().unwrap();
            refresh.end().unwrap();
            assert!(refresh.unfinished().is_none() && !refresh.copy.path.join("login").exists(), "{what}");
        }
    }

    #[test]
    fn files_of_the_agent_are_laid_beside_each_login() {
        let temp = tempfile::tempdir().unwrap();
        let mut refresh = copy(&temp.path().join("state"));
        refresh.copy.write("settings", b"{}").unwrap();
        refresh.keep_beside(["settings".to_owned(), "none".to_owned()].into_iter());
        let login = file::LoginFile::from_files(|_| Some(Zeroizing::new(LOGIN.to_vec())), &refresh.session);
        for _ in 0..2 {
            refresh.begin(login.state.login().unwrap(), LOGIN).unwrap();
            assert_eq!(std::fs::read(refresh.copy.path.join("settings")).unwrap(), b"{}");
            std::fs::write(refresh.copy.path.join("settings"), "changed").unwrap();
        }
        assert!(refresh.root.ends_with("refresh/x") && refresh.copy.path.ends_with("refresh/x/below"));
    }
}
