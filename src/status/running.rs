//! Finds the run in this container: its state file, verified against its processes.
//!
//! A command after `docker exec` has neither the agent's environment nor the options of PID 1. It finds the state file,
//! and trusts it only as far as the owner of the file could have done what it says.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::{InitConfig, Inspection, RunConfig};
use crate::env::Environment;
use crate::fs::untrusted::Owners;
use crate::login::file;
use crate::login::format::SessionFile;
use crate::login::merge::LoginState;
use crate::process::table;
use crate::process::table::Process;
use crate::state::{Served, State};
use crate::sys::dir::Dir;
use crate::sys::process::Pid;
use crate::sys::{privilege, process};
use crate::{error, state};

#[derive(Debug)]
pub struct Running {
    pub state: State,
    pub state_dir: PathBuf,
    pub agent: Process,
}

/// PID 1 of the container. agent-init may run as another process, which the state file names.
const INIT: Pid = 1;

/// Finds the run. If `state_dir` is set, only that directory is searched. The error says why there is no run.
pub fn find(state_dir: Option<&Path>, environment: &Environment) -> Result<Running, String> {
    let directories = state_dir.map_or_else(|| state_directories(environment), |only| vec![only.to_owned()]);
    let mut reason = None;
    for directory in &directories {
        let (state, owner) = match state::read(directory, &Owners::Any) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(why) if why.is_forbidden() => continue,
            Err(why) => {
                reason = reason.or(Some(format!("{} cannot be read: {why}", directory.join("state.json").display())));
                continue;
            }
        };
        match agent(&state, owner) {
            Ok(agent) => return Ok(Running { state, state_dir: directory.clone(), agent }),
            Err(why) => reason = reason.or(Some(format!("{why} ({})", directory.join("state.json").display()))),
        }
    }
    let searched: Vec<String> = directories.iter().map(|directory| directory.display().to_string()).collect();
    Err(reason.unwrap_or_else(|| format!("no agent runs here: no state file in {}", searched.join(", "))))
}

/// Whether PID 1 is an agent-init that has a child but serves no agent, and therefore keeps no state.
pub fn plain_init_has_child() -> bool {
    config_of_init().is_some() && !process::children_of(INIT).is_empty()
}

/// Completes the options with those of PID 1, so that a command after `docker exec` inspects what that run uses.
pub fn with_init(inspection: &Inspection) -> anyhow::Result<RunConfig> {
    match config_of_init() {
        Some(init) => inspection.with_init(&init),
        None => Ok(inspection.run.clone()),
    }
}

/// The login in the working copy of a running agent.
#[derive(Debug)]
pub enum Live {
    Seen(LoginState),
    /// This user cannot read it.
    Hidden,
}

/// Reads the login of a served agent.
pub fn live(served: &Served, session: &SessionFile, agent: &Process) -> Live {
    match Dir::open(&served.place) {
        Ok(dir) => Live::Seen(file::login(&dir, session, &Owners::These(vec![agent.uid]), false).state),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Live::Hidden,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Live::Seen(LoginState::Absent),
        Err(error) => Live::Seen(LoginState::Unreadable(error::reason(&error))),
    }
}

/// The configuration from the command line of PID 1, if that is agent-init.
pub fn config_of_init() -> Option<InitConfig> {
    InitConfig::of(&table::command_line(INIT))
}

/// The possible state directories: the one that PID 1 was told to use, and the defaults of `run`.
fn state_directories(environment: &Environment) -> Vec<PathBuf> {
    let configured = config_of_init().and_then(|init| init.run.state_dir);
    let runtime = environment.get_filled("XDG_RUNTIME_DIR").map(|path| Path::new(path).join("agent-init"));
    let of_user = |uid: u32| PathBuf::from(format!("/tmp/agent-init-{uid}"));
    let init = Process::of(INIT).map(|init| of_user(init.uid));
    let candidates =
        [configured, Some(PathBuf::from("/run/agent-init")), runtime, init, Some(of_user(privilege::current().0))];
    let mut directories: Vec<PathBuf> = Vec::new();
    for directory in candidates.into_iter().flatten() {
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories
}

/// The agent of a state file that belongs to `owner`.
fn agent(state: &State, owner: u32) -> Result<Process, String> {
    // The pid is written just after the agent starts. Until then the agent is the only child of its parent.
    let only_child = || match process::children_of(state.pid).as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let pid = state.agent_pid.or_else(only_child).ok_or("its agent has not started")?;
    let agent = Process::of(pid).ok_or("its agent has ended")?;
    verify(state, owner, agent)
}

/// Pure. A file of root is trusted. The agent could have written a file of any other owner, so that may only name a
/// process of its owner: an init that is not root cannot start its agent as another user.
fn verify(state: &State, owner: u32, agent: Process) -> Result<Process, String> {
    if agent.parent != state.pid {
        return Err("its agent has ended".to_owned());
    }
    if agent.uid != state.user.0 || (owner != 0 && agent.uid != owner) {
        return Err(format!("the process that it names belongs to uid {}", agent.uid));
    }
    Ok(agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_state_file_of_root_may_name_another_user() {
        let process = |parent, uid| Process {
            pid: 7,
            parent,
            uid,
            gid: uid,
            groups: Vec::new(),
            no_new_privs: false,
            bounding: 0,
            effective: 0,
        };
        let state = |user| State { pid: 1, agent_pid: Some(7), user: (user, user), ..State::default() };
        let rows = [
            // user in the file, its owner, the process: parent, uid; believed
            (1000, 0, 1, 1000, true),
            (0, 0, 1, 0, true),
            (1000, 1000, 1, 1000, true),
            // Another process has the number now.
            (1000, 0, 5, 1000, false),
            (1000, 0, 1, 0, false),
            // An agent's forgery that would make root's command run with its environment.
            (0, 1000, 1, 0, false),
            (1001, 1000, 1, 1001, false),
        ];
        for (user, owner, parent, uid, expected) in rows {
            let found = verify(&state(user), owner, process(parent, uid));
            assert_eq!(found.is_ok(), expected, "{user} {owner} {parent} {uid}: {found:?}");
        }
    }

    #[test]
    fn without_a_state_file_no_agent_runs() {
        let temp = tempfile::tempdir().unwrap();
        let why = find(Some(temp.path()), &Environment::default()).unwrap_err();
        assert!(why.contains("no agent runs here"), "{why}");
    }
}
