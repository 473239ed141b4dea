//! A link to a store that answers later.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::error::Failure;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::process::children::Children;
use crate::store::Store;
use crate::store::protocol::Verb;
use crate::store::remote::News;
use crate::sync::session::Link;

impl Link {
    /// The descriptors of a helper that runs.
    #[must_use]
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        match &self.ends.store {
            Store::Directory(_) | Store::Expected(_) => Vec::new(),
            Store::Remote(remote) => remote.fds().collect(),
        }
    }

    /// Hears what the store has to say, and lets it go on.
    pub fn converse(&mut self, now: Instant, children: &mut Children) {
        let Some(remote) = self.ends.store.remote() else { return };
        for news in remote.step(now, children) {
            match news {
                News::Read => {
                    let stored = self.ends.store.read(&self.ends.rule);
                    let expires_at = stored.version.login().and_then(|login| login.expires_at);
                    if let Some(remote) = self.ends.store.remote() {
                        remote.expect(expires_at);
                    }
                    self.ask(now);
                }
                News::Stored => self.arrived(now),
                News::Conflict => self.lost(),
                News::Turn(granted) => {
                    if let Some(gate) = &mut self.gate {
                        if granted { gate.granted(None, now) } else { gate.refused() }
                    }
                    self.ask(now);
                }
                News::Failed(Verb::Put, why) => self.came_back(now, &in_words(&why)),
                News::Failed(_, why) => self.say_failed(why),
            }
        }
    }

    fn say_failed(&mut self, why: Failure) {
        let text = format!("{}: {}", self.ends.agent, why.what);
        self.voice.once(Message { hint: why.hint, ..self.warning(EventKey::StoreFailed, text) });
    }
}

fn in_words(failure: &Failure) -> String {
    match &failure.hint {
        Some(hint) => format!("{} ({hint})", failure.what),
        None => failure.what.clone(),
    }
}
