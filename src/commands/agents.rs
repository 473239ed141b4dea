//! `agents`: the known definitions.

use crate::agent::Definition;
use crate::agent::catalog::Entry;
use crate::commands::Answer;
use crate::config::AgentsConfig;
use crate::env::Environment;
use crate::facts;
use crate::output::agents;
use crate::output::style::Style;

/// Answers.
///
/// # Errors
/// An unknown name, or a definition that is none.
pub fn agents(config: &AgentsConfig, environment: &Environment) -> anyhow::Result<Answer> {
    let catalog = facts::catalog()?;
    let style = Style::of_stdout(environment);
    let text = match &config.name {
        Some(name) if config.json => agents::json(&[whole(catalog.named(name)?)?])?,
        Some(name) => agents::one(catalog.named(name)?.definition()?).written(style),
        None if config.json => agents::json(&catalog.entries().iter().map(whole).collect::<anyhow::Result<Vec<_>>>()?)?,
        None => agents::list(&catalog.definitions()?).written(style),
    };
    Ok(Answer { text, exit: 0 })
}

/// A definition, read and as it is written.
fn whole(entry: &Entry) -> anyhow::Result<(&Definition, &str)> {
    Ok((entry.definition()?, entry.text()))
}
