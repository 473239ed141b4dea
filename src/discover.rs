//! Reads everything that a start depends on, once: environment, accounts, mounts, files. Decides nothing that a pure
//! function of [`crate::plan`] can decide, and changes nothing.

pub mod definitions;
pub mod environment;
pub mod files;
pub mod given;
mod ground;
mod logins;
pub mod mounts;
pub mod offers;
pub mod processes;
pub mod programs;
pub mod running;
mod settings;
mod stored;
pub mod surroundings;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;

pub use definitions::catalog;
pub use environment::Environment;
pub use files::{Cache, ForeignFile};
pub use given::Given;
pub use mounts::Mounts;
pub use offers::{Material, Offer, Session};
pub use running::Running;
pub use stored::StoreFacts;

use crate::agent::{Catalog, Definition};
use crate::cli::RunOptions;
use crate::credential::Secret;
use crate::launch::helper::Helpers;
use crate::plan::identity::{self, Accounts, Identity, Wanted};
use crate::plan::place::{self, PlaceFacts, Seen};
use crate::plan::select;
use crate::report::{Failure, Message};
use crate::state::{self, Served, State};
use crate::sync::lineage::Lineage;
use crate::sys::dir::{Dir, Kind, read_limited, stat_file};
use crate::sys::{look, privilege, process};
use crate::workcopy::read::read_again;

use ground::Ground;

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

/// What is known of one agent.
pub struct AgentFacts<'c> {
    /// What it is.
    pub definition: &'c Definition,
    /// It is served whatever is found: it was named, or COMMAND is its.
    pub is_certain: bool,
    /// What was found that could authenticate it.
    pub offers: Vec<Offer<'c>>,
    /// Variables that go with one of its methods, read from elsewhere.
    pub companions: Vec<(String, Secret)>,
    /// Files that go with one of its methods, and that its user could not read.
    pub files: Vec<ForeignFile>,
    /// Every variable of its own that is set, and the forms that were given.
    pub given: Given,
    /// Its own place.
    pub place: PlaceFacts,
    /// Where its working copy goes.
    pub working_copy: PathBuf,
    /// Its capture, if there is a directory for it.
    pub capture: Option<CaptureFacts>,
}

impl AgentFacts<'_> {
    /// Where the login is in the working copy; `None` for an agent that keeps none.
    #[must_use]
    pub fn login_file(&self) -> Option<PathBuf> {
        self.definition.session.as_ref().map(|session| self.working_copy.join(&session.file))
    }
}

/// What is known of a capture.
pub struct CaptureFacts {
    /// The directory; it may not be there yet below a root that is.
    pub path: PathBuf,
    /// Whether a login can be stored there.
    pub writable: bool,
    /// The logins that were stored there.
    pub lineage: Lineage,
    /// How many other containers use it now; counted only where this one is not going to take turns with them.
    pub others: usize,
    /// It is the mirror of a store behind a helper.
    pub store: Option<StoreFacts>,
}

impl CaptureFacts {
    /// Where it is, as the operator knows it.
    #[must_use]
    pub fn place(&self) -> String {
        self.store.as_ref().map_or_else(|| self.path.display().to_string(), |store| store.spec.text.clone())
    }
}

/// Reads the facts. Without `helpers` no command is run: what one would give is [`Material::Unread`].
///
/// # Errors
/// What can not be read as the operator asked: an unknown user, both forms of one variable, a missing file.
pub fn facts<'c>(
    options: &RunOptions,
    catalog: &'c Catalog,
    environment: &'c Environment,
    mut helpers: Option<&mut Helpers<'_>>,
) -> anyhow::Result<Facts<'c>> {
    let current = privilege::current();
    let identity = who(options, environment, current)?;
    let (home, home_why) = home(options, environment, &identity, current);
    let wanted = select::candidates(options, catalog)?;
    let mut notes = Vec::new();
    if !wanted.is_empty() {
        ground::captures_are_there(options)?;
        notes = given::missing_directories(options.secrets.as_deref())?;
    }
    let directories = given::secret_directories(options.secrets.as_deref(), environment);
    let mut ground = Ground {
        catalog,
        options,
        environment,
        home: &home,
        identity: &identity,
        current,
        mounts: None,
        has_capture: ground::has_capture(options),
    };
    let mut subjects = Vec::new();
    for candidate in &wanted {
        subjects.extend(ground.subject(candidate, catalog, &directories)?);
    }
    // A plain init keeps no state, and looks for no place to keep it.
    let state_dir = if subjects.is_empty() { PathBuf::new() } else { state_dir(options, environment, current.0) };
    let previous = if subjects.is_empty() { State::default() } else { state::load(&state_dir, current.0)? };
    let agents = subjects.into_iter().map(|subject| ground.agent(subject, &state_dir, helpers.as_deref_mut()));
    let agents = agents.collect::<anyhow::Result<_>>()?;
    let working_directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let arguments = options.command.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
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
    #[must_use]
    pub fn remembered(&self, agent: &AgentFacts<'_>) -> Option<&Served> {
        self.previous
            .agents
            .iter()
            .find(|served| served.agent == agent.definition.name && served.place == agent.working_copy)
    }
}

/// Without /proc nothing is known of mounts, and so nothing is one.
///
/// # Errors
/// It cannot be read: what is mounted would be taken for the agent's own, and written over.
fn mount_table() -> anyhow::Result<Mounts> {
    let path = Path::new("/proc/self/mountinfo");
    let read = || match read_whole(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        table => table,
    };
    let table = read_again(read).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Mounts::parse(&table))
}

/// Who the agent will be.
///
/// # Errors
/// As [`identity::resolve`]; a path without an owner; account files that can not be read.
pub fn who(options: &RunOptions, environment: &Environment, current: (u32, u32)) -> anyhow::Result<Identity> {
    let wanted = match (&options.workplace.user, &options.workplace.user_from) {
        _ if options.user_is_void(current) => Wanted::Unchanged,
        (Some(spec), _) => Wanted::Spec(spec.clone()),
        (None, Some(path)) => {
            let hint = "name a path whose owner the agent shall be, such as a bind-mounted workspace";
            let failure = || Failure::new(format!("--user-from {}", path.display())).hint(hint);
            let owner = path.metadata().with_context(failure)?;
            Wanted::Owner { uid: owner.uid(), gid: owner.gid() }
        }
        (None, None) => Wanted::Unchanged,
    };
    // Nothing of the accounts matters to a user who stays the same and has a home.
    let needed = wanted != Wanted::Unchanged || environment.get_filled("HOME").is_none_or(|home| home == "/");
    let text = |path| if needed { account_file(Path::new(path)) } else { Ok(String::new()) };
    let accounts = Accounts { passwd: text("/etc/passwd")?, group: text("/etc/group")? };
    let identity = identity::resolve(&wanted, &accounts, current)?;
    if identity.differs_from(current) && !process::is_in_first_user_namespace() {
        let map = |path| read_whole(Path::new(path)).unwrap_or_default();
        let (users, groups) = (map("/proc/self/uid_map"), map("/proc/self/gid_map"));
        identity::mapped(&identity, &String::from_utf8_lossy(&users), &String::from_utf8_lossy(&groups))?;
    }
    Ok(identity)
}

/// The shell of a user: that of the passwd entry if it can be one, else the first that every image has.
#[must_use]
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
    match read_whole(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// At most 4 MiB of a file of the image, which must be regular: a fifo would stop us for ever.
fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    const MAX: u64 = 4 * 1024 * 1024;
    let parent = Dir::open(path.parent().unwrap_or(path))?;
    let file: File = parent.file(path.file_name().unwrap_or(OsStr::new("")))?;
    if stat_file(&file)?.kind != Kind::File {
        return Err(io::Error::other("it is not a regular file"));
    }
    let bytes = read_limited(&file, MAX)?.ok_or_else(|| io::Error::other("it is larger than 4 MiB"))?;
    Ok(bytes.to_vec())
}

fn home(
    options: &RunOptions,
    environment: &Environment,
    identity: &Identity,
    current: (u32, u32),
) -> (PathBuf, &'static str) {
    let variable = environment.get_filled("HOME").map(|path| {
        let path = PathBuf::from(path);
        let stat = Dir::open(&path).and_then(|dir| dir.stat()).ok();
        Seen { path, stat }
    });
    place::home(options.workplace.home.as_deref(), identity, identity.differs_from(current), variable.as_ref())
}

/// The first state directory that can be used; see [`crate::cli::ConductOptions::state_dir`].
#[must_use]
pub fn state_dir(options: &RunOptions, environment: &Environment, uid: u32) -> PathBuf {
    if let Some(path) = &options.conduct.state_dir {
        return path.clone();
    }
    let runtime = environment.get_filled("XDG_RUNTIME_DIR").map(|path| Path::new(path).join("agent-init"));
    let candidates = [Some(PathBuf::from("/run/agent-init")), runtime.filter(|path| path.is_absolute())];
    let usable = |path: &PathBuf| {
        let existing = path.ancestors().find(|ancestor| look::is_directory(ancestor));
        // Another's directory that we could write to, such as an emptyDir of Kubernetes', is none for our state.
        let is_ours = |dir: &Dir| existing != Some(path) || dir.stat().is_ok_and(|stat| stat.uid == uid);
        existing.is_some_and(|existing| Dir::open(existing).is_ok_and(|dir| dir.is_writable() && is_ours(&dir)))
    };
    let found = candidates.into_iter().flatten().find(usable);
    found.unwrap_or_else(|| PathBuf::from(format!("/tmp/agent-init-{uid}")))
}
