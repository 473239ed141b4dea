//! One agent's login on its way: the working copy at one end, the store at the other.

mod config;
mod remote;
mod transfer;
mod watching;

use std::ffi::OsStr;
use std::io;
use std::time::{Duration, Instant};

pub use config::{Beginning, SessionConfig};

use crate::error::reason;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::file::{FileStamp, LoginFile};
use crate::login::history::History;
use crate::login::merge::{LoginState, Outcome, SyncResult, reconcile};
use crate::login::{file, merge};
use crate::process::children::Children;
use crate::state::Served;
use crate::store::directory::Presence;
use crate::store::helper::BOUNDS;
use crate::store::{LockOutcome, Store};
use crate::sync::dedup_log::DedupLog;
use crate::sync::refresh_lock::RefreshLock;
use crate::sync::turn::Overdue;
use crate::sync::watch_state::{Side, WatchState};
use crate::sys::{errno, wipe};

/// A file that does not parse, or is not there, may be in the middle of a write: it counts only after so long.
const TORN: Duration = Duration::from_millis(500);
/// Between two looks at such a file, and between two tries to lock.
const AGAIN: Duration = Duration::from_millis(20);
/// A lock that is held for longer is no other container's that writes.
const BUSY: Duration = Duration::from_secs(5);
/// So long a lock around writes is waited for where no agent of this container lives: it is one that was left, or that of
/// another container's agent, which writes in milliseconds.
const LEFT: Duration = Duration::from_millis(500);
/// Between two tries to publish when the store refuses.
const RETRY: Duration = Duration::from_secs(10);

/// How long the last exchange with a directory may take.
const LAST: Duration = Duration::from_secs(5);

/// One link.
pub struct SyncSession {
    config: SessionConfig,
    history: History,
    refresh_lock: Option<RefreshLock>,
    watch_state: Option<WatchState>,
    /// Held for as long as we use the capture.
    presence: Option<Presence>,
    /// What was put and is not yet known to be stored.
    sent: Option<transfer::Sent>,
    due: Option<Instant>,
    /// An agent of this container lives.
    agent_lives: bool,
    /// No agent of this container lives any more.
    is_last: bool,
    /// Waiting helps nobody: the store refused.
    refused: bool,
    /// Since when another has the right to write.
    busy: Option<Instant>,
    /// Since when the agent, or what it left, holds its lock around writes of its login.
    written: Option<Instant>,
    /// Since when one side does not parse, and what the agent's file was then.
    torn: Option<(Instant, Option<FileStamp>)>,
    /// Since when something cannot be read.
    unknown: Option<Instant>,
    /// The pair of versions that was last dealt with: a conflict is kept once, not at every event.
    settled: Option<(LoginState, LoginState)>,
    last: Option<SyncResult>,
    /// A login of this working copy was stored.
    has_published: bool,
    /// The last exchange adopted a login.
    has_adopted: bool,
    /// A recovery copy may be there: of this run or of one before it.
    may_be_recovered: bool,
    log: DedupLog,
}

/// Why an exchange did not come to its end.
enum Trouble {
    /// Another container is writing.
    Busy,
    /// One side does not parse, and may yet.
    Torn,
    /// The agent holds its lock around writes of its login.
    Written,
    /// What was put is on its way: its arrival is the next event.
    Sent,
    /// Something cannot be read now, so that nothing is known of what it holds.
    Unknown(Unknown),
    /// The kernel says no.
    Failed(Failed),
}

/// What cannot be read now.
struct Unknown {
    side: Side,
    /// The file, and why.
    what: String,
}

/// What could not be done.
struct Failed {
    act: Act,
    /// The file that it failed at where the act does not name it, and why.
    why: String,
}

/// What was to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Working copy to store.
    Publish,
    /// Store to working copy.
    Adopt,
    /// The login that loses into `conflicts/`.
    Keep,
}

impl Act {
    fn failed(self) -> impl Fn(io::Error) -> Trouble {
        move |error| Trouble::Failed(Failed { act: self, why: reason(&error) })
    }
}

impl SyncSession {
    /// A link between these ends.
    pub fn new(config: SessionConfig) -> SyncSession {
        // A record that cannot be read now is read again before anything is carried.
        let mut history = config.store.record().unwrap_or_default().history;
        if let Some(base) = config.base.filter(|_| history.is_empty()) {
            history.push(base.digest);
        }
        let presence = config.presence();
        config.sweep_store();
        let mut log = DedupLog::default();
        let mark = presence.as_ref().and_then(|presence| presence.mark.as_ref());
        if config.live && mark.is_some_and(|mark| !mark.excludes()) {
            let text = format!("{}: the file system of {} has no locks", config.agent, config.store.place());
            let hint = "containers there may refresh at the same time: use one with locks (NFS 4), or a store";
            log.once(Message::warning(text).event(EventKey::NoTurns).agent(&config.agent).hint(hint));
        }
        if presence.as_ref().is_some_and(|presence| presence.is_crowded) {
            let text =
                format!("{}: {} has more marks of containers than are looked at", config.agent, config.store.place());
            let hint =
                "each start removes some of those that have ended; or remove what is in .agent-init/leases there";
            log.once(Message::warning(text).event(EventKey::Other).agent(&config.agent).hint(hint));
        }
        let now = Instant::now();
        let refresh_lock = config.refresh_lock(now).unwrap_or_else(|why| {
            log.once(takes_no_turns(&config.agent, &why));
            None
        });
        if refresh_lock.as_ref().is_some_and(|refresh_lock| !refresh_lock.takes_turns()) {
            log.once(shares_working_copy(&config));
        }
        SyncSession {
            refresh_lock,
            watch_state: config.watch_state(now),
            presence,
            config,
            history,
            sent: None,
            due: None,
            agent_lives: false,
            is_last: false,
            refused: false,
            busy: None,
            written: None,
            torn: None,
            unknown: None,
            settled: None,
            last: None,
            has_published: false,
            has_adopted: false,
            may_be_recovered: true,
            log,
        }
    }

    /// The agent's name.
    pub fn agent(&self) -> &str {
        &self.config.agent
    }

    /// Whether a login of this working copy was stored.
    pub fn has_published(&self) -> bool {
        self.has_published
    }

    /// When the next turn is due.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let refresh_lock = self.refresh_lock.as_ref().and_then(|refresh_lock| refresh_lock.deadline(now));
        let look = self.watch_state.as_ref().and_then(WatchState::due);
        [self.due, refresh_lock, look, self.config.store.deadline(now), self.log.deadline()].into_iter().flatten().min()
    }

    /// When an exchange is due that waiting would help.
    pub fn due_now(&self) -> Option<Instant> {
        self.due.filter(|_| !self.refused)
    }

    /// When to go on with the last exchange; none, once it has come to its end or cannot.
    pub fn worth_waiting_for(&self, now: Instant) -> Option<Instant> {
        let store = self.config.store.deadline(now).filter(|_| self.config.store.is_busy(now));
        self.due_now().into_iter().chain(store).min()
    }

    /// How long the last exchange may take when nothing limits it.
    pub fn longest(&self) -> Duration {
        match self.config.store {
            Store::Directory(_) | Store::Expected(_) => LAST,
            Store::Remote(_) => LAST + BOUNDS.time,
        }
    }

    /// Asks for a turn.
    pub fn ask(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// An entry of one of the directories is gone. The end of an intent is no intent; a turn ends by itself.
    pub fn entry_removed(&mut self, name: &OsStr, now: Instant) {
        if name == OsStr::new(&self.config.rule.file) {
            self.ask(now);
        }
    }

    /// An entry of one of the directories changed.
    pub fn entry_changed(&mut self, name: &OsStr, now: Instant) {
        let is_store = matches!(&self.config.store, Store::Expected(path) if path.file_name() == Some(name));
        if name == OsStr::new(&self.config.rule.file) || is_store {
            self.ask(now);
        }
        if let Some(refresh_lock) = self.refresh_lock.as_mut().filter(|refresh_lock| refresh_lock.is_intent(name)) {
            // Two intents may come at once: the lease is asked for once, for a second lock of our own would be refused as
            // anybody's.
            if refresh_lock.asked(now) {
                match self.config.store.lease() {
                    Ok(LockOutcome::Granted(lease)) => refresh_lock.granted(lease, now),
                    Ok(LockOutcome::Refused) => refresh_lock.refused(),
                    Ok(LockOutcome::Later) => {}
                    // Nobody shall wait for what cannot come.
                    Err(error) => {
                        refresh_lock.granted(None, now);
                        let why = format!("{}: {}", self.config.store.place(), reason(&error));
                        self.log.once(takes_no_turns(&self.config.agent, &why));
                    }
                }
                self.ask(now);
            }
        }
    }

    /// A stop has begun.
    pub fn ending(&mut self) {
        if let Some(refresh_lock) = &mut self.refresh_lock {
            refresh_lock.ending();
        }
    }

    /// Whether the agent is in the middle of a refresh.
    pub fn is_refreshing(&self) -> bool {
        if let Some(refresh_lock) = &self.refresh_lock {
            return refresh_lock.is_refreshing();
        }
        let intent = self.config.refresh_lock.as_ref().map(|lock| OsStr::new(&lock.intent));
        let is_there = |intent| match self.config.working.dir.stat_entry(intent) {
            Ok(_) => true,
            Err(error) => errno::is_unknown(&error),
        };
        intent.is_some_and(is_there)
    }

    /// What the state file remembers; whether that is news.
    pub fn remember(&self, served: &mut Served) -> bool {
        served.remember(self.config.base, self.last)
    }

    /// What there is to say since the last call.
    pub fn messages(&mut self, now: Instant) -> Vec<Message> {
        self.log.take(now)
    }

    /// What there is to say at the end.
    pub fn last_messages(&mut self, now: Instant) -> Vec<Message> {
        self.log.last(now)
    }

    fn warning(&self, event: EventKey, text: String) -> Message {
        Message::warning(text).event(event).agent(&self.config.agent)
    }

    /// Does what is due: an exchange, and what the turn to refresh asks for. `agent_lives`: the working copy may be in the
    /// middle of a write.
    pub fn turn(&mut self, now: Instant, agent_lives: bool) {
        self.agent_lives = agent_lives;
        if self.watch_state.as_mut().is_some_and(|watch_state| watch_state.is_due(now)) {
            self.ask(now);
        }
        if self.due.is_some_and(|due| due <= now) {
            self.exchange(now, agent_lives);
            wipe::stack();
        }
        let mut has_turn = false;
        if let Some(refresh_lock) = &mut self.refresh_lock {
            match refresh_lock.tend(now) {
                Ok(overdue) => {
                    has_turn = refresh_lock.has_turn();
                    if let Some(overdue) = overdue {
                        self.log.once(took_too_long(&self.config.agent, overdue));
                    }
                }
                Err(why) => self.open_for_good(&why),
            }
        }
        // At the end the lease goes once the last login is stored: who has it next must find that.
        if !has_turn || (self.is_last && self.sent.is_none() && self.due_now().is_none()) {
            self.config.store.release();
        }
    }

    /// No agent of this container lives any more: the last exchange begins.
    pub fn last(&mut self, now: Instant, children: &mut Children) {
        if let Some(remote) = self.config.store.remote() {
            remote.ending(children);
        }
        self.refused = false;
        self.is_last = true;
        self.ask(now);
    }

    /// The end: no other turn comes.
    pub fn finish(&mut self, children: &mut Children) {
        self.release(children);
        // What was too young at the start to be known for abandoned.
        self.config.working.dir.sweep();
        self.config.sweep_store();
        // Whoever logs in at a terminal is told there.
        if (self.due.is_some() || self.sent.is_some()) && self.config.beginning != Beginning::LogIn {
            self.give_up();
        }
    }

    /// Leaves nothing behind that is for a running agent: its refresh lock, the lease, a helper that runs.
    pub fn release(&mut self, children: &mut Children) {
        if let Some(refresh_lock) = &mut self.refresh_lock {
            refresh_lock.remove();
        }
        if let Some(remote) = self.config.store.remote() {
            remote.abandon(children);
        }
    }

    /// The agent's lock cannot be held or opened: from now on it refreshes when it likes, as it would without us.
    fn open_for_good(&mut self, why: &dyn std::fmt::Display) {
        self.log.once(takes_no_turns(&self.config.agent, why));
        if let Some(mut refresh_lock) = self.refresh_lock.take() {
            refresh_lock.remove();
        }
        self.config.store.release();
    }

    /// Compares both ends and does what the table says. Never part of its caller, which wipes the stack after it.
    #[inline(never)]
    fn exchange(&mut self, now: Instant, agent_lives: bool) {
        self.has_adopted = false;
        let exchanged = self.try_exchange(now, agent_lives);
        self.refused = false;
        if !matches!(exchanged, Err(Trouble::Written)) {
            self.written = None;
        }
        let since = matches!(exchanged, Err(Trouble::Unknown(_))).then(|| self.unknown.unwrap_or(now));
        self.unknown = since;
        let is_compared = match exchanged {
            Ok(()) | Err(Trouble::Failed(_)) => true,
            // Whoever waits for what cannot be read does so no longer than for what does not parse.
            Err(Trouble::Unknown(_)) => since.is_some_and(|since| now >= since + TORN),
            Err(Trouble::Busy | Trouble::Torn | Trouble::Written | Trouble::Sent) => false,
        };
        if let Some(refresh_lock) =
            self.refresh_lock.as_mut().filter(|refresh_lock| refresh_lock.is_granted() && is_compared)
            && let Err(why) = refresh_lock.compared(now, self.has_adopted)
        {
            self.open_for_good(&why);
        }
        let busy = matches!(exchanged, Err(Trouble::Busy)).then(|| self.busy.unwrap_or(now));
        if busy.is_some_and(|since| now >= since + BUSY) {
            self.busy = None;
            let why = "another process holds its lock for longer than any write takes".to_owned();
            return self.failed(now, &Failed { act: Act::Publish, why });
        }
        self.busy = busy;
        self.due = match exchanged {
            Ok(()) | Err(Trouble::Sent) => None,
            Err(Trouble::Busy | Trouble::Torn | Trouble::Written) => Some(now + AGAIN),
            Err(Trouble::Unknown(unknown)) => return self.unknown(now, since.unwrap_or(now), &unknown),
            Err(Trouble::Failed(failed)) => return self.failed(now, &failed),
        };
    }

    fn try_exchange(&mut self, now: Instant, agent_lives: bool) -> Result<(), Trouble> {
        self.find_again(now);
        let (working, stored) = self.read_whole(now, agent_lives)?;
        if let (Some(watch_state), Store::Directory(_)) = (&mut self.watch_state, &self.config.store) {
            watch_state.missing(stored.state == LoginState::Absent && self.config.base.is_some(), now);
        }
        if self.settled.as_ref() == Some(&(working.state.clone(), stored.state.clone())) {
            return Ok(());
        }
        let outcome = self.judge(&working, &stored);
        if !outcome.carries() {
            self.nothing_travels(outcome, &working, &stored);
            self.settled = Some((working.state, stored.state));
            return Ok(());
        }
        let act = if matches!(outcome, Outcome::Adopt { .. }) { Act::Adopt } else { Act::Publish };
        if self.config.store.appear(true).map_err(act.failed())? {
            self.store_is_another(now);
        }
        let _lock = match self.config.store.lock().map_err(act.failed())? {
            LockOutcome::Granted(lock) => lock,
            LockOutcome::Refused => return Err(Trouble::Busy),
            LockOutcome::Later => return Err(Trouble::Sent),
        };
        // Another container may have published before we had the lock, and the agent may be writing again.
        let (working, stored) = self.read_whole(now, agent_lives)?;
        let record = self.config.store.record().map_err(|why| {
            let what = format!("the record of {}: {why}", self.config.store.place());
            Trouble::Unknown(Unknown { side: Side::Stored, what })
        })?;
        self.history = std::mem::take(&mut self.history).or_longer(record.history);
        let outcome = self.judge(&working, &stored);
        self.carry(outcome, &working, &stored)?;
        // What travelled makes an event of its own, which finds both ends alike; a conflict that was kept makes none.
        self.settled = (outcome == Outcome::Kept).then_some((working.state, stored.state));
        Ok(())
    }

    fn judge(&self, working: &LoginFile, stored: &LoginFile) -> Outcome {
        if self.config.beginning == Beginning::LogIn {
            merge::anew(&working.state, &stored.state)
        } else {
            reconcile(self.config.base, &working.state, &stored.state, &self.history)
        }
    }

    /// Both ends; a side that may be in the middle of a write gets its time to end it.
    fn read_whole(&mut self, now: Instant, agent_lives: bool) -> Result<(LoginFile, LoginFile), Trouble> {
        let (working, stored) = self.read();
        for (side, copy) in [(Side::Working, &working), (Side::Stored, &stored)] {
            if let LoginState::Unreadable(why) = &copy.state {
                let what = format!("{}: {why}", self.login_at(side));
                return Err(Trouble::Unknown(Unknown { side, what }));
            }
        }
        let is_torn = |copy: &LoginFile| matches!(copy.state, LoginState::Damaged(_) | LoginState::Absent);
        if (is_torn(&working) && agent_lives) || matches!(stored.state, LoginState::Damaged(_)) {
            // A file that changes is being written, however often we meet it in the middle.
            let known = self.torn.filter(|(_, mark)| *mark == working.stamp);
            let (since, _) = *self.torn.insert(known.unwrap_or((now, working.stamp)));
            if now < since + TORN {
                return Err(Trouble::Torn);
            }
        } else {
            self.torn = None;
        }
        Ok((working, stored))
    }

    /// The login file of one end, for messages.
    fn login_at(&self, side: Side) -> String {
        match side {
            Side::Working => self.config.working.path.join(&self.config.rule.file).display().to_string(),
            Side::Stored => format!("the login in {}", self.config.store.place()),
        }
    }

    fn read(&self) -> (LoginFile, LoginFile) {
        let SessionConfig { rule, working, store, .. } = &self.config;
        (file::login(&working.dir, rule, &working.owners(), false), store.read(rule))
    }
}

/// That containers do not take turns at refreshing.
fn takes_no_turns(agent: &str, why: &dyn std::fmt::Display) -> Message {
    Message::warning(format!("{agent}: cannot take turns at refreshing: {why}"))
        .event(EventKey::NoTurns)
        .agent(agent)
        .hint("containers that share this login may refresh at the same time")
}

fn shares_working_copy(config: &SessionConfig) -> Message {
    let (agent, path) = (&config.agent, config.working.path.display());
    Message::warning(format!(
        "{agent}: another run that is under way uses {path} too: it takes the turns at refreshing"
    ))
    .event(EventKey::SharedWorkingCopy)
    .agent(agent)
    .hint("give each container a HOME of its own; this run takes the turns once the other has ended")
}

fn took_too_long(agent: &str, overdue: Overdue) -> Message {
    let what = match overdue {
        Overdue::Comparison => "the agent's login and the stored one could not be compared",
        Overdue::Refresh => "the agent did not come to the end of its refresh",
    };
    Message::warning(format!("{agent}: {what} within 35 s: other containers get their turn"))
        .event(EventKey::TurnOverdue)
        .agent(agent)
}
