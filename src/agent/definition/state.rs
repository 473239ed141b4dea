//! What an agent keeps for itself.

use serde::Deserialize;

use crate::agent::definition::pattern::matches;
use crate::sys::stat::Kind;

/// An entry of the config directory that holds state: `projects/` is a directory, `history.jsonl` a file. One `*` in a
/// name stands for any characters.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub struct StateEntry {
    pub name: String,
    pub kind: Kind,
}

impl From<String> for StateEntry {
    fn from(text: String) -> StateEntry {
        match text.strip_suffix('/') {
            Some(name) => StateEntry { name: name.to_owned(), kind: Kind::Directory },
            None => StateEntry { name: text, kind: Kind::File },
        }
    }
}

impl StateEntry {
    pub fn matches(&self, name: &str) -> bool {
        matches(&self.name, name)
    }

    /// Whether it names entries only once they exist.
    pub fn is_pattern(&self) -> bool {
        self.name.contains('*')
    }
}
