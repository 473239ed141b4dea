//! Files and directories whose names are almost those that agent-init looks for. They matter where nothing else was
//! found.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::agent::Definition;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::names::Names;
use crate::sys::dir::Dir;

/// How many entries of a directory are looked at, and how many messages there are.
const ENTRIES: usize = 256;
const MESSAGES: usize = 3;

/// Messages about near misses in the root of captures and in the directories of secrets.
pub(super) fn find(definition: &Definition, capture_root: Option<&Path>, secrets: &[PathBuf]) -> Vec<Message> {
    let captures = [definition.name.clone()];
    let of_values = definition.methods.iter().filter_map(|rule| rule.variable.as_deref()).map(Names::of_value);
    let files: Vec<String> = of_values.chain(definition.session_names(false)).flat_map(|names| names.files).collect();
    let in_captures = capture_root.into_iter().flat_map(|root| misses(root, &captures));
    let in_secrets = secrets.iter().flat_map(|directory| misses(directory, &files));
    let message = |(path, expected): (PathBuf, String)| {
        let text = format!("{}: {} is not used: its name would have to be {expected}", definition.name, path.display());
        Message::warning(text)
            .event(EventKey::UnusableSource)
            .agent(&definition.name)
            .about(path.display().to_string())
            .hint("rename it")
    };
    in_captures.chain(in_secrets).take(MESSAGES).map(message).collect()
}

/// The entries of a directory that are near misses, each with the name that was expected.
fn misses(directory: &Path, expected: &[String]) -> Vec<(PathBuf, String)> {
    let names = Dir::open(directory).and_then(|dir| dir.names_up_to(ENTRIES, &|_| true));
    let found = names.map(|found| found.names).unwrap_or_default();
    let miss = |name: &OsStr| Some((directory.join(name), near(name.to_str()?, expected)?.to_owned()));
    found.iter().filter_map(|name| miss(name)).collect()
}

/// The expected name that `name` nearly is.
fn near<'e>(name: &str, expected: &'e [String]) -> Option<&'e str> {
    if expected.iter().any(|known| known == name) {
        return None;
    }
    // Of both spellings, that in small letters comes last.
    expected.iter().rev().find(|known| plain(known) == plain(name)).map(String::as_str)
}

/// A name without what people add or change: a dot in front, an extension, capitals, hyphens.
fn plain(name: &str) -> String {
    let name = name.trim().trim_start_matches('.').to_ascii_lowercase();
    let extensions = [".txt", ".json", ".key", ".token", ".secret"];
    let stem = extensions.iter().find_map(|extension| name.strip_suffix(extension)).unwrap_or(&name);
    stem.replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_spelling_are_near() {
        let expected = ["X_API_KEY".to_owned(), "x_api_key".to_owned(), "x_credentials.json".to_owned()];
        let rows = [
            ("x-api-key", Some("x_api_key")),
            ("x_api_key.txt", Some("x_api_key")),
            (".x_api_key", Some("x_api_key")),
            ("X-Api-Key", Some("x_api_key")),
            ("x_credentials", Some("x_credentials.json")),
            ("x_api_key", None),
            ("X_API_KEY", None),
            ("api_key", None),
            ("y-api-key", None),
        ];
        for (name, found) in rows {
            assert_eq!(near(name, &expected), found, "{name}");
        }
        assert_eq!(near(".x", &["x".to_owned()]), Some("x"));
    }
}
