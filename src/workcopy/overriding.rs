//! Takes the settings out of a working copy that the agent would prefer to what was chosen, and gives them back to what
//! is captured of it.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Map, Value};

use crate::agent::Definition;
use crate::agent::definition::Format;
use crate::credential::document::without_comment_lines;
use crate::credential::{Source, weight};
use crate::plan::AgentPlan;
use crate::report::{Message, in_words};
use crate::store::directory::BOOKKEEPING;

use super::WorkingCopy;
use super::read::{self, Unreadable};

/// Takes the settings out of the working copy that the agent would prefer to what was chosen. What they were copied from
/// keeps them; a file that is nobody's copy is kept as it was.
pub fn set_aside(plan: &AgentPlan<'_, '_>, copy: &WorkingCopy, say: &mut dyn FnMut(Message)) {
    for setting in plan.overriding_settings() {
        let take_out = |document: &mut Map<String, Value>| document.remove(&setting.key).is_some();
        match edit(plan, copy, &setting.file, take_out) {
            Ok(done) => done.into_iter().for_each(&mut *say),
            Err(why) => say(stays(&setting.key, copy, &setting.file, &why)),
        }
    }
    let Some(variables) = &plan.facts.definition.settings.variables else { return };
    let take_out = |document: &mut Map<String, Value>| {
        let Some(Value::Object(there)) = document.get_mut(&variables.key) else { return false };
        // All of them are looked for: the agent would take any.
        plan.overriding_variables().filter(|name| there.remove(*name).is_some()).count() > 0
    };
    // Nothing was offered by settings that can not be read.
    let was_offered = plan.facts.offers.iter().any(|offer| offer.is_setting() && offer.rule.variable.is_some());
    match edit(plan, copy, &variables.file, take_out) {
        Ok(done) => done.into_iter().for_each(&mut *say),
        Err(why) if was_offered => say(stays(&variables.key, copy, &variables.file, &why)),
        Err(_) => {}
    }
}

/// Whether a file was found in the agent's own place, and not copied there from where it still is.
fn is_its_own(plan: &AgentPlan<'_, '_>, path: &Path) -> bool {
    plan.facts.offers.iter().any(|offer| offer.is_setting() && matches!(&offer.source, Source::Home(at) if at == path))
}

fn stays(key: &str, copy: &WorkingCopy, file: &str, why: &str) -> Message {
    let path = copy.path.join(file);
    Message::warning(format!("{key} stays in {}, and the agent prefers it: {why}", path.display()))
}

/// Changes a file of settings, if it is there; `change` says whether there is anything to write. Returns where the file is
/// kept as it was.
fn edit(
    plan: &AgentPlan<'_, '_>,
    copy: &WorkingCopy,
    file: &str,
    change: impl Fn(&mut Map<String, Value>) -> bool,
) -> Result<Option<Message>, String> {
    let content = match read::entry(&copy.dir, OsStr::new(file), &copy.owners()) {
        Err(Unreadable::Missing) => return Ok(None),
        content => content.map_err(|why| why.to_string())?,
    };
    let mut document = parsed(&content.bytes, Format::Jsonc)?;
    if !document.as_object_mut().is_some_and(change) {
        return Ok(None);
    }
    let path = copy.path.join(file);
    let kept = is_its_own(plan, &path).then(|| copy.keep_beside(file, &content.bytes));
    let kept = kept.transpose().map_err(|error| format!("it can not be kept as it was: {}", read::reason(&error)))?;
    let text = serde_json::to_vec_pretty(&document).map_err(|error| error.to_string())?;
    copy.write(file, &text).map_err(|error| in_words(&error))?;
    Ok(kept.map(|()| {
        let (agent, kept) = (&plan.facts.definition.name, copy.path.join(BOOKKEEPING).join("conflicts"));
        Message::warning(format!(
            "{agent}: {} was changed; it is kept as it was under {}",
            path.display(),
            kept.display()
        ))
    }))
}

/// The text of a file of settings with what [`set_aside`] took out of its copy, as it is in `there`; `None` where that is
/// nothing.
#[must_use]
pub fn given_back(definition: &Definition, file: &Path, text: &[u8], there: &[u8]) -> Option<Vec<u8>> {
    let is_it = |name: &str| file == Path::new(name);
    let settings = definition.methods.iter().filter_map(|rule| rule.setting.as_ref());
    let keys: Vec<&str> = settings
        .filter(|setting| setting.overrides && is_it(&setting.file))
        .map(|setting| setting.key.as_str())
        .collect();
    let variables = definition.settings.variables.as_ref().filter(|variables| is_it(&variables.file));
    if keys.is_empty() && variables.is_none() {
        return None;
    }
    let (mut document, there) = (parsed(text, Format::Jsonc).ok()?, parsed(there, Format::Jsonc).ok()?);
    let before = document.clone();
    let into = document.as_object_mut()?;
    for key in keys {
        if let Some(value) = there.get(key).filter(|_| !into.contains_key(key)) {
            into.insert(key.to_owned(), value.clone());
        }
    }
    if let Some((variables, there)) = variables.and_then(|at| Some((at, there.get(&at.key)?))) {
        let own = definition.methods.iter().filter_map(|rule| rule.variable.as_deref());
        for (name, value) in own.filter_map(|name| Some((name, there.get(name)?))) {
            let object = into.entry(variables.key.as_str()).or_insert_with(|| Value::Object(Map::new()));
            if let Some(object) = object.as_object_mut().filter(|object| !object.contains_key(name)) {
                object.insert(name.to_owned(), value.clone());
            }
        }
    }
    if document == before { None } else { serde_json::to_vec_pretty(&document).ok() }
}

/// The settings as an object.
pub(super) fn parsed(text: &[u8], format: Format) -> Result<Value, String> {
    if text.trim_ascii().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let stripped = (format == Format::Jsonc).then(|| without_comment_lines(text));
    let text = stripped.as_ref().map_or(text, |stripped| stripped.as_slice());
    if !weight::is_bearable(text) {
        return Err("it holds more values than any settings".to_owned());
    }
    let document: Value = serde_json::from_slice(text)
        .map_err(|error| format!("it is not JSON (line {}, column {})", error.line(), error.column()))?;
    if document.is_object() { Ok(document) } else { Err("it is JSON, but not an object".to_owned()) }
}
