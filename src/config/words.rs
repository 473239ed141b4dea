//! The words of the command line, read with errors that name the accepted ones.

use std::ffi::OsStr;

use super::invalid::Invalid;
use crate::looks::quoted;
use crate::words::spelling::{Words, find};

/// Reads a word in its exact spelling.
pub(crate) fn parse<T: Words>(text: &str) -> Result<T, Invalid> {
    find(text).ok_or_else(|| unknown::<T>(text))
}

/// Reads a word in upper or lower case, as booleans are written.
pub(crate) fn parse_any_case<T: Words>(text: &str) -> Result<T, Invalid> {
    find(&text.to_ascii_lowercase()).ok_or_else(|| unknown::<T>(text))
}

fn unknown<T: Words>(text: &str) -> Invalid {
    let words: Vec<&str> = T::WORDS.iter().map(|word| word.word).collect();
    Invalid::new(format!("unknown {} {}", T::NOUN, quoted(OsStr::new(text))), format!("use {}", listed(&words, "or")))
}

/// `a, b or c`.
pub(crate) fn listed(words: &[&str], conjunction: &str) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} {conjunction} {last}", first.join(", ")),
    }
}
