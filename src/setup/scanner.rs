//! Pure. Finds a token in the output of a program, and shows asterisks instead of it.
//!
//! Output is not delayed: the prefix is not secret, and each character after it is shown as an asterisk at once, so
//! columns do not move. A token is recognised by the screen positions of its characters. It may arrive in any number of
//! pieces, contain colours, and be wrapped at the right edge by the terminal or by a program that moves the cursor
//! itself.

use zeroize::Zeroizing;

use crate::agent::definition::TokenRule;
use crate::terminal::relay::ScreenFilter;

/// The columns that a program may leave free at either edge for padding and borders.
const EDGE_COLUMNS: usize = 4;
/// The longest possible token, in bytes.
const MAX_TOKEN: usize = 4096;
/// How many bytes of a control sequence's parameters are kept. The longest ones in practice set colours.
const MAX_PARAMETERS: usize = 256;
/// A distance in rows that no cursor movement covers.
const FAR_AWAY: usize = 1_000_000;

/// Follows the cursor on a program's screen.
pub struct Scanner {
    prefix: Vec<u8>,
    alphabet: [bool; 256],
    least: usize,
    width: usize,
    /// Where the next character goes. Columns count from 0.
    cursor: Position,
    escape: Escape,
    /// The parameters of the current control sequence.
    parameters: Vec<u8>,
    /// The text matched so far: a part of the prefix, or the prefix and what follows it.
    candidate: Zeroizing<Vec<u8>>,
    /// The position of the last character of the candidate.
    last: Position,
    /// The terminal wrapped the candidate, so its program does not wrap by itself and a line break ends the token.
    is_wrapped_by_terminal: bool,
    found: Option<Zeroizing<Vec<u8>>>,
}

/// A position on the screen. Rows count from an arbitrary one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    row: usize,
    column: usize,
}

/// The state of the parser for control sequences (ECMA-48).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    /// After ESC.
    Begun,
    /// After ESC and intermediate bytes.
    Short,
    /// After ESC [.
    Sequence,
    /// In a string (OSC, DCS, ...). Strings are not shown, because one could copy a token to the clipboard.
    String,
    /// In a string, after ESC.
    StringEnds,
}

impl ScreenFilter for Scanner {
    fn pass(&mut self, written: &[u8], shown: &mut Vec<u8>) {
        for byte in written {
            self.byte(*byte, shown);
        }
    }

    fn resized(&mut self, columns: u16) {
        if columns > 0 {
            self.width = usize::from(columns);
        }
    }

    /// The last token that was shown whole.
    fn found(mut self: Box<Self>) -> Option<Zeroizing<Vec<u8>>> {
        self.end();
        self.found
    }
}

impl Scanner {
    pub fn new(rule: &TokenRule) -> Scanner {
        let mut alphabet = [false; 256];
        for byte in rule.characters() {
            if let Some(known) = alphabet.get_mut(usize::from(byte)) {
                *known = true;
            }
        }
        let cursor = Position { row: FAR_AWAY, column: 0 };
        Scanner {
            prefix: rule.prefix.as_bytes().to_vec(),
            alphabet,
            least: rule.least,
            width: 80,
            cursor,
            escape: Escape::None,
            parameters: Vec::new(),
            // Allocated once: a vector that grows leaves its old memory behind without wiping it.
            candidate: Zeroizing::new(Vec::with_capacity(MAX_TOKEN)),
            last: cursor,
            is_wrapped_by_terminal: false,
            found: None,
        }
    }

    fn byte(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match (self.escape, byte) {
            (Escape::StringEnds, b'\\') | (Escape::String, 0x07 | 0x18 | 0x1a) => self.escape = Escape::None,
            (Escape::String | Escape::StringEnds, 0x1b) => self.escape = Escape::StringEnds,
            (Escape::String | Escape::StringEnds, _) | (Escape::Begun, b']' | b'P' | b'X' | b'^' | b'_') => {
                self.escape = Escape::String;
            }
            (_, 0x1b) => self.escape = Escape::Begun,
            (Escape::None, _) => self.plain_byte(byte, shown),
            (Escape::Begun, _) => {
                shown.extend([0x1b, byte]);
                self.parameters.clear();
                self.escape = match byte {
                    b'[' => Escape::Sequence,
                    0x20..=0x2f => Escape::Short,
                    _ => Escape::None,
                };
                if matches!(byte, b'8' | b'D' | b'E' | b'M' | b'c') {
                    self.lose_position();
                }
            }
            (Escape::Short, _) => {
                shown.push(byte);
                if !(0x20..=0x2f).contains(&byte) {
                    self.escape = Escape::None;
                }
            }
            (Escape::Sequence, 0x20..=0x3f) => {
                shown.push(byte);
                // Limits the memory for a sequence that never ends.
                if self.parameters.len() < MAX_PARAMETERS {
                    self.parameters.push(byte);
                }
            }
            (Escape::Sequence, _) => {
                shown.push(byte);
                self.escape = Escape::None;
                self.sequence(byte);
            }
        }
    }

    /// Moves the cursor at the end of a control sequence.
    fn sequence(&mut self, end: u8) {
        // Private sequences, none of which moves the cursor.
        if self.parameters.first().is_some_and(|first| matches!(first, b'<' | b'=' | b'>' | b'?')) {
            return;
        }
        let text = String::from_utf8_lossy(&self.parameters).into_owned();
        let mut numbers = text.split(';').map(|number| number.parse().ok().filter(|number| *number < FAR_AWAY));
        // A missing number and 0 mean 1 (ECMA-48, 8.3).
        let mut number = || numbers.next().flatten().unwrap_or(1).max(1);
        let Position { row, column } = self.cursor;
        self.cursor = match end {
            b'A' => Position { row: row.saturating_sub(number()), column },
            b'B' | b'e' => Position { row: row + number(), column },
            b'C' | b'a' => Position { row, column: (column + number()).min(self.width.saturating_sub(1)) },
            b'D' => Position { row, column: column.saturating_sub(number()) },
            b'E' => Position { row: row + number(), column: 0 },
            b'F' => Position { row: row.saturating_sub(number()), column: 0 },
            b'G' | b'`' => Position { row, column: number() - 1 },
            b'd' => Position { row: number(), column },
            b'H' | b'f' => Position { row: number(), column: number() - 1 },
            b'L' | b'M' | b'S' | b'T' | b'r' | b'u' => return self.lose_position(),
            // Colours, modes, erasing.
            _ => self.cursor,
        };
    }

    /// The position of the cursor is unknown from here on.
    fn lose_position(&mut self) {
        self.cursor = Position { row: self.cursor.row.wrapping_add(FAR_AWAY), column: 0 };
    }

    fn plain_byte(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            b'\r' => self.cursor.column = 0,
            // The line discipline of the terminal writes a carriage return first, so the column stays.
            b'\n' | 0x0b | 0x0c => self.cursor = Position { row: self.cursor.row + 1, column: self.cursor.column },
            0x08 => self.cursor.column = self.cursor.column.saturating_sub(1),
            b'\t' => self.cursor.column = (self.cursor.column / 8 + 1) * 8,
            0x00..0x20 | 0x7f => {}
            // A continuation byte of UTF-8: it takes no column.
            0x80..0xc0 => self.end(),
            _ => {
                if self.cursor.column >= self.width {
                    self.cursor = Position { row: self.cursor.row + 1, column: 0 };
                    self.is_wrapped_by_terminal |= self.last.row + 1 == self.cursor.row && !self.candidate.is_empty();
                }
                let is_hidden = self.character(byte);
                self.cursor.column += 1;
                if is_hidden {
                    return shown.push(b'*');
                }
            }
        }
        shown.push(byte);
    }

    /// Whether the whole prefix is matched.
    fn has_prefix(&self) -> bool {
        self.candidate.len() >= self.prefix.len()
    }

    /// Whether a character at the cursor continues the candidate: next to its last one, or on the next line if the
    /// candidate's line is full or the candidate is too short for a token.
    fn continues(&self) -> bool {
        let Position { row, column } = self.last;
        if self.cursor.row == row {
            return self.cursor.column == column + 1;
        }
        let is_full = column + 1 + EDGE_COLUMNS >= self.width;
        let is_short = self.has_prefix() && self.candidate.len() < self.least;
        let is_below = self.cursor.row == row + 1 && self.cursor.column <= EDGE_COLUMNS;
        let is_new_line = self.is_wrapped_by_terminal && column + 1 < self.width;
        is_below && (is_full || is_short) && !is_new_line
    }

    /// Takes a printable byte. Returns whether it must be hidden.
    fn character(&mut self, byte: u8) -> bool {
        // Padding at the start of a line is neither part of a token nor the end of one.
        if byte == b' '
            && !self.candidate.is_empty()
            && self.cursor.row == self.last.row + 1
            && self.cursor.column < EDGE_COLUMNS
        {
            return false;
        }
        if !self.candidate.is_empty() && !self.continues() {
            self.end();
        }
        if self.has_prefix() {
            if self.alphabet.get(usize::from(byte)).copied().unwrap_or(false) {
                if self.candidate.len() < MAX_TOKEN {
                    self.candidate.push(byte);
                }
                self.last = self.cursor;
                return true;
            }
            self.end();
        }
        // Falls back to the longest part of the prefix that ends here.
        while !self.candidate.is_empty() && self.prefix.get(self.candidate.len()) != Some(&byte) {
            self.shorten();
        }
        if self.prefix.get(self.candidate.len()) == Some(&byte) {
            self.candidate.push(byte);
            self.last = self.cursor;
        }
        false
    }

    /// Shortens the candidate to the next shorter start of the prefix that it ends with.
    fn shorten(&mut self) {
        let length = self.candidate.len();
        let shorter = (1..length).rev().find(|end| self.prefix.get(..*end) == self.prefix.get(length - end..length));
        self.candidate.truncate(shorter.unwrap_or(0));
        self.is_wrapped_by_terminal &= !self.candidate.is_empty();
    }

    fn end(&mut self) {
        if self.has_prefix() && (self.least..MAX_TOKEN).contains(&self.candidate.len()) {
            self.found = Some(Zeroizing::new(self.candidate.to_vec()));
        }
        self.candidate.clear();
        self.is_wrapped_by_terminal = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "tok-FAKE-0123456789-abcdefghij";

    fn scanner(width: u16) -> Scanner {
        let rule = serde_json::json!({
            "command": ["x"], "prefix": "tok-", "alphabet": "A-Za-z0-9_-", "least": 20, "days": 365
        });
        let mut scanner = Scanner::new(&serde_json::from_value(rule).unwrap());
        scanner.resized(width);
        scanner
    }

    fn seen(width: u16, pieces: &[&[u8]]) -> (String, Option<String>) {
        let mut scanner = scanner(width);
        let mut shown = Vec::new();
        for piece in pieces {
            scanner.pass(piece, &mut shown);
        }
        let token = Box::new(scanner).found().map(|token| String::from_utf8(token.to_vec()).unwrap());
        (String::from_utf8_lossy(&shown).into_owned(), token)
    }

    #[test]
    fn tokens_are_found_and_masked() {
        let stars = |count: usize| format!("tok-{}", "*".repeat(count));
        let masked = stars(TOKEN.len() - 4);
        let (head, tail) = TOKEN.split_at(16);
        let rows: Vec<(&str, u16, String, String, Option<&str>)> = vec![
            ("plain", 80, format!("a {TOKEN}\r\nb"), format!("a {masked}\r\nb"), Some(TOKEN)),
            ("at the end", 80, format!("T={TOKEN}"), format!("T={masked}"), Some(TOKEN)),
            (
                "in colour",
                80,
                format!("\x1b[33m{head}\x1b[1m{tail}\x1b[39m."),
                format!("\x1b[33m{}\x1b[1m{}\x1b[39m.", stars(12), "*".repeat(14)),
                Some(TOKEN),
            ),
            (
                "wrapped at the edge",
                16,
                format!("{head}\r\n{tail}\r\n\r\nUse"),
                format!("{}\r\n{}\r\n\r\nUse", stars(12), "*".repeat(14)),
                Some(TOKEN),
            ),
            (
                "wrapped in a box, with colours at the break",
                20,
                format!("  {head}\x1b[39m\r\n  \x1b[33m{tail}\r\n"),
                format!("  {}\x1b[39m\r\n  \x1b[33m{}\r\n", stars(12), "*".repeat(14)),
                Some(TOKEN),
            ),
            ("wrapped by the terminal itself", 16, TOKEN.into(), masked.clone(), Some(TOKEN)),
            (
                "by the terminal, and then a line that is none of it",
                16,
                format!("{TOKEN}\r\nUse"),
                format!("{masked}\r\nUse"),
                Some(TOKEN),
            ),
            (
                "as a program that moves the cursor wraps it",
                17,
                format!(
                    "\x1b[2;1HYours:\r\x1b[1C\x1b[2B\x1b[38;5;220m{head}\r\x1b[1C\x1b[1B{tail}\x1b[39m\x1b[K\r\x1b[1C\x1b[2BStore"
                ),
                format!(
                    "\x1b[2;1HYours:\r\x1b[1C\x1b[2B\x1b[38;5;220m{}\r\x1b[1C\x1b[1B{}\x1b[39m\x1b[K\r\x1b[1C\x1b[2BStore",
                    stars(12),
                    "*".repeat(14)
                ),
                Some(TOKEN),
            ),
            ("too short", 80, "tok-FAKE x".into(), "tok-**** x".into(), None),
            ("a placeholder", 80, "tok-... <token>".into(), "tok-... <token>".into(), None),
            ("only nearly", 80, format!("ttok-to{TOKEN}"), format!("ttok-**{masked}"), None),
            (
                "a second one",
                80,
                format!("{TOKEN} {TOKEN}X\n"),
                format!("{masked} {masked}*\n"),
                Some("tok-FAKE-0123456789-abcdefghijX"),
            ),
            ("a clipboard", 80, format!("a\x1b]52;c;{TOKEN}\x07b\x1bPq{TOKEN}\x1b\\c"), "abc".into(), None),
            ("moved away", 80, "tok-FAKE-012\x1b[2;5Hxyz".into(), "tok-********\x1b[2;5Hxyz".into(), None),
        ];
        for (what, width, text, shown, token) in rows {
            if what == "only nearly" {
                // The prefix inside a candidate is part of it.
                let (_, found) = seen(width, &[text.as_bytes()]);
                assert!(found.unwrap().ends_with(TOKEN), "{what}");
                continue;
            }
            assert_eq!(seen(width, &[text.as_bytes()]), (shown, token.map(str::to_owned)), "{what}");
        }
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_pieces(
            before in "[ -~\r\nto\u{e4}-]{0,40}",
            after in "[ -~\r\n]{0,20}",
            width in 10u16..60,
            cuts in proptest::collection::vec(0usize..120, 0..8),
        ) {
            let text = format!("{before}\x1b[1m{TOKEN}\x1b[0m {after}").into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&text[from..cut]);
                from = cut;
            }
            pieces.push(&text[from..]);
            prop_assert_eq!(seen(width, &pieces), seen(width, &[&text]));
        }

        #[test]
        fn a_token_is_masked_wherever_it_is_wrapped(width in 12usize..60, indent in 0usize..4) {
            let blank = " ".repeat(indent);
            let room = width - indent;
            let lines: Vec<String> = TOKEN.as_bytes().chunks(room)
                .map(|line| format!("{blank}{}", String::from_utf8_lossy(line))).collect();
            let text = format!("token:\r\n{}\r\n\r\nStore it\r\n", lines.join("\r\n"));
            let (shown, token) = seen(u16::try_from(width).unwrap(), &[text.as_bytes()]);
            prop_assert_eq!(token.as_deref(), Some(TOKEN));
            prop_assert!(!shown.contains("FAKE") && shown.contains("Store it"), "{}", shown);
        }

        #[test]
        fn any_bytes_are_passed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            seen(20, &[&bytes]);
        }
    }
}
