//! Answers the questions of a first start beforehand: merges a definition's state into the agent's settings without
//! losing a key that is there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::agent::definition::{FirstRun, Format, Method};
use crate::cli::RunOptions;
use crate::discover::{Facts, Material};
use crate::plan::AgentPlan;
use crate::plan::condition::Situation;
use crate::report::{Message, in_words};

use super::WorkingCopy;
use super::overriding::parsed;
use super::read::{self, Unreadable};

/// Writes the first-run state of an agent. Settings that can not be read as what they should be are left alone: they
/// are the person's, and the agent says what is wrong with them better than we could.
pub fn answer(
    options: &RunOptions,
    facts: &Facts<'_>,
    plan: &AgentPlan<'_, '_>,
    copy: &WorkingCopy,
    say: &mut dyn FnMut(Message),
) {
    let trusted = trusted(options, &facts.working_directory);
    let situation = Situation::of(plan, facts);
    for entry in plan.facts.definition.first_run.iter().filter(|entry| situation.meets(&entry.when)) {
        let name = OsStr::new(&entry.file);
        let path = copy.path.join(&entry.file);
        let there = match read::entry(&copy.dir, name, &copy.owners()) {
            Ok(content) => Some(content.bytes),
            Err(Unreadable::Missing) => None,
            Err(why) => {
                say(Message::warning(format!("{} is left as it is: {why}", path.display())));
                continue;
            }
        };
        let text = there.as_ref().map_or(&[] as &[u8], |bytes| bytes.as_slice());
        let answered = if entry.append.is_empty() {
            let state = Value::Object(expanded(&entry.merge, &trusted, key_tail(plan, entry).as_deref()));
            merged(text, entry.format, state)
        } else {
            Ok(appended(text, entry, &trusted))
        };
        let written = match answered {
            Ok(None) => Ok(()),
            Ok(Some(bytes)) => copy.write(&entry.file, &bytes).map_err(|error| in_words(&error)),
            Err(why) => Err(format!("{} is left as it is: {why}", path.display())),
        };
        if let Err(why) = written {
            say(Message::warning(why));
        }
    }
}

/// The directories that are trusted; one that JSON can not name is none.
fn trusted(options: &RunOptions, working_directory: &Path) -> Vec<String> {
    match &options.workplace.trust {
        Some(paths) => std::env::split_paths(paths)
            .filter(|path| !path.as_os_str().is_empty())
            // As the agent writes its own: absolute, and without a slash at the end.
            .map(|path| working_directory.join(path).components().collect::<PathBuf>())
            .filter_map(|path| path.to_str().map(str::to_owned))
            .collect(),
        None => working_directory.to_str().map(str::to_owned).into_iter().collect(),
    }
}

/// The end of the API key in use, by which an agent remembers its approval.
fn key_tail(plan: &AgentPlan<'_, '_>, entry: &FirstRun) -> Option<String> {
    let chosen = plan.chosen().filter(|offer| offer.rule.method == Method::ApiKey)?;
    let Ok(Material::Value(secret)) = &chosen.found else { return None };
    let key = std::str::from_utf8(secret.expose_secret()).ok()?;
    let start = key.char_indices().rev().nth(entry.key_tail.checked_sub(1)?).map_or(0, |(index, _)| index);
    key.get(start..).map(str::to_owned)
}

/// The state with its placeholders filled in; what has no filling is left out, with what is empty without it.
fn expanded(state: &Map<String, Value>, trusted: &[String], key_tail: Option<&str>) -> Map<String, Value> {
    let mut filled = Map::new();
    for (key, value) in state {
        let Some(value) = expanded_value(value, trusted, key_tail) else { continue };
        if key == "{trusted}" {
            filled.extend(trusted.iter().map(|path| (path.clone(), value.clone())));
        } else {
            filled.insert(key.clone(), value);
        }
    }
    filled
}

fn expanded_value(value: &Value, trusted: &[String], key_tail: Option<&str>) -> Option<Value> {
    match value {
        Value::String(text) if text == "{key-tail}" => key_tail.map(Value::from),
        Value::Array(items) => {
            let one = |item: &Value| match item {
                Value::String(text) if text == "{trusted}" => trusted.iter().cloned().map(Value::from).collect(),
                item => expanded_value(item, trusted, key_tail).into_iter().collect::<Vec<_>>(),
            };
            let items: Vec<Value> = items.iter().flat_map(one).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(map) => {
            let map = expanded(map, trusted, key_tail);
            (!map.is_empty()).then_some(Value::Object(map))
        }
        other => Some(other.clone()),
    }
}

/// The text with the state merged into it; `None` when nothing changes.
fn merged(text: &[u8], format: Format, state: Value) -> Result<Option<Vec<u8>>, String> {
    let mut document = parsed(text, format)?;
    let before = document.clone();
    merge(&mut document, state);
    if document == before {
        return Ok(None);
    }
    serde_json::to_vec_pretty(&document).map(Some).map_err(|error| error.to_string())
}

/// Objects are merged key by key, arrays get what they lack, anything else becomes the new value.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(there) => merge(there, value),
                    None => drop(into.insert(key, value)),
                }
            }
        }
        (Value::Array(into), Value::Array(from)) => {
            for value in from {
                if !into.contains(&value) {
                    into.push(value);
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// The text with the lines for each trusted directory that it lacks; `None` when it lacks none.
fn appended(text: &[u8], entry: &FirstRun, trusted: &[String]) -> Option<Vec<u8>> {
    let mut longer = String::from_utf8_lossy(text).into_owned();
    let before = longer.len();
    for path in trusted {
        // A TOML basic string has JSON's escapes.
        let quoted = Value::from(path.as_str()).to_string();
        let filled = |template: &str| template.replace("{trusted}", quoted.trim_matches('"'));
        if !longer.contains(&filled(&entry.unless)) {
            longer += &filled(&entry.append);
        }
    }
    (longer.len() != before).then(|| longer.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn placeholders() {
        let state = object(
            &json!({ "done": true, "trust": { "{trusted}": { "ok": true } }, "keys": { "approved": ["{key-tail}"] } }),
        );
        let full = expanded(&state, &["/a".into(), "/b".into()], Some("tail"));
        assert_eq!(
            Value::Object(full),
            json!({ "done": true, "trust": { "/a": { "ok": true }, "/b": { "ok": true } }, "keys": { "approved": ["tail"] } })
        );
        assert_eq!(Value::Object(expanded(&state, &[], None)), json!({ "done": true }));
    }

    #[test]
    fn nothing_is_lost_and_nothing_written_twice() {
        let there = br#"{"theme":"dark","trust":{"/z":{"ok":false}},"keys":{"approved":["x"]}}"#;
        let state = json!({ "trust": { "/a": { "ok": true } }, "keys": { "approved": ["x", "y"] } });
        let once = merged(there, Format::Json, state.clone()).unwrap().unwrap();
        let value: Value = serde_json::from_slice(&once).unwrap();
        assert_eq!(
            value,
            json!({ "theme": "dark", "trust": { "/z": { "ok": false }, "/a": { "ok": true } }, "keys": { "approved": ["x", "y"] } })
        );
        assert_eq!(merged(&once, Format::Json, state), Ok(None));
        assert!(merged(b"{ not json", Format::Json, json!({})).is_err());
        assert!(merged(b"[]", Format::Json, json!({})).is_err());
        assert_eq!(merged(b"", Format::Json, json!({ "a": 1 })).unwrap().unwrap(), b"{\n  \"a\": 1\n}");
    }

    #[test]
    fn lines_are_appended_once() {
        let entry: FirstRun = serde_json::from_value(json!({
            "file": "config.toml", "append": "\n[p.\"{trusted}\"]\nok = true\n", "unless": "[p.\"{trusted}\"]"
        }))
        .unwrap();
        let paths = ["/a".to_owned(), "/with \"quote".to_owned()];
        let once = appended(b"x = 1\n", &entry, &paths).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&once),
            "x = 1\n\n[p.\"/a\"]\nok = true\n\n[p.\"/with \\\"quote\"]\nok = true\n"
        );
        assert_eq!(appended(&once, &entry, &paths), None);
    }

    proptest! {
        #[test]
        fn every_key_that_was_there_is_there(keys in proptest::collection::btree_map("[a-d]", 0u8..3, 0..4)) {
            let there = json!(keys);
            let mut document = there.clone();
            merge(&mut document, json!({ "a": 9, "e": { "f": 1 } }));
            for key in there.as_object().unwrap().keys() {
                prop_assert!(document.get(key).is_some());
            }
        }
    }
}
