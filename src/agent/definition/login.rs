//! Pure. How a person logs in, as a definition describes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// How a person logs in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LoginRule {
    /// The command that asks for a login, in words.
    pub command: Vec<String>,
    /// The agent's own interactive form that asks for no permission, in words.
    #[serde(default)]
    pub auto: Vec<String>,
    /// What the person must do once the command runs, if it is not obvious.
    pub say: Option<String>,
    /// Set for these commands unless they are set.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How a long-lived token is made.
    pub token: Option<TokenRule>,
}

/// How a long-lived token is made, and what it looks like.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenRule {
    /// The command that shows one, in words.
    pub command: Vec<String>,
    /// What every token begins with.
    pub prefix: String,
    /// What it is made of after that, as tr(1) writes sets: `A-Za-z0-9_-`.
    pub alphabet: String,
    /// The minimum length, including the prefix.
    pub least: usize,
    /// How many days it is valid.
    pub days: u32,
}

impl TokenRule {
    /// The characters of the alphabet, each once.
    pub fn characters(&self) -> BTreeSet<u8> {
        let mut rest = self.alphabet.as_bytes();
        let mut characters = BTreeSet::new();
        while let Some((first, after)) = rest.split_first() {
            if let [b'-', last, after @ ..] = after {
                characters.extend(*first..=*last);
                rest = after;
            } else {
                characters.insert(*first);
                rest = after;
            }
        }
        characters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabets() {
        let rows: [(&str, &[u8]); 5] =
            [("abc", b"abc"), ("a-ca-cb", b"abc"), ("a-c_-", b"-_abc"), ("-a", b"-a"), ("", b"")];
        for (alphabet, characters) in rows {
            let rule =
                TokenRule { command: vec![], prefix: String::new(), alphabet: alphabet.into(), least: 0, days: 1 };
            assert!(rule.characters().iter().eq(characters), "{alphabet}");
        }
    }
}
