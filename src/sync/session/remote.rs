//! The part of a sync session that talks to a store behind a helper.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::error::Failure;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::process::children::Children;
use crate::store::protocol::Verb;
use crate::store::remote::StoreEvent;
use crate::store::{Lease, Store};
use crate::sync::session::SyncSession;

impl SyncSession {
    /// The descriptors of a running helper.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        match &self.config.store {
            Store::Directory(_) | Store::Expected(_) => Vec::new(),
            Store::Remote(remote) => remote.fds().collect(),
        }
    }

    /// Handles the helper's answers, and starts the next request if one is due.
    pub fn step_helper(&mut self, now: Instant, children: &mut Children) {
        let Some(remote) = self.config.store.remote() else { return };
        for news in remote.step(now, children) {
            match news {
                StoreEvent::Read => {
                    let stored = self.config.store.read(&self.config.rule);
                    let expires_at = stored.state.login().and_then(|login| login.expires_at);
                    if let Some(remote) = self.config.store.remote() {
                        remote.expect(expires_at);
                    }
                    self.keepers_turn.stored_login_was_read();
                    self.request_sync(now);
                }
                StoreEvent::Stored => self.put_confirmed(now),
                StoreEvent::Conflict => self.put_lost(),
                StoreEvent::Turn(granted) => {
                    self.keepers_turn.answered(granted);
                    if let Some(refresh_lock) = &mut self.refresh_lock {
                        if granted { refresh_lock.granted(Lease::of_store(), now) } else { refresh_lock.refused() }
                    }
                    self.request_sync(now);
                }
                StoreEvent::Failed(Verb::Put, why) => self.put_failed(now, &in_words(&why)),
                StoreEvent::Failed(_, why) => {
                    self.keepers_turn.failed(&why.what);
                    self.say_failed(why);
                }
            }
        }
    }

    fn say_failed(&mut self, why: Failure) {
        let text = format!("{}: {}", self.config.agent, why.what);
        self.log.once(Message { hint: why.hint, ..self.warning(EventKey::StoreFailed, text) });
    }
}

fn in_words(failure: &Failure) -> String {
    match &failure.hint {
        Some(hint) => format!("{} ({hint})", failure.what),
        None => failure.what.clone(),
    }
}
