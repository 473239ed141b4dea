//! Pure. Where the agent's HOME, its config directory and its working copy are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::account::{FALLBACK_HOME, Identity};
use crate::agent::definition::Home;
use crate::facts::placement;
use crate::facts::placement::{Obstacle, Occupant, Role, Site};
use crate::login::Source;
use crate::sys::stat::{Kind, Stat};

/// The directory that `$HOME` names.
#[derive(Debug, Clone)]
pub struct ExistingHome {
    pub path: PathBuf,
    /// `None` if it does not exist.
    pub stat: Option<Stat>,
}

/// HOME of the agent, and why.
///
/// A user who stays the same keeps `$HOME`, as under any init. A user who is switched to gets the home of the passwd
/// entry, as with gosu. `/` does not count: docker sets it for a uid without a passwd entry.
pub fn agent_home(
    option: Option<&Path>,
    identity: &Identity,
    changed: bool,
    variable: Option<&ExistingHome>,
) -> (PathBuf, &'static str) {
    if let Some(option) = option {
        return (option.to_owned(), "--home names it");
    }
    let variable =
        variable.filter(|home| home.path.is_absolute() && (identity.uid == 0 || home.path != Path::new("/")));
    match (variable, &identity.home) {
        (Some(home), _) if !changed => (home.path.clone(), "$HOME, and the user stays the same"),
        (_, Some(entry)) => (entry.clone(), "the user's entry in /etc/passwd"),
        (Some(home), None) if home.stat.is_some_and(|stat| may_use(&stat, identity)) => {
            (home.path.clone(), "$HOME: the user has no entry in /etc/passwd, and may write there")
        }
        _ => (PathBuf::from(FALLBACK_HOME), "the user has no entry in /etc/passwd, and no $HOME it may write to"),
    }
}

/// Whether the permission bits let a user write to this file, or create files in this directory.
pub fn may_use(stat: &Stat, identity: &Identity) -> bool {
    let bits = bits_for(stat, identity);
    match stat.kind {
        Kind::Directory => bits & 0o3 == 0o3,
        Kind::File => bits & 0o2 != 0,
        Kind::Link | Kind::Special => false,
    }
}

/// Whether the permission bits let a user pass through this directory.
pub fn may_pass(stat: &Stat, identity: &Identity) -> bool {
    stat.kind == Kind::Directory && bits_for(stat, identity) & 0o1 != 0
}

/// The permission bits that count for a user.
fn bits_for(stat: &Stat, identity: &Identity) -> u32 {
    let groups = identity.groups.as_deref().unwrap_or_default();
    if identity.uid == 0 {
        0o7
    } else if stat.uid == identity.uid {
        stat.mode >> 6
    } else if stat.gid == identity.gid || groups.contains(&stat.gid) {
        stat.mode >> 3
    } else {
        stat.mode
    }
}

/// The agent's config directory.
#[derive(Debug, Clone)]
pub struct ConfigDirFacts {
    /// `~/.x`, or what the home variable names.
    pub path: PathBuf,
    /// What the place of the working copy depends on.
    pub site: Site,
    pub mounts: ConfigMounts,
}

/// The mounts at the config directory and in it.
#[derive(Debug, Clone, Default)]
pub struct ConfigMounts {
    /// The directory is a mount point.
    pub directory: Option<MountAccess>,
    /// The login file in it is one.
    pub login_file: Option<MountAccess>,
    /// The other entries that are mounts or hold one, and those in which the agent keeps state.
    pub entries: Vec<EntryFacts>,
}

/// What becomes of a file that is written to a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountAccess {
    /// It stays, and outlives the container.
    Kept,
    /// The same, in an empty directory that is given to the agent: docker makes a new volume root's.
    New,
    /// It is in memory (a tmpfs).
    InMemory,
    /// This process may not write there.
    ReadOnly,
}

/// An entry of the config directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFacts {
    pub name: OsString,
    pub origin: EntryOrigin,
    /// `None` if it does not exist. A symbolic link is not followed.
    pub kind: Option<Kind>,
    pub access: EntryAccess,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryOrigin {
    /// It is a mount point, or holds one.
    Mount,
    /// The definition calls it state, and the config directory is a mount.
    State,
}

/// Whether the agent can keep something in an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryAccess {
    Usable,
    /// It is an empty directory of this process's user, and is given to the agent.
    New,
    ReadOnly,
    /// Owner, group or mode keep the agent out of this directory: the entry, or one on the way to it.
    Closed(PathBuf),
    InMemory,
}

impl MountAccess {
    /// Whether what is written there outlives the container.
    pub fn is_kept(self) -> bool {
        matches!(self, MountAccess::Kept | MountAccess::New)
    }
}

impl ConfigDirFacts {
    /// Whether the working copy can be here.
    pub fn is_usable(&self) -> bool {
        self.site.obstacle().is_none()
    }

    /// Whether a directory is at the path.
    pub fn exists(&self) -> bool {
        self.site.occupant != Occupant::Missing
    }

    /// Whether the entry is mounted, or holds a mount.
    pub fn is_mounted_entry(&self, name: &str) -> bool {
        self.mounts.entries.iter().any(|entry| entry.origin == EntryOrigin::Mount && entry.name == name)
    }
}

/// The path of the config directory: the one that its variable names, else the default below the directory of the
/// parent's variable or below HOME. `value_of` returns the path that an environment variable holds.
pub fn locate<'p>(home: &Home, value_of: impl Fn(&str) -> Option<&'p Path>, agent_home: &Path) -> PathBuf {
    let below = |variable: &str, suffix: &str| {
        let path = value_of(variable).filter(|path| path.is_absolute())?;
        Some(if suffix.is_empty() { path.to_owned() } else { path.join(suffix) })
    };
    let named = below(&home.variable, &home.suffix)
        .or_else(|| home.parent.as_ref().and_then(|parent| below(&parent.variable, &parent.suffix)));
    // The agent gets the path without `..`, too.
    named.map_or_else(|| under_home(&home.default, agent_home), |named| placement::normal(&named))
}

/// Expands `~/` in a path of a definition.
pub fn under_home(path: &str, agent_home: &Path) -> PathBuf {
    path.strip_prefix("~/").map_or_else(|| PathBuf::from(path), |rest| agent_home.join(rest))
}

/// Where a file that accompanies a method is copied for the agent's user.
pub fn copied_file(state_dir: &Path, agent: &str, variable: &str) -> PathBuf {
    state_dir.join("work").join(format!("{agent}.files")).join(variable.to_ascii_lowercase())
}

/// A directory whose settings are copied to the working copy, and what kind of source it is.
pub struct SettingsSource<'p> {
    pub path: &'p Path,
    pub kind: fn(PathBuf) -> Source,
}

/// The directories whose settings are copied to the working copy; an entry of the first wins. As in a working copy that
/// is the config directory itself, what an image or the operator put there wins over what was captured.
pub fn settings_sources<'p>(
    config_dir: &'p ConfigDirFacts,
    working_copy: &Path,
    capture: Option<&'p Path>,
) -> Vec<SettingsSource<'p>> {
    let is_elsewhere = config_dir.path != working_copy && config_dir.exists();
    let counts = is_elsewhere && config_dir.site.obstacle().is_none_or(Obstacle::lets_settings_count);
    let is_capture = config_dir.site.role == Role::Capture && capture.is_some();
    let kind = if config_dir.mounts.directory.is_some() { Source::Mount } else { Source::Home };
    let in_config_dir = (counts && !is_capture).then_some(SettingsSource { path: &config_dir.path, kind });
    let captured = capture.map(|path| SettingsSource { path, kind: Source::Capture });
    in_config_dir.into_iter().chain(captured).collect()
}

/// The value that makes the agent's variable name this config directory: the path without the suffix.
pub fn variable_value(home: &Home, config_dir: &Path) -> PathBuf {
    let levels = Path::new(&home.suffix).components().count();
    config_dir.ancestors().nth(levels).unwrap_or(config_dir).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uid: u32, home: Option<&str>) -> Identity {
        Identity { uid, gid: uid, groups: None, home: home.map(PathBuf::from), name: None }
    }

    fn directory(path: &str, uid: u32, mode: u32) -> ExistingHome {
        let stat = Stat {
            kind: Kind::Directory,
            mode,
            uid,
            gid: uid,
            links: 2,
            size: 0,
            id: (0, 0),
            changed: (0, 0),
            modified: (0, 0),
        };
        ExistingHome { path: path.into(), stat: Some(stat) }
    }

    #[derive(Debug)]
    struct HomeRow<'r> {
        option: Option<&'r str>,
        identity: Identity,
        changed: bool,
        variable: Option<&'r ExistingHome>,
        expected: &'r str,
    }

    #[test]
    fn home_is_kept_or_taken_from_passwd() {
        let root = directory("/root", 0, 0o700);
        let slash = directory("/", 0, 0o755);
        let shared = directory("/data", 0, 0o777);
        let node = || identity(1000, Some("/home/node"));
        let nobody = || identity(12345, None);
        let row =
            |identity, changed, variable, expected| HomeRow { option: None, identity, changed, variable, expected };
        let rows = [
            HomeRow { option: Some("/x"), ..row(node(), true, Some(&root), "/x") },
            row(node(), true, Some(&root), "/home/node"),
            row(node(), false, Some(&shared), "/data"),
            row(node(), false, None, "/home/node"),
            row(nobody(), true, Some(&root), FALLBACK_HOME),
            row(nobody(), true, Some(&shared), "/data"),
            row(nobody(), false, Some(&slash), FALLBACK_HOME),
            row(nobody(), false, None, FALLBACK_HOME),
            row(identity(0, Some("/root")), false, Some(&slash), "/"),
        ];
        for row in rows {
            let (home, _) = agent_home(row.option.map(Path::new), &row.identity, row.changed, row.variable);
            assert_eq!(home, Path::new(row.expected), "{row:?}");
        }
    }

    #[test]
    fn the_variable_of_the_parent_moves_the_default() {
        let home = r#"{ "variable": "X", "default": "~/.config/x", "parent": { "variable": "XDG", "suffix": "x" } }"#;
        let home: Home = serde_json::from_str(home).unwrap();
        let rows = [
            (None, None, "/h/.config/x"),
            (None, Some("/d"), "/d/x"),
            (None, Some("relative"), "/h/.config/x"),
            (Some("/x"), Some("/d"), "/x"),
            (Some("relative"), Some("/d"), "/d/x"),
            (Some("/a/../x/."), None, "/x"),
        ];
        for (own_variable, parent, expected) in rows {
            let value_of = |name: &str| if name == "X" { own_variable } else { parent }.map(Path::new);
            assert_eq!(locate(&home, value_of, Path::new("/h")), Path::new(expected), "{own_variable:?} {parent:?}");
        }
    }

    #[test]
    fn a_suffix_is_added_to_the_variable() {
        let home: Home =
            serde_json::from_str(r#"{ "variable": "X_DATA", "suffix": "x", "default": "~/.local/x" }"#).unwrap();
        for (named, expected) in [(None, "/h/.local/x"), (Some("/d"), "/d/x"), (Some("relative"), "/h/.local/x")] {
            assert_eq!(locate(&home, |_| named.map(Path::new), Path::new("/h")), Path::new(expected), "{named:?}");
        }
        assert_eq!(variable_value(&home, Path::new("/s/work/x/x")), Path::new("/s/work/x"));
    }
}
