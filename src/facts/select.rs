//! Pure. Selects the agents that may be served, by options and COMMAND.

use std::path::Path;

use crate::agent::Catalog;
use crate::agent::catalog::Entry;
use crate::config::{AgentSelection, Requirement, RunConfig};

/// An agent that may be served.
#[derive(Debug)]
pub struct ConsideredAgent<'c> {
    pub entry: &'c Entry,
    pub served: ServedWhen,
}

/// When an agent is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServedWhen {
    /// In any case: `--agent` or COMMAND names it.
    Selected,
    /// If any source is found for it.
    Found,
    /// If it was given a credential explicitly.
    Given,
}

/// The agents that may be served. If `--agent` names agents, no others are. Otherwise every known agent is considered.
/// Those whose command COMMAND is are selected; the others are served if a source is found, as long as COMMAND is no
/// known agent's or `--require` names them. An unknown name in any option is an error.
pub fn considered_agents<'c>(config: &RunConfig, catalog: &'c Catalog) -> anyhow::Result<Vec<ConsideredAgent<'c>>> {
    let selected = |entry| ConsideredAgent { entry, served: ServedWhen::Selected };
    for name in names_in_options(config) {
        catalog.named(name)?;
    }
    match &config.agent {
        AgentSelection::Nobody => Ok(Vec::new()),
        AgentSelection::Named(names) => names.iter().map(|name| catalog.named(name).map(selected)).collect(),
        AgentSelection::Auto => {
            let command = config
                .command
                .first()
                .and_then(|command| Path::new(command).file_name())
                .and_then(|name| name.to_str());
            let runs_command = |entry: &Entry| command.is_some_and(|command| entry.has_command(command));
            let is_command_known = catalog.entries().iter().any(runs_command);
            let is_required = |entry: &Entry| required(config).iter().any(|name| name == entry.name());
            let served = |entry: &Entry| match runs_command(entry) {
                true => ServedWhen::Selected,
                false if !is_command_known || is_required(entry) => ServedWhen::Found,
                false => ServedWhen::Given,
            };
            let consider = |entry| ConsideredAgent { entry, served: served(entry) };
            Ok(catalog.entries().iter().map(consider).collect())
        }
    }
}

/// The agents that options other than `--agent` name.
fn names_in_options(config: &RunConfig) -> Vec<&str> {
    let auth = config.auth.names();
    let capture = config.capture.names();
    auth.chain(capture).chain(required(config).iter().map(String::as_str)).collect()
}

/// The agents that `--require` names.
fn required(config: &RunConfig) -> &[String] {
    match &config.require {
        Requirement::Named(names) => names,
        _ => &[],
    }
}
