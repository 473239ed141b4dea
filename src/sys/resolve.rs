//! Opens a directory by a path in which others than the operator may have put symbolic links.
//!
//! A path of the operator's may lead through ground that somebody else can write to: a capture that belongs to the agent's
//! uid, a mount below HOME. There an agent could put a link in the place of a directory, and root would read and write
//! wherever that leads. Nobody but root makes links of root's, so the owner of a link tells whose it is.

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
use crate::sys::walk::{LINKS, PASSAGE, Way};

/// Opens the directory at `path`. Links of root's and of ours are followed; another's only to what is beneath the directory
/// that holds it.
///
/// # Errors
/// As open(2); a link that leads elsewhere in words.
pub(super) fn open(path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let plain = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    match openat2(AT_FDCWD, path, plain) {
        // There is a link, or a kernel or a seccomp filter without openat2(2).
        Err(Errno::ELOOP | Errno::ENOSYS | Errno::EPERM) => follow(path, flags),
        opened => Ok(opened?),
    }
}

fn follow(path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let (mut here, mut way) = (openat(AT_FDCWD, OsStr::new("."), PASSAGE, Mode::empty())?, Way::default());
    way.prepend(path);
    let mut links = 0;
    while let Some(name) = way.next() {
        let next = openat(&here, name.as_os_str(), PASSAGE, Mode::empty())?;
        let stat = Stat::from(fstat(&next)?);
        if stat.kind != Kind::Link {
            here = next;
            continue;
        }
        links += 1;
        if links > LINKS {
            return Err(Errno::ELOOP.into());
        }
        if stat.uid == 0 || stat.uid == Uid::effective().as_raw() {
            way.prepend(Path::new(&readlinkat(&next, "")?));
        } else {
            let flags = PASSAGE.difference(OFlag::O_NOFOLLOW);
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
    fn links_are_followed_by_their_owner() {
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
        // (path, where it leads, whether it does when the links are somebody else's)
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
        for (path, to, anothers) in rows {
            let found = reaches(&at(path));
            let refusal = |why: &String| why.contains("of uid 4242 leads out of its directory");
            assert!(
                if anothers { found == Ok(inode(to)) } else { found.as_ref().is_err_and(refusal) },
                "{path}: {found:?}"
            );
        }
        assert!(reaches(&at("agents/loop")).is_err());
    }
}
