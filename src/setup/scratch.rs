//! Where a login is made: a directory of its own, which goes with everything in it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::fs::tree;
use crate::sys::dir::Dir;
use crate::sys::lock::Lock;
use crate::sys::stat::Kind;
use crate::sys::{lock, process};

/// What the names of these directories begin with.
const PREFIX: &str = "setup-";

/// What the names of those that stay begin with.
const KEPT: &str = "not-captured-";

/// A directory that is younger may have a process that has not locked it yet.
const YOUNG: Duration = Duration::from_secs(10);

/// Where the working copies are: a directory of this process, new, and gone afterwards.
pub struct ScratchDir {
    parent: PathBuf,
    name: OsString,
    /// It holds what nothing else does.
    stays: bool,
    /// Tells others that this process lives.
    held: Option<Lock>,
}

impl ScratchDir {
    /// The directory of this process below `parent`; what killed ones left there is removed.
    pub fn under(parent: &Path) -> ScratchDir {
        let name = format!("{PREFIX}{}", process::id()).into();
        let workplace = ScratchDir { parent: parent.to_owned(), name, stays: false, held: None };
        // One of the same process id was killed.
        workplace.clear();
        sweep(parent);
        workplace
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    /// Leaves the directory, which holds what nothing else does, under a name that no later setup removes. Its path from
    /// now on.
    pub fn keep(&mut self) -> PathBuf {
        if !self.stays {
            self.stays = true;
            let name = format!("{KEPT}{}-{}", humantime::format_rfc3339_nanos(SystemTime::now()), process::id());
            if std::fs::rename(self.path(), self.parent.join(&name)).is_ok() {
                self.name = name.into();
            }
        }
        self.path()
    }

    /// Tells others that this process lives, by an flock(2) beside the directory, from when it is made until the end.
    pub fn hold(&mut self) {
        let locked = Dir::open(&self.parent).and_then(|parent| parent.lock(&lock_of(&self.name), None));
        self.held = locked.ok().flatten();
    }

    fn clear(&self) {
        if let Ok(parent) = Dir::open(&self.parent) {
            remove(&parent, &self.name);
        }
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if !self.stays {
            self.clear();
        }
    }
}

fn lock_of(name: &OsStr) -> OsString {
    let mut lock = name.to_owned();
    lock.push(".lock");
    lock
}

fn remove(parent: &Dir, name: &OsStr) {
    tree::remove(parent, name);
    // Where it never was, there is nothing to remove.
    let _ = parent.remove(&lock_of(name));
}

/// Removes the directories of processes that were killed: nobody holds their locks.
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
    // Without its lock it is not held; one that cannot be asked for may be.
    let is_held = match parent.file(&lock_of(name)).and_then(lock::is_held) {
        Err(error) => error.kind() != io::ErrorKind::NotFound,
        Ok(is_held) => is_held,
    };
    age.is_ok_and(|age| age > YOUNG) && !is_held
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_a_killed_setup_left_is_removed_and_a_living_ones_is_not() {
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
        let mut workplace = ScratchDir::under(temp.path());
        let mut left: Vec<_> =
            std::fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["other", "setup-2", "setup-3", "setup-3.lock"]);
        // Ours is held while we live.
        std::fs::create_dir(workplace.path()).unwrap();
        workplace.hold();
        let lock = temp.path().join(lock_of(&workplace.name));
        assert!(lock::is_held(File::open(&lock).unwrap()).unwrap());
        let mut keeps = ScratchDir { parent: temp.path().to_owned(), name: "setup-7".into(), stays: false, held: None };
        std::fs::create_dir(keeps.path()).unwrap();
        let kept = keeps.keep();
        assert_eq!(keeps.keep(), kept);
        drop(keeps);
        sweep(temp.path());
        assert!(kept.is_dir() && kept.file_name().unwrap().to_str().unwrap().starts_with(KEPT));
        drop((workplace, living));
        assert!(!temp.path().join(format!("{PREFIX}{}", process::id())).exists() && !lock.exists());
    }
}
