//! Reads what authenticates an agent by its own settings: it stands there and stays there.

use std::path::{Path, PathBuf};

use crate::account::Identity;
use crate::agent::Definition;
use crate::agent::definition::{Method, MethodRule};
use crate::facts::candidate::{Candidate, CandidateValue};
use crate::facts::explicit::says;
use crate::facts::logins::found_owners;
use crate::fs::untrusted;
use crate::fs::untrusted::Owners;
use crate::login::format::{Field, Format};
use crate::login::{Document, Secret, Source};
use crate::sys::dir::Dir;

/// The settings of an agent's own that authenticate it. A file of the working copy stays as it is, so that what it says
/// counts, and one of the captured directory only where there is none.
pub(super) fn settings<'c>(
    definition: &'c Definition,
    working_copy: &Path,
    captured: Option<(&Path, fn(PathBuf) -> Source)>,
    identity: &Identity,
) -> Vec<Candidate<'c>> {
    let there = (working_copy, Source::Home as fn(PathBuf) -> Source, found_owners(identity));
    let places: Vec<_> = std::iter::once(there).chain(captured.map(|(path, kind)| (path, kind, Owners::Any))).collect();
    let document = |file: &str| {
        for (path, kind, owners) in &places {
            let read = || untrusted::beneath(&Dir::open(path)?, Path::new(file), owners);
            match read() {
                Ok(content) => {
                    return Ok(Some((Document::parse(&content.bytes, Format::Jsonc).ok(), kind(path.join(file)))));
                }
                Err(why) if why.is_unknown() && !why.is_forbidden() => return Err((kind(path.join(file)), why)),
                Err(_) => {}
            }
        }
        Ok(None)
    };
    let candidate = |rule, source| Candidate { rule, source, found: Ok(CandidateValue::Setting), expires_at: None };
    let setting = |rule: &'c MethodRule| {
        let setting = rule.setting.as_ref()?;
        match document(&setting.file) {
            Ok(found) => {
                let (document, source) = found?;
                document?.has_text(&setting.key).then(|| candidate(rule, source))
            }
            // It may hold one, and the agent would use it.
            Err((source, why)) => {
                Some(Candidate { found: Err(format!("it cannot be read: {why}")), ..candidate(rule, source) })
            }
        }
    };
    let mut candidates: Vec<Candidate<'c>> = definition.methods.iter().filter_map(setting).collect();
    let Some(variables) = &definition.settings.variables else { return candidates };
    let Ok(Some((Some(document), source))) = document(&variables.file) else { return candidates };
    let is_given = |rule: &&MethodRule| {
        let Some(name) = &rule.variable else { return false };
        let field = Field { pointer: format!("/{}/{name}", variables.key), claim: None, file: None };
        let value = document.text(&field).map(|value| Secret::copied(value.as_bytes()));
        value.is_some_and(|value| rule.method != Method::Cloud || says(&value) == Some(true))
    };
    candidates.extend(definition.methods.iter().filter(is_given).map(|rule| candidate(rule, source.clone())));
    candidates
}
