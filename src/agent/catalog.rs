//! Pure. The known agents: the definitions in this binary, and those that an image adds or replaces.

use anyhow::Context;

use super::definition::Definition;
use super::rules;
use crate::report::Failure;

const BUILT_IN: &[(&str, &str)] = &[
    ("claude", include_str!("definitions/claude.json")),
    ("codex", include_str!("definitions/codex.json")),
    ("gemini", include_str!("definitions/gemini.json")),
    ("opencode", include_str!("definitions/opencode.json")),
    ("copilot", include_str!("definitions/copilot.json")),
    ("qwen", include_str!("definitions/qwen.json")),
    ("gh", include_str!("definitions/gh.json")),
];

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
        Catalog::with(&[])
    }

    /// The definitions in the binary, and these: each a file's path and text. One of a known name replaces it, and only
    /// then is the known one not read at all.
    ///
    /// # Errors
    /// A text that is no definition, with its path, key and line; two texts for one name.
    pub fn with(added: &[(String, String)]) -> anyhow::Result<Catalog> {
        let mut more: Vec<Definition> = Vec::new();
        for (path, text) in added {
            let definition = rules::read(text).map_err(|why| {
                Failure::new(format!("agent definition {path}: {why}"))
                    .hint("docs/agents.md describes definitions; 'agent-init agents NAME --json' shows one")
            })?;
            if more.iter().any(|other| other.name == definition.name) {
                let what = format!("agent definition {path}: another file defines '{}' too", definition.name);
                return Err(Failure::new(what).hint("keep one of them").into());
            }
            more.push(definition);
        }
        let mut definitions = Vec::new();
        for (name, text) in BUILT_IN {
            definitions.push(match more.iter().position(|definition| definition.name == *name) {
                Some(index) => more.remove(index),
                None => serde_json::from_str(text).with_context(|| format!("agent definition {name}"))?,
            });
        }
        definitions.append(&mut more);
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

    /// Whether no other agent keeps its login in a file of this name.
    #[must_use]
    pub fn is_unique(&self, definition: &Definition) -> bool {
        let file = |definition: &Definition| definition.session.as_ref().map(|session| session.file.clone());
        let own = file(definition);
        self.iter().filter(|other| file(other) == own).count() < 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_definition_is_sound() {
        for (name, text) in BUILT_IN {
            let definition = rules::read(text).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(definition.name, *name);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let catalog = Catalog::built_in().unwrap();
        let error = catalog.named("nobody").unwrap_err();
        let failure = error.downcast_ref::<Failure>().unwrap();
        assert!(failure.hint.as_deref().unwrap().contains(&catalog.definitions[0].name));
    }

    #[test]
    fn a_file_adds_or_replaces() {
        let text = |name: &str| {
            format!(
                r#"{{ "name": "{name}", "title": "Mine", "commands": [], "methods": [],
                "home": {{ "variable": "X", "default": "~/.x" }} }}"#
            )
        };
        let (first, _) = BUILT_IN[0];
        let file = |name: &str| (format!("/etc/{name}.json"), text(name));
        let catalog = Catalog::with(&[file(first), file("mine")]).unwrap();
        assert_eq!(catalog.named(first).unwrap().title, "Mine");
        assert_eq!(catalog.named("mine").unwrap().title, "Mine");
        assert_eq!(catalog.iter().count(), BUILT_IN.len() + 1);
        assert!(Catalog::with(&[file("mine"), file("mine")]).is_err());
    }
}
