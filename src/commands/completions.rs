//! `completions`: prints a shell's completion file.

use crate::commands::Answer;
use crate::config::Shell;

/// The file was generated from the definition of the command line; see `config/generated.rs`.
pub fn completions(shell: Shell) -> Answer {
    let text = match shell {
        Shell::Bash => include_str!("../../completions/agent-init.bash"),
        Shell::Zsh => include_str!("../../completions/_agent-init"),
        Shell::Fish => include_str!("../../completions/agent-init.fish"),
    };
    Answer { text: text.to_owned(), exit: 0 }
}
