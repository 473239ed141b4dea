//! Enums whose values are words on the command line, each with one list of its spellings. Parsing, error messages, help and
//! completions all use that list.

use super::invalid::Invalid;

/// One spelling, as it is documented, and the others that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// The documented spelling.
    pub word: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// What it means, as a phrase; empty where the word says it all.
    pub help: &'static str,
}

impl Word {
    fn is(&self, text: &str) -> bool {
        self.word == text || self.aliases.contains(&text)
    }
}

/// An enum whose values are words.
pub trait Words: Copy + PartialEq + 'static {
    /// What such a word is called in error messages.
    const NOUN: &'static str;
    /// The values.
    const VALUES: &'static [Self];
    /// Their spellings, in the same order.
    const WORDS: &'static [Word];

    /// The documented spelling.
    fn word(self) -> &'static str {
        let at = Self::VALUES.iter().position(|value| *value == self);
        at.and_then(|at| Self::WORDS.get(at)).map_or("", |word| word.word)
    }
}

/// Reads a word in its exact spelling.
pub(crate) fn parse<T: Words>(text: &str) -> Result<T, Invalid> {
    find(text).ok_or_else(|| unknown::<T>(text))
}

/// Reads a word in upper or lower case, as booleans are written.
pub(crate) fn parse_any_case<T: Words>(text: &str) -> Result<T, Invalid> {
    find(&text.to_ascii_lowercase()).ok_or_else(|| unknown::<T>(text))
}

fn find<T: Words>(text: &str) -> Option<T> {
    let at = T::WORDS.iter().position(|word| word.is(text))?;
    T::VALUES.get(at).copied()
}

fn unknown<T: Words>(text: &str) -> Invalid {
    let words: Vec<&str> = T::WORDS.iter().map(|word| word.word).collect();
    Invalid::new(format!("unknown {} '{text}'", T::NOUN), format!("use {}", listed(&words, "or")))
}

/// `a, b or c`.
pub(crate) fn listed(words: &[&str], conjunction: &str) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} {conjunction} {last}", first.join(", ")),
    }
}

/// Gives an enum its words: `words_of! { Enum("noun") { Variant = "word" | "alias": "what it means", } }`.
macro_rules! words_of {
    ($name:ident($noun:literal) { $($variant:ident = $word:literal $(| $alias:literal)* : $help:literal,)+ }) => {
        impl $crate::config::words::Words for $name {
            const NOUN: &'static str = $noun;
            const VALUES: &'static [$name] = &[$($name::$variant),+];
            const WORDS: &'static [$crate::config::words::Word] = &[
                $($crate::config::words::Word { word: $word, aliases: &[$($alias),*], help: $help }),+
            ];
        }
    };
}

/// Makes an enum of words: `word_enum! { pub enum Enum("noun") { Variant = "word" | "alias": "what it means", } }`.
macro_rules! word_enum {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident($noun:literal) {
            $($(#[$default:ident])? $variant:ident = $word:literal $(| $alias:literal)* : $help:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $(
                #[doc = $word]
                $(#[$default])?
                $variant,
            )+
        }

        $crate::config::words::words_of! {
            $name($noun) { $($variant = $word $(| $alias)* : $help,)+ }
        }
    };
}

pub(crate) use {word_enum, words_of};
