//! Carries the settings of a working copy to a capture. The working copy is the agent's, and hostile ground.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::reason;
use crate::fs::untrusted;
use crate::fs::untrusted::Owners;
use crate::sys::dir::{Attributes, Dir};
use crate::sys::stat::Kind;
use crate::workcopy::WorkingCopy;
use crate::workcopy::tree::{Selection, Skipped};

/// How deep a tree is followed.
const DEPTH: usize = 24;
/// How many entries are carried.
const ENTRIES: usize = 20_000;
/// How many bytes are carried: an agent shall not fill the disk of the capture.
const BYTES: usize = 256 * 1024 * 1024;

/// Carries what is selected, each file whole, 0600 (0700 if its owner may execute it), in place of what is there. `changed`
/// says what is carried instead of a file's text, where that differs, or why it is not. Returns what was passed over, and why.
pub fn settings(
    copy: &WorkingCopy,
    to: &Dir,
    selection: &Selection<'_>,
    owner: Option<(u32, u32)>,
    changed: &dyn Fn(&Path, &[u8]) -> Result<Option<Vec<u8>>, String>,
) -> Skipped {
    let owners = copy.owners();
    let mut harvest = Harvest { owners, owner, changed, entries: ENTRIES, bytes: BYTES, skipped: Skipped::default() };
    let is_taken = |name: &OsStr| name.to_str().is_some_and(|name| selection.takes(name));
    match copy.dir.names_up_to(ENTRIES, &is_taken) {
        Ok(found) => {
            for name in found.names {
                harvest.entry(&copy.dir, to, &name, Path::new(&name), DEPTH);
            }
        }
        Err(error) => harvest.skipped.push(format!("no settings are captured: {}", reason(&error))),
    }
    harvest.skipped
}

struct Harvest<'h> {
    owners: Owners,
    changed: &'h dyn Fn(&Path, &[u8]) -> Result<Option<Vec<u8>>, String>,
    owner: Option<(u32, u32)>,
    entries: usize,
    bytes: usize,
    skipped: Skipped,
}

impl Harvest<'_> {
    fn entry(&mut self, from: &Dir, to: &Dir, name: &OsStr, path: &Path, depth: usize) {
        // The one entry that was too many has been told.
        if self.entries == 0 {
            return;
        }
        if let Err(why) = self.try_entry(from, to, name, path, depth) {
            self.skipped.push(format!("{}: not captured: {why}", path.display()));
        }
    }

    fn try_entry(&mut self, from: &Dir, to: &Dir, name: &OsStr, path: &Path, depth: usize) -> Result<(), String> {
        let said = |error: io::Error| reason(&error);
        let depth = depth.checked_sub(1).ok_or_else(|| format!("deeper than {DEPTH} directories"))?;
        self.entries -= 1;
        if self.entries == 0 {
            return Err(format!("nor what comes after it: more than {ENTRIES} files"));
        }
        let stat = from.stat_entry(name).map_err(said)?;
        match stat.kind {
            Kind::Directory => {
                let below = from.sub(name).map_err(said)?;
                let made = to.make(name, Attributes { mode: 0o700, owner: self.owner }).map_err(said)?;
                for child in below.names_up_to(ENTRIES, &|_| true).map_err(said)?.names {
                    let path: PathBuf = path.join(&child);
                    self.entry(&below, &made, &child, &path, depth);
                }
                Ok(())
            }
            Kind::File => {
                let content = untrusted::entry(from, name, &self.owners).map_err(|why| why.to_string())?;
                let left = self.bytes.checked_sub(content.bytes.len());
                self.bytes = left.ok_or_else(|| format!("more than {BYTES} bytes in all"))?;
                let mode = 0o600 | (content.stat.mode & 0o100);
                let changed = (self.changed)(path, &content.bytes)?;
                let bytes = changed.as_deref().unwrap_or(&content.bytes);
                to.write_whole(name, bytes, Attributes { mode, owner: self.owner }).map_err(said)
            }
            Kind::Link => Err("it is a symbolic link".to_owned()),
            Kind::Special => Err("it is not a regular file".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::agent::definition::Settings;
    use crate::config::Scope;

    #[test]
    fn what_an_agent_may_plant_stays_where_it_is() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| from.path().join(name);
        std::fs::create_dir_all(at("skills/deep")).unwrap();
        std::fs::write(at("settings"), "new").unwrap();
        std::fs::write(at("skills/deep/run"), "#!").unwrap();
        std::fs::set_permissions(at("skills/deep/run"), PermissionsExt::from_mode(0o6755)).unwrap();
        std::fs::write(at("login"), "FAKE").unwrap();
        std::fs::write(at("cache"), "x").unwrap();
        symlink("/etc/passwd", at("skills/out")).unwrap();
        symlink("/etc", at("link")).unwrap();
        std::fs::hard_link(at("login"), at("hard")).unwrap();
        std::fs::write(at("huge"), vec![b' '; 1024 * 1024 + 1]).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        std::fs::write(to.path().join("settings"), "old").unwrap();
        // A directory where the agent has a file, a link where it has a directory: neither is followed or replaced.
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), to.path().join("themes")).unwrap();
        std::fs::create_dir(at("themes")).unwrap();
        std::fs::write(at("themes/x"), "x").unwrap();

        let settings: Settings = serde_json::from_str(
            r#"{ "take": ["settings", "skills", "link", "hard", "huge", "fifo", "themes", "login"] }"#,
        )
        .unwrap();
        let copy = WorkingCopy {
            path: from.path().to_owned(),
            dir: Dir::open(from.path()).unwrap(),
            trusted: PathBuf::new(),
            owner: None,
        };
        let selection = Selection { settings: &settings, scope: Scope::Settings, login: Some("login") };
        let target = Dir::open(to.path()).unwrap();
        let mut skipped = super::settings(&copy, &target, &selection, None, &|_, _| Ok(None)).into_lines();
        skipped.sort();

        let there = |name: &str| to.path().join(name);
        assert_eq!(std::fs::read_to_string(there("settings")).unwrap(), "new");
        assert_eq!(there("skills/deep/run").metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(there("settings").metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        for name in ["login", "cache", "link", "hard", "huge", "fifo", "skills/out"] {
            assert!(!there(name).exists(), "{name}");
        }
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        let expected = ["fifo: ", "hard: ", "huge: ", "link: ", "skills/out: ", "themes: "];
        assert_eq!(skipped.len(), expected.len(), "{skipped:?}");
        assert!(skipped.iter().zip(expected).all(|(line, name)| line.starts_with(name)), "{skipped:?}");
    }
}
