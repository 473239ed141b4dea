//! Whether settings lost anything.

use serde_json::Value;

/// Everything in `before` must still be in `after`.
#[track_caller]
pub fn assert_kept(before: &Value, after: &Value) {
    match before {
        Value::Object(fields) => {
            for (key, value) in fields {
                assert_kept(value, &after[key]);
            }
        }
        Value::Array(items) => {
            let after = after.as_array().unwrap();
            assert!(items.iter().all(|item| after.contains(item)), "{before} in {after:?}");
        }
        _ => assert_eq!(before, after),
    }
}
