//! `history.jsonl`: what happened to the logins of a capture, one JSON object a line. It is not secret.
//!
//! It answers "who used the refresh token?", so it is written as events happen and is never needed: a line that cannot
//! be written is left out, and a line that does not parse is skipped.

use std::ffi::OsStr;
use std::io;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::fs::untrusted::{self, Owners, Unreadable};
use crate::log::event::EventKey;
use crate::login::{Digest, limits};
use crate::store::directory::Capture;
use crate::sys::process;
use crate::words::spelling::Words;

pub const FILE: &str = "history.jsonl";

/// How many events are kept.
pub const MAX_EVENTS: usize = 1000;

/// The file is shortened to the newest events once it is larger than this. An event takes about 250 bytes.
const MAX_SIZE: u64 = 512 << 10;

/// The maximum length of a name or word in an event. A host name has at most 64 bytes.
const MAX_WORD: usize = 128;

/// No line of ours is longer.
const MAX_LINE: usize = 1024;

/// How many hexadecimal digits of a digest are shown. They tell the versions of a login apart, and nothing else.
const PREFIX: usize = 12;

/// The process that writes: which container, and which run in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The host name, which Docker and Kubernetes make the container's id or the pod's name.
    pub container: String,
    /// Tells runs with the same host name apart.
    pub run: String,
    /// The command: `run`, `keep` or `setup`.
    pub command: &'static str,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of the form.
    pub v: u32,
    /// RFC 3339, UTC.
    pub at: String,
    pub container: String,
    pub run: String,
    pub command: String,
    pub agent: String,
    /// A word of [`EventKey`], or of a later version's.
    pub event: String,
    /// The beginning of the digest of the login that was there before.
    pub before: Option<String>,
    /// The same of the login that is there now.
    pub after: Option<String>,
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// The newest last.
    pub events: Vec<Event>,
    /// How many lines do not parse.
    pub damaged: usize,
}

impl Author {
    /// This process.
    pub fn here(command: &'static str) -> Author {
        let container = process::host_name();
        let id = Digest::of_parts(&[container.as_bytes(), process::identity().as_bytes()]);
        Author { run: beginning(id, 8), container, command }
    }
}

impl Event {
    pub fn now(author: &Author, agent: &str, event: EventKey, before: Option<Digest>, after: Option<Digest>) -> Event {
        Event {
            v: 1,
            at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            container: author.container.clone(),
            run: author.run.clone(),
            command: author.command.to_owned(),
            agent: agent.to_owned(),
            event: event.word().to_owned(),
            before: before.map(|digest| beginning(digest, PREFIX)),
            after: after.map(|digest| beginning(digest, PREFIX)),
        }
    }

    /// Whether it looks like one of ours, or of a later version. Others may be able to write to the file.
    fn is_plausible(&self) -> bool {
        let is_digest = |text: &String| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let words = [&self.container, &self.run, &self.command, &self.agent, &self.event];
        humantime::parse_rfc3339(&self.at).is_ok()
            && words.iter().all(|word| word.len() <= MAX_WORD)
            && self.before.iter().chain(&self.after).all(is_digest)
    }
}

fn beginning(digest: Digest, digits: usize) -> String {
    digest.to_string().chars().skip("sha256:".len()).take(digits).collect()
}

impl Journal {
    /// Pure. The newest events of a file.
    pub fn parse(text: &[u8]) -> Journal {
        let mut journal = Journal::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match limits::parse::<Event>(line) {
                Ok(event) if event.is_plausible() => journal.events.push(event),
                _ => journal.damaged += 1,
            }
        }
        journal.events.drain(..journal.events.len().saturating_sub(MAX_EVENTS));
        journal
    }

    fn text(&self) -> Vec<u8> {
        self.events.iter().filter_map(|event| line(event).ok()).flatten().collect()
    }
}

fn line(event: &Event) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(event).map_err(io::Error::other)?;
    line.push(b'\n');
    if line.len() > MAX_LINE { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(line) }
}

impl Capture {
    /// Adds an event. With the lock of the capture held, a file that has become large is shortened.
    pub fn note(&self, event: &Event, is_locked: bool) -> io::Result<()> {
        let (notes, attributes) = (self.notes()?, self.attributes(0o644));
        let size = notes.append(OsStr::new(FILE), &line(event)?, attributes)?;
        if !is_locked || size <= MAX_SIZE {
            return Ok(());
        }
        // A file that is too large to be read holds something else.
        let journal = self.journal().unwrap_or_default();
        notes.write_whole(OsStr::new(FILE), &journal.text(), attributes)
    }

    /// The events. There are none if there is no file yet.
    pub fn journal(&self) -> Result<Journal, Unreadable> {
        let read = || untrusted::entry(&self.existing_notes()?, OsStr::new(FILE), &Owners::Any);
        match read() {
            Ok(content) => Ok(Journal::parse(&content.bytes)),
            Err(Unreadable::Missing) => Ok(Journal::default()),
            Err(why) => Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author() -> Author {
        Author { container: "web-1".to_owned(), run: "0badcafe".to_owned(), command: "run" }
    }

    fn digest(number: u64) -> Digest {
        Digest::parse(&format!("sha256:{number:032x}{number:032x}")).unwrap()
    }

    fn published(number: u64) -> Event {
        Event::now(&author(), "an-agent", EventKey::Published, Some(digest(number)), Some(digest(number + 1)))
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        assert_eq!(capture.journal().unwrap(), Journal::default());
        let events = [published(1), published(2)];
        for event in &events {
            capture.note(event, false).unwrap();
        }
        assert_eq!(capture.journal().unwrap(), Journal { events: events.to_vec(), damaged: 0 });
    }

    #[test]
    fn a_line_that_does_not_parse_is_skipped() {
        let whole = String::from_utf8(line(&published(1)).unwrap()).unwrap();
        let later = whole.replace("\"v\":1", "\"v\":2,\"new\":[1]").replace("published", "a-new-word");
        let implausible = [("published", "x".repeat(129)), ("0000", "secret".to_owned()), ("web-1", "x".repeat(400))];
        for (from, to) in implausible {
            let line = whole.replace(from, &to);
            assert_eq!(Journal::parse(line.as_bytes()), Journal { events: Vec::new(), damaged: 1 }, "{line}");
        }
        let text = format!("{whole}{{\"v\":1,\"at\":\nnot JSON\n[]\n\n{whole}{later}{}", &whole[..40]);
        let journal = Journal::parse(text.as_bytes());
        assert_eq!((journal.events.len(), journal.damaged), (3, 4));
        assert_eq!(journal.events[2].event, "a-new-word");
        assert_eq!(Journal::parse(b"\xff\n\0"), Journal { events: Vec::new(), damaged: 2 });
    }

    #[test]
    fn a_large_file_is_shortened_to_the_newest_events() {
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        let size = || std::fs::metadata(temp.path().join(".agent-init").join(FILE)).unwrap().len();
        capture.note(&published(0), true).unwrap();
        let mut lines = 1;
        while size() < MAX_SIZE {
            capture.note(&published(lines), false).unwrap();
            lines += 1;
        }
        assert!(lines > MAX_EVENTS as u64);
        let last = published(lines);
        capture.note(&last, true).unwrap();
        let journal = capture.journal().unwrap();
        assert_eq!((journal.events.len(), journal.events.last()), (MAX_EVENTS, Some(&last)));
        assert!(size() < MAX_SIZE);
    }

    #[test]
    fn nothing_but_a_file_of_ours_is_written_to() {
        use std::os::unix::fs::symlink;
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        let notes = temp.path().join(".agent-init");
        std::fs::create_dir(&notes).unwrap();
        let other = temp.path().join("other");
        std::fs::write(&other, "other").unwrap();
        let plants: [&dyn Fn(&std::path::Path); 4] = [
            &|at| symlink(&other, at).unwrap(),
            &|at| std::fs::hard_link(&other, at).unwrap(),
            &|at| std::fs::create_dir(at).unwrap(),
            &|at| drop(std::os::unix::net::UnixListener::bind(at).unwrap()),
        ];
        for (number, plant) in plants.iter().enumerate() {
            let at = notes.join(FILE);
            plant(&at);
            assert!(capture.note(&published(1), true).is_err(), "{number}");
            assert_eq!(std::fs::read_to_string(&other).unwrap(), "other", "{number}");
            std::fs::remove_file(&at).or_else(|_| std::fs::remove_dir(&at)).unwrap();
        }
    }
}
