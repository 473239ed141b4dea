//! What is said to people, on standard error, and the errors that carry a remedy; what commands answer.

pub mod agents;
pub mod doctor;
pub mod history;
pub mod openmetrics;
pub mod page;
pub mod plan;
pub mod setup;
pub mod status;
pub mod style;

use serde::Serialize;

use crate::log::safe;

/// An answer in JSON: one line.
///
/// # Errors
/// None that is known: the types have no key that is not a string.
pub fn json_line(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(safe::escaped(&serde_json::to_string(value)?) + "\n")
}

#[cfg(test)]
mod renderers;
