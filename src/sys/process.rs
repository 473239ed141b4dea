//! Processes: fork, exec, wait, kill, and settings of this process.

use std::cell::Cell;
use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::{env, fs, io, mem, ptr};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::{prctl, stat};
use nix::{libc, unistd};
use zeroize::Zeroize;

use crate::sys::listing::Listing;
use crate::sys::signal::Signal;
use crate::sys::wipe::StackMemory;

/// Enough for the child's steps, and less than malloc(3) would map for each call.
const STACK_SIZE: usize = 64 * 1024;

/// The default of execvpe(3) without PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// `PATH_MAX`, the maximum length of a path with its NUL.
const MAX_PATH: usize = 4096;

pub type Pid = i32;

/// A change of a child's state, from waitpid(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Exited with this code.
    Exited(u8),
    /// Killed by this signal number.
    Signaled(i32),
    /// Stopped by this signal number (job control).
    Stopped(i32),
}

/// The result of `wait_any`.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited {
    Child(Pid, Change),
    /// There are children, and none has changed its state.
    Unchanged,
    /// There are no children.
    None,
}

/// Calls waitpid(2) for any child, without waiting.
///
/// Not nix's function, which cannot represent a child that a real-time signal killed.
pub fn wait_any() -> io::Result<Waited> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for one int for the length of the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
        return match pid {
            0 => Ok(Waited::Unchanged),
            -1 => match Errno::last() {
                Errno::EINTR => continue,
                Errno::ECHILD => Ok(Waited::None),
                errno => Err(errno.into()),
            },
            pid => match decode(status) {
                Some(change) => Ok(Waited::Child(pid, change)),
                None => continue,
            },
        };
    }
}

fn decode(status: i32) -> Option<Change> {
    if libc::WIFEXITED(status) {
        u8::try_from(libc::WEXITSTATUS(status)).ok().map(Change::Exited)
    } else if libc::WIFSIGNALED(status) {
        Some(Change::Signaled(libc::WTERMSIG(status)))
    } else if libc::WIFSTOPPED(status) {
        Some(Change::Stopped(libc::WSTOPSIG(status)))
    } else {
        None
    }
}

/// The receiver of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Process(Pid),
    Group(Pid),
    /// Every process that we may signal but ourselves. For PID 1 of a namespace, that is the whole namespace.
    Everyone,
}

/// Sends a signal. ESRCH if nobody is left, EPERM if none of the receivers may be signalled.
pub fn kill(target: Target, signal: Signal) -> io::Result<()> {
    let pid = match target {
        Target::Process(pid) if pid > 0 => pid,
        Target::Group(pid) if pid > 1 => -pid,
        Target::Everyone => -1,
        // kill(0) means our own group and kill(-1) everyone. A bad number must never become one of them.
        Target::Process(_) | Target::Group(_) => return Err(Errno::ESRCH.into()),
    };
    // SAFETY: kill takes two integers and touches no memory of ours.
    Errno::result(unsafe { libc::kill(pid, signal.number()) })?;
    Ok(())
}

/// Runs `child` in a new process that shares our memory, on a stack of its own, and waits until it executes a program
/// or ends (vfork(2)). We see what it writes to memory. Its descriptors, signals and credentials are its own. Nothing
/// is copied, so it takes half of the time of a fork and its page faults. The child must not allocate: nobody would
/// free it.
///
/// EAGAIN at the limit of processes.
pub fn vfork(child: &mut dyn FnMut() -> isize) -> io::Result<Pid> {
    extern "C" fn run(child: *mut libc::c_void) -> libc::c_int {
        // SAFETY: what `vfork` passed, which is borrowed until it returns.
        let child = unsafe { &mut *child.cast::<&mut dyn FnMut() -> isize>() };
        libc::c_int::try_from(child()).unwrap_or(libc::c_int::MAX)
    }
    let mut child = child;
    // Not cleared: pages that are not touched cost nothing.
    let mut stack = StackMemory::new(STACK_SIZE)?;
    let top = stack.end();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // This process has one thread, and it sleeps until the child has executed a program or ended: the two never run at
    // once. The child returns into `_exit`. Its stack grows down from an end that is aligned as the ABI has it.
    // SAFETY: the stack and what `child` borrows outlive the child's use of them, which ends before this call does.
    let pid = unsafe { libc::clone(run, top.cast(), flags, (&raw mut child).cast()) };
    Ok(Errno::result(pid)?)
}

/// Ends this process without destructors and flushing. For the forked child.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit never returns and runs nothing of ours.
    unsafe { libc::_exit(code) }
}

/// Arguments and environment in the form that exec takes, made before the fork so that the child need not allocate.
pub struct Program {
    argv: Words,
    environment: Words,
    /// The paths to try, in order.
    candidates: Vec<CString>,
    /// `/bin/sh`, a slot for the path, and the arguments: for a script without `#!`.
    script: Vec<Cell<*const c_char>>,
}

/// Strings, and the array of pointers to them that ends with a null pointer.
struct Words {
    texts: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Words {
    fn new(texts: Vec<CString>) -> Words {
        let pointers = texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Words { texts, pointers }
    }
}

impl Drop for Program {
    /// Wipes the environment, which may hold credentials. From the exec on they are the agent's.
    fn drop(&mut self) {
        for assignment in self.environment.texts.drain(..) {
            assignment.into_bytes().zeroize();
        }
    }
}

impl Program {
    /// Takes over the environment. The program is looked up on our own `PATH`. Fails with `InvalidInput` for an empty
    /// `argv`, or for a word with a NUL byte.
    pub fn new(argv: &[OsString], environment: Vec<OsString>) -> io::Result<Program> {
        let name = argv.first().ok_or(io::ErrorKind::InvalidInput)?;
        let candidates = candidates(name, env::var_os("PATH").as_deref())?;
        let argv: io::Result<_> = argv.iter().map(|word| Ok(CString::new(word.as_bytes())?)).collect();
        let environment: io::Result<_> =
            environment.into_iter().map(|assignment| Ok(CString::new(assignment.into_vec())?)).collect();
        let mut program =
            Program { argv: Words::new(argv?), environment: Words::new(environment?), candidates, script: Vec::new() };
        program.set_script();
        Ok(program)
    }

    fn set_script(&mut self) {
        let arguments = self.argv.pointers.iter().skip(1).copied();
        self.script = [SHELL.as_ptr(), ptr::null()].into_iter().chain(arguments).map(Cell::new).collect();
    }

    /// Replaces the last word. Does nothing for a word with a NUL byte.
    pub fn set_last(&mut self, word: &str) {
        if let (Some(last), Ok(word)) = (self.argv.texts.last_mut(), CString::new(word)) {
            *last = word;
            self.argv = Words::new(mem::take(&mut self.argv.texts));
            self.set_script();
        }
    }

    /// The program's name, for messages.
    pub fn name(&self) -> String {
        self.argv.texts.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Becomes the program, looked up like execvpe(3): a script without `#!` goes to /bin/sh. Does not allocate.
    /// Returns only on failure.
    pub fn exec(&self) -> io::Error {
        let mut refused = None;
        for candidate in &self.candidates {
            match self.exec_at(candidate) {
                // A later directory may have another program. If none has, this error is the one to report.
                Errno::EACCES => refused = Some(Errno::EACCES),
                Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT => {}
                errno => return errno.into(),
            }
        }
        refused.unwrap_or(Errno::ENOENT).into()
    }

    fn exec_at(&self, path: &CStr) -> Errno {
        // SAFETY: both arrays end with a null pointer, and what they point to lives as long as `self`.
        unsafe { libc::execve(path.as_ptr(), self.argv.pointers.as_ptr(), self.environment.pointers.as_ptr()) };
        let errno = Errno::last();
        let (Errno::ENOEXEC, Some(place)) = (errno, self.script.get(1)) else { return errno };
        place.set(path.as_ptr());
        // SAFETY: as above; a `Cell<T>` lies in memory as its `T` does, and nobody else looks at it meanwhile.
        unsafe { libc::execve(SHELL.as_ptr(), self.script.as_ptr().cast(), self.environment.pointers.as_ptr()) };
        Errno::last()
    }
}

/// The interpreter of a script without `#!`.
const SHELL: &CStr = c"/bin/sh";

/// The paths at which execvpe(3) looks for a program. A name with a slash is a path; an empty directory is the current
/// one.
fn candidates(name: &OsStr, path: Option<&OsStr>) -> io::Result<Vec<CString>> {
    let name = name.as_bytes();
    if name.is_empty() {
        return Ok(Vec::new());
    }
    if name.contains(&b'/') {
        return Ok(vec![CString::new(name)?]);
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH)).as_bytes();
    let joined = path.split(|byte| *byte == b':').map(|directory| match directory {
        b"" => name.to_vec(),
        directory => [directory, b"/", name].concat(),
    });
    let fitting = joined.filter(|candidate| candidate.len() < MAX_PATH);
    fitting.map(|candidate| Ok(CString::new(candidate)?)).collect()
}

/// Whether this is the machine's initial user namespace, which has every id. The kernel gives it this inode number
/// (`PROC_USER_INIT_INO` in `linux/proc_ns.h`), and one stat(2) is cheaper than reading two maps.
pub fn is_in_first_user_namespace() -> bool {
    stat::stat("/proc/self/ns/user").is_ok_and(|found| found.st_ino == 0xEFFF_FFFD)
}

/// Our process id, which is 1 in a container.
pub fn id() -> Pid {
    unistd::getpid().as_raw()
}

/// What tells this process from every other one of the machine: its pid namespace, its id in it, and when it started.
/// What /proc does not tell is left out.
pub fn identity() -> String {
    let namespace = stat::stat("/proc/self/ns/pid").map_or(0, |found| found.st_ino);
    let started = started("self").map(|ticks| ticks.to_string()).unwrap_or_default();
    format!("{namespace} {} {started}", id())
}

/// When this process started, in clock ticks after the boot. Two processes with the same id differ in it.
pub fn own_start() -> Option<u64> {
    started("self")
}

/// The same for another process. Every user may read it.
pub fn start_of(pid: Pid) -> Option<u64> {
    started(&pid.to_string())
}

fn started(process: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The 22nd field of proc_pid_stat(5). The second one may hold spaces, and ends with the last parenthesis.
    text.rsplit(')').next()?.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The host name: in a container its own, which is the container's id or the pod's name unless somebody chose another.
pub fn host_name() -> String {
    nix::sys::utsname::uname().map(|names| names.nodename().to_string_lossy().into_owned()).unwrap_or_default()
}

/// Our parent's process id, which is 0 if it is outside our namespace.
pub fn parent_id() -> Pid {
    unistd::getppid().as_raw()
}

/// Moves this process to a process group of its own.
pub fn own_group() -> io::Result<()> {
    Ok(unistd::setpgid(unistd::Pid::from_raw(0), unistd::Pid::from_raw(0))?)
}

/// Makes these descriptors standard input, output and error, which survive exec.
pub fn standard_streams(stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>, stderr: BorrowedFd<'_>) -> io::Result<()> {
    unistd::dup2_stdin(stdin)?;
    unistd::dup2_stdout(stdout)?;
    Ok(unistd::dup2_stderr(stderr)?)
}

/// Makes standard output the same as standard error.
pub fn stdout_to_stderr() -> io::Result<()> {
    Ok(unistd::dup2_stdout(io::stderr())?)
}

/// Makes a directory the current one. Does not allocate.
pub fn enter(directory: BorrowedFd<'_>) -> io::Result<()> {
    Ok(unistd::fchdir(directory)?)
}

/// Makes orphans of our descendants our children instead of PID 1's. EINVAL from kernels before 3.4 and from qemu's
/// emulation; EPERM from a seccomp filter that does not know the call.
pub fn become_subreaper() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Makes the kernel send `signal` when our parent dies. A parent that has died already does not count: compare
/// [`parent_id`] afterwards.
pub fn on_parent_death(signal: Signal) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes an integer; no memory is passed. (nix's Signal has no real-time signals.)
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal.number(), 0, 0, 0) })?;
    Ok(())
}

/// Forbids core dumps and ptrace, and closes /proc/PID/{environ,mem,fd} to processes of our own uid. Our own /proc/self
/// files then belong to root, so a process that is not root must read them before.
pub fn set_undumpable() -> io::Result<()> {
    Ok(prctl::set_dumpable(false)?)
}

/// Sets the core limit of this process to 0. For the parent after the fork, so that the agent keeps its own limit.
pub fn no_core() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    Ok(setrlimit(Resource::RLIMIT_CORE, 0, hard)?)
}

/// The children of a process, from /proc (`CONFIG_PROC_CHILDREN`). Empty if they cannot be read.
pub fn children_of(pid: Pid) -> Vec<Pid> {
    let task = Path::new("/proc").join(pid.to_string()).join("task");
    // Not std's read_dir: see `Listing`.
    let Ok(threads) = fs::File::open(&task).and_then(|task| Listing::open(task.into())) else { return Vec::new() };
    threads
        .map_while(Result::ok)
        .filter_map(|thread| fs::read_to_string(task.join(thread).join("children")).ok())
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<Pid>>())
        .collect()
}

/// Our descendants, from /proc, children first.
pub fn descendants() -> Vec<Pid> {
    descendants_of(id())
}

/// The descendants of a process, from /proc, children first.
pub fn descendants_of(pid: Pid) -> Vec<Pid> {
    let mut found = children_of(pid);
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        let children = children_of(pid);
        found.extend(children.into_iter().filter(|child| *child > 1));
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses_are_decoded() {
        // wait(2): the low seven bits are the signal, 0x80 is the core flag, 0x7f means stopped, and the exit code is
        // above.
        let rows = [
            (0x0000, Some(Change::Exited(0))),
            (0x0700, Some(Change::Exited(7))),
            (0xff00, Some(Change::Exited(255))),
            (0x0009, Some(Change::Signaled(9))),
            (0x008b, Some(Change::Signaled(11))),
            (0x0022, Some(Change::Signaled(34))),
            (0x137f, Some(Change::Stopped(19))),
            (0xffff, None),
        ];
        for (status, change) in rows {
            assert_eq!(decode(status), change, "{status:#06x}");
        }
    }

    #[test]
    fn programs_are_searched_like_execvpe() {
        let rows: [(&str, Option<&str>, &[&str]); 8] = [
            ("x", Some("/a:/b"), &["/a/x", "/b/x"]),
            ("x", Some("/a::/b"), &["/a/x", "x", "/b/x"]),
            ("x", Some("/a:"), &["/a/x", "x"]),
            ("x", Some(""), &["x"]),
            ("x", None, &["/bin/x", "/usr/bin/x"]),
            ("./x", Some("/a"), &["./x"]),
            ("/x", Some("/a"), &["/x"]),
            ("", Some("/a"), &[]),
        ];
        for (name, path, expected) in rows {
            let found = candidates(name.as_ref(), path.map(OsStr::new)).unwrap();
            let expected: Vec<CString> = expected.iter().map(|path| CString::new(*path).unwrap()).collect();
            assert_eq!(found, expected, "{name} {path:?}");
        }
        let long = "/".repeat(MAX_PATH);
        assert_eq!(candidates("x".as_ref(), Some(long.as_ref())).unwrap(), Vec::<CString>::new());
    }

    #[test]
    fn the_last_word_is_replaced_in_both_arrays() {
        let mut program = Program::new(&["a".into(), "b".into()], vec!["N=v".into()]).unwrap();
        program.set_last("c");
        let words = |pointers: &[*const c_char]| -> Vec<String> {
            let texts = pointers.iter().take_while(|pointer| !pointer.is_null());
            // SAFETY: each points to a string that `program` holds.
            texts.map(|text| unsafe { CStr::from_ptr(*text) }.to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(words(&program.argv.pointers), ["a", "c"]);
        let script: Vec<_> = program.script.iter().map(Cell::get).collect();
        assert_eq!(words(&script), ["/bin/sh"]);
        assert_eq!(words(script.get(2..).unwrap()), ["c"]);
        assert_eq!((program.environment.pointers.len(), script.last()), (2, Some(&ptr::null())));
    }

    #[test]
    fn bad_targets_never_become_broadcasts() {
        for target in [Target::Process(0), Target::Process(-1), Target::Group(0), Target::Group(1), Target::Group(-5)] {
            assert_eq!(kill(target, Signal::CONT).map_err(|e| e.raw_os_error()), Err(Some(libc::ESRCH)));
        }
    }
}
