//! Manual pages and completions, made from the one definition of the command line when it changes: the generators are
//! no part of the binary. `UPDATE_SNAPSHOTS=1 cargo test --lib generated` writes them.

mod completions;

use std::path::{Path, PathBuf};

use crate::cli::whole;

/// `agent-init.1`, and a page for each command.
fn pages() -> Vec<(PathBuf, Vec<u8>)> {
    let page = |command: clap::Command, name: String| {
        // Clap takes names that live as long as the program, which here is a test.
        let name: &'static str = name.leak();
        let mut text = Vec::new();
        // No date: a page is the same whenever it is made.
        let command = command.name(name).disable_help_flag(true);
        clap_mangen::Man::new(command).title(name.to_ascii_uppercase()).render(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap().replace(".SH EXTRA\n", ".SH NOTES\n").into_bytes();
        (PathBuf::from(format!("man/{name}.1")), text)
    };
    let of = |command: &clap::Command| page(command.clone(), format!("agent-init-{}", command.get_name()));
    // What `run` takes is on the page of agent-init itself.
    let main = whole().mut_subcommand("run", |run| run.hide(true));
    let mut pages = vec![page(main, "agent-init".to_owned())];
    pages.extend(whole().get_subcommands().filter(|command| command.get_name() != "run").map(of));
    pages
}

#[test]
fn manual_pages_and_completions_are_those_of_the_command_line() {
    let mut files = pages();
    files.push(("completions/agent-init.bash".into(), completions::bash().into_bytes()));
    files.push(("completions/_agent-init".into(), completions::zsh().into_bytes()));
    files.push(("completions/agent-init.fish".into(), completions::fish().into_bytes()));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in files {
        let path = root.join(path);
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read(&path).unwrap_or_default();
        let hint = "UPDATE_SNAPSHOTS=1 cargo test --lib generated writes it";
        assert!(there == text, "{} is not that of the command line: {hint}", path.display());
    }
}
