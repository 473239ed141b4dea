//! The capture that a login is to go to: looked at before the person is asked for anything. Writes a file and removes it.

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

/// Where another setup container has its capture; it is flat.
const FLAT: &str = "/auth-output";
/// More than a login and its note need.
const PROBE: usize = 64 * 1024;

/// Where captures are: what the operator says, else what is mounted.
///
/// # Errors
/// Nothing is.
pub fn places(
    given: &CaptureDirs,
    agents: &[&Definition],
    is_there: impl Fn(&str) -> bool,
) -> Result<CaptureDirs, Failure> {
    if given.is_given() {
        return Ok(given.clone());
    }
    match agents {
        [only] if is_there(FLAT) => {
            Ok(CaptureDirs { for_all: None, named: vec![(only.name.clone(), Some(PathBuf::from(FLAT)))] })
        }
        _ if is_there(FLAT) => Ok(CaptureDirs::all(Some(PathBuf::from(FLAT)))),
        _ if is_there(directory::DEFAULT) => Ok(CaptureDirs::all(Some(PathBuf::from(directory::DEFAULT)))),
        _ => Err(Failure::new("there is nowhere to keep the login: no capture is mounted").hint(
            "mount a directory or a volume: docker run -it -v LOGINS:/capture IMAGE setup; or name one with --capture",
        )),
    }
}

/// The directory of one agent's capture. One that was made for it and holds nothing goes again.
pub struct Place {
    /// Where.
    pub path: PathBuf,
    is_new: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_new {
            // One that holds something is not removed by rmdir(2).
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

impl Place {
    /// Makes the directory if it is not there, and makes sure that a login can be stored in it, and read later.
    ///
    /// # Errors
    /// Why not, with the remedy.
    pub fn open(path: &Path) -> Result<(Place, Capture), Failure> {
        let is_new = !access::is_there(path);
        let refused = |error: io::Error| refusal(path, &error);
        directory::make(path).map_err(refused)?;
        let place = Place { path: path.to_owned(), is_new };
        let capture = Capture::open(path).map_err(refused)?;
        let stat = capture.handle().stat().map_err(refused)?;
        if let Some(failure) = another_owner(path, &stat, privilege::current().0, privilege::may_chown()) {
            return Err(failure);
        }
        let name = OsStr::new(".agent-init-probe");
        let written = capture.handle().write_whole(name, &vec![b' '; PROBE], Attributes { mode: 0o600, owner: None });
        written.and_then(|()| capture.handle().remove(name)).map_err(refused)?;
        Ok((place, capture))
    }
}

/// Pure. What is stored there would belong to us, and neither its owner's containers nor root's would take it for theirs.
fn another_owner(path: &Path, stat: &Stat, uid: u32, may_chown: bool) -> Option<Failure> {
    let is_fine = stat.uid == uid || may_chown || (stat.uid == 0 && uid != 0);
    (!is_fine).then(|| {
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
        "its disk or quota is full: make room there first".to_owned()
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        let whose =
            owner.map(|stat| format!("it belongs to uid {} (mode {:o}), ", stat.uid, stat.mode)).unwrap_or_default();
        format!(
            "{whose}and this is uid {uid}: chown {uid} the directory on the host, or run the container as its owner"
        )
    } else {
        "mount a directory or a volume that can be written there".to_owned()
    };
    Failure::new(format!("the login cannot be stored in {at}: {}", reason(error))).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::stat::Kind;

    #[test]
    fn what_is_mounted_counts() {
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
            let found = places(&CaptureDirs::default(), agents, |path| mounted.contains(&path)).ok().map(|found| {
                let text = |path: Option<&PathBuf>| path.map(|path| path.display().to_string()).unwrap_or_default();
                (text(found.for_all.as_ref()), text(found.named.first().and_then(|(_, path)| path.as_ref())))
            });
            let expected = expected.map(|(root, flat)| (root.to_owned(), flat.to_owned()));
            assert_eq!(found, expected, "{mounted:?} {}", agents.len());
        }
        let own = CaptureDirs::all(Some(PathBuf::from("/own")));
        assert_eq!(places(&own, one, |_| true).unwrap(), own);
    }

    #[test]
    fn whose_capture() {
        let rows = [
            // owner, ours, may give files away; fine
            (1000, 1000, false, true),
            (1000, 0, true, true),
            (1000, 0, false, false),
            (1000, 1001, false, false),
            // A volume that everybody may write to: a group's, or without an owner worth the name.
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
            };
            assert_eq!(
                another_owner(Path::new("/x"), &stat, uid, may_chown).is_none(),
                fine,
                "{owner} {uid} {may_chown}"
            );
        }
    }

    #[test]
    fn a_place_that_stays_empty_goes_again() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("agent");
        let (place, capture) = Place::open(&path).unwrap();
        assert_eq!(capture.handle().names().unwrap(), Vec::<std::ffi::OsString>::new());
        drop(place);
        assert!(!path.exists());
        let (place, _) = Place::open(&path).unwrap();
        std::fs::write(path.join("login"), "FAKE").unwrap();
        drop(place);
        assert!(path.join("login").exists());
        let refused = Place::open(&temp.path().join("no/such")).err().unwrap();
        assert!(refused.what.contains("no/such"), "{refused}");
    }
}
