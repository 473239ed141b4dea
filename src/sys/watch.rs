//! inotify(7): changes of a directory's entries.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::statfs::{FsType, fstatfs, statfs};

use crate::sys::dir::Dir;

/// An inotify instance. Its descriptor is readable when something has changed.
pub struct Watcher(Inotify);

/// Identifies a watched directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched(WatchDescriptor);

/// A change that a watch reports.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// This entry of the directory was created, renamed to, or closed after writing.
    Entry(Watched, OsString),
    /// This entry was removed or renamed away.
    Removed(Watched, OsString),
    /// The directory itself was removed, renamed or unmounted. The watch is of no more use.
    Gone(Watched),
    /// Events were lost (`IN_Q_OVERFLOW`), so anything may have changed.
    Overflow,
}

/// File systems that other machines, or another kernel, change without a notice to this kernel's inotify: statfs(2),
/// linux/magic.h, and the file systems' own sources. virtiofs and all FUSE file systems have FUSE's number.
const UNWATCHABLE: &[FsType] = &[
    FsType(0x6969),      // NFS
    FsType(0x517b),      // SMB
    FsType(0xff53_4d42), // CIFS
    FsType(0xfe53_4d42), // SMB2
    FsType(0x6573_5546), // FUSE, virtiofs
    FsType(0x0102_1997), // 9p
    FsType(0x00c3_6400), // Ceph
    FsType(0x0bd0_0bd0), // Lustre
    FsType(0x4750_4653), // GPFS
    FsType(0x5346_414f), // AFS
    FsType(0x0116_1970), // GFS2
    FsType(0x7461_636f), // OCFS2
    FsType(0x786f_4256), // VirtualBox shared folders
    FsType(0xbacb_acbc), // VMware shared folders
    FsType(0x7c7c_6673), // Parallels shared folders
];

/// The hint if no watch can be added. EMFILE is either of two limits, ENOSPC the number of watches (inotify(7)).
pub const MORE_WATCHES: &str = "raise fs.inotify.max_user_instances and max_user_watches on the host; \"too many open files\" may \
                                also be the limit of open files (ulimit -n)";

/// Whether a watch reports every change of this directory.
pub fn watches_all(directory: &Dir) -> bool {
    fstatfs(directory).is_ok_and(|found| is_watched(found.filesystem_type()))
}

/// The same for a path, which the caller need not be able to open. True if it does not exist.
pub fn would_watch_all(path: &Path) -> bool {
    statfs(path).map_or(true, |found| is_watched(found.filesystem_type()))
}

fn is_watched(kind: FsType) -> bool {
    !UNWATCHABLE.contains(&kind)
}

/// After this many changes `changes` returns. With many processors an agent makes them faster than one process reads
/// them, and signals and children must get their turn.
const MAX_CHANGES: usize = 1024;

impl Watcher {
    /// Fails at the user's limit of instances, which is a common one.
    pub fn new() -> io::Result<Watcher> {
        Ok(Watcher(Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?))
    }

    /// Watches the entries of a directory, which must not be a symbolic link. `IN_MODIFY` is left out: a writer in
    /// place is noticed when it closes the file, and a busy log beside the login file wakes nobody for each line.
    pub fn add(&self, directory: &Path) -> io::Result<Watched> {
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DONT_FOLLOW
            | AddWatchFlags::IN_ONLYDIR;
        Ok(Watched(self.0.add_watch(directory, flags)?))
    }

    /// Removes a watch. It is not an error if the kernel has already removed it.
    pub fn remove(&self, watched: Watched) {
        let _ = self.0.rm_watch(watched.0);
    }

    /// The changes since the last call. Never blocks. If there are more, the descriptor stays readable.
    pub fn changes(&self) -> io::Result<Vec<Change>> {
        let mut changes = Vec::new();
        while changes.len() < MAX_CHANGES {
            match self.0.read_events() {
                Ok(events) => changes.extend(events.into_iter().filter_map(|event| {
                    let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_UNMOUNT;
                    if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                        Some(Change::Overflow)
                    } else if event.mask.intersects(gone) {
                        Some(Change::Gone(Watched(event.wd)))
                    } else if event.mask.intersects(AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM) {
                        event.name.map(|name| Change::Removed(Watched(event.wd), name))
                    } else {
                        event.name.map(|name| Change::Entry(Watched(event.wd), name))
                    }
                })),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(changes)
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
