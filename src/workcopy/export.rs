//! Copies the settings of a working copy to a capture. The working copy is the agent's, and hostile.

use std::path::Path;

use zeroize::Zeroizing;

use crate::error::reason;
use crate::fs::tree::{self, EntryPath, Opened, Skipped};
use crate::fs::untrusted::{self, Owners};
use crate::sys::dir::Dir;
use crate::sys::stat::Kind;
use crate::workcopy::WorkingCopy;
use crate::workcopy::import::Selection;

/// What is written instead of a file's text; `None` for the text itself.
type Changed<'c> = dyn Fn(&Path, &[u8]) -> Result<Option<Vec<u8>>, String> + 'c;

struct Exported<'e> {
    owners: Owners,
    changed: &'e Changed<'e>,
}

/// Copies what is selected, in place of what is there. `changed` says what is written instead of a file's text, where that
/// differs, or why the file is not copied.
pub fn settings(
    copy: &WorkingCopy,
    to: &Dir,
    selection: &Selection<'_>,
    owner: Option<(u32, u32)>,
    changed: &Changed<'_>,
) -> Skipped {
    let exported = Exported { owners: copy.owners(), changed };
    tree::copy(&exported, &copy.dir, to, owner, &|name| selection.takes_os(name), &|| false)
}

impl tree::Source for Exported<'_> {
    /// An agent shall not fill the disk of the capture.
    const BYTES: usize = 256 * 1024 * 1024;
    const REFUSED: &'static str = "not captured";

    /// No link is followed, and no file with a second link is read.
    fn open(&self, entry: &EntryPath<'_>, _: &Dir) -> Result<Option<Opened>, String> {
        let stat = entry.parent.stat_entry(entry.name).map_err(|error| reason(&error))?;
        match stat.kind {
            Kind::Directory => {
                Ok(Some(Opened::Directory(entry.parent.sub(entry.name).map_err(|error| reason(&error))?)))
            }
            Kind::File => {
                let content =
                    untrusted::entry(entry.parent, entry.name, &self.owners).map_err(|why| why.to_string())?;
                let changed = (self.changed)(entry.path, &content.bytes)?;
                let bytes = changed.map_or(content.bytes, Zeroizing::new);
                Ok(Some(Opened::File { bytes, mode: content.stat.mode }))
            }
            Kind::Link => Err("it is a symbolic link".to_owned()),
            Kind::Special => Err("it is not a regular file".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use std::path::PathBuf;

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
