//! Waits, before the agent runs, for a login to appear in a capture.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::discover::{CaptureFacts, Facts};
use crate::report::{EventKey, Failure, Message, Reporter};
use crate::supervise::children::End;
use crate::sys::poll;
use crate::sys::watch::{MORE_WATCHES, Watcher};
use crate::workcopy::read::reason;

use super::helper::Helpers;

/// A wait that is under way.
pub struct Patience {
    watcher: Watcher,
    watched: Vec<PathBuf>,
    /// A store behind a helper makes no event: it is asked again.
    asks: bool,
    until: Instant,
}

/// Between two questions to a store.
const ASK: Duration = Duration::from_secs(5);

impl Patience {
    /// Begins to watch the captures of the agents in `facts`, and says so; nothing where none of them has one.
    ///
    /// # Errors
    /// A capture that can not be watched.
    pub fn begin(facts: &Facts<'_>, limit: Duration, reporter: Reporter) -> anyhow::Result<Option<Patience>> {
        let captures: Vec<String> =
            facts.agents.iter().filter_map(|agent| Some(agent.capture.as_ref()?.place())).collect();
        if captures.is_empty() {
            let text = "--wait: there is no capture in which a login could appear";
            let hint = "mount a directory as /capture, or name one with --capture";
            reporter.say(&Message::warning(text).event(EventKey::Waiting).hint(hint));
            return Ok(None);
        }
        let text = format!(
            "no usable credential: waiting up to {} for one in {}",
            humantime::format_duration(limit),
            captures.join(", ")
        );
        reporter.say(&Message::notice(text).event(EventKey::Waiting));
        let watcher = Watcher::new().map_err(|error| cannot(&reason(&error)))?;
        let is_asked = |capture: &CaptureFacts| capture.store.is_some();
        let asks = facts.agents.iter().any(|agent| agent.capture.as_ref().is_some_and(is_asked));
        let mut patience = Patience { watcher, watched: Vec::new(), asks, until: Instant::now() + limit };
        patience.watch(facts)?;
        Ok(Some(patience))
    }

    /// Watches what is there by now: a capture, or the root in which it is going to be made.
    ///
    /// # Errors
    /// A directory that can not be watched.
    pub fn watch(&mut self, facts: &Facts<'_>) -> anyhow::Result<()> {
        for agent in &facts.agents {
            let Some(capture) = agent.capture.as_ref().filter(|capture| capture.store.is_none()) else { continue };
            let parent = capture.path.parent().unwrap_or(&capture.path);
            for path in [parent, capture.path.as_path()] {
                if path.is_dir() && !self.watched.iter().any(|known| known == path) {
                    self.watcher
                        .add(path)
                        .map_err(|error| cannot(&format!("{}: {}", path.display(), reason(&error))))?;
                    self.watched.push(path.to_owned());
                }
            }
        }
        Ok(())
    }

    /// Waits until something happened in a capture, or a store is to be asked again; false once the time is over.
    ///
    /// # Errors
    /// We are told to stop meanwhile.
    pub fn wait(&self, helpers: &mut Helpers<'_>) -> anyhow::Result<bool> {
        let ask_at = self.asks.then(|| Instant::now() + ASK);
        loop {
            if let Some(signal) = helpers.told_to_stop()? {
                let what = format!("stopped by {signal} while waiting for a login");
                return Err(Failure::new(what).exit(End::Signaled(signal.number()).exit_status()).into());
            }
            // What a helper of an earlier look left behind ends here.
            helpers.children.reap_all()?;
            if !self.watcher.changes()?.is_empty() {
                return Ok(true);
            }
            if self.until <= Instant::now() {
                return Ok(false);
            }
            if ask_at.is_some_and(|moment| moment <= Instant::now()) {
                return Ok(true);
            }
            let next = ask_at.map_or(self.until, |moment| moment.min(self.until));
            poll::wait_readable(&[helpers.signals.as_fd(), self.watcher.as_fd()], Some(next))?;
        }
    }
}

fn cannot(why: &str) -> Failure {
    Failure::new(format!("--wait: the capture can not be watched: {why}")).hint(MORE_WATCHES)
}
