use std::path::Path;

use crate::fuzzing::{assert_clean, halves, with_definition};
use crate::login::format::Format;
use crate::workcopy::first_run::merge;
use crate::workcopy::overrides::{parse_settings, with_removed_settings};

/// Settings of an agent: first-run state is merged into them, and what was taken out of a copy is restored. No existing
/// key is lost.
pub fn settings(input: &[u8]) {
    let Some((definition, rest)) = with_definition(input) else { return };
    let (text, there) = halves(rest);
    for entry in definition.first_run.iter().filter(|entry| entry.append.is_empty()) {
        match merge(text, entry.format, &entry.merge) {
            Err(why) => assert_clean(&why),
            Ok(None) => {}
            Ok(Some(written)) => {
                assert_kept(text, entry.format, &written);
                assert_eq!(merge(&written, entry.format, &entry.merge), Ok(None), "a second time changes something");
            }
        }
    }
    for file in ["settings.json", ".claude.json"] {
        if let Some(written) = with_removed_settings(definition, Path::new(file), text, there) {
            assert_kept(text, Format::Jsonc, &written);
        }
    }
}

fn assert_kept(before: &[u8], format: Format, written: &[u8]) {
    let (before, after) = (parse_settings(before, format).unwrap(), parse_settings(written, format).unwrap());
    for key in before.as_object().unwrap().keys() {
        assert!(after.get(key).is_some(), "{key} was lost");
    }
}
