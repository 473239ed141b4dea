//! Pure. An answer for people: lines of pieces, some of them in a tone, wrapped where they are written. What is data is made
//! safe there, so that no line can be forged and no terminal commanded by an account's or a file's name.

use crate::log::safe::sanitized;
use crate::output::style::{Mark, Style, Tone};

/// A part of a line.
#[derive(Debug, Clone)]
enum Piece {
    Text(Option<Tone>, String),
    Mark(Mark),
}

/// One line.
#[derive(Debug, Clone, Default)]
pub struct Line {
    pieces: Vec<Piece>,
    /// How far the second and later lines are indented where it is wrapped; `None`: it is never wrapped.
    hanging: Option<usize>,
}

impl Line {
    /// Goes on in a tone.
    pub fn tone(mut self, tone: Tone, text: impl Into<String>) -> Line {
        self.pieces.push(Piece::Text(Some(tone), text.into()));
        self
    }

    /// Goes on.
    pub fn text(mut self, text: impl Into<String>) -> Line {
        self.pieces.push(Piece::Text(None, text.into()));
        self
    }

    /// Goes on with a mark and a space.
    pub fn mark(mut self, mark: Mark) -> Line {
        self.pieces.push(Piece::Mark(mark));
        self.text(" ")
    }

    /// Where it is wrapped, what follows is indented this far.
    pub fn hanging(mut self, indent: usize) -> Line {
        self.hanging = Some(indent);
        self
    }

    /// It is never wrapped: it holds a command that people paste.
    pub fn unwrapped(mut self) -> Line {
        self.hanging = None;
        self
    }

    fn written(&self, style: Style) -> String {
        let cells: Vec<Cell> = self.pieces.iter().flat_map(|piece| cells(piece, style)).collect();
        let Some(hanging) = self.hanging else { return painted(&cells, style) + "\n" };
        let mut page = String::new();
        // The first line is not broken within what stands before the column in which the others begin: it is a name.
        let (mut rest, mut indent, mut whole) = (cells.as_slice(), 0, hanging);
        loop {
            let line = &rest[..end_of_line(rest, whole, style.width.saturating_sub(indent))];
            page.push_str(&" ".repeat(indent));
            page.push_str(&painted(trimmed(line), style));
            page.push('\n');
            rest = &rest[line.len()..];
            rest = &rest[rest.iter().take_while(|(_, character)| *character == ' ').count()..];
            (indent, whole) = (hanging, 0);
            if rest.is_empty() {
                return page;
            }
        }
    }
}

impl<T: Into<String>> From<T> for Line {
    fn from(text: T) -> Line {
        Line::default().hanging(0).text(text)
    }
}

/// A character in its tone. Each counts as one column.
type Cell = (Option<Tone>, char);

fn cells(piece: &Piece, style: Style) -> Vec<Cell> {
    match piece {
        Piece::Text(tone, text) => sanitized(text).chars().map(|character| (*tone, character)).collect(),
        Piece::Mark(mark) => vec![(Some(mark.tone()), style.mark(*mark))],
    }
}

/// How many cells go on a line of this width, which is not broken within the first `whole`. A word that is too long is not cut: it may be a path.
fn end_of_line(cells: &[Cell], whole: usize, width: usize) -> usize {
    if cells.len() <= width {
        return cells.len();
    }
    let is_space = |index: &usize| cells.get(*index).is_some_and(|(_, character)| *character == ' ');
    let begin = cells.iter().take_while(|(_, character)| *character == ' ').count().max(whole);
    let within = (begin..=width).rev().find(is_space);
    within.or_else(|| (width.max(begin)..cells.len()).find(is_space)).unwrap_or(cells.len())
}

fn trimmed(cells: &[Cell]) -> &[Cell] {
    let spaces = cells.iter().rev().take_while(|(_, character)| *character == ' ').count();
    &cells[..cells.len() - spaces]
}

fn painted(cells: &[Cell], style: Style) -> String {
    let in_one_tone = cells.chunk_by(|(before, _), (after, _)| before == after);
    let run = |cells: &[Cell]| {
        let text: String = cells.iter().map(|(_, character)| character).collect();
        let tone = cells.first().and_then(|(tone, _)| *tone);
        tone.map_or_else(|| text.clone(), |tone| style.paint(tone, &text))
    };
    in_one_tone.map(run).collect()
}

/// A line that begins in a tone.
pub fn toned(tone: Tone, text: impl Into<String>) -> Line {
    Line::default().hanging(0).tone(tone, text)
}

/// A line that begins with a mark.
pub fn marked(mark: Mark) -> Line {
    Line::default().hanging(2).mark(mark)
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

    /// Adds lines that are indented this far, the values in one column.
    pub fn rows(&mut self, indent: usize, rows: Vec<(&str, Line)>) {
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in rows {
            let mut line = Line::from(format!("{:indent$}{name:width$}  ", "")).hanging(indent + width + 2);
            line.pieces.extend(value.pieces);
            self.0.push(line);
        }
    }

    /// Adds another page.
    pub fn page(&mut self, other: Page) {
        self.0.extend(other.0);
    }

    /// The text.
    pub fn written(&self, style: Style) -> String {
        self.0.iter().map(|line| line.written(style)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_commands_nothing_and_forges_no_line() {
        let mut page = Page::default();
        page.line(toned(Tone::Strong, "a\x1b[2J\nb").text("\u{202e}c"));
        page.rows(2, vec![("n", "d\r\ne".into()), ("name", Line::default())]);
        let plain = page.written(Style::PLAIN);
        assert_eq!(plain, "a\u{fffd}[2J\u{fffd}b\u{fffd}c\n  n     d\u{fffd}\u{fffd}e\n  name\n");
    }

    #[test]
    fn a_long_line_is_wrapped_between_words() {
        let narrow = Style::PLAIN.of_width(14);
        let text = |line: Line| {
            let mut page = Page::default();
            page.line(line);
            page.written(narrow)
        };
        let rows = [
            (Line::from("one two three four").hanging(2), "one two three\n  four\n"),
            (Line::from("  one two three four").hanging(4), "  one two\n    three four\n"),
            (Line::from("/a/path/that/is/long and more").hanging(2), "/a/path/that/is/long\n  and more\n"),
            (Line::from("one /a/path/that/is/long").hanging(2), "one\n  /a/path/that/is/long\n"),
            (Line::from("a command to be pasted").unwrapped(), "a command to be pasted\n"),
            (marked(Mark::Good).text("one two three"), "+ one two\n  three\n"),
            (Line::from(""), "\n"),
        ];
        for (line, expected) in rows {
            assert_eq!(text(line.clone()), expected, "{line:?}");
        }
        let coloured = Style::COLOURED.of_width(5);
        let mut page = Page::default();
        page.line(toned(Tone::Bad, "one two").text(" three"));
        assert_eq!(page.written(coloured), "\x1b[31mone\x1b[0m\n\x1b[31mtwo\x1b[0m\nthree\n");
    }
}
