//! Copies settings from a captured directory to a working copy.

use std::ffi::OsStr;
use std::io;

use crate::agent::definition::{Settings, matches};
use crate::config::Scope;
use crate::error::reason;
use crate::fs::tree::{self, EntryPath, Opened, Skipped};
use crate::store::directory::BOOKKEEPING;
use crate::sys::dir::{Dir, stat_file};
use crate::sys::errno;
use crate::sys::stat::{Kind, Stat};

/// In bytes; the size of larger pages is a multiple.
const PAGE: u64 = 4096;

/// Selects the entries that are copied.
pub struct SettingsFilter<'s> {
    pub settings: &'s Settings,
    pub scope: Scope,
    /// The login file, which is never copied with the settings.
    pub login: Option<&'s str>,
    /// The entries of the working copy that are links to a mount.
    pub linked: &'s [&'s OsStr],
}

impl SettingsFilter<'_> {
    pub(super) fn takes_os(&self, name: &OsStr) -> bool {
        !self.linked.contains(&name) && name.to_str().is_some_and(|name| self.takes(name))
    }

    /// Whether this entry of the config directory is copied.
    pub fn takes(&self, name: &str) -> bool {
        let listed = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        // Volumes of Kubernetes hold their files in `..data`, with links to them next to it.
        let is_internal = name == BOOKKEEPING || name.starts_with("..") || Some(name) == self.login;
        !is_internal && !listed(&self.settings.leave) && (self.scope == Scope::All || listed(&self.settings.take))
    }
}

/// A captured directory. It belongs to the operator, so links are followed as long as they stay in it.
struct Captured<'c> {
    root: &'c Dir,
    root_uid: Option<u32>,
}

/// Copies the selected entries. Existing files stay: the image or the agent of an earlier run made them. Stops between
/// two files if `is_stopped` returns true.
pub fn copy_settings(
    from: &Dir,
    to: &Dir,
    filter: &SettingsFilter<'_>,
    owner: Option<(u32, u32)>,
    is_stopped: &dyn Fn() -> bool,
) -> Skipped {
    copy_entries(from, to, &|name| filter.takes_os(name), owner, is_stopped)
}

/// Copies the entries that `is_taken` names. Existing files stay.
pub(super) fn copy_entries(
    from: &Dir,
    to: &Dir,
    is_taken: &dyn Fn(&OsStr) -> bool,
    owner: Option<(u32, u32)>,
    is_stopped: &dyn Fn() -> bool,
) -> Skipped {
    let captured = Captured { root: from, root_uid: from.stat().map(|stat| stat.uid).ok() };
    tree::copy(&captured, from, to, owner, is_taken, is_stopped)
}

impl tree::Source for Captured<'_> {
    /// A limit, because a sparse file costs nothing to make and the working copy may be in memory.
    const BYTES: u64 = 1024 * 1024 * 1024;
    const FILE_BYTES: u64 = 64 * 1024 * 1024;
    const REFUSED: &'static str = "not copied";

    /// Opens an entry. A link beneath the root becomes a copy of the file or directory that it leads to.
    fn open(&self, entry: &EntryPath<'_>, to: &Dir) -> Result<Option<Opened>, String> {
        let in_words = |error: io::Error| reason(&error);
        let file = match self.root.file_beneath(entry.path) {
            Ok(file) => file,
            // Dangling links are common (a cache that was not captured) and need no warning.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if errno::is_refused_link(&error) => {
                return Err("the link leads out of the directory".to_owned());
            }
            Err(error) => return Err(in_words(error)),
        };
        let stat = stat_file(&file).map_err(in_words)?;
        match stat.kind {
            Kind::Directory => Ok(Some(Opened::Directory(self.root.sub_beneath(entry.path).map_err(in_words)?))),
            Kind::File if !is_wanted(to, entry.name, &stat) => Ok(None),
            // Somebody who can write here could make a hard link to another user's file, for root to copy.
            Kind::File if stat.links > 1 && Some(stat.uid) != self.root_uid => {
                Err(format!("it belongs to uid {}, and has more than one hard link", stat.uid))
            }
            Kind::File => Ok(Some(Opened::File { file, stat })),
            Kind::Link | Kind::Special => Err("it is not a regular file".to_owned()),
        }
    }
}

/// Whether a file is to be copied: there is none of its name, or one with the time of the source that ends at a page
/// before the source does. That one is a copy of ours that a crash of the machine cut short: file systems write whole
/// pages, mostly none. The time alone says little: the files of a reproducible image all have one.
fn is_wanted(to: &Dir, name: &OsStr, source: &Stat) -> bool {
    match to.stat_entry(name) {
        Ok(there) => {
            let is_cut = there.size < source.size && there.size % PAGE == 0;
            there.kind == Kind::File && there.modified == source.modified && is_cut
        }
        // Any other error means that the file may exist, and then it stays.
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::sys::dir::Attributes;

    fn settings() -> Settings {
        serde_json::from_str(r#"{ "take": ["keep", "k8s", "tools", "out", "zigzag", "fifo"], "leave": ["*.lock"] }"#)
            .unwrap()
    }

    #[test]
    fn scope_and_lists_select_entries() {
        let settings = settings();
        let takes = |scope, name: &str| {
            SettingsFilter { settings: &settings, scope, login: Some("login"), linked: &[] }.takes(name)
        };
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

    struct Row<'r> {
        content: &'r str,
        is_our_time: bool,
        is_copied: bool,
    }

    /// What a crash of the machine leaves: the name and the times of a copy, and less of its content, or none.
    #[test]
    fn a_copy_that_a_crash_cut_short_is_made_again() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (source, target) = (Dir::open(from.path()).unwrap(), Dir::open(to.path()).unwrap());
        let copy = || super::copy_entries(&source, &target, &|_| true, None, &|| false).into_lines();
        let set = |content: &str, is_our_time: bool| {
            std::fs::write(to.path().join("keep"), content).unwrap();
            let file = std::fs::File::options().write(true).open(to.path().join("keep")).unwrap();
            let time = std::fs::metadata(from.path().join("keep")).unwrap().modified().unwrap();
            file.set_modified(if is_our_time { time } else { std::time::SystemTime::UNIX_EPOCH }).unwrap();
        };
        let page = "p".repeat(usize::try_from(PAGE).unwrap());
        let whole = format!("{page}, and the rest");
        std::fs::write(from.path().join("keep"), &whole).unwrap();
        let longer = format!("{page}{page}");
        let rows = [
            Row { content: "", is_our_time: true, is_copied: true },
            Row { content: &page, is_our_time: true, is_copied: true },
            Row { content: "", is_our_time: false, is_copied: false },
            Row { content: &page, is_our_time: false, is_copied: false },
            Row { content: "of the image", is_our_time: true, is_copied: false },
            Row { content: &longer, is_our_time: true, is_copied: false },
        ];
        for Row { content, is_our_time, is_copied } in rows {
            set(content, is_our_time);
            assert_eq!(copy(), [""; 0]);
            let read = std::fs::read_to_string(to.path().join("keep")).unwrap();
            assert_eq!(read, if is_copied { &whole } else { content }, "{} {is_our_time}", content.len());
        }
        assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_too_large_is_not_copied() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let large = std::fs::File::create(from.path().join("large")).unwrap();
        large.set_len(<Captured<'_> as tree::Source>::FILE_BYTES + 1).unwrap();
        let (source, target) = (Dir::open(from.path()).unwrap(), Dir::open(to.path()).unwrap());
        let skipped = super::copy_entries(&source, &target, &|_| true, None, &|| false).into_lines();
        assert!(matches!(skipped.as_slice(), [line] if line.contains("it is larger than")), "{skipped:?}");
        // One that grows while it is copied.
        let growing = target.copy_file(OsStr::new("x"), &large, 10, (0, 0), Attributes { mode: 0o600, owner: None });
        assert!(growing.is_err());
        assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 0);
    }

    #[test]
    fn links_out_and_special_files_are_not_copied() {
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
        let skipped = super::copy_settings(
            &source,
            &target,
            &SettingsFilter { settings: &settings(), scope: Scope::Settings, login: None, linked: &[] },
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
