//! Answers the questions that an agent asks at its first start: merges the state of its definition into its settings
//! and keeps every existing key.

use std::ffi::OsStr;

use serde_json::{Map, Value};

use crate::agent::definition::{FirstRun, Method};
use crate::error::in_words;
use crate::facts::CandidateValue;
use crate::fs::untrusted;
use crate::fs::untrusted::Unreadable;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::login::format::Format;
use crate::login::splice::Splice;
use crate::plan::{AgentPlan, FirstRunStep};
use crate::workcopy::WorkingCopy;
use crate::workcopy::overrides::{is_blank, parse_settings};

/// Writes the first-run state of an agent. Settings that cannot be parsed are left unchanged: they belong to the user, and the
/// agent explains better what is wrong with them.
pub fn answer(step: &FirstRunStep<'_>, plan: &AgentPlan<'_, '_>, copy: &WorkingCopy, reporter: Reporter) {
    let trusted = &step.trusted;
    for entry in &step.entries {
        let name = OsStr::new(&entry.file);
        let path = copy.path.join(&entry.file);
        let existing = match untrusted::entry(&copy.dir, name, &copy.owners()) {
            Ok(content) => Some(content.bytes),
            Err(Unreadable::Missing) => None,
            Err(why) => {
                let text = format!("{} is left unchanged: {why}", path.display());
                reporter.say(&Message::warning(text).event(EventKey::WorkingCopy));
                continue;
            }
        };
        let text = existing.as_ref().map_or(&[] as &[u8], |bytes| bytes.as_slice());
        let answered = if entry.append.is_empty() {
            merge(text, entry.format, &expand(&entry.merge, trusted, key_tail(plan, entry).as_deref()))
        } else {
            Ok(append_lines(text, entry, trusted))
        };
        let written = match answered {
            Ok(None) => Ok(()),
            // What the agent or the image wrote there exists nowhere else.
            Ok(Some(bytes)) if existing.is_some() => copy.write(&entry.file, &bytes).map_err(|error| in_words(&error)),
            Ok(Some(bytes)) => copy.write_copy(&entry.file, &bytes).map_err(|error| in_words(&error)),
            Err(why) => Err(format!("{} is left unchanged: {why}", path.display())),
        };
        if let Err(why) = written {
            reporter.say(&Message::warning(why).event(EventKey::WorkingCopy));
        }
    }
}

/// The end of the API key in use, by which an agent remembers that the user approved it.
fn key_tail(plan: &AgentPlan<'_, '_>, entry: &FirstRun) -> Option<String> {
    let chosen = plan.chosen().filter(|candidate| candidate.rule.method == Method::ApiKey)?;
    let Ok(CandidateValue::Value(secret)) = &chosen.found else { return None };
    let key = std::str::from_utf8(secret.expose_secret()).ok()?;
    let start = key.char_indices().rev().nth(entry.key_tail.checked_sub(1)?).map_or(0, |(index, _)| index);
    key.get(start..).map(str::to_owned)
}

/// Fills the placeholders in. An entry whose placeholder has no value is left out, and so is an object or list that
/// becomes empty.
fn expand(state: &Map<String, Value>, trusted: &[String], key_tail: Option<&str>) -> Map<String, Value> {
    let mut filled = Map::new();
    for (key, value) in state {
        let Some(value) = expand_value(value, trusted, key_tail) else { continue };
        if key == "{trusted}" {
            filled.extend(trusted.iter().map(|path| (path.clone(), value.clone())));
        } else {
            filled.insert(key.clone(), value);
        }
    }
    filled
}

fn expand_value(value: &Value, trusted: &[String], key_tail: Option<&str>) -> Option<Value> {
    match value {
        Value::String(text) if text == "{key-tail}" => key_tail.map(Value::from),
        Value::Array(items) => {
            let one = |item: &Value| match item {
                Value::String(text) if text == "{trusted}" => trusted.iter().cloned().map(Value::from).collect(),
                item => expand_value(item, trusted, key_tail).into_iter().collect::<Vec<_>>(),
            };
            let items: Vec<Value> = items.iter().flat_map(one).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(map) => {
            let map = expand(map, trusted, key_tail);
            (!map.is_empty()).then_some(Value::Object(map))
        }
        other => Some(other.clone()),
    }
}

/// Merges the state into the text and keeps everything else. `None` if nothing changes.
pub(crate) fn merge(text: &[u8], format: Format, state: &Map<String, Value>) -> Result<Option<Vec<u8>>, String> {
    if is_blank(text) {
        let text = (!state.is_empty()).then(|| serde_json::to_vec_pretty(state));
        return text.transpose().map_err(|error| error.to_string());
    }
    parse_settings(text, format)?;
    let mut settings = Splice::new(text);
    settings.merge(state);
    Ok(settings.finish().map(|text| text.to_vec()))
}

/// Appends the lines for each trusted directory that the text does not contain yet. `None` if it contains all of them.
/// Without `unless`, the text is searched for the lines themselves.
fn append_lines(text: &[u8], entry: &FirstRun, trusted: &[String]) -> Option<Vec<u8>> {
    let marker = if entry.unless.is_empty() { entry.append.trim() } else { &entry.unless };
    let mut longer = text.to_vec();
    let once = [String::new()];
    let trusted = if marker.contains("{trusted}") || entry.append.contains("{trusted}") { trusted } else { &once };
    for path in trusted {
        // TOML basic strings have the same escapes as JSON.
        let quoted = Value::from(path.as_str()).to_string();
        let filled = |template: &str| template.replace("{trusted}", quoted.trim_matches('"'));
        if !contains(&longer, filled(marker).as_bytes()) {
            // The appended text starts on a new line.
            if !longer.is_empty() && !longer.ends_with(b"\n") && !entry.append.starts_with('\n') {
                longer.push(b'\n');
            }
            longer.extend_from_slice(filled(&entry.append).as_bytes());
        }
    }
    (longer.len() != text.len()).then_some(longer)
}

/// Whether the text contains these words. Carriage returns at line ends do not matter.
fn contains(text: &[u8], words: &[u8]) -> bool {
    let without_returns = |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().filter(|byte| *byte != b'\r').collect() };
    let (text, words) = (without_returns(text), without_returns(words));
    !words.is_empty() && text.windows(words.len()).any(|window| window == words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn placeholders_are_filled_in_or_left_out() {
        let state = object(
            &json!({ "done": true, "trust": { "{trusted}": { "ok": true } }, "keys": { "approved": ["{key-tail}"] } }),
        );
        let full = expand(&state, &["/a".into(), "/b".into()], Some("tail"));
        assert_eq!(
            Value::Object(full),
            json!({ "done": true, "trust": { "/a": { "ok": true }, "/b": { "ok": true } }, "keys": { "approved": ["tail"] } })
        );
        assert_eq!(Value::Object(expand(&state, &[], None)), json!({ "done": true }));
    }

    #[test]
    fn merging_keeps_existing_keys_and_is_idempotent() {
        let there = br#"{"theme":"dark","trust":{"/z":{"ok":false}},"keys":{"approved":["x"]}}"#;
        let state = json!({ "trust": { "/a": { "ok": true } }, "keys": { "approved": ["x", "y"] } });
        let state = object(&state);
        let once = merge(there, Format::Json, &state).unwrap().unwrap();
        let value: Value = serde_json::from_slice(&once).unwrap();
        assert_eq!(
            value,
            json!({ "theme": "dark", "trust": { "/z": { "ok": false }, "/a": { "ok": true } }, "keys": { "approved": ["x", "y"] } })
        );
        assert_eq!(merge(&once, Format::Json, &state), Ok(None));
        assert!(merge(b"{ not json", Format::Json, &state).is_err());
        assert!(merge(b"[]", Format::Json, &state).is_err());
        for blank in [&b""[..], b" \n", b"\xef\xbb\xbf"] {
            let state = object(&json!({ "a": 1 }));
            assert_eq!(merge(blank, Format::Json, &state).unwrap().unwrap(), b"{\n  \"a\": 1\n}");
            assert_eq!(merge(blank, Format::Json, &Map::new()), Ok(None));
        }
    }

    #[test]
    fn lines_are_appended_only_once() {
        let entry: FirstRun = serde_json::from_value(json!({
            "file": "config.toml", "append": "\n[p.\"{trusted}\"]\nok = true\n", "unless": "[p.\"{trusted}\"]"
        }))
        .unwrap();
        let paths = ["/a".to_owned(), "/with \"quote".to_owned()];
        let once = append_lines(b"x = 1\n", &entry, &paths).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&once),
            "x = 1\n\n[p.\"/a\"]\nok = true\n\n[p.\"/with \\\"quote\"]\nok = true\n"
        );
        assert_eq!(append_lines(&once, &entry, &paths), None);
    }

    /// Covers bytes that are not UTF-8, both kinds of line ends, a last line without one, and no `unless`.
    #[test]
    fn appending_keeps_the_existing_bytes() {
        let append = |fields: Value| -> FirstRun { serde_json::from_value(fields).unwrap() };
        let entries = [
            append(json!({ "file": "x", "append": "\n[p.\"{trusted}\"]\nok = true\n" })),
            append(json!({ "file": "x", "append": "trust {trusted}\n" })),
            append(json!({ "file": "x", "append": "trust {trusted}\n", "unless": "trust {trusted}" })),
            append(json!({ "file": "x", "append": "trusted = true" })),
        ];
        let texts: [&[u8]; 5] = [b"", b"x = 1", b"x = '\xff\xfe'\r\n", b"\xef\xbb\xbfx = 1\n", b"# \xc3"];
        for entry in &entries {
            for text in texts {
                let once = append_lines(text, entry, &["/a".to_owned()]).unwrap();
                assert!(once.starts_with(text), "{text:?}");
                let added = String::from_utf8(once[text.len()..].to_vec()).unwrap();
                assert!(text.is_empty() || text.ends_with(b"\n") || added.starts_with('\n'), "{added:?}");
                assert_eq!(added.trim_start(), entry.append.trim_start().replace("{trusted}", "/a"));
                assert_eq!(append_lines(&once, entry, &["/a".to_owned()]), None);
                let dos: Vec<u8> = String::from_utf8_lossy(&once).replace('\n', "\r\n").into_bytes();
                assert_eq!(append_lines(&dos, entry, &["/a".to_owned()]), None);
            }
        }
    }
}
