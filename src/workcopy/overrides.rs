//! Removes settings from a working copy that the agent would prefer to the chosen credential, and restores them when
//! `setup` captures the settings.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Map, Value};

use crate::agent::Definition;
use crate::error;
use crate::error::in_words;
use crate::fs::untrusted;
use crate::fs::untrusted::Unreadable;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::login::format::Format;
use crate::login::limits::Unparsed;
use crate::login::splice::{BYTE_ORDER_MARK, New, Splice, without_comment_lines};
use crate::login::{Source, limits};
use crate::plan::AgentPlan;
use crate::store::directory::BOOKKEEPING;
use crate::workcopy::WorkingCopy;

/// Removes the settings that the agent would prefer to the chosen credential. A copied file still exists where it was
/// copied from. The original of any other file is kept in `conflicts/`.
pub fn remove(plan: &AgentPlan<'_, '_>, copy: &WorkingCopy, reporter: Reporter) {
    for setting in plan.ignored_settings() {
        match edit(plan, copy, &setting.file, &|settings| settings.remove(&[], &|name| name == setting.key)) {
            Ok(done) => reporter.say_all(&done),
            Err(why) => reporter.say(&cannot_remove(&setting.key, copy, &setting.file, &why)),
        }
    }
    let Some(variables) = &plan.facts.definition.settings.variables else { return };
    // Every such variable is removed, because the agent would use any of them.
    let is_overriding = |name: &str| plan.overriding_variables().any(|variable| variable == name);
    let remove_variables = |settings: &mut Splice<'_>| settings.remove(&[&variables.key], &is_overriding);
    // Settings that cannot be read matter only if a credential was found in them.
    let holds_credential =
        plan.facts.candidates.iter().any(|candidate| candidate.is_setting() && candidate.rule.variable.is_some());
    match edit(plan, copy, &variables.file, &remove_variables) {
        Ok(done) => reporter.say_all(&done),
        Err(why) if holds_credential => {
            reporter.say(&cannot_remove(&variables.key, copy, &variables.file, &why));
        }
        Err(_) => {}
    }
}

/// Whether the file is an original in the working copy, and not a copy of one that still exists.
fn is_original(plan: &AgentPlan<'_, '_>, path: &Path) -> bool {
    plan.facts
        .candidates
        .iter()
        .any(|candidate| candidate.is_setting() && matches!(&candidate.source, Source::Home(at) if at == path))
}

fn cannot_remove(key: &str, copy: &WorkingCopy, file: &str, why: &str) -> Message {
    let path = copy.path.join(file);
    let text = format!("cannot remove {key} from {}, and the agent prefers it: {why}", path.display());
    Message::warning(text).event(EventKey::WorkingCopy)
}

/// Changes a settings file if it exists and `change` has an effect. The message says where the original is kept.
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
    parse_settings(&content.bytes, Format::Jsonc)?;
    let mut settings = Splice::new(&content.bytes);
    change(&mut settings);
    let Some(text) = settings.finish() else { return Ok(None) };
    let path = copy.path.join(file);
    let is_original = is_original(plan, &path);
    if is_original {
        copy.keep_conflict(file, &content.bytes)
            .map_err(|error| format!("the original cannot be kept: {}", error::reason(&error)))?;
    }
    copy.write(file, &text).map_err(|error| in_words(&error))?;
    Ok(is_original.then(|| {
        let (agent, kept) = (&plan.facts.definition.name, copy.path.join(BOOKKEEPING).join("conflicts"));
        let text = format!("{agent}: {} was changed; the original is kept in {}", path.display(), kept.display());
        Message::warning(text).event(EventKey::WorkingCopy).agent(agent)
    }))
}

/// Adds to the text of a settings file what [`remove`] removed from the copy, with the values of `original`. `None` if
/// nothing was removed.
pub fn with_removed_settings(definition: &Definition, file: &Path, text: &[u8], original: &[u8]) -> Option<Vec<u8>> {
    let is_this_file = |name: &str| file == Path::new(name);
    let settings = definition.methods.iter().filter_map(|rule| rule.setting.as_ref());
    let keys: Vec<&str> =
        settings.filter(|setting| is_this_file(&setting.file)).map(|setting| setting.key.as_str()).collect();
    let variables = definition.settings.variables.as_ref().filter(|variables| is_this_file(&variables.file));
    if keys.is_empty() && variables.is_none() {
        return None;
    }
    let text = if is_blank(text) { b"{}" } else { text };
    let document = parse_settings(text, Format::Jsonc).ok()?;
    parse_settings(original, Format::Jsonc).ok()?;
    let original = Splice::new(original);
    let mut settings = Splice::new(text);
    let removed = keys.into_iter().filter(|key| document.get(key).is_none());
    let removed: Vec<_> = removed.filter_map(|key| Some((key, New::Bytes(original.value(&[key])?)))).collect();
    settings.set(&[], &removed);
    if let Some(at) = variables {
        let into = document.get(&at.key);
        let own = definition.methods.iter().filter_map(|rule| rule.variable.as_deref());
        let removed = own.filter(|name| into.is_none_or(|into| into.get(name).is_none()));
        let removed: Vec<_> =
            removed.filter_map(|name| Some((name, New::Bytes(original.value(&[&at.key, name])?)))).collect();
        if into.is_some() {
            settings.set(&[&at.key], &removed);
        } else {
            let mut object = Splice::new(b"{}");
            object.set(&[], &removed);
            let object = object.finish();
            let object = object.as_ref().map(|object| (at.key.as_str(), New::Bytes(object)));
            settings.set(&[], &Vec::from_iter(object));
        }
    }
    settings.finish().map(|text| text.to_vec())
}

/// Whether a settings file is still empty.
pub(super) fn is_blank(text: &[u8]) -> bool {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii().is_empty()
}

/// Parses settings, which must be a JSON object.
pub(crate) fn parse_settings(text: &[u8], format: Format) -> Result<Value, String> {
    if is_blank(text) {
        return Ok(Value::Object(Map::new()));
    }
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let stripped = (format == Format::Jsonc).then(|| without_comment_lines(text));
    let text = stripped.as_ref().map_or(text, |stripped| stripped.as_slice());
    let document: Value = limits::parse(text).map_err(|why| match why {
        Unparsed::NotJson { line, column, .. } => format!("it is not JSON (line {line}, column {column})"),
        Unparsed::TooMany => "it holds too many values".to_owned(),
        Unparsed::TooDeep => why.to_string(),
    })?;
    if document.is_object() { Ok(document) } else { Err("it is JSON, but not an object".to_owned()) }
}
