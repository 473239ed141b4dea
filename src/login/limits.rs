//! Limits on JSON and `key: value` documents, checked before they are parsed. Pure.
//!
//! Parsing a megabyte of `{"a":0},` makes a hundred thousand maps of more than half a kilobyte each. Without limits, an
//! agent could make PID 1 of every container that shares its login take hundreds of megabytes, and be killed for it. A
//! recursive parser calls itself for each level, and a container may give PID 1 a stack of only 256 KiB.

use std::fmt;

use serde::Deserialize;

/// The maximum nesting of objects and arrays. `serde_json` refuses the next level too.
pub const DEPTH: usize = 127;
/// The maximum number of objects and arrays, or of lines in a `key: value` document. The largest settings file of an
/// agent that is read has fewer.
const MAX_CONTAINERS: usize = 16 * 1024;
/// The maximum number of values.
const MAX_VALUES: usize = 64 * 1024;

/// Why a text was not parsed.
#[derive(Debug)]
pub enum Unparsed {
    TooDeep,
    TooMany,
    /// The text is not the expected JSON.
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The parser's error, which may quote the text. None if the text is not UTF-8.
        error: Option<serde_json::Error>,
    },
}

impl fmt::Display for Unparsed {
    /// Never quotes the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unparsed::TooDeep => write!(f, "it is nested too deeply (more than {DEPTH} levels)"),
            Unparsed::TooMany => write!(f, "it holds too many values"),
            Unparsed::NotJson { line, column, .. } => {
                write!(f, "it is not the expected JSON (line {line}, column {column})")
            }
        }
    }
}

/// Parses JSON text that stays within the limits. All JSON that others may have written is parsed by this function.
pub fn parse<'t, T: Deserialize<'t>>(text: &'t [u8]) -> Result<T, Unparsed> {
    check(text)?;
    // Only `from_str` and not `from_slice` too: each is a second copy of the parser's code for each type.
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n');
        let column = line.clone().next_back().map_or(0, <[u8]>::len) + 1;
        Unparsed::NotJson { line: line.count(), column, error: None }
    })?;
    serde_json::from_str(text).map_err(|error| Unparsed::NotJson {
        line: error.line(),
        column: error.column(),
        error: Some(error),
    })
}

/// Checks that text stays within the limits. The text need not be JSON: up to its first error, a parser sees the same
/// levels and values.
pub fn check(text: &[u8]) -> Result<(), Unparsed> {
    let (mut containers, mut values, mut depth) = (0_usize, 0_usize, 0_usize);
    let (mut in_string, mut is_escaped, mut is_too_deep) = (false, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                containers += 1;
                depth += 1;
                is_too_deep |= depth > DEPTH;
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            b',' if !in_string => values += 1,
            _ => {}
        }
    }
    if is_too_deep {
        Err(Unparsed::TooDeep)
    } else if containers > MAX_CONTAINERS || values > MAX_VALUES {
        Err(Unparsed::TooMany)
    } else {
        Ok(())
    }
}

/// Whether a `key: value` document has few enough lines.
pub fn has_lines_within_limits(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').nth(MAX_CONTAINERS).is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn texts_within_and_beyond_the_limits() {
        let array = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        let rows = [
            (String::new(), "fine"),
            (r#"{"a":{"b":["c",1]}}"#.to_owned(), "fine"),
            (array("0", MAX_VALUES), "fine"),
            (array("0", MAX_VALUES + 2), "many"),
            (array("[]", MAX_CONTAINERS - 1), "fine"),
            (array("{}", MAX_CONTAINERS), "many"),
            (format!(r#"["{}"]"#, "{[,".repeat(MAX_VALUES)), "fine"),
            (format!(r#"["\"{}"]"#, "{[,".repeat(MAX_VALUES)), "fine"),
            (format!(r#"["\\"{}]"#, ",0".repeat(MAX_VALUES + 1)), "many"),
            ("[".repeat(500_000), "deep"),
            ("[]".repeat(DEPTH * 2), "fine"),
            (format!("{}[", "]".repeat(9)), "fine"),
        ];
        for (text, expected) in rows {
            let found = match check(text.as_bytes()) {
                Ok(()) => "fine",
                Err(Unparsed::TooDeep) => "deep",
                Err(_) => "many",
            };
            assert_eq!(found, expected, "{:.40} of {} bytes", text, text.len());
        }
        assert!(
            has_lines_within_limits(b"a: b\nc:\n  d: e\n")
                && !has_lines_within_limits("a:\n".repeat(MAX_CONTAINERS + 1).as_bytes())
        );
    }

    #[test]
    fn an_error_names_its_line_and_column() {
        for (text, expected) in
            [(&b"{\n\"a\": "[..], (2, 5)), (b"[1,\n\"\xff\"]", (2, 2)), (b"\xff", (1, 1)), (b"", (1, 0))]
        {
            let Err(Unparsed::NotJson { line, column, .. }) = parse::<Value>(text) else { panic!("{text:?}") };
            assert_eq!((line, column), expected, "{text:?}");
        }
    }

    #[test]
    fn the_depth_limit_equals_the_parsers() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
            assert!(parse::<Value>(nested(DEPTH).as_bytes()).is_ok());
            for depth in [DEPTH + 1, 1_400, 100_000] {
                assert!(matches!(parse::<Value>(nested(depth).as_bytes()), Err(Unparsed::TooDeep)));
            }
            assert!(serde_json::from_str::<Value>(&nested(DEPTH + 1)).is_err());
        }
    }
}
