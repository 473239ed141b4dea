//! Reads everything that a start depends on, once: environment, accounts, mounts, files. Decisions are left to the pure
//! functions of [`crate::plan`]. The only thing written is the mirror of a store behind a helper (`stored.rs`).

mod advice;
pub mod agent_facts;
pub mod candidate;
pub mod config_dir;
pub mod definitions;
pub mod explicit;
pub mod files;
mod logins;
mod near_miss;
mod outranked;
pub mod placement;
mod probe;
pub mod select;
mod settings;
mod site;
mod stored;
pub mod wait;

use std::ffi::OsStr;
use std::io;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
pub use candidate::{Candidate, CandidateValue, Session};
pub use definitions::catalog;
pub use explicit::ExplicitSources;
pub use files::{Cache, ForeignFile};
pub use stored::StoreFacts;

use self::config_dir::ExistingHome;
use self::probe::AgentProbe;
use crate::account::{Accounts, Identity, Wanted};
use crate::agent::Catalog;
use crate::config::{RunConfig, UserChoice};
use crate::env::Environment;
use crate::error::Failure;
use crate::facts::agent_facts::AgentFacts;
use crate::fs::untrusted;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::looks::Shown;
use crate::process::helpers::Helpers;
use crate::process::programs;
use crate::state::{Served, State};
use crate::sys::dir::Dir;
use crate::sys::{access, privilege, process};
use crate::{account, state};

/// Everything that a plan is made from.
pub struct Facts<'c> {
    pub catalog: &'c Catalog,
    /// The environment that agent-init was started with.
    pub environment: &'c Environment,
    /// uid and gid of this process.
    pub current: (u32, u32),
    /// The agent's user.
    pub identity: Identity,
    /// HOME of the agent.
    pub home: PathBuf,
    pub home_why: &'static str,
    /// The current directory, in which the agent starts.
    pub working_directory: PathBuf,
    pub state_dir: PathBuf,
    /// The state of the previous run, from the state directory.
    pub previous: State,
    pub agents: Vec<AgentFacts<'c>>,
    /// The arguments of COMMAND, without COMMAND itself.
    pub arguments: Vec<String>,
    /// Standard input is a terminal.
    pub terminal: bool,
    /// Warnings that concern no single agent.
    pub notes: Vec<Message>,
    /// When the facts were read.
    pub now: SystemTime,
}

/// Reads the facts. Without `helpers` no command is run, and what a command would print is [`CandidateValue::Unread`].
///
/// An error is a mistake of the operator: an unknown user, two sources for one value, a missing file.
pub fn facts<'c>(
    config: &RunConfig,
    catalog: &'c Catalog,
    environment: &'c Environment,
    mut helpers: Option<&mut Helpers<'_>>,
) -> anyhow::Result<Facts<'c>> {
    let current = privilege::current();
    let identity = agent_identity(config, environment, current)?;
    let (home, home_why) = agent_home(config, environment, &identity, current);
    let considered = select::considered_agents(config, catalog)?;
    let mut notes = Vec::new();
    if !considered.is_empty() {
        probe::check_captures(config)?;
        notes = explicit::check_secret_directories(config.secrets.as_deref())?;
    }
    let secret_directories = explicit::secret_directories(config.secrets.as_deref(), environment);
    let mut probe = AgentProbe {
        catalog,
        config,
        environment,
        home: &home,
        identity: &identity,
        current,
        mounts: None,
        has_capture: probe::has_capture(config),
    };
    let mut served = Vec::new();
    for considered in &considered {
        served.extend(probe.served_agent(considered, catalog, &secret_directories)?);
    }
    // A plain init, which serves no agent, keeps no state and looks for no state directory.
    let (state_dir, previous) = if served.is_empty() {
        (PathBuf::new(), State::default())
    } else {
        let state_dir = state_dir(config, environment, current.0);
        let previous = state::load(&state_dir, current.0)?;
        (state_dir, previous)
    };
    let working_directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    // A HOME that `--home` names may be meant so.
    let is_home_found = config.home.is_none() && !served.is_empty();
    notes.extend(unwritable_home(&home, &identity, current).filter(|_| is_home_found));
    notes.extend(change_of_user(config).filter(|_| !served.is_empty() || catalog_names_argument(config, catalog)));
    let mut agents = Vec::new();
    for agent in served {
        let mut agent = probe.agent_facts(agent, &state_dir, helpers.as_deref_mut())?;
        if agent.is_selected && !agent.candidates.iter().any(|candidate| candidate.found.is_ok()) {
            let root = probe.capture_root();
            agent.explicit.warnings.extend(near_miss::find(agent.definition, root.as_deref(), &secret_directories));
        }
        if agent.is_selected {
            agent.explicit.warnings.extend(outranked::find(agent.definition, &working_directory));
        }
        agents.push(agent);
    }
    let arguments = config.command.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let terminal = io::stdin().is_terminal();
    Ok(Facts {
        catalog,
        environment,
        current,
        identity,
        home,
        home_why,
        working_directory,
        state_dir,
        previous,
        agents,
        arguments,
        terminal,
        notes,
        now: SystemTime::now(),
    })
}

/// A warning if owner and mode keep the agent from writing to its HOME: agents keep caches and state there. A read-only
/// file system is no mistake.
fn unwritable_home(home: &Path, identity: &Identity, current: (u32, u32)) -> Option<Message> {
    let dir = Dir::open_search_only(home).ok()?;
    let is_writable = !identity.differs_from(current) && dir.is_writable();
    if is_writable || config_dir::may_use(&dir.stat().ok()?, identity) {
        return None;
    }
    let text = format!("HOME {} is not writable for the agent (uid {})", home.display(), identity.uid);
    let hint = format!("give it to the user (chown {}), or name another HOME with --home", identity.uid);
    let message = Message::warning(text).event(EventKey::WorkingCopy);
    Some(message.about(home.display().to_string()).hint(hint))
}

/// Programs that run another program as another user.
const USER_CHANGERS: [&str; 8] = ["gosu", "su-exec", "setpriv", "sudo", "runuser", "su", "setuidgid", "chpst"];

/// A warning if COMMAND changes the user: files of a working copy belong to the user that agent-init starts.
fn change_of_user(config: &RunConfig) -> Option<Message> {
    let command = Path::new(config.command.first()?).file_name()?.to_str()?;
    USER_CHANGERS.contains(&command).then(|| {
        Message::warning(format!("COMMAND changes the user with {command}: the login is installed for another user"))
            .event(EventKey::AgentHint)
            .about("COMMAND")
            .hint(format!("remove {command} from COMMAND, and let agent-init change the user: --user USER"))
    })
}

/// Whether an argument of COMMAND is an agent's command.
fn catalog_names_argument(config: &RunConfig, catalog: &Catalog) -> bool {
    let is_agent = |word: &str| catalog.entries().iter().any(|entry| entry.has_command(word));
    config.command.iter().skip(1).filter_map(|word| word.to_str()).any(is_agent)
}

impl Facts<'_> {
    /// All warnings that came up while the facts were read.
    pub fn warnings(&self) -> impl Iterator<Item = &Message> {
        self.notes.iter().chain(self.agents.iter().flat_map(|agent| &agent.explicit.warnings))
    }

    /// The state that the previous run kept of this agent, if its working copy was in the same directory.
    pub fn remembered(&self, agent: &AgentFacts<'_>) -> Option<&Served> {
        self.previous
            .agents
            .iter()
            .find(|served| served.agent == agent.definition.name && served.place == agent.working_copy)
    }
}

/// The agent's user, by `--user` and `--user-from`.
pub fn agent_identity(config: &RunConfig, environment: &Environment, current: (u32, u32)) -> anyhow::Result<Identity> {
    let wanted = match &config.user {
        _ if config.user_is_void(current) => Wanted::Unchanged,
        UserChoice::Named(spec) => Wanted::Spec(spec.clone()),
        UserChoice::OwnerOf(path) => {
            let hint = "name a path whose owner the agent should run as, such as a bind-mounted workspace";
            let failure = || Failure::new(format!("--user-from {}", Shown(path))).hint(hint);
            let owner = path.metadata().with_context(failure)?;
            Wanted::Owner { uid: owner.uid(), gid: owner.gid() }
        }
        UserChoice::Unchanged => Wanted::Unchanged,
    };
    // A user who stays the same and has a home needs no account files.
    let needs_accounts = wanted != Wanted::Unchanged || environment.get_filled("HOME").is_none_or(|home| home == "/");
    let accounts = if needs_accounts {
        Accounts { passwd: account_file(Path::new("/etc/passwd"))?, group: account_file(Path::new("/etc/group"))? }
    } else {
        Accounts::default()
    };
    let groups = if wanted == Wanted::Unchanged { Vec::new() } else { privilege::groups().unwrap_or_default() };
    let process = account::Current { uid: current.0, gid: current.1, groups };
    let identity = account::resolve(&wanted, &accounts, &process)?;
    if identity.differs_from(current) && !process::is_in_first_user_namespace() {
        let id_map = |path| untrusted::image_file(Path::new(path)).unwrap_or_default();
        let (users, groups) = (id_map("/proc/self/uid_map"), id_map("/proc/self/gid_map"));
        account::check_mapped(&identity, &String::from_utf8_lossy(&users), &String::from_utf8_lossy(&groups))?;
    }
    Ok(identity)
}

/// The shell of a user: the one of the passwd entry, or else bash or sh.
pub fn shell(uid: u32) -> Option<PathBuf> {
    let accounts =
        Accounts { passwd: account_file(Path::new("/etc/passwd")).unwrap_or_default(), ..Accounts::default() };
    // Accounts that may not log in have one of these instead of a shell.
    let is_login_shell = |path: &PathBuf| {
        !matches!(path.file_name().and_then(OsStr::to_str), Some("nologin" | "false" | "true" | "sync"))
    };
    let fallbacks = ["/bin/bash", "/bin/sh"].map(PathBuf::from);
    accounts
        .shell_of(uid)
        .filter(is_login_shell)
        .into_iter()
        .chain(fallbacks)
        .find(|path| programs::is_executable(path))
}

/// The text of an account file. An image `FROM scratch` has none, which counts as empty.
fn account_file(path: &Path) -> anyhow::Result<String> {
    match untrusted::image_file(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn agent_home(
    config: &RunConfig,
    environment: &Environment,
    identity: &Identity,
    current: (u32, u32),
) -> (PathBuf, &'static str) {
    let variable = environment.get_filled("HOME").map(|path| {
        let path = PathBuf::from(path);
        let stat = Dir::open(&path).and_then(|dir| dir.stat()).ok();
        ExistingHome { path, stat }
    });
    config_dir::agent_home(config.home.as_deref(), identity, identity.differs_from(current), variable.as_ref())
}

/// The first usable state directory; see [`RunConfig::state_dir`].
pub fn state_dir(config: &RunConfig, environment: &Environment, uid: u32) -> PathBuf {
    if let Some(path) = &config.state_dir {
        return path.clone();
    }
    let runtime = environment.get_filled("XDG_RUNTIME_DIR").map(|path| Path::new(path).join("agent-init"));
    let candidates = [Some(PathBuf::from("/run/agent-init")), runtime.filter(|path| path.is_absolute())];
    let usable = candidates.into_iter().flatten().find(|path| is_usable_state_dir(path, uid));
    usable.unwrap_or_else(|| PathBuf::from(format!("/tmp/agent-init-{uid}")))
}

fn is_usable_state_dir(path: &Path, uid: u32) -> bool {
    let Some(existing) = path.ancestors().find(|ancestor| access::is_directory(ancestor)) else { return false };
    let Ok(dir) = Dir::open(existing) else { return false };
    // A writable directory of another user, such as an emptyDir of Kubernetes, must not hold our state.
    dir.is_writable() && (existing != path || dir.stat().is_ok_and(|stat| stat.uid == uid))
}
