//! Enums whose values are words: on the command line, in JSON, in definitions. Each has one list of its spellings, which
//! parsing, messages, help and completions use.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

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

/// The value that a text spells.
pub fn find<T: Words>(text: &str) -> Option<T> {
    let at = T::WORDS.iter().position(|word| word.is(text))?;
    T::VALUES.get(at).copied()
}

/// For serde: writes the word.
pub fn serialize<T: Words, S: Serializer>(value: T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.word())
}

/// For serde: reads a word in its exact spelling.
pub fn deserialize<'d, T: Words, D: Deserializer<'d>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    find(&text).ok_or_else(|| {
        let known: Vec<&str> = T::WORDS.iter().map(|word| word.word).collect();
        D::Error::custom(format!("unknown {} `{text}`, expected {}", T::NOUN, known.join(", ")))
    })
}

/// Gives an enum its words: `words_of! { Enum("noun") { Variant = "word" | "alias": "what it means", } }`.
macro_rules! words_of {
    ($name:ident($noun:literal) { $($variant:ident = $word:literal $(| $alias:literal)* : $help:literal,)+ }) => {
        impl $crate::words::spelling::Words for $name {
            const NOUN: &'static str = $noun;
            const VALUES: &'static [$name] = &[$($name::$variant),+];
            const WORDS: &'static [$crate::words::spelling::Word] = &[
                $($crate::words::spelling::Word { word: $word, aliases: &[$($alias),*], help: $help }),+
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

        $crate::words::spelling::words_of! {
            $name($noun) { $($variant = $word $(| $alias)* : $help,)+ }
        }
    };
}

pub(crate) use {word_enum, words_of};
