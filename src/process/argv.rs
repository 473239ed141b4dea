//! Splits the text of a `NAME_COMMAND` variable into words to execute. Pure.
//!
//! Plain words, quoted or not, are executed directly, so that the image needs no shell. A text with any other shell
//! syntax (a pipe, a variable, a redirection) is run by `/bin/sh -c`, as make(1) does.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Bytes with a meaning to a shell outside of quotes.
const SHELL_BYTES: &[u8] = b"|&;<>()$`*?[]#~!{}\n";
/// Bytes with a meaning to a shell in double quotes.
const SHELL_BYTES_IN_QUOTES: &[u8] = b"$`";
/// Commands that only a shell knows, if they stand first.
const SHELL_WORDS: &[&str] = &[
    ".", ":", "alias", "case", "cd", "command", "eval", "exec", "exit", "export", "for", "if", "read", "set", "trap",
    "type", "ulimit", "umask", "unset", "until", "while",
];

/// The words to execute. `None` for a blank text.
pub fn argv(text: &OsStr) -> Option<Vec<OsString>> {
    let bytes = text.as_bytes().trim_ascii();
    if bytes.is_empty() {
        return None;
    }
    Some(words(text).unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into(), OsString::from_vec(bytes.to_vec())]))
}

/// The words of a text without shell syntax. `None` for other texts, and for a blank one.
pub fn words(text: &OsStr) -> Option<Vec<OsString>> {
    split(text.as_bytes()).filter(|words| !needs_shell(words))
}

fn needs_shell(words: &[OsString]) -> bool {
    let Some(first) = words.first() else { return true };
    first.as_bytes().contains(&b'=') || SHELL_WORDS.iter().any(|word| first == word)
}

/// Splits a text without shell syntax into words. `None` if there is some.
fn split(text: &[u8]) -> Option<Vec<OsString>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\r' => words.extend(word.take().map(OsString::from_vec)),
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next()? {
                        b'\'' => break,
                        other => word.push(other),
                    }
                }
            }
            b'"' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next()? {
                        b'"' => break,
                        b'\\' => match bytes.next()? {
                            escaped @ (b'"' | b'\\' | b'$' | b'`') => word.push(escaped),
                            other => word.extend([b'\\', other]),
                        },
                        special if SHELL_BYTES_IN_QUOTES.contains(&special) => return None,
                        other => word.push(other),
                    }
                }
            }
            b'\\' => {
                let escaped = bytes.next().filter(|byte| *byte != b'\n')?;
                word.get_or_insert_default().push(escaped);
            }
            special if SHELL_BYTES.contains(&special) => return None,
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word.map(OsString::from_vec));
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_words_are_split_and_other_texts_go_to_a_shell() {
        let rows: [(&str, &[&str]); 12] = [
            ("vault kv get -field=token secret/x", &["vault", "kv", "get", "-field=token", "secret/x"]),
            ("  op read 'op://a b/c'  ", &["op", "read", "op://a b/c"]),
            (r#"x "a \"b\" \n" c\ d ''"#, &["x", r#"a "b" \n"#, "c d", ""]),
            ("cat f | jq -r .y", &["/bin/sh", "-c", "cat f | jq -r .y"]),
            ("echo $HOME", &["/bin/sh", "-c", "echo $HOME"]),
            ("echo \"$HOME\"", &["/bin/sh", "-c", "echo \"$HOME\""]),
            ("echo '$HOME'", &["echo", "$HOME"]),
            ("A=1 b", &["/bin/sh", "-c", "A=1 b"]),
            ("exit 3", &["/bin/sh", "-c", "exit 3"]),
            ("x 'open", &["/bin/sh", "-c", "x 'open"]),
            ("x \\", &["/bin/sh", "-c", "x \\"]),
            ("a\nb", &["/bin/sh", "-c", "a\nb"]),
        ];
        for (text, expected) in rows {
            let expected: Vec<OsString> = expected.iter().map(OsString::from).collect();
            assert_eq!(argv(OsStr::new(text)), Some(expected), "{text}");
        }
        assert_eq!(argv(OsStr::new(" \n")), None);
    }

    proptest! {
        #[test]
        fn quoted_words_stay_whole(words in proptest::collection::vec("[^'\0]{0,12}", 1..5)) {
            prop_assume!(!needs_shell(&words.iter().map(OsString::from).collect::<Vec<_>>()));
            let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            let expected: Vec<OsString> = words.iter().map(OsString::from).collect();
            prop_assert_eq!(argv(OsStr::new(&quoted.join(" "))), Some(expected));
        }

        #[test]
        fn any_text_is_split_without_panic(text in "\\PC{0,40}") {
            let _ = argv(OsStr::new(&text));
        }
    }
}
