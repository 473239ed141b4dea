//! The agent's own command that refreshes its login.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::account::Identity;
use crate::error::Failure;
use crate::launch::PrivilegeDrop;
use crate::plan::{Enforcement, PrivilegeSteps};
use crate::process::children::Children;
use crate::process::task::{Bounds, Job, Task};
use crate::sys::dir::Dir;
use crate::sys::lock::Lock;
use crate::sys::process;
use crate::sys::process::Program;
use crate::sys::signal::Inherited;

/// More than such a command writes. A command that writes more is killed, which may lose a token.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;

pub struct RefreshCommand {
    /// What messages call it.
    name: String,
    program: Program,
    limit: Duration,
    inherited: Inherited,
    user: AgentsUser,
}

/// The agent's user, as whom the command runs.
#[derive(Clone)]
pub struct AgentsUser {
    identity: Identity,
    changes_user: bool,
    drop_caps: Enforcement,
    no_new_privs: Enforcement,
}

impl AgentsUser {
    pub fn new(identity: Identity, steps: &PrivilegeSteps) -> AgentsUser {
        let PrivilegeSteps { changes_user, drop_caps, no_new_privs, .. } = *steps;
        AgentsUser { identity, changes_user, drop_caps, no_new_privs }
    }

    fn privilege_drop(&self) -> PrivilegeDrop<'_> {
        let AgentsUser { identity, changes_user, drop_caps, no_new_privs } = self;
        let (changes_user, drop_caps, no_new_privs) = (*changes_user, *drop_caps, *no_new_privs);
        PrivilegeDrop { identity, changes_user, drop_caps, no_new_privs }
    }
}

impl RefreshCommand {
    /// Fails if a word or variable contains a NUL byte.
    pub fn new(
        words: &[String],
        environment: Vec<OsString>,
        limit: Duration,
        inherited: Inherited,
        user: AgentsUser,
    ) -> io::Result<RefreshCommand> {
        let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
        Ok(RefreshCommand { name: words.join(" "), program: Program::new(&argv, environment)?, limit, inherited, user })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Starts the command in this directory, with the lock. It goes on if agent-init is killed: it may have spent the refresh token,
    /// and then it must get the answer.
    pub fn start(&self, directory: &Dir, lock: Option<&Lock>, children: &mut Children) -> Result<Task, Failure> {
        let prepare = || {
            process::enter(directory.as_fd())?;
            process::stdout_to_stderr()?;
            lock.map_or(Ok(()), Lock::outlive_exec)?;
            self.user.privilege_drop().apply_in_child()
        };
        let job = Job {
            name: &self.name,
            program: &self.program,
            input: &[],
            bounds: Bounds { time: self.limit, output: MAX_OUTPUT },
            inherited: &self.inherited,
            prepare: Some(&prepare),
            ends_with_us: false,
        };
        Task::start(&job, children)
    }
}
