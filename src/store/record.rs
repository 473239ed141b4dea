//! `record.json`: which logins a capture has held. It is not secret.
//!
//! In a flat capture, several agents keep their logins in one directory and share the file. Each has a history of its
//! own in it, by the name of its login file.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::login::history::History;

/// What is recorded of one login.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the file's format.
    pub version: u32,
    /// The history of the stored login. The file calls it `lineage` in every version.
    #[serde(default, rename = "lineage")]
    pub history: History,
    /// When the newest version was published, RFC 3339.
    pub published_at: Option<String>,
}

impl Record {
    /// A record of a login that is published now.
    pub fn now(history: &History) -> Record {
        let published_at = Some(humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
        Record { version: 1, history: history.clone(), published_at }
    }
}

/// The file: the record of the login that was published last, and the histories of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFile {
    #[serde(flatten)]
    last: Record,
    /// By the name of the login file. Empty in files of version 0.1.0, which had one history for all.
    #[serde(default)]
    histories: BTreeMap<String, History>,
    /// The history of a file of version 0.1.0, for logins that have none of their own yet.
    #[serde(default, skip_serializing_if = "History::is_empty")]
    earlier: History,
}

impl RecordFile {
    /// The record of the login in `file`.
    pub fn record_of(&self, file: &str) -> Record {
        let history = self.histories.get(file).unwrap_or_else(|| self.of_nobody()).clone();
        Record { history, ..self.last.clone() }
    }

    /// The file after the login in `file` was published.
    pub fn with(mut self, file: &str, history: &History) -> RecordFile {
        self.earlier = self.of_nobody().clone();
        self.histories.insert(file.to_owned(), history.clone());
        RecordFile { last: Record::now(history), ..self }
    }

    /// The history that belongs to no login file in particular.
    fn of_nobody(&self) -> &History {
        if self.histories.is_empty() { &self.last.history } else { &self.earlier }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::Digest;

    fn history(numbers: &[u64]) -> History {
        let mut history = History::default();
        for number in numbers {
            history.push(Digest::parse(&format!("sha256:{number:064x}")).unwrap());
        }
        history
    }

    #[test]
    fn each_login_file_has_a_history_of_its_own() {
        let file = RecordFile::default().with("a", &history(&[1, 2])).with("b", &history(&[7]));
        assert_eq!(file.record_of("a").history, history(&[1, 2]));
        assert_eq!(file.record_of("b").history, history(&[7]));
        assert_eq!(file.record_of("c").history, History::default());
        let json = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<RecordFile>(&json).unwrap(), file);
        // Version 0.1.0 reads the last one.
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap().history, history(&[7]));
    }

    #[test]
    fn a_record_of_version_0_1_0_counts_for_every_login_that_has_none() {
        let old: RecordFile =
            serde_json::from_str(&serde_json::to_string(&Record::now(&history(&[1, 2]))).unwrap()).unwrap();
        assert_eq!(old.record_of("a").history, history(&[1, 2]));
        let new = old.with("b", &history(&[1, 2, 3])).with("b", &history(&[1, 2, 3, 4]));
        assert_eq!(new.record_of("b").history, history(&[1, 2, 3, 4]));
        // It may be its history, too.
        let read: RecordFile = serde_json::from_str(&serde_json::to_string(&new).unwrap()).unwrap();
        assert_eq!(read.record_of("a").history, history(&[1, 2]));
    }
}
