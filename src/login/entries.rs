//! Logins that an agent keeps beside its own, such as those to MCP servers: members of an object in its login file. Each
//! of them, an *entry*, is merged on its own: two containers that log in to different servers both keep both logins. Pure.
//!
//! The merge has three sides, like that of the agent's own login. The merge base is a set of digests: an entry whose
//! digest is in it has not changed since both sides agreed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::login::digest::Digest;

/// How many entries a file may have to be merged. The merge base of this many has 20 KB in the state file. An agent could
/// write so many that the state could not be saved.
pub const MAX_ENTRIES: usize = 256;

/// What is known about an entry. Nothing in it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Digest of where it is and of everything in it.
    pub digest: Digest,
    /// Whether it has an access token. An agent blanks an entry that the server refused.
    pub is_usable: bool,
    /// When its access token expires. `None` if it does not say.
    pub expires_at: Option<SystemTime>,
    /// Whether it has a refresh token. A follower's has none.
    pub is_refreshable: bool,
}

/// The entries of a login file, by their object's key and their name.
///
/// An object without entries says that they were removed. A file without the object says nothing about them: a login that
/// is made anew has only its own keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries(BTreeMap<String, BTreeMap<String, Entry>>);

impl Entries {
    pub fn insert_object(&mut self, key: &str, entries: BTreeMap<String, Entry>) {
        self.0.insert(key.to_owned(), entries);
    }

    fn get(&self, key: &str, name: &str) -> Option<&Entry> {
        self.0.get(key)?.get(name)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str, &Entry)> {
        self.0
            .iter()
            .flat_map(|(key, entries)| entries.iter().map(move |(name, entry)| (key.as_str(), name.as_str(), entry)))
    }

    fn digests(&self) -> BTreeSet<Digest> {
        self.iter().map(|(_, _, entry)| entry.digest).collect()
    }

    /// Whether there are more than are merged.
    pub fn are_too_many(&self) -> bool {
        self.iter().count() > MAX_ENTRIES
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// The entries of both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySides {
    pub working: Entries,
    pub stored: Entries,
}

impl EntrySides {
    pub fn are_too_many(&self) -> bool {
        self.working.are_too_many() || self.stored.are_too_many()
    }
}

/// The entries that working copy and store last agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct EntriesBase(BTreeSet<Digest>);

impl EntriesBase {
    fn has(&self, entry: &Entry) -> bool {
        self.0.contains(&entry.digest)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The merge base after both sides were compared: what both have, and what one side still has of the earlier one. The
    /// latter keeps a difference that stays, such as an entry that the server refused to one agent, what it is.
    pub fn agreed(&self, ours: &Entries, theirs: &Entries) -> EntriesBase {
        if ours.are_too_many() || theirs.are_too_many() {
            return self.clone();
        }
        let (ours, theirs) = (ours.digests(), theirs.digests());
        let both = ours.intersection(&theirs);
        let still = ours.union(&theirs).filter(|digest| self.0.contains(digest));
        EntriesBase(both.chain(still).copied().collect())
    }
}

impl From<Vec<String>> for EntriesBase {
    fn from(texts: Vec<String>) -> EntriesBase {
        // A digest in a form that only a later version knows is skipped, not an error.
        EntriesBase(texts.iter().filter_map(|text| Digest::parse(text)).collect())
    }
}

impl From<EntriesBase> for Vec<String> {
    fn from(base: EntriesBase) -> Vec<String> {
        base.0.iter().map(ToString::to_string).collect()
    }
}

/// A change to make in a login file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'e> {
    pub key: &'e str,
    pub name: &'e str,
    pub kind: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// The entry of the other side is copied.
    Set,
    Remove,
}

/// What of `from` is to be transferred into `into`. Both directions follow the same rules, so that it does not matter
/// which side is merged into the other first. Nothing, if one side has too many.
pub fn changes<'e>(base: &EntriesBase, from: &'e Entries, into: &'e Entries) -> Vec<Change<'e>> {
    if from.are_too_many() || into.are_too_many() {
        return Vec::new();
    }
    let set = from.iter().filter_map(|(key, name, theirs)| {
        let is_set = match into.get(key, name) {
            Some(ours) => wins(base, theirs, ours),
            None => theirs.is_usable && !(base.has(theirs) && into.0.contains_key(key)),
        };
        is_set.then_some(Change { key, name, kind: ChangeKind::Set })
    });
    let removed = into.iter().filter_map(|(key, name, ours)| {
        // A blank one stays where it is. It was not transferred, so that the other side does not have it anyway.
        let was_removed =
            ours.is_usable && base.has(ours) && from.0.get(key).is_some_and(|entries| !entries.contains_key(name));
        was_removed.then_some(Change { key, name, kind: ChangeKind::Remove })
    });
    set.chain(removed).collect()
}

/// Whether the entry `from` replaces the entry `into` of the same name.
///
/// A blank one never replaces anything: the refusal may concern that agent's copy only. And an entry that did not change
/// is not given to an agent that blanked it: the server refused it.
fn wins(base: &EntriesBase, from: &Entry, into: &Entry) -> bool {
    if from.digest == into.digest || !from.is_usable || base.has(from) {
        return false;
    }
    base.has(into) || rank(from) > rank(into)
}

/// Decides between entries that both changed. The digest decides last, so that every container decides alike.
fn rank(entry: &Entry) -> (bool, Option<SystemTime>, bool, Digest) {
    (entry.is_usable, entry.expires_at, entry.is_refreshable, entry.digest)
}

#[cfg(test)]
mod tests;
