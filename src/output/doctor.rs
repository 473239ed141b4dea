//! Pure. `doctor` in text and JSON.

use serde::Serialize;

use crate::doctor::Finding;
use crate::output::page::{Line, Page, marked, toned};
use crate::output::style::{Mark, Tone};

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
    let problems = findings.iter().filter(|finding| finding.is_problem).count();
    let mut page = Page::default();
    page.line(toned(Tone::Strong, "Doctor"));
    page.line(match problems {
        0 => marked(Mark::Good).tone(Tone::Good, format!("no problem found{}", notes(findings.len()))),
        1 => marked(Mark::Bad).tone(Tone::Bad, "1 problem").text(notes(findings.len() - 1)),
        count => marked(Mark::Bad).tone(Tone::Bad, format!("{count} problems")).text(notes(findings.len() - count)),
    });
    page.gap();
    for finding in findings {
        let (mark, word) = if finding.is_problem { (Mark::Bad, "problem") } else { (Mark::Attention, "note") };
        let title = marked(mark).tone(mark.tone(), word).text(": ").tone(Tone::Strong, &finding.subject);
        page.line(title.text(format!(" ({})", finding.check)));
        page.line(Line::from(format!("    {}", finding.what)).hanging(4));
        // It may be a command to paste.
        page.line(Line::from(format!("    fix: {}", finding.fix)).unwrapped());
        page.gap();
    }
    page.line(match problems {
        0 => "Nothing to do.",
        _ => "Next: fix what is marked as a problem, and run agent-init doctor again.",
    });
    page
}

fn notes(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => ", 1 note".to_owned(),
        count => format!(", {count} notes"),
    }
}
