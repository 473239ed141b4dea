//! Processes: fork, exec, wait, kill, and what this process is to the kernel.

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
use crate::sys::wipe::Room;

/// Enough for our own steps, and less than malloc(3) would map anew each time.
const STACK: usize = 64 * 1024;

/// Where programs are looked for without a PATH, as execvpe(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// `PATH_MAX`: the kernel takes no longer path, its NUL included.
const LONGEST_PATH: usize = 4096;

/// A process id of a live or unreaped child, or of a process in our namespace.
pub type Pid = i32;

/// How a child ended or what else waitpid(2) said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// exit(3) with this code.
    Exited(u8),
    /// Ended by this signal number.
    Signaled(i32),
    /// Stopped by this signal number (job control).
    Stopped(i32),
}

/// What one look at the children found.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited {
    /// This child changed.
    Child(Pid, Change),
    /// There are children, and none has changed.
    Unchanged,
    /// There are no children.
    None,
}

/// One waitpid(2) for any child, without waiting.
///
/// The raw call: nix's has no answer for a child that a real-time signal ended.
///
/// # Errors
/// As waitpid(2), ECHILD and EINTR excepted.
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

/// Who gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One process.
    Process(Pid),
    /// A process group.
    Group(Pid),
    /// Every process that we may signal but ourselves: as PID 1 of a namespace, all of it.
    Everyone,
}

/// Sends a signal.
///
/// # Errors
/// As kill(2): ESRCH when nobody is left, EPERM when none of them may be signalled.
pub fn kill(target: Target, signal: Signal) -> io::Result<()> {
    let pid = match target {
        Target::Process(pid) if pid > 0 => pid,
        Target::Group(pid) if pid > 1 => -pid,
        Target::Everyone => -1,
        // kill(0) is our own group and kill(-1) is everyone: never by an odd number.
        Target::Process(_) | Target::Group(_) => return Err(Errno::ESRCH.into()),
    };
    // SAFETY: kill takes two integers and touches no memory of ours.
    Errno::result(unsafe { libc::kill(pid, signal.number()) })?;
    Ok(())
}

/// Runs `child` in a new process that shares our memory, on a stack of its own, while we wait until it executes a
/// program or ends (vfork(2)). What it writes to memory we see; descriptors, signals and credentials are its own.
/// Nothing is copied, so it costs half of a fork and its page faults. The child must allocate nothing: nobody would free it.
///
/// # Errors
/// As clone(2): EAGAIN at the limit of processes, ENOMEM.
pub fn vfork(child: &mut dyn FnMut() -> isize) -> io::Result<Pid> {
    extern "C" fn run(child: *mut libc::c_void) -> libc::c_int {
        // SAFETY: what `vfork` passed, which is borrowed until it returns.
        let child = unsafe { &mut *child.cast::<&mut dyn FnMut() -> isize>() };
        libc::c_int::try_from(child()).unwrap_or(libc::c_int::MAX)
    }
    let mut child = child;
    // Room that nobody clears: pages that are not touched cost nothing.
    let mut stack = Room::new(STACK)?;
    let top = stack.end();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // This process has one thread, and it sleeps until the child has executed a program or ended: the two never run at
    // once. The child returns into `_exit`. Its stack grows down from an end that is aligned as the ABI has it.
    // SAFETY: the stack and what `child` borrows outlive the child's use of them, which ends before this call does.
    let pid = unsafe { libc::clone(run, top.cast(), flags, (&raw mut child).cast()) };
    Ok(Errno::result(pid)?)
}

/// Ends this process now: no destructors, no flushing; for the forked child.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit never returns and runs nothing of ours.
    unsafe { libc::_exit(code) }
}

/// Arguments and environment as exec takes them, made before the fork: all that the child needs is there, and it allocates
/// nothing.
pub struct Program {
    argv: Words,
    environment: Words,
    /// The paths to try, in this order.
    candidates: Vec<CString>,
    /// `/bin/sh`, a place for the candidate, and the arguments: for a script without `#!`.
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
    /// The environment may hold credentials: they are the agent's from its exec on, and ours no longer.
    fn drop(&mut self) {
        for assignment in self.environment.texts.drain(..) {
            assignment.into_bytes().zeroize();
        }
    }
}

impl Program {
    /// Takes the environment over; `argv` must not be empty. The program is looked up on our own `PATH`.
    ///
    /// # Errors
    /// `InvalidInput` for a NUL byte inside a word, or no word at all.
    pub fn new(argv: &[OsString], environment: Vec<OsString>) -> io::Result<Program> {
        let name = argv.first().ok_or(io::ErrorKind::InvalidInput)?;
        let candidates = candidates(name, env::var_os("PATH").as_deref())?;
        let argv: io::Result<_> = argv.iter().map(|word| Ok(CString::new(word.as_bytes())?)).collect();
        let environment: io::Result<_> =
            environment.into_iter().map(|assignment| Ok(CString::new(assignment.into_vec())?)).collect();
        let mut program =
            Program { argv: Words::new(argv?), environment: Words::new(environment?), candidates, script: Vec::new() };
        program.lay_script_out();
        Ok(program)
    }

    fn lay_script_out(&mut self) {
        let arguments = self.argv.pointers.iter().skip(1).copied();
        self.script = [SHELL.as_ptr(), ptr::null()].into_iter().chain(arguments).map(Cell::new).collect();
    }

    /// Puts another word in the last one's place; a word with a NUL byte is none.
    pub fn set_last(&mut self, word: &str) {
        if let (Some(last), Ok(word)) = (self.argv.texts.last_mut(), CString::new(word)) {
            *last = word;
            self.argv = Words::new(mem::take(&mut self.argv.texts));
            self.lay_script_out();
        }
    }

    /// The program's name, for messages.
    pub fn name(&self) -> String {
        self.argv.texts.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Becomes the program, looked up as execvpe(3) does: a script without `#!` goes to /bin/sh. Allocates nothing. Returns
    /// only the error.
    pub fn exec(&self) -> io::Error {
        let mut refused = None;
        for candidate in &self.candidates {
            match self.exec_at(candidate) {
                // There may be another further on; if there is none, this one is worth a word.
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

/// What executes a script without `#!`.
const SHELL: &CStr = c"/bin/sh";

/// The paths at which execvpe(3) looks for a program: a name with a slash is one, and an empty directory is where we are.
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
    let fitting = joined.filter(|candidate| candidate.len() < LONGEST_PATH);
    fitting.map(|candidate| Ok(CString::new(candidate)?)).collect()
}

/// Whether this is the machine's own user namespace, which has every id: the kernel gives it this inode number
/// (`PROC_USER_INIT_INO` in `linux/proc_ns.h`), and one look is cheaper than two maps.
pub fn is_in_first_user_namespace() -> bool {
    stat::stat("/proc/self/ns/user").is_ok_and(|found| found.st_ino == 0xEFFF_FFFD)
}

/// Our process id; 1 in a container.
pub fn id() -> Pid {
    unistd::getpid().as_raw()
}

/// Our parent's; 0 when it is outside our namespace.
pub fn parent_id() -> Pid {
    unistd::getppid().as_raw()
}

/// Moves this process to a group of its own.
///
/// # Errors
/// As setpgid(2).
pub fn own_group() -> io::Result<()> {
    Ok(unistd::setpgid(unistd::Pid::from_raw(0), unistd::Pid::from_raw(0))?)
}

/// Makes these descriptors standard input, output and error, which exec keeps.
///
/// # Errors
/// As dup2(2).
pub fn standard_streams(stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>, stderr: BorrowedFd<'_>) -> io::Result<()> {
    unistd::dup2_stdin(stdin)?;
    unistd::dup2_stdout(stdout)?;
    Ok(unistd::dup2_stderr(stderr)?)
}

/// Orphans of our descendants become our children instead of PID 1's.
///
/// # Errors
/// EINVAL from a kernel before 3.4 and from qemu's emulation of one; EPERM from a seccomp filter that does not know it.
pub fn become_subreaper() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// The kernel sends `signal` when our parent dies. A parent that has died already sends none: compare
/// [`parent_id`] afterwards.
///
/// # Errors
/// As prctl(2).
pub fn on_parent_death(signal: Signal) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes an integer; no memory is passed. (nix's Signal has no real-time signals.)
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal.number(), 0, 0, 0) })?;
    Ok(())
}

/// No core dump of us, no ptrace, and /proc/PID/{environ,mem,fd} closed to processes of our own uid. Our own
/// /proc/self files then belong to root: a process that is not root reads what it needs of them before.
///
/// # Errors
/// As prctl(2).
pub fn set_undumpable() -> io::Result<()> {
    Ok(prctl::set_dumpable(false)?)
}

/// A core limit of 0 for this process; for the parent after the fork, so that the agent keeps its own limit.
///
/// # Errors
/// As setrlimit(2).
pub fn no_core() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    Ok(setrlimit(Resource::RLIMIT_CORE, 0, hard)?)
}

/// The children of a process, from /proc (`CONFIG_PROC_CHILDREN`), or of ourselves; empty when it cannot be read.
pub fn children_of(pid: Pid) -> Vec<Pid> {
    let task = Path::new("/proc").join(pid.to_string()).join("task");
    // Not std's read_dir: see `Listing`.
    let Ok(threads) = fs::File::open(&task).and_then(|task| Listing::of(task.into())) else { return Vec::new() };
    threads
        .map_while(Result::ok)
        .filter_map(|thread| fs::read_to_string(task.join(thread).join("children")).ok())
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<Pid>>())
        .collect()
}

/// Every descendant of ours that /proc shows, children first.
pub fn descendants() -> Vec<Pid> {
    descendants_of(id())
}

/// Every descendant of a process that /proc shows, children first.
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
    fn wait_statuses() {
        // wait(2): low seven bits the signal, 0x80 the core flag, 0x7f stopped, else the exit code above.
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
    fn programs_are_looked_for_as_execvpe_does() {
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
        let long = "/".repeat(LONGEST_PATH);
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
    fn odd_targets_never_become_broadcasts() {
        for target in [Target::Process(0), Target::Process(-1), Target::Group(0), Target::Group(1), Target::Group(-5)] {
            assert_eq!(kill(target, Signal::CONT).map_err(|e| e.raw_os_error()), Err(Some(libc::ESRCH)));
        }
    }
}
