//! Pure. Characters of data that a terminal or a reader's eye would obey: the one place that knows them.
//!
//! Applied where text is written, by the writers of messages, pages and JSON; what makes text need not think of it.

/// Control characters (C0, C1), which move the cursor and more; line and paragraph separators; and what has no glyph and
/// changes how others look: marks of direction, the invisible operators, byte order marks and tags. The joiners of
/// scripts and emoji (U+200C, U+200D) stay.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text for people, with a replacement character for each that would be obeyed.
pub fn sanitized(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// JSON that says the same in escapes. Outside of its strings there is none of these characters.
pub fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_obeyed(c) {
            let mut units = [0; 2];
            escaped.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether a terminal or a reader's eye would obey any of it but the ends of lines.
#[cfg(test)]
pub fn is_safe(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !is_obeyed(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_replaced() {
        let bad = "\0\u{1b}\u{7f}\u{85}\u{9b}\n\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}";
        assert!(sanitized(bad).chars().all(|c| c == '\u{fffd}'));
        assert_eq!(sanitized(bad).chars().count(), bad.chars().count());
        let good = "a \u{e9} \u{4e2d} \u{1f469}\u{200d}\u{1f680} \u{5d0}";
        assert_eq!(sanitized(good), good);
        assert_eq!(escaped("\"\u{202e}\u{e0041}\""), "\"\\u202e\\udb40\\udc41\"");
    }

    proptest! {
        #[test]
        fn json_says_the_same(text in any::<String>()) {
            let json = escaped(&serde_json::to_string(&text).unwrap());
            prop_assert!(is_safe(&json) && !json.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
