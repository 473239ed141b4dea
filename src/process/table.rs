//! Other processes, as /proc describes them (proc(5)).

use std::fs;
use std::path::PathBuf;

use crate::env::Environment;
use crate::sys::process::Pid;

/// A process, from /proc/PID/status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: Pid,
    pub parent: Pid,
    /// The real user.
    pub uid: u32,
    /// The real group.
    pub gid: u32,
    pub groups: Vec<u32>,
    pub no_new_privs: bool,
    /// The bounding set, with a bit for each capability.
    pub bounding: u64,
    /// The effective capabilities.
    pub effective: u64,
}

impl Process {
    /// The process with this id, if it lives.
    pub fn of(pid: Pid) -> Option<Process> {
        parse(pid, &fs::read_to_string(path(pid, "status")).ok()?)
    }

    pub fn this() -> Option<Process> {
        Process::of(crate::sys::process::id())
    }
}

/// The command line of a process. The process may have changed it.
pub fn command_line(pid: Pid) -> Vec<std::ffi::OsString> {
    use std::os::unix::ffi::OsStringExt;
    let bytes = fs::read(path(pid, "cmdline")).unwrap_or_default();
    let mut words: Vec<_> =
        bytes.split(|byte| *byte == 0).map(|word| std::ffi::OsString::from_vec(word.to_vec())).collect();
    // The last word ends with a NUL, too.
    words.pop();
    words
}

/// The initial environment of a process, unless it has overwritten it. `None` if we may not read it.
pub fn environment(pid: Pid) -> Option<Environment> {
    let bytes = zeroize::Zeroizing::new(fs::read(path(pid, "environ")).ok()?);
    Some(Environment::parse(&bytes))
}

fn path(pid: Pid, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// Pure. `None` for a text that lacks a line, and for a zombie.
pub(crate) fn parse(pid: Pid, status: &str) -> Option<Process> {
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let first = |name: &str| line(name)?.split_ascii_whitespace().next();
    let set = |name: &str| u64::from_str_radix(first(name)?, 16).ok();
    if matches!(first("State")?, "Z" | "X") {
        return None;
    }
    Some(Process {
        pid,
        parent: first("PPid")?.parse().ok()?,
        uid: first("Uid")?.parse().ok()?,
        gid: first("Gid")?.parse().ok()?,
        groups: line("Groups")?.split_ascii_whitespace().filter_map(|gid| gid.parse().ok()).collect(),
        // Since Linux 4.10.
        no_new_privs: first("NoNewPrivs") == Some("1"),
        bounding: set("CapBnd")?,
        effective: set("CapEff")?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATUS: &str = "Name:\tevil\nState:\tS (sleeping)\nTgid:\t12\nPid:\t12\nPPid:\t1\nUid:\t1000\t1000\t1000\t1000\n\
        Gid:\t1001\t1001\t1001\t1001\nGroups:\t10 999 \nCapPrm:\t0\nCapEff:\t0000000000000021\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\n";

    #[test]
    fn a_status_is_parsed() {
        let found = parse(12, STATUS).unwrap();
        let expected = Process {
            pid: 12,
            parent: 1,
            uid: 1000,
            gid: 1001,
            groups: vec![10, 999],
            no_new_privs: true,
            bounding: 0xa804_25fb,
            effective: 0x21,
        };
        assert_eq!(found, expected);
        assert_eq!(parse(12, &STATUS.replace("S (sleeping)", "Z (zombie)")), None);
        assert_eq!(parse(12, &STATUS.replace("PPid:", "PPod:")), None);
        assert!(parse(12, &STATUS.replace("Groups:\t10 999 ", "Groups:\t ")).unwrap().groups.is_empty());
    }

    #[test]
    fn this_process_is_found() {
        let this = Process::this().unwrap();
        assert_eq!((this.uid, this.parent), (crate::sys::privilege::current().0, crate::sys::process::parent_id()));
        assert!(!command_line(this.pid).is_empty());
    }

    proptest! {
        #[test]
        fn any_status_is_parsed_without_panic(text in "([A-Za-z]{0,6}:\t?[0-9a-z ]{0,12}\n){0,6}") {
            let _ = parse(1, &text);
        }
    }
}
