//! One agent's login on its way: the working copy at one end, the store at the other.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::agent::Definition;
use crate::agent::definition::SessionFile;
use crate::credential::{Document, Login};
use crate::report::Message;
use crate::state::Served;
use crate::store::Capture;
use crate::workcopy::WorkingCopy;
use crate::workcopy::read::{self, Copy, reason};

use super::lineage::Lineage;
use super::reconcile::{Base, Outcome, Version, reconcile};

/// A file that does not parse may be in the middle of a write: it is damaged only after so long.
const TORN: Duration = Duration::from_millis(500);
/// Between two looks at such a file, and between two tries to lock.
const AGAIN: Duration = Duration::from_millis(20);
/// Between two tries to publish when the store refuses.
const RETRY: Duration = Duration::from_secs(10);

/// When a link wants its next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When something happens.
    Rest,
    /// At this moment.
    At(Instant),
}

/// One link.
pub struct Link {
    /// The agent's name.
    pub agent: String,
    /// Changes are carried as they happen; else at the end only.
    pub live: bool,
    /// When the next turn is due.
    pub due: Option<Instant>,
    rule: SessionFile,
    intent: Option<String>,
    working: WorkingCopy,
    capture: Capture,
    base: Option<Base>,
    lineage: Lineage,
    /// The stored login is replaced by another one at the start, and kept.
    replaces: bool,
    /// Since when one side does not parse.
    torn_since: Option<Instant>,
    /// The pair of versions that was last dealt with: a conflict is kept once, not at every event.
    settled: Option<(Version, Version)>,
    last: Option<&'static str>,
    last_warning: Option<String>,
    is_retry: bool,
}

/// Why an exchange did not come to its end.
enum Trouble {
    /// Another container is writing.
    Busy,
    /// The kernel says no.
    Failed(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Failed(reason(&error))
    }
}

impl Link {
    /// A link for the session of `definition`. `base`: what is agreed. `replaces`: what is stored is another login, which
    /// is replaced and kept.
    #[must_use]
    pub fn new(
        definition: &Definition,
        rule: SessionFile,
        working: WorkingCopy,
        capture: Capture,
        base: Option<Base>,
        replaces: bool,
        live: bool,
    ) -> Link {
        let mut lineage = capture.record().lineage;
        if let Some(base) = base.filter(|_| lineage.is_empty()) {
            lineage.push(base.digest);
        }
        Link {
            agent: definition.name.clone(),
            live,
            due: None,
            rule,
            intent: definition.refresh_lock.as_ref().map(|lock| lock.intent.clone()),
            working,
            capture,
            base,
            lineage,
            replaces,
            torn_since: None,
            settled: None,
            last: None,
            last_warning: None,
            is_retry: false,
        }
    }

    /// The directories whose entries matter.
    #[must_use]
    pub fn directories(&self) -> [PathBuf; 2] {
        [self.working.path.clone(), self.capture.directory()]
    }

    /// An entry of one of the directories changed.
    pub fn happened(&mut self, name: &OsStr, now: Instant) {
        if name == OsStr::new(&self.rule.file) {
            self.due = Some(now);
        }
    }

    /// Whether the agent is in the middle of a refresh.
    #[must_use]
    pub fn is_refreshing(&self) -> bool {
        self.intent.as_ref().is_some_and(|intent| self.working.dir.stat_entry(OsStr::new(intent)).is_ok())
    }

    /// Whether the next turn is one that waiting helps: not a retry of what the store refused.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.due.is_some() && !self.is_retry
    }

    /// What the state file remembers.
    pub fn remember(&self, served: &mut Served) {
        if let Some(base) = self.base {
            served.agree(base);
        }
        served.last = self.last.map(str::to_owned);
    }

    /// The directory of one end has gone.
    #[must_use]
    pub fn lost(&self) -> Message {
        let text = format!(
            "{}: a directory of the login was removed or unmounted: the login is carried back at the end only",
            self.agent
        );
        Message::warning(text)
    }

    /// The last exchange did not succeed.
    #[must_use]
    pub fn unfinished(&self) -> Message {
        let text = format!(
            "{}: the login in {} was not carried back to {}",
            self.agent,
            self.working.path.display(),
            self.capture.path.display()
        );
        Message {
            level: crate::report::Level::Error,
            text,
            hint: Some("it is lost with this container unless you copy it out".to_owned()),
        }
    }

    /// Compares both ends and does what the table says.
    pub fn exchange(&mut self, now: Instant) -> (Vec<Message>, Next) {
        let mut messages = Vec::new();
        self.is_retry = false;
        let next = match self.try_exchange(now, &mut messages) {
            Ok(next) => next,
            Err(Trouble::Busy) => Next::At(now + AGAIN),
            Err(Trouble::Failed(why)) => {
                let text = format!("{}: cannot carry the login to {}: {why}", self.agent, self.capture.path.display());
                if self.last_warning.as_ref() != Some(&text) {
                    self.last_warning = Some(text.clone());
                    let hint = "it stays in the working copy, and is tried again as long as this container runs";
                    messages.push(Message::warning(text).hint(hint));
                }
                self.last = Some("failed");
                self.is_retry = true;
                Next::At(now + RETRY)
            }
        };
        (messages, next)
    }

    fn try_exchange(&mut self, now: Instant, messages: &mut Vec<Message>) -> Result<Next, Trouble> {
        let (working, stored) = self.read();
        if self.settled.as_ref() == Some(&(working.version.clone(), stored.version.clone())) {
            return Ok(Next::Rest);
        }
        let is_damaged = |copy: &Copy| matches!(copy.version, Version::Damaged(_));
        if is_damaged(&working) || is_damaged(&stored) {
            let since = *self.torn_since.get_or_insert(now);
            if now < since + TORN {
                return Ok(Next::At(now + AGAIN));
            }
        }
        self.torn_since = None;
        let outcome = reconcile(self.base, &working.version, &stored.version, &self.lineage);
        if matches!(outcome, Outcome::Unchanged | Outcome::LoggedOut | Outcome::Damaged) {
            self.nothing_travels(outcome, &working, messages);
            self.settled = Some((working.version, stored.version));
            return Ok(Next::Rest);
        }
        let _lock = self.capture.lock()?.ok_or(Trouble::Busy)?;
        // Another container may have published before we had the lock.
        let (working, stored) = self.read();
        self.lineage = merged(&self.lineage, self.capture.record().lineage);
        let outcome = reconcile(self.base, &working.version, &stored.version, &self.lineage);
        self.carry(outcome, &working, &stored, messages)?;
        self.last_warning = None;
        let (working, stored) = self.read();
        self.settled = Some((working.version, stored.version));
        Ok(Next::Rest)
    }

    fn read(&self) -> (Copy, Copy) {
        (read::login(&self.working.dir, &self.rule, &self.working.owners(), false), self.capture.read(&self.rule))
    }

    fn nothing_travels(&mut self, outcome: Outcome, working: &Copy, messages: &mut Vec<Message>) {
        match outcome {
            Outcome::Unchanged => {
                self.last.get_or_insert("unchanged");
                if let Some(login) = working.version.login() {
                    // Both ends may have come to the same login by themselves.
                    self.base = Some(Base::from(login));
                }
            }
            Outcome::LoggedOut => {
                self.last = Some("logged-out");
                let text =
                    format!("{}: the agent's login is blank or gone; the captured one stays as it is", self.agent);
                let hint = "someone logged out, or the vendor refused a refresh: log in again with a setup container";
                messages.push(Message::warning(text).hint(hint));
            }
            _ => {
                self.last = Some("torn");
                if let Version::Damaged(why) = &working.version {
                    let text = format!(
                        "{}: {} is not carried back: {why}",
                        self.agent,
                        self.working.path.join(&self.rule.file).display()
                    );
                    messages.push(Message::warning(text));
                }
            }
        }
    }

    /// With the lock held.
    fn carry(
        &mut self,
        outcome: Outcome,
        working: &Copy,
        stored: &Copy,
        messages: &mut Vec<Message>,
    ) -> Result<(), Trouble> {
        match (outcome, working.version.login(), stored.version.login()) {
            (Outcome::Publish { keep_other }, Some(ours), _) => {
                if keep_other || self.replaces {
                    self.keep(stored)?;
                }
                self.publish(ours, working, messages)
            }
            (Outcome::Adopt { keep_other }, _, Some(theirs)) => {
                if keep_other {
                    self.keep(working)?;
                }
                self.adopt(theirs, working, stored, messages)
            }
            (Outcome::Kept, Some(_), Some(_)) => {
                self.keep(working)?;
                self.last = Some("kept");
                let text = format!(
                    "{}: {} holds another account's login: it stays, and ours is kept under conflicts/",
                    self.agent,
                    self.capture.path.display()
                );
                messages.push(Message::warning(text).hint("give each account a capture of its own"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn publish(&mut self, ours: &Login, working: &Copy, messages: &mut Vec<Message>) -> Result<(), Trouble> {
        let Some(bytes) = &working.bytes else { return Ok(()) };
        let mut lineage = self.lineage.clone();
        lineage.push(ours.digest);
        self.capture.put(&self.rule, bytes, &lineage)?;
        self.lineage = lineage;
        self.base = Some(Base::from(ours));
        self.replaces = false;
        self.last = Some("published");
        messages.push(Message::detail(format!(
            "{}: published the login to {}",
            self.agent,
            self.capture.path.display()
        )));
        Ok(())
    }

    fn adopt(
        &mut self,
        theirs: &Login,
        working: &Copy,
        stored: &Copy,
        messages: &mut Vec<Message>,
    ) -> Result<(), Trouble> {
        let Some(bytes) = &stored.bytes else { return Ok(()) };
        let merged = self.beside_siblings(bytes, working);
        let bytes = merged.as_ref().map_or(bytes.as_slice(), |merged| merged.as_slice());
        self.working.write(&self.rule.file, bytes).map_err(|error| Trouble::Failed(format!("{error:#}")))?;
        self.lineage.push(theirs.digest);
        self.base = Some(Base::from(theirs));
        self.last = Some("adopted");
        messages.push(Message::detail(format!(
            "{}: adopted the login from {}",
            self.agent,
            self.capture.path.display()
        )));
        Ok(())
    }

    /// What the agent keeps beside its login stays the agent's.
    fn beside_siblings(&self, bytes: &[u8], working: &Copy) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        if self.rule.travels.is_empty() {
            return None;
        }
        let there = Document::parse(working.bytes.as_ref()?, self.rule.format).ok()?;
        Some(Document::parse(bytes, self.rule.format).ok()?.merged_into(&there, &self.rule))
    }

    fn keep(&self, copy: &Copy) -> Result<(), Trouble> {
        match &copy.bytes {
            Some(bytes) => Ok(self.capture.keep_conflict(&self.rule, bytes)?),
            None => Ok(()),
        }
    }
}

/// Our line and the one that others wrote: theirs, unless it is not there.
fn merged(ours: &Lineage, recorded: Lineage) -> Lineage {
    if recorded.is_empty() { ours.clone() } else { recorded }
}
