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

pub struct LoginWait {
    watcher: Option<Watcher>,
    /// How often the captures are checked without an event. `None` if every change makes an event.
    poll_interval: Option<Duration>,
    until: Instant,
    reporter: Reporter,
    /// The warning that polling replaces watching was given.
    has_warned: bool,
}

/// Between two requests to a store.
const STORE_POLL: Duration = Duration::from_secs(5);
/// Between two checks of a directory where not every change makes an event.
const DIRECTORY_POLL: Duration = Duration::from_secs(2);

impl LoginWait {
    /// Starts to wait for a login in the captures of the agents in `facts`. Without a capture it warns and returns
    /// `None`.
    pub fn begin(facts: &Facts<'_>, limit: Duration, reporter: Reporter) -> Option<LoginWait> {
        let captures: Vec<String> =
            facts.agents.iter().filter_map(|agent| Some(agent.capture.as_ref()?.location())).collect();
        if captures.is_empty() {
            let text = "--wait has no effect: there is no capture in which a login could appear";
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
        let mut login_wait = LoginWait {
            watcher: None,
            poll_interval: None,
            until: Instant::now() + limit,
            reporter,
            has_warned: false,
        };
        match Watcher::new() {
            Ok(watcher) => login_wait.watcher = Some(watcher),
            Err(error) => login_wait.poll_instead(&reason(&error)),
        }
        Some(login_wait)
    }

    /// Watches each capture and its parent, in which it may still have to be made. Must be called again before the
    /// facts are read again, because a directory may have been made or replaced.
    pub fn watch(&mut self, facts: &Facts<'_>) {
        self.poll_interval = self.watcher.is_none().then_some(DIRECTORY_POLL);
        let captures = || facts.agents.iter().filter_map(|agent| agent.capture.as_ref());
        if captures().any(|capture: &CaptureFacts| capture.store.is_some()) {
            self.poll_interval = Some(self.poll_interval.map_or(STORE_POLL, |interval| interval.min(STORE_POLL)));
        }
        for capture in captures().filter(|capture| capture.store.is_none()) {
            let parent = capture.path.parent().unwrap_or(&capture.path);
            for path in [parent, capture.path.as_path()] {
                match self.add(path) {
                    Ok(true) => {}
                    Ok(false) => self.poll_interval = Some(DIRECTORY_POLL),
                    // Its parent is watched, in which it will be made.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => self.poll_instead(&format!("{}: {}", path.display(), reason(&error))),
                }
            }
        }
    }

    /// Watches a directory. Returns whether every change there makes an event.
    fn add(&self, path: &Path) -> io::Result<bool> {
        let Some(watcher) = &self.watcher else { return Ok(false) };
        // The readers of a capture follow links to it, but a watch follows none: the real path is watched.
        let directory = Dir::open(path)?;
        let real: PathBuf = path.canonicalize()?;
        // Adding a watch twice is harmless: inotify_add_watch(2).
        watcher.add(&real)?;
        Ok(watches_all(&directory))
    }

    /// Falls back to polling, with one warning.
    fn poll_instead(&mut self, why: &str) {
        self.poll_interval = Some(DIRECTORY_POLL);
        if !std::mem::replace(&mut self.has_warned, true) {
            let text = format!("--wait: cannot watch for changes ({why}): checking every 2 s instead");
            self.reporter.say(&Message::warning(text).event(EventKey::NotWatched).hint(MORE_WATCHES));
        }
    }

    /// Waits until something changes in a capture or the next check is due. Returns whether time is left after that
    /// check. A stop signal is an error.
    pub fn wait(&self, helpers: &mut Helpers<'_>) -> anyhow::Result<bool> {
        let next_check =
            self.poll_interval.map(|interval| Instant::now() + interval).filter(|moment| *moment < self.until);
        loop {
            if let Some(signal) = helpers.stopped_by()? {
                let what = format!("stopped by {signal} while waiting for a login");
                return Err(Failure::new(what).exit(End::Signaled(signal.number()).exit_status()).into());
            }
            // Reaps what a helper of an earlier check left behind.
            helpers.children.reap_all()?;
            if self.until <= Instant::now() {
                return Ok(false);
            }
            let is_changed = match self.watcher.as_ref().map(Watcher::changes) {
                Some(Ok(changes)) => !changes.is_empty(),
                Some(Err(error)) => return Err(error).context("--wait: inotify"),
                None => false,
            };
            if is_changed || next_check.is_some_and(|moment| moment <= Instant::now()) {
                return Ok(true);
            }
            let watcher = self.watcher.iter().map(AsFd::as_fd);
            let fds: Vec<_> = std::iter::once(helpers.signals.as_fd()).chain(watcher).collect();
            poll::wait_readable(&fds, Some(next_check.unwrap_or(self.until)))?;
        }
    }
}
