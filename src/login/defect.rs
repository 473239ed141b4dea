//! Pure. What is wrong with a document that is no usable login.

use std::fmt;

use crate::fs::untrusted::LIMIT;
use crate::login::limits::Unparsed;

/// Why a document is no usable login. Says what, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defect {
    /// 0 bytes.
    Empty,
    /// More than [`LIMIT`].
    TooLarge,
    /// More values than are parsed.
    TooMany,
    /// More levels than are parsed.
    TooDeep,
    /// No JSON: where the parser gave up.
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// No `key: value` lines.
    NotLines {
        /// Line, from 1.
        line: usize,
    },
    /// JSON, and no object.
    NotAnObject,
    /// The token is there and blank: the vendor refused a refresh, or someone logged out.
    Blank,
    /// The token is not there.
    NoToken(String),
    /// Something else that a login needs is not there.
    Missing(String),
    /// A list there lacks a word.
    Lacks {
        /// Where.
        pointer: String,
        /// The word.
        word: String,
    },
    /// What is there is no JWT.
    NotAJwt(String),
}

impl Defect {
    /// Whether the document is whole and says "nobody is logged in", rather than being damaged.
    pub fn is_logged_out(&self) -> bool {
        matches!(self, Defect::Blank | Defect::NoToken(_))
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defect::Empty => write!(f, "it is empty (0 bytes)"),
            Defect::TooLarge => write!(f, "it is larger than {LIMIT} bytes"),
            Defect::TooMany => write!(f, "it holds more values than any login"),
            Defect::TooDeep => Unparsed::TooDeep.fmt(f),
            Defect::NotJson { line, column } => write!(f, "it is not JSON (line {line}, column {column})"),
            Defect::NotLines { line } => write!(f, "it is not made of 'key: value' lines (line {line})"),
            Defect::NotAnObject => write!(f, "it is JSON, but not an object"),
            Defect::Blank => write!(f, "its tokens are blank (logged out, or a refresh was refused)"),
            Defect::NoToken(pointer) => write!(f, "it has no token at {pointer}"),
            Defect::Missing(pointer) => write!(f, "it has nothing at {pointer}"),
            Defect::Lacks { pointer, word } => write!(f, "{pointer} lacks '{word}'"),
            Defect::NotAJwt(pointer) => write!(f, "what it has at {pointer} is no JWT"),
        }
    }
}
