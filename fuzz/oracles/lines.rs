use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::fuzzing::assert_clean;
use crate::login::limits::DEPTH;
use crate::login::yaml::parse;

/// The subset of YAML: what was read is read again once it is written.
pub fn lines(input: &[u8]) {
    let value = match parse(input) {
        Ok(value) => value,
        Err(defect) => return assert_clean(&defect.to_string()),
    };
    let object = value.as_object().unwrap();
    assert!(levels(object) <= DEPTH);
    let mut text = String::new();
    if write(&mut text, object, 0) {
        assert_eq!(parse(text.as_bytes()), Ok(value), "{text}");
    }
}

fn levels(object: &Map<String, Value>) -> usize {
    1 + object.values().filter_map(Value::as_object).map(levels).max().unwrap_or(0)
}

/// Writes it with every text quoted. False for a key that cannot be written: one with `": "` in it.
fn write(text: &mut String, object: &Map<String, Value>, indent: usize) -> bool {
    object.iter().all(|(key, value)| {
        if key.contains(": ") {
            return false;
        }
        write!(text, "{:indent$}{}:", "", Value::from(key.as_str())).unwrap();
        match value {
            Value::Object(below) => {
                text.push('\n');
                write(text, below, indent + 2)
            }
            Value::Null => {
                text.push_str(" ~\n");
                true
            }
            other => {
                writeln!(text, " {other}").unwrap();
                other.is_string()
            }
        }
    })
}
