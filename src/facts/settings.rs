//! Finds credentials in the agent's own settings. They are used there and not moved.

use std::io;
use std::path::{Path, PathBuf};

use crate::account::Identity;
use crate::agent::Definition;
use crate::agent::definition::{Method, MethodRule};
use crate::config::Scope;
use crate::facts::agent_facts::AgentFacts;
use crate::facts::candidate::{Candidate, CandidateValue};
use crate::facts::config_dir;
use crate::facts::explicit::switch_value;
use crate::facts::logins::found_owners;
use crate::fs::untrusted;
use crate::fs::untrusted::{Content, Owners, Unreadable};
use crate::login::format::{Field, Format};
use crate::login::{Document, Secret, Source, Unusable};
use crate::sys::dir::Dir;
use crate::sys::errno;

/// The agent's own settings that authenticate it. A file in the working copy is kept, so it counts. A file in the
/// captured directory counts only if the working copy has none.
pub(super) fn find<'c>(facts: &AgentFacts<'c>, scope: Scope, identity: &Identity, home: &Path) -> Vec<Candidate<'c>> {
    let definition = facts.definition;
    let places = places(facts, scope, identity);
    let read_document = |file: &str| {
        if let Some(outside) = facts.mounted_outside.iter().find(|outside| outside.name == file) {
            let source = Source::Mount(outside.from.clone());
            return match read_outside(&outside.from, &Owners::Any) {
                Ok(content) => Ok(Some((Document::parse(&content.bytes, Format::Jsonc).ok(), source))),
                Err(why) if why.is_unknown() && !why.is_forbidden() => Err((source, why)),
                Err(_) => Ok(None),
            };
        }
        let is_mounted = facts.config_dir.is_mounted_entry(file) && places.iter().any(|place| place.is_mount);
        for place in places.iter().filter(|place| !is_mounted || place.is_mount) {
            let source = || (place.kind)(place.path.join(file));
            match place.read(file) {
                Ok(content) => {
                    return Ok(Some((Document::parse(&content.bytes, Format::Jsonc).ok(), source())));
                }
                Err(why) if why.is_unknown() && !why.is_forbidden() => return Err((source(), why)),
                Err(_) => {}
            }
        }
        match outside_file(definition, file, home).filter(|_| scope != Scope::Login) {
            None => Ok(None),
            Some(path) => match read_outside(&path, &found_owners(identity)) {
                Ok(content) => Ok(Some((Document::parse(&content.bytes, Format::Jsonc).ok(), Source::Home(path)))),
                Err(why) if why.is_unknown() && !why.is_forbidden() => Err((Source::Home(path), why)),
                Err(_) => Ok(None),
            },
        }
    };
    let candidate = |rule, source| Candidate { rule, source, found: Ok(CandidateValue::Setting), expires_at: None };
    let from_setting = |rule: &'c MethodRule| {
        let setting = rule.setting.as_ref()?;
        match read_document(&setting.file) {
            Ok(found) => {
                let (document, source) = found?;
                document?.has_text(&setting.key).then(|| candidate(rule, source))
            }
            // It may hold a credential, which the agent would use.
            Err((source, why)) => {
                Some(Candidate { found: Err(Unusable::Unreadable(why.to_string())), ..candidate(rule, source) })
            }
        }
    };
    let mut candidates: Vec<Candidate<'c>> = definition.methods.iter().filter_map(from_setting).collect();
    let Some(variables) = &definition.settings.variables else { return candidates };
    let Ok(Some((Some(document), source))) = read_document(&variables.file) else { return candidates };
    let sets_variable = |rule: &&MethodRule| {
        let Some(name) = &rule.variable else { return false };
        let field = Field { pointer: format!("/{}/{name}", variables.key), claim: None, file: None };
        let value = document.text(&field).map(|value| Secret::copied(value.as_bytes()));
        value.is_some_and(|value| rule.method != Method::Cloud || switch_value(&value) == Some(true))
    };
    candidates.extend(definition.methods.iter().filter(sets_variable).map(|rule| candidate(rule, source.clone())));
    candidates
}

/// The file outside the config directory that is copied to the working copy as `file`.
fn outside_file(definition: &Definition, file: &str, home: &Path) -> Option<PathBuf> {
    let (outside, _) = definition.settings.outside.iter().find(|(_, inside)| *inside == file)?;
    Some(config_dir::under_home(outside, home))
}

fn read_outside(path: &Path, owners: &Owners) -> Result<Content, Unreadable> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Unreadable::Missing) };
    untrusted::entry(&Dir::open(parent)?, name, owners)
}

/// A directory of settings.
struct Place<'p> {
    path: &'p Path,
    opened: io::Result<Dir>,
    kind: fn(PathBuf) -> Source,
    owners: Owners,
    /// It is the config directory, of which mounted entries replace those of the working copy.
    is_mount: bool,
}

impl Place<'_> {
    fn read(&self, file: &str) -> Result<Content, Unreadable> {
        match &self.opened {
            Ok(dir) => untrusted::beneath(dir, Path::new(file), &self.owners),
            Err(error) => Err(errno::same(error).into()),
        }
    }
}

/// The directories in which settings count, in the order of their rank. Each is opened once.
fn places<'p>(facts: &'p AgentFacts<'_>, scope: Scope, identity: &Identity) -> Vec<Place<'p>> {
    let in_working_copy = Place {
        path: &facts.working_copy,
        opened: Dir::open(&facts.working_copy),
        kind: Source::Home,
        owners: found_owners(identity),
        is_mount: false,
    };
    let capture = facts.capture.as_ref().map(|capture| capture.path.as_path());
    let sources = config_dir::settings_sources(&facts.config_dir, &facts.working_copy, capture);
    let place = |source: config_dir::SettingsSource<'p>| Place {
        path: source.path,
        opened: facts.open_settings(source.path),
        kind: source.kind,
        owners: Owners::Any,
        is_mount: source.path == facts.config_dir.path,
    };
    let copied = sources.into_iter().filter(|_| scope != Scope::Login).map(place);
    std::iter::once(in_working_copy).chain(copied).collect()
}
