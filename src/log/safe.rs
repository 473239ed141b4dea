//! Replaces characters that a terminal would obey or that deceive a reader. Only this file knows them. Pure.
//!
//! It is applied where text is written, by the writers of messages, pages and JSON. Code that makes text need not care.

/// Control characters (C0, C1), which move the cursor and more; line and paragraph separators; and characters without a
/// glyph that change how others look: direction marks, invisible operators, byte order marks and tags. The joiners of
/// scripts and emoji (U+200C, U+200D) are allowed.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text for people, with a replacement character for each of these.
pub fn sanitized(text: &str) -> String {
    text.chars().map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect()
}

/// The same JSON with these characters escaped. They occur only inside of strings.
pub fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) {
            let mut units = [0; 2];
            escaped.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether the text has none of these characters but line ends.
#[cfg(test)]
pub fn is_safe(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !is_unsafe(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unsafe_characters_are_replaced_or_escaped() {
        let bad = "\0\u{1b}\u{7f}\u{85}\u{9b}\n\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}";
        assert!(sanitized(bad).chars().all(|c| c == '\u{fffd}'));
        assert_eq!(sanitized(bad).chars().count(), bad.chars().count());
        let good = "a \u{e9} \u{4e2d} \u{1f469}\u{200d}\u{1f680} \u{5d0}";
        assert_eq!(sanitized(good), good);
        assert_eq!(escaped("\"\u{202e}\u{e0041}\""), "\"\\u202e\\udb40\\udc41\"");
    }

    proptest! {
        #[test]
        fn escaped_json_has_the_same_value(text in any::<String>()) {
            let json = escaped(&serde_json::to_string(&text).unwrap());
            prop_assert!(is_safe(&json) && !json.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
