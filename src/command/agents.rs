//! `agents`: the known definitions.

use crate::cli::AgentsOptions;
use crate::discover::{self, Environment};
use crate::report::agents;
use crate::report::style::Style;

use super::Answer;

/// Answers.
///
/// # Errors
/// An unknown name, or a definition that is none.
pub fn agents(options: &AgentsOptions, environment: &Environment) -> anyhow::Result<Answer> {
    let catalog = discover::catalog()?;
    let style = Style::of_stdout(environment);
    let text = match &options.name {
        Some(name) if options.json => agents::json(&[catalog.named(name)?.definition()?]),
        Some(name) => agents::one(catalog.named(name)?.definition()?, style),
        None => {
            let all = catalog.definitions()?;
            if options.json { agents::json(&all) } else { agents::list(&all, style) }
        }
    };
    Ok(Answer { text, exit: 0 })
}
