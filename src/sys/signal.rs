//! Signals: numbers, names, the mask, and a descriptor to read them from.
//!
//! signalfd rather than handlers: every catchable signal is forwarded, SIGSEGV and its kin included when a user sent
//! them, and a blocked signal costs nothing until it comes. See `docs/decisions.md`.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::str::FromStr;

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// A signal number, 1 to `SIGRTMAX`: nix's enum knows no real-time signals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

/// Names and numbers of the classic signals on Linux (signal(7)).
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
    /// SIGCHLD.
    pub const CHLD: Signal = Signal(libc::SIGCHLD);
    /// SIGCONT.
    pub const CONT: Signal = Signal(libc::SIGCONT);
    /// The terminal has gone.
    pub const HUP: Signal = Signal(libc::SIGHUP);
    /// Ctrl-C.
    pub const INT: Signal = Signal(libc::SIGINT);
    /// Ctrl-\.
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    /// SIGKILL.
    pub const KILL: Signal = Signal(libc::SIGKILL);
    /// SIGSTOP.
    pub const STOP: Signal = Signal(libc::SIGSTOP);
    /// SIGTERM.
    pub const TERM: Signal = Signal(libc::SIGTERM);
    /// SIGUSR1.
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    /// SIGWINCH.
    pub const WINCH: Signal = Signal(libc::SIGWINCH);

    /// The signal of this number, if Linux has one.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Signal> {
        (1..=libc::SIGRTMAX()).contains(&number).then_some(Signal(number))
    }

    /// Whether it can be caught, and is not the one that says that a child changed.
    #[must_use]
    pub fn can_be_forwarded(self) -> bool {
        !matches!(self, Signal::KILL | Signal::STOP | Signal::CHLD)
    }

    /// The number, as kill(2) takes it.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None if self.0 >= libc::SIGRTMIN() => write!(f, "SIGRTMIN+{}", self.0 - libc::SIGRTMIN()),
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
        let unknown = || format!("'{text}' is no signal: use {SIGNAL_FORMS}");
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().and_then(Signal::from_number).ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let real_time = |base: i32, rest: &str, sign: i32| -> Option<Signal> {
            let offset = if rest.is_empty() { 0 } else { rest.get(1..)?.parse::<i32>().ok()? * sign };
            let number = base + offset;
            (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number).then_some(Signal(number))
        };
        let found = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
            (Some(rest), _) if rest.is_empty() || rest.starts_with('+') => real_time(libc::SIGRTMIN(), rest, 1),
            (_, Some(rest)) if rest.is_empty() || rest.starts_with('-') => real_time(libc::SIGRTMAX(), rest, -1),
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

/// The signal mask and the one disposition that we were started with, to hand on to the agent.
#[derive(Clone, Copy)]
pub struct Inherited {
    mask: SigSet,
}

impl Inherited {
    /// The mask in force, for a program that takes no signal over.
    ///
    /// # Errors
    /// As sigprocmask(2), which does not fail with these arguments.
    pub fn current() -> io::Result<Inherited> {
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut mask))?;
        Ok(Inherited { mask })
    }

    /// Restores the mask, and makes SIGCHLD and SIGPIPE default: Rust's runtime ignores SIGPIPE, and an ignored
    /// SIGCHLD makes wait(2) useless in any program that is not written for it. For the child, before exec.
    ///
    /// # Errors
    /// As sigprocmask(2) and sigaction(2), neither of which fails with these arguments.
    pub fn restore(&self) -> io::Result<()> {
        default_disposition(libc::SIGCHLD)?;
        default_disposition(libc::SIGPIPE)?;
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None)?;
        Ok(())
    }
}

fn default_disposition(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_DFL installs no handler, so no code of ours runs in signal context.
    let previous = unsafe { libc::signal(signal, libc::SIG_DFL) };
    if previous == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// All signals, blocked and readable. The one owner of signal delivery in this process.
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks every signal and opens a descriptor for them. SIGCHLD becomes default first: while it is ignored (as
    /// `nohup`-like parents leave it) the kernel reaps children itself and an init waits for ever.
    ///
    /// # Errors
    /// As signalfd(2): no descriptor or no memory left.
    pub fn take_over() -> io::Result<(Signals, Inherited)> {
        default_disposition(libc::SIGCHLD)?;
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut mask))?;
        let fd = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok((Signals { fd }, Inherited { mask }))
    }

    /// The next pending signal, without waiting.
    ///
    /// # Errors
    /// As read(2) on a signalfd, which fails only for reasons of memory.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        next(&self.fd)
    }

    /// A descriptor for these signals alone: the others stay pending while they are read from it.
    ///
    /// # Errors
    /// As signalfd(2): no descriptor or no memory left.
    pub fn only(&self, signals: &[Signal]) -> io::Result<SomeSignals> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset fills the set before it is used; sigaddset refuses what is no signal's number.
        let set = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal.0);
            }
            SigSet::from_sigset_t_unchecked(set.assume_init())
        };
        Ok(SomeSignals(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// Whether this signal is pending, which it then is no longer. [`Signals::next`] gives the lowest number first, and
    /// does not come to this one while a lower one is sent faster than it is read.
    #[must_use]
    pub fn take(&self, signal: Signal) -> bool {
        let mut set = MaybeUninit::uninit();
        let no_time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: sigemptyset fills the set before it is used; the pointers live as long as the calls; no siginfo is asked for.
        let taken = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), signal.0);
            libc::sigtimedwait(set.as_ptr(), std::ptr::null_mut(), &raw const no_time)
        };
        taken == signal.0
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Some of the signals that [`Signals`] blocks. See [`Signals::only`].
pub struct SomeSignals(SignalFd);

impl SomeSignals {
    /// The next of them that is pending, without waiting.
    ///
    /// # Errors
    /// As [`Signals::next`].
    pub fn next(&self) -> io::Result<Option<Signal>> {
        next(&self.0)
    }
}

impl AsFd for SomeSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn next(fd: &SignalFd) -> io::Result<Option<Signal>> {
    match fd.read_signal() {
        Ok(Some(info)) => Ok(i32::try_from(info.ssi_signo).ok().and_then(Signal::from_number)),
        Ok(None) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_form() {
        let rows = [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("15", 15),
            ("USR1", 10),
            ("POLL", 29),
            ("RTMIN", libc::SIGRTMIN()),
            ("SIGRTMIN+3", libc::SIGRTMIN() + 3),
            ("RTMAX-1", libc::SIGRTMAX() - 1),
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
        for number in 1..=libc::SIGRTMAX() {
            let signal = Signal(number);
            if number < 32 || number >= libc::SIGRTMIN() {
                assert_eq!(signal.to_string().parse::<Signal>(), Ok(signal));
            }
        }
    }
}
