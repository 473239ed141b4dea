//! Watches both ends of every link, and lets the links act when something happened.
//!
//! An engine without links has no descriptor and no deadline.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::error::reason;
use crate::fs::directories;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::process::children::Children;
use crate::process::interrupt::Interrupt;
use crate::state;
use crate::state::State;
use crate::sync::dedup_log::DedupLog;
use crate::sync::session::SyncSession;
use crate::sync::watch_state::Side;
use crate::sys::dir::Dir;
use crate::sys::poll;
use crate::sys::process::Pid;
use crate::sys::watch::{Change, Watched, Watcher};

/// How long an exchange may take before the agent starts.
const LAST: Duration = Duration::from_secs(5);

/// All links of this process.
pub struct Engine {
    links: Vec<SyncSession>,
    watcher: Option<Watcher>,
    /// Which links a watch is about: two may share a directory.
    watched: Vec<(Watched, usize, Side)>,
    state: Option<(Dir, State)>,
    /// What is said of all links together.
    log: DedupLog,
    reporter: Reporter,
}

impl Engine {
    /// Starts to watch for the links that are live. `state`: where and what is remembered of this run.
    pub fn new(links: Vec<SyncSession>, state: Option<(Dir, State)>, reporter: Reporter) -> Engine {
        let mut engine =
            Engine { links, watcher: None, watched: Vec::new(), state, log: DedupLog::default(), reporter };
        engine.watch(Instant::now());
        engine
    }

    /// Watches what is to be watched and is not yet, or no longer. What is not there will be tried again.
    fn watch(&mut self, now: Instant) {
        for (index, link) in self.links.iter_mut().enumerate() {
            for (side, directory) in link.unwatched() {
                let added = match &self.watcher {
                    Some(watcher) => watcher.add(&directory),
                    None => Watcher::new().and_then(|watcher| self.watcher.insert(watcher).add(&directory)),
                };
                match added {
                    Ok(watched) => {
                        // What was watched for it before tells of a directory that is of no interest any more.
                        let is_before = |(_, known, end): &mut (Watched, usize, Side)| (*known, *end) == (index, side);
                        let before: Vec<_> = self.watched.extract_if(.., is_before).collect();
                        self.watched.push((watched, index, side));
                        let has = |watched| self.watched.iter().any(|(known, ..)| *known == watched);
                        if let Some(watcher) = &self.watcher {
                            before
                                .iter()
                                .filter(|(known, ..)| !has(*known))
                                .for_each(|(known, ..)| watcher.remove(*known));
                        }
                        link.watched(side, now);
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => link.not_watched(side, &format!("{}: {}", directory.display(), reason(&error))),
                }
            }
        }
    }

    /// The descriptors that are readable when something happened.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watcher.iter().map(AsFd::as_fd).chain(self.links.iter().flat_map(SyncSession::fds))
    }

    /// The next moment at which something is due.
    pub fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        self.links.iter().filter_map(|link| link.due(now)).chain(self.log.deadline()).min()
    }

    /// Whether an agent is in the middle of a refresh, so that its end now would lose a token.
    pub fn is_refreshing(&self) -> bool {
        self.links.iter().any(SyncSession::is_refreshing)
    }

    /// Whether a login of this agent's working copy was stored.
    pub fn has_published(&self, agent: &str) -> bool {
        self.links.iter().any(|link| link.agent() == agent && link.has_published())
    }

    /// Before the agent starts: what is stored and what was installed are made to agree, as far as that takes no helper.
    /// A stop ends it early.
    pub fn begin(&mut self, interrupt: &Interrupt) {
        let now = Instant::now();
        let deadline = now + LAST;
        self.links.iter_mut().for_each(|link| link.ask(now));
        loop {
            self.act(Instant::now(), false);
            match self.links.iter().filter_map(SyncSession::due_now).min() {
                Some(due) if due < deadline && !interrupt.has_come() => {
                    drop(poll::wait_readable(&[interrupt.as_fd()], Some(due)));
                }
                _ => return,
            }
        }
    }

    /// The agent was not started: nothing stays behind that is for a running one. What is not stored is where it was found.
    pub fn not_started(&mut self, children: &mut Children) {
        self.links.iter_mut().for_each(|link| link.release(children));
    }

    /// Reads what happened and does what is due; never waits. The caller has reaped before.
    pub fn step(&mut self, now: Instant, children: &mut Children) {
        self.read_changes(now);
        self.converse(now, children);
        self.act(now, true);
        self.watch(now);
    }

    /// The last exchange of every link begins: no agent lives any more. Until when it may take.
    pub fn last(&mut self, now: Instant, limit: Option<Instant>, children: &mut Children) -> Instant {
        // Nobody reads what changes from here on, and a descriptor that is readable forever lets nobody sleep.
        self.watcher = None;
        self.watched.clear();
        self.links.iter_mut().for_each(|link| link.last(now, children));
        let longest = self.links.iter().map(SyncSession::longest).max();
        limit.unwrap_or(now + longest.unwrap_or_default())
    }

    /// A step of the last exchange; the moment of the next one, if waiting for it helps.
    pub fn last_step(&mut self, now: Instant, children: &mut Children) -> Option<Instant> {
        self.converse(now, children);
        self.act(now, false);
        self.links.iter().filter_map(|link| link.worth_waiting_for(now)).min()
    }

    /// The end.
    pub fn finish(&mut self, children: &mut Children) {
        let now = Instant::now();
        for link in &mut self.links {
            link.finish(children);
            self.reporter.say_all(&link.last_messages(now));
        }
        self.reporter.say_all(&self.log.last(now));
        if let Some((dir, _)) = &self.state {
            directories::sweep(dir);
        }
    }

    fn converse(&mut self, now: Instant, children: &mut Children) {
        self.links.iter_mut().for_each(|link| link.converse(now, children));
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
                    self.links_of(watched).for_each(|link| link.entry_changed(&name, now));
                }
                Change::Removed(watched, name) => {
                    self.links_of(watched).for_each(|link| link.entry_removed(&name, now));
                }
                Change::Gone(watched) => {
                    // One that was renamed is watched still. Whoever makes and renames directories shall not use up what
                    // the kernel grants our user on the whole machine (inotify(7), max_user_watches).
                    if let Some(watcher) = &self.watcher {
                        watcher.remove(watched);
                    }
                    for (_, index, side) in self.watched.extract_if(.., |(known, ..)| *known == watched) {
                        if let Some(link) = self.links.get_mut(index) {
                            link.directory_gone(side, now);
                        }
                    }
                }
                Change::Overflow => self.links.iter_mut().for_each(|link| link.ask(now)),
            }
        }
    }

    /// The links that a watch is about.
    fn links_of(&mut self, watched: Watched) -> impl Iterator<Item = &mut SyncSession> {
        let about = &self.watched;
        self.links
            .iter_mut()
            .enumerate()
            .filter(move |(index, _)| about.iter().any(|(known, about, _)| *known == watched && about == index))
            .map(|(_, link)| link)
    }

    fn act(&mut self, now: Instant, agent_lives: bool) {
        for link in &mut self.links {
            link.turn(now, agent_lives);
            self.reporter.say_all(&link.messages(now));
        }
        self.save();
        self.reporter.say_all(&self.log.take(now));
    }

    /// A stop has begun: no agent starts a refresh any more.
    pub fn ending(&mut self) {
        self.links.iter_mut().for_each(SyncSession::ending);
    }

    /// Remembers what was agreed, if that changed.
    fn save(&mut self) {
        let Some((_, state)) = &mut self.state else { return };
        let mut has_news = false;
        for link in &self.links {
            if let Some(served) = state.agents.iter_mut().find(|served| served.agent == link.agent()) {
                has_news |= link.remember(served);
            }
        }
        if has_news {
            self.write_down();
        }
    }

    /// Writes down that the agent runs.
    pub fn started(&mut self, agent: Pid) {
        if let Some((_, state)) = &mut self.state {
            state.agent_pid = Some(agent);
        }
        self.write_down();
        self.reporter.say_all(&self.log.take(Instant::now()));
    }

    /// Writes down what is known of this run.
    pub fn write_down(&mut self) {
        let Some((dir, state)) = &self.state else { return };
        match state::save(dir, state) {
            Ok(()) => self.log.is_healthy(),
            Err(error) => self.log.once(Message::error(&error).as_warning().event(EventKey::StateNotSaved)),
        }
    }
}
