//! Files that go with a method and are not the agent's own, such as a cloud provider's credentials.
//!
//! They are read only where another user than ours will run the agent: root's `~/.aws` and a root-owned secret are out of
//! its reach.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::account::Identity;
use crate::agent::Definition;
use crate::agent::definition::CredentialFile;
use crate::env::Environment;
use crate::facts::candidate;
use crate::facts::candidate::Candidate;
use crate::facts::explicit::ExplicitSources;
use crate::facts::place::under_home;
use crate::fs::untrusted::Unreadable;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::Secret;
use crate::sys::access;

/// A file to copy for the agent's user.
pub struct ForeignFile {
    /// The variable that names it.
    pub variable: String,
    /// Where it is.
    pub from: PathBuf,
    /// What it holds.
    pub bytes: Secret,
    /// What goes with it into the agent's HOME.
    pub cache: Option<Cache>,
}

/// JSON files that the agent looks for in one place of its HOME.
pub struct Cache {
    /// That place, below HOME.
    pub place: PathBuf,
    /// The files.
    pub files: Vec<Cached>,
}

/// One of them.
pub struct Cached {
    /// Its name.
    pub name: OsString,
    /// When it changed, seconds and nanoseconds.
    pub changed: (i64, i64),
    /// What it holds.
    pub bytes: Secret,
}

/// More than anybody has profiles: others stay where they are.
const CACHED: usize = 64;

/// How many entries of the place are looked at.
const ENTRIES: usize = 1024;

/// Whose files are looked for, and for whom.
pub(super) struct Whose<'w> {
    pub(super) environment: &'w Environment,
    /// HOME of the agent.
    pub(super) home: &'w Path,
    /// The agent's user.
    pub(super) identity: &'w Identity,
    /// Our own uid and gid.
    pub(super) current: (u32, u32),
}

/// The files of the first candidate that has any; when it is chosen, they are copied.
pub(super) fn for_another_user(
    definition: &Definition,
    candidates: &[Candidate<'_>],
    given: &mut ExplicitSources,
    whose: &Whose<'_>,
) -> Vec<ForeignFile> {
    if !whose.identity.differs_from(whose.current) {
        return Vec::new();
    }
    let Some(rule) = candidates.iter().find(|candidate| candidate.found.is_ok()).map(|candidate| candidate.rule) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for file in &rule.files {
        let Some((from, is_named)) = place(file, whose) else { continue };
        match candidate::file(&from) {
            Ok(bytes) => {
                let cache = file.cache.as_deref().and_then(|place| cache(place, whose));
                found.push(ForeignFile { variable: file.variable.clone(), from, bytes, cache });
            }
            Err(Unreadable::Missing) if !is_named => {}
            Err(why) => {
                let how = if is_named {
                    format!("{} names {}", file.variable, from.display())
                } else {
                    from.display().to_string()
                };
                let text = format!("{}: {} cannot be passed on: {how}: {why}", definition.name, rule.label);
                given.warnings.push(Message::warning(text).event(EventKey::UnusableSource).agent(&definition.name));
            }
        }
    }
    found
}

/// Where the file is, and whether its variable says so; `None` where the agent finds its own.
fn place(file: &CredentialFile, whose: &Whose<'_>) -> Option<(PathBuf, bool)> {
    if let Some(named) = whose.environment.get_filled(&file.variable) {
        return Some((PathBuf::from(named), true));
    }
    if access::is_there(&under_home(&file.default, whose.home)) {
        return None;
    }
    let ours = whose.environment.get_filled("HOME").map(Path::new).filter(|home| *home != whose.home)?;
    Some((under_home(&file.default, ours), false))
}

/// What is in this place of our HOME; `None` where the agent has the same HOME, or there is nothing. A file that cannot be
/// read is passed over: caches come and go.
fn cache(place: &str, whose: &Whose<'_>) -> Option<Cache> {
    let place = Path::new(place.strip_prefix("~/")?);
    let ours = whose.environment.get_filled("HOME").map(Path::new).filter(|home| *home != whose.home)?.join(place);
    let file = |path: PathBuf| {
        let changed = path.metadata().ok()?;
        let name = path.file_name().filter(|_| path.extension() == Some(OsStr::new("json")))?.to_owned();
        Some(Cached { name, changed: (changed.ctime(), changed.ctime_nsec()), bytes: candidate::file(&path).ok()? })
    };
    let entries = ours.read_dir().ok()?.take(ENTRIES).filter_map(|entry| file(entry.ok()?.path()));
    let files: Vec<Cached> = entries.take(CACHED).collect();
    (!files.is_empty()).then(|| Cache { place: place.to_owned(), files })
}
