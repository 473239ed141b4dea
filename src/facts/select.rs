//! Pure. Which agents may be served.

use std::path::Path;

use crate::agent::Catalog;
use crate::agent::catalog::Entry;
use crate::config::{AgentSelection, Requirement, RunConfig};

/// An agent that may be served.
#[derive(Debug)]
pub struct ConsideredAgent<'c> {
    /// What it is.
    pub entry: &'c Entry,
    /// It is served whatever is found: it was named, or COMMAND is its.
    pub is_certain: bool,
    /// It is served when any source is found.
    pub when_found: bool,
}

/// The agents that may be served, by option and COMMAND. An agent that was given something explicitly is one whatever
/// else, except where the operator named others; one that must have a credential is one if there is any.
///
/// # Errors
/// An unknown name.
pub fn candidates<'c>(config: &RunConfig, catalog: &'c Catalog) -> anyhow::Result<Vec<ConsideredAgent<'c>>> {
    let certain = |entry| ConsideredAgent { entry, is_certain: true, when_found: false };
    for name in named_anywhere(config) {
        catalog.named(name)?;
    }
    match &config.agent {
        AgentSelection::Nobody => Ok(Vec::new()),
        AgentSelection::Named(names) => names.iter().map(|name| catalog.named(name).map(certain)).collect(),
        AgentSelection::Auto => {
            let command = config
                .command
                .first()
                .and_then(|command| Path::new(command).file_name())
                .and_then(|name| name.to_str());
            let is_its = |entry: &Entry| command.is_some_and(|command| entry.has_command(command));
            let any = catalog.entries().iter().any(is_its);
            let is_required = |entry: &Entry| required(config).iter().any(|name| name == entry.name());
            let candidate =
                |entry| ConsideredAgent { entry, is_certain: is_its(entry), when_found: !any || is_required(entry) };
            Ok(catalog.entries().iter().map(candidate).collect())
        }
    }
}

/// The agents that options beside `--agent` name.
fn named_anywhere(config: &RunConfig) -> Vec<&str> {
    let auth = config.auth.names();
    let capture = config.capture.names();
    auth.chain(capture).chain(required(config).iter().map(String::as_str)).collect()
}

/// The agents that must have a credential.
fn required(config: &RunConfig) -> &[String] {
    match &config.require {
        Requirement::Named(names) => names,
        _ => &[],
    }
}
