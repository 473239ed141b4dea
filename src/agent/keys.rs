//! Pure. Where the keys of a JSON text stand: serde knows the place of what it refuses and not its key, and of what it
//! accepts it knows neither.

/// A key, an item of a list or a whole object or list: its path (`methods[1].variable`), and where it stands.
#[derive(Debug)]
struct Place {
    path: String,
    start: usize,
    /// The end of an object or a list; a key has none.
    end: Option<usize>,
}

/// The places of a text, in its order. A text that breaks off has those before the break.
#[derive(Debug)]
pub struct Keys<'t> {
    text: &'t str,
    places: Vec<Place>,
}

/// An object or a list that is not closed yet.
struct Open {
    place: usize,
    path: String,
    /// The index of the item, in a list.
    index: Option<usize>,
    /// The key that was read last, in an object.
    key: Option<String>,
}

impl Open {
    fn current(&self) -> String {
        match (self.index, &self.key) {
            (Some(index), _) => format!("{}[{index}]", self.path),
            (None, Some(key)) if self.path.is_empty() => key.clone(),
            (None, Some(key)) => format!("{}.{key}", self.path),
            (None, None) => self.path.clone(),
        }
    }
}

impl<'t> Keys<'t> {
    /// Finds them.
    #[must_use]
    pub fn of(text: &'t str) -> Keys<'t> {
        let mut places: Vec<Place> = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        let mut characters = text.char_indices();
        while let Some((start, character)) = characters.next() {
            match character {
                '{' | '[' => {
                    let path = open.last().map(Open::current).unwrap_or_default();
                    open.push(Open {
                        place: places.len(),
                        path: path.clone(),
                        index: (character == '[').then_some(0),
                        key: None,
                    });
                    places.push(Place { path, start, end: Some(text.len()) });
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
                        top.key = Some(word.to_owned());
                        places.push(Place { path: top.current(), start, end: None });
                    }
                }
                _ => {}
            }
        }
        Keys { text, places }
    }

    /// The line of a path, or of what is nearest above it.
    #[must_use]
    pub fn line(&self, path: &str) -> usize {
        let within = |place: &&Place| {
            path.strip_prefix(&place.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']) || place.path.is_empty())
        };
        // Of two places of one path the first is the key, the second its value.
        let nearest = self.places.iter().filter(within).rev().max_by_key(|place| place.path.len());
        let at = nearest.map_or(0, |place| place.start);
        self.text.get(..at).unwrap_or_default().matches('\n').count() + 1
    }

    /// The key at a place, by serde's line and column, both from 1: the last that begins before it.
    #[must_use]
    pub fn at(&self, line: usize, column: usize) -> &str {
        let offset = self.offset(line, column);
        self.places.iter().rfind(|place| place.start < offset).map_or("", |place| &place.path)
    }

    /// What is closed at a place: the object or list that ends there.
    #[must_use]
    pub fn closed_at(&self, line: usize, column: usize) -> &str {
        let offset = self.offset(line, column);
        let closed = self.places.iter().filter(|place| place.end.is_some_and(|end| end < offset));
        closed.max_by_key(|place| place.end).map_or("", |place| &place.path)
    }

    fn offset(&self, line: usize, column: usize) -> usize {
        let before: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        before + column
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

    #[test]
    fn a_text_that_breaks_off() {
        for end in 0..TEXT.len() {
            let keys = Keys::of(&TEXT[..end]);
            assert!([keys.at(end, end), keys.closed_at(1, end)].iter().all(|path| path.len() < TEXT.len()));
            assert!(keys.line("b[1].c") <= 7);
        }
    }
}
