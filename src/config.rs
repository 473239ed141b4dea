//! Pure. Arguments and `AGENT_INIT_*` variables: the configuration of one invocation, with every default in its place.
//!
//! Options are data (`flags`, `command`): the parser, help, manual pages, completions and the table in `docs/options.md` are
//! made from the same definition. An option is looked for on the command line, then in its variable; then its default
//! holds. All of them are read by the same rule, so that an error names what the value came from.

mod choices;
mod command;
mod command_name;
mod compat;
mod flag;
mod flags;
#[cfg(test)]
mod generated;
mod help;
mod invalid;
mod layers;
mod outcome;
mod parse;
mod profile;
mod reader;
mod run_config;
mod settings;
#[cfg(test)]
mod tests;
mod value;
mod variables;
mod words;

pub use crate::words::spelling::{Word, Words};
pub use choices::{AuthMode, Delivery, Forwarding, Scope, Shell, Switch, SyncMode};
pub use command_name::CommandName;
pub use compat::Compat;
pub use invalid::Invalid;
pub use outcome::{
    AgentsConfig, Command, Detail, DoctorConfig, ExecConfig, HealthcheckConfig, HistoryConfig, InitConfig, Inspection,
    KeepConfig, PlanConfig, SetupConfig, StatusConfig, StatusForm,
};
pub use parse::{Parsed, parse};
pub use run_config::{LogConfig, RunConfig};
pub use value::{
    AgentSelection, CaptureDirs, PerAgent, Requirement, Rewrite, StoreChoice, StoreSpec, UserChoice, boolean,
};
pub use variables::PREFIX;
