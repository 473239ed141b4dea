//! Pure. The line of logins that one login went through: each refresh makes a new one of the last.
//!
//! Refresh tokens work once, so an ancestor is spent; a clock cannot tell (a later expiry does not prove a newer
//! login), the line can.

use serde::{Deserialize, Serialize};

use crate::login::digest::Digest;

/// Digests of logins, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct History(Vec<Digest>);

/// How many are remembered: at one refresh in eight hours, more than two months.
const KEPT: usize = 256;

impl History {
    /// The login after those that are there.
    pub fn push(&mut self, digest: Digest) {
        self.0.retain(|known| *known != digest);
        self.0.push(digest);
        let excess = self.0.len().saturating_sub(KEPT);
        self.0.drain(..excess);
    }

    /// Whether this login is one of the line.
    pub fn contains(&self, digest: Digest) -> bool {
        self.0.contains(&digest)
    }

    /// Whether this login is one of the line and another came after it.
    pub fn is_ancestor(&self, digest: Digest) -> bool {
        self.contains(digest) && self.0.last() != Some(&digest)
    }

    /// This line, as far as another knows more of it, or another. A capture that was set back to an earlier state holds an
    /// earlier line too: what is known here of the logins that came later must not be forgotten.
    pub fn or_longer(self, other: History) -> History {
        match other.0.last() {
            Some(last) if !self.contains(*last) => other,
            Some(_) | None => self,
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<String>> for History {
    fn from(texts: Vec<String>) -> History {
        // A digest of a form that a later version writes is passed over, not an error.
        // The newest, and no more than are written: another may have made the line longer.
        let newest = texts.iter().skip(texts.len().saturating_sub(KEPT));
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
    fn the_newest_is_no_ancestor() {
        let mut line = History::default();
        line.push(digest(1));
        line.push(digest(2));
        assert!(line.is_ancestor(digest(1)));
        assert!(!line.is_ancestor(digest(2)));
        assert!(!line.contains(digest(3)));
        line.push(digest(1));
        assert!(line.is_ancestor(digest(2)) && !line.is_ancestor(digest(1)));
    }

    #[test]
    fn a_line_that_was_cut_is_not_believed() {
        let line = |numbers: &[usize]| {
            let mut line = History::default();
            for number in numbers {
                line.push(digest(*number));
            }
            line
        };
        let rows: [(&[usize], &[usize], &[usize]); 5] = [
            (&[1, 2], &[1, 2, 3], &[1, 2, 3]),
            (&[1, 2], &[1], &[1, 2]),
            (&[1, 2], &[], &[1, 2]),
            (&[], &[1], &[1]),
            (&[1, 2], &[1, 9], &[1, 9]),
        ];
        for (ours, recorded, expected) in rows {
            assert_eq!(line(ours).or_longer(line(recorded)), line(expected), "{ours:?} {recorded:?}");
        }
    }

    #[test]
    fn it_is_bounded_and_keeps_the_newest() {
        let mut line = History::default();
        (0..KEPT + 10).for_each(|number| line.push(digest(number)));
        assert!(!line.contains(digest(9)) && line.contains(digest(10)) && line.contains(digest(KEPT + 9)));
    }

    #[test]
    fn json_round_trip_and_unknown_forms() {
        let mut line = History::default();
        line.push(digest(7));
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), line);
        assert!(serde_json::from_str::<History>("[\"blake9:00\"]").unwrap().is_empty());
    }
}
