//! Pure. `doctor` in text and JSON.

use serde::Serialize;

use crate::doctor::Finding;
use crate::output::page::{Page, toned};
use crate::output::style::Tone;

/// The object of `doctor --json`.
#[derive(Debug, Serialize)]
pub struct Document<'d> {
    version: u32,
    problems: Vec<&'d Finding>,
    notes: Vec<&'d Finding>,
}

impl<'d> Document<'d> {
    /// The object for these findings.
    pub fn of(findings: &'d [Finding]) -> Document<'d> {
        let (problems, notes) = findings.iter().partition(|finding| finding.is_problem);
        Document { version: 1, problems, notes }
    }
}

/// A page for people.
pub fn page(findings: &[Finding]) -> Page {
    let mut page = Page::default();
    for finding in findings {
        let word = if finding.is_problem { toned(Tone::Bad, "problem") } else { toned(Tone::Faint, "note") };
        let about = format!(" ({}): {}", finding.check, finding.what);
        page.line(word.text(": ").tone(Tone::Strong, &finding.subject).text(about));
        page.line(format!("  fix: {}", finding.fix));
    }
    page.line(match findings.iter().filter(|finding| finding.is_problem).count() {
        0 => toned(Tone::Good, "Nothing is wrong."),
        1 => toned(Tone::Bad, "1 problem."),
        count => toned(Tone::Bad, format!("{count} problems.")),
    });
    page
}
