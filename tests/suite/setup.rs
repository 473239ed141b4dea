//! `setup`: a person at a terminal logs an agent in, and the login is captured.

mod ends;
mod real;
mod refused;
mod sessions;
mod tokens;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::{Run, Sandbox, Session, root_or_skip};

/// `setup` with these arguments. Of an agent's command: a script for the stand-in (see `agent.sh`).
fn setup<const N: usize>(sandbox: &Sandbox, arguments: [&str; N]) -> Run {
    sandbox.raw(["setup"]).arguments(arguments)
}

/// The stand-in `claude` with a script, and a gate that it may wait at as `$1`.
fn claude(sandbox: &Sandbox, script: &str, gate: &str) -> Run {
    setup(sandbox, ["--", "claude", script, gate])
}

/// The same as the user `node`.
fn claude_as_node(sandbox: &Sandbox, script: &str, gate: &str) -> Run {
    setup(sandbox, ["--user", "node", "--", "claude", script, gate]).pid1()
}

/// Both ways of being started.
fn pid1_or_not(run: impl Fn() -> Run) -> Vec<(&'static str, Run)> {
    let mut runs = vec![("not PID 1", run())];
    if root_or_skip("setup as PID 1") {
        runs.push(("PID 1", run().pid1()));
    }
    runs
}

/// A stand-in of our own for a command, first on PATH with `only`.
fn install(sandbox: &Sandbox, name: &str, script: &str) {
    // Another process writes it: a thread of ours that forks meanwhile would hold it open for writing.
    let path = sandbox.mkdir("only").join(name);
    let text = format!("#!/bin/sh\n{script}\n");
    let write = ["-euc", "printf %s \"$2\" >\"$1\"; chmod 755 \"$1\"", "sh", path.to_str().unwrap(), &text];
    assert!(std::process::Command::new("sh").args(write).status().unwrap().success());
}

/// Whether the capture has the login that `refresh NAME` of the stand-in makes, however it is formatted.
fn holds(sandbox: &Sandbox, name: &str) -> bool {
    let text = fs::read_to_string(sandbox.path("capture/claude/.credentials.json")).unwrap_or_default();
    serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|value| value == Session::new(name).value())
}

/// Every path below a directory, with its mode, its owner and its content.
fn everything(path: &Path) -> BTreeMap<String, (u32, u32, Vec<u8>)> {
    fn walk(path: &Path, all: &mut BTreeMap<String, (u32, u32, Vec<u8>)>) {
        let found = path.symlink_metadata().unwrap();
        let bytes = if found.is_file() { fs::read(path).unwrap() } else { Vec::new() };
        all.insert(path.display().to_string(), (found.mode(), found.uid(), bytes));
        if found.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), all);
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(path, &mut all);
    all
}
