//! Containers of a real Docker engine: an image FROM scratch and a Debian one, the identities and mounts that
//! `docker run` can give, `docker stop`, `docker restart`.

mod commands;
mod container;
mod engine;
mod identities;
mod images;
mod lives;
mod login;
mod process;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use container::{Container, DEBIAN, SCRATCH};
use engine::needs_docker;
pub use images::tools as deploy_tools;

use crate::support::{Sandbox, Session, await_path};

const IMAGES: [&str; 2] = [SCRATCH, DEBIAN];

/// The uid:gid of a capture that belongs to neither root nor any agent.
const SOMEBODY: &str = "4242:4243";

/// The login in a file of the sandbox.
#[track_caller]
fn login(sandbox: &Sandbox, name: &str) -> serde_json::Value {
    serde_json::from_str(&sandbox.read(name)).unwrap()
}

#[track_caller]
fn captured(sandbox: &Sandbox) -> serde_json::Value {
    login(sandbox, "capture/claude/.credentials.json")
}

/// Waits until the capture holds this login.
fn await_captured(sandbox: &Sandbox, name: &str) {
    let expected = Session::new(name).value();
    let directory = sandbox.path("capture/claude");
    await_path(&sandbox.path("capture"), "claude", || directory.is_dir());
    await_path(&directory, &format!("login {name}"), || {
        sandbox.exists("capture/claude/.credentials.json") && captured(sandbox) == expected
    });
}

/// Hands a directory of the sandbox, with what is in it, to uid:gid.
fn own(sandbox: &Sandbox, name: &str, owner: &str) {
    let chown = Command::new("chown").args(["-R", owner]).arg(sandbox.path(name)).status();
    assert!(chown.unwrap().success(), "chown {owner} {name}");
}

/// Asserts a file of mode 0600 of this uid:gid.
#[track_caller]
fn assert_private(sandbox: &Sandbox, name: &str, owner: &str) {
    let found = fs::metadata(sandbox.path(name)).unwrap();
    let found = format!("{}:{} {:o}", found.uid(), found.gid(), found.mode() & 0o7777);
    assert_eq!(found, format!("{owner} 600"), "{name}");
}
