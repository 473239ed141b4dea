//! Files that accompany a method and do not belong to the agent, such as a cloud provider's credentials.
//!
//! They are read only if the agent runs as another user, who cannot reach root's `~/.aws` or a secret that root owns.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::account::Identity;
use crate::agent::Definition;
use crate::agent::definition::CredentialFile;
use crate::env::Environment;
use crate::facts::candidate;
use crate::facts::candidate::Candidate;
use crate::facts::config_dir::under_home;
use crate::facts::explicit::ExplicitSources;
use crate::fs::untrusted::Unreadable;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::Secret;
use crate::sys::access;

pub struct ForeignFile {
    /// The variable that names the file.
    pub variable: String,
    pub from: PathBuf,
    pub bytes: Secret,
    /// JSON files that go with it into the agent's HOME.
    pub cache: Option<Cache>,
}

/// A directory of JSON files, such as AWS's SSO cache.
pub struct Cache {
    /// The directory, relative to HOME.
    pub path: PathBuf,
    pub files: Vec<CachedFile>,
}

pub struct CachedFile {
    pub name: OsString,
    /// ctime: seconds and nanoseconds.
    pub changed: (i64, i64),
    pub bytes: Secret,
}

/// More than anybody has profiles. Further files are not copied.
const MAX_CACHED_FILES: usize = 64;

/// How many entries of the directory are checked.
const MAX_ENTRIES: usize = 1024;

/// The two users: this process, users files are copied, and the agent, who gets them.
pub(super) struct Users<'w> {
    pub(super) environment: &'w Environment,
    /// HOME of the agent.
    pub(super) home: &'w Path,
    /// The agent's user.
    pub(super) identity: &'w Identity,
    /// uid and gid of this process.
    pub(super) current: (u32, u32),
}

/// Reads the files that accompany the first usable candidate. They are copied if that candidate is chosen.
pub(super) fn for_another_user(
    definition: &Definition,
    candidates: &[Candidate<'_>],
    explicit: &mut ExplicitSources,
    users: &Users<'_>,
) -> Vec<ForeignFile> {
    if !users.identity.differs_from(users.current) {
        return Vec::new();
    }
    let Some(rule) = candidates.iter().find(|candidate| candidate.found.is_ok()).map(|candidate| candidate.rule) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for file in &rule.files {
        let Some((from, is_named)) = locate(file, users) else { continue };
        match candidate::read_named_file(&from) {
            Ok(bytes) => {
                let cache = file.cache.as_deref().and_then(|path| read_cache(path, users));
                found.push(ForeignFile { variable: file.variable.clone(), from, bytes, cache });
            }
            Err(Unreadable::Missing) if !is_named => {}
            Err(why) => {
                let shown = if is_named {
                    format!("{} names {}", file.variable, from.display())
                } else {
                    from.display().to_string()
                };
                let text = format!("{}: cannot pass on the {}: {shown}: {why}", definition.name, rule.label);
                explicit.warnings.push(Message::warning(text).event(EventKey::UnusableSource).agent(&definition.name));
            }
        }
    }
    found
}

/// The path of the file, and whether its variable names it. `None` if the agent has a file of its own.
fn locate(file: &CredentialFile, users: &Users<'_>) -> Option<(PathBuf, bool)> {
    if let Some(named) = users.environment.get_filled(&file.variable) {
        return Some((PathBuf::from(named), true));
    }
    if access::is_there(&under_home(&file.default, users.home)) {
        return None;
    }
    let ours = users.environment.get_filled("HOME").map(Path::new).filter(|home| *home != users.home)?;
    Some((under_home(&file.default, ours), false))
}

/// Reads the cache from this user's HOME. `None` if the agent has the same HOME or the cache is empty. A file that
/// cannot be read is skipped, because cache files come and go.
fn read_cache(path: &str, users: &Users<'_>) -> Option<Cache> {
    let path = Path::new(path.strip_prefix("~/")?);
    let ours = users.environment.get_filled("HOME").map(Path::new).filter(|home| *home != users.home)?.join(path);
    let entries = ours.read_dir().ok()?.take(MAX_ENTRIES).filter_map(|entry| read_cached_file(&entry.ok()?.path()));
    let files: Vec<CachedFile> = entries.take(MAX_CACHED_FILES).collect();
    (!files.is_empty()).then(|| Cache { path: path.to_owned(), files })
}

fn read_cached_file(path: &Path) -> Option<CachedFile> {
    if path.extension() != Some(OsStr::new("json")) {
        return None;
    }
    let metadata = path.metadata().ok()?;
    Some(CachedFile {
        name: path.file_name()?.to_owned(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        bytes: candidate::read_named_file(path).ok()?,
    })
}
