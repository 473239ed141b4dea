//! The result of a check, and how to fix it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::log::Message;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// What it is about: a path, a variable or an agent.
    pub subject: String,
    /// The path of an unusable source. A finding about its owner, mode or mount may explain this one.
    #[serde(skip)]
    pub source: Option<PathBuf>,
    /// What is wrong, and the consequence.
    pub what: String,
    pub fix: String,
    /// A problem; otherwise a note.
    #[serde(skip)]
    pub is_problem: bool,
}

impl Finding {
    /// The error that a start would report.
    pub fn from_refusal(subject: impl Into<String>, error: &anyhow::Error) -> Finding {
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

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
