//! A capture: a directory that holds the login, shared by any number of containers.
//!
//! Its content is trusted, but the types and links of its entries are not: other containers' agents may be able to
//! write to it. agent-init keeps its bookkeeping in `.agent-init/` inside it. Of that, only `conflicts/` is secret.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::agent::definition::RefreshLockRule;
use crate::fs::untrusted;
use crate::fs::untrusted::{Owners, Unreadable};
use crate::login::entries::EntriesBase;
use crate::login::file::{FileStamp, LoginFile};
use crate::login::format::SessionFile;
use crate::login::history::History;
use crate::login::merge::LoginState;
use crate::login::{Document, file, limits};
use crate::store::lease::Lease;
use crate::store::record::{Record, RecordFile};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::lock::Lock;
use crate::sys::replace::{Exclusion, Taken};
use crate::sys::stat::Kind;
use crate::sys::{dir, lock, privilege, process, watch};

/// The default directory of captures.
pub const DEFAULT: &str = "/capture";

/// The directory of agent-init's bookkeeping in a capture.
pub const BOOKKEEPING: &str = ".agent-init";

/// The record of the stored logins.
const RECORD: &str = "record.json";

/// The complete new content of a login file that is a mount, while it is overwritten.
const COMPLETE_LOGIN: &str = "recovery";

/// How many losing logins are kept.
const MAX_CONFLICTS: usize = 16;

/// How many entries of a bookkeeping directory are read. Another container may fill it.
const MAX_ENTRIES: usize = 256;
/// The minimum number of digits in a kept file's number. A year has fewer.
const MIN_DIGITS: usize = 8;

/// One agent's capture.
#[derive(Debug)]
pub struct Capture {
    pub path: PathBuf,
    dir: Dir,
    /// Owner and group of the directory. Files of this owner are read, and new files get it.
    owner_and_group: (u32, u32),
    notes_parent: Option<PathBuf>,
    single_file: bool,
}

/// A container's mark in a capture that it uses.
#[derive(Debug)]
pub struct Presence {
    /// Held for as long as the capture is used.
    pub mark: Option<Lock>,
    /// There are more marks than were read. Each start removes the marks of ended containers among those that it reads.
    pub has_unread_marks: bool,
}

impl Capture {
    pub fn open(path: &Path) -> io::Result<Capture> {
        let dir = Dir::open(path)?;
        let owner_and_group = owner_of(&dir)?;
        Ok(Capture { path: path.to_owned(), dir, owner_and_group, notes_parent: None, single_file: false })
    }

    /// Opens the directory of a login file that is a mount itself. Such a file cannot be replaced by rename(2) (EBUSY),
    /// and its directory is not ours: the bookkeeping goes to `notes`.
    pub fn of_single_file(path: &Path, notes: &Path) -> io::Result<Capture> {
        let parent = path.parent().unwrap_or(path);
        let dir = Dir::open(parent)?;
        let owner_and_group = owner_of(&dir)?;
        let notes_parent = Some(notes.to_owned());
        Ok(Capture { path: path.to_owned(), dir, owner_and_group, notes_parent, single_file: true })
    }

    /// A second handle for the same directory, whatever is at the path now.
    pub fn duplicate(&self) -> io::Result<Capture> {
        let (path, notes_parent) = (self.path.clone(), self.notes_parent.clone());
        Ok(Capture { path, dir: self.dir.duplicate()?, notes_parent, ..*self })
    }

    /// Opens the directory that is at the path now. A capture may be unmounted and mounted again, or removed and made
    /// again.
    pub fn reopen(&mut self) -> io::Result<()> {
        let dir = Dir::open(&self.directory())?;
        self.owner_and_group = owner_of(&dir)?;
        self.dir = dir;
        Ok(())
    }

    /// Whether the path still leads to the open directory. Always true for a single file: its mount stays in its
    /// directory. An agent can move that directory if it is in its HOME, and must not be able to make agent-init use
    /// another one.
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

    pub fn handle(&self) -> &Dir {
        &self.dir
    }

    /// The stored login. Files of the directory's owner, of root and of our own user are read.
    pub fn read(&self, rule: &SessionFile) -> LoginFile {
        file::login(&self.dir, rule, &self.owners(), true)
    }

    /// Whether the login file is the one that was read with this stamp. On a network file system, attributes may come
    /// from a cache that opening a file refreshes, so there the answer is no.
    pub fn is_unchanged(&self, rule: &SessionFile, stamp: FileStamp) -> bool {
        let found = self.dir.stat_entry(OsStr::new(&rule.file));
        found.is_ok_and(|found| FileStamp::from(found) == stamp) && watch::watches_all(&self.dir)
    }

    /// Like `read`, but waits if the file cannot be read for a moment. For a start.
    pub fn read_at_start(&self, rule: &SessionFile) -> LoginFile {
        file::login_at_start(&self.dir, rule, &self.owners(), true)
    }

    /// The owners whose files are read.
    pub(super) fn owners(&self) -> Owners {
        if self.single_file {
            Owners::Any
        } else {
            Owners::These(vec![self.owner_and_group.0, 0, privilege::current().0])
        }
    }

    /// The record of the login in this file. Empty if there is none or it does not parse. Fails if it cannot be read
    /// now: without it a spent login would look like a new one.
    pub fn record(&self, rule: &SessionFile) -> Result<Record, Unreadable> {
        Ok(self.record_file()?.record_of(&rule.file))
    }

    fn record_file(&self) -> Result<RecordFile, Unreadable> {
        let read = || untrusted::entry(&self.existing_notes()?, OsStr::new(RECORD), &Owners::Any);
        match read() {
            Ok(content) => Ok(limits::parse(&content.bytes).unwrap_or_default()),
            Err(why) if why.is_unknown() => Err(why),
            Err(_) => Ok(RecordFile::default()),
        }
    }

    pub fn record_path(&self) -> PathBuf {
        self.notes_path().join(RECORD)
    }

    /// How many containers use this capture now. Each holds a lock on a file of its own in `leases/`.
    pub fn users(&self) -> usize {
        let Ok(leases) = self.existing_notes().and_then(|notes| notes.sub(OsStr::new("leases"))) else { return 0 };
        let is_held = |name: &OsString| leases.file(name).and_then(lock::is_held).unwrap_or(false);
        let found = leases.names_up_to(MAX_ENTRIES, &|_| true).unwrap_or_default();
        found.names.iter().filter(|name| is_held(name)).count()
    }

    /// How many losing logins are kept.
    pub fn conflicts(&self) -> usize {
        let conflicts = self.existing_notes().and_then(|notes| notes.sub(OsStr::new("conflicts")));
        let is_kept = |name: &OsStr| !dir::is_temporary(name);
        conflicts
            .and_then(|conflicts| conflicts.names_up_to(MAX_ENTRIES, &is_kept))
            .map_or(0, |found| found.names.len())
    }

    pub fn conflicts_path(&self) -> PathBuf {
        self.notes_path().join("conflicts")
    }

    fn notes_path(&self) -> PathBuf {
        self.notes_parent.as_ref().unwrap_or(&self.path).join(BOOKKEEPING)
    }

    /// Cleans up after writers that were killed: removes temporary files, which hold logins, and completes a login file
    /// that is a mount and half written. Does nothing if somebody else holds the lock: it may be writing, and does this
    /// itself.
    pub fn sweep(&self, rule: &SessionFile) {
        let Ok(notes) = self.existing_notes() else { return };
        // Without a lock file nobody has ever written here.
        if notes.stat_entry(OsStr::new("lock")).is_err() {
            return;
        }
        let Ok(Some(_lock)) = self.lock() else { return };
        notes.sweep();
        if let Ok(conflicts) = notes.sub(OsStr::new("conflicts")) {
            conflicts.sweep();
        }
        if self.single_file {
            // On failure the next start tries again.
            let _ = self.complete_overwrite(rule, &notes);
        } else {
            self.dir.sweep();
        }
    }

    /// Completes a login file that a killed writer was overwriting. Needs the lock. The bookkeeping holds the complete
    /// login for as long as the file may be incomplete.
    fn complete_overwrite(&self, rule: &SessionFile, notes: &Dir) -> io::Result<()> {
        let Some(whole) = interrupted_write(notes, rule).filter(|whole| whole.state.login().is_some()) else {
            return Ok(());
        };
        match (self.read(rule).state, whole.bytes) {
            (LoginState::Damaged(_), Some(bytes)) => self.dir.overwrite(OsStr::new(&rule.file), &bytes)?,
            (LoginState::Valid(_), _) => {}
            _ => return Ok(()),
        }
        notes.remove(OsStr::new(COMPLETE_LOGIN))
    }

    /// The bookkeeping directory, if it exists.
    pub(super) fn existing_notes(&self) -> io::Result<Dir> {
        match &self.notes_parent {
            None => self.dir.sub(OsStr::new(BOOKKEEPING)),
            Some(parent) => Dir::open(&parent.join(BOOKKEEPING)),
        }
    }

    /// Whether a login can be stored.
    pub fn is_writable(&self, rule: &SessionFile) -> bool {
        if self.single_file { self.dir.may_write(OsStr::new(&rule.file)) } else { self.dir.is_writable() }
    }

    /// The lock that serialises writers of this capture. `None` if another container holds it.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        self.notes()?.lock(OsStr::new("lock"), self.attributes(0o666).owner)
    }

    /// The lease of this capture: its holder may let its agent refresh. `None` if another container has it, or an agent
    /// that uses the capture as its home is refreshing. `rule`: that agent's lock, if it has one. The directory of a
    /// single file is not shared with such an agent.
    pub fn lease(&self, rule: Option<&RefreshLockRule>) -> io::Result<Option<Lease>> {
        let owner = self.attributes(0o666).owner;
        let Some(flock) = self.notes()?.lock(OsStr::new("refresh"), owner)? else { return Ok(None) };
        match rule {
            Some(rule) if !self.single_file => Ok(Lease::of_runs_and_agents(flock, &self.dir, owner, rule)),
            _ => Ok(Some(Lease::of_runs(flock))),
        }
    }

    /// Marks the capture as used for as long as the lock in the mark is held. Removes the marks of containers that have
    /// ended.
    pub fn presence(&self) -> io::Result<Presence> {
        let leases = self.notes()?.make(OsStr::new("leases"), self.attributes(0o777))?;
        let owner = self.attributes(0o666).owner;
        let found = leases.names_up_to(MAX_ENTRIES, &|_| true)?;
        for name in found.names {
            // An entry that cannot be locked is not a mark, and does no harm.
            if leases.lock(&name, owner).is_ok_and(|lock| lock.is_some()) {
                let _ = leases.remove(&name);
            }
        }
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?.as_nanos();
        let mark = leases.lock(&OsString::from(format!("{nanos:x}-{}", process::id())), owner)?;
        Ok(Presence { mark, has_unread_marks: found.is_cut })
    }

    /// Stores the login of `bytes` durably: its synced keys, with the other keys of the stored file. Entries are merged;
    /// `entries` is their merge base. Needs the lock.
    ///
    /// After a failure the old file is still there. Only a mounted single file may be damaged by a failure half-way;
    /// the complete login is then in `recovery` in the bookkeeping.
    ///
    /// An agent that uses the directory as its home reads the file and writes it back with a change of its own. It does
    /// so under the lock of `exclusion`, which is held here too: one would undo the other's change. Returns false if
    /// somebody else holds it.
    pub fn put(
        &self,
        rule: &SessionFile,
        bytes: &[u8],
        history: &History,
        entries: &EntriesBase,
        exclusion: Option<&Exclusion<'_>>,
    ) -> io::Result<bool> {
        let exclusion = exclusion.filter(|_| !self.single_file);
        let write_lock = exclusion.map(|exclusion| self.dir.take_write_lock(exclusion));
        if matches!(write_lock, Some(Taken::Held)) && exclusion.is_some_and(|exclusion| exclusion.is_patient) {
            return Ok(false);
        }
        let there = if rule.synced_keys.is_empty() { None } else { self.read(rule).bytes };
        let merged = Document::with_other_keys_of(rule, bytes, there.as_ref().map(|there| there.as_slice()), entries);
        let bytes = merged.as_ref().map_or(bytes, |merged| merged.as_slice());
        // With the other keys, a login may be larger than it was. It must be readable.
        file::check_readable(rule, bytes)?;
        let name = OsStr::new(&rule.file);
        let notes = self.notes()?;
        // The record is written first. After a crash between the two writes it names a login that was not stored, which
        // does no harm. In the other order, a stored login would be missing in the record and look like another one.
        self.write_record(&notes, rule, history)?;
        if self.single_file {
            let whole = OsStr::new(COMPLETE_LOGIN);
            notes.write_whole(whole, bytes, self.attributes(0o600))?;
            self.dir.overwrite(name, bytes)?;
            notes.remove(whole)?;
        } else {
            let (dir, name) = self.target(name)?;
            dir.write_whole_staged_in(&notes, &name, bytes, self.attributes(0o600))?;
            dir.sync()?;
        }
        Ok(true)
    }

    /// The directory and name of the file to replace. An operator may have made the login file a link to another file in
    /// the capture: that one is replaced, because it would keep a spent token. Nothing outside of the capture is.
    fn target(&self, name: &OsStr) -> io::Result<(Dir, OsString)> {
        let here = || self.dir.sub_beneath(Path::new("."));
        if !self.dir.stat_entry(name).is_ok_and(|there| there.kind == Kind::Link) {
            return Ok((here()?, name.to_owned()));
        }
        let to = self.dir.read_link(name)?;
        let refused = || {
            io::Error::other(format!(
                "{} is a link to {}, which is not a file in this directory",
                name.display(),
                to.display()
            ))
        };
        let file = to.file_name().filter(|_| to.is_relative()).ok_or_else(refused)?;
        let dir = match to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => self.dir.sub_beneath(parent).map_err(|_| refused())?,
            None => here()?,
        };
        // A dangling link leads to a file that is made.
        match dir.stat_entry(file) {
            Ok(there) if there.kind != Kind::File => Err(refused()),
            _ => Ok((dir, file.to_owned())),
        }
    }

    /// Keeps a login that lost in `conflicts/`, and removes the oldest ones above the maximum number.
    pub fn keep_conflict(&self, rule: &SessionFile, bytes: &[u8]) -> io::Result<()> {
        keep_conflict(&self.notes()?, &rule.file, bytes, self.attributes(0o600))
    }

    fn write_record(&self, notes: &Dir, rule: &SessionFile, history: &History) -> io::Result<()> {
        let there = self.record_file().map_err(|why| io::Error::other(format!("{RECORD}: {why}")))?;
        let text = serde_json::to_vec_pretty(&there.with(&rule.file, history)).map_err(io::Error::other)?;
        notes.write_whole(OsStr::new(RECORD), &text, self.attributes(0o644))
    }

    pub(super) fn notes(&self) -> io::Result<Dir> {
        let attributes = self.attributes(0o755);
        match &self.notes_parent {
            None => self.dir.make(OsStr::new(BOOKKEEPING), attributes),
            Some(parent) => Dir::open(parent)?.make(OsStr::new(BOOKKEEPING), attributes),
        }
    }

    /// The owner of new files, if we may change owners.
    pub fn owner(&self) -> Option<(u32, u32)> {
        self.attributes(0).owner
    }

    /// New files belong to the directory's owner, if we may change owners.
    pub(super) fn attributes(&self, mode: u32) -> Attributes {
        let owner = (!self.single_file && privilege::may_chown()).then_some(self.owner_and_group);
        Attributes { mode, owner }
    }
}

/// The login that a killed writer was writing to a login file that is a mount, from the bookkeeping.
fn interrupted_write(notes: &Dir, rule: &SessionFile) -> Option<LoginFile> {
    let rule = SessionFile { file: COMPLETE_LOGIN.to_owned(), ..rule.clone() };
    let file = file::login(notes, &rule, &Owners::These(vec![privilege::current().0]), false);
    (file.state != LoginState::Absent).then_some(file)
}

/// The same, from the bookkeeping below the state directory.
pub fn interrupted_write_at(state_dir: &Path, rule: &SessionFile) -> Option<LoginFile> {
    let notes = Dir::open(&state_dir.join(BOOKKEEPING)).ok()?;
    interrupted_write(&notes, rule).filter(|whole| whole.state.login().is_some())
}

fn owner_of(dir: &Dir) -> io::Result<(u32, u32)> {
    let stat = dir.stat()?;
    Ok((stat.uid, stat.gid))
}

/// Makes an agent's directory below a capture root, with the root's owner. Does nothing if it exists.
pub fn make(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let root = Dir::open(parent)?;
    match root.stat_entry(name) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let root_owner = owner_of(&root)?;
            let owner = privilege::may_chown().then_some(root_owner);
            root.make(name, Attributes { mode: 0o700, owner }).map(drop)
        }
        Err(error) => Err(error),
    }
}

/// Keeps a file that lost under `conflicts/` in `parent`, and removes the oldest ones above the maximum number. The age
/// is the number in front of a file's name, because a clock may be years behind. The new file is never removed. Fails
/// only if the file was not kept.
pub fn keep_conflict(parent: &Dir, file: &str, bytes: &[u8], attributes: Attributes) -> io::Result<()> {
    let conflicts = parent.make(OsStr::new("conflicts"), Attributes { mode: 0o700, owner: attributes.owner })?;
    let mut others = conflicts.names()?;
    others.retain(|name| !dir::is_temporary(name));
    others.sort_by_key(|name| sequence_number(name));
    let number = others.last().map_or(0, |last| sequence_number(last)).saturating_add(1);
    let time = humantime::format_rfc3339_nanos(SystemTime::now());
    let kept = OsString::from(format!("{number:0MIN_DIGITS$}-{time}-{file}"));
    conflicts.write_whole(&kept, bytes, attributes)?;
    others.retain(|name| *name != kept);
    for oldest in others.iter().take((others.len() + 1).saturating_sub(MAX_CONFLICTS)) {
        // If one cannot be removed, there is one too many. Failing here would lose the login.
        let _ = conflicts.remove(oldest);
    }
    Ok(())
}

/// The number in front of a kept file's name. Versions before 0.2 wrote none: their names begin with a year.
fn sequence_number(name: &OsStr) -> u64 {
    let number = name.to_str().and_then(|name| name.split('-').next()).filter(|number| number.len() >= MIN_DIGITS);
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
    fn put_keeps_other_keys_and_records_the_login() {
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        std::fs::write(temp.path().join("login.json"), r#"{"oauth":{"access":"FAKE-old"},"theirs":1}"#).unwrap();
        let new = r#"{"oauth":{"access":"FAKE-new"},"mine":2}"#;
        let login = Document::parse(new.as_bytes(), rule().format).unwrap().login(&rule()).unwrap();
        let mut history = History::default();
        history.push(login.digest);
        capture.put(&rule(), new.as_bytes(), &history, &EntriesBase::default(), None).unwrap();
        let stored: serde_json::Value =
            serde_json::from_slice(&std::fs::read(temp.path().join("login.json")).unwrap()).unwrap();
        assert_eq!(stored, json!({ "oauth": { "access": "FAKE-new" }, "theirs": 1 }));
        assert!(capture.record(&rule()).unwrap().history.contains(login.digest));
    }

    #[test]
    fn other_entries_do_not_hide_a_mark() {
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        let leases = temp.path().join(BOOKKEEPING).join("leases");
        std::fs::create_dir_all(leases.join("directory")).unwrap();
        std::os::unix::fs::symlink("/nosuch", leases.join("link")).unwrap();
        std::fs::write(leases.join("ended"), "").unwrap();
        let held = capture.presence().unwrap();
        assert!(held.mark.is_some() && !held.has_unread_marks && !leases.join("ended").exists());
        assert_eq!(capture.users(), 1);
    }

    #[test]
    fn marks_of_ended_containers_are_removed_in_parts() {
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        let leases = temp.path().join(BOOKKEEPING).join("leases");
        std::fs::create_dir_all(&leases).unwrap();
        (0..MAX_ENTRIES + 44).for_each(|number| std::fs::write(leases.join(number.to_string()), "").unwrap());
        let first = capture.presence().unwrap();
        assert!(first.has_unread_marks);
        // 44 marks that were not read, and ours.
        assert_eq!(std::fs::read_dir(&leases).unwrap().count(), 45);
        drop(first);
        assert!(!capture.presence().unwrap().has_unread_marks);
        assert_eq!(std::fs::read_dir(&leases).unwrap().count(), 1);
    }

    #[test]
    fn a_login_too_large_to_be_read_is_not_stored() {
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        let stored = r#"{"oauth":{"access":"FAKE-old"},"theirs":"a sibling of some length"}"#;
        std::fs::write(temp.path().join("login.json"), stored).unwrap();
        let pad = "x".repeat(usize::try_from(LIMIT).unwrap() - 64);
        let large = format!(r#"{{"oauth":{{"access":"FAKE-new","pad":"{pad}"}}}}"#);
        assert!(large.len() as u64 <= LIMIT);
        assert!(capture.put(&rule(), large.as_bytes(), &History::default(), &EntriesBase::default(), None).is_err());
        assert_eq!(std::fs::read_to_string(temp.path().join("login.json")).unwrap(), stored);
    }

    #[test]
    fn a_single_file_keeps_its_inode_and_directory() {
        use std::os::unix::fs::MetadataExt;
        let temp = tempfile::tempdir().unwrap();
        let notes = tempfile::tempdir().unwrap();
        let file = temp.path().join("login.json");
        std::fs::write(&file, r#"{"oauth":{"access":"FAKE-a-long-old-token"}}"#).unwrap();
        let before = std::fs::metadata(&file).unwrap().ino();
        let capture = Capture::of_single_file(&file, notes.path()).unwrap();
        capture
            .put(&rule(), br#"{"oauth":{"access":"FAKE-n"}}"#, &History::default(), &EntriesBase::default(), None)
            .unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().ino(), before);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"oauth":{"access":"FAKE-n"}}"#);
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
        assert!(!notes.path().join(BOOKKEEPING).join("recovery").exists());
    }

    #[test]
    fn conflicts_are_limited_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        for number in 0..MAX_CONFLICTS + 3 {
            capture.keep_conflict(&rule(), format!("FAKE-{number}").as_bytes()).unwrap();
        }
        let conflicts = temp.path().join(BOOKKEEPING).join("conflicts");
        assert!(std::fs::read_dir(&conflicts).unwrap().count() <= MAX_CONFLICTS);
        for number in 0..MAX_CONFLICTS {
            std::fs::create_dir(conflicts.join(format!("0{number}"))).unwrap();
        }
        capture.keep_conflict(&rule(), b"FAKE-beside-what-is-no-file").unwrap();
        assert_eq!(std::fs::metadata(conflicts).unwrap().permissions().mode() & 0o777, 0o700);
    }

    /// Whatever the other names are: from a clock that was ahead, from a version without numbers, or made by somebody
    /// else.
    #[test]
    fn the_newest_conflict_is_never_removed() {
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
            for number in 0..=MAX_CONFLICTS {
                std::fs::write(conflicts.join(name(number)), "FAKE-other").unwrap();
            }
            for round in 0..MAX_CONFLICTS + 2 {
                let text = format!("FAKE-{round}");
                keep_conflict(&parent, "login.json", text.as_bytes(), Attributes { mode: 0o600, owner: None }).unwrap();
                let all: Vec<String> = std::fs::read_dir(&conflicts)
                    .unwrap()
                    .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
                    .collect();
                assert!(all.contains(&text), "{}: round {round}: {all:?}", name(0));
                assert_eq!(all.len(), MAX_CONFLICTS, "{}", name(0));
            }
        }
    }

    #[test]
    fn the_oldest_by_number_goes_first() {
        let temp = tempfile::tempdir().unwrap();
        let parent = Dir::open(temp.path()).unwrap();
        for round in 0..MAX_CONFLICTS + 3 {
            let text = format!("FAKE-{round}");
            keep_conflict(&parent, "login.json", text.as_bytes(), Attributes { mode: 0o600, owner: None }).unwrap();
        }
        let names = parent.sub("conflicts".as_ref()).unwrap().names().unwrap();
        let first = std::fs::read_to_string(temp.path().join("conflicts").join(&names[0])).unwrap();
        assert_eq!((names.len(), first.as_str()), (MAX_CONFLICTS, "FAKE-3"));
    }
}
