//! How text for people looks: colours on a terminal only, aligned rows, spans of time in words.

use std::io;
use std::io::IsTerminal;
use std::time::{Duration, SystemTime};

use crate::env::Environment;

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colours: bool,
}

/// What a word is to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Well.
    Good,
    /// To be looked at.
    Notice,
    /// Not well.
    Bad,
    /// A name or a heading.
    Strong,
    /// Beside the point.
    Faint,
}

impl Style {
    /// No colours.
    pub const PLAIN: Style = Style { colours: false };
    /// Colours.
    #[cfg(test)]
    pub const COLOURED: Style = Style { colours: true };

    /// Colours if standard output is a terminal that has them and nobody minds (no-color.org).
    pub fn of_stdout(environment: &Environment) -> Style {
        let minded = environment.get_filled("NO_COLOR").is_some();
        let dumb = environment.get("TERM").is_none_or(|term| term == "dumb");
        Style { colours: io::stdout().is_terminal() && !minded && !dumb }
    }

    /// The text in its tone; a page has made it safe.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => 32,
            Tone::Notice => 33,
            Tone::Bad => 31,
            Tone::Strong => 1,
            Tone::Faint => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A moment, from now and as it is: `in 3 h 20 min (2026-01-14T03:21:00Z)`.
pub fn moment(at: SystemTime, now: SystemTime) -> String {
    let relative = match (at.duration_since(now), now.duration_since(at)) {
        (Ok(left), _) if left.as_secs() > 0 => format!("in {}", span(left)),
        (_, Ok(past)) if past.as_secs() > 0 => format!("{} ago", span(past)),
        _ => "now".to_owned(),
    };
    format!("{relative} ({})", humantime::format_rfc3339_seconds(at))
}

/// A span in its two largest units.
pub fn span(span: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
    let mut left = span.as_secs();
    let mut words = Vec::new();
    for (unit, seconds) in UNITS {
        let count = left / seconds;
        left %= seconds;
        if count > 0 {
            words.push(format!("{count} {unit}"));
        } else if !words.is_empty() {
            break;
        }
        if words.len() == 2 {
            break;
        }
    }
    if words.is_empty() { format!("{} ms", span.as_millis()) } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let rows = [
            (0, "0 ms"),
            (1, "1 s"),
            (61, "1 min 1 s"),
            (3600, "1 h"),
            (3600 + 5, "1 h"),
            (90_061, "1 d 1 h"),
            (86_400 * 400, "400 d"),
        ];
        for (seconds, expected) in rows {
            assert_eq!(span(Duration::from_secs(seconds)), expected, "{seconds}");
        }
        assert_eq!(span(Duration::from_millis(500)), "500 ms");
    }

    #[test]
    fn moments() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let at = |seconds: u64| moment(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), now);
        assert_eq!(at(1_000_060), "in 1 min (1970-01-12T13:47:40Z)");
        assert_eq!(at(999_940), "1 min ago (1970-01-12T13:45:40Z)");
        assert!(at(1_000_000).starts_with("now ("));
    }

    #[test]
    fn colours() {
        assert_eq!(Style::COLOURED.paint(Tone::Bad, "a"), "\x1b[31ma\x1b[0m");
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "a"), "a");
    }
}
