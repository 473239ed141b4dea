//! Pure. What a store's helper is asked and what it answers: one JSON object each way. Keys that are not known are passed
//! over, so that helpers and we may learn new ones.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::credential::Secret;
use crate::credential::source::{LIMIT, decode_base64};

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
    #[must_use]
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
    #[must_use]
    pub fn duplicate(&self) -> Stored {
        let files = self.files.iter().map(|(name, secret)| (name.clone(), secret.duplicate())).collect();
        Stored { version: self.version.clone(), files }
    }
}

/// `get`: what is stored.
#[must_use]
pub fn get(agent: &str) -> Zeroizing<Vec<u8>> {
    request(agent, About::Nothing {})
}

/// `put`: these files in the place of that version; of none, if `expect` is none.
#[must_use]
pub fn put(agent: &str, expect: Option<&str>, files: &Files) -> Zeroizing<Vec<u8>> {
    let encoded = |secret: &Secret| Zeroizing::new(STANDARD.encode(secret.expose_secret()));
    let files = files.iter().map(|(name, secret)| (name.as_str(), encoded(secret))).collect();
    request(agent, About::Files { expect, files })
}

/// `lock` and `unlock`: as this owner, for so long.
#[must_use]
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
    let mut files = Files::new();
    let mut size = 0;
    for (name, text) in got.files {
        if !is_plain(&name) {
            return Err("a file's name is not plain: letters, digits, '.', '-' and '_'".to_owned());
        }
        let content = decode_base64(text.as_bytes()).ok_or_else(|| format!("{name} is not base64"))?;
        size += content.len() as u64;
        files.insert(name, Secret::new(content));
    }
    if size > LIMIT {
        Err(format!("its files are larger than {LIMIT} bytes"))
    } else {
        Ok(Some(Stored { version, files }))
    }
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
    // What serde says may quote the answer.
    serde_json::from_slice(answer).map_err(|error| {
        format!("it is not the JSON that is expected (line {}, column {})", error.line(), error.column())
    })
}

fn speaks(version: u64) -> Result<(), String> {
    if version == 1 { Ok(()) } else { Err(format!("it speaks version {version}, and we speak 1")) }
}

/// Whether a version is an earlier one. Versions are any text; where a store counts, it counts upwards.
#[must_use]
pub fn went_backwards(known: &str, answered: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    matches!((number(known), number(answered)), (Some(known), Some(answered)) if answered < known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

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
