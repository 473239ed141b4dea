//! Starts the agent: process group, terminal, user, capabilities, signal mask, execve(2).
//!
//! The process has one thread, which sleeps until the child has executed the command or failed. Both share their
//! memory, so the parent simply reads which step failed. The child must not allocate: nobody would free its memory
//! after the exec.

pub mod deliver;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::account::Identity;
use crate::error::{EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, Failure, reason};
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::looks;
use crate::looks::Look;
use crate::plan::Enforcement;
use crate::sys::process::{Pid, Program};
use crate::sys::pty::Slave;
use crate::sys::signal::{Inherited, Signal};
use crate::sys::terminal::Terminal;
use crate::sys::{errno, privilege, process};

pub struct Launch<'l> {
    /// The command line and environment.
    pub program: Program,
    /// The command as the operator wrote it, for messages.
    pub command: &'l OsString,
    /// The user to become, and the privileges to drop.
    pub privilege_drop: PrivilegeDrop<'l>,
    pub terminal: Tty<'l>,
    /// The signal mask to restore.
    pub inherited: Inherited,
}

#[derive(Clone, Copy)]
pub enum Tty<'l> {
    /// Our terminal. The agent becomes its foreground process group, if we are that.
    Lent(Option<&'l Terminal>),
    /// A terminal of the agent's own. The agent leads its session.
    Own(&'l Slave),
}

/// The change from our privileges to the agent's.
#[derive(Debug, Clone, Copy)]
pub struct PrivilegeDrop<'l> {
    pub identity: &'l Identity,
    /// Whether user and groups are set at all.
    pub changes_user: bool,
    /// Whether to drop the bounding set and the capabilities.
    pub drop_caps: Enforcement,
    /// Whether to set `no_new_privs`.
    pub no_new_privs: Enforcement,
}

/// A step of the child before execve(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Group,
    Terminal,
    Session,
    Groups,
    Gid,
    BoundingSet,
    Uid,
    Capabilities,
    NoNewPrivileges,
    Mask,
    Exec,
}

impl Launch<'_> {
    /// Starts the agent, and returns its process id once it has executed the command. Logs a warning if a step failed
    /// that the agent can do without. After an error the child is a zombie, which the next wait or our own end reaps.
    pub fn start(&self, reporter: Reporter) -> anyhow::Result<Pid> {
        let parent = process::id();
        let (mut failed, mut unbound_reason) = (None, None);
        let child = process::vfork(&mut || {
            failed = Some(self.run_steps(parent, &mut unbound_reason));
            isize::from(EXIT_NOT_EXECUTABLE)
        });
        let child = child.map_err(|error| fork_failure(&error))?;
        if let Some(error) = unbound_reason
            && failed.is_none()
        {
            let text = format!("the agent will keep running if agent-init is killed: {}", reason(&error));
            let hint = "make agent-init the ENTRYPOINT: the end of PID 1 ends the agent too";
            reporter.say(&Message::warning(text).event(EventKey::SystemCallFailed).hint(hint));
        }
        match failed {
            None => Ok(child),
            Some((step, error)) => Err(self.failure_of(step, &error).into()),
        }
    }

    /// Runs the steps and returns the one that failed: the last step returns only on failure. `unbound_reason` gets the
    /// error if the agent could not be made to end with agent-init.
    fn run_steps(&self, parent: Pid, unbound_reason: &mut Option<io::Error>) -> (Step, io::Error) {
        let mut before_exec = || -> Result<(), (Step, io::Error)> {
            match self.terminal {
                Tty::Lent(terminal) => {
                    process::own_group().map_err(failed_at(Step::Group))?;
                    // All signals are still blocked, including SIGTTOU.
                    terminal.map_or(Ok(()), take_terminal).map_err(failed_at(Step::Terminal))?;
                }
                Tty::Own(slave) => slave.become_leader().map_err(failed_at(Step::Session))?,
            }
            self.privilege_drop.run_steps()?;
            if parent != 1 {
                // The change of user clears the setting, so it comes after that. The end of PID 1 ends its whole
                // namespace anyway.
                *unbound_reason = process::on_parent_death(Signal::KILL).err();
                if process::parent_id() != parent {
                    process::exit_now(i32::from(EXIT_NOT_EXECUTABLE));
                }
            }
            self.inherited.restore().map_err(failed_at(Step::Mask))
        };
        match before_exec() {
            Err(failed) => failed,
            Ok(()) => (Step::Exec, self.program.exec()),
        }
    }

    fn failure_of(&self, step: Step, error: &io::Error) -> Failure {
        if step == Step::Exec { exec_failure(self.command, error) } else { self.privilege_drop.failure_of(step, error) }
    }
}

/// Takes the terminal's foreground. A terminal that has hung up is not an error.
fn take_terminal(terminal: &Terminal) -> io::Result<()> {
    terminal.give_to(process::id()).or_else(|error| if errno::is_hung_up(&error) { Ok(()) } else { Err(error) })
}

fn failed_at(step: Step) -> impl Fn(io::Error) -> (Step, io::Error) {
    move |error| (step, error)
}

impl PrivilegeDrop<'_> {
    /// Drops the privileges of this process for good. After an error, the steps before it are not undone.
    pub fn apply(self) -> Result<(), Failure> {
        self.run_steps().map_err(|(step, error)| self.failure_of(step, &error))
    }

    /// The same for a child that shares our memory. Does not allocate.
    pub fn apply_in_child(self) -> io::Result<()> {
        self.run_steps().map_err(|(_, error)| error)
    }

    fn run_steps(self) -> Result<(), (Step, io::Error)> {
        if self.changes_user {
            if let Some(groups) = &self.identity.groups {
                privilege::set_groups(groups).map_err(failed_at(Step::Groups))?;
            }
            privilege::set_group(self.identity.gid).map_err(failed_at(Step::Gid))?;
        }
        // Needs CAP_SETPCAP, which is lost with the change of user.
        enforce(self.drop_caps, privilege::drop_bounding_set).map_err(failed_at(Step::BoundingSet))?;
        if self.changes_user {
            privilege::set_user(self.identity.uid).map_err(failed_at(Step::Uid))?;
            // The change of user sets the dumpable flag to fs.suid_dumpable, on memory that may be shared with the
            // parent.
            process::set_undumpable().map_err(failed_at(Step::Uid))?;
        }
        enforce(self.drop_caps, privilege::drop_capabilities).map_err(failed_at(Step::Capabilities))?;
        enforce(self.no_new_privs, privilege::no_new_privileges).map_err(failed_at(Step::NoNewPrivileges))
    }

    fn failure_of(self, step: Step, error: &io::Error) -> Failure {
        let reason = reason(error);
        let who = format!("{}:{}", self.identity.uid, self.identity.gid);
        let caps = |names: &str| {
            format!("agent-init lacks the capability {names}: add it (docker: --cap-add, compose: cap_add)")
        };
        match step {
            Step::Groups => {
                Failure::new(format!("cannot set the supplementary groups of {who}: {reason}")).hint(caps("SETGID"))
            }
            Step::Gid => Failure::new(format!("cannot set the groups of {who}: {reason}")).hint(caps("SETGID")),
            Step::Uid => Failure::new(format!("cannot become user {who}: {reason}")).hint(caps("SETUID")),
            Step::BoundingSet => Failure::new(format!("cannot drop the bounding set: {reason}")).hint(caps("SETPCAP")),
            Step::Capabilities => Failure::new(format!("cannot drop the capabilities: {reason}")),
            Step::NoNewPrivileges => Failure::new(format!("cannot set no_new_privs: {reason}")),
            Step::Group => Failure::new(format!("cannot make a process group for the command: {reason}")),
            Step::Terminal => Failure::new(format!("cannot give the terminal to the command: {reason}")),
            Step::Session => Failure::new(format!("cannot make a session with a terminal for the command: {reason}")),
            Step::Mask => Failure::new(format!("cannot restore the signal mask for the command: {reason}")),
            Step::Exec => Failure::new(format!("cannot execute the command: {reason}")),
        }
    }
}

/// Why a command was not executed. The exit status is the one of shells: 127 if it was not found, otherwise 126.
pub fn exec_failure(command: &OsStr, error: &io::Error) -> Failure {
    let reason = reason(error);
    let shown = looks::shown_word(command).unwrap_or("COMMAND");
    if error.kind() == io::ErrorKind::NotFound {
        let look = Look::of(command.as_bytes());
        let hint = match look {
            Look::Assignment => {
                "COMMAND begins with NAME=VALUE: set variables with docker run -e, or run env NAME=VALUE"
            }
            _ if command.as_bytes().contains(&b'/') => {
                "check the path inside the container, and the interpreter (#!) if it is a script"
            }
            _ => "the command is in no directory of PATH: is it installed in this image?",
        };
        return Failure::new(format!("{shown}: command not found")).hint(hint).exit(EXIT_NOT_FOUND);
    }
    if errno::is_again(error) {
        // The new user's RLIMIT_NPROC: execve(2) checks it after a change of user.
        return fork_failure(error);
    }
    let hint = if errno::is_exec_format(error) {
        "the file is built for another architecture, or is a script without a #! line"
    } else {
        "check that the user that runs it may execute it and enter its directories"
    };
    Failure::new(format!("{shown}: cannot execute: {reason}")).hint(hint).exit(EXIT_NOT_EXECUTABLE)
}

fn enforce(enforcement: Enforcement, step: fn() -> io::Result<()>) -> io::Result<()> {
    match enforcement {
        Enforcement::Off => Ok(()),
        // Without CAP_SETPCAP the kernel refuses. With no_new_privs set, nothing can be gained by it anyway.
        Enforcement::BestEffort => {
            step().or_else(|error| if errno::is_refused_call(&error) { Ok(()) } else { Err(error) })
        }
        Enforcement::Required => step(),
    }
}

fn fork_failure(error: &io::Error) -> Failure {
    let reason = reason(error);
    let failure = Failure::new(format!("cannot start another process: {reason}"));
    if errno::is_again(error) {
        failure.hint("the limit of processes is reached: raise --pids-limit or the user's nproc")
    } else {
        failure
    }
}
