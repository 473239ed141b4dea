//! Watches the directories of every sync session, and lets the sessions act on changes.
//!
//! An engine without sessions has no descriptor and no deadline.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::error::reason;
use crate::fs::directories;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::process::children::Children;
use crate::process::hook::Hook;
use crate::process::interrupt::Interrupt;
use crate::state;
use crate::state::{Keeping, State};
use crate::sync::dedup_log::DedupLog;
use crate::sync::session::{Phase, SyncSession};
use crate::sync::watch_state::Side;
use crate::sys::dir::Dir;
use crate::sys::process::Pid;
use crate::sys::watch::{Change, Watched, Watcher};
use crate::sys::{poll, process};

/// How long the sync before the agent's start may take.
const START_SYNC_LIMIT: Duration = Duration::from_secs(5);

/// A session's share in the watch of a directory. Two sessions may share a directory, and so its watch.
struct Watch {
    id: Watched,
    session: usize,
    side: Side,
}

/// All sync sessions of this process.
pub struct Engine {
    sessions: Vec<SyncSession>,
    watcher: Option<Watcher>,
    watches: Vec<Watch>,
    state: Option<(Dir, State)>,
    /// Messages that belong to no single session.
    log: DedupLog,
    reporter: Reporter,
    /// The command that is run for events.
    hook: Option<Hook>,
}

impl Engine {
    /// Starts to watch for the live sessions. `state`: the state directory, and what is saved there about this run.
    pub fn new(
        sessions: Vec<SyncSession>,
        state: Option<(Dir, State)>,
        reporter: Reporter,
        hook: Option<Hook>,
    ) -> Engine {
        let (watches, log) = (Vec::new(), DedupLog::default());
        let mut engine = Engine { sessions, watcher: None, watches, state, log, reporter, hook };
        engine.watch(Instant::now());
        engine
    }

    /// Adds missing watches. A directory that does not exist is tried again at the next step.
    fn watch(&mut self, now: Instant) {
        for (index, session) in self.sessions.iter_mut().enumerate() {
            for (side, directory) in session.unwatched() {
                let added = match &self.watcher {
                    Some(watcher) => watcher.add(&directory),
                    None => Watcher::new().and_then(|watcher| self.watcher.insert(watcher).add(&directory)),
                };
                match added {
                    Ok(id) => {
                        // An earlier watch of this side is about a directory that is no longer of interest.
                        let is_earlier = |watch: &mut Watch| watch.session == index && watch.side == side;
                        let earlier: Vec<Watch> = self.watches.extract_if(.., is_earlier).collect();
                        self.watches.push(Watch { id, session: index, side });
                        for watch in earlier {
                            let is_still_used = self.watches.iter().any(|used| used.id == watch.id);
                            if !is_still_used && let Some(watcher) = &self.watcher {
                                watcher.remove(watch.id);
                            }
                        }
                        session.watched(side, now);
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => session.not_watched(side, &format!("{}: {}", directory.display(), reason(&error))),
                }
            }
        }
    }

    /// The descriptors that become readable when something has changed.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let sessions = self.sessions.iter().flat_map(SyncSession::fds);
        self.watcher.iter().map(AsFd::as_fd).chain(sessions).chain(self.hook.iter().flat_map(Hook::fds))
    }

    /// When the next step is due.
    pub fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        let sessions = self.sessions.iter().filter_map(|session| session.due(now));
        sessions.chain(self.log.deadline()).chain(self.hook.as_ref().and_then(Hook::deadline)).min()
    }

    /// Whether an agent is in the middle of a refresh, so that killing it now would lose a token.
    pub fn is_refreshing(&self) -> bool {
        self.sessions.iter().any(SyncSession::is_refreshing)
    }

    /// The session of an agent.
    pub fn session(&mut self, agent: &str) -> Option<&mut SyncSession> {
        self.sessions.iter_mut().find(|session| session.agent() == agent)
    }

    /// Whether a login of this agent's working copy was stored.
    pub fn has_published(&self, agent: &str) -> bool {
        self.sessions.iter().any(|session| session.agent() == agent && session.has_published())
    }

    /// Syncs the installed logins with their stores before the agent starts, as far as no helper is needed. A stop ends
    /// it early.
    pub fn sync_before_start(&mut self, interrupt: &Interrupt) {
        let now = Instant::now();
        let deadline = now + START_SYNC_LIMIT;
        self.sessions.iter_mut().for_each(|session| session.request_sync(now));
        loop {
            self.step_sessions(Instant::now(), Phase::Start);
            match self.sessions.iter().filter_map(SyncSession::due_unless_refused).min() {
                Some(due) if due < deadline && !interrupt.has_come() => {
                    drop(poll::wait_readable(&[interrupt.as_fd()], Some(due)));
                }
                _ => return,
            }
        }
    }

    /// Cleans up after a failed start: removes what exists only for a running agent. A login that is not stored is
    /// still where it was found.
    pub fn agent_not_started(&mut self, children: &mut Children) {
        self.sessions.iter_mut().for_each(|session| session.release(children));
    }

    /// Reads changes and does what is due. Never waits. The caller has reaped before.
    pub fn step(&mut self, now: Instant, children: &mut Children) {
        self.read_changes(now);
        self.step_helpers(now, children);
        self.step_sessions(now, Phase::AgentLives);
        self.watch(now);
        self.step_hook(now, children);
    }

    /// Begins the final sync of every session, when no agent lives any more. Returns when it must end.
    pub fn begin_final_sync(&mut self, now: Instant, limit: Option<Instant>, children: &mut Children) -> Instant {
        // Nobody reads changes from here on, and a descriptor that stays readable would make the event loop spin.
        self.watcher = None;
        self.watches.clear();
        self.sessions.iter_mut().for_each(|session| session.begin_final_sync(now, children));
        let final_sync_limit = self.sessions.iter().map(SyncSession::final_sync_limit).max();
        limit.unwrap_or(now + final_sync_limit.unwrap_or_default())
    }

    /// A step of the final sync. Returns when the next one is due, if waiting for it can help.
    pub fn final_sync_step(&mut self, now: Instant, children: &mut Children) -> Option<Instant> {
        self.step_helpers(now, children);
        self.step_sessions(now, Phase::End);
        self.step_hook(now, children);
        self.sessions.iter().filter_map(|session| session.next_final_step(now)).min()
    }

    pub fn finish(&mut self, children: &mut Children) {
        let now = Instant::now();
        for session in &mut self.sessions {
            session.finish(children);
            say(self.reporter, &mut self.hook, &session.last_messages(now));
        }
        self.reporter.say_all(&self.log.take_last(now));
        if let Some((dir, _)) = &self.state {
            directories::sweep(dir);
        }
    }

    /// Writes messages, and runs the command of `--on-event` for those that it is for.
    pub fn say(&mut self, messages: &[Message]) {
        say(self.reporter, &mut self.hook, messages);
    }

    /// The same for messages that were written already.
    pub fn observe<'m>(&mut self, messages: impl IntoIterator<Item = &'m Message>) {
        if let Some(hook) = &mut self.hook {
            for message in messages {
                hook.observe(message);
            }
        }
    }

    fn step_hook(&mut self, now: Instant, children: &mut Children) {
        if let Some(hook) = &mut self.hook {
            self.reporter.say_all(&hook.step(now, children));
        }
    }

    /// A step after the end of the last sync: events that happened then may still be told. Returns whether that is so.
    pub fn last_hook_step(&mut self, now: Instant, children: &mut Children) -> bool {
        self.step_hook(now, children);
        self.hook.as_ref().is_some_and(Hook::is_busy)
    }

    /// Ends the command of `--on-event`.
    pub fn abandon_hook(&mut self, children: &mut Children) {
        if let Some(hook) = &mut self.hook {
            hook.abandon(children);
        }
    }

    fn step_helpers(&mut self, now: Instant, children: &mut Children) {
        self.sessions.iter_mut().for_each(|session| session.step_helper(now, children));
    }

    fn read_changes(&mut self, now: Instant) {
        let Some(watcher) = &self.watcher else { return };
        let changes = match watcher.changes() {
            Ok(changes) => changes,
            Err(error) => {
                let text = format!("inotify: {}", reason(&error));
                return self.log.once(Message::warning(text).event(EventKey::SystemCallFailed));
            }
        };
        for change in changes {
            match change {
                Change::Entry(watched, name) => {
                    self.sessions_of(watched).for_each(|(session, side)| session.entry_changed(side, &name, now));
                }
                Change::Removed(watched, name) => {
                    self.sessions_of(watched).for_each(|(session, _)| session.entry_removed(&name, now));
                }
                Change::Gone(watched) => {
                    // A directory that was renamed is still watched. Without this, a process that makes and renames
                    // directories could use up the watches that the kernel grants our user on the whole machine
                    // (inotify(7), max_user_watches).
                    if let Some(watcher) = &self.watcher {
                        watcher.remove(watched);
                    }
                    for watch in self.watches.extract_if(.., |watch| watch.id == watched) {
                        if let Some(session) = self.sessions.get_mut(watch.session) {
                            session.directory_gone(watch.side, now);
                        }
                    }
                }
                Change::Overflow => self.sessions.iter_mut().for_each(|session| session.request_sync(now)),
            }
        }
    }

    /// The sessions that a watch belongs to, each with the side whose directory is watched.
    fn sessions_of(&mut self, watched: Watched) -> impl Iterator<Item = (&mut SyncSession, Side)> {
        let watches = &self.watches;
        self.sessions.iter_mut().enumerate().filter_map(move |(index, session)| {
            let watch = watches.iter().find(|watch| watch.id == watched && watch.session == index)?;
            Some((session, watch.side))
        })
    }

    fn step_sessions(&mut self, now: Instant, phase: Phase) {
        for session in &mut self.sessions {
            session.step(now, phase);
            say(self.reporter, &mut self.hook, &session.messages(now));
        }
        self.save_if_changed();
        self.reporter.say_all(&self.log.take(now));
    }

    /// A stop has begun: no agent may start a refresh any more.
    pub fn stop_begun(&mut self) {
        self.sessions.iter_mut().for_each(SyncSession::stop_begun);
    }

    /// Saves the merge bases and results if they changed.
    fn save_if_changed(&mut self) {
        let Some((_, state)) = &mut self.state else { return };
        let mut is_changed = false;
        for session in &self.sessions {
            if let Some(served) = state.agents.iter_mut().find(|served| served.agent == session.agent()) {
                is_changed |= session.remember(served);
            }
        }
        if is_changed {
            self.save_state();
        }
    }

    /// Saves that the agent runs.
    pub fn agent_started(&mut self, agent: Pid) {
        if let Some((_, state)) = &mut self.state {
            state.agent_pid = Some(agent);
        }
        self.save_state();
        self.reporter.say_all(&self.log.take(Instant::now()));
    }

    /// Saves how this process, a keeper, gets on with its logins. `None`: it has not looked at one yet.
    pub fn remember_keeping<'a>(&mut self, logins: impl Iterator<Item = (&'a str, Option<Keeping>)>) {
        let Some((_, state)) = &mut self.state else { return };
        let mut is_changed = state.keeper_started.is_none();
        if is_changed {
            state.keeper_started = process::own_start();
        }
        for (agent, kept) in logins {
            if let Some(served) = state.agents.iter_mut().find(|served| served.agent == agent) {
                is_changed |= served.kept != kept;
                served.kept = kept;
            }
        }
        if is_changed {
            self.save_state();
        }
    }

    pub fn save_state(&mut self) {
        let Some((dir, state)) = &self.state else { return };
        match state::save(dir, state) {
            Ok(()) => self.log.recovered(),
            Err(error) => self.log.once(Message::error(&error).as_warning().event(EventKey::StateNotSaved)),
        }
    }
}

fn say(reporter: Reporter, hook: &mut Option<Hook>, messages: &[Message]) {
    reporter.say_all(messages);
    if let Some(hook) = hook {
        for message in messages {
            hook.observe(message);
        }
    }
}
