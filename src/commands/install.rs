//! `install`: copies this binary, so that an init container can provide it to an image without it.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

use anyhow::Context;

use crate::error::{Failure, reason};
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::looks::Shown;
use crate::sys::dir::{Attributes, Dir, read_limited};

/// In bytes: larger than any build of this program.
const LIMIT: u64 = 256 * 1024 * 1024;

pub fn install(path: &Path, reporter: Reporter) -> anyhow::Result<u8> {
    // The path of the binary may have been replaced, or may not exist in this mount namespace.
    let own = File::open("/proc/self/exe").and_then(|file| read_limited(&file, LIMIT));
    let own = own.map_err(|error| {
        Failure::new(format!("cannot read /proc/self/exe, which is this binary: {}", reason(&error)))
            .hint("is /proc mounted?")
    })?;
    let bytes = own.context("this binary is too large")?;
    let path = if path.is_dir() { path.join("agent-init") } else { path.to_owned() };
    let failure = |error: &std::io::Error| {
        Failure::new(format!("cannot write {}: {}", Shown(&path), reason(error)))
            .hint("name a file in an existing directory that this user can write to, on a volume of both containers")
    };
    let (Some(parent), Some(name)) = (parent(&path), path.file_name()) else {
        return Err(Failure::new(format!("{} is not the path of a file", Shown(&path))).into());
    };
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Failure::new(format!("{}: the directory does not exist", Shown(&path))).into());
    }
    let dir = Dir::open(parent).map_err(|error| failure(&error))?;
    let attributes = Attributes { mode: 0o755, owner: None };
    dir.write_whole(name, &bytes, attributes).and_then(|()| dir.sync()).map_err(|error| failure(&error))?;
    reporter.say(&Message::notice(format!("installed {}", Shown(&path))).event(EventKey::Installed));
    Ok(0)
}

/// The directory of a path. For a bare name, the current directory.
fn parent(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent == OsStr::new("") { Path::new(".") } else { parent })
}
