//! Settings that agent-init does not install, and in which the agent would find a credential that it prefers.

use std::path::Path;

use crate::agent::Definition;
use crate::agent::definition::SettingsElsewhere;
use crate::fs::untrusted::{self, Owners};
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::Document;
use crate::login::format::{Field, Format};
use crate::sys::dir::Dir;

/// A warning for each credential in such settings. The files are hostile: a workspace is anybody's.
pub(super) fn find(definition: &Definition, working_directory: &Path) -> Vec<Message> {
    let settings = definition.settings.elsewhere.iter();
    settings.flat_map(|elsewhere| in_file(definition, elsewhere, working_directory)).collect()
}

fn in_file(definition: &Definition, elsewhere: &SettingsElsewhere, working_directory: &Path) -> Vec<Message> {
    let path = working_directory.join(&elsewhere.file);
    let Some(document) = read(&path) else { return Vec::new() };
    let keys = elsewhere.keys.iter().filter(|key| document.has_text(key));
    let named = |name: &&String| {
        let Some(object) = &elsewhere.variables else { return false };
        document.text(&Field { pointer: format!("/{object}/{name}"), claim: None, file: None }).is_some()
    };
    let variables = definition.methods.iter().filter(|rule| !rule.shared).filter_map(|rule| rule.variable.as_ref());
    let found: Vec<&String> = keys.chain(variables.filter(named)).collect();
    let message = |name: &&String| {
        let text = format!("{}: {} sets {name}, which the agent prefers", definition.name, path.display());
        Message::warning(text)
            .event(EventKey::Outranked)
            .agent(&definition.name)
            .about(path.display().to_string())
            .hint(format!("remove {name} from that file, if the agent is to use what agent-init gives it"))
    };
    found.iter().map(message).collect()
}

fn read(path: &Path) -> Option<Document> {
    let dir = Dir::open(path.parent()?).ok()?;
    let content = untrusted::entry(&dir, path.file_name()?, &Owners::Any).ok()?;
    Document::parse(&content.bytes, Format::Jsonc).ok()
}
