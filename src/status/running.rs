//! Finds the run in this container: its state file, verified against its processes.
//!
//! A command after `docker exec` has neither the agent's environment nor the options of PID 1. It finds the state file,
//! and trusts it only as far as the owner of the file could have done what it says.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::config::{InitConfig, Inspection, RunConfig};
use crate::env::Environment;
use crate::fs::untrusted::{Owners, Unreadable};
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

/// The keeper that runs here.
#[derive(Debug)]
pub struct RunningKeeper {
    pub state: State,
    pub state_dir: PathBuf,
}

/// PID 1 of the container. agent-init may run as another process, which the state file names.
const INIT: Pid = 1;

/// Why no run was found.
#[derive(Debug)]
pub enum NoRun {
    /// There is no state file in any of these directories.
    NoStateFile(Vec<PathBuf>),
    UnreadableStateFile {
        path: PathBuf,
        why: Unreadable,
    },
    /// The run of this state file has no agent.
    NoAgent {
        path: PathBuf,
        why: NoAgent,
    },
}

/// Why the agent or keeper of a state file was not found.
#[derive(Debug, PartialEq, Eq)]
pub enum NoAgent {
    NotStarted,
    Ended,
    KeeperEnded,
    /// The process that the file names belongs to this uid.
    OfAnotherUser(u32),
}

impl fmt::Display for NoRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoRun::NoStateFile(searched) => {
                let searched: Vec<String> = searched.iter().map(|path| path.display().to_string()).collect();
                write!(f, "no agent runs here: no state file in {}", searched.join(", "))
            }
            NoRun::UnreadableStateFile { path, why } => write!(f, "{} cannot be read: {why}", path.display()),
            NoRun::NoAgent { path, why } => write!(f, "{why} ({})", path.display()),
        }
    }
}

impl fmt::Display for NoAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAgent::NotStarted => f.write_str("its agent has not started"),
            NoAgent::Ended => f.write_str("its agent has ended"),
            NoAgent::KeeperEnded => f.write_str("its keeper has ended"),
            NoAgent::OfAnotherUser(uid) => write!(f, "the process that it names belongs to uid {uid}"),
        }
    }
}

/// Finds the run. If `state_dir` is set, only that directory is searched.
pub fn find(state_dir: Option<&Path>, environment: &Environment) -> Result<Running, NoRun> {
    let directories = searched(state_dir, environment);
    let (state, state_dir, agent) = search(directories, agent)?;
    Ok(Running { state, state_dir, agent })
}

/// Finds the keeper. Its state is in a directory of its own, in that of a run.
pub fn find_keeper(state_dir: Option<&Path>, environment: &Environment) -> Result<RunningKeeper, NoRun> {
    let directories = searched(state_dir, environment).into_iter().map(|directory| directory.join(state::KEEPER));
    let (state, state_dir, ()) = search(directories.collect(), keeper)?;
    Ok(RunningKeeper { state, state_dir })
}

fn searched(state_dir: Option<&Path>, environment: &Environment) -> Vec<PathBuf> {
    state_dir.map_or_else(|| state_directories(environment), |only| vec![only.to_owned()])
}

/// The first of these directories whose state file `lives`, given its owner.
fn search<T>(
    directories: Vec<PathBuf>,
    lives: impl Fn(&State, u32) -> Result<T, NoAgent>,
) -> Result<(State, PathBuf, T), NoRun> {
    let mut reason = None;
    for directory in &directories {
        let (state, owner) = match state::read(directory, &Owners::Any) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(why) if why.is_forbidden() => continue,
            Err(why) => {
                let path = directory.join(state::FILE);
                reason = reason.or(Some(NoRun::UnreadableStateFile { path, why }));
                continue;
            }
        };
        match lives(&state, owner) {
            Ok(found) => return Ok((state, directory.clone(), found)),
            Err(why) => reason = reason.or(Some(NoRun::NoAgent { path: directory.join(state::FILE), why })),
        }
    }
    Err(reason.unwrap_or(NoRun::NoStateFile(directories)))
}

/// Whether PID 1 is an agent-init that has a child but serves no agent, and therefore keeps no state.
pub fn plain_init_has_child() -> bool {
    config_of_init().is_some_and(|init| !init.is_keeper) && !process::children_of(INIT).is_empty()
}

/// Whether PID 1 is a keeper.
pub fn init_is_keeper() -> bool {
    config_of_init().is_some_and(|init| init.is_keeper)
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

/// Reads the login of a served agent, which runs as the user `uid`.
pub fn live(served: &Served, session: &SessionFile, uid: u32) -> Live {
    match Dir::open(&served.place) {
        Ok(dir) => Live::Seen(file::login(&dir, session, &Owners::These(vec![uid]), false).state),
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
fn agent(state: &State, owner: u32) -> Result<Process, NoAgent> {
    // The pid is written just after the agent starts. Until then the agent is the only child of its parent.
    let only_child = || match process::children_of(state.pid).as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let pid = state.agent_pid.or_else(only_child).ok_or(NoAgent::NotStarted)?;
    let agent = Process::of(pid).ok_or(NoAgent::Ended)?;
    verify(state, owner, agent)
}

/// Whether the keeper of a state file that belongs to `owner` lives. A keeper writes its own file, and is who it was at its
/// start: a number that is another process's now, or the next keeper's, has another start.
fn keeper(state: &State, owner: u32) -> Result<(), NoAgent> {
    let found = Process::of(state.pid).ok_or(NoAgent::KeeperEnded)?;
    if state.keeper_started.is_none() || process::start_of(state.pid) != state.keeper_started {
        return Err(NoAgent::KeeperEnded);
    }
    if found.uid != owner || (owner != 0 && state.user.0 != owner) {
        return Err(NoAgent::OfAnotherUser(found.uid));
    }
    Ok(())
}

/// Pure. A file of root is trusted. The agent could have written a file of any other owner, so that may only name a
/// process of its owner: an init that is not root cannot start its agent as another user.
fn verify(state: &State, owner: u32, agent: Process) -> Result<Process, NoAgent> {
    if agent.parent != state.pid {
        return Err(NoAgent::Ended);
    }
    if agent.uid != state.user.0 || (owner != 0 && agent.uid != owner) {
        return Err(NoAgent::OfAnotherUser(agent.uid));
    }
    Ok(agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row {
        what: &'static str,
        /// The agent's user in the file.
        user: u32,
        owner: u32,
        /// Parent and uid of the process with the agent's number.
        process: (Pid, u32),
        refused: Option<NoAgent>,
    }

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
            Row { what: "root's file, a user's agent", user: 1000, owner: 0, process: (1, 1000), refused: None },
            Row { what: "root's file and agent", user: 0, owner: 0, process: (1, 0), refused: None },
            Row { what: "a user's file and agent", user: 1000, owner: 1000, process: (1, 1000), refused: None },
            Row {
                what: "the number is another process's now",
                user: 1000,
                owner: 0,
                process: (5, 1000),
                refused: Some(NoAgent::Ended),
            },
            Row {
                what: "the process is root's now",
                user: 1000,
                owner: 0,
                process: (1, 0),
                refused: Some(NoAgent::OfAnotherUser(0)),
            },
            Row {
                what: "an agent's forgery, so that root's command runs with its environment",
                user: 0,
                owner: 1000,
                process: (1, 0),
                refused: Some(NoAgent::OfAnotherUser(0)),
            },
            Row {
                what: "a forgery that names another user",
                user: 1001,
                owner: 1000,
                process: (1, 1001),
                refused: Some(NoAgent::OfAnotherUser(1001)),
            },
        ];
        for Row { what, user, owner, process: (parent, uid), refused } in rows {
            assert_eq!(verify(&state(user), owner, process(parent, uid)).err(), refused, "{what}");
        }
    }

    #[test]
    fn a_keeper_is_its_process_and_not_one_with_its_number() {
        let (me, start) = (privilege::current().0, process::own_start());
        let state = State { pid: process::id(), user: (me, me), keeper_started: start, ..State::default() };
        let rows = [
            ("this one", state.clone(), me, None),
            ("no keeper's", State { keeper_started: None, ..state.clone() }, me, Some(NoAgent::KeeperEnded)),
            (
                "an earlier process",
                State { keeper_started: start.map(|start| start - 1), ..state.clone() },
                me,
                Some(NoAgent::KeeperEnded),
            ),
            ("somebody else's file", state.clone(), me + 1, Some(NoAgent::OfAnotherUser(me))),
        ];
        for (what, state, owner, refused) in rows {
            assert_eq!(keeper(&state, owner).err(), refused, "{what}");
        }
    }

    #[test]
    fn without_a_state_file_no_agent_runs() {
        let temp = tempfile::tempdir().unwrap();
        let why = find(Some(temp.path()), &Environment::default()).unwrap_err().to_string();
        assert!(why.contains("no agent runs here"), "{why}");
    }
}
