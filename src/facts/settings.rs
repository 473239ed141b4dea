//! Finds credentials in the agent's own settings. They are used there and not moved.

use std::path::{Path, PathBuf};

use crate::account::Identity;
use crate::agent::Definition;
use crate::agent::definition::{Method, MethodRule};
use crate::facts::candidate::{Candidate, CandidateValue};
use crate::facts::explicit::switch_value;
use crate::facts::logins::found_owners;
use crate::fs::untrusted;
use crate::fs::untrusted::Owners;
use crate::login::format::{Field, Format};
use crate::login::{Document, Secret, Source};
use crate::sys::dir::Dir;

/// The agent's own settings that authenticate it. A file in the working copy is kept, so it counts. A file in the
/// captured directory counts only if the working copy has none.
pub(super) fn find<'c>(
    definition: &'c Definition,
    working_copy: &Path,
    captured: Option<(&Path, fn(PathBuf) -> Source)>,
    identity: &Identity,
) -> Vec<Candidate<'c>> {
    let in_working_copy = (working_copy, Source::Home as fn(PathBuf) -> Source, found_owners(identity));
    let captured = captured.map(|(path, kind)| (path, kind, Owners::Any));
    let directories: Vec<_> = std::iter::once(in_working_copy).chain(captured).collect();
    let read_document = |file: &str| {
        for (path, kind, owners) in &directories {
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
    let from_setting = |rule: &'c MethodRule| {
        let setting = rule.setting.as_ref()?;
        match read_document(&setting.file) {
            Ok(found) => {
                let (document, source) = found?;
                document?.has_text(&setting.key).then(|| candidate(rule, source))
            }
            // It may hold a credential, which the agent would use.
            Err((source, why)) => {
                Some(Candidate { found: Err(format!("it cannot be read: {why}")), ..candidate(rule, source) })
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
