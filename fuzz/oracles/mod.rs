//! What each parser promises about any input: one function for each fuzz target. `cargo test` runs the seeds through them.

mod accounts;
mod cli;
mod definitions;
mod lines;
mod login;
mod mounts;
mod scanner;
mod settings;
mod state;
mod store;

use std::sync::OnceLock;

pub use accounts::accounts;
pub use cli::cli;
pub use definitions::definitions;
pub use lines::lines;
pub use login::login;
pub use mounts::mounts;
pub use scanner::scanner;
pub use settings::settings;
pub use state::state;
pub use store::store;

use crate::agent::{Catalog, Definition, rules};

/// What marks a made-up token: no message may quote one.
const MARK: &str = "FAKE";

/// The built-in definitions, in the order of their names.
fn built_in() -> &'static [Definition] {
    static DEFINITIONS: OnceLock<Vec<Definition>> = OnceLock::new();
    DEFINITIONS.get_or_init(|| {
        let catalog = Catalog::built_in().unwrap();
        catalog.entries().iter().map(|entry| rules::read(entry.text()).unwrap()).collect()
    })
}

/// The definition that the first byte of an input selects (`a` the first), and what is behind it.
fn with_definition(input: &[u8]) -> Option<(&'static Definition, &[u8])> {
    let (first, rest) = input.split_first()?;
    let index = usize::from(first.wrapping_sub(b'a')) % built_in().len();
    Some((&built_in()[index], rest))
}

/// The two parts of an input that a NUL separates.
fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    let at = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    (&input[..at], input.get(at + 1..).unwrap_or_default())
}

/// Asserts that a message says something, in one line without control characters, and quotes no token.
fn assert_clean(message: &str) {
    assert!(!message.is_empty() && !message.chars().any(char::is_control), "{message:?}");
    assert!(!message.contains(MARK), "{message:?}");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// The seeds are kept inputs of findings too.
    #[test]
    fn every_seed_keeps_what_its_parser_promises() {
        let targets: [(&str, fn(&[u8])); 10] = [
            ("accounts", super::accounts),
            ("cli", super::cli),
            ("definitions", super::definitions),
            ("lines", super::lines),
            ("login", super::login),
            ("mounts", super::mounts),
            ("scanner", super::scanner),
            ("settings", super::settings),
            ("state", super::state),
            ("store", super::store),
        ];
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let declared = fs::read_dir(fuzz.join("fuzz_targets")).unwrap().count();
        assert_eq!(declared, targets.len());
        for (name, oracle) in targets {
            let seeds: Vec<_> = fs::read_dir(fuzz.join("seeds").join(name)).unwrap().map(Result::unwrap).collect();
            assert!(!seeds.is_empty(), "{name}");
            for seed in seeds {
                println!("{}", seed.path().display());
                oracle(&fs::read(seed.path()).unwrap());
            }
        }
    }
}
