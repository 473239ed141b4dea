//! Pure. When a part of a definition applies: a small vocabulary, every word of which must hold.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A condition; an empty one always holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Condition {
    /// One of these methods authenticates the agent; `none` is a word too.
    pub method: Vec<String>,
    /// The value that authenticates it is one of these variables'.
    pub variable: Vec<String>,
    /// That value begins with this.
    pub value_prefix: Option<String>,
    /// A credential of one of these methods was found and ignored.
    #[serde(rename = "set-aside")]
    pub ignored: Vec<String>,
    /// Whether a refreshed login is carried back.
    pub carried_back: Option<bool>,
    /// All of these variables are set and not empty.
    pub set: Vec<String>,
    /// None of these is.
    pub unset: Vec<String>,
    /// These variables are set, to anything but these values.
    pub differs: BTreeMap<String, String>,
    /// One of these is among COMMAND's arguments.
    pub argument: Vec<String>,
    /// None of these is.
    pub no_argument: Vec<String>,
    /// Whether the agent runs as root.
    pub root: Option<bool>,
    /// Whether standard input is a terminal.
    pub terminal: Option<bool>,
}
