//! Sets fields of a login document, so that an agent takes its access token for expired. Pure.

use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::login::document::Document;
use crate::login::format::Format;
use crate::login::splice::{New, Splice};

/// The JSON document with these values, by JSON pointers. Objects that do not exist are not made.
pub fn with_values(bytes: &[u8], values: &BTreeMap<String, Value>) -> Zeroizing<Vec<u8>> {
    let mut splice = Splice::new(bytes);
    for (pointer, value) in values {
        let path: Vec<String> =
            pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if let Some((key, object)) = path.split_last() {
            splice.set(object, &[(key, New::Value(value))]);
        }
    }
    splice.finish().unwrap_or_else(|| Zeroizing::new(bytes.to_vec()))
}

/// Whether the document still has all of these values: the agent has not refreshed it.
pub fn has_values(bytes: &[u8], values: &BTreeMap<String, Value>) -> bool {
    let Ok(document) = Document::parse(bytes, Format::Json) else { return false };
    values.iter().all(|(pointer, value)| document.is_at(pointer, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_set_and_recognised() {
        let values: BTreeMap<String, Value> = serde_json::from_str(r#"{ "/a/end": 1, "/b~1c": "x" }"#).unwrap();
        let login = br#"{ "a": { "token": "FAKE", "end": 12345678901234567890123 }, "z": 1.0 }"#;
        assert!(!has_values(login, &values));
        let forced = with_values(login, &values);
        assert_eq!(String::from_utf8_lossy(&forced), r#"{ "a": { "token": "FAKE", "end": 1 }, "z": 1.0, "b/c": "x" }"#);
        assert!(has_values(&forced, &values));
        let refreshed = String::from_utf8_lossy(&forced).replace("\"end\": 1", "\"end\": 2");
        assert!(!has_values(refreshed.as_bytes(), &values) && !has_values(b"{", &values));
    }
}
