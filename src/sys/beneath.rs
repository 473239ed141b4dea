//! Opens what is beneath a directory, through symbolic links that stay beneath it.
//!
//! By openat2(2); before Linux 5.6, and under a seccomp filter that does not know it (docker's own before 20.10), by a walk
//! of one name at a time. Its way back up is the handles that it came by, so nobody who renames meanwhile leads it out.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, fstat};

use crate::sys::stat::{Kind, Stat};
use crate::sys::walk::{LINKS, PASSAGE, Way};

/// Opens `path` beneath `base`.
///
/// # Errors
/// As openat2(2) with `RESOLVE_BENEATH`: EXDEV for a way out.
pub(super) fn open(base: &impl AsFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH);
    match openat2(base, path, how) {
        // The last is a rename in the same moment: openat2(2) does not know then whether it was led out.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EAGAIN) => walk(base, path, flags),
        opened => opened,
    }
}

fn walk(base: &impl AsFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let mut way = Way::default();
    way.prepend(path);
    // The directories from the base, which is none of them, to where we are.
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(name) = way.next() {
        if name == "/" {
            return Err(Errno::EXDEV);
        }
        if name == ".." {
            passed.pop().ok_or(Errno::EXDEV)?;
            continue;
        }
        let here = passed.last().map_or(base.as_fd(), AsFd::as_fd);
        let next = openat(here, name.as_os_str(), PASSAGE, Mode::empty())?;
        match Stat::from(fstat(&next)?).kind {
            Kind::Link => {
                links += 1;
                if links > LINKS {
                    return Err(Errno::ELOOP);
                }
                way.prepend(Path::new(&readlinkat(&next, "")?));
            }
            // A link that takes its place in this moment is refused.
            _ if way.is_over() => return openat(here, name.as_os_str(), flags | OFlag::O_NOFOLLOW, Mode::empty()),
            Kind::Directory => passed.push(next),
            Kind::File | Kind::Special => return Err(Errno::ENOTDIR),
        }
    }
    let here = passed.last().map_or(base.as_fd(), AsFd::as_fd);
    openat(here, OsStr::new("."), flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_walk_gets_where_the_kernel_gets() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        std::fs::create_dir_all(at("base/a/b")).unwrap();
        std::fs::create_dir(at("outside")).unwrap();
        for file in ["base/file", "base/a/b/file", "outside/secret"] {
            std::fs::write(at(file), "FAKE").unwrap();
        }
        let absolute = at("base/file");
        let links = [
            ("beneath", "a/b/file"),
            ("up", "a/b/../../file"),
            ("a/back", "../file"),
            ("a/b/dots", "../../a/./b"),
            ("chain", "a/back"),
            ("out", "../outside/secret"),
            ("a/out", "../../outside"),
            ("absolute", absolute.to_str().unwrap()),
            ("loop", "loop"),
            ("dangling", "nowhere"),
        ];
        for (name, to) in links {
            symlink(to, at("base").join(name)).unwrap();
        }
        let base = std::fs::File::open(at("base")).unwrap();
        let paths = [
            ".",
            "./.",
            "a",
            "a/",
            "a/b/..",
            "a/b/../..",
            "a/b/../../..",
            "..",
            "../base/file",
            "file",
            "file/x",
            "none",
            "a/none/file",
            "/",
            "/etc/passwd",
            "out",
            "a/out/secret",
            "absolute",
            "a/b/dots/file",
            "beneath",
            "up",
            "a/back",
            "chain",
            "loop",
            "loop/x",
            "dangling",
            "beneath/..",
            "a/b/dots/../back",
        ];
        let reached = |fd: nix::Result<OwnedFd>| fd.and_then(fstat).map(|stat| stat.st_ino);
        for flags in [OFlag::O_RDONLY, OFlag::O_RDONLY | OFlag::O_DIRECTORY] {
            for path in paths {
                let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH);
                let kernel = reached(openat2(&base, path, how));
                let walked = reached(walk(&base, Path::new(path), flags));
                assert_eq!(walked, kernel, "{path:?} {flags:?}");
            }
        }
    }
}
