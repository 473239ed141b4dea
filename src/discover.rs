//! Reads everything that a start depends on, once: environment, accounts, mounts, files. Decides nothing that a pure
//! function of [`crate::plan`] can decide, and changes nothing.

pub mod environment;
pub mod mounts;
pub mod offers;
pub mod processes;
pub mod running;
pub mod surroundings;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

pub use environment::Environment;
pub use mounts::Mounts;
pub use offers::{Given, Material, Offer, Session};
pub use running::Running;

use crate::agent::{Catalog, Definition};
use crate::cli::RunOptions;
use crate::plan::identity::{self, Accounts, Identity, Wanted};
use crate::plan::place::{self, PlaceFacts, Seen};
use crate::plan::select;
use crate::report::{Failure, Message};
use crate::state::{self, Served, State};
use crate::store::{Capture, Recovery};
use crate::sync::lineage::Lineage;
use crate::sys::dir::{Dir, Kind, read_limited, stat_file};
use crate::sys::privilege;

/// Everything that a plan is made from.
pub struct Facts<'c> {
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
}

/// What is known of one agent.
pub struct AgentFacts<'c> {
    /// What it is.
    pub definition: &'c Definition,
    /// What was found that could authenticate it.
    pub offers: Vec<Offer<'c>>,
    /// Every variable of its own that is set, and the forms that were given.
    pub given: Given,
    /// Its own place.
    pub place: PlaceFacts,
    /// Where its working copy goes.
    pub working_copy: PathBuf,
    /// Its capture, if there is a directory for it.
    pub capture: Option<CaptureFacts>,
}

/// What is known of a capture.
pub struct CaptureFacts {
    /// The directory; it may not be there yet below a root that is.
    pub path: PathBuf,
    /// Whether a login can be stored there.
    pub writable: bool,
    /// The logins that were stored there.
    pub lineage: Lineage,
}

/// Reads the facts.
///
/// # Errors
/// What can not be read as the operator asked: an unknown user, both forms of one variable, a missing file.
pub fn facts<'c>(
    options: &RunOptions,
    catalog: &'c Catalog,
    environment: &'c Environment,
) -> anyhow::Result<Facts<'c>> {
    let current = privilege::current();
    let identity = who(options, environment, current)?;
    let (home, home_why) = home(options, environment, &identity, current)?;
    let wanted = select::candidates(options, catalog)?;
    let roots = offers::secret_directories(options.secrets.as_deref(), environment);
    let mut ground = Ground { options, environment, home: &home, identity: &identity, mounts: None };
    let mut agents = Vec::new();
    for candidate in wanted {
        let given = offers::given(candidate.definition, environment, &roots)?;
        if candidate.is_certain
            || given.is_explicit()
            || (candidate.when_found && ground.has_any_login(candidate.definition)?)
        {
            agents.push((candidate.definition, given));
        }
    }
    // A plain init keeps no state, and looks for no place to keep it.
    let state_dir = if agents.is_empty() { PathBuf::new() } else { state_dir(options, environment, current.0)? };
    let previous = if agents.is_empty() { State::default() } else { state::load(&state_dir, current.0) };
    let agents = agents.into_iter().map(|(definition, given)| ground.agent(definition, given, &state_dir));
    let agents = agents.collect::<anyhow::Result<_>>()?;
    let working_directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    Ok(Facts { environment, current, identity, home, home_why, working_directory, state_dir, previous, agents })
}

impl Facts<'_> {
    /// Everything that reading found worth a word.
    pub fn warnings(&self) -> impl Iterator<Item = &Message> {
        self.agents.iter().flat_map(|agent| &agent.given.warnings)
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

/// Where the files of agents are looked for.
struct Ground<'c, 'o> {
    options: &'o RunOptions,
    environment: &'c Environment,
    home: &'o Path,
    identity: &'o Identity,
    mounts: Option<Mounts>,
}

impl<'c> Ground<'c, '_> {
    fn own_place(&self, definition: &Definition) -> PathBuf {
        let variable = self.environment.get_filled(&definition.home.variable).map(Path::new);
        place::own(&definition.home, variable, self.home)
    }

    /// A look at the names alone, for the agents that COMMAND does not name: most starts end here, at one or two
    /// failing lookups each.
    fn has_any_login(&self, definition: &Definition) -> anyhow::Result<bool> {
        let Some(session) = &definition.session else { return Ok(false) };
        let at_place = self.own_place(definition).join(&session.file);
        Ok(at_place.symlink_metadata().is_ok()
            || self.capture_path(definition)?.is_some_and(|path| path.join(&session.file).symlink_metadata().is_ok()))
    }

    fn agent(
        &mut self,
        definition: &'c Definition,
        mut given: Given,
        state_dir: &Path,
    ) -> anyhow::Result<AgentFacts<'c>> {
        let place = self.place(definition);
        let capture = self.capture(definition)?;
        let mut offers = offers::explicit(definition, &mut given)?;
        let work_dir = self.options.work_dir.as_deref();
        let working_copy = place::working_copy(&definition.name, &definition.home, &place, work_dir, state_dir);
        if let Some(session) = &definition.session {
            let elsewhere =
                (place.path != working_copy).then(|| offers::in_place(definition, session, &place, self.identity));
            offers.extend(elsewhere.flatten());
            offers.extend(
                capture.as_ref().and_then(|(capture, _)| offers::captured(definition, session, capture.as_ref()?)),
            );
            let recovery = Recovery::new(state_dir, &definition.name, &session.file).directory();
            let left = |place: &Path| offers::left(definition, session, place, self.identity);
            let in_place = left(&working_copy);
            let recovered =
                if in_place.as_ref().is_some_and(|offer| offer.found.is_ok()) { None } else { left(&recovery) };
            offers.extend(in_place.into_iter().chain(recovered));
        }
        let capture = capture.map(|(_, facts)| facts);
        Ok(AgentFacts { definition, offers, given, place, working_copy, capture })
    }

    fn place(&mut self, definition: &Definition) -> PlaceFacts {
        let path = self.own_place(definition);
        let found = path.symlink_metadata();
        // What is not there is no mount and holds none; the table is the longest read of a start.
        let is_there = !found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let nothing = Mounts::default();
        if is_there && self.mounts.is_none() {
            self.mounts = Some(mount_table());
        }
        let mounts = self.mounts.as_ref().unwrap_or(&nothing);
        let found = found.ok();
        let ours = [self.identity.uid, privilege::current().0, 0];
        let foreign = self.identity.uid != 0 && found.as_ref().is_some_and(|found| !ours.contains(&found.uid()));
        // A link anywhere below HOME may be an earlier agent's: it leads who knows where.
        let is_led = path.ancestors().skip(1).take_while(|above| above.starts_with(self.home) && *above != self.home);
        let is_led = is_led.into_iter().any(Path::is_symlink);
        let kind = found.map(|found| match found.file_type() {
            _ if is_led => Kind::Link,
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_symlink() => Kind::Link,
            kind if kind.is_file() => Kind::File,
            _ => Kind::Special,
        });
        // HOME itself is made only where it is ours to make; below it, whatever is missing.
        let makes_home = self.home == Path::new(place::FALLBACK_HOME) || self.options.home.is_some();
        let existing = path.ancestors().find(|ancestor| ancestor.is_dir());
        let writable = existing.is_some_and(|existing| {
            (makes_home || existing.starts_with(self.home) || !path.starts_with(self.home))
                && Dir::open(existing).is_ok_and(|dir| dir.is_writable())
        });
        let mounted = mounts.at(&path).is_some();
        let login = definition
            .session
            .as_ref()
            .map(|session| path.join(&session.file))
            .filter(|file| mounts.at(file).is_some());
        let mounted_below = login.or_else(|| mounts.below(&path).map(|mount| mount.point.clone()));
        let mount_writable = Dir::open(&path).is_ok_and(|dir| match (&definition.session, &mounted_below) {
            (Some(session), Some(below)) if *below == path.join(&session.file) => {
                dir.may_write(OsStr::new(&session.file))
            }
            _ => dir.is_writable(),
        });
        PlaceFacts { path, mounted, mount_writable, mounted_below, kind, foreign, writable }
    }

    /// The directory of the agent's capture, whether or not it is there.
    fn capture_path(&self, definition: &Definition) -> anyhow::Result<Option<PathBuf>> {
        let root = match &self.options.capture {
            Some(spec) => match spec.named.iter().find(|(name, _)| *name == definition.name) {
                Some((_, path)) => return directory("--capture", path).map(|()| Some(path.clone())),
                None => spec.default.clone(),
            },
            None => Some(PathBuf::from("/capture")).filter(|path| path.symlink_metadata().is_ok()),
        };
        let Some(root) = root else { return Ok(None) };
        directory("--capture", &root)?;
        let flat =
            definition.session.as_ref().is_some_and(|session| root.join(&session.file).symlink_metadata().is_ok());
        Ok(Some(if flat { root } else { root.join(&definition.name) }))
    }

    fn capture(&self, definition: &Definition) -> anyhow::Result<Option<(Option<Capture>, CaptureFacts)>> {
        let (Some(session), Some(path)) = (&definition.session, self.capture_path(definition)?) else {
            return Ok(None);
        };
        match Capture::open(&path) {
            Ok(capture) => {
                let facts =
                    CaptureFacts { writable: capture.is_writable(session), lineage: capture.record().lineage, path };
                Ok(Some((Some(capture), facts)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let writable =
                    path.parent().and_then(|root| Dir::open(root).ok()).is_some_and(|root| root.is_writable());
                Ok(Some((None, CaptureFacts { path, writable, lineage: Lineage::default() })))
            }
            Err(error) => {
                let failure = Failure::new(format!("cannot open the capture {}", path.display()));
                Err(error).context(failure.hint("it must be a directory that agent-init may read"))
            }
        }
    }
}

/// Without /proc nothing is known of mounts, and so nothing is one.
fn mount_table() -> Mounts {
    Mounts::parse(&read_whole(Path::new("/proc/self/mountinfo")).unwrap_or_default())
}

/// An operator's path that must be a directory.
fn directory(option: &str, path: &Path) -> anyhow::Result<()> {
    let hint = "mount a directory or a volume there; docker makes an empty one for a source that is missing";
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Failure::new(format!("{option} {}: it is not a directory", path.display())).hint(hint).into()),
        Err(error) => Err(error).context(Failure::new(format!("{option} {}", path.display())).hint(hint)),
    }
}

fn who(options: &RunOptions, environment: &Environment, current: (u32, u32)) -> anyhow::Result<Identity> {
    let wanted = match (&options.user, &options.user_from) {
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
    identity::resolve(&wanted, &accounts, current)
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
) -> anyhow::Result<(PathBuf, &'static str)> {
    if let Some(home) = options.home.as_deref().filter(|home| !home.is_absolute()) {
        return Err(Failure::new(format!("--home {}: the path is not absolute", home.display())).into());
    }
    let variable = environment.get_filled("HOME").map(|path| {
        let path = PathBuf::from(path);
        let stat = Dir::open(&path).and_then(|dir| dir.stat()).ok();
        Seen { path, stat }
    });
    Ok(place::home(options.home.as_deref(), identity, identity.differs_from(current), variable.as_ref()))
}

/// The first state directory that can be used; see [`RunOptions::state_dir`].
fn state_dir(options: &RunOptions, environment: &Environment, uid: u32) -> anyhow::Result<PathBuf> {
    if let Some(path) = &options.state_dir {
        if !path.is_absolute() {
            return Err(Failure::new(format!("--state-dir {}: the path is not absolute", path.display())).into());
        }
        return Ok(path.clone());
    }
    let runtime = environment.get_filled("XDG_RUNTIME_DIR").map(|path| Path::new(path).join("agent-init"));
    let candidates = [Some(PathBuf::from("/run/agent-init")), runtime.filter(|path| path.is_absolute())];
    let usable = |path: &PathBuf| {
        let existing = path.ancestors().find(|ancestor| ancestor.is_dir());
        existing.is_some_and(|existing| Dir::open(existing).is_ok_and(|dir| dir.is_writable()))
    };
    let found = candidates.into_iter().flatten().find(usable);
    Ok(found.unwrap_or_else(|| PathBuf::from(format!("/tmp/agent-init-{uid}"))))
}
