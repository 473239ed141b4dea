use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::env::Environment;
use crate::login::history::History;
use crate::login::{Digest, limits};
use crate::process::table;
use crate::state::State;
use crate::store::Record;
use crate::store::token::TokenMetadata;

/// What we read back: our own state, a capture's record and the note of a token; and what `/proc` says of a process.
pub fn state(input: &[u8]) {
    if let Some(state) = read_back::<State>(input) {
        for served in &state.agents {
            let agreed = served.base;
            assert!(agreed.is_none_or(|base| Digest::parse(&base.digest.to_string()) == Some(base.digest)));
        }
    }
    if let Some(record) = read_back::<Record>(input) {
        assert_eq!(History::default().or_longer(record.history.clone()), record.history);
    }
    read_back::<TokenMetadata>(input);
    let text = String::from_utf8_lossy(input);
    if let Some(process) = table::parse(7, &text) {
        assert_eq!(process.pid, 7);
    }
    let environment = Environment::parse(input);
    assert!(environment.names().all(|name| !name.is_empty()));
    let again = environment.all().join(std::ffi::OsStr::new("\0"));
    let again = Environment::parse(again.as_encoded_bytes());
    assert!(again.names().eq(environment.names()));
}

/// What is read is read again once it is written.
fn read_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(input: &[u8]) -> Option<T> {
    let value: T = limits::parse(input).ok()?;
    let text = serde_json::to_vec_pretty(&value).unwrap();
    assert_eq!(limits::parse::<T>(&text).unwrap(), value);
    Some(value)
}
