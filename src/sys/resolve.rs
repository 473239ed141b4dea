//! Opens a directory by a path in which others than the operator may have put symbolic links.
//!
//! The operator's path may lead through directories that somebody else can write to: a capture that belongs to the
//! agent's uid, a mount below HOME. An agent could replace a directory there by a link, and root would read and write
//! wherever it leads. Only root can make links that belong to root, so a link's owner tells who made it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::Uid;

use crate::sys::beneath;
use crate::sys::stat::{Kind, Stat};
use crate::sys::walk::{MAX_LINKS, PATH_NOFOLLOW, PathWalk};

/// Opens the directory at `path`. Links of root's and our own are followed. Anybody else's are followed only if they
/// stay beneath their directory; otherwise the error says which link leads out.
pub(super) fn open(path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let plain = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    match openat2(AT_FDCWD, path, plain) {
        // The path has a link, or the kernel or a seccomp filter does not know openat2(2).
        Err(Errno::ELOOP | Errno::ENOSYS | Errno::EPERM) => follow(path, flags),
        opened => Ok(opened?),
    }
}

fn follow(path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let (mut here, mut walk_left) =
        (openat(AT_FDCWD, OsStr::new("."), PATH_NOFOLLOW, Mode::empty())?, PathWalk::default());
    walk_left.prepend(path);
    let mut links = 0;
    while let Some(name) = walk_left.next() {
        let next = openat(&here, name.as_os_str(), PATH_NOFOLLOW, Mode::empty())?;
        let stat = Stat::from(fstat(&next)?);
        if stat.kind != Kind::Link {
            here = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::ELOOP.into());
        }
        if stat.uid == 0 || stat.uid == Uid::effective().as_raw() {
            walk_left.prepend(Path::new(&readlinkat(&next, "")?));
        } else {
            let flags = PATH_NOFOLLOW.difference(OFlag::O_NOFOLLOW);
            here = beneath::open(&here, Path::new(&name), flags).map_err(|errno| match errno {
                Errno::EXDEV => io::Error::other(format!(
                    "the symbolic link {} of uid {} leads out of its directory",
                    name.display(),
                    stat.uid
                )),
                errno => errno.into(),
            })?;
        }
    }
    Ok(openat(&here, ".", flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::*;
    use crate::sys::dir::Dir;

    fn reaches(path: &Path) -> Result<u64, String> {
        Dir::open(path).and_then(|dir| dir.stat()).map(|stat| stat.id.1).map_err(|error| error.to_string())
    }

    #[test]
    fn whether_a_link_is_followed_depends_on_its_owner() {
        use std::os::unix::fs::MetadataExt;
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        std::fs::create_dir_all(at("agents/own/deep")).unwrap();
        std::fs::create_dir_all(at("secret/deep")).unwrap();
        let links = [
            ("agents/relative", "../secret"),
            ("agents/absolute", at("secret").to_str().unwrap()),
            ("agents/beneath", "own"),
            ("agents/chain", "absolute/deep"),
            ("agents/loop", "loop"),
        ]
        .map(|(name, to)| symlink(to, at(name)).map(|()| name).unwrap());
        let inode = |name: &str| at(name).metadata().unwrap().ino();
        let rows = [
            ("agents/own", "agents/own", true),
            ("agents/./own/../own", "agents/own", true),
            ("agents/relative", "secret", false),
            ("agents/relative/deep", "secret/deep", false),
            ("agents/absolute", "secret", false),
            ("agents/chain", "secret/deep", false),
            ("agents/beneath", "agents/own", true),
            ("agents/beneath/deep", "agents/own/deep", true),
        ];
        for (path, to, _) in rows {
            assert_eq!(reaches(&at(path)), Ok(inode(to)), "{path}");
        }
        assert!(reaches(&at("agents/loop")).is_err());
        assert!(reaches(&at("agents/none")).is_err());
        if links.iter().any(|name| lchown(at(name), Some(4242), Some(4242)).is_err()) {
            assert!(std::env::var_os("CI").is_none(), "only root gives links away");
            return;
        }
        for (path, to, works_for_others) in rows {
            let found = reaches(&at(path));
            let refusal = |why: &String| why.contains("of uid 4242 leads out of its directory");
            assert!(
                if works_for_others { found == Ok(inode(to)) } else { found.as_ref().is_err_and(refusal) },
                "{path}: {found:?}"
            );
        }
        assert!(reaches(&at("agents/loop")).is_err());
    }
}
