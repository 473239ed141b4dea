//! One agent's login on its way: the working copy at one end, the store at the other.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::agent::definition::{RefreshLock, SessionFile};
use crate::credential::{Document, Login};
use crate::report::{Level, Message};
use crate::state::Served;
use crate::store::{Capture, Recovery};
use crate::sys::dir::Lock;
use crate::workcopy::WorkingCopy;
use crate::workcopy::read::{self, Copy, Mark, reason};

use super::gate::Gate;
use super::lineage::Lineage;
use super::reconcile::{self, Base, Outcome, Version, reconcile};

/// A file that does not parse, or is not there, may be in the middle of a write: it counts only after so long.
const TORN: Duration = Duration::from_millis(500);
/// Between two looks at such a file, and between two tries to lock.
const AGAIN: Duration = Duration::from_millis(20);
/// Between two tries to publish when the store refuses.
const RETRY: Duration = Duration::from_secs(10);

/// What a link is made of.
pub struct Ends {
    /// The agent's name.
    pub agent: String,
    /// What a login of it is.
    pub rule: SessionFile,
    /// How it shows that it refreshes.
    pub refresh_lock: Option<RefreshLock>,
    /// Where the agent has its login.
    pub working: WorkingCopy,
    /// Where the login lives.
    pub capture: Capture,
    /// What is agreed.
    pub base: Option<Base>,
    /// What is stored is another login, which is replaced and kept.
    pub replaces: bool,
    /// Somebody is to log in here: until they have, nothing is adopted and nothing is written to the store, not even a
    /// note; their login then replaces what is stored, and from there on it is a login like any other.
    pub anew: bool,
    /// Changes are carried as they happen; else at the end only.
    pub live: bool,
    /// Where a login is kept that the store refuses.
    pub recovery: Recovery,
    /// That the store refuses was said already.
    pub refusal_is_known: bool,
}

impl Ends {
    /// The agent's refresh lock, where containers can take turns: live, and on a capture that can be written.
    fn gate(&self) -> Option<Gate> {
        let rule = self.refresh_lock.as_ref().filter(|_| self.live && !self.refusal_is_known)?;
        // Without it the agent refreshes when it likes, as it would without us.
        Gate::new(rule, &self.working.dir, &self.working.path).ok()
    }
}

/// One link.
pub struct Link {
    ends: Ends,
    lineage: Lineage,
    gate: Option<Gate>,
    /// Held for as long as we use the capture.
    _presence: Option<Lock>,
    due: Option<Instant>,
    /// Waiting helps nobody: the store refused.
    refused: bool,
    /// Since when one side does not parse, and what the agent's file was then.
    torn: Option<(Instant, Option<Mark>)>,
    /// The pair of versions that was last dealt with: a conflict is kept once, not at every event.
    settled: Option<(Version, Version)>,
    last: Option<&'static str>,
    /// A login of this working copy was stored.
    has_published: bool,
    /// What the last exchange carried.
    carried: Option<&'static str>,
    outbox: Vec<Message>,
    said: Vec<String>,
}

/// Why an exchange did not come to its end.
enum Trouble {
    /// Another container is writing.
    Busy,
    /// One side does not parse, and may yet.
    Torn,
    /// The kernel says no.
    Failed(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Failed(reason(&error))
    }
}

impl Link {
    /// A link between these ends.
    #[must_use]
    pub fn new(ends: Ends) -> Link {
        let mut lineage = ends.capture.record().lineage;
        if let Some(base) = ends.base.filter(|_| lineage.is_empty()) {
            lineage.push(base.digest);
        }
        Link {
            gate: ends.gate(),
            // A mark that can not be made is missed by `status` alone.
            _presence: if ends.anew { None } else { ends.capture.presence().ok().flatten() },
            ends,
            lineage,
            due: None,
            refused: false,
            torn: None,
            settled: None,
            last: None,
            has_published: false,
            carried: None,
            outbox: Vec::new(),
            said: Vec::new(),
        }
    }

    /// The agent's name.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.ends.agent
    }

    /// Whether a login of this working copy was stored.
    #[must_use]
    pub fn has_published(&self) -> bool {
        self.has_published
    }

    /// The directories whose entries matter, if changes are carried as they happen.
    #[must_use]
    pub fn watched_directories(&self) -> Vec<PathBuf> {
        let both = || vec![self.ends.working.path.clone(), self.ends.capture.directory()];
        if self.ends.live { both() } else { Vec::new() }
    }

    /// When the next turn is due.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let gate = self.gate.as_ref().and_then(|gate| gate.deadline(now));
        self.due.into_iter().chain(gate).min()
    }

    /// When an exchange is due that waiting would help.
    #[must_use]
    pub fn worth_waiting_for(&self) -> Option<Instant> {
        self.due.filter(|_| !self.refused)
    }

    /// Asks for a turn.
    pub fn ask(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// An entry of one of the directories changed.
    pub fn entry_changed(&mut self, name: &OsStr, now: Instant) {
        if name == OsStr::new(&self.ends.rule.file) {
            self.ask(now);
        }
        if let Some(gate) = self.gate.as_mut().filter(|gate| gate.is_intent(name)) {
            // The intent's end may come with its beginning: the lease is asked for once, for a second lock of our own
            // would be refused as anybody's.
            let was_asked = gate.is_asked();
            gate.asked();
            if gate.is_asked() && !was_asked {
                match self.ends.capture.lease() {
                    Ok(Some(lease)) => gate.granted(lease),
                    Ok(None) => gate.refused(),
                    // A capture without locks: nobody can take turns there, and nobody shall wait.
                    Err(_) => {}
                }
                self.ask(now);
            }
        }
    }

    /// A stop has begun.
    pub fn ending(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.ending();
        }
    }

    /// Whether the agent is in the middle of a refresh.
    #[must_use]
    pub fn is_refreshing(&self) -> bool {
        if let Some(gate) = &self.gate {
            return gate.is_refreshing();
        }
        let intent = self.ends.refresh_lock.as_ref().map(|lock| OsStr::new(&lock.intent));
        intent.is_some_and(|intent| self.ends.working.dir.stat_entry(intent).is_ok())
    }

    /// What the state file remembers.
    pub fn remember(&self, served: &mut Served) {
        served.came_to(self.ends.base, self.last);
    }

    /// What there is to say since the last call.
    pub fn messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.outbox)
    }

    /// The directory of one end has gone.
    pub fn directory_gone(&mut self) {
        let agent = &self.ends.agent;
        let text = format!(
            "{agent}: a directory of the login was removed or unmounted: the login is carried back at the end only"
        );
        self.say_once(Message::warning(text));
    }

    fn give_up(&mut self) {
        let (agent, from, to) = (&self.ends.agent, self.ends.working.path.display(), self.ends.capture.path.display());
        let text = format!("{agent}: the login in {from} was not carried back to {to}");
        let kept = self.ends.recovery.directory();
        let hint = Some(format!("a copy is in {}: a next start of this container publishes it", kept.display()));
        self.outbox.push(Message { level: Level::Error, text, hint });
    }

    /// Does what is due: an exchange, and what the turn to refresh asks for. `agent_lives`: the working copy may be in the
    /// middle of a write.
    pub fn turn(&mut self, now: Instant, agent_lives: bool) {
        if self.due.is_some_and(|due| due <= now) {
            self.exchange(now, agent_lives);
        }
        if let Some(gate) = &mut self.gate
            && let Err(error) = gate.tend(now)
        {
            self.shut_no_more(&error);
        }
    }

    /// The end: no agent of this container lives, and no other turn comes.
    pub fn finish(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.remove();
        }
        // Whoever logs in at a terminal is told there.
        if self.due.is_some() && !self.ends.anew {
            self.give_up();
        }
    }

    /// The agent's lock can not be held or opened: from now on it refreshes when it likes, as it would without us.
    fn shut_no_more(&mut self, error: &io::Error) {
        let text = format!("{}: cannot take turns at refreshing: {}", self.ends.agent, reason(error));
        self.say_once(Message::warning(text).hint("containers that share this login may refresh at the same time"));
        if let Some(mut gate) = self.gate.take() {
            gate.remove();
        }
    }

    /// Compares both ends and does what the table says.
    fn exchange(&mut self, now: Instant, agent_lives: bool) {
        self.carried = None;
        let exchanged = self.try_exchange(now, agent_lives);
        self.refused = matches!(exchanged, Err(Trouble::Failed(_)));
        let is_compared = !matches!(exchanged, Err(Trouble::Busy | Trouble::Torn));
        if let Some(gate) = &mut self.gate {
            if self.carried == Some("published") {
                gate.renewed();
            }
            if gate.is_asked()
                && is_compared
                && let Err(error) = gate.compared(now, self.carried == Some("adopted"))
            {
                self.shut_no_more(&error);
            }
        }
        self.due = match exchanged {
            Ok(()) => None,
            Err(Trouble::Busy | Trouble::Torn) => Some(now + AGAIN),
            Err(Trouble::Failed(why)) => {
                self.last = Some("failed");
                self.recover(&why);
                Some(now + RETRY)
            }
        };
    }

    fn try_exchange(&mut self, now: Instant, agent_lives: bool) -> Result<(), Trouble> {
        let (working, stored) = self.read_whole(now, agent_lives)?;
        if self.settled.as_ref() == Some(&(working.version.clone(), stored.version.clone())) {
            return Ok(());
        }
        let outcome = self.judge(&working, &stored);
        if !outcome.carries() {
            self.nothing_travels(outcome, &working);
            self.settled = Some((working.version, stored.version));
            return Ok(());
        }
        let _lock = self.ends.capture.lock()?.ok_or(Trouble::Busy)?;
        // Another container may have published before we had the lock, and the agent may be writing again.
        let (working, stored) = self.read_whole(now, agent_lives)?;
        let recorded = self.ends.capture.record().lineage;
        if !recorded.is_empty() {
            self.lineage = recorded;
        }
        let outcome = self.judge(&working, &stored);
        self.carry(outcome, &working, &stored)?;
        // What travelled makes an event of its own, which finds both ends alike; a conflict that was kept makes none.
        self.settled = (outcome == Outcome::Kept).then_some((working.version, stored.version));
        Ok(())
    }

    fn judge(&self, working: &Copy, stored: &Copy) -> Outcome {
        if self.ends.anew {
            reconcile::anew(&working.version, &stored.version)
        } else {
            reconcile(self.ends.base, &working.version, &stored.version, &self.lineage)
        }
    }

    /// The store refused: the login is kept where it survives the agent, and is tried again.
    fn recover(&mut self, why: &str) {
        let (working, _) = self.read();
        let (agent, to) = (&self.ends.agent, self.ends.capture.path.display());
        let text = format!("{agent}: cannot carry the login to {to}: {why}");
        let kept = match (&working.version, &working.bytes) {
            (Version::Valid(_), Some(bytes)) => self.ends.recovery.keep(bytes),
            _ => Ok(()),
        };
        let hint = match kept {
            Ok(()) => format!("it is kept in {}, and tried again", self.ends.recovery.directory().display()),
            Err(error) => format!("it is in the working copy alone ({}), and tried again", reason(&error)),
        };
        if !self.ends.refusal_is_known {
            self.say_once(Message::warning(text).hint(hint));
        }
    }

    /// Both ends; a side that may be in the middle of a write gets its time to end it.
    fn read_whole(&mut self, now: Instant, agent_lives: bool) -> Result<(Copy, Copy), Trouble> {
        let (working, stored) = self.read();
        let is_torn = |copy: &Copy| matches!(copy.version, Version::Damaged(_) | Version::Absent);
        if (is_torn(&working) && agent_lives) || matches!(stored.version, Version::Damaged(_)) {
            // A file that changes is being written, however often we meet it in the middle.
            let known = self.torn.filter(|(_, mark)| *mark == working.mark);
            let (since, _) = *self.torn.insert(known.unwrap_or((now, working.mark)));
            if now < since + TORN {
                return Err(Trouble::Torn);
            }
        } else {
            self.torn = None;
        }
        Ok((working, stored))
    }

    fn read(&self) -> (Copy, Copy) {
        let Ends { rule, working, capture, .. } = &self.ends;
        (read::login(&working.dir, rule, &working.owners(), false), capture.read(rule))
    }

    fn nothing_travels(&mut self, outcome: Outcome, working: &Copy) {
        match outcome {
            Outcome::LoggedOut => {
                self.last = Some("logged-out");
                let text =
                    format!("{}: the agent's login is blank or gone; the captured one stays as it is", self.ends.agent);
                let hint = "someone logged out, or the vendor refused a refresh: log in again with a setup container";
                self.say_once(Message::warning(text).hint(hint));
            }
            Outcome::Damaged => {
                self.last = Some("torn");
                self.say_damaged(working);
            }
            _ => {
                self.last.get_or_insert("unchanged");
                if let Some(login) = working.version.login() {
                    // Both ends may have come to the same login by themselves.
                    self.ends.base = Some(Base::from(login));
                    self.ends.anew = false;
                }
            }
        }
    }

    /// With the lock held.
    fn carry(&mut self, outcome: Outcome, working: &Copy, stored: &Copy) -> Result<(), Trouble> {
        match (outcome, working.version.login(), stored.version.login()) {
            (Outcome::Publish { keep_other }, Some(ours), _) => {
                if keep_other || self.ends.replaces {
                    self.keep(stored)?;
                }
                self.publish(ours, working)
            }
            (Outcome::Adopt { keep_other }, _, Some(theirs)) => {
                self.say_damaged(working);
                if keep_other {
                    self.keep(working)?;
                }
                self.adopt(theirs, working, stored)
            }
            (Outcome::Kept, ..) => {
                self.keep(working)?;
                self.last = Some("kept");
                let (agent, at) = (&self.ends.agent, self.ends.capture.path.display());
                let text =
                    format!("{agent}: {at} holds another account's login: it stays, and ours is kept under conflicts/");
                self.say_once(Message::warning(text).hint("give each account a capture of its own"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn publish(&mut self, ours: &Login, working: &Copy) -> Result<(), Trouble> {
        let Some(bytes) = &working.bytes else { return Ok(()) };
        let mut lineage = self.lineage.clone();
        lineage.push(ours.digest);
        self.ends.capture.put(&self.ends.rule, bytes, &lineage)?;
        self.lineage = lineage;
        self.ends.replaces = false;
        self.ends.anew = false;
        self.has_published = true;
        // What was wrong before is news when it happens again.
        self.said.clear();
        self.ends.refusal_is_known = false;
        self.agreed(ours, "published");
        Ok(())
    }

    fn adopt(&mut self, theirs: &Login, working: &Copy, stored: &Copy) -> Result<(), Trouble> {
        let Some(bytes) = &stored.bytes else { return Ok(()) };
        let merged = self.beside_siblings(bytes, working);
        let bytes = merged.as_ref().unwrap_or(bytes);
        let written = self.ends.working.write(&self.ends.rule.file, bytes);
        written.map_err(|error| Trouble::Failed(format!("{error:#}")))?;
        self.lineage.push(theirs.digest);
        self.agreed(theirs, "adopted");
        Ok(())
    }

    fn agreed(&mut self, login: &Login, word: &'static str) {
        self.ends.base = Some(Base::from(login));
        self.last = Some(word);
        self.carried = Some(word);
        if let Err(error) = self.ends.recovery.clear() {
            let text = format!("{}: cannot remove the recovery copy: {}", self.ends.agent, reason(&error));
            self.say_once(Message::warning(text));
        }
        let text = format!("{}: {word} the login ({})", self.ends.agent, self.ends.capture.path.display());
        self.outbox.push(Message::detail(text));
    }

    /// What the agent keeps beside its login stays the agent's.
    fn beside_siblings(&self, bytes: &[u8], working: &Copy) -> Option<Zeroizing<Vec<u8>>> {
        let rule = &self.ends.rule;
        if rule.travels.is_empty() {
            return None;
        }
        let there = Document::parse(working.bytes.as_ref()?, rule.format).ok()?;
        Some(Document::parse(bytes, rule.format).ok()?.merged_into(&there, rule))
    }

    fn keep(&self, copy: &Copy) -> Result<(), Trouble> {
        match &copy.bytes {
            Some(bytes) => Ok(self.ends.capture.keep_conflict(&self.ends.rule, bytes)?),
            None => Ok(()),
        }
    }

    /// A word about a file of the agent's that is no login.
    fn say_damaged(&mut self, working: &Copy) {
        if let Version::Damaged(why) = &working.version {
            let path = self.ends.working.path.join(&self.ends.rule.file);
            self.say_once(Message::warning(format!(
                "{}: {} is not carried back: {why}",
                self.ends.agent,
                path.display()
            )));
        }
    }

    fn say_once(&mut self, message: Message) {
        if !self.said.contains(&message.text) {
            self.said.push(message.text.clone());
            self.outbox.push(message);
        }
    }
}
