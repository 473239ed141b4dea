//! `--wait`: waits, before the agent runs, for a login to appear in a capture.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::error::{Failure, reason};
use crate::facts::Facts;
use crate::facts::agent_facts::CaptureFacts;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::process::children::End;
use crate::process::helpers::Helpers;
use crate::sys::dir::Dir;
use crate::sys::poll;
use crate::sys::watch::{MORE_WATCHES, Watcher, watches_all};

/// A wait that is under way.
pub struct LoginWait {
    watcher: Option<Watcher>,
    /// After how long the captures are looked at without an event; never, where every change makes one.
    look: Option<Duration>,
    until: Instant,
    reporter: Reporter,
    /// That looking has to do instead of watching was said.
    is_said: bool,
}

/// Between two questions to a store.
const ASK: Duration = Duration::from_secs(5);
/// Between two looks at a directory whose changes, or not all of them, make an event.
const LOOK: Duration = Duration::from_secs(2);

impl LoginWait {
    /// Begins to wait for the captures of the agents in `facts`, and says so; nothing where none of them has one.
    pub fn begin(facts: &Facts<'_>, limit: Duration, reporter: Reporter) -> Option<LoginWait> {
        let captures: Vec<String> =
            facts.agents.iter().filter_map(|agent| Some(agent.capture.as_ref()?.place())).collect();
        if captures.is_empty() {
            let text = "--wait: there is no capture in which a login could appear";
            let hint = "mount a directory as /capture, or name one with --capture";
            reporter.say(&Message::warning(text).event(EventKey::Waiting).hint(hint));
            return None;
        }
        let text = format!(
            "no usable credential: waiting up to {} for one in {}",
            humantime::format_duration(limit),
            captures.join(", ")
        );
        reporter.say(&Message::notice(text).event(EventKey::Waiting));
        let mut login_wait =
            LoginWait { watcher: None, look: None, until: Instant::now() + limit, reporter, is_said: false };
        match Watcher::new() {
            Ok(watcher) => login_wait.watcher = Some(watcher),
            Err(error) => login_wait.not_watched(&reason(&error)),
        }
        Some(login_wait)
    }

    /// Watches what is there by now: each capture, and the directory in which it is going to be made. Called again after
    /// each look: a directory may have been made, or replaced by another.
    pub fn watch(&mut self, facts: &Facts<'_>) {
        self.look = self.watcher.is_none().then_some(LOOK);
        let captures = || facts.agents.iter().filter_map(|agent| agent.capture.as_ref());
        if captures().any(|capture: &CaptureFacts| capture.store.is_some()) {
            self.look = Some(self.look.map_or(ASK, |look| look.min(ASK)));
        }
        for capture in captures().filter(|capture| capture.store.is_none()) {
            let parent = capture.path.parent().unwrap_or(&capture.path);
            for path in [parent, capture.path.as_path()] {
                match self.add(path) {
                    Ok(true) => {}
                    Ok(false) => self.look = Some(LOOK),
                    // It is going to be made in its parent.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => self.not_watched(&format!("{}: {}", path.display(), reason(&error))),
                }
            }
        }
    }

    /// Watches a directory; whether everything that changes there is heard.
    fn add(&self, path: &Path) -> io::Result<bool> {
        let Some(watcher) = &self.watcher else { return Ok(false) };
        // Links are followed as far as those that read the capture follow them; a watch itself follows none.
        let directory = Dir::open(path)?;
        let real: PathBuf = path.canonicalize()?;
        // One that is watched already stays so: inotify_add_watch(2).
        watcher.add(&real)?;
        Ok(watches_all(&directory))
    }

    /// A directory cannot be watched: it is looked at.
    fn not_watched(&mut self, why: &str) {
        self.look = Some(LOOK);
        if !std::mem::replace(&mut self.is_said, true) {
            let text = format!("--wait: changes are not heard ({why}): they are looked for every 2 s");
            self.reporter.say(&Message::warning(text).event(EventKey::NotWatched).hint(MORE_WATCHES));
        }
    }

    /// Waits until something happened in a capture, or it is time to look; whether there is time left after that look.
    ///
    /// # Errors
    /// We are told to stop meanwhile.
    pub fn wait(&self, helpers: &mut Helpers<'_>) -> anyhow::Result<bool> {
        let look_at = self.look.map(|look| Instant::now() + look).filter(|moment| *moment < self.until);
        loop {
            if let Some(signal) = helpers.stopped_by()? {
                let what = format!("stopped by {signal} while waiting for a login");
                return Err(Failure::new(what).exit(End::Signaled(signal.number()).exit_status()).into());
            }
            // What a helper of an earlier look left behind ends here.
            helpers.children.reap_all()?;
            if self.until <= Instant::now() {
                return Ok(false);
            }
            let is_changed = match self.watcher.as_ref().map(Watcher::changes) {
                Some(Ok(changes)) => !changes.is_empty(),
                Some(Err(error)) => return Err(error).context("--wait: inotify"),
                None => false,
            };
            if is_changed || look_at.is_some_and(|moment| moment <= Instant::now()) {
                return Ok(true);
            }
            let watcher = self.watcher.iter().map(AsFd::as_fd);
            let fds: Vec<_> = std::iter::once(helpers.signals.as_fd()).chain(watcher).collect();
            poll::wait_readable(&fds, Some(look_at.unwrap_or(self.until)))?;
        }
    }
}
