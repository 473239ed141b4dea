//! The temporary directory in which a login is made. It is removed at the end.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::fs::tree;
use crate::sys::dir::Dir;
use crate::sys::lock::Lock;
use crate::sys::stat::Kind;
use crate::sys::{lock, process};

const PREFIX: &str = "setup-";

/// The prefix of directories that hold a login which could not be captured.
const KEPT: &str = "not-captured-";

/// The process of a younger directory may not have locked it yet.
const MIN_ABANDONED_AGE: Duration = Duration::from_secs(10);

/// A directory for the working copies of this process. It is removed on drop, unless [`ScratchDir::keep`] was called.
pub struct ScratchDir {
    parent: PathBuf,
    name: OsString,
    /// It holds the only copy of a login.
    is_kept: bool,
    /// Tells other processes that this one is alive.
    lock: Option<Lock>,
}

impl ScratchDir {
    /// The directory of this process below `parent`. Directories that killed processes left there are removed.
    pub fn under(parent: &Path) -> ScratchDir {
        let name = format!("{PREFIX}{}", process::id()).into();
        let scratch_dir = ScratchDir { parent: parent.to_owned(), name, is_kept: false, lock: None };
        // A killed process may have had the same process id.
        scratch_dir.clear();
        sweep(parent);
        scratch_dir
    }

    pub fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    /// Keeps the directory, which holds the only copy of a login, under a name that no later setup removes. Returns its
    /// new path.
    pub fn keep(&mut self) -> PathBuf {
        if !self.is_kept {
            self.is_kept = true;
            let name = format!("{KEPT}{}-{}", humantime::format_rfc3339_nanos(SystemTime::now()), process::id());
            if std::fs::rename(self.path(), self.parent.join(&name)).is_ok() {
                self.name = name.into();
            }
        }
        self.path()
    }

    /// Tells other processes that this one is alive, by an flock(2) next to the directory. Call it once the directory
    /// exists.
    pub fn lock(&mut self) {
        let locked = Dir::open(&self.parent).and_then(|parent| parent.lock(&lock_name(&self.name), None));
        self.lock = locked.ok().flatten();
    }

    fn clear(&self) {
        if let Ok(parent) = Dir::open(&self.parent) {
            remove(&parent, &self.name);
        }
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if !self.is_kept {
            self.clear();
        }
    }
}

fn lock_name(name: &OsStr) -> OsString {
    let mut lock = name.to_owned();
    lock.push(".lock");
    lock
}

fn remove(parent: &Dir, name: &OsStr) {
    tree::remove(parent, name);
    // The lock may not exist.
    let _ = parent.remove(&lock_name(name));
}

/// Removes the directories of killed processes, whose locks nobody holds.
fn sweep(parent: &Path) {
    let Ok(parent) = Dir::open(parent) else { return };
    for name in parent.names().unwrap_or_default() {
        if name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) && is_abandoned(&parent, &name) {
            remove(&parent, &name);
        }
    }
}

fn is_abandoned(parent: &Dir, name: &OsStr) -> bool {
    if !parent.stat_entry(name).is_ok_and(|stat| stat.kind == Kind::Directory) {
        return false;
    }
    let Ok(directory) = parent.file(name) else { return false };
    let modified = directory.metadata().and_then(|found| found.modified());
    let age = modified.map(|modified| SystemTime::now().duration_since(modified).unwrap_or_default());
    // A missing lock is not held. A lock that cannot be checked may be.
    let is_held = match parent.file(&lock_name(name)).and_then(lock::is_held) {
        Err(error) => error.kind() != io::ErrorKind::NotFound,
        Ok(is_held) => is_held,
    };
    age.is_ok_and(|age| age > MIN_ABANDONED_AGE) && !is_held
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn directories_of_killed_processes_are_removed_and_of_living_ones_are_not() {
        let temp = tempfile::tempdir().unwrap();
        let make = |name: &str, age: u64| {
            let path = temp.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("login"), "FAKE").unwrap();
            let directory = File::open(&path).unwrap();
            directory.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        make("setup-1", 3600);
        make("setup-2", 0);
        make("other", 3600);
        make("setup-3", 3600);
        let living = Dir::open(temp.path()).unwrap().lock("setup-3.lock".as_ref(), None).unwrap();
        std::fs::write(temp.path().join("setup-1.lock"), "").unwrap();
        let mut scratch_dir = ScratchDir::under(temp.path());
        let mut left: Vec<_> =
            std::fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["other", "setup-2", "setup-3", "setup-3.lock"]);
        std::fs::create_dir(scratch_dir.path()).unwrap();
        scratch_dir.lock();
        let lock = temp.path().join(lock_name(&scratch_dir.name));
        assert!(lock::is_held(File::open(&lock).unwrap()).unwrap());
        let mut keeps =
            ScratchDir { parent: temp.path().to_owned(), name: "setup-7".into(), is_kept: false, lock: None };
        std::fs::create_dir(keeps.path()).unwrap();
        let kept = keeps.keep();
        assert_eq!(keeps.keep(), kept);
        drop(keeps);
        sweep(temp.path());
        assert!(kept.is_dir() && kept.file_name().unwrap().to_str().unwrap().starts_with(KEPT));
        drop((scratch_dir, living));
        assert!(!temp.path().join(format!("{PREFIX}{}", process::id())).exists() && !lock.exists());
    }
}
