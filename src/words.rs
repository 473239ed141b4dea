//! Pure. Facts in words, where the obvious way to say them is sometimes wrong.

/// A list in words: `none` where there is nothing in it.
pub fn listed<T: AsRef<str>>(words: &[T], separator: &str, none: &str) -> String {
    if words.is_empty() {
        return none.to_owned();
    }
    words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(separator)
}

/// What a mode lets the group and others do with a file beside its owner, where that is anything: `660` lets the group
/// read and write.
pub fn access_beside_owner(mode: u32) -> Option<String> {
    access(mode, &[(0o4, "read"), (0o2, "write"), (0o1, "execute")])
}

/// The same of a directory, as far as what is in it can be changed.
pub fn writable_beside_owner(mode: u32) -> Option<String> {
    access(mode, &[(0o2, "write")])
}

fn access(mode: u32, kinds: &[(u32, &str)]) -> Option<String> {
    let of =
        |bits: u32| -> Vec<&str> { kinds.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| *word).collect() };
    let (group, others) = (of(mode >> 3), of(mode));
    let in_words = |words: &[&str]| words.join(" and ");
    match (group.is_empty(), others.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("the group can {} it", in_words(&group))),
        (true, false) => Some(format!("others can {} it", in_words(&others))),
        (false, false) if group == others => Some(format!("the group and others can {} it", in_words(&group))),
        (false, false) => Some(format!("the group can {} it, others can {} it", in_words(&group), in_words(&others))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_beside_the_owner() {
        let rows = [
            (0o600, None),
            (0o700, None),
            (0o640, Some("the group can read it")),
            (0o660, Some("the group can read and write it")),
            (0o620, Some("the group can write it")),
            (0o604, Some("others can read it")),
            (0o606, Some("others can read and write it")),
            (0o602, Some("others can write it")),
            (0o644, Some("the group and others can read it")),
            (0o664, Some("the group can read and write it, others can read it")),
            (0o666, Some("the group and others can read and write it")),
            (0o646, Some("the group can read it, others can read and write it")),
            (0o755, Some("the group and others can read and execute it")),
            (0o610, Some("the group can execute it")),
        ];
        for (mode, expected) in rows {
            assert_eq!(access_beside_owner(mode).as_deref(), expected, "{mode:o}");
        }
        for mode in 0..=0o777 {
            let said = access_beside_owner(mode).unwrap_or_default();
            assert_eq!(said.contains("read"), mode & 0o044 != 0, "{mode:o}: {said}");
            assert_eq!(said.contains("write"), mode & 0o022 != 0, "{mode:o}: {said}");
            assert_eq!(said.contains("group"), mode & 0o070 != 0, "{mode:o}: {said}");
            assert_eq!(said.contains("others"), mode & 0o007 != 0, "{mode:o}: {said}");
        }
        assert_eq!(writable_beside_owner(0o755), None);
        assert_eq!(writable_beside_owner(0o775).as_deref(), Some("the group can write it"));
    }

    #[test]
    fn a_list_that_is_empty_says_so() {
        assert_eq!(listed(&["a", "b"], ", ", "none"), "a, b");
        assert_eq!(listed::<&str>(&[], ", ", "none"), "none");
    }
}
