//! The definitions in this binary.

use anyhow::Context;

use super::definition::{Definition, Method};
use crate::report::Failure;

const BUILT_IN: &[(&str, &str)] =
    &[("claude", include_str!("definitions/claude.json")), ("codex", include_str!("definitions/codex.json"))];

/// The known agents.
#[derive(Debug)]
pub struct Catalog {
    definitions: Vec<Definition>,
}

impl Catalog {
    /// Reads the definitions in the binary.
    ///
    /// # Errors
    /// A definition that is none; the tests of this module read them all.
    pub fn built_in() -> anyhow::Result<Catalog> {
        let definitions = BUILT_IN
            .iter()
            .map(|(name, text)| serde_json::from_str(text).with_context(|| format!("agent definition {name}")))
            .collect::<anyhow::Result<_>>()?;
        Ok(Catalog { definitions })
    }

    /// All of them, in the order in which they are shown.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.iter()
    }

    /// The agent of this name.
    ///
    /// # Errors
    /// An unknown name, with those that are known.
    pub fn named(&self, name: &str) -> anyhow::Result<&Definition> {
        self.iter().find(|definition| definition.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.iter().map(|definition| definition.name.as_str()).collect();
            Failure::new(format!("unknown agent '{name}'"))
                .hint(format!("the known agents are {}", known.join(", ")))
                .into()
        })
    }
}

/// What a definition must be beyond its types: the rules that other code relies on.
///
/// # Errors
/// The first rule that it breaks, in words.
pub fn validate(definition: &Definition) -> Result<(), String> {
    let single = |name: &str| !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    if !single(&definition.name) {
        return Err(format!("name '{}' is not one path component", definition.name));
    }
    if let Some(session) = &definition.session {
        if !single(&session.file) {
            return Err(format!("session.file '{}' is not one path component", session.file));
        }
        if session.access_token.is_empty() {
            return Err("session.access-token names no place".to_owned());
        }
    }
    if definition.session.is_some() != definition.session_rule().is_some() {
        return Err("a session needs both a method 'session' and a 'session' file".to_owned());
    }
    for rule in &definition.methods {
        if rule.variable.is_none() && rule.method != Method::Session {
            return Err(format!("method '{}' has no variable", rule.method.word()));
        }
    }
    if let Some(entry) = definition.first_run.iter().find(|entry| !single(&entry.file)) {
        return Err(format!("first-run file '{}' is not one path component", entry.file));
    }
    if !definition.home.default.starts_with("~/") {
        return Err(format!("home.default '{}' does not start with ~/", definition.home.default));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_definition_is_sound() {
        let catalog = Catalog::built_in().unwrap();
        for definition in catalog.iter() {
            assert_eq!(validate(definition), Ok(()), "{}", definition.name);
        }
        for ((name, _), definition) in BUILT_IN.iter().zip(catalog.iter()) {
            assert_eq!(*name, definition.name);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let catalog = Catalog::built_in().unwrap();
        let error = catalog.named("nobody").unwrap_err();
        let failure = error.downcast_ref::<Failure>().unwrap();
        assert!(failure.hint.as_deref().unwrap().contains(&catalog.definitions[0].name));
    }
}
