//! Publishes and adopts logins, and reports and keeps those that cannot be transferred.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Instant;

use zeroize::Zeroizing;

use crate::agent::definition::RefreshLockRule;
use crate::config::CommandName;
use crate::error::{in_words, reason};
use crate::log::event::EventKey;
use crate::log::{Level, Message};
use crate::login::file::LoginFile;
use crate::login::history::History;
use crate::login::merge::{LoginState, MergeBase, Outcome, SyncResult};
use crate::login::{Digest, Document, Login, file};
use crate::plan::warning::log_in;
use crate::store::Put;
use crate::store::journal::{Author, Event};
use crate::sync::dedup_log::Subject;
use crate::sync::refresh_lock::RefreshLock;
use crate::sync::session::config::{Beginning, SessionConfig};
use crate::sync::session::incomplete::{Act, ActFailure, Blocked, Incomplete, ReadFailure};
use crate::sync::session::{ABANDONED_LOCK_WAIT, Phase, REFUSED_RETRY, SHORT_RETRY, SyncSession, TORN_WAIT};
use crate::sync::watch_state::Side;
use crate::sys::replace::{Exclusion, Replaced};
use crate::words::spelling::Words;

/// A login that was sent to a store that answers later.
pub(super) struct UnconfirmedPut {
    login: Login,
    history: History,
    /// The stored login that it replaces.
    before: Option<Digest>,
    /// The login was stored already, with other entries.
    is_of_entries: bool,
}

impl SyncSession {
    pub(super) fn record_no_transfer(&mut self, outcome: Outcome, working: &LoginFile, stored: &LoginFile) {
        match outcome {
            // Nobody has logged in yet.
            Outcome::LoggedOut if self.config.base.is_none() => {}
            Outcome::LoggedOut => {
                self.last_result = Some(SyncResult::LoggedOut);
                self.note(EventKey::LoggedOut, self.config.base.map(|base| base.digest), None, false);
                let text = format!(
                    "{}: the agent's login is blank or gone; the stored login stays as it is",
                    self.config.agent
                );
                let again = log_in(&self.config.agent);
                let hint = format!("someone logged out, or the vendor refused a refresh: log in again: {again}");
                self.log.once(self.warning(EventKey::LoggedOut, text).hint(hint));
            }
            Outcome::Damaged => {
                self.last_result = Some(SyncResult::Torn);
                self.say_damaged(working);
            }
            // `read_whole` has returned an error for it.
            Outcome::Unknown => {}
            _ => {
                // An earlier failure is over.
                if !matches!(self.last_result, Some(SyncResult::Published | SyncResult::Adopted)) {
                    self.last_result = Some(SyncResult::Unchanged);
                }
                // A login that the agent of a follower wrote is nothing that both sides agree on.
                let is_agreed = self.config.beginning != Beginning::Follow || working.state == stored.state;
                if let Some(login) = working.state.login().filter(|_| is_agreed) {
                    // Both sides may have got the same login independently.
                    self.config.base = Some(MergeBase::from(login));
                    if self.config.beginning == Beginning::LogIn {
                        self.config.beginning = Beginning::Continue;
                    }
                    if stored.state.login().is_some() {
                        self.remove_recovery_copy();
                    }
                }
            }
        }
    }

    /// Must be called with the store's lock held.
    pub(super) fn transfer(
        &mut self,
        outcome: Outcome,
        working: &LoginFile,
        stored: &LoginFile,
    ) -> Result<(), Incomplete> {
        match (outcome, working.state.login(), stored.state.login()) {
            (Outcome::Publish { keep_other }, Some(ours), _) => {
                if keep_other || self.config.beginning == Beginning::Replace {
                    self.keep_conflict(stored)?;
                }
                self.publish(ours, working, stored)
            }
            (Outcome::Adopt { keep_other }, ours, Some(theirs)) => {
                self.say_damaged(working);
                self.warn_if_overwritten(ours);
                if keep_other {
                    self.keep_conflict(working)?;
                }
                self.adopt(theirs, working, stored)
            }
            (Outcome::PublishEntries, Some(ours), Some(_)) => {
                let merged = self.with_other_keys_in(working, stored);
                self.check_entries_fit(Act::Publish, working, merged.as_ref().map(|merged| merged.as_slice()))?;
                self.publish(ours, working, stored)
            }
            (Outcome::AdoptEntries, Some(_), Some(_)) => self.adopt_entries(working, stored),
            (Outcome::Kept, ..) => {
                self.keep_conflict(working)?;
                self.last_result = Some(SyncResult::Kept);
                let [lost, stays] = [working, stored].map(|copy| copy.state.login().map(|login| login.digest));
                self.note(EventKey::Conflict, lost, stays, true);
                let (agent, at) = (&self.config.agent, self.config.store.location());
                let text = format!(
                    "{agent}: {at} holds another account's login: it stays, and the agent's is kept under conflicts/"
                );
                self.log.once(self.warning(EventKey::Conflict, text).hint("give each account a capture of its own"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn publish(&mut self, ours: &Login, working: &LoginFile, stored: &LoginFile) -> Result<(), Incomplete> {
        let Some(bytes) = &working.bytes else { return Ok(()) };
        let mut history = self.history.clone();
        history.push(ours.digest);
        let before = stored.state.login().map(|login| login.digest);
        // The login is the same: only entries are stored.
        let is_of_entries = stored.state.login().is_some_and(|theirs| MergeBase::from(theirs) == MergeBase::from(ours));
        let put = UnconfirmedPut { login: ours.clone(), history, before, is_of_entries };
        let blocked_since = self.blocked_since(Blocked::LoginLocked);
        let SessionConfig { store, rule, entries, refresh_lock, .. } = &mut self.config;
        let exclusion = exclusion(refresh_lock.as_ref(), self.phase, blocked_since);
        match store.put(rule, bytes, &put.history, entries, exclusion.as_ref()).map_err(Act::Publish.failed())? {
            Put::Locked => Err(Incomplete::LoginLocked),
            Put::Done => {
                self.published(put);
                Ok(())
            }
            Put::Sent => {
                // Until the store confirms it, only the recovery copy survives the end of this run.
                self.may_have_recovery_copy = self.config.recovery.keep(bytes).is_ok() || self.may_have_recovery_copy;
                self.unconfirmed = Some(put);
                Err(Incomplete::Unconfirmed)
            }
        }
    }

    fn published(&mut self, put: UnconfirmedPut) {
        self.say_recovered();
        self.config.refusal_is_known = false;
        if put.is_of_entries {
            self.last_result = Some(SyncResult::Published);
            self.remove_recovery_copy();
            return self.say_entries_synced(Act::Publish);
        }
        // Those of a keeper are its refreshes.
        let event = if self.config.command == CommandName::Keep { EventKey::Refreshed } else { EventKey::Published };
        self.note(event, put.before, Some(put.login.digest), true);
        self.history = put.history;
        self.config.beginning = Beginning::Continue;
        self.has_published = true;
        self.warn_if_out_of_turn(&put.login);
        self.record_agreement(&put.login, SyncResult::Published, EventKey::Published);
        if let Some(refresh_lock) = &mut self.refresh_lock {
            refresh_lock.renewed();
        }
    }

    /// The store accepts logins again.
    fn say_recovered(&mut self) {
        self.log.recovered();
        if self.last_result == Some(SyncResult::Failed) {
            let text = format!("{}: the login is saved to {} again", self.config.agent, self.config.store.location());
            self.log.say(Message::notice(text).event(EventKey::Recovered).agent(&self.config.agent));
        }
    }

    /// Adds an event to the journal of the store. Nothing depends on it: a store that cannot be written to says so when
    /// a login is to be stored.
    fn note(&self, event: EventKey, before: Option<Digest>, after: Option<Digest>, is_locked: bool) {
        if self.config.beginning != Beginning::Follow {
            let event = Event::now(&Author::here(self.config.command.word()), &self.config.agent, event, before, after);
            let _ = self.config.store.note(&event, is_locked);
        }
    }

    /// Warns if an older version of the login stands where the newer one was: an entrypoint of the image that writes a
    /// login of its own, say.
    fn warn_if_overwritten(&mut self, ours: Option<&Login>) {
        let is_older = ours.is_some_and(|ours| {
            self.history.is_ancestor(ours.digest) && self.config.base.is_some_and(|base| base.digest != ours.digest)
        });
        if is_older && self.phase == Phase::AgentLives {
            let path = self.config.working.path.join(&self.config.rule.file);
            let text = format!("{}: {} was overwritten by an older login", self.config.agent, path.display());
            let hint =
                "the newer one is put back; does COMMAND or its entrypoint write a login? agent-init installs it";
            self.log.once(self.warning(EventKey::Overwritten, text).hint(hint));
        }
    }

    /// Warns if the agent got new tokens while its refresh lock was held. Alone it does no harm.
    fn warn_if_out_of_turn(&mut self, login: &Login) {
        let has_new_tokens = self.config.base.is_some_and(|base| base.digest != login.digest);
        let was_kept_out = self.refresh_lock.as_ref().is_some_and(RefreshLock::keeps_agent_out);
        let is_out_of_turn = self.phase == Phase::AgentLives && has_new_tokens && was_kept_out;
        if !is_out_of_turn || self.ignores_refresh_lock || self.config.store.users() < 2 {
            return;
        }
        self.ignores_refresh_lock = true;
        let text = format!("{}: the agent has a new login although it was not its turn to refresh", self.config.agent);
        let hint = "if nobody logged in again, this version of the agent ignores the lock, and containers that share \
                    the login may refresh at the same time";
        self.log.once(self.warning(EventKey::OutOfTurn, text).hint(hint));
    }

    /// The store confirmed the login.
    pub(super) fn put_confirmed(&mut self, now: Instant) {
        let Some(put) = self.unconfirmed.take() else { return };
        self.published(put);
        // The agent may have written again in the meantime.
        self.request_sync(now);
    }

    /// The store did not take the login because another container was first. Its login is being read.
    pub(super) fn put_lost(&mut self) {
        self.unconfirmed = None;
    }

    /// The login was not stored, or is not known to be.
    pub(super) fn put_failed(&mut self, now: Instant, why: &str) {
        self.unconfirmed = None;
        self.report_failure(now, &ActFailure { act: Act::Publish, why: why.to_owned() });
    }

    /// Reports a transfer that failed, keeps a recovery copy if a login could be lost, and schedules a retry.
    pub(super) fn report_failure(&mut self, now: Instant, failed: &ActFailure) {
        let (working, stored) = self.read();
        let is_at_stake = self.is_at_stake(&working, &stored);
        self.store_refused = true;
        self.due = Some(now + REFUSED_RETRY);
        self.last_result = Some(if is_at_stake { SyncResult::Failed } else { SyncResult::NotAdopted });
        let (agent, store, why) = (&self.config.agent, self.config.store.location(), &failed.why);
        let (event, text) = match failed.act {
            Act::Publish => (EventKey::PublishFailed, format!("{agent}: cannot save the login to {store}: {why}")),
            Act::Adopt => (EventKey::AdoptFailed, format!("{agent}: cannot adopt the login of {store}: {why}")),
            Act::Keep => {
                let text = format!("{agent}: cannot keep the losing login under conflicts/ of {store}: {why}");
                (EventKey::PublishFailed, text)
            }
        };
        let hint = if is_at_stake {
            format!("the agent's login {}; agent-init tries again", self.keep_recovery_copy(&working).describe())
        } else {
            "the agent's file stays as it is; agent-init tries again".to_owned()
        };
        if !self.config.refusal_is_known {
            self.log.once(self.warning(event, text).hint(hint));
        }
    }

    /// Handles a file that cannot be read. Nothing is transferred or replaced until it can be read. The next try comes
    /// after as long as the failure has lasted, within bounds: a momentary failure costs moments, and a permanent one
    /// rare wake-ups.
    pub(super) fn report_unreadable(&mut self, now: Instant, since: Instant, unknown: &ReadFailure) {
        let lasted = now.duration_since(since);
        self.due = Some(now + lasted.clamp(SHORT_RETRY, REFUSED_RETRY));
        if lasted < TORN_WAIT {
            return;
        }
        let (working, stored) = self.read();
        let is_at_stake = unknown.side == Side::Working || self.is_at_stake(&working, &stored);
        // A start does not wait for the file, and the end of a run waits only if a login could be lost.
        self.store_refused = !(self.phase == Phase::End && is_at_stake);
        let is_unpublished = unknown.side == Side::Stored && is_at_stake;
        self.last_result = Some(if is_unpublished { SyncResult::Failed } else { SyncResult::Unreadable });
        let kept = if is_unpublished {
            format!("the agent's login {}; ", self.keep_recovery_copy(&working).describe())
        } else {
            String::new()
        };
        let text = format!("{}: cannot read {}", self.config.agent, unknown.what);
        let hint = format!("{kept}nothing is saved or replaced until it can be read; agent-init tries again");
        self.log.once_about(Subject::Side(unknown.side), self.warning(EventKey::Unreadable, text).hint(hint));
    }

    /// Whether the agent has a login that is not stored and would be lost with the working copy.
    fn is_at_stake(&self, working: &LoginFile, stored: &LoginFile) -> bool {
        let Some(login) = working.state.login() else { return false };
        if self.has_entries_at_stake(working, stored) {
            return true;
        }
        match self.judge(working, stored) {
            Outcome::Publish { .. } | Outcome::PublishEntries => true,
            Outcome::Adopt { keep_other } => keep_other,
            // The losing login is safe once it is in conflicts/.
            Outcome::Kept => self.last_result != Some(SyncResult::Kept),
            Outcome::Unknown => self.config.base != Some(MergeBase::from(login)),
            Outcome::Unchanged | Outcome::AdoptEntries | Outcome::LoggedOut | Outcome::Damaged => false,
        }
    }

    fn adopt(&mut self, theirs: &Login, working: &LoginFile, stored: &LoginFile) -> Result<(), Incomplete> {
        let Some(bytes) = &stored.bytes else { return Ok(()) };
        let merged = self.with_other_keys_of(bytes, working);
        self.replace_working(merged.as_ref().unwrap_or(bytes), working)?;
        let before = working.state.login().map(|login| login.digest);
        self.note(EventKey::Adopted, before, Some(theirs.digest), true);
        self.history.push(theirs.digest);
        self.record_agreement(theirs, SyncResult::Adopted, EventKey::Adopted);
        self.has_adopted = true;
        Ok(())
    }

    /// Copies stored entries to a working copy that has the stored login.
    fn adopt_entries(&mut self, working: &LoginFile, stored: &LoginFile) -> Result<(), Incomplete> {
        let merged = self.with_other_keys_in(stored, working);
        self.check_entries_fit(Act::Adopt, stored, merged.as_ref().map(|merged| merged.as_slice()))?;
        let Some(merged) = merged else { return Ok(()) };
        self.replace_working(&merged, working)?;
        self.last_result = Some(SyncResult::Adopted);
        self.say_entries_synced(Act::Adopt);
        Ok(())
    }

    /// Writes the login file of the working copy, unless the agent has written it since it was read.
    fn replace_working(&self, bytes: &[u8], working: &LoginFile) -> Result<(), Incomplete> {
        let failed = |error| Incomplete::Failed(ActFailure { act: Act::Adopt, why: in_words(&error) });
        file::check_readable(&self.config.rule, bytes).map_err(|error| failed(error.into()))?;
        let blocked_since = self.blocked_since(Blocked::LoginLocked);
        let exclusion = exclusion(self.config.refresh_lock.as_ref(), self.phase, blocked_since);
        let replaced = self.config.working.replace(&self.config.rule.file, bytes, working, exclusion.as_ref());
        match replaced.map_err(failed)? {
            Replaced::Done => Ok(()),
            // The agent wrote at this moment. Replacing the file would lose its new login forever.
            Replaced::Unexpected => Err(Incomplete::OtherWriter),
            Replaced::Locked => Err(Incomplete::LoginLocked),
        }
    }

    fn record_agreement(&mut self, login: &Login, result: SyncResult, event: EventKey) {
        self.config.base = Some(MergeBase::from(login));
        self.last_result = Some(result);
        self.remove_recovery_copy();
        let text = format!("{}: {} the login ({})", self.config.agent, result.word(), self.config.store.location());
        self.log.say(Message::detail(text).event(event).agent(&self.config.agent));
    }

    /// A login with the other fields of the agent's file, which stay the agent's. Entries are merged.
    pub(super) fn with_other_keys_of(&self, bytes: &[u8], working: &LoginFile) -> Option<Zeroizing<Vec<u8>>> {
        let SessionConfig { rule, entries, .. } = &self.config;
        Document::with_other_keys_of(rule, bytes, working.bytes.as_ref().map(|there| there.as_slice()), entries)
    }

    /// The file of one side as it is to be written over that of the other.
    fn with_other_keys_in(&self, from: &LoginFile, into: &LoginFile) -> Option<Zeroizing<Vec<u8>>> {
        self.with_other_keys_of(from.bytes.as_ref()?, into)
    }

    /// Removes the recovery copy: working copy and store agree.
    fn remove_recovery_copy(&mut self) {
        if !std::mem::take(&mut self.may_have_recovery_copy) {
            return;
        }
        if let Err(error) = self.config.recovery.clear() {
            let text = format!("{}: cannot remove the recovery copy: {}", self.config.agent, reason(&error));
            self.log.once(self.warning(EventKey::RecoveryNotRemoved, text));
        }
    }

    fn keep_conflict(&self, copy: &LoginFile) -> Result<(), Incomplete> {
        match &copy.bytes {
            Some(bytes) => self.config.store.keep_conflict(&self.config.rule, bytes).map_err(Act::Keep.failed()),
            None => Ok(()),
        }
    }

    /// Warns that the agent's file is not a usable login.
    fn say_damaged(&mut self, working: &LoginFile) {
        if let LoginState::Damaged(why) = &working.state {
            let path = self.config.working.path.join(&self.config.rule.file);
            let text = format!("{}: {} is not saved: {why}", self.config.agent, path.display());
            self.log.once(self.warning(EventKey::DamagedLogin, text));
        }
    }

    /// Keeps the agent's login where it survives the working copy.
    fn keep_recovery_copy(&mut self, working: &LoginFile) -> Kept {
        let (LoginState::Valid(_), Some(bytes)) = (&working.state, &working.bytes) else {
            return Kept::Nothing;
        };
        match self.config.recovery.keep(bytes) {
            Ok(()) => {
                self.may_have_recovery_copy = true;
                Kept::At(self.config.recovery.directory())
            }
            Err(error) => {
                Kept::Nowhere { working: self.config.working.path.join(&self.config.rule.file), why: reason(&error) }
            }
        }
    }

    /// At the end of an incomplete sync, reports the login that would be lost with the working copy, if there is one.
    pub(super) fn report_unpublished(&mut self) {
        let (working, stored) = self.read();
        let (agent, file, to) = (self.config.agent.clone(), self.login_at(Side::Working), self.config.store.location());
        let (text, hint) = if let LoginState::Unreadable(why) = &working.state {
            let text = format!("{agent}: {file} could not be read, so it was not saved to {to}: {why}");
            (text, "a refreshed login in it exists nowhere else: copy it before this container is removed".to_owned())
        } else if self.is_at_stake(&working, &stored) {
            let hint = match self.keep_recovery_copy(&working) {
                Kept::At(directory) => {
                    format!(
                        "a copy is in {}: the next start with this state directory publishes it",
                        directory.display()
                    )
                }
                kept => format!("the login {}: copy it before this container is removed", kept.describe()),
            };
            (format!("{agent}: the login in {file} was not saved to {to}"), hint)
        } else {
            return;
        };
        let error = Message::new(Level::Error, text).event(EventKey::NotPublished).agent(agent);
        self.log.say(error.hint(hint));
    }
}

/// The agent's lock around writes of its login. An agent may have read the old login and be about to write it back with
/// another change; without the lock it would undo ours. An agent holds the lock for milliseconds, so it is waited for
/// only until it counts as abandoned.
fn exclusion(rule: Option<&RefreshLockRule>, phase: Phase, locked_since: Option<Instant>) -> Option<Exclusion<'_>> {
    let lock = rule?.write.as_ref()?;
    let longest = if phase == Phase::AgentLives { lock.dead_after() } else { ABANDONED_LOCK_WAIT };
    let is_patient = locked_since.is_none_or(|since| Instant::now() < since + longest);
    Some(Exclusion { name: OsStr::new(&lock.name), dead_after: lock.dead_after(), is_patient })
}

/// Where a login is kept that could not be stored.
enum Kept {
    /// In a recovery copy in this directory.
    At(PathBuf),
    /// Only in the working copy.
    Nowhere { working: PathBuf, why: String },
    /// There is no login to keep.
    Nothing,
}

impl Kept {
    fn describe(&self) -> String {
        match self {
            Kept::At(directory) => format!("is kept in {}", directory.display()),
            Kept::Nowhere { working, why } => {
                format!("exists only in {} (no recovery copy: {why})", working.display())
            }
            Kept::Nothing => "is unchanged".to_owned(),
        }
    }
}
