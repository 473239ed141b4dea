//! The history of a login: its versions, each made from the previous one by a refresh. Pure.
//!
//! A refresh token works once, so an older version is spent. Expiry times cannot tell versions apart (a later expiry
//! does not prove a newer login), but the history can.

use serde::{Deserialize, Serialize};

use crate::login::digest::Digest;

/// Digests of a login's versions, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct History(Vec<Digest>);

/// How many versions are kept: at one refresh in 8 h, more than two months.
const MAX_VERSIONS: usize = 256;

impl History {
    /// Adds the newest version.
    pub fn push(&mut self, digest: Digest) {
        self.0.retain(|known| *known != digest);
        self.0.push(digest);
        let excess = self.0.len().saturating_sub(MAX_VERSIONS);
        self.0.drain(..excess);
    }

    pub fn contains(&self, digest: Digest) -> bool {
        self.0.contains(&digest)
    }

    /// Whether this is an older version of the login.
    pub fn is_ancestor(&self, digest: Digest) -> bool {
        self.contains(digest) && self.0.last() != Some(&digest)
    }

    /// `other`, unless its newest version is known here: a capture that was restored from a backup holds an older
    /// history, and the versions that came later must not be forgotten.
    pub fn or_longer(self, other: History) -> History {
        match other.0.last() {
            Some(last) if !self.contains(*last) => other,
            Some(_) | None => self,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<String>> for History {
    fn from(texts: Vec<String>) -> History {
        // A digest in a form that only a later version knows is skipped, not an error. Only the newest digests count:
        // somebody else may have made the list longer.
        let newest = texts.iter().skip(texts.len().saturating_sub(MAX_VERSIONS));
        History(newest.filter_map(|text| Digest::parse(text)).collect())
    }
}

impl From<History> for Vec<String> {
    fn from(history: History) -> Vec<String> {
        history.0.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::parse(&format!("sha256:{number:064x}")).unwrap()
    }

    #[test]
    fn the_newest_version_is_not_an_ancestor() {
        let mut history = History::default();
        history.push(digest(1));
        history.push(digest(2));
        assert!(history.is_ancestor(digest(1)));
        assert!(!history.is_ancestor(digest(2)));
        assert!(!history.contains(digest(3)));
        history.push(digest(1));
        assert!(history.is_ancestor(digest(2)) && !history.is_ancestor(digest(1)));
    }

    #[test]
    fn a_shorter_history_of_the_same_login_is_ignored() {
        let history = |numbers: &[usize]| {
            let mut history = History::default();
            for number in numbers {
                history.push(digest(*number));
            }
            history
        };
        let rows: [(&[usize], &[usize], &[usize]); 5] = [
            (&[1, 2], &[1, 2, 3], &[1, 2, 3]),
            (&[1, 2], &[1], &[1, 2]),
            (&[1, 2], &[], &[1, 2]),
            (&[], &[1], &[1]),
            (&[1, 2], &[1, 9], &[1, 9]),
        ];
        for (ours, recorded, expected) in rows {
            assert_eq!(history(ours).or_longer(history(recorded)), history(expected), "{ours:?} {recorded:?}");
        }
    }

    #[test]
    fn only_the_newest_versions_are_kept() {
        let mut history = History::default();
        (0..MAX_VERSIONS + 10).for_each(|number| history.push(digest(number)));
        assert!(
            !history.contains(digest(9)) && history.contains(digest(10)) && history.contains(digest(MAX_VERSIONS + 9))
        );
    }

    #[test]
    fn json_round_trip_and_unknown_forms() {
        let mut history = History::default();
        history.push(digest(7));
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
        assert!(serde_json::from_str::<History>("[\"blake9:00\"]").unwrap().is_empty());
    }
}
