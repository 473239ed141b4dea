//! Pure. How much memory a document takes once it is parsed, told before it is.
//!
//! A megabyte of `{"a":0},` makes a hundred thousand maps of more than half a kilobyte each: an agent could have PID 1 of
//! every container that shares its login take hundreds of megabytes, and be killed for it.

/// The most objects, arrays, or lines of a document that is made of lines. An agent's settings of the largest size that is
/// read have fewer.
const CONTAINERS: usize = 16 * 1024;
/// The most values.
const VALUES: usize = 64 * 1024;

/// Whether JSON text, or text that is none, stays within what is parsed.
#[must_use]
pub fn is_bearable(text: &[u8]) -> bool {
    let (mut containers, mut values) = (0_usize, 0_usize);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => containers += 1,
            b',' if !in_string => values += 1,
            _ => {}
        }
    }
    containers <= CONTAINERS && values <= VALUES
}

/// The same of `key: value` lines.
#[must_use]
pub fn has_bearable_lines(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').nth(CONTAINERS).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bearable() {
        let array = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        let rows = [
            (String::new(), true),
            (r#"{"a":{"b":["c",1]}}"#.to_owned(), true),
            (array("0", VALUES), true),
            (array("0", VALUES + 2), false),
            (array("[]", CONTAINERS - 1), true),
            (array("{}", CONTAINERS), false),
            (format!(r#"["{}"]"#, "{[,".repeat(VALUES)), true),
            (format!(r#"["\"{}"]"#, "{[,".repeat(VALUES)), true),
            (format!(r#"["\\"{}]"#, ",0".repeat(VALUES + 1)), false),
            ("[".repeat(500_000), false),
        ];
        for (text, expected) in rows {
            assert_eq!(is_bearable(text.as_bytes()), expected, "{:.40} of {} bytes", text, text.len());
        }
        assert!(
            has_bearable_lines(b"a: b\nc:\n  d: e\n") && !has_bearable_lines("a:\n".repeat(CONTAINERS + 1).as_bytes())
        );
    }
}
