//! Pure. How much memory and stack a document takes once it is parsed, told before it is.
//!
//! A megabyte of `{"a":0},` makes a hundred thousand maps of more than half a kilobyte each: an agent could have PID 1 of
//! every container that shares its login take hundreds of megabytes, and be killed for it. A parser of nested values calls
//! itself for each level, and a container may give PID 1 a stack of 256 KiB.

use std::fmt;

use serde::Deserialize;

/// The most levels of objects and arrays in each other. `serde_json` refuses the next one too.
pub const DEPTH: usize = 127;
/// The most objects, arrays, or lines of a document that is made of lines. An agent's settings of the largest size that is
/// read have fewer.
const CONTAINERS: usize = 16 * 1024;
/// The most values.
const VALUES: usize = 64 * 1024;

/// Why a text is not parsed.
#[derive(Debug)]
pub enum Unparsed {
    /// More than [`DEPTH`] levels.
    TooDeep,
    /// More values than are parsed.
    TooMany,
    /// It is not the JSON that is expected.
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says, which may quote the text. None where the text is not UTF-8.
        error: Option<serde_json::Error>,
    },
}

impl fmt::Display for Unparsed {
    /// Quotes nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unparsed::TooDeep => write!(f, "it is nested too deep (more than {DEPTH} levels)"),
            Unparsed::TooMany => write!(f, "it holds too many values"),
            Unparsed::NotJson { line, column, .. } => {
                write!(f, "it is not the JSON that is expected (line {line}, column {column})")
            }
        }
    }
}

/// Parses JSON text that stays within the limits: the one way to do so for text that others may have written.
///
/// # Errors
/// The limit that it exceeds, or what the parser says.
pub fn parse<'t, T: Deserialize<'t>>(text: &'t [u8]) -> Result<T, Unparsed> {
    check(text)?;
    // One parser of texts and not of bytes too: each of them is code for each type.
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

/// Whether JSON text, or text that is none, stays within what is parsed. Up to the first error in it a parser sees the same
/// levels and values.
///
/// # Errors
/// The limit that it exceeds.
pub fn check(text: &[u8]) -> Result<(), Unparsed> {
    let (mut containers, mut values, mut depth) = (0_usize, 0_usize, 0_usize);
    let (mut in_string, mut is_escaped, mut is_deep) = (false, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                containers += 1;
                depth += 1;
                is_deep |= depth > DEPTH;
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            b',' if !in_string => values += 1,
            _ => {}
        }
    }
    if is_deep {
        Err(Unparsed::TooDeep)
    } else if containers > CONTAINERS || values > VALUES {
        Err(Unparsed::TooMany)
    } else {
        Ok(())
    }
}

/// Whether `key: value` lines are few enough.
pub fn has_lines_within_limits(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').nth(CONTAINERS).is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_bearable() {
        let array = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        let rows = [
            (String::new(), "fine"),
            (r#"{"a":{"b":["c",1]}}"#.to_owned(), "fine"),
            (array("0", VALUES), "fine"),
            (array("0", VALUES + 2), "many"),
            (array("[]", CONTAINERS - 1), "fine"),
            (array("{}", CONTAINERS), "many"),
            (format!(r#"["{}"]"#, "{[,".repeat(VALUES)), "fine"),
            (format!(r#"["\"{}"]"#, "{[,".repeat(VALUES)), "fine"),
            (format!(r#"["\\"{}]"#, ",0".repeat(VALUES + 1)), "many"),
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
                && !has_lines_within_limits("a:\n".repeat(CONTAINERS + 1).as_bytes())
        );
    }

    #[test]
    fn where_a_text_ends_that_is_none() {
        for (text, expected) in
            [(&b"{\n\"a\": "[..], (2, 5)), (b"[1,\n\"\xff\"]", (2, 2)), (b"\xff", (1, 1)), (b"", (1, 0))]
        {
            let Err(Unparsed::NotJson { line, column, .. }) = parse::<Value>(text) else { panic!("{text:?}") };
            assert_eq!((line, column), expected, "{text:?}");
        }
    }

    #[test]
    fn the_depth_is_the_parsers_own() {
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
