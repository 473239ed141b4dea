//! `agents`: lists the known definitions.

use crate::agent::Definition;
use crate::agent::catalog::Entry;
use crate::commands::Answer;
use crate::config::AgentsConfig;
use crate::env::Environment;
use crate::facts;
use crate::output::agents;
use crate::output::style::Style;

pub fn agents(config: &AgentsConfig, environment: &Environment) -> anyhow::Result<Answer> {
    let catalog = facts::catalog()?;
    let style = Style::of_stdout(environment);
    let text = match &config.name {
        Some(name) if config.json => agents::json(&[definition_and_text(catalog.named(name)?)?])?,
        Some(name) => agents::one(catalog.named(name)?.definition()?).written(style),
        None if config.json => {
            agents::json(&catalog.entries().iter().map(definition_and_text).collect::<anyhow::Result<Vec<_>>>()?)?
        }
        None => agents::list(&catalog.definitions()?).written(style),
    };
    Ok(Answer { text, exit: 0 })
}

/// A definition, parsed and as text.
fn definition_and_text(entry: &Entry) -> anyhow::Result<(&Definition, &str)> {
    Ok((entry.definition()?, entry.text()))
}
