//! What travels over a link, and what is said and kept where it cannot.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Instant;

use zeroize::Zeroizing;

use crate::error::{in_words, reason};
use crate::log::event::EventKey;
use crate::log::{Level, Message};
use crate::login::file::LoginFile;
use crate::login::history::History;
use crate::login::merge::{LoginState, MergeBase, Outcome, SyncResult};
use crate::login::{Document, Login, file};
use crate::plan::warning::log_in;
use crate::store::Put;
use crate::sync::dedup_log::About;
use crate::sync::session::config::Beginning;
use crate::sync::session::{AGAIN, Act, Failed, LEFT, RETRY, SyncSession, TORN, Trouble, Unknown};
use crate::sync::watch_state::Side;
use crate::sys::replace::{Exclusion, Replaced};

/// A login on its way to a store that answers later.
pub(super) struct Sent {
    login: Login,
    history: History,
}

impl SyncSession {
    pub(super) fn nothing_travels(&mut self, outcome: Outcome, working: &LoginFile, stored: &LoginFile) {
        match outcome {
            // Nobody has logged in yet.
            Outcome::LoggedOut if self.config.base.is_none() => {}
            Outcome::LoggedOut => {
                self.last = Some(SyncResult::LoggedOut);
                let text = format!(
                    "{}: the agent's login is blank or gone; the captured one stays as it is",
                    self.config.agent
                );
                let again = log_in(&self.config.agent);
                let hint = format!("someone logged out, or the vendor refused a refresh: log in again: {again}");
                self.log.once(self.warning(EventKey::LoggedOut, text).hint(hint));
            }
            Outcome::Damaged => {
                self.last = Some(SyncResult::Torn);
                self.say_damaged(working);
            }
            // It is read again, and does not come here.
            Outcome::Unknown => {}
            _ => {
                // What was wrong is not any more.
                if !matches!(self.last, Some(SyncResult::Published | SyncResult::Adopted)) {
                    self.last = Some(SyncResult::Unchanged);
                }
                if let Some(login) = working.state.login() {
                    // Both ends may have come to the same login by themselves.
                    self.config.base = Some(MergeBase::from(login));
                    if self.config.beginning == Beginning::LogIn {
                        self.config.beginning = Beginning::Continue;
                    }
                    if stored.state.login().is_some() {
                        self.forget_recovery();
                    }
                }
            }
        }
    }

    /// With the lock held.
    pub(super) fn carry(&mut self, outcome: Outcome, working: &LoginFile, stored: &LoginFile) -> Result<(), Trouble> {
        match (outcome, working.state.login(), stored.state.login()) {
            (Outcome::Publish { keep_other }, Some(ours), _) => {
                if keep_other || self.config.beginning == Beginning::Replace {
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
                self.last = Some(SyncResult::Kept);
                let (agent, at) = (&self.config.agent, self.config.store.place());
                let text =
                    format!("{agent}: {at} holds another account's login: it stays, and ours is kept under conflicts/");
                self.log.once(self.warning(EventKey::Conflict, text).hint("give each account a capture of its own"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn publish(&mut self, ours: &Login, working: &LoginFile) -> Result<(), Trouble> {
        let Some(bytes) = &working.bytes else { return Ok(()) };
        let mut history = self.history.clone();
        history.push(ours.digest);
        let sent = Sent { login: ours.clone(), history };
        match self.config.store.put(&self.config.rule, bytes, &sent.history).map_err(Act::Publish.failed())? {
            Put::Done => {
                self.published(sent);
                Ok(())
            }
            Put::Sent => {
                // Until it has arrived, this is where it survives us.
                self.may_be_recovered = self.config.recovery.keep(bytes).is_ok() || self.may_be_recovered;
                self.sent = Some(sent);
                Err(Trouble::Sent)
            }
        }
    }

    fn published(&mut self, sent: Sent) {
        self.history = sent.history;
        self.config.beginning = Beginning::Continue;
        self.has_published = true;
        self.log.is_healthy();
        self.config.refusal_is_known = false;
        self.agreed(&sent.login, SyncResult::Published, EventKey::Published);
        if let Some(refresh_lock) = &mut self.refresh_lock {
            refresh_lock.renewed();
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
        self.failed(now, &Failed { act: Act::Publish, why: why.to_owned() });
    }

    /// Something could not be carried: it is tried again.
    pub(super) fn failed(&mut self, now: Instant, failed: &Failed) {
        let (working, stored) = self.read();
        let is_at_stake = self.is_at_stake(&working, &stored);
        self.refused = true;
        self.due = Some(now + RETRY);
        self.last = Some(if is_at_stake { SyncResult::Failed } else { SyncResult::NotAdopted });
        let (agent, store, why) = (&self.config.agent, self.config.store.place(), &failed.why);
        let (event, text) = match failed.act {
            Act::Publish => (EventKey::PublishFailed, format!("{agent}: cannot carry the login to {store}: {why}")),
            Act::Adopt => (EventKey::AdoptFailed, format!("{agent}: cannot adopt the login of {store}: {why}")),
            Act::Keep => {
                let text = format!("{agent}: cannot keep the login that lost under conflicts/ of {store}: {why}");
                (EventKey::PublishFailed, text)
            }
        };
        let hint = if is_at_stake {
            format!("the agent's login {}, and it is tried again", self.keep_copy(&working).said())
        } else {
            "the agent's file stays as it is, and it is tried again".to_owned()
        };
        if !self.config.refusal_is_known {
            self.log.once(self.warning(event, text).hint(hint));
        }
    }

    /// Something cannot be read: nothing is carried and nothing replaced until it can. It is read again after as long as
    /// it has been so, within bounds: an error of the moment costs moments, and one that stays a wake-up now and then.
    pub(super) fn unknown(&mut self, now: Instant, since: Instant, unknown: &Unknown) {
        let lasted = now.duration_since(since);
        self.due = Some(now + lasted.clamp(AGAIN, RETRY));
        if lasted < TORN {
            return;
        }
        let (working, stored) = self.read();
        let is_at_stake = unknown.side == Side::Working || self.is_at_stake(&working, &stored);
        // A start does not wait for it, and the end only for what could be lost.
        self.refused = !(self.is_last && is_at_stake);
        let is_unpublished = unknown.side == Side::Stored && is_at_stake;
        self.last = Some(if is_unpublished { SyncResult::Failed } else { SyncResult::Unreadable });
        let kept = if is_unpublished {
            format!("the agent's login {}; ", self.keep_copy(&working).said())
        } else {
            String::new()
        };
        let text = format!("{}: cannot read {}", self.config.agent, unknown.what);
        let hint = format!("{kept}nothing is carried or replaced until it can be read, and it is tried again");
        self.log.once_of(About::End(unknown.side), self.warning(EventKey::Unreadable, text).hint(hint));
    }

    /// Whether the agent has a login that is not stored and would be lost with the working copy.
    fn is_at_stake(&self, working: &LoginFile, stored: &LoginFile) -> bool {
        let Some(login) = working.state.login() else { return false };
        match self.judge(working, stored) {
            Outcome::Publish { .. } => true,
            Outcome::Adopt { keep_other } => keep_other,
            // Until it is in conflicts/.
            Outcome::Kept => self.last != Some(SyncResult::Kept),
            Outcome::Unknown => self.config.base != Some(MergeBase::from(login)),
            Outcome::Unchanged | Outcome::LoggedOut | Outcome::Damaged => false,
        }
    }

    fn adopt(&mut self, theirs: &Login, working: &LoginFile, stored: &LoginFile) -> Result<(), Trouble> {
        let Some(bytes) = &stored.bytes else { return Ok(()) };
        let merged = self.beside_siblings(bytes, working);
        let bytes = merged.as_ref().unwrap_or(bytes);
        let failed = |error| Trouble::Failed(Failed { act: Act::Adopt, why: in_words(&error) });
        file::check_merged(&self.config.rule, bytes).map_err(|error| failed(error.into()))?;
        let exclusion = self.exclusion(Instant::now());
        let replaced = self.config.working.replace(&self.config.rule.file, bytes, working, exclusion.as_ref());
        match replaced.map_err(failed)? {
            Replaced::Done => {}
            // The agent wrote in this moment: its new login would have been lost forever.
            Replaced::Unexpected => return Err(Trouble::Busy),
            Replaced::Locked => {
                self.written.get_or_insert_with(Instant::now);
                return Err(Trouble::Written);
            }
        }
        self.history.push(theirs.digest);
        self.agreed(theirs, SyncResult::Adopted, EventKey::Adopted);
        self.has_adopted = true;
        Ok(())
    }

    /// The agent's lock around writes of its login: without it an agent that has read the old login, and is about to write
    /// it back beside something new, would undo what is adopted. An agent holds it for milliseconds, so it is not waited
    /// for beyond the time after which it is nobody's.
    fn exclusion(&self, now: Instant) -> Option<Exclusion<'_>> {
        let lock = self.config.refresh_lock.as_ref()?.write.as_ref()?;
        let longest = if self.agent_lives { lock.dead_after() } else { LEFT };
        let is_patient = self.written.is_none_or(|since| now < since + longest);
        Some(Exclusion { name: OsStr::new(&lock.name), dead_after: lock.dead_after(), is_patient })
    }

    fn agreed(&mut self, login: &Login, result: SyncResult, event: EventKey) {
        self.config.base = Some(MergeBase::from(login));
        self.last = Some(result);
        self.forget_recovery();
        let text = format!("{}: {} the login ({})", self.config.agent, result.word(), self.config.store.place());
        self.log.say(Message::detail(text).event(event).agent(&self.config.agent));
    }

    /// What the agent keeps beside its login stays the agent's.
    fn beside_siblings(&self, bytes: &[u8], working: &LoginFile) -> Option<Zeroizing<Vec<u8>>> {
        Document::beside_siblings(&self.config.rule, bytes, working.bytes.as_ref().map(|there| there.as_slice()))
    }

    /// Both ends agree: nothing needs to be recovered.
    fn forget_recovery(&mut self) {
        if !std::mem::take(&mut self.may_be_recovered) {
            return;
        }
        if let Err(error) = self.config.recovery.clear() {
            let text = format!("{}: cannot remove the recovery copy: {}", self.config.agent, reason(&error));
            self.log.once(self.warning(EventKey::RecoveryNotRemoved, text));
        }
    }

    fn keep(&self, copy: &LoginFile) -> Result<(), Trouble> {
        match &copy.bytes {
            Some(bytes) => self.config.store.keep_conflict(&self.config.rule, bytes).map_err(Act::Keep.failed()),
            None => Ok(()),
        }
    }

    /// A word about a file of the agent's that is no login.
    fn say_damaged(&mut self, working: &LoginFile) {
        if let LoginState::Damaged(why) = &working.state {
            let path = self.config.working.path.join(&self.config.rule.file);
            let text = format!("{}: {} is not carried back: {why}", self.config.agent, path.display());
            self.log.once(self.warning(EventKey::DamagedLogin, text));
        }
    }

    /// Keeps the agent's login where it survives the working copy.
    fn keep_copy(&mut self, working: &LoginFile) -> Kept {
        let (LoginState::Valid(_), Some(bytes)) = (&working.state, &working.bytes) else {
            return Kept::Nothing;
        };
        match self.config.recovery.keep(bytes) {
            Ok(()) => {
                self.may_be_recovered = true;
                Kept::At(self.config.recovery.directory())
            }
            Err(error) => {
                Kept::Nowhere { working: self.config.working.path.join(&self.config.rule.file), why: reason(&error) }
            }
        }
    }

    /// The end has come, and something was still to be done: says what is lost with the working copy, if anything is.
    pub(super) fn give_up(&mut self) {
        let (working, stored) = self.read();
        let (agent, file, to) = (self.config.agent.clone(), self.login_at(Side::Working), self.config.store.place());
        let (text, hint) = if let LoginState::Unreadable(why) = &working.state {
            let text = format!("{agent}: {file} could not be read, so it was not carried back to {to}: {why}");
            (text, "a refreshed login in it is nowhere else: copy it before this container is removed".to_owned())
        } else if self.is_at_stake(&working, &stored) {
            let hint = match self.keep_copy(&working) {
                Kept::At(directory) => {
                    format!("a copy is in {}: a start that finds it publishes it", directory.display())
                }
                kept => format!("the login {}: copy it before this container is removed", kept.said()),
            };
            (format!("{agent}: the login in {file} was not carried back to {to}"), hint)
        } else {
            return;
        };
        let error = Message::new(Level::Error, text).event(EventKey::NotPublished).agent(agent);
        self.log.say(error.hint(hint));
    }
}

/// Where a login is that could not be stored.
enum Kept {
    /// In the recovery copy that was just written to this directory.
    At(PathBuf),
    /// In the working copy alone.
    Nowhere { working: PathBuf, why: String },
    /// There is none.
    Nothing,
}

impl Kept {
    fn said(&self) -> String {
        match self {
            Kept::At(directory) => format!("is kept in {}", directory.display()),
            Kept::Nowhere { working, why } => {
                format!("is nowhere but in {} (no recovery copy: {why})", working.display())
            }
            Kept::Nothing => "is as it was".to_owned(),
        }
    }
}
