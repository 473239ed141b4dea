//! A parser for the subset of YAML in which agents keep a login: nested `key: value` lines. Pure.
//!
//! It knows mappings by indentation, plain and quoted scalars, and comments. It refuses lists, anchors, block text and
//! flow collections, and names the line, because to misread them would be worse.

use serde_json::{Map, Value};

use crate::login::defect::Defect;
use crate::login::limits;
use crate::login::limits::DEPTH;

/// A line with a key.
struct Line<'t> {
    number: usize,
    indent: usize,
    key: String,
    value: &'t str,
}

/// Parses the text as an object whose leaves are strings, or null for a key without a value.
pub fn parse(text: &[u8]) -> Result<Value, Defect> {
    if !limits::has_lines_within_limits(text) {
        return Err(Defect::TooMany);
    }
    let text = std::str::from_utf8(text).map_err(|error| unsupported(line_at(text, error.valid_up_to())))?;
    let lines = text.lines().enumerate().filter_map(|(index, line)| parse_line(index + 1, line).transpose());
    let lines: Vec<Line<'_>> = lines.collect::<Result<_, _>>()?;
    let mut rest = lines.as_slice();
    let object = parse_mapping(&mut rest, DEPTH)?;
    match rest.first() {
        None => Ok(Value::Object(object)),
        Some(line) => Err(unsupported(line.number)),
    }
}

fn unsupported(line: usize) -> Defect {
    Defect::NotLines { line }
}

fn line_at(text: &[u8], offset: usize) -> usize {
    text.iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// Parses the lines of one indentation and those nested in them. `levels`: how many levels of nesting are still
/// allowed.
fn parse_mapping(rest: &mut &[Line<'_>], levels: usize) -> Result<Map<String, Value>, Defect> {
    let levels = levels.checked_sub(1).ok_or(Defect::TooDeep)?;
    let mut object = Map::new();
    let Some(indent) = rest.first().map(|line| line.indent) else { return Ok(object) };
    while let Some((line, after)) = rest.split_first().filter(|(line, _)| line.indent == indent) {
        *rest = after;
        let has_nested_lines = line.value.is_empty() && after.first().is_some_and(|next| next.indent > indent);
        let value = if has_nested_lines {
            Value::Object(parse_mapping(rest, levels)?)
        } else {
            parse_scalar(line.value).ok_or_else(|| unsupported(line.number))?
        };
        if object.insert(line.key.clone(), value).is_some() {
            return Err(unsupported(line.number));
        }
    }
    match rest.first() {
        Some(line) if line.indent > indent => Err(unsupported(line.number)),
        _ => Ok(object),
    }
}

fn parse_line(number: usize, line: &str) -> Result<Option<Line<'_>>, Defect> {
    let content = line.trim_start_matches(' ');
    let indent = line.len() - content.len();
    let content = content.trim_end();
    if content.is_empty() || content.starts_with('#') || (indent == 0 && (content == "---" || content == "...")) {
        return Ok(None);
    }
    let (key, value) = match content.split_once(": ") {
        Some((key, value)) => (key, without_comment(value.trim_start())),
        None => (without_comment(content).strip_suffix(':').ok_or_else(|| unsupported(number))?, ""),
    };
    match parse_scalar(key) {
        Some(Value::String(key)) => Ok(Some(Line { number, indent, key, value })),
        _ => Err(unsupported(number)),
    }
}

/// A comment begins with a `#` after a space. A `#` inside quotes does not begin one.
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

fn parse_scalar(text: &str) -> Option<Value> {
    match text.chars().next() {
        None => Some(Value::Null),
        // A text that begins with a quote must be a JSON string.
        Some('"') => serde_json::from_str::<String>(text).ok().map(Value::String),
        Some('\'') => {
            let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
            let plain = inner.replace("''", "");
            (text.len() > 1 && !plain.contains('\'')).then(|| Value::String(inner.replace("''", "'")))
        }
        // Indicators (YAML 1.2, 5.3) of syntax outside the subset.
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
    fn files_of_agents_are_parsed() {
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
    fn unknown_syntax_is_refused_with_its_line() {
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
            assert_eq!(parse(text), Err(unsupported(line)), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn the_nesting_is_limited() {
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
