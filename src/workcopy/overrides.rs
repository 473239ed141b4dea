//! Takes the settings out of a working copy that the agent would prefer to what was chosen, and gives them back to what
//! is captured of it.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Map, Value};

use crate::agent::Definition;
use crate::error;
use crate::error::in_words;
use crate::fs::untrusted;
use crate::fs::untrusted::Unreadable;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::format::Format;
use crate::login::limits::Unparsed;
use crate::login::splice::{BYTE_ORDER_MARK, New, Splice, without_comment_lines};
use crate::login::{Source, limits};
use crate::plan::AgentPlan;
use crate::store::directory::BOOKKEEPING;
use crate::workcopy::WorkingCopy;

/// Takes the settings out of the working copy that the agent would prefer to what was chosen. What they were copied from
/// keeps them; a file that is nobody's copy is kept as it was.
pub fn ignored(plan: &AgentPlan<'_, '_>, copy: &WorkingCopy, say: &mut dyn FnMut(Message)) {
    for setting in plan.overriding_settings() {
        match edit(plan, copy, &setting.file, &|settings| settings.remove(&[], &|name| name == setting.key)) {
            Ok(done) => done.into_iter().for_each(&mut *say),
            Err(why) => say(stays(&setting.key, copy, &setting.file, &why)),
        }
    }
    let Some(variables) = &plan.facts.definition.settings.variables else { return };
    // All of them are looked for: the agent would take any.
    let is_overriding = |name: &str| plan.overriding_variables().any(|variable| variable == name);
    let take_out = |settings: &mut Splice<'_>| settings.remove(&[&variables.key], &is_overriding);
    // Nothing was offered by settings that cannot be read.
    let was_offered =
        plan.facts.candidates.iter().any(|candidate| candidate.is_setting() && candidate.rule.variable.is_some());
    match edit(plan, copy, &variables.file, &take_out) {
        Ok(done) => done.into_iter().for_each(&mut *say),
        Err(why) if was_offered => say(stays(&variables.key, copy, &variables.file, &why)),
        Err(_) => {}
    }
}

/// Whether a file was found in the agent's own place, and not copied there from where it still is.
fn is_its_own(plan: &AgentPlan<'_, '_>, path: &Path) -> bool {
    plan.facts
        .candidates
        .iter()
        .any(|candidate| candidate.is_setting() && matches!(&candidate.source, Source::Home(at) if at == path))
}

fn stays(key: &str, copy: &WorkingCopy, file: &str, why: &str) -> Message {
    let path = copy.path.join(file);
    let text = format!("{key} stays in {}, and the agent prefers it: {why}", path.display());
    Message::warning(text).event(EventKey::WorkingCopy)
}

/// Changes a file of settings, if it is there and there is anything to change. Returns where the file is kept as it was.
fn edit(
    plan: &AgentPlan<'_, '_>,
    copy: &WorkingCopy,
    file: &str,
    change: &dyn Fn(&mut Splice<'_>),
) -> Result<Option<Message>, String> {
    let content = match untrusted::entry(&copy.dir, OsStr::new(file), &copy.owners()) {
        Err(Unreadable::Missing) => return Ok(None),
        content => content.map_err(|why| why.to_string())?,
    };
    parsed(&content.bytes, Format::Jsonc)?;
    let mut settings = Splice::new(&content.bytes);
    change(&mut settings);
    let Some(text) = settings.finish() else { return Ok(None) };
    let path = copy.path.join(file);
    let kept = is_its_own(plan, &path).then(|| copy.keep_beside(file, &content.bytes));
    let kept = kept.transpose().map_err(|error| format!("it cannot be kept as it was: {}", error::reason(&error)))?;
    copy.write(file, &text).map_err(|error| in_words(&error))?;
    Ok(kept.map(|()| {
        let (agent, kept) = (&plan.facts.definition.name, copy.path.join(BOOKKEEPING).join("conflicts"));
        let text = format!("{agent}: {} was changed; it is kept as it was under {}", path.display(), kept.display());
        Message::warning(text).event(EventKey::WorkingCopy).agent(agent)
    }))
}

/// The text of a file of settings with what [`ignored`] took out of its copy, as it is in `there`; `None` where that is
/// nothing.
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
    let text = if is_blank(text) { b"{}" } else { text };
    let (document, kept) = (parsed(text, Format::Jsonc).ok()?, Splice::new(there));
    parsed(there, Format::Jsonc).ok()?;
    let mut settings = Splice::new(text);
    let lost = keys.into_iter().filter(|key| document.get(key).is_none());
    let lost: Vec<_> = lost.filter_map(|key| Some((key, New::Bytes(kept.value(&[key])?)))).collect();
    settings.set(&[], &lost);
    if let Some(at) = variables {
        let into = document.get(&at.key);
        let own = definition.methods.iter().filter_map(|rule| rule.variable.as_deref());
        let lost = own.filter(|name| into.is_none_or(|into| into.get(name).is_none()));
        let lost: Vec<_> = lost.filter_map(|name| Some((name, New::Bytes(kept.value(&[&at.key, name])?)))).collect();
        if into.is_some() {
            settings.set(&[&at.key], &lost);
        } else {
            let mut object = Splice::new(b"{}");
            object.set(&[], &lost);
            let object = object.finish();
            let object = object.as_ref().map(|object| (at.key.as_str(), New::Bytes(object)));
            settings.set(&[], &Vec::from_iter(object));
        }
    }
    settings.finish().map(|text| text.to_vec())
}

/// Whether a text of settings holds nothing yet.
pub(super) fn is_blank(text: &[u8]) -> bool {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii().is_empty()
}

/// The settings as an object.
pub(crate) fn parsed(text: &[u8], format: Format) -> Result<Value, String> {
    if is_blank(text) {
        return Ok(Value::Object(Map::new()));
    }
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let stripped = (format == Format::Jsonc).then(|| without_comment_lines(text));
    let text = stripped.as_ref().map_or(text, |stripped| stripped.as_slice());
    let document: Value = limits::parse(text).map_err(|why| match why {
        Unparsed::NotJson { line, column, .. } => format!("it is not JSON (line {line}, column {column})"),
        Unparsed::TooMany => "it holds more values than any settings".to_owned(),
        Unparsed::TooDeep => why.to_string(),
    })?;
    if document.is_object() { Ok(document) } else { Err("it is JSON, but not an object".to_owned()) }
}
