//! Where the working copy may be, and why. Pure.
//!
//! It is in the agent's config directory, unless something there is not ours to change. Then it is below the state
//! directory, and the agent's variable leads to it.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// How the config directory came to its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// The default of the definition, below HOME.
    Default,
    /// A variable names it.
    Variable,
}

/// Mounts at the config directory. One above it, such as a volume at HOME, changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountSite {
    None,
    Here,
    Below,
}

/// What is at the path of the config directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupant {
    Missing,
    /// Or one of the directories above it, below HOME, is a link.
    Link,
    NotADirectory,
    Directory {
        owner: Owner,
        contents: Contents,
    },
}

/// Whose the directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Agent,
    /// This process may give it to the agent: an image made it as root.
    Init,
    Other,
}

/// What is in the directory, and who may put something there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// Nothing, or what the agent makes.
    Agents,
    /// Something else, too.
    Others,
    /// Everybody may write there.
    Anybodys,
}

/// What else a path is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    None,
    /// It is the capture, the root of captures, or in one.
    Capture,
    /// A directory of every system, such as /tmp.
    System,
    /// HOME, or a directory above it.
    Home,
    /// The working directory, or below it.
    Workspace,
}

/// What the place of the working copy depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    pub naming: Naming,
    pub mount: MountSite,
    pub occupant: Occupant,
    pub role: Role,
    /// This process may write there or, if it does not exist, where it would be made.
    pub writable: bool,
}

/// Why the working copy cannot be in the config directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// A mount is a source of the operator's.
    MountPoint,
    HoldsMount,
    /// It may lead anywhere.
    Link,
    NotADirectory,
    OfAnotherUser,
    /// Its owner and mode must stay.
    HoldsOtherFiles,
    OpenToAll,
    System,
    HoldsHome,
    /// A login beside the files of a project would be found in its archive, its image or its repository.
    InWorkingDirectory,
    /// The capture stays as it is.
    IsCapture,
    NotWritable,
}

/// Where the working copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub path: PathBuf,
    pub reason: Reason,
}

/// Why it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    ConfigDir,
    /// `--work-dir` names its parent.
    WorkDir,
    /// Below the state directory.
    Diverted(Obstacle),
}

/// The paths from which a placement is made.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'p> {
    pub agent: &'p str,
    pub config_dir: &'p Path,
    /// The part of the path below the directory that the agent's variable names.
    pub suffix: &'p str,
    pub work_dir: Option<&'p Path>,
    pub state_dir: &'p Path,
}

/// Where the working copy is, and why.
pub fn place(site: &Site, paths: &Paths<'_>) -> Placement {
    let below = |parent: PathBuf| if paths.suffix.is_empty() { parent } else { parent.join(paths.suffix) };
    match (paths.work_dir, site.obstacle()) {
        (Some(work_dir), _) => Placement { path: below(work_dir.join(paths.agent)), reason: Reason::WorkDir },
        (None, None) => Placement { path: paths.config_dir.to_owned(), reason: Reason::ConfigDir },
        (None, Some(obstacle)) => Placement {
            path: below(paths.state_dir.join("work").join(paths.agent)),
            reason: Reason::Diverted(obstacle),
        },
    }
}

impl Site {
    /// Why the working copy cannot be in the config directory.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self.mount {
            MountSite::Here => return Some(Obstacle::MountPoint),
            MountSite::Below => return Some(Obstacle::HoldsMount),
            MountSite::None => {}
        }
        match (self.occupant, self.role) {
            (Occupant::Link, _) => Some(Obstacle::Link),
            (Occupant::NotADirectory, _) => Some(Obstacle::NotADirectory),
            (_, Role::Capture) => Some(Obstacle::IsCapture),
            (Occupant::Directory { owner: Owner::Other, .. }, _) => Some(Obstacle::OfAnotherUser),
            (_, Role::Workspace) => Some(Obstacle::InWorkingDirectory),
            // The default is the agent's own, whatever is in it.
            (Occupant::Missing | Occupant::Directory { .. }, role) => {
                let named = if self.naming == Naming::Variable { obstacle_if_named(self.occupant, role) } else { None };
                named.or((!self.writable).then_some(Obstacle::NotWritable))
            }
        }
    }
}

fn obstacle_if_named(occupant: Occupant, role: Role) -> Option<Obstacle> {
    match (role, occupant) {
        (Role::System, _) => Some(Obstacle::System),
        (Role::Home, _) => Some(Obstacle::HoldsHome),
        (_, Occupant::Directory { contents: Contents::Anybodys, .. }) => Some(Obstacle::OpenToAll),
        (_, Occupant::Directory { owner: Owner::Init, contents: Contents::Others }) => Some(Obstacle::HoldsOtherFiles),
        _ => None,
    }
}

impl Obstacle {
    /// Whether the operator should know if a variable names this directory. Mounts and the capture are used as such.
    pub fn is_worth_a_warning(self) -> bool {
        !matches!(self, Obstacle::MountPoint | Obstacle::HoldsMount | Obstacle::IsCapture)
    }

    /// Whether settings in the config directory count. Not where anybody may have put them: settings name commands that
    /// the agent runs.
    pub fn lets_settings_count(self) -> bool {
        !matches!(self, Obstacle::OpenToAll | Obstacle::System | Obstacle::NotADirectory)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Obstacle::MountPoint => "it is a mount point",
            Obstacle::HoldsMount => "it holds a mount point",
            Obstacle::Link => "it is a symbolic link",
            Obstacle::NotADirectory => "it is not a directory",
            Obstacle::OfAnotherUser => "it belongs to another user",
            Obstacle::HoldsOtherFiles => "it holds files that are not the agent's",
            Obstacle::OpenToAll => "everybody may write to it",
            Obstacle::System => "it is a directory of the system",
            Obstacle::HoldsHome => "it is HOME, or holds it",
            Obstacle::InWorkingDirectory => "it is in the working directory",
            Obstacle::IsCapture => "it is the capture",
            Obstacle::NotWritable => "it is not writable, or HOME is not there",
        })
    }
}

/// Directories with a meaning of their own. All are resolved: they contain no links and no `..`.
#[derive(Debug, Clone)]
pub struct KnownDirectories {
    /// The capture of the agent.
    pub capture: Option<PathBuf>,
    /// The root of captures.
    pub capture_root: Option<PathBuf>,
    pub working_directory: PathBuf,
    pub home: PathBuf,
}

/// What else a config directory is used for; it is resolved, too.
pub fn role(config_dir: &Path, known: &KnownDirectories) -> Role {
    let KnownDirectories { capture, capture_root, working_directory, home } = known;
    let is_capture =
        |capture: &PathBuf| config_dir == capture || (config_dir.starts_with(capture) && !home.starts_with(capture));
    if capture.as_ref().is_some_and(is_capture) || capture_root.as_deref() == Some(config_dir) {
        Role::Capture
    } else if is_in_working_directory(config_dir, working_directory, home) {
        Role::Workspace
    } else if SYSTEM.iter().any(|known| Path::new(known) == config_dir) {
        Role::System
    } else if home.starts_with(config_dir) {
        Role::Home
    } else {
        Role::None
    }
}

/// Whether a config directory is in the working directory. A HOME in it does not count: a shell in HOME, and a working
/// directory of `/`, are the rule in containers.
fn is_in_working_directory(config_dir: &Path, working_directory: &Path, home: &Path) -> bool {
    let is_in_home = home.starts_with(working_directory) && config_dir.starts_with(home) && config_dir != home;
    working_directory != Path::new("/") && config_dir.starts_with(working_directory) && !is_in_home
}

/// Directories of every system (hier(7)), which a variable may name by mistake.
const SYSTEM: [&str; 24] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/local",
    "/usr/local/bin",
    "/var",
    "/var/run",
    "/var/tmp",
];

/// A path without `.` and `..`, by its text alone.
pub fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests;
