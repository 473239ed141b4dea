//! Names with a wildcard. Pure.

/// Whether `name` matches `pattern`, in which one `*` stands for any characters.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let rows = [
            ("a", "a", true),
            ("a", "ab", false),
            ("*.lock", "x.lock", true),
            ("*.lock", ".lock", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("log*", "logs", true),
            ("*", "", true),
        ];
        for (pattern, name, expected) in rows {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
