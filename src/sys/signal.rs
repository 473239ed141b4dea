//! Signals: numbers, names, the mask, and a descriptor to read them from.
//!
//! signalfd(2) is used and not handlers. Every catchable signal is forwarded, including SIGSEGV and the like if a user
//! sent it, and a blocked signal costs nothing until it comes. See `docs/decisions.md`.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::str::FromStr;
use std::{fmt, io, ptr};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::read;

/// A signal number, 1 to 64. nix's enum has no real-time signals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

/// The real-time signals as glibc, docker and kill(1) count them. musl reserves 34 and begins at 35, but `RTMIN+3` must
/// not depend on how this binary was built.
const SIGRTMIN: i32 = 34;
const SIGRTMAX: i32 = 64;

/// A set of signals in the kernel's form. libc's functions leave out the signals that libc reserves (32 and 33, in musl
/// also 34). A process that is sent one of those would die, and no thread here needs them.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Set(u64);

impl Set {
    const ALL: Set = Set(u64::MAX);
    /// The size of a set, as the kernel wants it.
    const SIZE: usize = size_of::<Set>();

    fn from_signals(signals: &[Signal]) -> Set {
        Set(signals.iter().fold(0, |set, signal| set | 1 << (signal.0 - 1)))
    }

    /// Changes the signal mask by this set (`rt_sigprocmask(2)`), and returns the previous mask.
    fn mask(self, how: libc::c_int) -> io::Result<Set> {
        let mut before = Set(0);
        let (set, old) = (&raw const self, &raw mut before);
        // SAFETY: both pointers are to sets of the size that is passed, and live until the call returns.
        Errno::result(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, set, old, Set::SIZE) })?;
        Ok(before)
    }

    /// A descriptor that reads these signals without blocking (signalfd(2)).
    fn descriptor(self) -> io::Result<OwnedFd> {
        let (flags, set) = (libc::SFD_NONBLOCK | libc::SFD_CLOEXEC, &raw const self);
        // SAFETY: the pointer is to a set of the size that is passed, and lives until the call returns.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_signalfd4, -1, set, Set::SIZE, flags) })?;
        let fd = i32::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the kernel has just made it, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// The names and numbers of the classic signals on Linux (signal(7)).
const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

impl Signal {
    pub const CHLD: Signal = Signal(libc::SIGCHLD);
    pub const CONT: Signal = Signal(libc::SIGCONT);
    /// The terminal has hung up.
    pub const HUP: Signal = Signal(libc::SIGHUP);
    /// Ctrl-C.
    pub const INT: Signal = Signal(libc::SIGINT);
    /// Ctrl-\.
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    pub const KILL: Signal = Signal(libc::SIGKILL);
    pub const STOP: Signal = Signal(libc::SIGSTOP);
    pub const TERM: Signal = Signal(libc::SIGTERM);
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    pub const WINCH: Signal = Signal(libc::SIGWINCH);

    /// The signal with this number, if Linux has it.
    pub fn from_number(number: i32) -> Option<Signal> {
        (1..=SIGRTMAX).contains(&number).then_some(Signal(number))
    }

    /// Whether it can be caught and is not SIGCHLD.
    pub fn can_be_forwarded(self) -> bool {
        !matches!(self, Signal::KILL | Signal::STOP | Signal::CHLD)
    }

    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None if self.0 >= SIGRTMIN => write!(f, "SIGRTMIN+{}", self.0 - SIGRTMIN),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The accepted forms, for error messages.
pub const SIGNAL_FORMS: &str = "a name with or without SIG (TERM, SIGUSR1, RTMIN+3, RTMAX-1) or a number";

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Signal, String> {
        let unknown = || format!("unknown signal '{text}': use {SIGNAL_FORMS}");
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().and_then(Signal::from_number).ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let real_time = |base: i32, rest: &str, sign: i32| -> Option<Signal> {
            let offset = if rest.is_empty() { 0 } else { rest.get(1..)?.parse::<i32>().ok()? * sign };
            let number = base + offset;
            (SIGRTMIN..=SIGRTMAX).contains(&number).then_some(Signal(number))
        };
        let found = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
            (Some(rest), _) if rest.is_empty() || rest.starts_with('+') => real_time(SIGRTMIN, rest, 1),
            (_, Some(rest)) if rest.is_empty() || rest.starts_with('-') => real_time(SIGRTMAX, rest, -1),
            _ => match name {
                "POLL" => Some(Signal(libc::SIGIO)),
                "IOT" => Some(Signal(libc::SIGABRT)),
                "CLD" => Some(Signal::CHLD),
                _ => NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| Signal(*number)),
            },
        };
        found.ok_or_else(unknown)
    }
}

/// The signal mask that we were started with, for the agent.
#[derive(Clone, Copy)]
pub struct Inherited {
    mask: Set,
}

impl Inherited {
    /// The current mask, for a command that does not take over signals.
    pub fn current() -> io::Result<Inherited> {
        Ok(Inherited { mask: Set(0).mask(libc::SIG_BLOCK)? })
    }

    /// Restores the mask, and resets SIGCHLD and SIGPIPE to their defaults: our entry point ignores SIGPIPE, and an
    /// ignored SIGCHLD breaks wait(2) in programs that do not expect it. For the child, before exec.
    pub fn restore(&self) -> io::Result<()> {
        default_disposition(libc::SIGCHLD)?;
        default_disposition(libc::SIGPIPE)?;
        self.mask.mask(libc::SIG_SETMASK)?;
        Ok(())
    }
}

/// Waits for a signal whose default action ends a process. Blocks all signals.
pub fn wait_for_end() -> io::Result<()> {
    /// Signals that are ignored or stop a process by default (signal(7)).
    const OTHERS: [i32; 7] =
        [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    static ALL: Set = Set::ALL;
    ALL.mask(libc::SIG_BLOCK)?;
    loop {
        let (set, no_info) = (&raw const ALL, ptr::null_mut::<libc::siginfo_t>());
        let no_limit = ptr::null::<libc::timespec>();
        // SAFETY: the set lives as long as the program and has the size that is passed; nothing else is asked for.
        match Errno::result(unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, set, no_info, no_limit, Set::SIZE) }) {
            Ok(signal) if OTHERS.iter().all(|other| i64::from(*other) != signal) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn default_disposition(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_DFL installs no handler, so no code of ours runs in signal context.
    let previous = unsafe { libc::signal(signal, libc::SIG_DFL) };
    if previous == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// All signals, blocked and readable. The only receiver of signals in this process.
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Blocks all signals and opens a descriptor for them. First resets SIGCHLD to its default: while it is ignored, as
    /// parents like `nohup` leave it, the kernel itself reaps children, and an init waits forever. Fails if no
    /// descriptor or memory is left.
    pub fn take_over() -> io::Result<(Signals, Inherited)> {
        default_disposition(libc::SIGCHLD)?;
        let mask = Set::ALL.mask(libc::SIG_BLOCK)?;
        Ok((Signals { fd: Set::ALL.descriptor()? }, Inherited { mask }))
    }

    /// The next pending signal. Never blocks. Fails only for lack of memory.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        next(&self.fd)
    }

    /// A descriptor for these signals only. Others stay pending. Fails if no descriptor or memory is left.
    pub fn only(&self, signals: &[Signal]) -> io::Result<SomeSignals> {
        Ok(SomeSignals(Set::from_signals(signals).descriptor()?))
    }

    /// Takes this signal, if it is pending. [`Signals::next`] returns the lowest number first, and does not reach this
    /// signal while a lower one is sent faster than it is read.
    pub fn take(&self, signal: Signal) -> bool {
        let (set, no_time) = (Set::from_signals(&[signal]), libc::timespec { tv_sec: 0, tv_nsec: 0 });
        let (set, no_time, no_info) = (&raw const set, &raw const no_time, ptr::null_mut::<libc::siginfo_t>());
        // SAFETY: the pointers live until the call returns, the set has the size that is passed; no siginfo is asked
        // for.
        let taken = unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, set, no_info, no_time, Set::SIZE) };
        taken == i64::from(signal.0)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Some of the signals that [`Signals`] blocks. See [`Signals::only`].
pub struct SomeSignals(OwnedFd);

impl SomeSignals {
    /// The next pending one of these signals. Never blocks.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        next(&self.0)
    }
}

impl AsFd for SomeSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn next(fd: &OwnedFd) -> io::Result<Option<Signal>> {
    // A whole signalfd_siginfo. It begins with the number, in 32 bits.
    let mut info = [0; size_of::<libc::signalfd_siginfo>()];
    match read(fd, &mut info) {
        Ok(_) => Ok(info.first_chunk().and_then(|number| Signal::from_number(i32::from_ne_bytes(*number)))),
        // EINTR: a pending signal keeps the descriptor readable.
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_form_is_parsed() {
        let rows = [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("15", 15),
            ("USR1", 10),
            ("POLL", 29),
            ("RTMIN", SIGRTMIN),
            ("SIGRTMIN+3", SIGRTMIN + 3),
            ("RTMAX-1", SIGRTMAX - 1),
            ("64", 64),
        ];
        for (text, number) in rows {
            assert_eq!(text.parse::<Signal>().map(Signal::number), Ok(number), "{text}");
        }
        for text in ["", "0", "65", "-1", "TERMINATE", "RTMIN+99", "RTMIN-1", "RTMAX+1", "99999999999", "RTMIN+", "SIG"]
        {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_round_trip() {
        for number in 1..=SIGRTMAX {
            let signal = Signal(number);
            if !(32..SIGRTMIN).contains(&number) {
                assert_eq!(signal.to_string().parse::<Signal>(), Ok(signal));
            }
        }
    }
}
