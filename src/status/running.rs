//! The run that is under way here: what its state file says, verified against its processes.
//!
//! A command after `docker exec` has not the agent's environment, and not PID 1's options. It finds the state file, and
//! believes it as far as its owner could do what it says.

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

/// A run under way.
#[derive(Debug)]
pub struct Running {
    /// What it wrote down.
    pub state: State,
    /// Where.
    pub state_dir: PathBuf,
    /// Its agent.
    pub agent: Process,
}

/// PID 1 of a container; the state file names another where we are not that.
const INIT: Pid = 1;

/// Finds the run that is under way. `state_dir`: the only place to look in.
///
/// # Errors
/// Why there is none, in words.
pub fn find(state_dir: Option<&Path>, environment: &Environment) -> Result<Running, String> {
    let places = state_dir.map_or_else(|| places(environment), |only| vec![only.to_owned()]);
    let mut reason = None;
    for place in &places {
        let (state, owner) = match state::read(place, &Owners::Any) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(why) if why.is_forbidden() => continue,
            Err(why) => {
                reason = reason.or(Some(format!("{} cannot be read: {why}", place.join("state.json").display())));
                continue;
            }
        };
        match agent(&state, owner) {
            Ok(agent) => return Ok(Running { state, state_dir: place.clone(), agent }),
            Err(why) => reason = reason.or(Some(format!("{why} ({})", place.join("state.json").display()))),
        }
    }
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    Err(reason.unwrap_or_else(|| format!("no agent runs here: no state in {}", places.join(", "))))
}

/// Whether this process is one of the agent-init that runs the container with no agent served: it keeps no state.
pub fn plain_init_has_child() -> bool {
    config_of_init().is_some() && !process::children_of(INIT).is_empty()
}

/// What is looked at, with the options of PID 1 for what is not given: a command after `docker exec` then looks where that
/// run looked.
///
/// # Errors
/// As [`Inspection::with_init`].
pub fn with_init(inspection: &Inspection) -> anyhow::Result<RunConfig> {
    match config_of_init() {
        Some(init) => inspection.with_init(&init),
        None => Ok(inspection.run.clone()),
    }
}

/// The login that the agent has now.
#[derive(Debug)]
pub enum Live {
    /// What its file says.
    Seen(LoginState),
    /// We may not look.
    Hidden,
}

/// Looks at the login of a served agent.
pub fn live(served: &Served, session: &SessionFile, agent: &Process) -> Live {
    match Dir::open(&served.place) {
        Ok(dir) => Live::Seen(file::login(&dir, session, &Owners::These(vec![agent.uid]), false).state),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Live::Hidden,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Live::Seen(LoginState::Absent),
        Err(error) => Live::Seen(LoginState::Unreadable(error::reason(&error))),
    }
}

/// What the command line of PID 1 says, if that is a run of ours.
pub fn config_of_init() -> Option<InitConfig> {
    InitConfig::of(&table::command_line(INIT))
}

/// Where a run's state may be: where PID 1 was told to keep it, else where `run` keeps it as root or as another.
fn places(environment: &Environment) -> Vec<PathBuf> {
    let told = config_of_init().and_then(|init| init.run.state_dir);
    let runtime = environment.get_filled("XDG_RUNTIME_DIR").map(|path| Path::new(path).join("agent-init"));
    let of_user = |uid: u32| PathBuf::from(format!("/tmp/agent-init-{uid}"));
    let init = Process::of(INIT).map(|init| of_user(init.uid));
    let candidates =
        [told, Some(PathBuf::from("/run/agent-init")), runtime, init, Some(of_user(privilege::current().0))];
    let mut places: Vec<PathBuf> = Vec::new();
    for place in candidates.into_iter().flatten() {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// The agent of a state file that belongs to `owner`.
fn agent(state: &State, owner: u32) -> Result<Process, String> {
    // It is written down just after the agent starts: until then its parent's only child is it.
    let only_child = || match process::children_of(state.pid).as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let pid = state.agent_pid.or_else(only_child).ok_or("its agent has not started")?;
    let agent = Process::of(pid).ok_or("its agent has ended")?;
    believed(state, owner, agent)
}

/// Pure. Root's file is believed. Another's could have been written by the agent: it may name nobody but its owner,
/// because an init that is not root cannot have made its agent anybody else.
fn believed(state: &State, owner: u32, agent: Process) -> Result<Process, String> {
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
    fn what_is_believed() {
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
            let found = believed(&state(user), owner, process(parent, uid));
            assert_eq!(found.is_ok(), expected, "{user} {owner} {parent} {uid}: {found:?}");
        }
    }

    #[test]
    fn nothing_runs_where_nothing_is_written() {
        let temp = tempfile::tempdir().unwrap();
        let why = find(Some(temp.path()), &Environment::default()).unwrap_err();
        assert!(why.contains("no agent runs here"), "{why}");
    }
}
