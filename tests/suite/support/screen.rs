//! What a person sees at a terminal: the screen that a program draws, rather than the bytes that it draws it with.

use std::num::NonZero;
use std::time::{Duration, Instant};

use super::{Pty, Run};

const ROWS: NonZero<u16> = NonZero::new(40).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(140).unwrap();

/// A guard against hangs. An agent's first start reads hundreds of megabytes.
const LIMIT: Duration = Duration::from_secs(120);

/// What programs ask a terminal, and what xterm answers; some draw nothing before they know.
const QUERIES: &[(&[u8], &str)] = &[
    (b"\x1b[6n", "\x1b[1;1R"),
    (b"\x1b[c", "\x1b[?62;22c"),
    (b"\x1b[?u", "\x1b[?0u"),
    (b"\x1b]11;?", "\x1b]11;rgb:0000/0000/0000\x07"),
];

/// A terminal of 40 lines and 140 columns.
pub struct Screen {
    pty: Pty,
    parser: vt100::Parser,
    /// The end of what was looked through for queries: one may come in two pieces.
    tail: Vec<u8>,
}

impl Screen {
    pub fn new() -> Self {
        Self { pty: Pty::new(), parser: vt100::Parser::new(ROWS, COLUMNS, 0), tail: Vec::new() }
    }

    /// The run as the leader of a session on it.
    pub fn leads(&self, run: Run) -> Run {
        let size = format!("stty rows {ROWS} cols {COLUMNS}; exec \"$@\"");
        self.pty.leads(run).through(["sh", "-c", &size, "sh"]).limit(LIMIT * 2)
    }

    pub fn types(&mut self, keys: &str) {
        self.pty.types(keys);
    }

    /// Reads until all of `parts` are to be seen at once; none of `never` may be meanwhile.
    #[track_caller]
    pub fn shows(&mut self, parts: &[&str], never: &[&str]) {
        let limit = Instant::now() + LIMIT;
        loop {
            let seen = self.parser.screen().contents();
            for part in never {
                assert!(!seen.contains(part), "{part:?} is asked or said:\n{seen}");
            }
            if parts.iter().all(|part| seen.contains(part)) {
                return;
            }
            assert!(Instant::now() < limit, "no {parts:?} within {LIMIT:?}:\n{seen}");
            let Some(bytes) = self.pty.next(limit) else { panic!("no {parts:?} at its end:\n{seen}") };
            self.answer(&bytes);
            self.parser.process(&bytes);
        }
    }

    /// Reads until the last process has let go of it.
    pub fn drain(self) {
        self.pty.all();
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.tail.extend(bytes);
        let mut past = 0;
        for at in 0..self.tail.len() {
            if let Some((query, answer)) = QUERIES.iter().find(|(query, _)| self.tail[at..].starts_with(query)) {
                self.pty.types(answer);
                past = at + query.len();
            }
        }
        let longest = QUERIES.iter().map(|(query, _)| query.len() - 1).max().unwrap_or(0);
        self.tail.drain(..past.max(self.tail.len().saturating_sub(longest)));
    }
}
