//! What travels over a link, and what is said and kept where it can not.

use std::time::Instant;

use zeroize::Zeroizing;

use crate::credential::{Document, Login};
use crate::plan::warning::log_in;
use crate::report::{EventKey, Level, Message};
use crate::store::Put;
use crate::sync::lineage::Lineage;
use crate::sync::reconcile::{Base, Outcome, Version};
use crate::sys::replace::Replaced;
use crate::workcopy::read::{self, Copy, reason};

use super::{Link, RETRY, Trouble};

/// A login on its way to a store that answers later.
pub(super) struct Sent {
    login: Login,
    lineage: Lineage,
}

impl Link {
    pub(super) fn nothing_travels(&mut self, outcome: Outcome, working: &Copy, stored: &Copy) {
        match outcome {
            // Nobody has logged in yet.
            Outcome::LoggedOut if self.ends.base.is_none() => {}
            Outcome::LoggedOut => {
                self.last = Some("logged-out");
                let text =
                    format!("{}: the agent's login is blank or gone; the captured one stays as it is", self.ends.agent);
                let again = log_in(&self.ends.agent);
                let hint = format!("someone logged out, or the vendor refused a refresh: log in again: {again}");
                self.voice.once(self.warning(EventKey::LoggedOut, text).hint(hint));
            }
            Outcome::Damaged => {
                self.last = Some("torn");
                self.say_damaged(working);
            }
            _ => {
                self.last.get_or_insert("unchanged");
                if let Some(login) = working.version.login() {
                    // Both ends may have come to the same login by themselves.
                    self.ends.base = Some(Base::from(login));
                    self.ends.anew = false;
                    if stored.version.login().is_some() {
                        self.forget_recovery();
                    }
                }
            }
        }
    }

    /// With the lock held.
    pub(super) fn carry(&mut self, outcome: Outcome, working: &Copy, stored: &Copy) -> Result<(), Trouble> {
        match (outcome, working.version.login(), stored.version.login()) {
            (Outcome::Publish { keep_other }, Some(ours), _) => {
                if keep_other || self.ends.replaces {
                    self.keep(stored)?;
                }
                self.publish(ours, working)
            }
            (Outcome::Adopt { keep_other }, _, Some(theirs)) => {
                self.say_damaged(working);
                if keep_other {
                    self.keep(working)?;
                }
                self.adopt(theirs, working, stored)
            }
            (Outcome::Kept, ..) => {
                self.keep(working)?;
                self.last = Some("kept");
                let (agent, at) = (&self.ends.agent, self.ends.store.place());
                let text =
                    format!("{agent}: {at} holds another account's login: it stays, and ours is kept under conflicts/");
                self.voice.once(self.warning(EventKey::Conflict, text).hint("give each account a capture of its own"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn publish(&mut self, ours: &Login, working: &Copy) -> Result<(), Trouble> {
        let Some(bytes) = &working.bytes else { return Ok(()) };
        let mut lineage = self.lineage.clone();
        lineage.push(ours.digest);
        let sent = Sent { login: ours.clone(), lineage };
        match self.ends.store.put(&self.ends.rule, bytes, &sent.lineage)? {
            Put::Done => {
                self.published(sent);
                Ok(())
            }
            Put::Sent => {
                // Until it has arrived, this is where it survives us.
                self.may_be_recovered = self.ends.recovery.keep(bytes).is_ok() || self.may_be_recovered;
                self.sent = Some(sent);
                Err(Trouble::Sent)
            }
        }
    }

    fn published(&mut self, sent: Sent) {
        self.lineage = sent.lineage;
        self.ends.replaces = false;
        self.ends.anew = false;
        self.has_published = true;
        self.voice.all_is_well();
        self.ends.refusal_is_known = false;
        self.agreed(&sent.login, EventKey::Published);
        if let Some(gate) = &mut self.gate {
            gate.renewed();
        }
    }

    /// What was sent is stored.
    pub(super) fn arrived(&mut self, now: Instant) {
        let Some(sent) = self.sent.take() else { return };
        self.published(sent);
        // The agent may have written again meanwhile.
        self.ask(now);
    }

    /// What was sent is not stored: another was first, and what it stored is being read.
    pub(super) fn lost(&mut self) {
        self.sent = None;
    }

    /// What was sent is not stored, or not known to be.
    pub(super) fn came_back(&mut self, now: Instant, why: &str) {
        self.sent = None;
        self.failed(now, why);
    }

    /// The store refused.
    pub(super) fn failed(&mut self, now: Instant, why: &str) {
        self.last = Some("failed");
        self.refused = true;
        self.recover(why);
        self.due = Some(now + RETRY);
    }

    fn adopt(&mut self, theirs: &Login, working: &Copy, stored: &Copy) -> Result<(), Trouble> {
        let Some(bytes) = &stored.bytes else { return Ok(()) };
        let merged = self.beside_siblings(bytes, working);
        let bytes = merged.as_ref().unwrap_or(bytes);
        read::check_merged(&self.ends.rule, bytes)?;
        let replaced = self.ends.working.replace(&self.ends.rule.file, bytes, working);
        match replaced.map_err(|error| Trouble::Failed(format!("{error:#}")))? {
            Replaced::Done => {}
            // The agent wrote in this moment: its new login would have been lost for ever.
            Replaced::Unexpected => return Err(Trouble::Busy),
        }
        self.lineage.push(theirs.digest);
        self.agreed(theirs, EventKey::Adopted);
        self.has_adopted = true;
        Ok(())
    }

    fn agreed(&mut self, login: &Login, event: EventKey) {
        let word = event.word();
        self.ends.base = Some(Base::from(login));
        self.last = Some(word);
        self.forget_recovery();
        let text = format!("{}: {word} the login ({})", self.ends.agent, self.ends.store.place());
        self.voice.say(Message::detail(text).event(event).agent(&self.ends.agent));
    }

    /// What the agent keeps beside its login stays the agent's.
    fn beside_siblings(&self, bytes: &[u8], working: &Copy) -> Option<Zeroizing<Vec<u8>>> {
        Document::beside_siblings(&self.ends.rule, bytes, working.bytes.as_ref().map(|there| there.as_slice()))
    }

    /// Both ends agree: nothing needs to be recovered.
    fn forget_recovery(&mut self) {
        if !std::mem::take(&mut self.may_be_recovered) {
            return;
        }
        if let Err(error) = self.ends.recovery.clear() {
            let text = format!("{}: cannot remove the recovery copy: {}", self.ends.agent, reason(&error));
            self.voice.once(self.warning(EventKey::RecoveryNotRemoved, text));
        }
    }

    fn keep(&self, copy: &Copy) -> Result<(), Trouble> {
        match &copy.bytes {
            Some(bytes) => Ok(self.ends.store.keep_conflict(&self.ends.rule, bytes)?),
            None => Ok(()),
        }
    }

    /// A word about a file of the agent's that is no login.
    fn say_damaged(&mut self, working: &Copy) {
        if let Version::Damaged(why) = &working.version {
            let path = self.ends.working.path.join(&self.ends.rule.file);
            let text = format!("{}: {} is not carried back: {why}", self.ends.agent, path.display());
            self.voice.once(self.warning(EventKey::DamagedLogin, text));
        }
    }

    /// The store refused: the login is kept where it survives the agent, and is tried again.
    fn recover(&mut self, why: &str) {
        let (working, _) = self.read();
        let (agent, to) = (&self.ends.agent, self.ends.store.place());
        let text = format!("{agent}: cannot carry the login to {to}: {why}");
        let kept = match (&working.version, &working.bytes) {
            (Version::Valid(_), Some(bytes)) => self.ends.recovery.keep(bytes),
            _ => Ok(()),
        };
        self.may_be_recovered = true;
        let hint = match kept {
            Ok(()) => format!("it is kept in {}, and tried again", self.ends.recovery.directory().display()),
            Err(error) => format!("it is in the working copy alone ({}), and tried again", reason(&error)),
        };
        if !self.ends.refusal_is_known {
            self.voice.once(self.warning(EventKey::PublishFailed, text).hint(hint));
        }
    }

    pub(super) fn give_up(&mut self) {
        let (agent, from, to) = (&self.ends.agent, self.ends.working.path.display(), self.ends.store.place());
        let text = format!("{agent}: the login in {from} was not carried back to {to}");
        let kept = self.ends.recovery.directory();
        let hint = format!("a copy is in {}: a next start of this container publishes it", kept.display());
        let error = Message::new(Level::Error, text).event(EventKey::NotPublished).agent(agent);
        self.voice.say(error.hint(hint));
    }
}
