//! The part of a sync session that concerns entries: logins that the agent keeps beside its own. They are transferred with
//! its login, and alone when only they differ.

use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::Document;
use crate::login::entries::{Entries, EntrySides, MAX_ENTRIES, changes};
use crate::login::file::LoginFile;
use crate::login::merge::{LoginState, MergeBase, Outcome, reconcile_entries};
use crate::sync::session::SyncSession;
use crate::sync::session::config::Beginning;
use crate::sync::session::incomplete::{Act, ActFailure, Incomplete};

impl SyncSession {
    /// The entries of both sides, if both have the same login. Where the logins differ, the entries are merged when one of
    /// them is transferred.
    pub(super) fn entries(&self, working: &LoginFile, stored: &LoginFile) -> Option<EntrySides> {
        match (&working.state, &stored.state) {
            (LoginState::Valid(ours), LoginState::Valid(theirs))
                if MergeBase::from(ours) == MergeBase::from(theirs) =>
            {
                self.entries_of_any(working, stored)
            }
            _ => None,
        }
    }

    /// The entries of both sides, whatever their logins are.
    fn entries_of_any(&self, working: &LoginFile, stored: &LoginFile) -> Option<EntrySides> {
        // While somebody is about to log in, nothing is transferred.
        if self.config.rule.entries.is_empty() || self.config.beginning == Beginning::LogIn {
            return None;
        }
        Some(EntrySides { working: self.entries_of(working)?, stored: self.entries_of(stored)? })
    }

    fn entries_of(&self, file: &LoginFile) -> Option<Entries> {
        let (rule, bytes) = (&self.config.rule, file.bytes.as_ref()?);
        // Most files have no entries, and need no second parse at each sync.
        let is_named = |key: &str| bytes.windows(key.len()).any(|part| part == key.as_bytes());
        if !rule.entries.iter().any(|rule| is_named(&rule.key)) {
            return Some(Entries::default());
        }
        Some(Document::parse(bytes, rule.format).ok()?.entries(rule))
    }

    /// Whether there is an entry on either side.
    pub(super) fn has_entries(&self, working: &LoginFile, stored: &LoginFile) -> bool {
        !self.config.rule.entries.is_empty()
            && [working, stored].iter().any(|file| self.entries_of(file).is_some_and(|entries| !entries.is_empty()))
    }

    pub(super) fn judge_entries(&self, sides: &EntrySides) -> Outcome {
        match reconcile_entries(&self.config.entries, &sides.working, &sides.stored) {
            Outcome::PublishEntries if self.config.beginning == Beginning::Follow => Outcome::Unchanged,
            outcome => outcome,
        }
    }

    /// Whether the agent has entries that are not stored and would be lost with the working copy.
    pub(super) fn has_entries_at_stake(&self, working: &LoginFile, stored: &LoginFile) -> bool {
        self.config.beginning != Beginning::Follow
            && self
                .entries_of_any(working, stored)
                .is_some_and(|sides| !changes(&self.config.entries, &sides.working, &sides.stored).is_empty())
    }

    /// Records what both sides agree on, when nothing is to be transferred.
    pub(super) fn record_entries(&mut self, outcome: Outcome, sides: Option<&EntrySides>) {
        let Some(sides) = sides.filter(|_| outcome == Outcome::Unchanged) else { return };
        if sides.are_too_many() {
            let (agent, file) = (&self.config.agent, &self.config.rule.file);
            let text = format!("{agent}: {file} holds more than {MAX_ENTRIES} logins to other services");
            let hint = "they stay as they are in each container: remove those that are not needed";
            return self.log.once(self.warning(EventKey::Other, text).hint(hint));
        }
        self.config.entries = self.config.entries.agreed(&sides.working, &sides.stored);
    }

    /// Checks that all entries that are to be transferred fit into one file. `merged`: the file after the merge.
    pub(super) fn check_entries_fit(
        &self,
        act: Act,
        from: &LoginFile,
        merged: Option<&[u8]>,
    ) -> Result<(), Incomplete> {
        let rule = &self.config.rule;
        let merged = merged.and_then(|merged| Document::parse(merged, rule.format).ok());
        let fits = match (self.entries_of(from), merged) {
            (Some(from), Some(merged)) => changes(&self.config.entries, &from, &merged.entries(rule)).is_empty(),
            _ => false,
        };
        let why = || format!("with the logins to other services of both sides, {} would be too large", rule.file);
        if fits { Ok(()) } else { Err(Incomplete::Failed(ActFailure { act, why: why() })) }
    }

    pub(super) fn say_entries_synced(&mut self, act: Act) {
        let (event, verb) = match act {
            Act::Adopt => (EventKey::Adopted, "adopted"),
            Act::Publish | Act::Keep => (EventKey::Published, "published"),
        };
        let (agent, at) = (&self.config.agent, self.config.store.location());
        let text = format!("{agent}: {verb} logins to other services ({at})");
        self.log.say(Message::detail(text).event(event).agent(agent));
    }
}
