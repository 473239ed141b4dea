//! The agents that an image adds: `/etc/agent-init/agents/*.json`.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;

use crate::agent::Catalog;
use crate::error::Failure;
use crate::fs::untrusted;
use crate::fs::untrusted::Owners;
use crate::sys::dir::Dir;
use crate::sys::privilege;

/// Where they are.
const DIRECTORY: &str = "/etc/agent-init/agents";

/// How many of them are read: every start reads them all.
const DEFINITIONS: usize = 256;

/// The known agents.
///
/// # Errors
/// A file there that cannot be read, that others than root and we can write, or that is no definition.
pub fn catalog() -> anyhow::Result<Catalog> {
    added(Path::new(DIRECTORY)).and_then(|added| Catalog::with(&added))
}

/// Path and text of each definition in a directory; none when there is no directory.
fn added(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let dir = match Dir::open(path) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    texts(&dir, path)
}

fn texts(dir: &Dir, path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let names =
        dir.names_up_to(DEFINITIONS, &is_definition).with_context(|| format!("cannot read {}", path.display()))?;
    if names.is_cut {
        let what = format!("{} holds more than {DEFINITIONS} agent definitions", path.display());
        return Err(Failure::new(what).hint("leave those that this image needs").into());
    }
    let mut found = Vec::new();
    for name in &names.names {
        let file = path.join(name).display().to_string();
        // A ConfigMap's files are links beneath their directory. What names an agent's variables and files decides over
        // secrets, so it is not taken from a user who is not trusted with them.
        let owners = Owners::These(vec![0, privilege::current().0]);
        let refused = |why: &dyn std::fmt::Display| Failure::new(format!("agent definition {file}: {why}"));
        let content = untrusted::beneath(dir, Path::new(name), &owners).map_err(|why| {
            refused(&why).hint(
                "it must be a regular file of root's, or of the user that agent-init runs as, which that user may read",
            )
        })?;
        let stat = content.stat;
        let is_ours = [0, privilege::current().1].contains(&stat.gid);
        if stat.mode & 0o002 != 0 || (stat.mode & 0o020 != 0 && !is_ours) {
            let who = if stat.mode & 0o002 != 0 { "everybody".to_owned() } else { format!("group {}", stat.gid) };
            return Err(refused(&format!("{who} may write it")).hint(format!("chmod go-w {file}")).into());
        }
        let text = std::str::from_utf8(&content.bytes).map_err(|_| refused(&"it is not UTF-8 text"))?;
        found.push((file, text.to_owned()));
    }
    Ok(found)
}

/// `*.json`; a name with a dot in front is an editor's or a volume's own.
fn is_definition(name: &OsStr) -> bool {
    Path::new(name).extension() == Some(OsStr::new("json")) && !name.as_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn which_files_count() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("..1")).unwrap();
        std::fs::write(temp.path().join("..1/a.json"), "{}").unwrap();
        symlink("..1/a.json", temp.path().join("a.json")).unwrap();
        std::fs::write(temp.path().join("b.json~"), "").unwrap();
        std::fs::write(temp.path().join(".c.json"), "").unwrap();
        let found = added(temp.path()).unwrap();
        assert_eq!(found, [(temp.path().join("a.json").display().to_string(), "{}".to_owned())]);
        assert!(added(&temp.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("a.json");
        std::fs::write(&file, "{}").unwrap();
        let is_taken = |mode: u32| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            added(temp.path()).is_ok()
        };
        assert!(is_taken(0o644) && is_taken(0o664) && !is_taken(0o666) && !is_taken(0o646));
        // To give a file to another group takes a user who may.
        if privilege::current().0 == 0 {
            std::os::unix::fs::chown(&file, None, Some(12345)).unwrap();
            assert!(is_taken(0o644) && !is_taken(0o664));
        }
    }
}
