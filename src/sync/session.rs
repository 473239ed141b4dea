//! Syncs one agent's login between its working copy and its store.

mod config;
mod entries;
mod incomplete;
mod keeper;
mod remote;
mod transfer;
mod watching;

use std::ffi::OsStr;
use std::time::{Duration, Instant, SystemTime};

pub use config::{Beginning, SessionConfig};

use self::incomplete::{Act, ActFailure, Blocked, Incomplete, ReadFailure};
use crate::error::reason;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::entries::EntrySides;
use crate::login::file::{FileStamp, LoginFile};
use crate::login::follower::following;
use crate::login::history::History;
use crate::login::merge::{LoginState, Outcome, SyncResult, reconcile};
use crate::login::{file, merge};
use crate::plan::warning;
use crate::process::children::Children;
use crate::state::Served;
use crate::store::directory::Presence;
use crate::store::helper::BOUNDS;
use crate::store::{Lease, LockOutcome, Store};
use crate::sync::dedup_log::DedupLog;
use crate::sync::expiry_watch::{End, ExpiryWatch};
use crate::sync::keepers_turn::KeepersTurn;
use crate::sync::refresh_lock::RefreshLock;
use crate::sync::turn::Overdue;
use crate::sync::watch_state::{Side, WatchState};
use crate::sys::{errno, wipe};

/// How long a file that is missing or does not parse is taken for one that is being written.
const TORN_WAIT: Duration = Duration::from_millis(500);
/// The time between two reads of such a file, and between two tries to lock.
const SHORT_RETRY: Duration = Duration::from_millis(20);
/// A lock that is held for longer does not belong to another container's write.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait for the agent's lock around writes when no agent of this container lives. The lock is then either
/// abandoned, or belongs to another container's agent, which writes within milliseconds.
const ABANDONED_LOCK_WAIT: Duration = Duration::from_millis(500);
/// The time between two tries to publish after the store refused.
const REFUSED_RETRY: Duration = Duration::from_secs(10);

/// How long the final sync with a directory may take.
const FINAL_SYNC_LIMIT: Duration = Duration::from_secs(5);

/// The sync of one agent's login.
pub struct SyncSession {
    config: SessionConfig,
    history: History,
    refresh_lock: Option<RefreshLock>,
    /// The turn of a keeper, which refreshes the login itself.
    keepers_turn: KeepersTurn,
    watch_state: Option<WatchState>,
    /// Marks the capture as in use. Held for as long as the session uses it.
    presence: Option<Presence>,
    /// A login that was sent to the store and is not known to be stored.
    unconfirmed: Option<transfer::UnconfirmedPut>,
    due: Option<Instant>,
    phase: Phase,
    /// The store refused, so waiting does not help.
    store_refused: bool,
    /// What keeps the sync from completing, and since when.
    blocked: Option<(Blocked, Instant)>,
    /// Since when one side does not parse, and the stamp of the agent's file then.
    torn_since: Option<(Instant, Option<FileStamp>)>,
    /// The pair of logins that was compared last: a conflict is kept once, not at every event.
    compared_pair: Option<ComparedPair>,
    last_result: Option<SyncResult>,
    /// A login of this working copy was stored.
    has_published: bool,
    /// The last sync adopted a login.
    has_adopted: bool,
    /// The agent was seen to ignore its refresh lock, and a warning said so.
    ignores_refresh_lock: bool,
    /// There may be a recovery copy, of this run or an earlier one.
    may_have_recovery_copy: bool,
    expiry_watch: Option<ExpiryWatch>,
    log: DedupLog,
}

/// What was compared: both logins, and their entries.
type ComparedPair = (LoginState, LoginState, Option<EntrySides>);

/// When the next sync is due after one that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// When something changes.
    Change,
    /// At once.
    Again,
}

/// The part of a run that a session is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The agent does not run yet.
    Start,
    /// The working copy may be in the middle of a write.
    AgentLives,
    /// No agent of this container lives any more.
    End,
}

impl SyncSession {
    pub fn new(config: SessionConfig) -> SyncSession {
        // A record that cannot be read now is read again before anything is transferred.
        let mut history = config.store.record(&config.rule).unwrap_or_default().history;
        if history.is_empty()
            && let Some(base) = config.base
        {
            history.push(base.digest);
        }
        let presence = config.presence();
        config.sweep_store();
        let mut log = DedupLog::default();
        let mark = presence.as_ref().and_then(|presence| presence.mark.as_ref());
        if config.live && mark.is_some_and(|mark| !mark.excludes()) {
            let text = format!("{}: the file system of {} has no locks", config.agent, config.store.location());
            let hint =
                "containers there may refresh at the same time; use a file system with locks (NFS 4), or a store";
            log.once(Message::warning(text).event(EventKey::NoTurns).agent(&config.agent).hint(hint));
        }
        if presence.as_ref().is_some_and(|presence| presence.has_unread_marks) {
            let text = format!(
                "{}: {} has more marks of containers than agent-init reads",
                config.agent,
                config.store.location()
            );
            let hint =
                "each start removes some marks of ended containers; to remove all, empty .agent-init/leases there";
            log.once(Message::warning(text).event(EventKey::Other).agent(&config.agent).hint(hint));
        }
        let now = Instant::now();
        let refresh_lock = config.refresh_lock(now).unwrap_or_else(|why| {
            log.once(no_turns_warning(&config.agent, &why));
            None
        });
        if refresh_lock.as_ref().is_some_and(|refresh_lock| !refresh_lock.takes_turns()) {
            log.once(shared_working_copy_warning(&config));
        }
        SyncSession {
            refresh_lock,
            keepers_turn: KeepersTurn::default(),
            watch_state: config.watch_state(now),
            presence,
            expiry_watch: config.expiry_watch(),
            config,
            history,
            unconfirmed: None,
            due: None,
            phase: Phase::Start,
            store_refused: false,
            blocked: None,
            torn_since: None,
            compared_pair: None,
            last_result: None,
            has_published: false,
            has_adopted: false,
            ignores_refresh_lock: false,
            may_have_recovery_copy: true,
            log,
        }
    }

    pub fn agent(&self) -> &str {
        &self.config.agent
    }

    /// Whether a login of this working copy was stored.
    pub fn has_published(&self) -> bool {
        self.has_published
    }

    /// When the next step is due.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let refresh_lock = self.refresh_lock.as_ref().and_then(|refresh_lock| refresh_lock.deadline(now));
        let poll = self.watch_state.as_ref().and_then(WatchState::next_poll);
        let refresh_lock = refresh_lock.or(self.keepers_turn.deadline());
        let expiry = self
            .expiry_watch
            .as_ref()
            .and_then(ExpiryWatch::due)
            .and_then(|due| now.checked_add(due.duration_since(SystemTime::now()).unwrap_or_default()));
        let store = self.config.store.deadline(now);
        [self.due, refresh_lock, poll, store, expiry, self.log.deadline()].into_iter().flatten().min()
    }

    /// When a sync is due, unless the store has refused and waiting does not help.
    pub fn due_unless_refused(&self) -> Option<Instant> {
        if self.store_refused { None } else { self.due }
    }

    /// When the next step of the final sync is due. None if it is complete or cannot be completed.
    pub fn next_final_step(&self, now: Instant) -> Option<Instant> {
        let store = if self.config.store.is_busy(now) { self.config.store.deadline(now) } else { None };
        self.due_unless_refused().into_iter().chain(store).min()
    }

    /// How long the final sync may take if nothing limits it.
    pub fn final_sync_limit(&self) -> Duration {
        match self.config.store {
            Store::Directory(_) | Store::Expected(_) => FINAL_SYNC_LIMIT,
            Store::Remote(_) => FINAL_SYNC_LIMIT + BOUNDS.time,
        }
    }

    /// Schedules a sync for the next step.
    pub fn request_sync(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// An entry of one of the directories was removed. The end of an intent needs no sync: a turn ends by itself.
    pub fn entry_removed(&mut self, name: &OsStr, now: Instant) {
        if name == OsStr::new(&self.config.rule.file) {
            self.request_sync(now);
        }
    }

    /// An entry of one of the directories changed.
    pub fn entry_changed(&mut self, side: Side, name: &OsStr, now: Instant) {
        let is_store = matches!(&self.config.store, Store::Expected(path) if path.file_name() == Some(name));
        if name == OsStr::new(&self.config.rule.file) || is_store {
            self.request_sync(now);
        }
        let Some(rule) = &self.config.refresh_lock else { return };
        // In a capture it is that of an agent outside, or of another run's lease.
        if side == Side::Working
            && let Some(refresh_lock) = self.refresh_lock.as_mut().filter(|refresh_lock| refresh_lock.is_intent(name))
        {
            // Two intents may come at once. The lease is requested once: a second lock of our own would be refused like
            // anybody else's.
            if refresh_lock.intent_shown(now) {
                match self.config.store.lease(Some(rule)) {
                    Ok(LockOutcome::Granted(lease)) => refresh_lock.granted(lease, now),
                    Ok(LockOutcome::Refused) => refresh_lock.refused(),
                    Ok(LockOutcome::Later) => {}
                    // The lease will never come, so the agent must not wait for it.
                    Err(error) => {
                        refresh_lock.granted(Lease::of_store(), now);
                        let why = format!("{}: {}", self.config.store.location(), reason(&error));
                        self.log.once(no_turns_warning(&self.config.agent, &why));
                    }
                }
                self.request_sync(now);
            }
        }
    }

    pub fn stop_begun(&mut self) {
        if let Some(refresh_lock) = &mut self.refresh_lock {
            refresh_lock.stop_begun();
        }
    }

    /// Whether the agent is in the middle of a refresh.
    pub fn is_refreshing(&self) -> bool {
        if let Some(refresh_lock) = &self.refresh_lock {
            return refresh_lock.is_refreshing();
        }
        let Some(lock) = &self.config.refresh_lock else { return false };
        match self.config.working.dir.stat_entry(OsStr::new(&lock.intent)) {
            Ok(_) => true,
            Err(error) => errno::is_unknown(&error),
        }
    }

    /// Copies what the state file should hold into `served`. Returns whether that changed anything.
    pub fn remember(&self, served: &mut Served) -> bool {
        let is_changed = served.remember(self.config.base, self.last_result);
        if served.entries == self.config.entries {
            return is_changed;
        }
        served.entries.clone_from(&self.config.entries);
        true
    }

    /// The messages to print since the last call.
    pub fn messages(&mut self, now: Instant) -> Vec<Message> {
        self.log.take(now)
    }

    /// The messages to print at the end.
    pub fn last_messages(&mut self, now: Instant) -> Vec<Message> {
        self.log.take_last(now)
    }

    fn warning(&self, event: EventKey, text: String) -> Message {
        Message::warning(text).event(event).agent(&self.config.agent)
    }

    /// Syncs if that is due, and advances the turn to refresh.
    pub fn step(&mut self, now: Instant, phase: Phase) {
        self.phase = phase;
        if self.watch_state.as_mut().is_some_and(|watch_state| watch_state.is_poll_due(now)) {
            self.request_sync(now);
        }
        if self.due.is_some_and(|due| due <= now) {
            self.sync(now);
            wipe::stack();
        }
        if phase == Phase::AgentLives {
            self.step_expiry(SystemTime::now());
        }
        self.keepers_turn.beat(now);
        let mut has_turn = self.keepers_turn.needs_lease();
        if let Some(refresh_lock) = &mut self.refresh_lock {
            match refresh_lock.step(now) {
                Ok(overdue) => {
                    has_turn = refresh_lock.has_turn();
                    if let Some(overdue) = overdue {
                        self.log.once(overdue_warning(&self.config.agent, overdue));
                    }
                }
                Err(why) => self.stop_taking_turns(&why),
            }
        }
        // At the end the lease is released only after the last login is stored: whoever gets it next must find that
        // login.
        if !has_turn || (self.phase == Phase::End && self.unconfirmed.is_none() && self.due_unless_refused().is_none())
        {
            self.config.store.release();
        }
    }

    /// Says which ends have come near. What was near before the agent's start, the plan has said.
    fn step_expiry(&mut self, now: SystemTime) {
        let (agent, place) = (&self.config.agent, self.config.store.location());
        let Some(watch) = &mut self.expiry_watch else { return };
        for (end, at) in watch.step(now) {
            let message = match end {
                End::Login => warning::deadline(agent, &place, at, now, self.config.warn_within),
                End::AccessToken => Some(warning::expired_login(agent, &place, Some(at))),
                End::FollowedToken => warning::not_kept(agent, &place, at, now),
            };
            if let Some(message) = message {
                self.log.say(message);
            }
        }
    }

    /// Begins the final sync: no agent of this container lives any more.
    pub fn begin_final_sync(&mut self, now: Instant, children: &mut Children) {
        if let Some(remote) = self.config.store.remote() {
            remote.begin_end(children);
        }
        self.store_refused = false;
        self.phase = Phase::End;
        self.request_sync(now);
    }

    /// Ends the session.
    pub fn finish(&mut self, children: &mut Children) {
        self.release(children);
        // Temporary files that were too young at the start to be known as abandoned.
        self.config.working.dir.sweep();
        self.config.sweep_store();
        // Setup reports a failed login on the terminal itself.
        if (self.due.is_some() || self.unconfirmed.is_some()) && self.config.beginning != Beginning::LogIn {
            self.report_unpublished();
        }
    }

    /// Removes what exists only for a running agent: its refresh lock, the lease, a running helper.
    pub fn release(&mut self, children: &mut Children) {
        if let Some(refresh_lock) = &mut self.refresh_lock {
            refresh_lock.remove();
        }
        if let Some(remote) = self.config.store.remote() {
            remote.abandon(children);
        }
    }

    /// Stops taking turns because the agent's lock cannot be held or opened. From now on the agent refreshes when it
    /// likes, as it would without agent-init.
    fn stop_taking_turns(&mut self, why: &dyn std::fmt::Display) {
        self.log.once(no_turns_warning(&self.config.agent, why));
        if let Some(mut refresh_lock) = self.refresh_lock.take() {
            refresh_lock.remove();
        }
        self.config.store.release();
    }

    /// Compares both logins and acts on the result. Never inlined: the caller wipes the stack after it.
    #[inline(never)]
    fn sync(&mut self, now: Instant) {
        self.has_adopted = false;
        let synced = self.try_sync(now);
        self.store_refused = false;
        let blocked = synced.as_ref().err().and_then(Incomplete::blocked);
        self.blocked = blocked.map(|blocked| (blocked, self.blocked_since(blocked).unwrap_or(now)));
        let is_compared = match synced {
            Ok(_) | Err(Incomplete::Failed(_)) => true,
            // A waiting agent waits for an unreadable file no longer than for one that does not parse.
            Err(Incomplete::Unreadable(_)) => self.is_blocked_for(Blocked::Unreadable, TORN_WAIT, now),
            Err(
                Incomplete::OtherWriter | Incomplete::MaybeTorn | Incomplete::LoginLocked | Incomplete::Unconfirmed,
            ) => false,
        };
        if is_compared
            && let Some(refresh_lock) = &mut self.refresh_lock
            && refresh_lock.is_granted()
            && let Err(why) = refresh_lock.compared(now, self.has_adopted)
        {
            self.stop_taking_turns(&why);
        }
        if self.is_blocked_for(Blocked::OtherWriter, LOCK_LIMIT, now) {
            self.blocked = None;
            let why = "another process holds its lock for longer than any write takes".to_owned();
            return self.report_failure(now, &ActFailure { act: Act::Publish, why });
        }
        self.due = match synced {
            Ok(Next::Again) => Some(now),
            Ok(Next::Change) | Err(Incomplete::Unconfirmed) => None,
            Err(Incomplete::OtherWriter | Incomplete::MaybeTorn | Incomplete::LoginLocked) => Some(now + SHORT_RETRY),
            Err(Incomplete::Unreadable(failure)) => {
                let since = self.blocked_since(Blocked::Unreadable).unwrap_or(now);
                return self.report_unreadable(now, since, &failure);
            }
            Err(Incomplete::Failed(failed)) => return self.report_failure(now, &failed),
        };
    }

    fn blocked_since(&self, by: Blocked) -> Option<Instant> {
        self.blocked.filter(|(blocked, _)| *blocked == by).map(|(_, since)| since)
    }

    fn is_blocked_for(&self, by: Blocked, limit: Duration, now: Instant) -> bool {
        self.blocked_since(by).is_some_and(|since| now >= since + limit)
    }

    fn try_sync(&mut self, now: Instant) -> Result<Next, Incomplete> {
        self.reopen_directories(now);
        let known = self.config.known.take();
        let (working, stored) = self.read_whole(known, now)?;
        if let (Some(watch_state), Store::Directory(_)) = (&mut self.watch_state, &self.config.store) {
            watch_state.set_missing(stored.state == LoginState::Absent && self.config.base.is_some(), now);
        }
        if let Some((watch, login)) = self.expiry_watch.as_mut().zip(stored.state.login().or(working.state.login())) {
            watch.observe(login, SystemTime::now(), self.phase == Phase::Start);
        }
        let pair = self.pair(&working, &stored);
        if self.compared_pair.as_ref() == Some(&pair) {
            return Ok(Next::Change);
        }
        let outcome = self.judge(&working, &stored);
        if !outcome.transfers() {
            self.record_no_transfer(outcome, &working, &stored);
            self.record_entries(outcome, pair.2.as_ref());
            self.compared_pair = Some(pair);
            return Ok(Next::Change);
        }
        // A transfer goes one way. Entries may have to go the other way too, and what both sides agree on is recorded
        // when they are compared again.
        let next = if self.has_entries(&working, &stored) { Next::Again } else { Next::Change };
        if self.config.beginning == Beginning::Follow {
            // Nothing is written to the store, which may be read-only: its lock is not needed.
            self.transfer(outcome, &working, &stored)?;
            self.compared_pair = None;
            return Ok(next);
        }
        let act = match outcome {
            Outcome::Adopt { .. } | Outcome::AdoptEntries => Act::Adopt,
            _ => Act::Publish,
        };
        if self.config.store.open_expected(true).map_err(act.failed())? {
            self.store_replaced(now);
        }
        let _lock = match self.config.store.lock().map_err(act.failed())? {
            LockOutcome::Granted(lock) => lock,
            LockOutcome::Refused => return Err(Incomplete::OtherWriter),
            LockOutcome::Later => return Err(Incomplete::Unconfirmed),
        };
        // Another container may have published before we had the lock, and the agent may be writing again.
        let (working, stored) = self.read_whole(None, now)?;
        let record = self.config.store.record(&self.config.rule).map_err(|why| {
            let what = format!("the record of {}: {why}", self.config.store.location());
            Incomplete::Unreadable(ReadFailure { side: Side::Stored, what })
        })?;
        self.history = std::mem::take(&mut self.history).or_longer(record.history);
        let outcome = self.judge(&working, &stored);
        self.transfer(outcome, &working, &stored)?;
        // A transfer causes an event, and the next sync finds both sides alike. A kept conflict causes none.
        if outcome == Outcome::Kept {
            self.compared_pair = Some(self.pair(&working, &stored));
            return Ok(Next::Change);
        }
        self.compared_pair = None;
        Ok(next)
    }

    fn pair(&self, working: &LoginFile, stored: &LoginFile) -> ComparedPair {
        (working.state.clone(), stored.state.clone(), self.entries(working, stored))
    }

    fn judge(&self, working: &LoginFile, stored: &LoginFile) -> Outcome {
        let outcome = match self.config.beginning {
            Beginning::LogIn => merge::decide_after_log_in(&working.state, &stored.state),
            Beginning::Follow => merge::decide_for_follower(self.config.base, &working.state, &stored.state),
            Beginning::Continue | Beginning::Replace => {
                reconcile(self.config.base, &working.state, &stored.state, &self.history)
            }
        };
        match (outcome, self.entries(working, stored)) {
            (Outcome::Unchanged, Some(sides)) => self.judge_entries(&sides),
            (outcome, _) => outcome,
        }
    }

    /// Both logins. A side that may be in the middle of a write gets time to finish it.
    fn read_whole(&mut self, known: Option<LoginFile>, now: Instant) -> Result<(LoginFile, LoginFile), Incomplete> {
        let working = self.read_working();
        // The directories are watched by now. A login that another container published since the start read the stored
        // one has another stamp, and one that it publishes from here on causes an event.
        let known = known.filter(|known| self.config.store.still_holds(&self.config.rule, known));
        let stored = known.unwrap_or_else(|| self.read_stored());
        for (side, copy) in [(Side::Working, &working), (Side::Stored, &stored)] {
            if let LoginState::Unreadable(why) = &copy.state {
                let what = format!("{}: {why}", self.login_at(side));
                return Err(Incomplete::Unreadable(ReadFailure { side, what }));
            }
        }
        let is_torn = |copy: &LoginFile| matches!(copy.state, LoginState::Damaged(_) | LoginState::Absent);
        if (is_torn(&working) && self.phase == Phase::AgentLives) || matches!(stored.state, LoginState::Damaged(_)) {
            // A file that changes is being written, even if every read finds it unfinished.
            let known = self.torn_since.filter(|(_, mark)| *mark == working.stamp);
            let (since, _) = *self.torn_since.insert(known.unwrap_or((now, working.stamp)));
            if now < since + TORN_WAIT {
                return Err(Incomplete::MaybeTorn);
            }
        } else {
            self.torn_since = None;
        }
        Ok((working, stored))
    }

    /// The login file of one side, for messages.
    fn login_at(&self, side: Side) -> String {
        match side {
            Side::Working => self.config.working.path.join(&self.config.rule.file).display().to_string(),
            Side::Stored => format!("the login in {}", self.config.store.location()),
        }
    }

    fn read(&self) -> (LoginFile, LoginFile) {
        (self.read_working(), self.read_stored())
    }

    /// The stored login. A follower gets it without its refresh token.
    fn read_stored(&self) -> LoginFile {
        let stored = self.config.store.read(&self.config.rule);
        if self.config.beginning == Beginning::Follow { following(stored, &self.config.rule) } else { stored }
    }

    fn read_working(&self) -> LoginFile {
        let SessionConfig { rule, working, .. } = &self.config;
        file::login(&working.dir, rule, &working.owners(), false)
    }
}

fn no_turns_warning(agent: &str, why: &dyn std::fmt::Display) -> Message {
    Message::warning(format!("{agent}: cannot take turns at refreshing: {why}"))
        .event(EventKey::NoTurns)
        .agent(agent)
        .hint("containers that share this login may refresh at the same time")
}

fn shared_working_copy_warning(config: &SessionConfig) -> Message {
    let (agent, path) = (&config.agent, config.working.path.display());
    Message::warning(format!("{agent}: another run uses {path} too, and takes the turns at refreshing"))
        .event(EventKey::SharedWorkingCopy)
        .agent(agent)
        .hint("give each container a HOME of its own; this run takes over once the other has ended")
}

fn overdue_warning(agent: &str, overdue: Overdue) -> Message {
    let what = match overdue {
        Overdue::Comparison => "the agent's login and the stored one could not be compared",
        Overdue::Refresh => "the agent did not finish its refresh",
    };
    Message::warning(format!("{agent}: {what} within 35 s, so other containers get their turn"))
        .event(EventKey::TurnOverdue)
        .agent(agent)
}
