//! Copies the settings out of a captured directory into a working copy.

use std::ffi::OsStr;
use std::io;

use crate::agent::definition::{Settings, matches};
use crate::config::Scope;
use crate::error::reason;
use crate::fs::tree::{self, EntryPath, Opened, Skipped};
use crate::store::directory::BOOKKEEPING;
use crate::sys::dir::{Dir, read_limited, stat_file};
use crate::sys::errno;
use crate::sys::stat::Kind;

/// The largest file, in bytes.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;

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
    pub(super) fn takes_os(&self, name: &OsStr) -> bool {
        name.to_str().is_some_and(|name| self.takes(name))
    }

    /// Whether this entry of the agent's home is copied.
    pub fn takes(&self, name: &str) -> bool {
        let listed = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        // Kubernetes' volumes hold their files in `..data`, and links to them beside it.
        let is_ours = name == BOOKKEEPING || name.starts_with("..") || Some(name) == self.login;
        !is_ours && !listed(&self.settings.leave) && (self.scope == Scope::All || listed(&self.settings.take))
    }
}

/// A captured directory: the operator's, with links that stay in it.
struct Captured<'c> {
    root: &'c Dir,
    /// The owner of the root.
    whose: Option<u32>,
}

/// Copies what is selected. What is there already stays: it is the image's, or the agent's own from an earlier run. Stops
/// between two files where `is_stopped` says so.
pub fn settings(
    from: &Dir,
    to: &Dir,
    selection: &Selection<'_>,
    owner: Option<(u32, u32)>,
    is_stopped: &dyn Fn() -> bool,
) -> Skipped {
    let captured = Captured { root: from, whose: from.stat().map(|stat| stat.uid).ok() };
    tree::copy(&captured, from, to, owner, &|name| selection.takes_os(name), is_stopped)
}

impl tree::Source for Captured<'_> {
    /// A sparse file costs whoever made it nothing, and the working copy may be in memory.
    const BYTES: usize = 1024 * 1024 * 1024;
    const REFUSED: &'static str = "not copied";

    /// A link is what it leads to, as long as that is beneath the root: a file or a directory of its own, never a link.
    fn open(&self, entry: &EntryPath<'_>, to: &Dir) -> Result<Option<Opened>, String> {
        let in_words = |error: io::Error| reason(&error);
        let file = match self.root.file_beneath(entry.path) {
            Ok(file) => file,
            // A link to nowhere is common (a cache that was not captured) and no news.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if errno::is_refused_link(&error) => {
                return Err("the link leads out of the directory".to_owned());
            }
            Err(error) => return Err(in_words(error)),
        };
        let stat = stat_file(&file).map_err(in_words)?;
        match stat.kind {
            Kind::Directory => Ok(Some(Opened::Directory(self.root.sub_beneath(entry.path).map_err(in_words)?))),
            // What cannot be looked at is there, for all we know.
            Kind::File if !to.stat_entry(entry.name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) => {
                Ok(None)
            }
            // Whoever may write here could link to another user's file, for root to copy it.
            Kind::File if stat.links > 1 && Some(stat.uid) != self.whose => {
                Err(format!("it belongs to uid {}, and has more than one hard link", stat.uid))
            }
            Kind::File => {
                let bytes = read_limited(&file, FILE_LIMIT).map_err(in_words)?;
                let bytes = bytes.ok_or_else(|| format!("it is larger than {FILE_LIMIT} bytes"))?;
                Ok(Some(Opened::File { bytes, mode: stat.mode }))
            }
            Kind::Link | Kind::Special => Err("it is not a regular file".to_owned()),
        }
    }
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
        let skipped = super::settings(
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
