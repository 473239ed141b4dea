//! What a value is, if it is not what its source should hold. Pure.

use crate::agent::definition::{Method, MethodRule};
use crate::agent::{Catalog, Definition};
use crate::login::names::{self, Suffix};
use crate::login::{Advice, Defect, Document, Unusable};
use crate::looks::Look;

/// Why `text` is not a login of this agent, and what it is instead.
pub(super) fn not_a_login(definition: &Definition, catalog: &Catalog, text: &[u8], defect: Defect) -> Unusable {
    Unusable::NotALogin { defect, advice: other_form(definition, text).or_else(|| of_another_agent(catalog, text)) }
}

fn other_form(definition: &Definition, text: &[u8]) -> Option<Advice> {
    if let Some(rule) = method_of(definition, text) {
        return Some(Advice::OtherMethod { label: rule.label.clone(), variable: rule.variable.clone()? });
    }
    let look = Look::of(text);
    match look {
        Look::Path => {
            let variable = Suffix::File.of(&names::of_session(&definition.name));
            Some(Advice::OtherVariable { look, variable })
        }
        Look::Json | Look::Jwt | Look::Hex | Look::Control | Look::Other | Look::Empty | Look::Blank => None,
        look => Some(Advice::Form(look)),
    }
}

/// The agent whose login this is.
fn of_another_agent(catalog: &Catalog, text: &[u8]) -> Option<Advice> {
    let definitions = catalog.entries().iter().filter_map(|entry| entry.definition().ok());
    let is_its_login = |definition: &&Definition| {
        definition.session.as_ref().is_some_and(|session| {
            Document::parse(text, session.format).is_ok_and(|document| {
                document.login(session).is_ok() && session.mark.as_deref().is_none_or(|mark| document.has(mark))
            })
        })
    };
    let found = definitions.into_iter().find(is_its_login)?;
    Some(Advice::OtherAgent { title: found.title.clone(), variable: names::of_session(&found.name) })
}

/// The method whose values begin like this one, by the longest prefix.
fn method_of<'d>(definition: &'d Definition, value: &[u8]) -> Option<&'d MethodRule> {
    let prefix = |rule: &MethodRule| {
        let matching = rule.prefixes.iter().filter(|prefix| value.starts_with(prefix.as_bytes()));
        matching.map(String::len).max()
    };
    let known = definition.methods.iter().filter_map(|rule| Some((prefix(rule)?, rule)));
    known.max_by_key(|(length, _)| *length).map(|(_, rule)| rule)
}

/// What a value looks like, if its method takes something else. It is used all the same: only the vendor knows.
pub(super) fn doubt(definition: &Definition, rule: &MethodRule, value: &[u8]) -> Option<Advice> {
    if rule.method == Method::Cloud {
        return None;
    }
    if let Some(other) = method_of(definition, value).filter(|other| other.variable != rule.variable) {
        return Some(Advice::OtherMethod { label: other.label.clone(), variable: other.variable.clone()? });
    }
    match Look::of(value) {
        look @ Look::Json if definition.session.is_some() => {
            Some(Advice::OtherVariable { look, variable: names::of_session(&definition.name) })
        }
        look @ Look::Path => Some(Advice::OtherVariable { look, variable: Suffix::File.of(rule.variable.as_deref()?) }),
        look @ (Look::Quoted
        | Look::Assignment
        | Look::Bearer
        | Look::DataUrl
        | Look::EscapedJson
        | Look::HomePath
        | Look::Utf16) => Some(Advice::Form(look)),
        _ => None,
    }
}
