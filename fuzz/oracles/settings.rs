use std::path::Path;

use crate::fuzzing::{assert_clean, halves, with_definition};
use crate::login::format::Format;
use crate::workcopy::first_run::merged;
use crate::workcopy::overrides::{given_back, parsed};

/// Settings of an agent: first-run state is merged into them, and what was taken out of a copy is given back. No key that
/// is there is lost.
pub fn settings(input: &[u8]) {
    let Some((definition, rest)) = with_definition(input) else { return };
    let (text, there) = halves(rest);
    for entry in definition.first_run.iter().filter(|entry| entry.append.is_empty()) {
        match merged(text, entry.format, &entry.merge) {
            Err(why) => assert_clean(&why),
            Ok(None) => {}
            Ok(Some(written)) => {
                assert_kept(text, entry.format, &written);
                assert_eq!(merged(&written, entry.format, &entry.merge), Ok(None), "a second time changes something");
            }
        }
    }
    for file in ["settings.json", ".claude.json"] {
        if let Some(written) = given_back(definition, Path::new(file), text, there) {
            assert_kept(text, Format::Jsonc, &written);
        }
    }
}

fn assert_kept(before: &[u8], format: Format, written: &[u8]) {
    let (before, after) = (parsed(before, format).unwrap(), parsed(written, format).unwrap());
    for key in before.as_object().unwrap().keys() {
        assert!(after.get(key).is_some(), "{key} was lost");
    }
}
