//! Reads everything that a start depends on, once: environment, accounts, mounts, files. Decides nothing that a pure
//! function of [`crate::plan`] can decide, and changes nothing.

pub mod agent_facts;
pub mod candidate;
pub mod definitions;
pub mod explicit;
pub mod files;
mod logins;
pub mod place;
mod probe;
pub mod select;
mod settings;
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

use self::place::ExistingHome;
use self::probe::AgentProbe;
use crate::account::{Accounts, Identity, Wanted};
use crate::agent::Catalog;
use crate::config::{RunConfig, UserChoice};
use crate::env::Environment;
use crate::error::Failure;
use crate::facts::agent_facts::AgentFacts;
use crate::fs::untrusted;
use crate::log::Message;
use crate::process::helpers::Helpers;
use crate::process::programs;
use crate::state::{Served, State};
use crate::sys::dir::Dir;
use crate::sys::{access, privilege, process};
use crate::{account, state};

/// Everything that a plan is made from.
pub struct Facts<'c> {
    /// The known agents.
    pub catalog: &'c Catalog,
    /// The environment that we were started with.
    pub environment: &'c Environment,
    /// Who we are: uid and gid.
    pub current: (u32, u32),
    /// Who the agent will be.
    pub identity: Identity,
    /// HOME of the agent.
    pub home: PathBuf,
    /// Why that is its HOME.
    pub home_why: &'static str,
    /// Where we are; the agent starts there.
    pub working_directory: PathBuf,
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// What the run before this one left there.
    pub previous: State,
    /// The agents that may be served.
    pub agents: Vec<AgentFacts<'c>>,
    /// COMMAND's arguments.
    pub arguments: Vec<String>,
    /// Whether standard input is a terminal.
    pub terminal: bool,
    /// What was found worth a word that is about no one agent.
    pub notes: Vec<Message>,
    /// When they were read.
    pub now: SystemTime,
}

/// Reads the facts. Without `helpers` no command is run: what one would give is [`CandidateValue::Unread`].
///
/// # Errors
/// What cannot be read as the operator asked: an unknown user, both forms of one variable, a missing file.
pub fn facts<'c>(
    config: &RunConfig,
    catalog: &'c Catalog,
    environment: &'c Environment,
    mut helpers: Option<&mut Helpers<'_>>,
) -> anyhow::Result<Facts<'c>> {
    let current = privilege::current();
    let identity = who(config, environment, current)?;
    let (home, home_why) = home(config, environment, &identity, current);
    let wanted = select::candidates(config, catalog)?;
    let mut notes = Vec::new();
    if !wanted.is_empty() {
        probe::captures_are_there(config)?;
        notes = explicit::missing_directories(config.secrets.as_deref())?;
    }
    let directories = explicit::secret_directories(config.secrets.as_deref(), environment);
    let mut ground = AgentProbe {
        catalog,
        config,
        environment,
        home: &home,
        identity: &identity,
        current,
        mounts: None,
        has_capture: probe::has_capture(config),
    };
    let mut subjects = Vec::new();
    for candidate in &wanted {
        subjects.extend(ground.subject(candidate, catalog, &directories)?);
    }
    // A plain init keeps no state, and looks for no place to keep it.
    let state_dir = if subjects.is_empty() { PathBuf::new() } else { state_dir(config, environment, current.0) };
    let previous = if subjects.is_empty() { State::default() } else { state::load(&state_dir, current.0)? };
    let agents = subjects.into_iter().map(|subject| ground.agent(subject, &state_dir, helpers.as_deref_mut()));
    let agents = agents.collect::<anyhow::Result<_>>()?;
    let working_directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
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

impl Facts<'_> {
    /// Everything that reading found worth a word.
    pub fn warnings(&self) -> impl Iterator<Item = &Message> {
        self.notes.iter().chain(self.agents.iter().flat_map(|agent| &agent.given.warnings))
    }

    /// What an earlier run remembers of an agent whose working copy was in the same place.
    pub fn remembered(&self, agent: &AgentFacts<'_>) -> Option<&Served> {
        self.previous
            .agents
            .iter()
            .find(|served| served.agent == agent.definition.name && served.place == agent.working_copy)
    }
}

/// Who the agent will be.
///
/// # Errors
/// As [`account::resolve`]; a path without an owner; account files that cannot be read.
pub fn who(config: &RunConfig, environment: &Environment, current: (u32, u32)) -> anyhow::Result<Identity> {
    let wanted = match &config.user {
        _ if config.user_is_void(current) => Wanted::Unchanged,
        UserChoice::Named(spec) => Wanted::Spec(spec.clone()),
        UserChoice::OwnerOf(path) => {
            let hint = "name a path whose owner the agent shall be, such as a bind-mounted workspace";
            let failure = || Failure::new(format!("--user-from {}", path.display())).hint(hint);
            let owner = path.metadata().with_context(failure)?;
            Wanted::Owner { uid: owner.uid(), gid: owner.gid() }
        }
        UserChoice::Unchanged => Wanted::Unchanged,
    };
    // Nothing of the accounts matters to a user who stays the same and has a home.
    let needed = wanted != Wanted::Unchanged || environment.get_filled("HOME").is_none_or(|home| home == "/");
    let text = |path| if needed { account_file(Path::new(path)) } else { Ok(String::new()) };
    let accounts = Accounts { passwd: text("/etc/passwd")?, group: text("/etc/group")? };
    let identity = account::resolve(&wanted, &accounts, current)?;
    if identity.differs_from(current) && !process::is_in_first_user_namespace() {
        let map = |path| untrusted::image_file(Path::new(path)).unwrap_or_default();
        let (users, groups) = (map("/proc/self/uid_map"), map("/proc/self/gid_map"));
        account::check_mapped(&identity, &String::from_utf8_lossy(&users), &String::from_utf8_lossy(&groups))?;
    }
    Ok(identity)
}

/// The shell of a user: that of the passwd entry if it can be one, else the first that every image has.
pub fn shell(uid: u32) -> Option<PathBuf> {
    let accounts =
        Accounts { passwd: account_file(Path::new("/etc/passwd")).unwrap_or_default(), ..Accounts::default() };
    // Those who may not log in have a shell that says so and ends.
    let is_shell = |path: &PathBuf| {
        !matches!(path.file_name().and_then(OsStr::to_str), Some("nologin" | "false" | "true" | "sync"))
    };
    let usual = ["/bin/bash", "/bin/sh"].map(PathBuf::from);
    accounts.shell_of(uid).filter(is_shell).into_iter().chain(usual).find(|path| programs::is_executable(path))
}

/// The text of an account file; none is an empty one (`FROM scratch`).
fn account_file(path: &Path) -> anyhow::Result<String> {
    match untrusted::image_file(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn home(
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
    place::home(config.home.as_deref(), identity, identity.differs_from(current), variable.as_ref())
}

/// The first state directory that can be used; see [`RunConfig::state_dir`].
pub fn state_dir(config: &RunConfig, environment: &Environment, uid: u32) -> PathBuf {
    if let Some(path) = &config.state_dir {
        return path.clone();
    }
    let runtime = environment.get_filled("XDG_RUNTIME_DIR").map(|path| Path::new(path).join("agent-init"));
    let candidates = [Some(PathBuf::from("/run/agent-init")), runtime.filter(|path| path.is_absolute())];
    let usable = |path: &PathBuf| {
        let existing = path.ancestors().find(|ancestor| access::is_directory(ancestor));
        // Another's directory that we could write to, such as an emptyDir of Kubernetes', is none for our state.
        let is_ours = |dir: &Dir| existing != Some(path) || dir.stat().is_ok_and(|stat| stat.uid == uid);
        existing.is_some_and(|existing| Dir::open(existing).is_ok_and(|dir| dir.is_writable() && is_ours(&dir)))
    };
    let found = candidates.into_iter().flatten().find(usable);
    found.unwrap_or_else(|| PathBuf::from(format!("/tmp/agent-init-{uid}")))
}
