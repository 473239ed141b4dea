//! How a keeper gets an agent to refresh its login.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// A command that refreshes the login of the agent's config directory, and asks no model anything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RefreshRule {
    /// The command and its arguments. Its exit status does not matter: the login file tells whether it has refreshed.
    pub command: Vec<String>,
    /// Variables for it.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Values for fields of the login file that make the agent take its access token for expired, by JSON pointers.
    pub force: BTreeMap<String, Value>,
    /// How many seconds the command may take. It must be longer than the agent waits for the vendor's answer.
    #[serde(default = "limit")]
    pub limit: u64,
}

fn limit() -> u64 {
    60
}

impl RefreshRule {
    pub fn limit(&self) -> Duration {
        Duration::from_secs(self.limit)
    }

    /// The program that must be installed.
    pub fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }
}
