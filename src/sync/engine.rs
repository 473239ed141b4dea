//! Watches both ends of every link, and lets the links act when something happened.
//!
//! An engine without links has no descriptor and no deadline.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::report::{Message, Reporter};
use crate::state::{self, State};
use crate::sys::dir::Dir;
use crate::sys::poll;
use crate::sys::watch::{Change, Watched, Watcher};
use crate::workcopy::read::reason;

use super::link::Link;

/// How long the last publish may take when nothing limits it.
const LAST: Duration = Duration::from_secs(5);

/// All links of this process.
pub struct Engine {
    links: Vec<Link>,
    watcher: Option<Watcher>,
    /// Which links a watch is about: two may share a directory.
    watched: Vec<(Watched, usize)>,
    state: Option<(Dir, State)>,
    reporter: Reporter,
}

impl Engine {
    /// Starts to watch for the links that are live. `state`: where and what is remembered of this run.
    #[must_use]
    pub fn new(links: Vec<Link>, state: Option<(Dir, State)>, reporter: Reporter) -> Engine {
        let mut engine = Engine { links, watcher: None, watched: Vec::new(), state, reporter };
        if engine.links.iter().any(|link| !link.watched_directories().is_empty()) {
            match Watcher::new() {
                Ok(watcher) => engine.watch(watcher),
                Err(error) => engine.no_watch(&reason(&error)),
            }
        }
        engine
    }

    fn watch(&mut self, watcher: Watcher) {
        for (index, link) in self.links.iter().enumerate() {
            for directory in link.watched_directories() {
                match watcher.add(&directory) {
                    Ok(watched) => self.watched.push((watched, index)),
                    Err(error) => self.no_watch(&format!("{}: {}", directory.display(), reason(&error))),
                }
            }
        }
        self.watcher = Some(watcher);
    }

    fn no_watch(&self, why: &str) {
        let text = format!("changes are not seen as they happen ({why}): the login is carried back at the end only");
        self.reporter
            .say(&Message::warning(text).hint("raise fs.inotify.max_user_instances and max_user_watches on the host"));
    }

    /// The descriptor that is readable when something happened.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.as_ref().map(AsFd::as_fd)
    }

    /// The next moment at which something is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        self.links.iter().filter_map(|link| link.due(now)).min()
    }

    /// Whether an agent is in the middle of a refresh, so that its end now would lose a token.
    #[must_use]
    pub fn is_refreshing(&self) -> bool {
        self.links.iter().any(Link::is_refreshing)
    }

    /// Whether a login of this agent's working copy was stored.
    #[must_use]
    pub fn has_published(&self, agent: &str) -> bool {
        self.links.iter().any(|link| link.agent() == agent && link.has_published())
    }

    /// Before the agent starts: what is stored and what was laid down are made to agree.
    pub fn begin(&mut self) {
        self.settle(Instant::now() + LAST);
    }

    /// Reads what happened and does what is due; never waits.
    pub fn step(&mut self, now: Instant) {
        self.read_changes(now);
        self.act(now, true);
    }

    /// The last exchange of every link, until `deadline` at the latest.
    pub fn finish(&mut self, deadline: Option<Instant>) {
        self.settle(deadline.unwrap_or_else(|| Instant::now() + LAST));
        for link in &mut self.links {
            link.finish();
            self.reporter.say_all(&link.messages());
        }
    }

    /// A turn for every link while no agent runs, and others until nothing is due that waiting would help.
    fn settle(&mut self, deadline: Instant) {
        let now = Instant::now();
        for link in &mut self.links {
            link.ask(now);
        }
        loop {
            self.act(Instant::now(), false);
            match self.links.iter().filter_map(Link::worth_waiting_for).min() {
                Some(due) if due < deadline => drop(poll::wait_readable(&[], Some(due))),
                _ => return,
            }
        }
    }

    fn read_changes(&mut self, now: Instant) {
        let Some(watcher) = &self.watcher else { return };
        let changes = match watcher.changes() {
            Ok(changes) => changes,
            Err(error) => return self.reporter.say(&Message::warning(format!("inotify: {}", reason(&error)))),
        };
        for change in changes {
            match change {
                Change::Entry(watched, name) => {
                    self.links_of(watched).for_each(|link| link.entry_changed(&name, now));
                }
                Change::Gone(watched) => {
                    self.links_of(watched).for_each(Link::directory_gone);
                    self.watched.retain(|(known, _)| *known != watched);
                }
                Change::Overflow => self.links.iter_mut().for_each(|link| link.ask(now)),
            }
        }
    }

    /// The links that a watch is about.
    fn links_of(&mut self, watched: Watched) -> impl Iterator<Item = &mut Link> {
        let about = &self.watched;
        self.links
            .iter_mut()
            .enumerate()
            .filter(move |(index, _)| about.contains(&(watched, *index)))
            .map(|(_, link)| link)
    }

    fn act(&mut self, now: Instant, agent_lives: bool) {
        for link in &mut self.links {
            link.turn(now, agent_lives);
            self.reporter.say_all(&link.messages());
        }
        self.save();
    }

    /// A stop has begun: no agent starts a refresh any more.
    pub fn ending(&mut self) {
        self.links.iter_mut().for_each(Link::ending);
    }

    /// Remembers what was agreed, if that changed.
    fn save(&mut self) {
        let Some((dir, state)) = &mut self.state else { return };
        let before = state.clone();
        for link in &self.links {
            if let Some(served) = state.agents.iter_mut().find(|served| served.agent == link.agent()) {
                link.remember(served);
            }
        }
        if *state != before
            && let Err(error) = state::save(dir, state)
        {
            self.reporter.say(&Message::warning(format!("{error:#}")));
        }
    }

    /// Writes down that the agent runs.
    pub fn started(&mut self, agent: crate::sys::process::Pid) {
        let Some((dir, state)) = &mut self.state else { return };
        state.agent_pid = Some(agent);
        if let Err(error) = state::save(dir, state) {
            self.reporter.say(&Message::warning(format!("{error:#}")));
        }
    }
}
