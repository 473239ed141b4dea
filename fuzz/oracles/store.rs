use std::time::Duration;

use serde_json::{Value, json};

use crate::fs::untrusted::LIMIT;
use crate::fuzzing::assert_clean;
use crate::login::limits;
use crate::store::protocol;
use crate::store::protocol::{Files, Stored, is_earlier};

/// An answer of a store's helper, read as the answer to each question.
pub fn store(input: &[u8]) {
    match protocol::parse_get_answer(input) {
        Err(why) => assert_clean(&why.to_string()),
        Ok(None) => {}
        Ok(Some(Stored { version, files, .. })) => {
            assert!(!version.is_empty());
            let plain = |name: &str| !name.is_empty() && !name.starts_with("..") && name != "." && !name.contains('/');
            assert!(files.keys().all(|name| plain(name) && !name.chars().any(char::is_control)));
            assert!(files.values().map(|file| file.expose_secret().len() as u64).sum::<u64>() <= LIMIT);
            put(&version, &files);
        }
    }
    match protocol::parse_put_answer(input) {
        Err(why) => assert_clean(&why.to_string()),
        Ok(version) => {
            assert!(version.as_ref().is_none_or(|version| !version.is_empty()));
            let version = version.unwrap_or_default();
            assert!(!is_earlier(&version, &version));
        }
    }
    if let Err(why) = protocol::parse_lock_answer(input) {
        assert_clean(&why.to_string());
    }
    let text = String::from_utf8_lossy(input);
    let request: Value = limits::parse(&protocol::lease_request(&text, &text, Duration::from_secs(20))).unwrap();
    assert_eq!((request["agent"].as_str(), request["owner"].as_str()), (Some(&*text), Some(&*text)));
}

/// What is put is got.
fn put(version: &str, files: &Files) {
    let request: Value = limits::parse(&protocol::put_request("x", Some(version), files)).unwrap();
    assert_eq!(request["expect"], version);
    let answer = json!({ "v": 1, "found": true, "version": version, "files": request["files"] }).to_string();
    let again = protocol::parse_get_answer(answer.as_bytes()).unwrap().unwrap();
    assert_eq!(again.version, version);
    let pairs = again.files.iter().zip(files);
    assert!(again.files.len() == files.len());
    for ((name, file), (known, content)) in pairs {
        assert!(name == known && file.expose_secret() == content.expose_secret(), "{name}");
    }
}
