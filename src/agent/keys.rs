//! Pure. Finds the positions of keys in a JSON text. For a refused value serde reports a line and column but not the
//! key, and for an accepted value it reports neither.

use std::fmt;

/// How a place is reached from the one that it is in.
#[derive(Debug, Clone, Copy)]
enum Step<'t> {
    /// It is the whole text.
    Whole,
    /// The key of an object.
    Key(&'t str),
    /// The item of a list.
    Item(usize),
}

/// A key, an item of a list or a whole object or list, and where it stands. Its path (`methods[1].variable`) is made
/// when it is asked for: paths of nested places would take memory by the square of the text.
#[derive(Debug)]
struct Place<'t> {
    /// The index of the object or list that it is in.
    parent: Option<usize>,
    step: Step<'t>,
    start: usize,
    /// The end of an object or a list; a key has none.
    end: Option<usize>,
}

/// The places of a text, in its order. A text that breaks off has those before the break.
#[derive(Debug)]
pub struct Keys<'t> {
    text: &'t str,
    places: Vec<Place<'t>>,
}

/// An object or a list that is not closed yet.
struct Open<'t> {
    place: usize,
    /// The index of the item, in a list.
    index: Option<usize>,
    /// The key that was read last, in an object.
    key: Option<&'t str>,
}

impl<'t> Open<'t> {
    /// How what stands here now is reached.
    fn step(&self) -> Step<'t> {
        match (self.index, self.key) {
            (Some(index), _) => Step::Item(index),
            (None, Some(key)) => Step::Key(key),
            (None, None) => Step::Whole,
        }
    }
}

impl<'t> Keys<'t> {
    pub fn of(text: &'t str) -> Keys<'t> {
        let mut places: Vec<Place<'t>> = Vec::new();
        let mut open: Vec<Open<'t>> = Vec::new();
        let mut characters = text.char_indices();
        while let Some((start, character)) = characters.next() {
            match character {
                '{' | '[' => {
                    let (parent, step) = open.last().map_or((None, Step::Whole), |top| (Some(top.place), top.step()));
                    let index = (character == '[').then_some(0);
                    open.push(Open { place: places.len(), index, key: None });
                    places.push(Place { parent, step, start, end: Some(text.len()) });
                }
                '}' | ']' => {
                    if let Some(place) = open.pop().and_then(|closed| places.get_mut(closed.place)) {
                        place.end = Some(start);
                    }
                }
                ',' => {
                    if let Some(top) = open.last_mut() {
                        top.key = None;
                        top.index = top.index.map(|index| index + 1);
                    }
                }
                '"' => {
                    let mut is_escaped = false;
                    let end = characters.by_ref().find(|(_, inner)| {
                        let ends = *inner == '"' && !is_escaped;
                        is_escaped = *inner == '\\' && !is_escaped;
                        ends
                    });
                    let word = text.get(start + 1..end.map_or(text.len(), |(end, _)| end)).unwrap_or_default();
                    if let Some(top) = open.last_mut().filter(|top| top.index.is_none() && top.key.is_none()) {
                        top.key = Some(word);
                        places.push(Place { parent: Some(top.place), step: Step::Key(word), start, end: None });
                    }
                }
                _ => {}
            }
        }
        Keys { text, places }
    }

    /// The line of a path, or of what is nearest above it.
    pub fn line(&self, path: &str) -> usize {
        let path = format!(".{path}");
        // What each place leaves of the path, where it is on the way; what it is in stands before it.
        let mut left: Vec<Option<&str>> = Vec::with_capacity(self.places.len());
        let mut nearest: Option<(usize, usize)> = None;
        for place in &self.places {
            let rest = match place.parent {
                None => Some(path.as_str()),
                Some(parent) => left.get(parent).copied().flatten(),
            };
            let rest = rest.and_then(|rest| place.step.leaves(rest));
            left.push(rest);
            // Of two places of one path the first is the key, the second its value.
            if let Some(rest) = rest.filter(|rest| nearest.is_none_or(|(least, _)| rest.len() < least)) {
                nearest = Some((rest.len(), place.start));
            }
        }
        let at = nearest.map_or(0, |(_, start)| start);
        self.text.get(..at).unwrap_or_default().matches('\n').count() + 1
    }

    /// The key at a place, by serde's line and column, both from 1: the last that begins before it.
    pub fn at(&self, line: usize, column: usize) -> String {
        let offset = self.offset(line, column);
        self.path(self.places.iter().rfind(|place| place.start < offset))
    }

    /// What is closed at a place: the object or list that ends there.
    pub fn closed_at(&self, line: usize, column: usize) -> String {
        let offset = self.offset(line, column);
        let closed = self.places.iter().filter(|place| place.end.is_some_and(|end| end < offset));
        self.path(closed.max_by_key(|place| place.end))
    }

    fn path(&self, place: Option<&Place<'t>>) -> String {
        let within = |place: &&Place<'t>| self.places.get(place.parent?);
        let mut steps: Vec<_> = std::iter::successors(place, within).map(|place| place.step.to_string()).collect();
        steps.reverse();
        let path = steps.concat();
        path.strip_prefix('.').map(str::to_owned).unwrap_or(path)
    }

    fn offset(&self, line: usize, column: usize) -> usize {
        let before: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        before + column
    }
}

impl Step<'_> {
    /// What is left of a path behind this step, if the path takes it.
    fn leaves<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = match self {
            Step::Whole => return Some(path),
            Step::Key(key) => path.strip_prefix('.')?.strip_prefix(key)?,
            Step::Item(index) => path.strip_prefix('[')?.strip_prefix(&index.to_string())?.strip_prefix(']')?,
        };
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Whole => Ok(()),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Item(index) => write!(f, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "{\n  \"a\": \"x\\\"y\",\n  \"b\": [\n    { \"c\": 1 },\n    { \"c\": { \"d\": [2, 3] } }\n  ]\n}";

    #[test]
    fn lines() {
        let keys = Keys::of(TEXT);
        let rows = [
            ("a", 2),
            ("b", 3),
            ("b[0].c", 4),
            ("b[1].c", 5),
            ("b[1].c.d[1]", 5),
            ("b[1].none", 5),
            ("", 1),
            ("none", 1),
        ];
        for (path, line) in rows {
            assert_eq!(keys.line(path), line, "{path}");
        }
    }

    #[test]
    fn places() {
        let keys = Keys::of(TEXT);
        assert_eq!(keys.at(2, 8), "a");
        assert_eq!(keys.at(4, 12), "b[0].c");
        assert_eq!(keys.closed_at(4, 14), "b[0]");
        assert_eq!(keys.closed_at(5, 28), "b[1]");
        assert_eq!(keys.closed_at(7, 1), "");
    }

    /// Each place names what it is in; to write its whole path out would take memory by the square of the text.
    #[test]
    fn places_take_memory_by_the_length_of_the_text() {
        let key = "k".repeat(10_000);
        let text = format!("{{\"{key}\":{{{}}}}}", vec!["\"a\":[0]"; 1_000].join(","));
        let keys = Keys::of(&text);
        assert_eq!(keys.places.len(), 2 + 1 + 2 * 1_000);
        assert_eq!(keys.at(1, 10_010), format!("{key}.a"));
        assert!(size_of::<Place<'_>>() <= 72);
    }

    #[test]
    fn a_text_that_breaks_off() {
        for end in 0..TEXT.len() {
            let keys = Keys::of(&TEXT[..end]);
            assert!([keys.at(end, end), keys.closed_at(1, end)].iter().all(|path| path.len() < TEXT.len()));
            assert!(keys.line("b[1].c") <= 7);
        }
    }
}
