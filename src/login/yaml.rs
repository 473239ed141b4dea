//! Pure. Nested `key: value` lines: the part of YAML in which agents keep a login.
//!
//! Mappings by indentation, plain and quoted scalars, comments. Lists, anchors, block text and flow collections are
//! refused by line, rather than read as something else.

use serde_json::{Map, Value};

use crate::login::defect::Defect;
use crate::login::limits;
use crate::login::limits::DEPTH;

/// One line that says something.
struct Line<'t> {
    number: usize,
    indent: usize,
    key: String,
    value: &'t str,
}

/// Reads the text as an object whose leaves are strings, or null for a key without a value.
///
/// # Errors
/// The line that is not of this form, or the limit that the text exceeds.
pub fn parse(text: &[u8]) -> Result<Value, Defect> {
    if !limits::has_lines_within_limits(text) {
        return Err(Defect::TooMany);
    }
    let text = std::str::from_utf8(text).map_err(|error| refused(line_at(text, error.valid_up_to())))?;
    let lines = text.lines().enumerate().filter_map(|(index, line)| read(index + 1, line).transpose());
    let lines: Vec<Line<'_>> = lines.collect::<Result<_, _>>()?;
    let mut rest = lines.as_slice();
    let object = mapping(&mut rest, DEPTH)?;
    match rest.first() {
        None => Ok(Value::Object(object)),
        Some(line) => Err(refused(line.number)),
    }
}

fn refused(line: usize) -> Defect {
    Defect::NotLines { line }
}

fn line_at(text: &[u8], offset: usize) -> usize {
    text.iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// The lines of one indentation, and what is nested in them; `levels` are left for both.
fn mapping(rest: &mut &[Line<'_>], levels: usize) -> Result<Map<String, Value>, Defect> {
    let levels = levels.checked_sub(1).ok_or(Defect::TooDeep)?;
    let mut object = Map::new();
    let Some(indent) = rest.first().map(|line| line.indent) else { return Ok(object) };
    while let Some((line, after)) = rest.split_first().filter(|(line, _)| line.indent == indent) {
        *rest = after;
        let nests = line.value.is_empty() && after.first().is_some_and(|next| next.indent > indent);
        let value = if nests {
            Value::Object(mapping(rest, levels)?)
        } else {
            scalar(line.value).ok_or_else(|| refused(line.number))?
        };
        if object.insert(line.key.clone(), value).is_some() {
            return Err(refused(line.number));
        }
    }
    match rest.first() {
        Some(line) if line.indent > indent => Err(refused(line.number)),
        _ => Ok(object),
    }
}

fn read(number: usize, line: &str) -> Result<Option<Line<'_>>, Defect> {
    let content = line.trim_start_matches(' ');
    let indent = line.len() - content.len();
    let content = content.trim_end();
    if content.is_empty() || content.starts_with('#') || (indent == 0 && (content == "---" || content == "...")) {
        return Ok(None);
    }
    let (key, value) = match content.split_once(": ") {
        Some((key, value)) => (key, without_comment(value.trim_start())),
        None => (without_comment(content).strip_suffix(':').ok_or_else(|| refused(number))?, ""),
    };
    match scalar(key) {
        Some(Value::String(key)) => Ok(Some(Line { number, indent, key, value })),
        _ => Err(refused(number)),
    }
}

/// A comment begins with a `#` after a blank; one inside quotes does not.
fn without_comment(value: &str) -> &str {
    if value.starts_with('#') {
        return "";
    }
    let from = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value.rfind(quote).unwrap_or(0),
        _ => 0,
    };
    match value.get(from..).and_then(|tail| tail.find(" #")) {
        Some(at) => value.get(..from + at).unwrap_or_default().trim_end(),
        None => value,
    }
}

fn scalar(text: &str) -> Option<Value> {
    match text.chars().next() {
        None => Some(Value::Null),
        // A text that begins with a quote is a string, or no JSON.
        Some('"') => serde_json::from_str::<String>(text).ok().map(Value::String),
        Some('\'') => {
            let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
            let plain = inner.replace("''", "");
            (text.len() > 1 && !plain.contains('\'')).then(|| Value::String(inner.replace("''", "'")))
        }
        // Indicators of what this parser does not know (YAML 1.2, 5.3).
        Some('-') if text == "-" || text.starts_with("- ") => None,
        Some('[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '%' | '@' | '`' | ',' | '?' | '\t') => None,
        Some(_) if text == "~" || text == "null" => Some(Value::Null),
        Some(_) => Some(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_agents_write() {
        let text = "# made by hand\n---\nexample.com:\n    user: octo # me\n    token: 'FAKE it''s'\n    users:\n        octo:\n            token: \"FAKE \\u0041 # no comment\"\n    proto:\nother:\n  user: ~\n  url: https://x/y#z\n";
        let expected = json!({
            "example.com": {
                "user": "octo", "token": "FAKE it's", "users": { "octo": { "token": "FAKE A # no comment" } }, "proto": null
            },
            "other": { "user": null, "url": "https://x/y#z" }
        });
        assert_eq!(parse(text.as_bytes()), Ok(expected));
        assert_eq!(parse(b""), Ok(json!({})));
    }

    #[test]
    fn what_is_refused_by_line() {
        let rows: [(&[u8], usize); 10] = [
            (b"a: 1\n  b: 2\n", 2),
            (b"a:\n    b: 1\n  c: 2\n", 3),
            (b"a:\n  - x\n", 2),
            (b"a: {}\n", 1),
            (b"a: &x 1\n", 1),
            (b"a: |\n  text\n", 2),
            (b"just text\n", 1),
            (b"a: 'x\n", 1),
            (b"a: 1\na: 2\n", 2),
            (b"a: 1\n\xff: 2\n", 2),
        ];
        for (text, line) in rows {
            assert_eq!(parse(text), Err(refused(line)), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn what_is_nested_too_deep() {
        let nested = |depth: usize| {
            let lines = (0..depth).map(|level| format!("{}a:\n", " ".repeat(level)));
            lines.collect::<String>()
        };
        assert!(parse(nested(DEPTH).as_bytes()).is_ok());
        for depth in [DEPTH + 1, 1_400] {
            assert_eq!(parse(nested(depth).as_bytes()), Err(Defect::TooDeep), "{depth}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "([ab:#'\"{}\\-~ \n\t]|\\PC){0,60}") {
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn quoted_text_survives(key in "[a-z.]{1,8}", value in "\\PC{0,30}") {
            let text = format!("{key}: {}\n", Value::from(value.as_str()));
            prop_assert_eq!(parse(text.as_bytes()), Ok(json!({ key: value })));
        }
    }
}
