//! Starts the agent: group, terminal, user, capabilities, mask, exec.
//!
//! The process has one thread, which sleeps until the child executes the command or fails. The child runs in the memory that
//! they share, so the step that failed is simply there afterwards, and is said in words; and it allocates nothing, for what
//! it would leave behind at its exec nobody would free.

pub mod deliver;

use std::ffi::{OsStr, OsString};
use std::io;

use crate::account::Identity;
use crate::error::{EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, Failure, reason};
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::plan::Enforcement;
use crate::sys::process::{Pid, Program};
use crate::sys::pty::Slave;
use crate::sys::signal::{Inherited, Signal};
use crate::sys::terminal::Terminal;
use crate::sys::{errno, privilege, process};

/// What is started, and as whom.
pub struct Launch<'l> {
    /// Words and environment.
    pub program: Program,
    /// The name of the command, for messages.
    pub command: &'l OsString,
    /// The user, and what is lost on the way there.
    pub privilege_drop: PrivilegeDrop<'l>,
    /// The agent's terminal.
    pub terminal: Tty<'l>,
    /// The mask to restore.
    pub inherited: Inherited,
}

/// The terminal that an agent starts with.
#[derive(Clone, Copy)]
pub enum Tty<'l> {
    /// Ours: it becomes its foreground, if we hold that.
    Lent(Option<&'l Terminal>),
    /// One of its own, whose session it leads.
    Own(&'l Slave),
}

/// The way down to the agent's user.
#[derive(Debug, Clone, Copy)]
pub struct PrivilegeDrop<'l> {
    /// The user.
    pub identity: &'l Identity,
    /// Whether user and groups are set at all.
    pub changes_user: bool,
    /// The bounding set and the capabilities are dropped.
    pub drop_caps: Enforcement,
    /// `no_new_privs` is set.
    pub no_new_privs: Enforcement,
}

/// A step of the child.
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
    /// Starts the agent and returns its process id once it executes the command. What the agent can do without is a warning.
    ///
    /// # Errors
    /// The step that failed, in words; the child is then a zombie, which its parent's end or the next wait reaps.
    pub fn start(&self, reporter: Reporter) -> anyhow::Result<Pid> {
        let parent = process::id();
        let (mut failed, mut unbound) = (None, None);
        let child = process::vfork(&mut || {
            failed = Some(self.steps(parent, &mut unbound));
            isize::from(EXIT_NOT_EXECUTABLE)
        });
        let child = child.map_err(|error| fork_failure(&error))?;
        if let Some(error) = unbound.filter(|_| failed.is_none()) {
            let text = format!("the agent will go on without agent-init if agent-init is killed: {}", reason(&error));
            let hint = "PID 1 takes the agent along: make agent-init the ENTRYPOINT";
            reporter.say(&Message::warning(text).event(EventKey::SystemCallFailed).hint(hint));
        }
        match failed {
            None => Ok(child),
            Some((step, error)) => Err(self.explain(step, &error).into()),
        }
    }

    /// Goes through the steps; returns the one that failed, for the last one returns only to fail. `unbound` is why the
    /// agent's life could not be bound to ours.
    fn steps(&self, parent: Pid, unbound: &mut Option<io::Error>) -> (Step, io::Error) {
        let mut before_exec = || -> Result<(), (Step, io::Error)> {
            match self.terminal {
                Tty::Lent(terminal) => {
                    process::own_group().map_err(at(Step::Group))?;
                    // Every signal is still blocked, SIGTTOU too.
                    terminal.map_or(Ok(()), take_terminal).map_err(at(Step::Terminal))?;
                }
                Tty::Own(slave) => slave.become_leader().map_err(at(Step::Session))?,
            }
            self.privilege_drop.steps()?;
            if parent != 1 {
                // After the change of user, which clears it. PID 1 takes its whole namespace along anyway.
                *unbound = process::on_parent_death(Signal::KILL).err();
                if process::parent_id() != parent {
                    process::exit_now(i32::from(EXIT_NOT_EXECUTABLE));
                }
            }
            self.inherited.restore().map_err(at(Step::Mask))
        };
        match before_exec() {
            Err(failed) => failed,
            Ok(()) => (Step::Exec, self.program.exec()),
        }
    }

    fn explain(&self, step: Step, error: &io::Error) -> Failure {
        if step == Step::Exec { exec_failure(self.command, error) } else { self.privilege_drop.explain(step, error) }
    }
}

/// Takes the terminal's foreground. One that has hung up is no reason not to start.
fn take_terminal(terminal: &Terminal) -> io::Result<()> {
    terminal.give_to(process::id()).or_else(|error| if errno::is_hung_up(&error) { Ok(()) } else { Err(error) })
}

fn at(step: Step) -> impl Fn(io::Error) -> (Step, io::Error) {
    move |error| (step, error)
}

impl PrivilegeDrop<'_> {
    /// Goes down in this process, for good.
    ///
    /// # Errors
    /// The step that failed, in words; what was lost before it is lost.
    pub fn go(self) -> Result<(), Failure> {
        self.steps().map_err(|(step, error)| self.explain(step, &error))
    }

    fn steps(self) -> Result<(), (Step, io::Error)> {
        if self.changes_user {
            if let Some(groups) = &self.identity.groups {
                privilege::set_groups(groups).map_err(at(Step::Groups))?;
            }
            privilege::set_group(self.identity.gid).map_err(at(Step::Gid))?;
        }
        // It takes CAP_SETPCAP, which goes with the user.
        enforced(self.drop_caps, privilege::drop_bounding_set).map_err(at(Step::BoundingSet))?;
        if self.changes_user {
            privilege::set_user(self.identity.uid).map_err(at(Step::Uid))?;
            // The change of user sets what fs.suid_dumpable says, on memory that may be shared with the parent.
            process::set_undumpable().map_err(at(Step::Uid))?;
        }
        enforced(self.drop_caps, privilege::drop_capabilities).map_err(at(Step::Capabilities))?;
        enforced(self.no_new_privs, privilege::no_new_privileges).map_err(at(Step::NoNewPrivileges))
    }

    fn explain(self, step: Step, error: &io::Error) -> Failure {
        let reason = reason(error);
        let who = format!("{}:{}", self.identity.uid, self.identity.gid);
        let caps = |names: &str| {
            format!("agent-init lacks a capability for it: add {names} (docker: --cap-add, compose: cap_add)")
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
            Step::Mask => Failure::new(format!("cannot give the signal mask back to the command: {reason}")),
            Step::Exec => Failure::new(format!("cannot execute the command: {reason}")),
        }
    }
}

/// Why a command was not executed: 127 for what is not there, 126 for what cannot be executed, as every shell has it.
pub fn exec_failure(command: &OsStr, error: &io::Error) -> Failure {
    let reason = reason(error);
    let command = command.to_string_lossy();
    if error.kind() == io::ErrorKind::NotFound {
        let hint = if command.contains('/') {
            "is the path right inside the container? A script's interpreter (#!) may be what is missing"
        } else {
            "it is on no directory of PATH: is it installed in this image?"
        };
        return Failure::new(format!("{command}: command not found")).hint(hint).exit(EXIT_NOT_FOUND);
    }
    if errno::is_again(error) {
        // The new user's limit: execve(2) looks again after the change of user.
        return fork_failure(error);
    }
    let hint = if errno::is_exec_format(error) {
        "it is built for another architecture, or is a script without a #! line"
    } else {
        "is it executable, and is the path to it open, for the user that runs it?"
    };
    Failure::new(format!("{command}: cannot execute: {reason}")).hint(hint).exit(EXIT_NOT_EXECUTABLE)
}

fn enforced(enforcement: Enforcement, step: fn() -> io::Result<()>) -> io::Result<()> {
    match enforcement {
        Enforcement::Off => Ok(()),
        // Without CAP_SETPCAP the kernel refuses, and with no_new_privs nothing is left to gain.
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
