//! Pure. The usual command lines and variables, read without clap, which would take a tenth of a start to describe all options
//! to itself. What is not usual, or wrong, is left to clap; what it makes of the usual, a test compares.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::cli::options::RunOptions;
use crate::cli::twins::PREFIX;
use crate::cli::value;
use crate::env::Environment;

type Set = fn(&mut RunOptions, &str) -> Option<()>;

/// Option, twin without its prefix, and the option's own rule.
const OPTIONS: [(&str, &str, Set); 7] = [
    ("--agent", "AGENT", |options, text| {
        options.agent = Some(value::agents(text).ok()?);
        Some(())
    }),
    ("--grace", "GRACE", |options, text| {
        options.conduct.grace = Some(value::duration(text).ok()?);
        Some(())
    }),
    ("--home", "HOME", |options, text| {
        options.workplace.home = Some(path(text)?);
        Some(())
    }),
    ("--state-dir", "STATE_DIR", |options, text| {
        options.conduct.state_dir = Some(path(text)?);
        Some(())
    }),
    ("--store", "STORE", |options, text| {
        options.store = Some(value::store(text).ok()?);
        Some(())
    }),
    ("--user", "USER", |options, text| {
        options.workplace.user = Some(text.to_owned());
        Some(())
    }),
    ("--work-dir", "WORK_DIR", |options, text| {
        options.workplace.work_dir = Some(path(text)?);
        Some(())
    }),
];

fn path(text: &str) -> Option<PathBuf> {
    value::absolute(text.into()).ok()
}

/// What the words say; `None` where they are not usual.
pub fn words(mut words: &[OsString]) -> Option<RunOptions> {
    let is_option = |word: &OsStr| word.as_encoded_bytes().starts_with(b"-");
    let mut options = RunOptions::default();
    while let [option, text, rest @ ..] = words
        && let Some((.., set)) = OPTIONS.iter().find(|(name, ..)| option == name)
    {
        set(&mut options, text.to_str().filter(|_| !is_option(text))?)?;
        words = rest;
    }
    let (first, rest) = words.split_first()?;
    let command = if first == "--" { rest } else { words };
    options.command = command.to_vec();
    (!command.is_empty() && (first == "--" || !is_option(first))).then_some(options)
}

/// What the environment's twins say; `None` where one is not usual.
pub fn twins(environment: &Environment) -> Option<RunOptions> {
    let mut options = RunOptions::default();
    for name in environment.names() {
        let Some(twin) = name.as_encoded_bytes().strip_prefix(PREFIX.as_bytes()) else { continue };
        let (.., set) = OPTIONS.iter().find(|(_, known, _)| known.as_bytes() == twin)?;
        // An empty one counts as not set.
        if let Some(text) = environment.get_filled(name.to_str()?) {
            set(&mut options, text.to_str()?)?;
        }
    }
    Some(options)
}
