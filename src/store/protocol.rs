//! Pure. What a store's helper is asked and what it answers: one JSON object each way. Keys that are not known are passed
//! over, so that helpers and we may learn new ones.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::fs::untrusted::LIMIT;
use crate::login::source::decode_base64;
use crate::login::{Secret, limits};
use crate::store::directory::BOOKKEEPING;

/// Where the record of a store's logins is among its files. In a capture it is a note of ours.
pub const RECORD: &str = "agent-init.record.json";

/// How many files a store may hold, beside the record: a start writes each of them to disk.
pub const FILES: usize = 64;

/// The longest answer, in bytes: files of [`LIMIT`] in base64, which makes four of three, and some words around them.
pub const LONGEST: usize = 1_500_000;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// What is stored.
    Get,
    /// Store this, if what is stored is still what is expected.
    Put,
    /// Let no other refresh.
    Lock,
    /// Let others.
    Unlock,
}

impl Verb {
    /// All of them.
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

/// Files by name.
pub type Files = BTreeMap<String, Secret>;

/// What is stored.
pub struct Stored {
    /// What tells it from what was stored before and will be.
    pub version: String,
    /// The files.
    pub files: Files,
    /// How many files were passed over, because their names are those of our own notes.
    pub passed_over: usize,
}

#[derive(Serialize)]
struct Request<'r> {
    v: u64,
    agent: &'r str,
    #[serde(flatten)]
    about: About<'r>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum About<'r> {
    Nothing {},
    Files { expect: Option<&'r str>, files: BTreeMap<&'r str, Zeroizing<String>> },
    Lease { owner: &'r str, ttl: u64 },
}

impl Stored {
    /// A second copy, for a second owner.
    pub fn duplicate(&self) -> Stored {
        let files = self.files.iter().map(|(name, secret)| (name.clone(), secret.duplicate())).collect();
        Stored { version: self.version.clone(), files, passed_over: self.passed_over }
    }
}

/// `get`: what is stored.
pub fn get(agent: &str) -> Zeroizing<Vec<u8>> {
    request(agent, About::Nothing {})
}

/// `put`: these files in the place of that version; of none, if `expect` is none.
pub fn put(agent: &str, expect: Option<&str>, files: &Files) -> Zeroizing<Vec<u8>> {
    let encoded = |secret: &Secret| Zeroizing::new(STANDARD.encode(secret.expose_secret()));
    let files = files.iter().map(|(name, secret)| (name.as_str(), encoded(secret))).collect();
    request(agent, About::Files { expect, files })
}

/// `lock` and `unlock`: as this owner, for so long.
pub fn lock(agent: &str, owner: &str, time: Duration) -> Zeroizing<Vec<u8>> {
    request(agent, About::Lease { owner, ttl: time.as_secs() })
}

fn request(agent: &str, about: About<'_>) -> Zeroizing<Vec<u8>> {
    // Large enough from the beginning: a vector that grows leaves its old bytes behind.
    let size = if matches!(about, About::Files { .. }) { LONGEST } else { 1024 };
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    // Maps of text have no way to fail, and a vector takes all.
    let _ = serde_json::to_writer(&mut *bytes, &Request { v: 1, agent, about });
    bytes
}

#[derive(Deserialize)]
struct Got {
    v: u64,
    found: bool,
    version: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, Zeroizing<String>>,
}

/// The answer to `get`.
///
/// # Errors
/// What is wrong with it, in words that hold nothing of it.
pub fn got(answer: &[u8]) -> Result<Option<Stored>, String> {
    let got: Got = parse(answer)?;
    speaks(got.v)?;
    if !got.found {
        return Ok(None);
    }
    let version = got.version.filter(|version| !version.is_empty()).ok_or("it has no version")?;
    let (notes, texts): (Vec<_>, Vec<_>) = got.files.into_iter().partition(|(name, _)| is_note(name));
    // Before any of them is decoded.
    check_names(texts.iter().map(|(name, _)| name.as_str()))?;
    let mut files = Files::new();
    for (name, text) in texts {
        let content = decode_base64(text.as_bytes()).ok_or("one of its files is not base64")?;
        files.insert(name, Secret::new(content));
    }
    check(&files)?;
    Ok(Some(Stored { version, files, passed_over: notes.len() }))
}

/// Whether a store's files are what every reader takes: a writer asks before it puts them.
///
/// # Errors
/// What is wrong with them, in words that hold nothing of them.
pub fn check(files: &Files) -> Result<(), String> {
    check_names(files.keys().map(String::as_str))?;
    let size: u64 = files.values().map(|content| content.expose_secret().len() as u64).sum();
    if size > LIMIT { Err(format!("its files are larger than {LIMIT} bytes in total")) } else { Ok(()) }
}

fn check_names<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Result<(), String> {
    if names.clone().any(|name| !is_plain(name)) {
        return Err("a file's name is not plain: letters, digits, '.', '-' and '_'".to_owned());
    }
    let count = names.filter(|name| *name != RECORD).count();
    if count > FILES { Err(format!("it has {count} files, and {FILES} are the most")) } else { Ok(()) }
}

/// The name of our notes in a capture, or one below it: no store has a file of that name to give.
fn is_note(name: &str) -> bool {
    name.strip_prefix(BOOKKEEPING).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A name that is one component of a path, and a key in every store.
fn is_plain(name: &str) -> bool {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !name.is_empty() && name.len() <= 200 && !name.starts_with("..") && name != "." && name.bytes().all(is_key)
}

#[derive(Deserialize)]
struct Put {
    v: u64,
    #[serde(default)]
    stored: bool,
    version: Option<String>,
    #[serde(default)]
    conflict: bool,
}

/// The answer to `put`: the new version, or none when another was first.
///
/// # Errors
/// As [`got`].
pub fn stored(answer: &[u8]) -> Result<Option<String>, String> {
    let put: Put = parse(answer)?;
    speaks(put.v)?;
    match (put.stored, put.conflict, put.version) {
        (true, false, Some(version)) if !version.is_empty() => Ok(Some(version)),
        (false, true, _) => Ok(None),
        _ => Err("it says neither stored, with a version, nor conflict".to_owned()),
    }
}

/// What came of `lock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// It is ours.
    Ours,
    /// Another has it.
    Anothers,
    /// This store has none.
    Unsupported,
}

#[derive(Deserialize)]
struct Lock {
    v: u64,
    locked: Option<bool>,
    #[serde(default)]
    unsupported: bool,
}

/// The answer to `lock`.
///
/// # Errors
/// As [`got`].
pub fn locked(answer: &[u8]) -> Result<Lease, String> {
    let lock: Lock = parse(answer)?;
    speaks(lock.v)?;
    match (lock.locked, lock.unsupported) {
        (_, true) => Ok(Lease::Unsupported),
        (Some(true), false) => Ok(Lease::Ours),
        (Some(false), false) => Ok(Lease::Anothers),
        (None, false) => Err("it says neither locked nor unsupported".to_owned()),
    }
}

fn parse<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, String> {
    // What serde says may quote the answer; this does not.
    limits::parse(answer).map_err(|why| why.to_string())
}

fn speaks(version: u64) -> Result<(), String> {
    if version == 1 { Ok(()) } else { Err(format!("it speaks version {version}, and we speak 1")) }
}

/// Whether a version is an earlier one. Versions are any text; where a store counts, it counts upwards.
pub fn went_backwards(known: &str, answered: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    matches!((number(known), number(answered)), (Some(known), Some(answered)) if answered < known)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn answers_to_get() {
        let found =
            got(br#"{"v":1,"found":true,"version":"17","files":{".x.json":"RkFLRQ=="},"more":[1]}"#).unwrap().unwrap();
        assert_eq!((found.version.as_str(), found.files[".x.json"].expose_secret()), ("17", b"FAKE".as_slice()));
        assert!(got(br#"{"v":1,"found":false}"#).unwrap().is_none());
        for bad in [
            "",
            "no JSON",
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
            assert!(got(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    fn answer(names: impl Iterator<Item = String>) -> Vec<u8> {
        let files: BTreeMap<String, &str> = names.map(|name| (name, "RkFLRQ==")).collect();
        json!({ "v": 1, "found": true, "version": "1", "files": files }).to_string().into_bytes()
    }

    #[test]
    fn so_many_files_are_read_and_no_more() {
        let names = |count: usize| (0..count).map(|number| format!("file-{number}"));
        assert_eq!(got(&answer(names(FILES))).unwrap().unwrap().files.len(), FILES);
        // The record is ours, and comes on top.
        let with_record = names(FILES).chain([RECORD.to_owned()]);
        assert_eq!(got(&answer(with_record)).unwrap().unwrap().files.len(), FILES + 1);
        let why = got(&answer(names(FILES + 1))).map(|_| ()).unwrap_err();
        assert_eq!(why, "it has 65 files, and 64 are the most");
    }

    #[test]
    fn our_notes_are_passed_over() {
        let names = [".agent-init", ".agent-init/record.json", ".agent-init/a/../../b", ".agent-initial", "login"];
        let stored = got(&answer(names.map(str::to_owned).into_iter())).unwrap().unwrap();
        assert_eq!(stored.files.keys().collect::<Vec<_>>(), [".agent-initial", "login"]);
        assert_eq!(stored.passed_over, 3);
    }

    /// What may be put is what is read: the same bounds, both ways.
    #[test]
    fn what_is_not_read_is_not_put() {
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
            (several(FILES), true),
            (several(FILES + 1), false),
            (named("a b"), false),
            (named("a.b-c_d"), true),
        ];
        for (number, (files, expected)) in rows.into_iter().enumerate() {
            assert_eq!(check(&files).is_ok(), expected, "row {number}");
            let request: Value = serde_json::from_slice(&put("x", None, &files)).unwrap();
            let answer = json!({ "v": 1, "found": true, "version": "1", "files": request["files"] }).to_string();
            assert_eq!(got(answer.as_bytes()).is_ok(), expected, "row {number}");
            assert!(!expected || answer.len() <= LONGEST, "row {number}: {}", answer.len());
        }
    }

    #[test]
    fn answers_to_put_and_lock() {
        assert_eq!(stored(br#"{"v":1,"stored":true,"version":"18"}"#), Ok(Some("18".to_owned())));
        assert_eq!(stored(br#"{"v":1,"conflict":true}"#), Ok(None));
        assert_eq!(locked(br#"{"v":1,"locked":true}"#), Ok(Lease::Ours));
        assert_eq!(locked(br#"{"v":1,"locked":false,"holder":"x"}"#), Ok(Lease::Anothers));
        assert_eq!(locked(br#"{"v":1,"unsupported":true}"#), Ok(Lease::Unsupported));
        for bad in
            ["{}", r#"{"v":1}"#, r#"{"v":1,"stored":true}"#, r#"{"v":1,"stored":true,"conflict":true,"version":"1"}"#]
        {
            assert!(stored(bad.as_bytes()).is_err() && locked(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn which_versions_are_earlier() {
        let rows = [("17", "16", true), ("17", "17", false), ("9", "10", false), ("b", "a", false), ("17", "a", false)];
        for (known, answered, expected) in rows {
            assert_eq!(went_backwards(known, answered), expected, "{known} {answered}");
        }
    }

    proptest! {
        #[test]
        fn what_is_put_is_got(content in proptest::collection::vec(any::<u8>(), 0..200), name in "[a-z_][a-z.-]{0,20}") {
            let files = Files::from([(name.clone(), Secret::copied(&content))]);
            let request: Value = serde_json::from_slice(&put("x", None, &files)).unwrap();
            prop_assert_eq!(&request["expect"], &Value::Null);
            let answer = json!({ "v": 1, "found": true, "version": "1", "files": request["files"] }).to_string();
            let found = got(answer.as_bytes()).unwrap().unwrap();
            prop_assert_eq!(found.files[&name].expose_secret(), content.as_slice());
        }

        #[test]
        fn any_answer_is_read_without_panic(answer in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (got(&answer), stored(&answer), locked(&answer));
        }
    }
}
