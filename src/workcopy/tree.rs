//! Copies the settings out of a captured directory, and takes over what an image left in the agent's place.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::agent::definition::{Settings, matches};
use crate::config::Scope;
use crate::store::directory::BOOKKEEPING;
use crate::sys::dir::{Attributes, Dir, Names, read_limited, set_mode_and_owner, stat_file};
use crate::sys::errno;
use crate::sys::stat::Kind;

/// How deep a tree is followed: a loop of links beneath the source ends here.
const DEPTH: usize = 24;
/// How many files are copied.
const FILES: usize = 20_000;
/// The largest file, in bytes.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;
/// How many bytes are copied: sparse files cost whoever made them nothing, and the working copy may be in memory.
const BYTES: usize = 1024 * 1024 * 1024;

/// So many of the entries that were passed over are told one by one.
const TOLD: usize = 20;

/// What was passed over, and why.
#[derive(Debug, Default)]
pub struct Skipped {
    lines: Vec<String>,
    more: usize,
}

impl Skipped {
    /// One more.
    pub fn push(&mut self, line: String) {
        if self.lines.len() < TOLD {
            self.lines.push(line);
        } else {
            self.more += 1;
        }
    }

    /// A line each, and one for those that are too many.
    pub fn into_lines(self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("{} other entries were passed over, too", self.more));
        self.lines.into_iter().chain(more).collect()
    }
}

/// What of a tree is copied.
pub struct Selection<'s> {
    /// The definition's lists.
    pub settings: &'s Settings,
    /// The operator's scope.
    pub scope: Scope,
    /// The login file, which has a way of its own.
    pub login: Option<&'s str>,
}

impl Selection<'_> {
    /// Whether this entry of the agent's home is copied.
    pub fn takes(&self, name: &str) -> bool {
        let listed = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        // Kubernetes' volumes hold their files in `..data`, and links to them beside it.
        let is_ours = name == BOOKKEEPING || name.starts_with("..") || Some(name) == self.login;
        !is_ours && !listed(&self.settings.leave) && (self.scope == Scope::All || listed(&self.settings.take))
    }
}

/// Copies what is selected, each file whole, 0600 (0700 if its owner may execute it). What is there already stays: it
/// is the image's, or the agent's own from an earlier run. Ceases where `is_stopped` says so, between two files. Returns
/// what was passed over, and why.
pub fn copy(
    from: &Dir,
    to: &Dir,
    selection: &Selection<'_>,
    owner: Option<(u32, u32)>,
    is_stopped: &dyn Fn() -> bool,
) -> Skipped {
    let whose = from.stat().map(|stat| stat.uid).ok();
    let skipped = Skipped::default();
    let mut copying = Copying { root: from, whose, owner, is_stopped, left: FILES, bytes: BYTES, skipped };
    let is_taken = |name: &OsStr| name.to_str().is_some_and(|name| selection.takes(name));
    match copying.names(from, Path::new("."), &is_taken) {
        Ok(names) => names.iter().for_each(|name| copying.entry(Path::new(name), to, name, DEPTH)),
        Err(error) => copying.skipped.push(format!(": not copied: {}", crate::error::reason(&error))),
    }
    copying.skipped
}

/// Removes the directory `name` and all that is in it, as far as we may; no link is followed.
pub fn remove(parent: &Dir, name: &OsStr) {
    remove_below(parent, name, DEPTH * 4);
}

fn remove_below(parent: &Dir, name: &OsStr, depth: usize) {
    if let Ok(dir) = parent.sub(name)
        && depth > 0
    {
        for child in dir.names().unwrap_or_default() {
            if dir.stat_entry(&child).is_ok_and(|stat| stat.kind == Kind::Directory) {
                remove_below(&dir, &child, depth - 1);
            } else {
                // What stays is in a directory that its owner alone may enter.
                let _ = dir.remove(&child);
            }
        }
    }
    let _ = parent.remove_directory(name);
}

struct Copying<'d> {
    root: &'d Dir,
    /// The owner of the root.
    whose: Option<u32>,
    owner: Option<(u32, u32)>,
    is_stopped: &'d dyn Fn() -> bool,
    left: usize,
    bytes: usize,
    skipped: Skipped,
}

impl Copying<'_> {
    /// The names in the directory at `path`, as many as may be copied.
    fn names(&mut self, dir: &Dir, path: &Path, is_taken: &dyn Fn(&OsStr) -> bool) -> std::io::Result<Vec<OsString>> {
        let Names { names, is_cut } = dir.names_up_to(FILES, is_taken)?;
        if is_cut {
            self.skipped.push(format!("{}: more than {FILES} entries: the others are not copied", path.display()));
        }
        Ok(names)
    }

    /// Copies the entry at `path` beneath the root to `to`. A link is what it leads to, as long as that is beneath the
    /// root: as a file or a directory of its own, never as a link.
    fn entry(&mut self, path: &Path, to: &Dir, name: &OsStr, depth: usize) {
        // The one entry that was too many has been told.
        if self.left == 0 || (self.is_stopped)() {
            return;
        }
        if let Err(why) = self.try_entry(path, to, name, depth) {
            self.skipped.push(format!("{}: {why}", path.display()));
        }
    }

    fn try_entry(&mut self, path: &Path, to: &Dir, name: &OsStr, depth: usize) -> Result<(), String> {
        if depth == 0 {
            return Err(format!("not copied: deeper than {DEPTH} directories"));
        }
        self.left -= 1;
        if self.left == 0 {
            return Err(format!("not copied, nor what comes after it: more than {FILES} files"));
        }
        let said = |error: std::io::Error| format!("not copied: {}", crate::error::reason(&error));
        let file = match self.root.file_beneath(path) {
            Ok(file) => file,
            // A link to nowhere is common (a cache that was not captured) and no news.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if errno::is_refused_link(&error) => {
                return Err("not copied: the link leads out of the directory".to_owned());
            }
            Err(error) => return Err(said(error)),
        };
        let stat = stat_file(&file).map_err(said)?;
        match stat.kind {
            Kind::Directory => {
                let below = self.root.sub_beneath(path).map_err(said)?;
                let made = to.make(name, Attributes { mode: 0o700, owner: self.owner }).map_err(said)?;
                for child in self.names(&below, path, &|_| true).map_err(said)? {
                    self.entry(&path.join(&child), &made, &child, depth - 1);
                }
                Ok(())
            }
            // What cannot be looked at is there, for all we know.
            Kind::File if !to.stat_entry(name).is_err_and(|error| error.kind() == ErrorKind::NotFound) => Ok(()),
            // Whoever may write here could link to another user's file, for root to copy it.
            Kind::File if stat.links > 1 && Some(stat.uid) != self.whose => {
                Err(format!("not copied: it belongs to uid {}, and has more than one hard link", stat.uid))
            }
            Kind::File => {
                let bytes = read_limited(&file, FILE_LIMIT).map_err(said)?;
                let bytes = bytes.ok_or_else(|| format!("not copied: larger than {FILE_LIMIT} bytes"))?;
                let left = self.bytes.checked_sub(bytes.len());
                self.bytes = left.ok_or_else(|| format!("not copied: more than {BYTES} bytes in all"))?;
                let mode = 0o600 | (stat.mode & 0o100);
                to.write_whole(name, &bytes, Attributes { mode, owner: self.owner }).map_err(said)
            }
            Kind::Link | Kind::Special => Err("not copied: it is not a regular file".to_owned()),
        }
    }
}

/// Gives everything in the agent's place to the agent: an image builds it as root. A file with a second link is left
/// alone, because it may be another's; so is whatever cannot be opened without following a link.
/// Ceases where `is_stopped` says so.
pub fn take_over(dir: &Dir, owner: Option<(u32, u32)>, is_stopped: &dyn Fn() -> bool) {
    let mut left = FILES;
    let mut queue: Vec<(PathBuf, usize)> = vec![(PathBuf::new(), 0)];
    while let Some((path, depth)) = queue.pop() {
        let Some(below) = descend(dir, &path) else { continue };
        for name in below.names_up_to(left, &|_| true).map(|found| found.names).unwrap_or_default() {
            let Some(rest) = left.checked_sub(1).filter(|_| !is_stopped()) else { return };
            left = rest;
            let Ok(stat) = below.stat_entry(&name) else { continue };
            if stat.kind == Kind::Directory && depth < DEPTH {
                queue.push((path.join(&name), depth + 1));
            }
            if owner != Some((stat.uid, stat.gid)) {
                give(&below, &name, owner);
            }
        }
    }
}

fn give(dir: &Dir, name: &OsString, owner: Option<(u32, u32)>) {
    // Opened first, then judged by the handle: the name may change in between.
    let given = dir.file(name).and_then(|file| {
        let stat = stat_file(&file)?;
        match stat.kind {
            Kind::File if stat.links == 1 => set_mode_and_owner(&file, Attributes { mode: stat.mode & 0o777, owner }),
            Kind::Directory => set_mode_and_owner(&file, Attributes { mode: stat.mode & 0o777, owner }),
            _ => Ok(()),
        }
    });
    // What stays root's is readable or not, as the image made it: no reason not to start.
    drop(given);
}

fn descend(dir: &Dir, path: &Path) -> Option<Dir> {
    let mut here = dir.sub_beneath(Path::new(".")).ok()?;
    for name in path.components() {
        here = here.sub(OsStr::new(&name)).ok()?;
    }
    Some(here)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn settings() -> Settings {
        serde_json::from_str(r#"{ "take": ["keep", "k8s", "tools", "out", "zigzag", "fifo"], "leave": ["*.lock"] }"#)
            .unwrap()
    }

    #[test]
    fn scopes() {
        let settings = settings();
        let takes = |scope, name: &str| Selection { settings: &settings, scope, login: Some("login") }.takes(name);
        let rows = [
            ("keep", true, true),
            ("other", false, true),
            ("x.lock", false, false),
            ("login", false, false),
            ("..data", false, false),
            (".agent-init", false, false),
        ];
        for (name, in_settings, in_all) in rows {
            assert_eq!((takes(Scope::Settings, name), takes(Scope::All, name)), (in_settings, in_all), "{name}");
        }
    }

    #[test]
    fn a_few_are_told_one_by_one() {
        let mut skipped = Skipped::default();
        (0..TOLD + 3).for_each(|number| skipped.push(number.to_string()));
        let lines = skipped.into_lines();
        assert_eq!((lines.len(), lines.last().unwrap().as_str()), (TOLD + 1, "3 other entries were passed over, too"));
    }

    #[test]
    fn a_hostile_tree() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| from.path().join(name);
        std::fs::create_dir_all(at("tools")).unwrap();
        std::fs::create_dir(at("..2024")).unwrap();
        std::fs::write(at("keep"), "new").unwrap();
        std::fs::write(at("tools/run"), "#!").unwrap();
        std::fs::set_permissions(at("tools/run"), std::fs::Permissions::from_mode(0o6755)).unwrap();
        std::fs::write(at("..2024/k8s"), "value").unwrap();
        symlink("..2024", at("..data")).unwrap();
        symlink("..data/k8s", at("k8s")).unwrap();
        symlink("/etc", at("out")).unwrap();
        symlink(".", at("zigzag")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        std::fs::write(to.path().join("keep"), "mine").unwrap();
        let (source, target) = (Dir::open(from.path()).unwrap(), Dir::open(to.path()).unwrap());
        let skipped = copy(
            &source,
            &target,
            &Selection { settings: &settings(), scope: Scope::Settings, login: None },
            None,
            &|| false,
        );
        let skipped = skipped.into_lines();
        let read = |name: &str| std::fs::read_to_string(to.path().join(name)).unwrap();
        assert_eq!((read("keep").as_str(), read("k8s").as_str()), ("mine", "value"));
        assert!(to.path().join("k8s").symlink_metadata().unwrap().is_file());
        assert_eq!(to.path().join("tools/run").metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        assert!(!to.path().join("out").exists() && !to.path().join("fifo").exists());
        assert!(skipped.iter().any(|line| line.contains("out: not copied: the link leads out")), "{skipped:?}");
        assert!(skipped.iter().any(|line| line.contains("fifo: not copied")), "{skipped:?}");
    }
}
