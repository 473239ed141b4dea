//! Pure. Where the agent's home directory, its working copy and our state are.

use std::path::{Path, PathBuf};

use crate::account::{FALLBACK_HOME, Identity};
use crate::agent::definition::Home;
use crate::login::Source;
use crate::sys::stat::{Kind, Stat};

/// What was seen of a directory that a variable names.
#[derive(Debug, Clone)]
pub struct ExistingHome {
    /// Its path.
    pub path: PathBuf,
    /// What it is, if it is there.
    pub stat: Option<Stat>,
}

/// HOME of the agent, and why.
///
/// A user who stays the same keeps `$HOME`, as under any init; one who is changed to gets the home of the passwd entry,
/// as with gosu. `/` is what docker sets for a uid without an entry: it is no home.
pub fn home(
    option: Option<&Path>,
    identity: &Identity,
    changed: bool,
    variable: Option<&ExistingHome>,
) -> (PathBuf, &'static str) {
    if let Some(option) = option {
        return (option.to_owned(), "--home names it");
    }
    let variable =
        variable.filter(|seen| seen.path.is_absolute() && (identity.uid == 0 || seen.path != Path::new("/")));
    let kept = variable.filter(|_| !changed).map(|seen| (seen.path.clone(), "$HOME, and the user stays the same"));
    let entry = || identity.home.clone().map(|home| (home, "the user's entry in /etc/passwd"));
    let usable = || {
        let seen = variable.filter(|seen| seen.stat.is_some_and(|stat| may_use(&stat, identity)))?;
        Some((seen.path.clone(), "$HOME: the user has no entry in /etc/passwd, and may write there"))
    };
    let fallback =
        || (PathBuf::from(FALLBACK_HOME), "the user has no entry in /etc/passwd, and no $HOME it may write to");
    kept.or_else(entry).or_else(usable).unwrap_or_else(fallback)
}

/// Whether a user may make files in this directory, by its permission bits.
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

/// What was seen of the agent's own place.
#[derive(Debug, Clone, Default)]
pub struct ConfigDirFacts {
    /// `~/.x`, or what the home variable names.
    pub path: PathBuf,
    /// It is a mount point.
    pub mounted: bool,
    /// The mount there, or of the login file in it, can be written.
    pub mount_writable: bool,
    /// Something below it is a mount point.
    pub mounted_below: Option<PathBuf>,
    /// What it is, if it is there; a symbolic link is a link.
    pub kind: Option<Kind>,
    /// It belongs to a user who is neither the agent nor root: it is somebody's, and not ours to take.
    pub foreign: bool,
    /// It, or the existing directory in which it would be made, can be written.
    pub writable: bool,
}

impl ConfigDirFacts {
    /// Whether the working copy can be here: a mount is the operator's, and is a source; a link leads who knows where.
    pub fn is_usable(&self) -> bool {
        self.obstacle().is_none()
    }

    /// Why the working copy cannot be here.
    pub fn obstacle(&self) -> Option<&'static str> {
        match self.kind {
            _ if self.mounted => Some("it is a mount point"),
            _ if self.mounted_below.is_some() => Some("it holds a mount point"),
            Some(Kind::Link) => Some("it is a symbolic link"),
            Some(Kind::File | Kind::Special) => Some("it is not a directory"),
            _ if self.foreign => Some("it belongs to another user"),
            _ if !self.writable => Some("it is not writable, or HOME is not there"),
            None | Some(Kind::Directory) => None,
        }
    }
}

/// The agent's own place: what its home variable names, else the default below what the parent's variable names or under
/// HOME. `named`: the path that a variable holds.
pub fn own<'p>(home: &Home, named: impl Fn(&str) -> Option<&'p Path>, agent_home: &Path) -> PathBuf {
    let below = |variable: &str, suffix: &str| {
        let path = named(variable).filter(|path| path.is_absolute())?;
        Some(if suffix.is_empty() { path.to_owned() } else { path.join(suffix) })
    };
    below(&home.variable, &home.suffix)
        .or_else(|| home.parent.as_ref().and_then(|parent| below(&parent.variable, &parent.suffix)))
        .unwrap_or_else(|| under_home(&home.default, agent_home))
}

/// A path of a definition in which `~/` stands for HOME.
pub fn under_home(path: &str, agent_home: &Path) -> PathBuf {
    path.strip_prefix("~/").map_or_else(|| PathBuf::from(path), |rest| agent_home.join(rest))
}

/// Where the working copy goes.
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

/// Where a file that goes with a method is copied for the agent's user.
pub fn copied_file(state_dir: &Path, agent: &str, variable: &str) -> PathBuf {
    state_dir.join("work").join(format!("{agent}.files")).join(variable.to_ascii_lowercase())
}

/// The directory whose settings belong to the working copy, and what kind of source it is: the operator's mount, else
/// the capture, else the agent's own place, when that cannot be the working copy.
pub fn settings_source<'p>(
    place: &'p ConfigDirFacts,
    working_copy: &Path,
    capture: Option<&'p Path>,
) -> Option<(&'p Path, fn(PathBuf) -> Source)> {
    if place.mounted {
        return Some((&place.path, Source::Mount));
    }
    let own = (place.path != working_copy && place.kind.is_some()).then_some(place.path.as_path());
    match (capture, own) {
        (Some(capture), _) => Some((capture, Source::Capture)),
        (None, own) => Some((own?, Source::Home)),
    }
}

/// The value of the home variable that names this place.
pub fn variable_value(home: &Home, place: &Path) -> PathBuf {
    let levels = Path::new(&home.suffix).components().count();
    place.ancestors().nth(levels).unwrap_or(place).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uid: u32, home: Option<&str>) -> Identity {
        Identity { uid, gid: uid, groups: None, home: home.map(PathBuf::from), name: None }
    }

    fn seen(path: &str, uid: u32, mode: u32) -> ExistingHome {
        let stat = Stat { kind: Kind::Directory, mode, uid, gid: uid, links: 2, size: 0, id: (0, 0), changed: (0, 0) };
        ExistingHome { path: path.into(), stat: Some(stat) }
    }

    #[test]
    fn whose_home() {
        let root = seen("/root", 0, 0o700);
        let slash = seen("/", 0, 0o755);
        let shared = seen("/data", 0, 0o777);
        let node = || identity(1000, Some("/home/node"));
        let nobody = || identity(12345, None);
        let rows = [
            // option, identity, changed, $HOME, home
            (Some("/x"), node(), true, Some(&root), "/x"),
            (None, node(), true, Some(&root), "/home/node"),
            (None, node(), false, Some(&shared), "/data"),
            (None, node(), false, None, "/home/node"),
            (None, nobody(), true, Some(&root), FALLBACK_HOME),
            (None, nobody(), true, Some(&shared), "/data"),
            (None, nobody(), false, Some(&slash), FALLBACK_HOME),
            (None, nobody(), false, None, FALLBACK_HOME),
            (None, identity(0, Some("/root")), false, Some(&slash), "/"),
        ];
        for (option, identity, changed, variable, expected) in rows {
            assert_eq!(
                home(option.map(Path::new), &identity, changed, variable).0,
                Path::new(expected),
                "{identity:?} {changed}"
            );
        }
    }

    #[test]
    fn the_place_of_the_working_copy() {
        let home: Home = serde_json::from_str(r#"{ "variable": "X_HOME", "default": "~/.x" }"#).unwrap();
        let free = ConfigDirFacts { path: "/h/.x".into(), writable: true, ..ConfigDirFacts::default() };
        let place = |facts: &ConfigDirFacts, work_dir: Option<&str>| {
            working_copy("x", &home, facts, work_dir.map(Path::new), Path::new("/s"))
        };
        assert_eq!(place(&free, None), Path::new("/h/.x"));
        assert_eq!(place(&free, Some("/w")), Path::new("/w/x"));
        for facts in [
            ConfigDirFacts { foreign: true, ..free.clone() },
            ConfigDirFacts { mounted: true, ..free.clone() },
            ConfigDirFacts { mounted_below: Some("/h/.x/login".into()), ..free.clone() },
            ConfigDirFacts { writable: false, ..free.clone() },
            ConfigDirFacts { kind: Some(Kind::Link), ..free.clone() },
            ConfigDirFacts { kind: Some(Kind::File), ..free.clone() },
        ] {
            assert_eq!(place(&facts, None), Path::new("/s/work/x"), "{facts:?}");
        }
    }

    #[test]
    fn a_variable_of_the_homes_parent() {
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
            let named = |name: &str| if name == "X" { own_variable } else { parent }.map(Path::new);
            assert_eq!(own(&home, named, Path::new("/h")), Path::new(expected), "{own_variable:?} {parent:?}");
        }
    }

    #[test]
    fn a_variable_that_names_a_parent() {
        let home: Home =
            serde_json::from_str(r#"{ "variable": "X_DATA", "suffix": "x", "default": "~/.local/x" }"#).unwrap();
        for (named, expected) in [(None, "/h/.local/x"), (Some("/d"), "/d/x"), (Some("relative"), "/h/.local/x")] {
            assert_eq!(own(&home, |_| named.map(Path::new), Path::new("/h")), Path::new(expected), "{named:?}");
        }
        let place = working_copy("x", &home, &ConfigDirFacts::default(), None, Path::new("/s"));
        assert_eq!(place, Path::new("/s/work/x/x"));
        assert_eq!(variable_value(&home, &place), Path::new("/s/work/x"));
    }
}
