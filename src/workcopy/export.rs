//! Copies settings from a working copy to a capture. The working copy belongs to the agent and may be hostile.

use std::path::Path;

use zeroize::Zeroizing;

use crate::error::reason;
use crate::fs::tree::{self, EntryPath, Opened, Skipped};
use crate::fs::untrusted::{self, Owners};
use crate::sys::dir::Dir;
use crate::sys::stat::Kind;
use crate::workcopy::WorkingCopy;
use crate::workcopy::import::SettingsFilter;

/// Returns the text to write instead of a file's own, `None` to copy it unchanged, or why the file must not be copied.
type Transform<'c> = dyn Fn(&Path, &[u8]) -> Result<Option<Vec<u8>>, String> + 'c;

struct Exported<'e> {
    owners: Owners,
    transform: &'e Transform<'e>,
}

/// Copies the selected entries and replaces existing ones.
pub fn copy_settings(
    copy: &WorkingCopy,
    to: &Dir,
    filter: &SettingsFilter<'_>,
    owner: Option<(u32, u32)>,
    transform: &Transform<'_>,
) -> Skipped {
    let exported = Exported { owners: copy.owners(), transform };
    tree::copy(&exported, &copy.dir, to, owner, &|name| filter.takes_os(name), &|| false)
}

impl tree::Source for Exported<'_> {
    /// A limit, so that an agent cannot fill the disk of the capture.
    const BYTES: u64 = 256 * 1024 * 1024;
    const FILE_BYTES: u64 = untrusted::LIMIT;
    const REFUSED: &'static str = "not captured";

    /// Follows no link and reads no file that has a second hard link.
    fn open(&self, entry: &EntryPath<'_>, _: &Dir) -> Result<Option<Opened>, String> {
        let stat = entry.parent.stat_entry(entry.name).map_err(|error| reason(&error))?;
        match stat.kind {
            Kind::Directory => {
                Ok(Some(Opened::Directory(entry.parent.sub(entry.name).map_err(|error| reason(&error))?)))
            }
            Kind::File => {
                let content =
                    untrusted::entry(entry.parent, entry.name, &self.owners).map_err(|why| why.to_string())?;
                let changed = (self.transform)(entry.path, &content.bytes)?;
                let bytes = changed.map_or(content.bytes, Zeroizing::new);
                Ok(Some(Opened::Content { bytes, mode: content.stat.mode }))
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
    fn links_and_special_files_are_not_exported() {
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
        // The capture has a link where the agent has a directory. It is neither followed nor replaced.
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
        let filter = SettingsFilter { settings: &settings, scope: Scope::Settings, login: Some("login"), linked: &[] };
        let target = Dir::open(to.path()).unwrap();
        let mut skipped = super::copy_settings(&copy, &target, &filter, None, &|_, _| Ok(None)).into_lines();
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
