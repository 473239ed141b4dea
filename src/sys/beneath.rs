//! Opens a path beneath a directory, through symbolic links that stay beneath it.
//!
//! It uses openat2(2). Before Linux 5.6, and under a seccomp filter that does not know that call (docker's own before
//! 20.10), it walks the path one name at a time. `..` goes back to the handle that it came from, so nobody can lead it
//! out by a rename.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, fstat};

use crate::sys::stat::{Kind, Stat};
use crate::sys::walk::{MAX_LINKS, PATH_NOFOLLOW, PathWalk};

/// Opens `path` beneath `base`, like openat2(2) with `RESOLVE_BENEATH`: EXDEV if the path leads out.
pub(super) fn open(base: &impl AsFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH);
    match openat2(base, path, how) {
        // EAGAIN: a rename at the same moment, so openat2(2) does not know whether the path led out.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EAGAIN) => walk(base, path, flags),
        opened => opened,
    }
}

fn walk(base: &impl AsFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let mut walk_left = PathWalk::default();
    walk_left.prepend(path);
    // The directories between the base, which is not among them, and the current one.
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(name) = walk_left.next() {
        if name == "/" {
            return Err(Errno::EXDEV);
        }
        if name == ".." {
            passed.pop().ok_or(Errno::EXDEV)?;
            continue;
        }
        let here = passed.last().map_or(base.as_fd(), AsFd::as_fd);
        let next = openat(here, name.as_os_str(), PATH_NOFOLLOW, Mode::empty())?;
        match Stat::from(fstat(&next)?).kind {
            Kind::Link => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::ELOOP);
                }
                walk_left.prepend(Path::new(&readlinkat(&next, "")?));
            }
            // O_NOFOLLOW: a link may take its place at this moment.
            _ if walk_left.is_over() => {
                return openat(here, name.as_os_str(), flags | OFlag::O_NOFOLLOW, Mode::empty());
            }
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
    fn the_walk_ends_where_openat2_ends() {
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
