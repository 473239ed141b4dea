//! Finds programs on PATH, like execvp(3).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub fn on_path(path: Option<&OsStr>, command: impl AsRef<Path>) -> bool {
    // The default of execvpe(3) without PATH.
    let path = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
    std::env::split_paths(path).any(|directory| is_executable(&directory.join(&command)))
}

/// Whether execvp(3) would find this program: by its path, or on PATH.
pub fn exists(path: Option<&OsStr>, program: &OsStr) -> bool {
    let is_path = program.as_bytes().contains(&b'/');
    if is_path { is_executable(Path::new(program)) } else { on_path(path, program) }
}

/// Whether this is a file that somebody may execute.
pub fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executable_files_on_path_are_found() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("directory")).unwrap();
        for (name, mode) in [("program", 0o755), ("text", 0o644)] {
            std::fs::write(temp.path().join(name), "").unwrap();
            std::fs::set_permissions(temp.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths([Path::new("/nowhere"), temp.path()]).unwrap();
        let found = ["program", "text", "directory", "none"].map(|name| on_path(Some(&path), name));
        assert_eq!(found, [true, false, false, false]);
        assert!(on_path(None, "sh"));
        let by_path = ["program", "text", "none"].map(|name| exists(None, temp.path().join(name).as_os_str()));
        assert_eq!(by_path, [true, false, false]);
        assert!(exists(None, OsStr::new("sh")) && !exists(None, OsStr::new("nosuch")));
    }
}
