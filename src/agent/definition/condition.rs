//! Pure. The conditions of a definition: every key that is set must hold.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A condition; an empty one always holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Condition {
    /// One of these methods authenticates the agent; `none` if no method does.
    pub method: Vec<String>,
    /// The credential that authenticates it belongs to one of these variables.
    pub variable: Vec<String>,
    /// The value of that credential begins with this.
    pub value_prefix: Option<String>,
    /// A credential of one of these methods was found and ignored.
    #[serde(rename = "set-aside")]
    pub ignored: Vec<String>,
    /// Whether refreshed logins are saved.
    pub carried_back: Option<bool>,
    /// The config directory is a mount that holds state of the agent, or is not.
    pub used: Option<bool>,
    /// All of these variables are set and not empty.
    pub set: Vec<String>,
    /// None of these variables is set and not empty.
    pub unset: Vec<String>,
    /// These variables are set to other values than these.
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
