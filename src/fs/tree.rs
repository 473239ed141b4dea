//! Copies directory trees that somebody else wrote, within limits; removes them, and gives them to an owner.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::reason;
use crate::sys::dir::{Attributes, Dir, Names, set_mode_and_owner, stat_file};
use crate::sys::stat::{Kind, Stat};

/// How deep a tree is followed: a loop of links beneath the source ends here.
const DEPTH: usize = 24;
/// How many entries are copied.
const ENTRIES: usize = 20_000;

/// How many skipped entries are reported one by one.
const REPORTED: usize = 20;

/// Entries that were skipped, and why.
#[derive(Debug, Default)]
pub struct Skipped {
    lines: Vec<String>,
    more: usize,
}

impl Skipped {
    pub fn push(&mut self, line: String) {
        if self.lines.len() < REPORTED {
            self.lines.push(line);
        } else {
            self.more += 1;
        }
    }

    /// A line for each of the first ones, and one for the rest.
    pub fn into_lines(self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("{} other entries were skipped, too", self.more));
        self.lines.into_iter().chain(more).collect()
    }
}

/// An entry of the tree.
pub struct EntryPath<'e> {
    /// The directory that it is in.
    pub parent: &'e Dir,
    pub name: &'e OsStr,
    /// Its path beneath the root of the tree.
    pub path: &'e Path,
}

/// An entry that was opened.
pub enum Opened {
    Directory(Dir),
    /// It stays where it is, so its copy can be made again.
    File {
        file: File,
        stat: Stat,
    },
    /// The new content, which exists nowhere else.
    Content {
        bytes: Zeroizing<Vec<u8>>,
        mode: u32,
    },
}

/// How the entries of a tree are opened, by the trust that it deserves.
pub trait Source {
    /// The largest sum of all files, in bytes.
    const BYTES: u64;
    /// The largest file, in bytes.
    const FILE_BYTES: u64;
    /// What happened to an entry that is refused: "not copied".
    const REFUSED: &'static str;

    /// Opens an entry that is to be copied into `to`. `None`: it is passed over silently.
    ///
    /// # Errors
    /// Why it is not copied.
    fn open(&self, entry: &EntryPath<'_>, to: &Dir) -> Result<Option<Opened>, String>;
}

/// Copies the entries of `from` that `is_taken` names, each file whole, mode 0600 (0700 if its owner may execute it).
/// Stops between two files where `is_stopped` says so.
pub fn copy<S: Source>(
    source: &S,
    from: &Dir,
    to: &Dir,
    owner: Option<(u32, u32)>,
    is_taken: &dyn Fn(&OsStr) -> bool,
    is_stopped: &dyn Fn() -> bool,
) -> Skipped {
    let mut copy =
        TreeCopy { source, owner, is_stopped, entries: ENTRIES, bytes: S::BYTES, skipped: Skipped::default() };
    match copy.names(from, Path::new("."), is_taken) {
        Ok(names) => {
            for name in names {
                copy.entry(&EntryPath { parent: from, name: &name, path: Path::new(&name) }, to, DEPTH);
            }
        }
        Err(error) => copy.skipped.push(format!(".: {}: {}", S::REFUSED, reason(&error))),
    }
    copy.skipped
}

struct TreeCopy<'c, S> {
    source: &'c S,
    owner: Option<(u32, u32)>,
    is_stopped: &'c dyn Fn() -> bool,
    /// How many more entries may be copied.
    entries: usize,
    /// How many more bytes may be copied.
    bytes: u64,
    skipped: Skipped,
}

impl<S: Source> TreeCopy<'_, S> {
    /// The names in a directory, as many as may be copied.
    fn names(&mut self, dir: &Dir, path: &Path, is_taken: &dyn Fn(&OsStr) -> bool) -> io::Result<Vec<OsString>> {
        let Names { names, is_cut } = dir.names_up_to(ENTRIES, is_taken)?;
        if is_cut {
            let path = path.display();
            self.skipped.push(format!("{path}: more than {ENTRIES} entries: the others are {}", S::REFUSED));
        }
        Ok(names)
    }

    fn entry(&mut self, entry: &EntryPath<'_>, to: &Dir, depth: usize) {
        // The entry that was one too many has been reported.
        if self.entries == 0 || (self.is_stopped)() {
            return;
        }
        if let Err(why) = self.try_entry(entry, to, depth) {
            self.skipped.push(format!("{}: {}: {why}", entry.path.display(), S::REFUSED));
        }
    }

    fn try_entry(&mut self, entry: &EntryPath<'_>, to: &Dir, depth: usize) -> Result<(), String> {
        let in_words = |error: io::Error| reason(&error);
        if depth == 0 {
            return Err(format!("it is deeper than {DEPTH} directories"));
        }
        self.entries -= 1;
        if self.entries == 0 {
            return Err(format!("there are more than {ENTRIES} entries; those after it are missing, too"));
        }
        match self.source.open(entry, to)? {
            None => Ok(()),
            Some(Opened::Directory(dir)) => {
                let made = to.make(entry.name, Attributes { mode: 0o700, owner: self.owner }).map_err(in_words)?;
                for name in self.names(&dir, entry.path, &|_| true).map_err(in_words)? {
                    let path = entry.path.join(&name);
                    self.entry(&EntryPath { parent: &dir, name: &name, path: &path }, &made, depth - 1);
                }
                Ok(())
            }
            Some(Opened::File { file, stat }) => {
                self.take_bytes(stat.size)?;
                let attributes = self.attributes(stat.mode);
                let copied = to.copy_file(entry.name, &file, S::FILE_BYTES, stat.modified, attributes);
                copied.map(drop).map_err(in_words)
            }
            Some(Opened::Content { bytes, mode }) => {
                self.take_bytes(bytes.len() as u64)?;
                to.write_whole(entry.name, &bytes, self.attributes(mode)).map_err(in_words)
            }
        }
    }

    fn take_bytes(&mut self, size: u64) -> Result<(), String> {
        if size > S::FILE_BYTES {
            return Err(format!("it is larger than {} bytes", S::FILE_BYTES));
        }
        let left = self.bytes.checked_sub(size);
        self.bytes = left.ok_or_else(|| format!("all files together have more than {} bytes", S::BYTES))?;
        Ok(())
    }

    fn attributes(&self, mode: u32) -> Attributes {
        Attributes { mode: 0o600 | (mode & 0o100), owner: self.owner }
    }
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

/// Gives everything in the agent's place to the agent: an image builds it as root. A file with a second link is left
/// alone, because it may be another's; so is whatever cannot be opened without following a link.
/// Ceases where `is_stopped` says so.
pub fn take_over(dir: &Dir, owner: Option<(u32, u32)>, is_stopped: &dyn Fn() -> bool) {
    let mut left = ENTRIES;
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
    use super::*;

    #[test]
    fn the_first_ones_are_reported_one_by_one() {
        let mut skipped = Skipped::default();
        (0..REPORTED + 3).for_each(|number| skipped.push(number.to_string()));
        let lines = skipped.into_lines();
        assert_eq!((lines.len(), lines.last().unwrap().as_str()), (REPORTED + 1, "3 other entries were skipped, too"));
    }
}
