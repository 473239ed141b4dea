//! A terminal and the test's hands and eyes at it.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Instant;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::tcgetpgrp;

use super::{LIMIT, Run};

/// The master side of a terminal. Dropped, it hangs up.
pub struct Pty {
    master: PtyMaster,
    path: String,
    /// What it showed so far, and how much of it was looked for already.
    shown: String,
    past: usize,
}

impl Pty {
    pub fn new() -> Self {
        // Close-on-exec from the start: another test's child that held a copy would keep it from hanging up.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname_r(&master).unwrap();
        Self { master, path, shown: String::new(), past: 0 }
    }

    /// The run as the leader of a session whose controlling terminal this is: a leader without one gets what it opens.
    pub fn leads(&self, run: Run) -> Run {
        run.through(["setsid", "sh", "-c", "exec \"$@\" <\"$0\" >\"$0\" 2>\"$0\"", &self.path])
    }

    pub fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until it shows `text`, beyond what was found before. Gives what stands before it since then.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> String {
        let limit = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.shown[self.past..].find(text) {
                let before = self.shown[self.past..self.past + at].to_owned();
                self.past += at + text.len();
                return before;
            }
            assert!(self.read(limit), "no {text:?} at its end; it showed:\n{}", self.shown);
        }
    }

    /// Everything it showed, once the last process has let go of it.
    pub fn all(mut self) -> String {
        let limit = Instant::now() + LIMIT;
        while self.read(limit) {}
        self.shown
    }

    /// False when nobody has it open any more (EIO).
    #[track_caller]
    fn read(&mut self, limit: Instant) -> bool {
        let Some(bytes) = self.next(limit) else { return false };
        assert!(!bytes.is_empty(), "nothing more within {LIMIT:?}; it showed:\n{}", self.shown);
        self.shown.push_str(&String::from_utf8_lossy(&bytes));
        true
    }

    /// What it shows next, as it comes, or nothing at the limit; none when nobody has it open any more (EIO).
    pub(super) fn next(&mut self, limit: Instant) -> Option<Vec<u8>> {
        let left = PollTimeout::try_from(limit.saturating_duration_since(Instant::now())).unwrap();
        let ready = poll(&mut [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)], left).unwrap();
        let mut bytes = Vec::new();
        if ready == 0 {
            return Some(bytes);
        }
        bytes.resize(4096, 0);
        let length = self.master.read(&mut bytes).unwrap_or(0);
        bytes.truncate(length);
        (!bytes.is_empty()).then_some(bytes)
    }

    /// The foreground process group, in our own process ids.
    pub fn foreground(&self) -> i32 {
        tcgetpgrp(&self.master).unwrap().as_raw()
    }

    /// Until another group than `group` is in the foreground: the kernel tells nobody of that, so look again and again.
    #[track_caller]
    pub fn leaves(&self, group: i32) {
        let limit = Instant::now() + LIMIT;
        while self.foreground() == group {
            assert!(Instant::now() < limit, "{group} keeps the terminal; it showed:\n{}", self.shown);
            std::thread::yield_now();
        }
    }

    /// Whether it echoes and gathers lines.
    pub fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.master).unwrap();
        modes.local_flags.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let (rows, columns) = (rows.to_string(), columns.to_string());
        let stty = Command::new("stty").args(["-F", &self.path, "rows", &rows, "cols", &columns]).status();
        assert!(stty.unwrap().success());
    }
}
