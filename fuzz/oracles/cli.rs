use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::config::{Command, parse};
use crate::env::Environment;
use crate::error::Failure;
use crate::process::argv;

/// The name under which we were started, the arguments, an empty word, and the environment, each ended by a NUL.
pub fn cli(input: &[u8]) {
    let words: Vec<OsString> = input.split(|byte| *byte == 0).map(|word| OsStr::from_bytes(word).to_owned()).collect();
    let Some((program, words)) = words.split_first() else { return };
    let at = words.iter().position(|word| word.is_empty()).unwrap_or(words.len());
    let (arguments, variables) = words.split_at(at);
    for word in arguments {
        split(word);
    }
    let environment = Environment::parse(&variables.join(OsStr::from_bytes(b"\0")).into_encoded_bytes());
    match parse(program, arguments, &environment) {
        Err(error) => {
            let failure = error.downcast_ref::<Failure>();
            let failure = failure.unwrap_or_else(|| panic!("no failure of ours: {error:#}"));
            assert!(matches!(failure.exit, 1 | 2 | 125), "{failure:?}");
            // What was given may be quoted.
            let is_quoted = input.windows(9).any(|part| part == b"(os error");
            assert!(!failure.what.is_empty() && (is_quoted || !failure.what.contains("(os error")), "{failure:?}");
        }
        Ok(parsed) => {
            let _ = parsed.reporter();
            if let Command::Run(run) = &parsed.command {
                assert!(arguments.ends_with(&run.command), "{:?} of {arguments:?}", run.command);
            }
        }
    }
}

/// The words of a command in a variable are the same once each is quoted.
fn split(text: &OsStr) {
    let Some(words) = argv::argv(text) else { return };
    assert!(!words.is_empty());
    if let Some(words) = argv::words(text).filter(|words| !words.iter().any(|word| word.as_bytes().contains(&b'\''))) {
        let quoted: Vec<String> = words.iter().filter_map(|word| Some(format!("'{}'", word.to_str()?))).collect();
        if quoted.len() == words.len() {
            assert_eq!(argv::words(OsStr::new(&quoted.join(" "))), Some(words));
        }
    }
}
