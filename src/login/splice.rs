//! Edits JSON text in place. Whatever is not changed keeps its bytes, with blanks, order and comments. Pure.
//!
//! Settings files belong to people. Parsing one and writing the values would sort its keys, round its large numbers,
//! merge its duplicate keys and drop its comments.
//!
//! The text must be valid JSON, which the caller has checked by parsing it. Lines of `//` comment count as blank space.
//! If a key occurs twice, the last one counts, as in every reader. That one is changed; both are removed.

use std::ops::Range;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::login::limits;

/// Some editors put this in front of UTF-8 text. It is not part of JSON (RFC 8259, section 8.1).
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The new value of a key.
pub enum New<'v> {
    /// A value, formatted like the text around it.
    Value(&'v Value),
    /// The bytes of a value in another text, copied unchanged.
    Bytes(&'v [u8]),
}

/// A text and the changes to make in it.
pub struct Splice<'t> {
    text: &'t [u8],
    changes: Vec<(Range<usize>, Vec<u8>)>,
}

/// The positions of a key and its value.
struct Member {
    name: String,
    key: Range<usize>,
    value: Range<usize>,
}

impl<'t> Splice<'t> {
    pub fn new(text: &'t [u8]) -> Splice<'t> {
        Splice { text, changes: Vec::new() }
    }

    /// The changed text. `None` if there are no changes.
    pub fn finish(mut self) -> Option<Zeroizing<Vec<u8>>> {
        if self.changes.is_empty() {
            return None;
        }
        // The sort is stable: several insertions at one position keep their order.
        self.changes.sort_by_key(|(range, _)| (range.start, range.end));
        let mut changed = Zeroizing::new(Vec::with_capacity(
            self.text.len() + self.changes.iter().map(|(_, bytes)| bytes.len()).sum::<usize>(),
        ));
        let mut at = 0;
        for (range, bytes) in &self.changes {
            changed.extend_from_slice(self.text.get(at..range.start).unwrap_or_default());
            changed.extend_from_slice(bytes);
            at = range.end;
        }
        changed.extend_from_slice(self.text.get(at..).unwrap_or_default());
        Some(changed)
    }

    /// The bytes of the value at a path of keys.
    pub fn value(&self, path: &[&str]) -> Option<&'t [u8]> {
        self.text.get(self.find_value(path)?)
    }

    /// Removes keys from the object at a path.
    pub fn remove(&mut self, path: &[&str], is_removed: &dyn Fn(&str) -> bool) {
        self.change(path, is_removed, &[]);
    }

    /// Sets keys of the object at a path. New keys are appended.
    pub fn set(&mut self, path: &[&str], new: &[(&str, New<'_>)]) {
        self.change(path, &|_| false, new);
    }

    /// Removes and sets keys of the object at a path.
    pub fn change(&mut self, path: &[&str], is_removed: &dyn Fn(&str) -> bool, new: &[(&str, New<'_>)]) {
        let Some(object) = self.find_value(path).filter(|range| self.byte(range.start) == Some(b'{')) else { return };
        self.change_object(object, is_removed, new);
    }

    /// Merges `from` into the document: objects key by key; arrays get the items that they lack; other values are
    /// replaced.
    pub fn merge(&mut self, from: &Map<String, Value>) {
        if let Some(whole) = self.find_value(&[]) {
            self.merge_object(whole, from);
        }
    }

    fn merge_object(&mut self, object: Range<usize>, from: &Map<String, Value>) {
        let members = self.members(object.start);
        let mut new = Vec::new();
        for (key, value) in from {
            let Some(there) = members.iter().rfind(|member| member.name == *key).map(|member| member.value.clone())
            else {
                new.push((key.as_str(), New::Value(value)));
                continue;
            };
            match (self.byte(there.start), value) {
                (Some(b'{'), Value::Object(value)) => self.merge_object(there, value),
                (Some(b'['), Value::Array(items)) => self.append(there, items),
                _ if self.parsed(there).as_ref() == Some(value) => {}
                _ => new.push((key.as_str(), New::Value(value))),
            }
        }
        self.change_object(object, &|_| false, &new);
    }

    /// Appends the items that the array lacks.
    fn append(&mut self, array: Range<usize>, items: &[Value]) {
        let there = self.items(array.start);
        let mut known: Vec<Value> = there.iter().filter_map(|item| self.parsed(item.clone())).collect();
        let mut text = Vec::new();
        let leading_blank = there.last().map_or(Vec::new(), |last| self.leading_blank(last.start));
        for item in items {
            if known.contains(item) {
                continue;
            }
            if !known.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(&leading_blank);
            text.extend_from_slice(&to_text(item, &leading_blank));
            known.push(item.clone());
        }
        let at = there.last().map_or(array.start + 1, |last| last.end);
        if !text.is_empty() {
            self.changes.push((at..at, text));
        }
    }

    fn change_object(&mut self, object: Range<usize>, is_removed: &dyn Fn(&str) -> bool, new: &[(&str, New<'_>)]) {
        let members = self.members(object.start);
        let last_kept = members.iter().rposition(|member| !is_removed(&member.name));
        for (index, member) in members.iter().enumerate() {
            let is_last = index + 1 == members.len();
            if is_removed(&member.name) {
                let start = member.key.start - self.leading_blank(member.key.start).len();
                // Includes the comma behind it. The comma of the last kept member is removed below.
                let end = if is_last { member.value.end } else { self.end_of_comma(member.value.end) };
                self.changes.push((start..end, Vec::new()));
            } else if last_kept == Some(index) && !is_last {
                let comma = self.blank_end(member.value.end);
                self.changes.push((comma..comma + 1, Vec::new()));
            }
        }
        let leading_blank = members.last().map_or(Vec::new(), |last| self.leading_blank(last.key.start));
        let mut added = Vec::new();
        let mut is_first = last_kept.is_none();
        for (name, value) in new {
            let bytes = match value {
                New::Value(value) => to_text(value, &leading_blank),
                New::Bytes(bytes) => bytes.to_vec(),
            };
            if let Some(there) = members.iter().rfind(|member| member.name == *name && !is_removed(name)) {
                if self.text.get(there.value.clone()) != Some(bytes.as_slice()) {
                    self.changes.push((there.value.clone(), bytes));
                }
                continue;
            }
            if !is_first {
                added.push(b',');
            }
            is_first = false;
            added.extend_from_slice(&leading_blank);
            added.extend_from_slice(Value::from(*name).to_string().as_bytes());
            added.extend_from_slice(if leading_blank.is_empty() { b":" } else { b": " });
            added.extend_from_slice(&bytes);
        }
        if !added.is_empty() {
            let at = last_kept.and_then(|index| members.get(index)).map_or(object.start + 1, |last| last.value.end);
            self.changes.push((at..at, added));
        }
    }

    fn find_value(&self, path: &[&str]) -> Option<Range<usize>> {
        let start = if self.text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let start = self.blank_end(start);
        let mut found = start..self.value_end(start);
        for name in path {
            if self.byte(found.start) != Some(b'{') {
                return None;
            }
            found = self.members(found.start).into_iter().rfind(|member| member.name == *name)?.value;
        }
        Some(found)
    }

    fn parsed(&self, range: Range<usize>) -> Option<Value> {
        limits::parse(&without_comment_lines(self.text.get(range)?)).ok()
    }

    /// The blank space in front of a key or item, from the line break on if there is one.
    fn leading_blank(&self, at: usize) -> Vec<u8> {
        let before = self.text.get(..at).unwrap_or_default();
        let blank = before.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
        let blank = before.get(at - blank..).unwrap_or_default();
        let line = blank.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| {
            if newline > 0 && blank.get(newline - 1) == Some(&b'\r') { newline - 1 } else { newline }
        });
        blank.get(line..).unwrap_or_default().to_vec()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// The position after blank space and comment lines that begin at `at`.
    fn blank_end(&self, mut at: usize) -> usize {
        while let Some(byte) = self.byte(at) {
            match byte {
                b'/' => at = self.line_end(at),
                byte if byte.is_ascii_whitespace() => at += 1,
                _ => break,
            }
        }
        at
    }

    fn line_end(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
    }

    fn end_of_comma(&self, at: usize) -> usize {
        self.blank_end(at) + 1
    }

    fn string_end(&self, start: usize) -> usize {
        let mut at = start + 1;
        while let Some(byte) = self.byte(at) {
            match byte {
                b'\\' => at += 2,
                b'"' => return at + 1,
                _ => at += 1,
            }
        }
        self.text.len()
    }

    fn value_end(&self, start: usize) -> usize {
        let mut at = start;
        let mut depth = 0_usize;
        while let Some(byte) = self.byte(at) {
            match byte {
                b'"' => at = self.string_end(at),
                b'/' => at = self.line_end(at),
                b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
                b'}' | b']' if depth > 0 => (at, depth) = (at + 1, depth - 1),
                b'}' | b']' | b',' if depth == 0 => return at,
                byte if depth == 0 && byte.is_ascii_whitespace() => return at,
                _ => {
                    at += 1;
                    continue;
                }
            }
            if depth == 0 && byte != b'/' {
                return at;
            }
        }
        at
    }

    fn members(&self, object: usize) -> Vec<Member> {
        let mut members = Vec::new();
        let mut at = self.blank_end(object + 1);
        while self.byte(at) == Some(b'"') {
            let key = at..self.string_end(at);
            let colon = self.blank_end(key.end);
            let start = self.blank_end(colon + 1);
            let value = start..self.value_end(start);
            let name = self.text.get(key.clone()).and_then(|name| limits::parse(name).ok());
            let next = self.blank_end(value.end);
            members.push(Member { name: name.unwrap_or_default(), key, value });
            if self.byte(next) != Some(b',') {
                break;
            }
            at = self.blank_end(next + 1);
        }
        members
    }

    fn items(&self, array: usize) -> Vec<Range<usize>> {
        let mut items = Vec::new();
        let mut at = self.blank_end(array + 1);
        while self.byte(at).is_some_and(|byte| byte != b']') {
            let item = at..self.value_end(at);
            let next = self.blank_end(item.end);
            items.push(item);
            if self.byte(next) != Some(b',') {
                break;
            }
            at = self.blank_end(next + 1);
        }
        items
    }
}

/// A value as text: on one line, or pretty-printed with the indentation of `leading_blank` if that has a line break.
fn to_text(value: &Value, leading_blank: &[u8]) -> Vec<u8> {
    if !leading_blank.contains(&b'\n') {
        return serde_json::to_vec(value).unwrap_or_default();
    }
    let pretty = serde_json::to_vec_pretty(value).unwrap_or_default();
    pretty.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(leading_blank)
}

/// The text with its `//` comment lines emptied. Line numbers do not change.
pub fn without_comment_lines(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(bytes.len()));
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii_start().starts_with(b"//") {
            kept.push(b'\n');
        } else {
            kept.extend_from_slice(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn merged(text: &str, from: &Value) -> String {
        let mut splice = Splice::new(text.as_bytes());
        splice.merge(from.as_object().unwrap());
        let bytes = splice.finish().map_or(text.as_bytes().to_vec(), |bytes| bytes.to_vec());
        String::from_utf8(bytes).unwrap()
    }

    fn without(text: &str, path: &[&str], names: &[&str]) -> String {
        let mut splice = Splice::new(text.as_bytes());
        splice.remove(path, &|name| names.contains(&name));
        let bytes = splice.finish().map_or(text.as_bytes().to_vec(), |bytes| bytes.to_vec());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn merging_keeps_the_bytes_of_everything_else() {
        let rows = [
            ("{}", json!({ "a": 1 }), r#"{"a":1}"#),
            (r#"{"z":1,"b":2}"#, json!({ "a": [1] }), r#"{"z":1,"b":2,"a":[1]}"#),
            ("{ \"z\": 1 }\n", json!({ "a": true }), "{ \"z\": 1, \"a\": true }\n"),
            ("{\n  \"z\": 1\n}", json!({ "a": { "b": 1 } }), "{\n  \"z\": 1,\n  \"a\": {\n    \"b\": 1\n  }\n}"),
            ("{\r\n\t\"z\": 1\r\n}\r\n", json!({ "a": 1 }), "{\r\n\t\"z\": 1,\r\n\t\"a\": 1\r\n}\r\n"),
            ("\u{feff}{\"z\": 1}", json!({ "a": 1 }), "\u{feff}{\"z\": 1,\"a\":1}"),
            // Numbers that no float can hold, a duplicate key and an escape stay unchanged.
            (
                r#"{"n":123456789012345678901234567890,"d":1,"d":1.10,"e":"\u00e9"}"#,
                json!({ "d": 2 }),
                r#"{"n":123456789012345678901234567890,"d":1,"d":2,"e":"\u00e9"}"#,
            ),
            (r#"{"a":{"x":1},"b":[1]}"#, json!({ "a": { "y": 2 }, "b": [1, 2] }), r#"{"a":{"x":1,"y":2},"b":[1,2]}"#),
            (r#"{"a":{},"b":[]}"#, json!({ "a": { "y": 2 }, "b": ["x", "x"] }), r#"{"a":{"y":2},"b":["x"]}"#),
            (r#"{"a":{"x":1}}"#, json!({ "a": 3 }), r#"{"a":3}"#),
            (r#"{"a" : 1 , "b":2}"#, json!({ "a": 1, "b": 2 }), r#"{"a" : 1 , "b":2}"#),
            (
                "{\n  // \"of\" {z\n  \"z\": 1\n  // the end }\n}",
                json!({ "a": 1 }),
                "{\n  // \"of\" {z\n  \"z\": 1,\n  \"a\": 1\n  // the end }\n}",
            ),
            ("{\n  \"b\": [\n    1\n  ]\n}", json!({ "b": [2] }), "{\n  \"b\": [\n    1,\n    2\n  ]\n}"),
        ];
        for (text, from, expected) in rows {
            assert_eq!(merged(text, &from), expected, "{text}");
        }
    }

    #[test]
    fn removing_keeps_the_bytes_of_everything_else() {
        let rows: [(&str, &[&str], &[&str], &str); 9] = [
            (r#"{"a":1,"b":2}"#, &[], &["a"], r#"{"b":2}"#),
            (r#"{"a":1,"b":2}"#, &[], &["b"], r#"{"a":1}"#),
            (r#"{"a":1,"b":2}"#, &[], &["a", "b"], "{}"),
            (r#"{"a":1,"b":2,"a":3,"c":4}"#, &[], &["a", "c"], r#"{"b":2}"#),
            ("{\n  \"a\": 1,\n  // of b\n  \"b\": 2\n}\n", &[], &["a"], "{\n  // of b\n  \"b\": 2\n}\n"),
            ("{\n  \"a\": 1,\n  // of b\n  \"b\": 2\n}\n", &[], &["b"], "{\n  \"a\": 1\n  // of b\n}\n"),
            (r#"{"env": {"K": "v", "L": 1e3}, "x": 1}"#, &["env"], &["K"], r#"{"env": { "L": 1e3}, "x": 1}"#),
            (r#"{"env": 3}"#, &["env"], &["K"], r#"{"env": 3}"#),
            (r#"{"a":1}"#, &["nosuch"], &["a"], r#"{"a":1}"#),
        ];
        for (text, path, names, expected) in rows {
            assert_eq!(without(text, path, names), expected, "{text} {names:?}");
        }
    }

    #[test]
    fn a_value_of_another_text_keeps_its_bytes() {
        let from = Splice::new(br#"{"x": {"t": "FAKE",  "n": 12345678901234567890123}}"#);
        let value = from.value(&["x"]).unwrap();
        let mut splice = Splice::new(br#"{"y":1,"x":0,"z":2}"#);
        splice.change(&[], &|name| name == "z", &[("x", New::Bytes(value)), ("w", New::Bytes(b"[ ]"))]);
        let changed = splice.finish().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&changed),
            r#"{"y":1,"x":{"t": "FAKE",  "n": 12345678901234567890123},"w":[ ]}"#
        );
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[ a-c\"\\\\/{}\\[\\],:\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::btree_map("[a-d\"/]{1,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Map<String, Value>> {
        proptest::collection::btree_map("[a-d\"/]{1,2}", value(), 0..5).prop_map(|map| map.into_iter().collect())
    }

    /// The expected result of a merge of values.
    fn merge(into: &mut Value, from: &Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (key, value) in from {
                    match into.get_mut(key) {
                        Some(there) => merge(there, value),
                        None => drop(into.insert(key.clone(), value.clone())),
                    }
                }
            }
            (Value::Array(into), Value::Array(from)) => {
                for value in from {
                    if !into.contains(value) {
                        into.push(value.clone());
                    }
                }
            }
            (into, from) => *into = from.clone(),
        }
    }

    proptest! {
        #[test]
        fn merging_text_equals_merging_values(there in object(), from in object(), is_pretty in any::<bool>()) {
            let there = Value::Object(there);
            let text = if is_pretty { format!("{there:#}\n") } else { there.to_string() };
            let changed = merged(&text, &Value::Object(from.clone()));
            let mut expected = there.clone();
            merge(&mut expected, &Value::Object(from.clone()));
            let found: Value = serde_json::from_str(&changed).map_err(|error| TestCaseError::fail(format!("{error}: {changed}")))?;
            prop_assert_eq!(&found, &expected, "{}", changed);
            // A second merge changes nothing.
            prop_assert_eq!(merged(&changed, &Value::Object(from)), changed);
        }

        #[test]
        fn only_removed_keys_are_gone(there in object(), gone in proptest::collection::vec("[a-d\"/]{1,2}", 0..4), is_pretty in any::<bool>()) {
            let text = if is_pretty { format!("{:#}", Value::Object(there.clone())) } else { Value::Object(there.clone()).to_string() };
            let names: Vec<&str> = gone.iter().map(String::as_str).collect();
            let changed = without(&text, &[], &names);
            let expected: Map<String, Value> = there.into_iter().filter(|(key, _)| !gone.contains(key)).collect();
            let found: Value = serde_json::from_str(&changed).map_err(|error| TestCaseError::fail(format!("{error}: {changed}")))?;
            prop_assert_eq!(found, Value::Object(expected), "{}", changed);
        }

        #[test]
        fn any_text_is_edited_without_panic(text in "[{}\\[\\]\",:/\\\\a1 \n]{0,40}") {
            let _ = merged(&text, &json!({ "a": { "b": [1] }, "c": 1 }));
            let _ = without(&text, &["a"], &["b", "c"]);
        }
    }
}
