//! What a check found, and how to fix it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::log::Message;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// What it is about: a path, a variable or an agent.
    pub subject: String,
    /// The path of a source, whose owner, mode or mount may explain it.
    #[serde(skip)]
    pub source: Option<PathBuf>,
    /// What is wrong, and what comes of it.
    pub what: String,
    /// How to mend it.
    pub fix: String,
    /// Wrong; else worth knowing.
    #[serde(skip)]
    pub is_problem: bool,
}

impl Finding {
    /// What stops a start, of one agent or of any, in the words of that start.
    pub fn of_refusal(subject: impl Into<String>, error: &anyhow::Error) -> Finding {
        let Message { text, hint, .. } = Message::error(error);
        let fix = hint.unwrap_or_else(|| "agent-init --help shows the options".to_owned());
        Finding::problem("refused", subject, text, fix)
    }

    pub(super) fn problem(
        check: &'static str,
        subject: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding { check, subject: subject.into(), source: None, what: what.into(), fix: fix.into(), is_problem: true }
    }

    pub(super) fn note(
        check: &'static str,
        subject: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding { is_problem: false, ..Finding::problem(check, subject, what, fix) }
    }
}

/// A path as a finding shows it.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
