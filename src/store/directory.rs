//! A capture: a directory with the login, shared by any number of containers.
//!
//! Its content is trusted and its form is not: other containers' agents may be able to write to it. Our own notes are
//! in `.agent-init/` inside it; nothing there is secret but `conflicts/`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::fs::untrusted;
use crate::fs::untrusted::{Owners, Unreadable};
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::history::History;
use crate::login::merge::LoginState;
use crate::login::{Document, file, limits};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::lock::Lock;
use crate::sys::{dir, lock, privilege, process};

/// Where captures are when nobody says otherwise.
pub const DEFAULT: &str = "/capture";

/// Our notes in a capture.
pub const BOOKKEEPING: &str = ".agent-init";

/// The logins that were stored.
const RECORD: &str = "record.json";

/// What is being written to a login file that is a mount of its own, whole.
const WHOLE: &str = "recovery";

/// How many logins that lost are kept.
const CONFLICTS: usize = 16;

/// How many entries of a directory of notes are looked at: another container may fill it.
const ENTRIES: usize = 256;
/// The digits of a kept file's number, at least: more than a year has.
const DIGITS: usize = 8;

/// A capture of one agent.
#[derive(Debug)]
pub struct Capture {
    /// Where.
    pub path: PathBuf,
    dir: Dir,
    /// Owner and group of the directory: whose files are read here, and whose they become.
    whose: (u32, u32),
    notes_parent: Option<PathBuf>,
    single_file: bool,
}

/// The mark of a container that uses a capture.
#[derive(Debug)]
pub struct Presence {
    /// Held for as long as it does.
    pub mark: Option<Lock>,
    /// There are more marks than were looked at: each start removes those of ended containers that it looks at.
    pub is_crowded: bool,
}

/// `record.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The form of this file.
    pub version: u32,
    /// The logins that were stored here.
    // `lineage` in the files of every version.
    #[serde(default, rename = "lineage")]
    pub history: History,
    /// When the last one was published, RFC 3339.
    pub published_at: Option<String>,
}

impl Record {
    /// What is known once the last of these was stored now.
    pub fn of(history: &History) -> Record {
        let published_at = Some(humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
        Record { version: 1, history: history.clone(), published_at }
    }
}

impl Capture {
    /// Opens a directory.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(path: &Path) -> io::Result<Capture> {
        let dir = Dir::open(path)?;
        let whose = owner_of(&dir)?;
        Ok(Capture { path: path.to_owned(), dir, whose, notes_parent: None, single_file: false })
    }

    /// Opens the directory of a login file that is a mount of its own. Such a file cannot be renamed over (EBUSY), and
    /// what lies beside it is not ours: the notes go to `notes`.
    ///
    /// # Errors
    /// As open(2).
    pub fn of_single_file(path: &Path, notes: &Path) -> io::Result<Capture> {
        let parent = path.parent().unwrap_or(path);
        let dir = Dir::open(parent)?;
        let whose = owner_of(&dir)?;
        let notes_parent = Some(notes.to_owned());
        Ok(Capture { path: path.to_owned(), dir, whose, notes_parent, single_file: true })
    }

    /// Opens what is at the path now: a capture may be unmounted and mounted again, or removed and made anew.
    ///
    /// # Errors
    /// As open(2).
    pub fn reopen(&mut self) -> io::Result<()> {
        let dir = Dir::open(&self.directory())?;
        self.whose = owner_of(&dir)?;
        self.dir = dir;
        Ok(())
    }

    /// Whether the directory is still what its path leads to. That of a single file is for as long as we have it: such a
    /// mount stays in its directory, and whoever moves that (an agent may, in its HOME) must not have us use another.
    pub fn is_current(&self) -> bool {
        if self.single_file {
            return true;
        }
        let there = Dir::open(&self.directory());
        there.and_then(|there| Ok(there.stat()?.id == self.dir.stat()?.id)).unwrap_or(false)
    }

    /// The directory that holds the login file.
    pub fn directory(&self) -> PathBuf {
        if self.single_file { self.path.parent().unwrap_or(&self.path).to_owned() } else { self.path.clone() }
    }

    /// The handle of that directory.
    pub fn handle(&self) -> &Dir {
        &self.dir
    }

    /// The login as it is stored. Files of the directory's owner, of root and of ours are read.
    pub fn read(&self, rule: &SessionFile) -> LoginFile {
        file::login(&self.dir, rule, &self.owners(), true)
    }

    /// The same at a start, which may wait for a file that cannot be read for the moment.
    pub fn read_at_start(&self, rule: &SessionFile) -> LoginFile {
        file::login_at_start(&self.dir, rule, &self.owners(), true)
    }

    /// Whose files are read here.
    pub(super) fn owners(&self) -> Owners {
        if self.single_file { Owners::Any } else { Owners::These(vec![self.whose.0, 0, privilege::current().0]) }
    }

    /// What is known of the logins that were stored here. Nothing, where there is no record or one that is none of ours.
    ///
    /// # Errors
    /// The record cannot be read now. Without it a spent login would look like a new one.
    pub fn record(&self) -> Result<Record, Unreadable> {
        let read = || untrusted::entry(&self.notes_there()?, OsStr::new(RECORD), &Owners::Any);
        match read() {
            Ok(content) => Ok(limits::parse(&content.bytes).unwrap_or_default()),
            Err(why) if why.is_unknown() => Err(why),
            Err(_) => Ok(Record::default()),
        }
    }

    /// Where the record is.
    pub fn record_path(&self) -> PathBuf {
        self.notes_path().join(RECORD)
    }

    /// How many containers use this capture now: each holds a lock on a file of its own in `leases/`.
    pub fn users(&self) -> usize {
        let Ok(leases) = self.notes_there().and_then(|notes| notes.sub(OsStr::new("leases"))) else { return 0 };
        let is_held = |name: &OsString| leases.file(name).and_then(lock::is_held).unwrap_or(false);
        let found = leases.names_up_to(ENTRIES, &|_| true).unwrap_or_default();
        found.names.iter().filter(|name| is_held(name)).count()
    }

    /// The logins that lost and are kept here.
    pub fn conflicts(&self) -> usize {
        let conflicts = self.notes_there().and_then(|notes| notes.sub(OsStr::new("conflicts")));
        let is_kept = |name: &OsStr| !dir::is_temporary(name);
        conflicts.and_then(|conflicts| conflicts.names_up_to(ENTRIES, &is_kept)).map_or(0, |found| found.names.len())
    }

    /// Where those are.
    pub fn conflicts_path(&self) -> PathBuf {
        self.notes_path().join("conflicts")
    }

    fn notes_path(&self) -> PathBuf {
        self.notes_parent.as_ref().unwrap_or(&self.path).join(BOOKKEEPING)
    }

    /// Mends what writers that were killed left: their temporary files, which hold logins, and a login file of its own
    /// mount that is half written. Another that holds the lock may be writing, and does this itself.
    pub fn sweep(&self, rule: &SessionFile) {
        let Ok(notes) = self.notes_there() else { return };
        // Where there is no lock yet, nobody has written.
        if notes.stat_entry(OsStr::new("lock")).is_err() {
            return;
        }
        let Ok(Some(_lock)) = self.lock() else { return };
        notes.sweep();
        if let Ok(conflicts) = notes.sub(OsStr::new("conflicts")) {
            conflicts.sweep();
        }
        if self.single_file {
            // What cannot be done now is tried at the next start.
            let _ = self.end_overwriting(rule, &notes);
        } else {
            self.dir.sweep();
        }
    }

    /// Ends what a killed writer began, with the lock held: the whole login is in the notes for as long as the file may be
    /// half of it.
    fn end_overwriting(&self, rule: &SessionFile, notes: &Dir) -> io::Result<()> {
        let Some(whole) = interrupted(notes, rule).filter(|whole| whole.state.login().is_some()) else {
            return Ok(());
        };
        match (self.read(rule).state, whole.bytes) {
            (LoginState::Damaged(_), Some(bytes)) => self.dir.overwrite(OsStr::new(&rule.file), &bytes)?,
            (LoginState::Valid(_), _) => {}
            _ => return Ok(()),
        }
        notes.remove(OsStr::new(WHOLE))
    }

    /// Our notes, if there are any.
    pub(super) fn notes_there(&self) -> io::Result<Dir> {
        match &self.notes_parent {
            None => self.dir.sub(OsStr::new(BOOKKEEPING)),
            Some(parent) => Dir::open(&parent.join(BOOKKEEPING)),
        }
    }

    /// Whether the login can be written.
    pub fn is_writable(&self, rule: &SessionFile) -> bool {
        if self.single_file { self.dir.may_write(OsStr::new(&rule.file)) } else { self.dir.is_writable() }
    }

    /// The lock that orders writers of this capture; `None` when another container holds it now.
    ///
    /// # Errors
    /// As openat(2) and flock(2).
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        self.notes()?.lock(OsStr::new("lock"), self.attributes(0o666).owner)
    }

    /// The lease of this capture: who holds it may let its agent refresh. `None` when another container does. Free again
    /// when its holder ends, however it ends.
    ///
    /// # Errors
    /// As openat(2) and flock(2).
    pub fn lease(&self) -> io::Result<Option<Lock>> {
        self.notes()?.lock(OsStr::new("refresh"), self.attributes(0o666).owner)
    }

    /// A mark that a container uses this capture, for as long as the lock is held. The marks of containers that have
    /// ended are removed.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn presence(&self) -> io::Result<Presence> {
        let leases = self.notes()?.make(OsStr::new("leases"), self.attributes(0o777))?;
        let owner = self.attributes(0o666).owner;
        let found = leases.names_up_to(ENTRIES, &|_| true)?;
        for name in found.names {
            // What is no mark of anybody's is in nobody's way.
            if leases.lock(&name, owner).is_ok_and(|lock| lock.is_some()) {
                let _ = leases.remove(&name);
            }
        }
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?.as_nanos();
        let mark = leases.lock(&OsString::from(format!("{nanos:x}-{}", process::id())), owner)?;
        Ok(Presence { mark, is_crowded: found.is_cut })
    }

    /// Stores the login of `bytes` durably: the keys that travel, beside the siblings that are there. With the lock held.
    ///
    /// # Errors
    /// What the kernel says; the stored file is then the old one. (A mounted single file may be damaged by a failure in
    /// the middle, and `recovery` in the notes holds the whole.)
    pub fn put(&self, rule: &SessionFile, bytes: &[u8], history: &History) -> io::Result<()> {
        let there = if rule.synced_keys.is_empty() { None } else { self.read(rule).bytes };
        let merged = Document::with_other_keys_of(rule, bytes, there.as_ref().map(|there| there.as_slice()));
        let bytes = merged.as_ref().map_or(bytes, |merged| merged.as_slice());
        // Beside its siblings, and with its numbers written out, a login may be larger than it was: nobody would read it.
        file::check_readable(rule, bytes)?;
        let name = OsStr::new(&rule.file);
        let notes = self.notes()?;
        // The line is written first: after a crash between the two, the record knows one login too many, which harms
        // nobody; the other way round a stored login would look like a stranger's.
        self.write_record(&notes, history)?;
        if self.single_file {
            let whole = OsStr::new(WHOLE);
            notes.write_whole(whole, bytes, self.attributes(0o600))?;
            self.dir.overwrite(name, bytes)?;
            notes.remove(whole)
        } else {
            self.dir.write_whole_by_way_of(&notes, name, bytes, self.attributes(0o600))?;
            self.dir.sync()
        }
    }

    /// Keeps a login that lost, in `conflicts/`, and removes the oldest beyond a bound.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn keep_conflict(&self, rule: &SessionFile, bytes: &[u8]) -> io::Result<()> {
        keep_conflict(&self.notes()?, &rule.file, bytes, self.attributes(0o600))
    }

    fn write_record(&self, notes: &Dir, history: &History) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&Record::of(history)).map_err(io::Error::other)?;
        notes.write_whole(OsStr::new(RECORD), &text, self.attributes(0o644))
    }

    pub(super) fn notes(&self) -> io::Result<Dir> {
        let attributes = self.attributes(0o755);
        match &self.notes_parent {
            None => self.dir.make(OsStr::new(BOOKKEEPING), attributes),
            Some(parent) => Dir::open(parent)?.make(OsStr::new(BOOKKEEPING), attributes),
        }
    }

    /// The owner that files in it get, where we may give them away.
    pub fn owner(&self) -> Option<(u32, u32)> {
        self.attributes(0).owner
    }

    /// Files in a capture belong to the owner of its directory, where we may give them away.
    pub(super) fn attributes(&self, mode: u32) -> Attributes {
        let owner = (!self.single_file && privilege::may_chown()).then_some(self.whose);
        Attributes { mode, owner }
    }
}

/// The login that was being written to a file of its own mount when its writer was killed, among the notes in `notes`.
fn interrupted(notes: &Dir, rule: &SessionFile) -> Option<LoginFile> {
    let rule = SessionFile { file: WHOLE.to_owned(), ..rule.clone() };
    let copy = file::login(notes, &rule, &Owners::These(vec![privilege::current().0]), false);
    (copy.state != LoginState::Absent).then_some(copy)
}

/// The same below our state directory, for a start.
pub fn interrupted_at(state_dir: &Path, rule: &SessionFile) -> Option<LoginFile> {
    let notes = Dir::open(&state_dir.join(BOOKKEEPING)).ok()?;
    interrupted(&notes, rule).filter(|whole| whole.state.login().is_some())
}

fn owner_of(dir: &Dir) -> io::Result<(u32, u32)> {
    let stat = dir.stat()?;
    Ok((stat.uid, stat.gid))
}

/// Makes the agent's directory below a capture root that has none for it yet, with the root's owner.
///
/// # Errors
/// What the kernel says.
pub fn make(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let root = Dir::open(parent)?;
    match root.stat_entry(name) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let owner = Some(owner_of(&root)?).filter(|_| privilege::may_chown());
            root.make(name, Attributes { mode: 0o700, owner }).map(drop)
        }
        Err(error) => Err(error),
    }
}

/// Keeps a file that lost under `conflicts/` in `parent`, and removes the oldest beyond a bound: by the number in front
/// of their names, for a clock may be years behind. What has just been kept is never removed.
///
/// # Errors
/// What the kernel says: nothing is kept then.
pub fn keep_conflict(parent: &Dir, file: &str, bytes: &[u8], attributes: Attributes) -> io::Result<()> {
    let conflicts = parent.make(OsStr::new("conflicts"), Attributes { mode: 0o700, owner: attributes.owner })?;
    let mut others = conflicts.names()?;
    others.retain(|name| !dir::is_temporary(name));
    others.sort_by_key(|name| sequence(name));
    let number = others.last().map_or(0, |last| sequence(last)).saturating_add(1);
    let moment = humantime::format_rfc3339_nanos(SystemTime::now());
    let kept = OsString::from(format!("{number:0DIGITS$}-{moment}-{file}"));
    conflicts.write_whole(&kept, bytes, attributes)?;
    others.retain(|name| *name != kept);
    for oldest in others.iter().take((others.len() + 1).saturating_sub(CONFLICTS)) {
        // One too many is kept where it cannot be removed; a login that waited for that would be lost.
        let _ = conflicts.remove(oldest);
    }
    Ok(())
}

/// The number in front of a kept file's name. Versions before 0.2 wrote none, and their names begin with a year.
fn sequence(name: &OsStr) -> u64 {
    let number = name.to_str().and_then(|name| name.split('-').next()).filter(|number| number.len() >= DIGITS);
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fs::untrusted::LIMIT;

    fn rule() -> SessionFile {
        serde_json::from_value(json!({ "file": "login.json", "access-token": ["/oauth/access"], "travels": ["oauth"] }))
            .unwrap()
    }

    #[test]
    fn put_keeps_siblings_and_writes_the_line() {
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        std::fs::write(temp.path().join("login.json"), r#"{"oauth":{"access":"FAKE-old"},"theirs":1}"#).unwrap();
        let new = r#"{"oauth":{"access":"FAKE-new"},"mine":2}"#;
        let login = Document::parse(new.as_bytes(), rule().format).unwrap().login(&rule()).unwrap();
        let mut history = History::default();
        history.push(login.digest);
        capture.put(&rule(), new.as_bytes(), &history).unwrap();
        let stored: serde_json::Value =
            serde_json::from_slice(&std::fs::read(temp.path().join("login.json")).unwrap()).unwrap();
        assert_eq!(stored, json!({ "oauth": { "access": "FAKE-new" }, "theirs": 1 }));
        assert!(capture.record().unwrap().history.contains(login.digest));
    }

    #[test]
    fn what_is_no_mark_hides_nobodys() {
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        let leases = temp.path().join(BOOKKEEPING).join("leases");
        std::fs::create_dir_all(leases.join("directory")).unwrap();
        std::os::unix::fs::symlink("/nosuch", leases.join("link")).unwrap();
        std::fs::write(leases.join("ended"), "").unwrap();
        let held = capture.presence().unwrap();
        assert!(held.mark.is_some() && !held.is_crowded && !leases.join("ended").exists());
        assert_eq!(capture.users(), 1);
    }

    #[test]
    fn a_crowd_of_marks_is_looked_at_in_parts() {
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        let leases = temp.path().join(BOOKKEEPING).join("leases");
        std::fs::create_dir_all(&leases).unwrap();
        (0..ENTRIES + 44).for_each(|number| std::fs::write(leases.join(number.to_string()), "").unwrap());
        let first = capture.presence().unwrap();
        assert!(first.is_crowded);
        // 44 of the ended, and ours.
        assert_eq!(std::fs::read_dir(&leases).unwrap().count(), 45);
        drop(first);
        assert!(!capture.presence().unwrap().is_crowded);
        assert_eq!(std::fs::read_dir(&leases).unwrap().count(), 1);
    }

    #[test]
    fn what_nobody_could_read_is_not_stored() {
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        let stored = r#"{"oauth":{"access":"FAKE-old"},"theirs":"a sibling of some length"}"#;
        std::fs::write(temp.path().join("login.json"), stored).unwrap();
        let pad = "x".repeat(usize::try_from(LIMIT).unwrap() - 64);
        let large = format!(r#"{{"oauth":{{"access":"FAKE-new","pad":"{pad}"}}}}"#);
        assert!(large.len() as u64 <= LIMIT);
        assert!(capture.put(&rule(), large.as_bytes(), &History::default()).is_err());
        assert_eq!(std::fs::read_to_string(temp.path().join("login.json")).unwrap(), stored);
    }

    #[test]
    fn a_single_file_keeps_its_inode_and_its_notes_are_elsewhere() {
        use std::os::unix::fs::MetadataExt;
        let temp = tempfile::tempdir().unwrap();
        let notes = tempfile::tempdir().unwrap();
        let file = temp.path().join("login.json");
        std::fs::write(&file, r#"{"oauth":{"access":"FAKE-a-long-old-token"}}"#).unwrap();
        let before = std::fs::metadata(&file).unwrap().ino();
        let capture = Capture::of_single_file(&file, notes.path()).unwrap();
        capture.put(&rule(), br#"{"oauth":{"access":"FAKE-n"}}"#, &History::default()).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().ino(), before);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"oauth":{"access":"FAKE-n"}}"#);
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
        assert!(!notes.path().join(BOOKKEEPING).join("recovery").exists());
    }

    #[test]
    fn conflicts_are_bounded_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        for number in 0..CONFLICTS + 3 {
            capture.keep_conflict(&rule(), format!("FAKE-{number}").as_bytes()).unwrap();
        }
        let conflicts = temp.path().join(BOOKKEEPING).join("conflicts");
        assert!(std::fs::read_dir(&conflicts).unwrap().count() <= CONFLICTS);
        for number in 0..CONFLICTS {
            std::fs::create_dir(conflicts.join(format!("0{number}"))).unwrap();
        }
        capture.keep_conflict(&rule(), b"FAKE-beside-what-is-no-file").unwrap();
        assert_eq!(std::fs::metadata(conflicts).unwrap().permissions().mode() & 0o777, 0o700);
    }

    /// Whatever names are there: of a clock that was ahead, of a version without numbers, of somebody's own.
    #[test]
    fn what_was_just_kept_is_never_removed() {
        let year = |year: u32| move |number: usize| format!("{year}-01-01T00:00:{number:02}.000000000Z-login.json");
        let numbered = |number: usize| format!("{:08}-2999-01-01T00:00:00.000000000Z-login.json", number + 1);
        let others: [&dyn Fn(usize) -> String; 5] =
            [&year(2999), &year(1970), &numbered, &|number| format!("{}-full", u64::MAX - number as u64), &|number| {
                format!("zzz-{number}")
            }];
        for name in others {
            let temp = tempfile::tempdir().unwrap();
            let parent = Dir::open(temp.path()).unwrap();
            let conflicts = temp.path().join("conflicts");
            std::fs::create_dir(&conflicts).unwrap();
            for number in 0..=CONFLICTS {
                std::fs::write(conflicts.join(name(number)), "FAKE-other").unwrap();
            }
            for round in 0..CONFLICTS + 2 {
                let text = format!("FAKE-{round}");
                keep_conflict(&parent, "login.json", text.as_bytes(), Attributes { mode: 0o600, owner: None }).unwrap();
                let all: Vec<String> = std::fs::read_dir(&conflicts)
                    .unwrap()
                    .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
                    .collect();
                assert!(all.contains(&text), "{}: round {round}: {all:?}", name(0));
                assert_eq!(all.len(), CONFLICTS, "{}", name(0));
            }
        }
    }

    #[test]
    fn the_oldest_by_number_goes_first() {
        let temp = tempfile::tempdir().unwrap();
        let parent = Dir::open(temp.path()).unwrap();
        for round in 0..CONFLICTS + 3 {
            let text = format!("FAKE-{round}");
            keep_conflict(&parent, "login.json", text.as_bytes(), Attributes { mode: 0o600, owner: None }).unwrap();
        }
        let names = parent.sub("conflicts".as_ref()).unwrap().names().unwrap();
        let first = std::fs::read_to_string(temp.path().join("conflicts").join(&names[0])).unwrap();
        assert_eq!((names.len(), first.as_str()), (CONFLICTS, "FAKE-3"));
    }
}
