//! Pure. An answer for people: lines of pieces, some of them in a tone. What is data is made safe where the page is
//! written, so that no line can be forged and no terminal commanded by an account's or a file's name.

use crate::log::safe::sanitized;
use crate::output::style::{Style, Tone};

/// One line.
#[derive(Debug, Clone, Default)]
pub struct Line(Vec<(Option<Tone>, String)>);

impl Line {
    /// Goes on in a tone.
    pub fn tone(mut self, tone: Tone, text: impl Into<String>) -> Line {
        self.0.push((Some(tone), text.into()));
        self
    }

    /// Goes on.
    pub fn text(mut self, text: impl Into<String>) -> Line {
        self.0.push((None, text.into()));
        self
    }

    fn written(&self, style: Style) -> String {
        let piece = |(tone, text): &(Option<Tone>, String)| {
            let text = sanitized(text);
            tone.map_or_else(|| text.clone(), |tone| style.paint(tone, &text))
        };
        self.0.iter().map(piece).collect()
    }
}

impl<T: Into<String>> From<T> for Line {
    fn from(text: T) -> Line {
        Line::default().text(text)
    }
}

/// A line that begins in a tone.
pub fn toned(tone: Tone, text: impl Into<String>) -> Line {
    Line::default().tone(tone, text)
}

/// Lines, from the first to the last.
#[derive(Debug, Clone, Default)]
pub struct Page(Vec<Line>);

impl Page {
    /// Adds a line.
    pub fn line(&mut self, line: impl Into<Line>) {
        self.0.push(line.into());
    }

    /// Adds an empty line.
    pub fn gap(&mut self) {
        self.0.push(Line::default());
    }

    /// Adds indented lines, the values in one column.
    pub fn rows(&mut self, rows: Vec<(&str, Line)>) {
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in rows {
            let mut line = Line::from(format!("  {name:width$}  "));
            line.0.extend(value.0);
            self.0.push(line);
        }
    }

    /// Adds another page.
    pub fn page(&mut self, other: Page) {
        self.0.extend(other.0);
    }

    /// The text.
    pub fn written(&self, style: Style) -> String {
        self.0.iter().map(|line| line.written(style) + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_commands_nothing_and_forges_no_line() {
        let mut page = Page::default();
        page.line(toned(Tone::Strong, "a\x1b[2J\nb").text("\u{202e}c"));
        page.rows(vec![("n", "d\r\ne".into()), ("name", Line::default())]);
        let plain = page.written(Style::PLAIN);
        assert_eq!(plain, "a\u{fffd}[2J\u{fffd}b\u{fffd}c\n  n     d\u{fffd}\u{fffd}e\n  name  \n");
    }
}
