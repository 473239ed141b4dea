//! Words for facts that are easy to get wrong, and enums that are spelled in one place. Pure.

pub mod spelling;

/// Joins a list. `none` if it is empty.
pub fn listed<T: AsRef<str>>(words: &[T], separator: &str, none: &str) -> String {
    if words.is_empty() {
        return none.to_owned();
    }
    words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(separator)
}

/// What a mode allows the group and others to do with a file, if anything: with `660` the group may read and write.
pub fn access_beside_owner(mode: u32) -> Option<String> {
    access(mode, &[(0o4, "read"), (0o2, "write"), (0o1, "execute")])
}

/// Who but the owner may change the content of a directory, if anybody.
pub fn writable_beside_owner(mode: u32) -> Option<String> {
    access(mode, &[(0o2, "write")])
}

fn access(mode: u32, kinds: &[(u32, &str)]) -> Option<String> {
    let allowed =
        |bits: u32| -> Vec<&str> { kinds.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| *word).collect() };
    let (group, others) = (allowed(mode >> 3), allowed(mode));
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
    fn access_of_group_and_others_in_words() {
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
            let words = access_beside_owner(mode).unwrap_or_default();
            assert_eq!(words.contains("read"), mode & 0o044 != 0, "{mode:o}: {words}");
            assert_eq!(words.contains("write"), mode & 0o022 != 0, "{mode:o}: {words}");
            assert_eq!(words.contains("group"), mode & 0o070 != 0, "{mode:o}: {words}");
            assert_eq!(words.contains("others"), mode & 0o007 != 0, "{mode:o}: {words}");
        }
        assert_eq!(writable_beside_owner(0o755), None);
        assert_eq!(writable_beside_owner(0o775).as_deref(), Some("the group can write it"));
    }

    #[test]
    fn an_empty_list_has_its_own_word() {
        assert_eq!(listed(&["a", "b"], ", ", "none"), "a, b");
        assert_eq!(listed::<&str>(&[], ", ", "none"), "none");
    }
}
