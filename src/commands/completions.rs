//! `completions`: what a shell needs to complete our words.

use crate::cli::{CompletionsOptions, Shell};
use crate::commands::Answer;

/// Answers with a file that was generated from the command line's definition; see `cli/generated.rs`.
#[must_use]
pub fn completions(options: &CompletionsOptions) -> Answer {
    let text = match options.shell {
        Shell::Bash => include_str!("../../completions/agent-init.bash"),
        Shell::Zsh => include_str!("../../completions/_agent-init"),
        Shell::Fish => include_str!("../../completions/agent-init.fish"),
    };
    Answer { text: text.to_owned(), exit: 0 }
}
