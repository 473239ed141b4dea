//! `completions`: what a shell needs to complete our words.

use crate::commands::Answer;
use crate::config::Shell;

/// Answers with a file that was generated from the command line's definition; see `config/generated.rs`.
pub fn completions(shell: Shell) -> Answer {
    let text = match shell {
        Shell::Bash => include_str!("../../completions/agent-init.bash"),
        Shell::Zsh => include_str!("../../completions/_agent-init"),
        Shell::Fish => include_str!("../../completions/agent-init.fish"),
    };
    Answer { text: text.to_owned(), exit: 0 }
}
