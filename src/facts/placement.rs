//! Where the working copy may be. Pure.
//!
//! It is in the agent's config directory, unless something there is not ours to change. Then it is below the state
//! directory, and the agent's variable leads to it.

use std::fmt;
use std::path::Path;

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
    /// The directory is for everybody, or has files in it that are not the agent's. Its owner and mode must stay.
    HoldsOtherFiles,
    /// A login beside the files of a project would be found in its archive, its image or its repository.
    InWorkingDirectory,
    /// The capture stays as it is.
    IsCapture,
    NotWritable,
}

impl Obstacle {
    /// Whether the operator should know if a variable names this directory. Mounts and the capture are used as such.
    pub fn is_worth_a_warning(self) -> bool {
        !matches!(self, Obstacle::MountPoint | Obstacle::HoldsMount | Obstacle::IsCapture)
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
            Obstacle::HoldsOtherFiles => "it is not the agent's alone",
            Obstacle::InWorkingDirectory => "it is in the working directory",
            Obstacle::IsCapture => "it is the capture",
            Obstacle::NotWritable => "it is not writable, or HOME is not there",
        })
    }
}

/// Whether a config directory is in the working directory. A HOME in it does not count: a shell in HOME, and a working
/// directory of `/`, are the rule in containers.
pub fn is_in_working_directory(config_dir: &Path, working_directory: &Path, home: &Path) -> bool {
    let is_in_home = home.starts_with(working_directory) && config_dir.starts_with(home);
    working_directory != Path::new("/") && config_dir.starts_with(working_directory) && !is_in_home
}

/// Directories of every system (hier(7)), which a variable may name by mistake.
const SYSTEM: [&str; 22] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
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
    "/usr/local/bin",
    "/var",
    "/var/run",
    "/var/tmp",
];

/// Whether a directory is not the agent's alone: a directory of the system, one that everybody may write to, or one of
/// another user in which not everything is the agent's.
pub fn is_for_others(path: &Path, mode: u32, is_agents: bool, has_other_files: bool) -> bool {
    SYSTEM.iter().any(|known| Path::new(known) == path) || mode & 0o002 != 0 || (!is_agents && has_other_files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_working_directory_counts_unless_home_is_in_it() {
        struct Row {
            config_dir: &'static str,
            working_directory: &'static str,
            home: &'static str,
            expected: bool,
        }
        let row = |config_dir, working_directory, home, expected| Row { config_dir, working_directory, home, expected };
        let rows = [
            row("/home/u/.x", "/workspace", "/home/u", false),
            row("/workspace/.x", "/workspace", "/home/u", true),
            row("/workspace", "/workspace", "/home/u", true),
            row("/workspace-2/.x", "/workspace", "/home/u", false),
            row("/home/u/.x", "/home/u", "/home/u", false),
            row("/home/u/.x", "/home", "/home/u", false),
            row("/home/u/project/.x", "/home/u/project", "/home/u", true),
            row("/data/x", "/", "/home/u", false),
        ];
        for Row { config_dir, working_directory, home, expected } in rows {
            let [config_dir, working_directory, home] = [config_dir, working_directory, home].map(Path::new);
            let found = is_in_working_directory(config_dir, working_directory, home);
            assert_eq!(found, expected, "{config_dir:?} {working_directory:?} {home:?}");
        }
    }

    #[test]
    fn a_directory_of_others_is_recognised() {
        struct Row {
            path: &'static str,
            mode: u32,
            is_agents: bool,
            has_other_files: bool,
            expected: bool,
        }
        let rows = [
            Row { path: "/data/x", mode: 0o755, is_agents: false, has_other_files: false, expected: false },
            Row { path: "/data/x", mode: 0o755, is_agents: true, has_other_files: true, expected: false },
            Row { path: "/data/x", mode: 0o755, is_agents: false, has_other_files: true, expected: true },
            Row { path: "/data/x", mode: 0o1777, is_agents: true, has_other_files: false, expected: true },
            Row { path: "/tmp", mode: 0o755, is_agents: false, has_other_files: false, expected: true },
            Row { path: "/run", mode: 0o755, is_agents: true, has_other_files: false, expected: true },
        ];
        for Row { path, mode, is_agents, has_other_files, expected } in rows {
            let found = is_for_others(Path::new(path), mode, is_agents, has_other_files);
            assert_eq!(found, expected, "{path} {mode:o} {is_agents} {has_other_files}");
        }
    }
}
