//! Manual pages, completions and the table of options in the documentation, made from the definition of the command line
//! when it changes: the generators are not part of the binary. `UPDATE_SNAPSHOTS=1 cargo test --lib generated` writes them.
#![allow(clippy::format_push_string, reason = "only a test makes these pages")]

mod bash;
mod fish;
mod man;
mod options;
mod shell;
mod zsh;

use std::path::Path;

#[test]
fn manual_pages_completions_and_tables_are_those_of_the_command_line() {
    let mut files = man::pages();
    files.push(("completions/agent-init.bash".to_owned(), bash::script()));
    files.push(("completions/_agent-init".to_owned(), zsh::script()));
    files.push(("completions/agent-init.fish".to_owned(), fish::script()));
    files.push(("docs/options.md".to_owned(), options::page()));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in files {
        let path = root.join(path);
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        let hint = "UPDATE_SNAPSHOTS=1 cargo test --lib generated writes it";
        assert!(there == text, "{} is not that of the command line: {hint}", path.display());
    }
}
