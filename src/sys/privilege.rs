//! The user of this process, and the irreversible steps to fewer privileges.

use std::io;

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid};
use nix::{libc, unistd};

/// The effective user and group.
pub fn current() -> (u32, u32) {
    (unistd::geteuid().as_raw(), unistd::getegid().as_raw())
}

/// The supplementary groups of this process.
pub fn groups() -> io::Result<Vec<u32>> {
    Ok(nix::unistd::getgroups()?.into_iter().map(nix::unistd::Gid::as_raw).collect())
}

/// Sets the supplementary groups. EPERM without `CAP_SETGID`.
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    // Not nix's function, which takes a vector of its own type: the child between clone and exec must not allocate.
    // SAFETY: the pointer and the length are those of one slice, and `gid_t` is `u32`.
    Errno::result(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    Ok(())
}

/// Sets real, effective and saved group. EPERM without `CAP_SETGID`.
pub fn set_group(gid: u32) -> io::Result<()> {
    let gid = Gid::from_raw(gid);
    Ok(unistd::setresgid(gid, gid, gid)?)
}

/// Sets real, effective and saved user. If root becomes another user, the kernel clears the permitted, effective and
/// ambient capabilities (capabilities(7)). EPERM without `CAP_SETUID`, EAGAIN at the user's limit of processes.
pub fn set_user(uid: u32) -> io::Result<()> {
    let uid = Uid::from_raw(uid);
    Ok(unistd::setresuid(uid, uid, uid)?)
}

/// Drops all capabilities that this kernel knows from the bounding set. Comes before the change of user, because it
/// needs `CAP_SETPCAP`. EPERM without it; EINVAL if an emulation of the kernel lacks the call.
pub fn drop_bounding_set() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: PR_CAPBSET_DROP takes an integer; no memory is passed.
        match Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }) {
            Ok(_) => {}
            // The first capability that this kernel does not know. Every kernel knows 0, CAP_CHOWN.
            Err(Errno::EINVAL) if capability > 0 => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Clears the ambient, inheritable, effective and permitted sets. A process may always give up what it has.
pub fn drop_capabilities() -> io::Result<()> {
    // Not the caps crate: its sets and errors allocate, and the child between clone and exec must not.
    let header = CapHeader { version: LINUX_CAPABILITY_VERSION_3, pid: 0 };
    let none = [CapData::default(); 2];
    // A kernel before 4.3 has no ambient set, so there is nothing in it.
    // SAFETY: the first call takes integers; the second reads a header and the two sets of its version (capset(2)).
    let lowered = unsafe {
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr())
    };
    Errno::result(lowered)?;
    Ok(())
}

/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h: 64 capabilities, in two halves.
const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: one half of the three sets.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// From now on exec grants no privileges (`PR_SET_NO_NEW_PRIVS`).
pub fn no_new_privileges() -> io::Result<()> {
    Ok(prctl::set_no_new_privs()?)
}

/// Whether we hold `CAP_CHOWN`. If the kernel does not tell (a filter refuses capget(2)), root is assumed to: a login
/// that stayed root's would lock its user out, and chown(2) reports it if it fails.
pub fn may_chown() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_CHOWN).unwrap_or_else(|_| current().0 == 0)
}

/// Whether we may read files whatever their mode: `CAP_DAC_OVERRIDE` or `CAP_DAC_READ_SEARCH`. If the kernel does not
/// tell, root is assumed to.
pub fn may_read_all() -> bool {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or_else(|_| current().0 == 0);
    has(Capability::CAP_DAC_OVERRIDE) || has(Capability::CAP_DAC_READ_SEARCH)
}
