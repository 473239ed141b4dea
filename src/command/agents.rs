//! `agents`: the known definitions.

use crate::agent::{Catalog, Definition};
use crate::cli::AgentsOptions;
use crate::discover::Environment;
use crate::report::agents;
use crate::report::style::Style;

use super::Answer;

/// Answers.
///
/// # Errors
/// An unknown name, or a definition that is none.
pub fn agents(options: &AgentsOptions, environment: &Environment) -> anyhow::Result<Answer> {
    let catalog = Catalog::built_in()?;
    let style = Style::of_stdout(environment);
    let text = match &options.name {
        Some(name) if options.json => agents::json(&[catalog.named(name)?]),
        Some(name) => agents::one(catalog.named(name)?, style),
        None => {
            let all: Vec<&Definition> = catalog.iter().collect();
            if options.json { agents::json(&all) } else { agents::list(&all, style) }
        }
    };
    Ok(Answer { text, exit: 0 })
}
