//! Pure. The known agents: the definitions in this binary, and those that an image adds or replaces.
//!
//! A built-in definition is parsed on first use, because most starts need one agent or none.

use std::cell::OnceCell;
use std::ffi::OsStr;

use anyhow::Context;

use crate::agent::definition::{Definition, MethodRule};
use crate::agent::rules;
use crate::error::Failure;
use crate::login::names::is_form_of;
use crate::looks::quoted;
use crate::words::listed;

/// The parts of a definition that are needed before it is parsed. `build.rs` generates them.
#[derive(Debug)]
struct Outline {
    name: &'static str,
    commands: &'static [&'static str],
    /// Variables that no other program uses, including that of the session.
    variables: &'static [&'static str],
    /// Variables with its credentials that other programs use, too.
    others: &'static [&'static str],
    /// Variable, suffix, default: as in a definition.
    home: (&'static str, &'static str, &'static str),
    /// Variable and suffix of its home's parent; empty when it has none.
    parent: (&'static str, &'static str),
    /// The login file's name; empty when there is none.
    login: &'static str,
    /// The login file below HOME, where no variable says otherwise; empty when there is none.
    below_home: &'static str,
    text: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/outlines.rs"));

/// Where an agent keeps its login by default.
pub struct Whereabouts<'o> {
    /// Variable, suffix, default of its home: as in a definition.
    pub home: (&'o str, &'o str, &'o str),
    /// Variable and suffix of its home's parent; empty when it has none.
    pub parent: (&'o str, &'o str),
    /// The login file's name.
    pub login: &'o str,
    /// The path of that file below HOME if neither variable is set; empty if it is elsewhere.
    pub below_home: &'o str,
}

/// The known agents.
#[derive(Debug)]
pub struct Catalog {
    entries: Vec<Entry>,
}

/// A known agent.
#[derive(Debug)]
pub struct Entry {
    outline: Option<&'static Outline>,
    /// The text of a definition that an image adds.
    added: Option<String>,
    definition: OnceCell<Definition>,
}

impl Entry {
    /// The parsed definition. An error in a built-in definition cannot occur: a test parses them all.
    pub fn definition(&self) -> anyhow::Result<&Definition> {
        if let (None, Some(outline)) = (self.definition.get(), self.outline) {
            let read = serde_json::from_str(outline.text);
            let read: Definition = read.with_context(|| format!("agent definition {}", outline.name))?;
            let _ = self.definition.set(read);
        }
        self.definition.get().context("agent definition")
    }

    /// The definition as text.
    pub fn text(&self) -> &str {
        self.outline.map(|outline| outline.text).or(self.added.as_deref()).unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        match (self.outline, self.definition.get()) {
            (Some(outline), _) => outline.name,
            (None, definition) => definition.map(|definition| definition.name.as_str()).unwrap_or_default(),
        }
    }

    pub fn has_command(&self, name: &str) -> bool {
        match (self.outline, self.definition.get()) {
            (Some(outline), _) => outline.commands.contains(&name),
            (None, definition) => {
                definition.is_some_and(|definition| definition.commands.iter().any(|own| own == name))
            }
        }
    }

    /// Whether the definition must be parsed to know if the agent has a credential: one of the variables in `set`
    /// belongs to it, in any form, or `has_login` finds a login in its config directory.
    pub fn may_matter<'n>(
        &self,
        mut set: impl Iterator<Item = &'n [u8]>,
        has_login: impl Fn(&Whereabouts<'_>) -> bool,
    ) -> bool {
        let Some(outline) = self.outline else { return true };
        let Outline { home, parent, login, below_home, .. } = *outline;
        set.any(|name| outline.variables.iter().any(|own| is_form_of(name, own)))
            || (!login.is_empty() && has_login(&Whereabouts { home, parent, login, below_home }))
    }

    /// Whether a variable may hold a credential of this agent, in any form, and no other program uses it.
    fn owns(&self, variable: &[u8]) -> bool {
        match (self.outline, self.definition.get()) {
            (Some(outline), _) => outline.variables.iter().any(|own| is_form_of(variable, own)),
            (None, definition) => definition.is_some_and(|definition| {
                let own = definition.methods.iter().filter(|rule| !rule.shared).flat_map(MethodRule::variables);
                own.chain(definition.session_variables()).any(|own| own.as_bytes() == variable)
            }),
        }
    }

    /// Whether a variable may hold a credential of this agent, and other programs use it, too.
    fn shares(&self, variable: &[u8]) -> bool {
        match (self.outline, self.definition.get()) {
            (Some(outline), _) => outline.others.iter().any(|own| is_form_of(variable, own)),
            (None, definition) => definition.is_some_and(|definition| {
                let shared =
                    definition.methods.iter().filter(|rule| rule.shared).filter_map(|rule| rule.variable.as_ref());
                let with = definition.methods.iter().flat_map(|rule| &rule.with);
                shared.chain(with).any(|own| is_form_of(variable, own))
            }),
        }
    }

    fn login(&self) -> Option<&str> {
        match (self.outline, self.definition.get()) {
            (Some(outline), _) => Some(outline.login),
            (None, definition) => definition?.session.as_ref().map(|session| session.file.as_str()),
        }
    }
}

impl Catalog {
    /// The built-in definitions.
    pub fn built_in() -> anyhow::Result<Catalog> {
        Catalog::with(&[])
    }

    /// The built-in definitions and `added` ones, each the path and text of a file. An added one replaces a built-in
    /// one of the same name. Two added ones of one name are an error.
    pub fn with(added: &[(String, String)]) -> anyhow::Result<Catalog> {
        let mut more: Vec<(Definition, &str)> = Vec::new();
        for (path, text) in added {
            let definition = rules::read(text).map_err(|why| {
                Failure::new(format!("agent definition {path}: {why}"))
                    .hint("docs/agents.md describes definitions; 'agent-init agents NAME --json' shows one")
            })?;
            if more.iter().any(|(other, _)| other.name == definition.name) {
                let what = format!("agent definition {path}: another file also defines '{}'", definition.name);
                return Err(Failure::new(what).hint("keep one of them").into());
            }
            more.push((definition, text));
        }
        let entry = |(definition, text): (Definition, &str)| Entry {
            outline: None,
            added: Some(text.to_owned()),
            definition: definition.into(),
        };
        let mut entries = Vec::with_capacity(BUILT_IN.len() + more.len());
        for outline in BUILT_IN {
            entries.push(match more.iter().position(|(definition, _)| definition.name == outline.name) {
                Some(index) => entry(more.remove(index)),
                None => Entry { outline: Some(outline), added: None, definition: OnceCell::new() },
            });
        }
        entries.extend(more.into_iter().map(entry));
        Ok(Catalog { entries })
    }

    /// In the order in which they are shown.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether a variable may hold a credential of an agent, in any form. Paths and commands count, because they may
    /// contain a secret by mistake.
    pub fn is_credential(&self, variable: &[u8]) -> bool {
        self.entries.iter().any(|entry| entry.owns(variable) || entry.shares(variable))
    }

    /// Whether only an agent uses the variable.
    pub fn is_agents_own(&self, variable: &[u8]) -> bool {
        self.entries.iter().any(|entry| entry.owns(variable))
    }

    /// All definitions, in the order in which they are shown.
    pub fn definitions(&self) -> anyhow::Result<Vec<&Definition>> {
        self.entries.iter().map(Entry::definition).collect()
    }

    /// The agent of this name. The error for an unknown name lists the known ones.
    pub fn named(&self, name: &str) -> anyhow::Result<&Entry> {
        self.entries.iter().find(|entry| entry.name() == name).ok_or_else(|| {
            let known: Vec<&str> = self.entries.iter().map(Entry::name).collect();
            Failure::new(format!("unknown agent {}", quoted(OsStr::new(name))))
                .hint(format!("the known agents are {}", listed(&known, ", ", "none")))
                .into()
        })
    }

    /// Whether no other agent keeps its login in a file of the same name.
    pub fn is_unique(&self, entry: &Entry) -> bool {
        self.entries.iter().filter(|other| other.login() == entry.login()).count() < 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_definition_is_sound() {
        for outline in BUILT_IN {
            let definition = rules::read(outline.text).unwrap_or_else(|why| panic!("{}: {why}", outline.name));
            assert_eq!(definition.name, outline.name);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let catalog = Catalog::built_in().unwrap();
        let error = catalog.named("nobody").unwrap_err();
        let failure = error.downcast_ref::<Failure>().unwrap();
        assert!(failure.hint.as_deref().unwrap().contains(BUILT_IN[0].name));
    }

    #[test]
    fn irrelevant_definitions_are_not_parsed() {
        let catalog = Catalog::built_in().unwrap();
        let entry = &catalog.entries()[0];
        let variable = entry.outline.unwrap().variables[0];
        let matters = |name: &str| entry.may_matter([name.as_bytes()].into_iter(), |_| false);
        for name in ["PATH", "", "XCREDENTIALS", &format!("{variable}_OTHER"), &format!("X{variable}")] {
            assert!(!matters(name), "{name}");
        }
        for name in [
            variable.to_owned(),
            format!("{variable}_FILE"),
            format!("{}_CREDENTIALS_B64", entry.name().to_uppercase()),
        ] {
            assert!(matters(&name), "{name}");
        }
        assert!(entry.may_matter([].into_iter(), |_| true));
        assert!(entry.definition.get().is_none());
        for entry in catalog.entries() {
            for variable in entry.definition().unwrap().session_variables() {
                assert!(entry.may_matter([variable.as_bytes()].into_iter(), |_| false), "{variable}");
            }
        }
    }

    #[test]
    fn a_file_adds_or_replaces_a_definition() {
        let text = |name: &str| {
            format!(
                r#"{{ "name": "{name}", "title": "Mine", "commands": [], "methods": [],
                "home": {{ "variable": "X", "default": "~/.x" }} }}"#
            )
        };
        let first = BUILT_IN[0].name;
        let file = |name: &str| (format!("/etc/{name}.json"), text(name));
        let catalog = Catalog::with(&[file(first), file("mine")]).unwrap();
        assert_eq!(catalog.named(first).unwrap().definition().unwrap().title, "Mine");
        assert_eq!(catalog.named("mine").unwrap().definition().unwrap().title, "Mine");
        assert_eq!(catalog.entries().len(), BUILT_IN.len() + 1);
        assert!(Catalog::with(&[file("mine"), file("mine")]).is_err());
    }
}
