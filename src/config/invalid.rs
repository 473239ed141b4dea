//! Why a value is not accepted.

use std::ffi::OsStr;

/// Why a value is not accepted, and what would be. Whoever reports it puts the option or variable in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong: `'soon' is not a duration`.
    pub what: String,
    /// What is accepted.
    pub hint: String,
}

impl Invalid {
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Invalid {
        Invalid { what: what.into(), hint: hint.into() }
    }
}

/// The value as text, for options that take nothing else. Paths and directory lists may hold any bytes.
pub(crate) fn text(value: &OsStr) -> Result<&str, Invalid> {
    value.to_str().ok_or_else(|| Invalid::new("the value is not valid UTF-8", "only paths may contain other bytes"))
}
