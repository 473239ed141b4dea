//! Pure. Where the agent's HOME, its config directory and its working copy are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::account::{FALLBACK_HOME, Identity};
use crate::agent::definition::Home;
use crate::facts::placement::Obstacle;
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

/// Whether the permission bits let a user create files in this directory.
pub fn may_use(stat: &Stat, identity: &Identity) -> bool {
    let groups = identity.groups.as_deref().unwrap_or_default();
    let bits = if identity.uid == 0 {
        0o7
    } else if stat.uid == identity.uid {
        stat.mode >> 6
    } else if stat.gid == identity.gid || groups.contains(&stat.gid) {
        stat.mode >> 3
    } else {
        stat.mode
    };
    stat.kind == Kind::Directory && bits & 0o3 == 0o3
}

/// The agent's config directory.
#[derive(Debug, Clone, Default)]
pub struct ConfigDirFacts {
    /// `~/.x`, or what the home variable names.
    pub path: PathBuf,
    /// It is a mount point.
    pub mounted: bool,
    /// That mount, or the mount of the login file in it, is writable.
    pub mount_writable: bool,
    /// A mount point below it, the login file first.
    pub mounted_below: Option<PathBuf>,
    /// `None` if it does not exist. Symbolic links are not followed.
    pub kind: Option<Kind>,
    /// It belongs to a user who is neither the agent nor root nor this process, so it must not be taken over.
    pub foreign: bool,
    /// The directory is writable or, if it does not exist, the one in which it would be made.
    pub writable: bool,
    /// Its variable names it; otherwise it is the default.
    pub is_named: bool,
    /// It is not the agent's alone (see `placement::is_for_others`).
    pub holds_other_files: bool,
    pub is_in_working_directory: bool,
    /// It is the agent's capture, too.
    pub is_capture: bool,
    /// The entries that are mounts, or hold one.
    pub mounted_entries: Vec<OsString>,
    /// Why the working copy cannot be here.
    pub obstacle: Option<Obstacle>,
}

impl ConfigDirFacts {
    /// These facts, with the obstacle that they come to.
    pub fn judged(self) -> ConfigDirFacts {
        ConfigDirFacts { obstacle: self.find_obstacle(), ..self }
    }

    fn find_obstacle(&self) -> Option<Obstacle> {
        match self.kind {
            _ if self.mounted => Some(Obstacle::MountPoint),
            _ if self.mounted_below.is_some() => Some(Obstacle::HoldsMount),
            Some(Kind::Link) => Some(Obstacle::Link),
            Some(Kind::File | Kind::Special) => Some(Obstacle::NotADirectory),
            _ if self.foreign => Some(Obstacle::OfAnotherUser),
            _ if self.is_capture => Some(Obstacle::IsCapture),
            _ if self.holds_other_files => Some(Obstacle::HoldsOtherFiles),
            _ if self.is_in_working_directory => Some(Obstacle::InWorkingDirectory),
            _ if !self.writable => Some(Obstacle::NotWritable),
            None | Some(Kind::Directory) => None,
        }
    }

    /// Whether the working copy can be here.
    pub fn is_usable(&self) -> bool {
        self.obstacle.is_none()
    }
}

/// The path of the config directory: the one that its variable names, else the default below the directory of the
/// parent's variable or below HOME. `value_of` returns the path that an environment variable holds.
pub fn locate<'p>(home: &Home, value_of: impl Fn(&str) -> Option<&'p Path>, agent_home: &Path) -> PathBuf {
    let below = |variable: &str, suffix: &str| {
        let path = value_of(variable).filter(|path| path.is_absolute())?;
        Some(if suffix.is_empty() { path.to_owned() } else { path.join(suffix) })
    };
    below(&home.variable, &home.suffix)
        .or_else(|| home.parent.as_ref().and_then(|parent| below(&parent.variable, &parent.suffix)))
        .unwrap_or_else(|| under_home(&home.default, agent_home))
}

/// Expands `~/` in a path of a definition.
pub fn under_home(path: &str, agent_home: &Path) -> PathBuf {
    path.strip_prefix("~/").map_or_else(|| PathBuf::from(path), |rest| agent_home.join(rest))
}

/// The path of the working copy: the config directory if that is usable.
pub fn working_copy(
    agent: &str,
    home: &Home,
    facts: &ConfigDirFacts,
    work_dir: Option<&Path>,
    state_dir: &Path,
) -> PathBuf {
    let parent = match work_dir {
        Some(work_dir) => work_dir.join(agent),
        None if facts.is_usable() => return facts.path.clone(),
        None => state_dir.join("work").join(agent),
    };
    if home.suffix.is_empty() { parent } else { parent.join(&home.suffix) }
}

/// Where a file that accompanies a method is copied for the agent's user.
pub fn copied_file(state_dir: &Path, agent: &str, variable: &str) -> PathBuf {
    state_dir.join("work").join(format!("{agent}.files")).join(variable.to_ascii_lowercase())
}

/// The directory whose settings are copied to the working copy, and what kind of source it is: the operator's mount,
/// else the capture, else the config directory if that cannot be the working copy.
pub fn settings_source<'p>(
    config_dir: &'p ConfigDirFacts,
    working_copy: &Path,
    capture: Option<&'p Path>,
) -> Option<(&'p Path, fn(PathBuf) -> Source)> {
    let is_elsewhere = config_dir.path != working_copy && config_dir.kind.is_some();
    match capture {
        _ if config_dir.mounted => Some((&config_dir.path, Source::Mount)),
        Some(capture) => Some((capture, Source::Capture)),
        None if is_elsewhere => Some((&config_dir.path, Source::Home)),
        None => None,
    }
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
        let stat = Stat { kind: Kind::Directory, mode, uid, gid: uid, links: 2, size: 0, id: (0, 0), changed: (0, 0) };
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
    fn the_working_copy_is_in_a_usable_config_directory_or_elsewhere() {
        let home: Home = serde_json::from_str(r#"{ "variable": "X_HOME", "default": "~/.x" }"#).unwrap();
        let free = ConfigDirFacts { path: "/h/.x".into(), writable: true, ..ConfigDirFacts::default() };
        let path = |facts: &ConfigDirFacts, work_dir: Option<&str>| {
            working_copy("x", &home, facts, work_dir.map(Path::new), Path::new("/s"))
        };
        assert_eq!(path(&free, None), Path::new("/h/.x"));
        assert_eq!(path(&free, Some("/w")), Path::new("/w/x"));
        let obstructed = ConfigDirFacts { obstacle: Some(Obstacle::Link), ..free };
        assert_eq!(path(&obstructed, None), Path::new("/s/work/x"));
    }

    fn config_dir() -> ConfigDirFacts {
        ConfigDirFacts {
            path: "/h/.x".into(),
            kind: Some(Kind::Directory),
            writable: true,
            ..ConfigDirFacts::default()
        }
    }

    #[test]
    fn each_obstacle_is_found_and_the_first_one_named() {
        struct Row {
            what: &'static str,
            facts: ConfigDirFacts,
            expected: Option<Obstacle>,
        }
        let rows = [
            Row { what: "a directory", facts: config_dir(), expected: None },
            Row { what: "missing", facts: ConfigDirFacts { kind: None, ..config_dir() }, expected: None },
            Row {
                what: "a mount at it",
                facts: ConfigDirFacts { mounted: true, foreign: true, ..config_dir() },
                expected: Some(Obstacle::MountPoint),
            },
            Row {
                what: "a mount below it",
                facts: ConfigDirFacts { mounted_below: Some("/h/.x/login".into()), ..config_dir() },
                expected: Some(Obstacle::HoldsMount),
            },
            Row {
                what: "a link",
                facts: ConfigDirFacts { kind: Some(Kind::Link), ..config_dir() },
                expected: Some(Obstacle::Link),
            },
            Row {
                what: "a file",
                facts: ConfigDirFacts { kind: Some(Kind::File), ..config_dir() },
                expected: Some(Obstacle::NotADirectory),
            },
            Row {
                what: "another user's",
                facts: ConfigDirFacts { foreign: true, ..config_dir() },
                expected: Some(Obstacle::OfAnotherUser),
            },
            Row {
                what: "not the agent's alone",
                facts: ConfigDirFacts { holds_other_files: true, ..config_dir() },
                expected: Some(Obstacle::HoldsOtherFiles),
            },
            Row {
                what: "in the working directory",
                facts: ConfigDirFacts { is_in_working_directory: true, ..config_dir() },
                expected: Some(Obstacle::InWorkingDirectory),
            },
            Row {
                what: "the capture",
                facts: ConfigDirFacts { is_capture: true, is_in_working_directory: true, ..config_dir() },
                expected: Some(Obstacle::IsCapture),
            },
            Row {
                what: "not writable",
                facts: ConfigDirFacts { writable: false, ..config_dir() },
                expected: Some(Obstacle::NotWritable),
            },
        ];
        for Row { what, facts, expected } in rows {
            assert_eq!(facts.judged().obstacle, expected, "{what}");
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
        let path = working_copy("x", &home, &ConfigDirFacts::default().judged(), None, Path::new("/s"));
        assert_eq!(path, Path::new("/s/work/x/x"));
        assert_eq!(variable_value(&home, &path), Path::new("/s/work/x"));
    }
}
