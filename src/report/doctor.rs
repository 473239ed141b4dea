//! Pure. `doctor` in text and JSON.

use serde::Serialize;

use crate::doctor::Finding;

use super::sanitized;
use super::style::{Style, Tone};

/// The object of `doctor --json`.
#[derive(Debug, Serialize)]
pub struct Document<'d> {
    version: u32,
    problems: Vec<&'d Finding>,
    notes: Vec<&'d Finding>,
}

impl<'d> Document<'d> {
    /// The object for these findings.
    #[must_use]
    pub fn of(findings: &'d [Finding]) -> Document<'d> {
        let (problems, notes) = findings.iter().partition(|finding| finding.is_problem);
        Document { version: 1, problems, notes }
    }
}

/// Text for people.
#[must_use]
pub fn text(findings: &[Finding], style: Style) -> String {
    let problems = findings.iter().filter(|finding| finding.is_problem).count();
    let mut parts: Vec<String> = findings.iter().map(|finding| one(finding, style)).collect();
    parts.push(match problems {
        0 => format!("{}\n", style.paint(Tone::Good, "Nothing is wrong.")),
        1 => format!("{}\n", style.paint(Tone::Bad, "1 problem.")),
        count => format!("{}\n", style.paint(Tone::Bad, &format!("{count} problems."))),
    });
    parts.concat()
}

fn one(finding: &Finding, style: Style) -> String {
    let word = if finding.is_problem { style.paint(Tone::Bad, "problem") } else { style.paint(Tone::Faint, "note") };
    let subject = style.paint(Tone::Strong, &finding.subject);
    format!("{word}: {subject} ({}): {}\n  fix: {}\n", finding.check, sanitized(&finding.what), sanitized(&finding.fix))
}
