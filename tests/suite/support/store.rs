//! The stand-in store (`tests/stores/stand-in`): a directory behind a helper command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{await_path, base64};

/// A store in this directory.
pub struct StandIn(pub PathBuf);

impl StandIn {
    pub fn new(directory: impl AsRef<Path>) -> Self {
        Self(directory.as_ref().to_owned())
    }

    /// For `--store`.
    pub fn spec(&self) -> String {
        format!("exec:{}/tests/stores/stand-in {}", env!("CARGO_MANIFEST_DIR"), self.0.display())
    }

    /// Puts a login there, as the version that comes next.
    pub fn seed(&self, login: &str) {
        self.seed_files([(".credentials.json", login.to_owned())]);
    }

    /// Puts these files there, as the version that comes next.
    pub fn seed_files<'f>(&self, files: impl IntoIterator<Item = (&'f str, String)>) {
        let version = self.stored()["version"].as_u64().unwrap_or(6) + 1;
        let files: BTreeMap<&str, String> = files.into_iter().map(|(name, text)| (name, base64(&text))).collect();
        let stored = json!({ "version": version, "files": files });
        std::fs::write(self.0.join("claude.new"), stored.to_string()).unwrap();
        std::fs::rename(self.0.join("claude.new"), self.0.join("claude")).unwrap();
    }

    /// Makes it misbehave from now on, or behave.
    pub fn misbehave(&self, mode: &str) {
        std::fs::write(self.0.join("mode"), mode).unwrap();
    }

    fn stored(&self) -> Value {
        let text = std::fs::read(self.0.join("claude")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// The login that is stored.
    pub fn login(&self) -> String {
        let file = self.stored()["files"][".credentials.json"].as_str().unwrap_or_default().to_owned();
        String::from_utf8(STANDARD.decode(file).unwrap()).unwrap()
    }

    /// Waits until the stored login holds this text.
    pub fn await_login(&self, text: &str) {
        await_path(&self.0, &format!("a stored {text}"), || self.login().contains(text));
    }

    /// The requests so far.
    pub fn all_requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.0.join("requests")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The requests of this verb so far.
    pub fn requests(&self, verb: &str) -> Vec<Value> {
        self.all_requests().into_iter().filter(|request| request["verb"] == verb).collect()
    }
}
