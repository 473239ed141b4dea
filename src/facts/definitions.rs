//! Reads the agent definitions that an image adds: `/etc/agent-init/agents/*.json`.

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

const DIRECTORY: &str = "/etc/agent-init/agents";

/// A limit, because every start reads them all.
const MAX_DEFINITIONS: usize = 256;

/// The known agents. A file that cannot be read, that anybody but root or this user can write, or that is not a
/// definition is an error.
pub fn catalog() -> anyhow::Result<Catalog> {
    added_definitions(Path::new(DIRECTORY)).and_then(|added| Catalog::with(&added))
}

/// Path and text of each definition in a directory, which need not exist.
fn added_definitions(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let dir = match Dir::open(path) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    read_all(&dir, path)
}

fn read_all(dir: &Dir, path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let names =
        dir.names_up_to(MAX_DEFINITIONS, &is_definition).with_context(|| format!("cannot read {}", path.display()))?;
    if names.is_cut {
        let what = format!("{} holds more than {MAX_DEFINITIONS} agent definitions", path.display());
        return Err(Failure::new(what).hint("remove those that this image does not need").into());
    }
    let mut found = Vec::new();
    for name in &names.names {
        let file = path.join(name).display().to_string();
        // The files of a ConfigMap are links beneath their directory. A definition decides where secrets go, so it is
        // only accepted from users who are trusted with them.
        let owners = Owners::These(vec![0, privilege::current().0]);
        let refused = |why: &dyn std::fmt::Display| Failure::new(format!("agent definition {file}: {why}"));
        let content = untrusted::beneath(dir, Path::new(name), &owners).map_err(|why| {
            refused(&why)
                .hint("make it a regular file that root or the user of agent-init owns and that this user can read")
        })?;
        let stat = content.stat;
        let is_ours = [0, privilege::current().1].contains(&stat.gid);
        if stat.mode & 0o002 != 0 || (stat.mode & 0o020 != 0 && !is_ours) {
            let who = if stat.mode & 0o002 != 0 { "everybody".to_owned() } else { format!("group {}", stat.gid) };
            return Err(refused(&format!("{who} can write to it")).hint(format!("chmod go-w {file}")).into());
        }
        let text = std::str::from_utf8(&content.bytes).map_err(|_| refused(&"it is not UTF-8 text"))?;
        found.push((file, text.to_owned()));
    }
    Ok(found)
}

/// `*.json`, without hidden files: those belong to an editor or a volume.
fn is_definition(name: &OsStr) -> bool {
    Path::new(name).extension() == Some(OsStr::new("json")) && !name.as_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn visible_json_files_are_read() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("..1")).unwrap();
        std::fs::write(temp.path().join("..1/a.json"), "{}").unwrap();
        symlink("..1/a.json", temp.path().join("a.json")).unwrap();
        std::fs::write(temp.path().join("b.json~"), "").unwrap();
        std::fs::write(temp.path().join(".c.json"), "").unwrap();
        let found = added_definitions(temp.path()).unwrap();
        assert_eq!(found, [(temp.path().join("a.json").display().to_string(), "{}".to_owned())]);
        assert!(added_definitions(&temp.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("a.json");
        std::fs::write(&file, "{}").unwrap();
        let is_accepted = |mode: u32| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            added_definitions(temp.path()).is_ok()
        };
        assert!(is_accepted(0o644) && is_accepted(0o664) && !is_accepted(0o666) && !is_accepted(0o646));
        // Only root can give a file to another group.
        if privilege::current().0 == 0 {
            std::os::unix::fs::chown(&file, None, Some(12345)).unwrap();
            assert!(is_accepted(0o644) && !is_accepted(0o664));
        }
    }
}
