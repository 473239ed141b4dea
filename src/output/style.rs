//! How text for people looks: colours on a terminal only, aligned rows, spans of time in words.

use std::io;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

use crate::env::Environment;
use crate::sys::terminal;

/// What the reader's terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colours: bool,
    /// Characters beside ASCII.
    unicode: bool,
    /// Columns.
    pub(super) width: usize,
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

/// A verdict in one character. It always stands before a word that says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Good,
    Attention,
    Bad,
}

impl Mark {
    pub(super) fn tone(self) -> Tone {
        match self {
            Mark::Good => Tone::Good,
            Mark::Attention => Tone::Notice,
            Mark::Bad => Tone::Bad,
        }
    }
}

/// The width of a page where there is no terminal.
const WIDTH: usize = 80;

impl Style {
    /// ASCII without colours, in lines of any length.
    #[cfg(test)]
    pub const PLAIN: Style = Style { colours: false, unicode: false, width: usize::MAX };
    /// Colours.
    #[cfg(test)]
    pub const COLOURED: Style = Style { colours: true, ..Style::PLAIN };

    #[cfg(test)]
    pub fn of_width(self, width: usize) -> Style {
        Style { width, ..self }
    }

    /// Colours if standard output is a terminal that has them and nobody minds (no-color.org); lines that fit on it.
    pub fn of_stdout(environment: &Environment) -> Style {
        let minded = environment.get_filled("NO_COLOR").is_some();
        let dumb = environment.get("TERM").is_none_or(|term| term == "dumb");
        Style {
            colours: io::stdout().is_terminal() && !minded && !dumb,
            unicode: has_unicode(environment),
            width: terminal::columns(io::stdout().as_fd())
                .map(usize::from)
                .or_else(|| named_width(environment))
                .unwrap_or(WIDTH),
        }
    }

    pub(super) fn mark(self, mark: Mark) -> char {
        match (mark, self.unicode) {
            (Mark::Good, true) => '\u{2713}',
            (Mark::Good, false) => '+',
            (Mark::Attention, _) => '!',
            (Mark::Bad, true) => '\u{2717}',
            (Mark::Bad, false) => 'x',
        }
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

/// The width that somebody names who reads what we write to a pipe.
fn named_width(environment: &Environment) -> Option<usize> {
    environment.get("COLUMNS")?.to_str()?.parse().ok().filter(|width| *width > 0)
}

/// Whether the locale's characters are UTF-8. The first of these variables that is not empty names it: locale(7).
fn has_unicode(environment: &Environment) -> bool {
    let name = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| environment.get_filled(name));
    let name = name.map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    name.contains("utf-8") || name.contains("utf8")
}

/// A moment, from now: `in 3 h 20 min`.
pub fn from_now(at: SystemTime, now: SystemTime) -> String {
    match (at.duration_since(now), now.duration_since(at)) {
        (Ok(left), _) if left.as_secs() > 0 => format!("in {}", span(left)),
        (_, Ok(past)) if past.as_secs() > 0 => format!("{} ago", span(past)),
        _ => "now".to_owned(),
    }
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
        let at = |seconds: u64| from_now(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), now);
        assert_eq!(at(1_000_060), "in 1 min");
        assert_eq!(at(999_940), "1 min ago");
        assert_eq!(at(1_000_000), "now");
    }

    #[test]
    fn the_locale_says_whether_there_is_unicode() {
        let rows: [(&[(&str, &str)], bool); 7] = [
            (&[], false),
            (&[("LANG", "C")], false),
            (&[("LANG", "en_US.UTF-8")], true),
            (&[("LANG", "C.utf8")], true),
            (&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")], false),
            (&[("LANG", "en_US.UTF-8"), ("LC_ALL", "")], true),
            (&[("LANG", "C"), ("LC_CTYPE", "C.UTF-8")], true),
        ];
        for (variables, expected) in rows {
            let environment = Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())));
            assert_eq!(has_unicode(&environment), expected, "{variables:?}");
        }
    }

    #[test]
    fn colours() {
        assert_eq!(Style::COLOURED.paint(Tone::Bad, "a"), "\x1b[31ma\x1b[0m");
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "a"), "a");
    }
}
