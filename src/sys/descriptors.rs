//! The descriptors that we were started with. They belong to the agent, not to us.

use std::fs::OpenOptions;
use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{dup2_stdin, dup2_stdout};

/// How many descriptors one poll(2) checks.
const CHUNK: u8 = 128;

/// Closes what the agent has inherited, so that the other end of a pipe sees it when the agent closes its own. Standard
/// input and output become /dev/null, and all other inherited descriptors are closed. Standard error stays, for
/// messages.
///
/// For the parent, once the agent runs. Descriptors that survived our exec lack the close-on-exec flag, and all of our
/// own have it, which distinguishes them. Without a /dev/null (a bare `chroot`) standard input and output stay.
pub fn release_agents_descriptors() -> io::Result<()> {
    close_inherited();
    match OpenOptions::new().read(true).write(true).open("/dev/null") {
        Ok(null) => {
            dup2_stdin(&null)?;
            Ok(dup2_stdout(&null)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// One poll(2) tells which of many descriptors are open. It costs one system call and needs no /proc.
fn close_inherited() {
    let mut first: i32 = 3;
    loop {
        let mut asked = [libc::pollfd { fd: -1, events: 0, revents: 0 }; CHUNK as usize];
        for (slot, fd) in asked.iter_mut().zip(first..) {
            slot.fd = fd;
        }
        // SAFETY: `asked` is an array of CHUNK entries that poll writes `revents` of, and outlives the call.
        let polled = unsafe { libc::poll(asked.as_mut_ptr(), libc::nfds_t::from(CHUNK), 0) };
        if Errno::result(polled).is_err() {
            // EINVAL: the limit of descriptors is below CHUNK, so there are few to keep open.
            return;
        }
        let is_open = |slot: &&libc::pollfd| slot.revents & libc::POLLNVAL == 0;
        asked.iter().filter(is_open).for_each(|slot| close_if_inherited(slot.fd));
        let is_full = asked.iter().all(|slot| is_open(&slot));
        first += i32::from(CHUNK);
        if !is_full {
            // The kernel hands out the lowest free descriptor, so none of ours is beyond a gap. Kernels before 5.9 have
            // no close_range(2), and leave the rest open.
            // SAFETY: the call takes integers; see `close_if_inherited` for who owns what.
            let _ = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
            return;
        }
    }
}

fn close_if_inherited(fd: i32) {
    // SAFETY: both calls take integers. A descriptor without the close-on-exec flag is owned by no value of this
    // process: all of ours have the flag, and the first three, which std uses, are never asked about.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFD);
        if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
            libc::close(fd);
        }
    }
}
