//! Checks the capture before the person is asked for anything. The check writes a file and removes it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::agent::Definition;
use crate::config::CaptureDirs;
use crate::error::{Failure, reason};
use crate::store::{Capture, directory};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::stat::Stat;
use crate::sys::{access, errno, privilege};

/// The mount point of another setup tool. It holds the files of one agent directly.
const FLAT: &str = "/auth-output";
/// In bytes: more than a login and its record need.
const PROBE_SIZE: usize = 64 * 1024;

/// The captures that the operator named, else the one that is mounted.
pub fn find_captures(
    named: &CaptureDirs,
    agents: &[&Definition],
    exists: impl Fn(&str) -> bool,
) -> Result<CaptureDirs, Failure> {
    if named.is_given() {
        return Ok(named.clone());
    }
    match agents {
        [only] if exists(FLAT) => {
            Ok(CaptureDirs { for_all: None, named: vec![(only.name.clone(), Some(PathBuf::from(FLAT)))] })
        }
        _ if exists(FLAT) => Ok(CaptureDirs::all(Some(PathBuf::from(FLAT)))),
        _ if exists(directory::DEFAULT) => Ok(CaptureDirs::all(Some(PathBuf::from(directory::DEFAULT)))),
        _ => Err(Failure::new("cannot keep the login: no capture is mounted").hint(
            "mount a directory or a volume: docker run -it -v LOGINS:/capture IMAGE setup; or name one with --capture",
        )),
    }
}

/// The capture of one agent. On drop, a directory that was made for it and is still empty is removed.
pub struct CaptureDir {
    pub path: PathBuf,
    is_new: bool,
}

impl Drop for CaptureDir {
    fn drop(&mut self) {
        if self.is_new {
            // One that holds something is not removed by rmdir(2).
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

impl CaptureDir {
    /// Makes the directory if necessary, and checks that a login can be stored in it and read later.
    pub fn open(path: &Path) -> Result<(CaptureDir, Capture), Failure> {
        let is_new = !access::is_there(path);
        let refused = |error: io::Error| refusal(path, &error);
        directory::make(path).map_err(refused)?;
        let capture_dir = CaptureDir { path: path.to_owned(), is_new };
        let capture = Capture::open(path).map_err(refused)?;
        let stat = capture.handle().stat().map_err(refused)?;
        if let Some(failure) = refuse_other_owner(path, &stat, privilege::current().0, privilege::may_chown()) {
            return Err(failure);
        }
        let name = OsStr::new(".agent-init-probe");
        let written =
            capture.handle().write_whole(name, &vec![b' '; PROBE_SIZE], Attributes { mode: 0o600, owner: None });
        written.and_then(|()| capture.handle().remove(name)).map_err(refused)?;
        Ok((capture_dir, capture))
    }
}

/// Pure. A login that this user stores in another user's directory would be unreadable for the containers of the owner.
fn refuse_other_owner(path: &Path, stat: &Stat, uid: u32, may_chown: bool) -> Option<Failure> {
    let is_readable_later = stat.uid == uid || may_chown || (stat.uid == 0 && uid != 0);
    (!is_readable_later).then(|| {
        let (at, owner) = (path.display(), stat.uid);
        Failure::new(format!(
            "the capture {at} belongs to uid {owner}, and this is uid {uid}: {owner} could not read the login"
        ))
        .hint(format!(
            "run the container as that user (docker run --user {owner}), give the directory to this one \
                 (chown {uid} on the host), or start as root with the capability CHOWN"
        ))
    })
}

fn refusal(path: &Path, error: &io::Error) -> Failure {
    let at = path.display();
    let uid = privilege::current().0;
    let owner = path.ancestors().find_map(|path| Dir::open(path).and_then(|dir| dir.stat()).ok());
    let hint = if errno::is_read_only(error) {
        "it is mounted read-only: mount it read-write (without :ro)".to_owned()
    } else if errno::is_full(error) {
        "free space there: its disk or quota is full".to_owned()
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        let whose =
            owner.map(|stat| format!("it belongs to uid {} (mode {:o}), ", stat.uid, stat.mode)).unwrap_or_default();
        format!(
            "{whose}and this is uid {uid}: chown {uid} the directory on the host, or run the container as its owner"
        )
    } else {
        "mount a writable directory or volume there".to_owned()
    };
    Failure::new(format!("cannot store the login in {at}: {}", reason(error))).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::stat::Kind;

    #[test]
    fn the_mounted_capture_is_found() {
        let definition = |name: &str| -> Definition {
            let text = format!(
                r#"{{"name":"{name}","title":"T","commands":[],"home":{{"variable":"H","default":"~/.h"}},"methods":[]}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let (a, b) = (definition("a"), definition("b"));
        let one: &[&Definition] = &[&a];
        let two: &[&Definition] = &[&a, &b];
        let rows: [(&[&Definition], &[&str], Option<(&str, &str)>); 5] = [
            (one, &["/auth-output", "/capture"], Some(("", "/auth-output"))),
            (two, &["/auth-output", "/capture"], Some(("/auth-output", ""))),
            (one, &["/capture"], Some(("/capture", ""))),
            (two, &["/capture"], Some(("/capture", ""))),
            (one, &[], None),
        ];
        for (agents, mounted, expected) in rows {
            let found =
                find_captures(&CaptureDirs::default(), agents, |path| mounted.contains(&path)).ok().map(|found| {
                    let text = |path: Option<&PathBuf>| path.map(|path| path.display().to_string()).unwrap_or_default();
                    (text(found.for_all.as_ref()), text(found.named.first().and_then(|(_, path)| path.as_ref())))
                });
            let expected = expected.map(|(root, flat)| (root.to_owned(), flat.to_owned()));
            assert_eq!(found, expected, "{mounted:?} {}", agents.len());
        }
        let own = CaptureDirs::all(Some(PathBuf::from("/own")));
        assert_eq!(find_captures(&own, one, |_| true).unwrap(), own);
    }

    #[test]
    fn a_capture_of_another_user_is_refused() {
        let rows = [
            // owner, ours, may give files away; fine
            (1000, 1000, false, true),
            (1000, 0, true, true),
            (1000, 0, false, false),
            (1000, 1001, false, false),
            // A volume that everybody can write to.
            (0, 1000, false, true),
            (0, 0, false, true),
        ];
        for (owner, uid, may_chown, fine) in rows {
            let stat = Stat {
                kind: Kind::Directory,
                mode: 0o777,
                uid: owner,
                gid: 0,
                links: 2,
                size: 0,
                id: (0, 0),
                changed: (0, 0),
                modified: (0, 0),
            };
            assert_eq!(
                refuse_other_owner(Path::new("/x"), &stat, uid, may_chown).is_none(),
                fine,
                "{owner} {uid} {may_chown}"
            );
        }
    }

    #[test]
    fn a_capture_that_stays_empty_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("agent");
        let (capture_dir, capture) = CaptureDir::open(&path).unwrap();
        assert_eq!(capture.handle().names().unwrap(), Vec::<std::ffi::OsString>::new());
        drop(capture_dir);
        assert!(!path.exists());
        let (capture_dir, _) = CaptureDir::open(&path).unwrap();
        std::fs::write(path.join("login"), "FAKE").unwrap();
        drop(capture_dir);
        assert!(path.join("login").exists());
        let refused = CaptureDir::open(&temp.path().join("no/such")).err().unwrap();
        assert!(refused.what.contains("no/such"), "{refused}");
    }
}
