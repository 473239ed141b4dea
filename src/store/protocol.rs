//! The protocol between agent-init and a store's helper: one JSON object each way. Both sides ignore unknown keys, so
//! that either can be extended. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::fs::untrusted::LIMIT;
use crate::login::source::decode_base64;
use crate::login::{Secret, limits};
use crate::store::breach::{Breach, MAX_FILES};
use crate::store::directory::BOOKKEEPING;

/// The name of the record among a store's files. In a capture the record is in the bookkeeping.
pub const RECORD: &str = "agent-init.record.json";

/// The maximum length of an answer in bytes: files of [`LIMIT`] bytes in base64, which is 4/3 of that, and the JSON
/// around them.
pub const MAX_ANSWER: usize = 1_500_000;

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Read what is stored.
    Get,
    /// Store files, if the stored version is still the expected one.
    Put,
    /// Take the lease: no other container may let its agent refresh.
    Lock,
    /// Give the lease back.
    Unlock,
}

impl Verb {
    pub const ALL: [Verb; 4] = [Verb::Get, Verb::Put, Verb::Lock, Verb::Unlock];

    /// The word that is appended to the helper's command.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::Put => "put",
            Verb::Lock => "lock",
            Verb::Unlock => "unlock",
        }
    }
}

pub type Files = BTreeMap<String, Secret>;

pub struct Stored {
    /// Distinguishes this content from any earlier or later one.
    pub version: String,
    pub files: Files,
    /// How many files were ignored because their names belong to the bookkeeping.
    pub ignored_files: usize,
}

#[derive(Serialize)]
struct Request<'r> {
    v: u64,
    agent: &'r str,
    #[serde(flatten)]
    body: Body<'r>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'r> {
    None {},
    Files { expect: Option<&'r str>, files: BTreeMap<&'r str, Zeroizing<String>> },
    Lease { owner: &'r str, ttl: u64 },
}

impl Stored {
    pub fn duplicate(&self) -> Stored {
        let files = self.files.iter().map(|(name, secret)| (name.clone(), secret.duplicate())).collect();
        Stored { version: self.version.clone(), files, ignored_files: self.ignored_files }
    }
}

/// The `get` request.
pub fn get_request(agent: &str) -> Zeroizing<Vec<u8>> {
    request(agent, Body::None {})
}

/// The `put` request: stores `files` over the version `expect`, or if nothing is stored if that is `None`.
pub fn put_request(agent: &str, expect: Option<&str>, files: &Files) -> Zeroizing<Vec<u8>> {
    let encoded = |secret: &Secret| Zeroizing::new(STANDARD.encode(secret.expose_secret()));
    let files = files.iter().map(|(name, secret)| (name.as_str(), encoded(secret))).collect();
    request(agent, Body::Files { expect, files })
}

/// The request of `lock` and `unlock`: the lease's owner and duration.
pub fn lease_request(agent: &str, owner: &str, time: Duration) -> Zeroizing<Vec<u8>> {
    request(agent, Body::Lease { owner, ttl: time.as_secs() })
}

fn request(agent: &str, body: Body<'_>) -> Zeroizing<Vec<u8>> {
    // The vector gets its final size first: one that grows leaves its old bytes behind, unwiped.
    let size = if matches!(body, Body::Files { .. }) { MAX_ANSWER } else { 1024 };
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    // A map of strings always serialises, and writing to a vector never fails.
    let _ = serde_json::to_writer(&mut *bytes, &Request { v: 1, agent, body });
    bytes
}

#[derive(Deserialize)]
struct GetAnswer {
    v: u64,
    found: bool,
    version: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, Zeroizing<String>>,
}

/// Parses the answer to `get`. The error text quotes nothing of it.
pub fn parse_get_answer(answer: &[u8]) -> Result<Option<Stored>, Breach> {
    let got: GetAnswer = parse(answer)?;
    check_protocol_version(got.v)?;
    if !got.found {
        return Ok(None);
    }
    let version = got.version.filter(|version| !version.is_empty()).ok_or(Breach::NoVersion)?;
    let (notes, texts): (Vec<_>, Vec<_>) = got.files.into_iter().partition(|(name, _)| is_bookkeeping(name));
    // Names are checked before any file is decoded.
    check_names(texts.iter().map(|(name, _)| name.as_str()))?;
    let mut files = Files::new();
    for (name, text) in texts {
        let content = decode_base64(text.as_bytes()).ok_or(Breach::NotBase64)?;
        files.insert(name, Secret::new(content));
    }
    check(&files)?;
    Ok(Some(Stored { version, files, ignored_files: notes.len() }))
}

/// Checks that every reader accepts these files. A writer calls it before `put`. The error text quotes nothing of them.
pub fn check(files: &Files) -> Result<(), Breach> {
    check_names(files.keys().map(String::as_str))?;
    let size: u64 = files.values().map(|content| content.expose_secret().len() as u64).sum();
    if size > LIMIT { Err(Breach::TooLarge) } else { Ok(()) }
}

fn check_names<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Result<(), Breach> {
    if names.clone().any(|name| !is_valid_name(name)) {
        return Err(Breach::FileName);
    }
    let count = names.filter(|name| *name != RECORD).count();
    if count > MAX_FILES { Err(Breach::Files(count)) } else { Ok(()) }
}

/// Whether a name is that of the bookkeeping directory or something below it. A store must not write there.
fn is_bookkeeping(name: &str) -> bool {
    name.strip_prefix(BOOKKEEPING).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a name is one path component, and a valid key in every kind of store.
fn is_valid_name(name: &str) -> bool {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !name.is_empty() && name.len() <= 200 && !name.starts_with("..") && name != "." && name.bytes().all(is_key)
}

#[derive(Deserialize)]
struct PutAnswer {
    v: u64,
    #[serde(default)]
    stored: bool,
    version: Option<String>,
    #[serde(default)]
    conflict: bool,
}

/// Parses the answer to `put`: the new version, or `None` if another container was first.
pub fn parse_put_answer(answer: &[u8]) -> Result<Option<String>, Breach> {
    let put: PutAnswer = parse(answer)?;
    check_protocol_version(put.v)?;
    match (put.stored, put.conflict, put.version) {
        (true, false, Some(version)) if !version.is_empty() => Ok(Some(version)),
        (false, true, _) => Ok(None),
        _ => Err(Breach::NoPutResult),
    }
}

/// The result of `lock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    Granted,
    Taken,
    /// The store has no leases.
    Unsupported,
}

#[derive(Deserialize)]
struct LockAnswer {
    v: u64,
    locked: Option<bool>,
    #[serde(default)]
    unsupported: bool,
}

/// Parses the answer to `lock`.
pub fn parse_lock_answer(answer: &[u8]) -> Result<Lease, Breach> {
    let lock: LockAnswer = parse(answer)?;
    check_protocol_version(lock.v)?;
    match (lock.locked, lock.unsupported) {
        (_, true) => Ok(Lease::Unsupported),
        (Some(true), false) => Ok(Lease::Granted),
        (Some(false), false) => Ok(Lease::Taken),
        (None, false) => Err(Breach::NoLease),
    }
}

fn parse<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, Breach> {
    // serde's own message may quote the answer, so it is left out.
    limits::parse(answer).map_err(Breach::Unparsed)
}

fn check_protocol_version(version: u64) -> Result<(), Breach> {
    if version == 1 { Ok(()) } else { Err(Breach::Protocol(version)) }
}

/// Whether `answered` is an earlier version than `known`. A version is any text; if both are numbers, versions count
/// upwards.
pub fn is_earlier(known: &str, answered: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    matches!((number(known), number(answered)), (Some(known), Some(answered)) if answered < known)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn answers_to_get_are_parsed_or_refused() {
        let found =
            parse_get_answer(br#"{"v":1,"found":true,"version":"17","files":{".x.json":"RkFLRQ=="},"more":[1]}"#)
                .unwrap()
                .unwrap();
        assert_eq!((found.version.as_str(), found.files[".x.json"].expose_secret()), ("17", b"FAKE".as_slice()));
        assert!(parse_get_answer(br#"{"v":1,"found":false}"#).unwrap().is_none());
        for bad in [
            "",
            "not JSON",
            "[]",
            "{}",
            r#"{"v":2,"found":false}"#,
            r#"{"v":1,"found":true,"files":{}}"#,
            r#"{"v":1,"found":true,"version":"","files":{}}"#,
            r#"{"v":1,"found":true,"version":"1","files":{"a":"***"}}"#,
            r#"{"v":1,"found":true,"version":"1","files":{"../a":""}}"#,
            r#"{"v":1,"found":true,"version":"1","files":{"a/b":""}}"#,
            r#"{"v":1,"found":true,"version":"1","files":{"":""}}"#,
        ] {
            assert!(parse_get_answer(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    fn answer(names: impl Iterator<Item = String>) -> Vec<u8> {
        let files: BTreeMap<String, &str> = names.map(|name| (name, "RkFLRQ==")).collect();
        json!({ "v": 1, "found": true, "version": "1", "files": files }).to_string().into_bytes()
    }

    #[test]
    fn the_number_of_files_is_limited() {
        let names = |count: usize| (0..count).map(|number| format!("file-{number}"));
        assert_eq!(parse_get_answer(&answer(names(MAX_FILES))).unwrap().unwrap().files.len(), MAX_FILES);
        // The record does not count.
        let with_record = names(MAX_FILES).chain([RECORD.to_owned()]);
        assert_eq!(parse_get_answer(&answer(with_record)).unwrap().unwrap().files.len(), MAX_FILES + 1);
        let why = parse_get_answer(&answer(names(MAX_FILES + 1))).map(|_| ()).unwrap_err();
        assert_eq!(why.to_string(), "it has 65 files, more than the maximum of 64");
    }

    #[test]
    fn files_named_like_bookkeeping_are_ignored() {
        let names = [".agent-init", ".agent-init/record.json", ".agent-init/a/../../b", ".agent-initial", "login"];
        let stored = parse_get_answer(&answer(names.map(str::to_owned).into_iter())).unwrap().unwrap();
        assert_eq!(stored.files.keys().collect::<Vec<_>>(), [".agent-initial", "login"]);
        assert_eq!(stored.ignored_files, 3);
    }

    /// The limits of `put` and `get` are the same.
    #[test]
    fn files_that_get_would_refuse_are_not_put() {
        let limit = usize::try_from(LIMIT).unwrap();
        let sized = |size: usize| Files::from([("login".to_owned(), Secret::new(Zeroizing::new(vec![b'x'; size])))]);
        let several = |count: usize| (0..count).map(|n| (format!("{n}"), Secret::copied(b"x"))).collect::<Files>();
        let named = |name: &str| Files::from([(name.to_owned(), Secret::copied(b"x"))]);
        let mut beside = sized(limit);
        beside.insert(RECORD.to_owned(), Secret::copied(b"x"));
        let rows = [
            (sized(limit), true),
            (sized(limit + 1), false),
            (beside, false),
            (several(MAX_FILES), true),
            (several(MAX_FILES + 1), false),
            (named("a b"), false),
            (named("a.b-c_d"), true),
        ];
        for (number, (files, expected)) in rows.into_iter().enumerate() {
            assert_eq!(check(&files).is_ok(), expected, "row {number}");
            let request: Value = serde_json::from_slice(&put_request("x", None, &files)).unwrap();
            let answer = json!({ "v": 1, "found": true, "version": "1", "files": request["files"] }).to_string();
            assert_eq!(parse_get_answer(answer.as_bytes()).is_ok(), expected, "row {number}");
            assert!(!expected || answer.len() <= MAX_ANSWER, "row {number}: {}", answer.len());
        }
    }

    #[test]
    fn answers_to_put_and_lock_are_parsed_or_refused() {
        assert_eq!(parse_put_answer(br#"{"v":1,"stored":true,"version":"18"}"#).unwrap().as_deref(), Some("18"));
        assert_eq!(parse_put_answer(br#"{"v":1,"conflict":true}"#).unwrap(), None);
        assert_eq!(parse_lock_answer(br#"{"v":1,"locked":true}"#).unwrap(), Lease::Granted);
        assert_eq!(parse_lock_answer(br#"{"v":1,"locked":false,"holder":"x"}"#).unwrap(), Lease::Taken);
        assert_eq!(parse_lock_answer(br#"{"v":1,"unsupported":true}"#).unwrap(), Lease::Unsupported);
        for bad in
            ["{}", r#"{"v":1}"#, r#"{"v":1,"stored":true}"#, r#"{"v":1,"stored":true,"conflict":true,"version":"1"}"#]
        {
            assert!(parse_put_answer(bad.as_bytes()).is_err() && parse_lock_answer(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_numeric_versions_are_ordered() {
        let rows = [("17", "16", true), ("17", "17", false), ("9", "10", false), ("b", "a", false), ("17", "a", false)];
        for (known, answered, expected) in rows {
            assert_eq!(is_earlier(known, answered), expected, "{known} {answered}");
        }
    }

    proptest! {
        #[test]
        fn get_returns_what_was_put(content in proptest::collection::vec(any::<u8>(), 0..200), name in "[a-z_][a-z.-]{0,20}") {
            let files = Files::from([(name.clone(), Secret::copied(&content))]);
            let request: Value = serde_json::from_slice(&put_request("x", None, &files)).unwrap();
            prop_assert_eq!(&request["expect"], &Value::Null);
            let answer = json!({ "v": 1, "found": true, "version": "1", "files": request["files"] }).to_string();
            let found = parse_get_answer(answer.as_bytes()).unwrap().unwrap();
            prop_assert_eq!(found.files[&name].expose_secret(), content.as_slice());
        }

        #[test]
        fn any_answer_is_parsed_without_panic(answer in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (parse_get_answer(&answer), parse_put_answer(&answer), parse_lock_answer(&answer));
        }
    }
}
