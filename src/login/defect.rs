//! Why a document is not a usable login. Pure.

use std::fmt;

use crate::fs::untrusted::LIMIT;
use crate::login::limits::Unparsed;

/// Why a document is not a usable login. Never holds a value of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defect {
    Empty,
    /// Larger than [`LIMIT`].
    TooLarge,
    TooMany,
    TooDeep,
    /// Where the parser gave up.
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Not a `key: value` document.
    NotLines {
        /// From 1.
        line: usize,
    },
    NotAnObject,
    /// The token exists and is blank: the vendor refused a refresh, or someone logged out.
    Blank,
    NoToken(String),
    /// Something else that a login needs does not exist.
    Missing(String),
    /// A list lacks a required word.
    Lacks {
        pointer: String,
        word: String,
    },
    NotAJwt(String),
}

impl Defect {
    /// Whether the document is complete and says that nobody is logged in. If not, it is damaged.
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
            Defect::NotAJwt(pointer) => write!(f, "the value at {pointer} is not a JWT"),
        }
    }
}
