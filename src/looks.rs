//! What a text that an operator gave looks like, so that messages can say what is wrong without showing it. Pure.
//!
//! Secrets end up in variables that hold paths, and paths in variables that hold secrets. So messages show no text that
//! an operator set, unless it is an absolute path or the name of a program.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The longest name of a file (`NAME_MAX`) and path (`PATH_MAX`) in bytes.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;
/// The longest word that messages show. Keys and tokens are longer.
const WORD_MAX: usize = 24;
/// Vendors begin their keys and tokens like this.
const KEY_PREFIXES: [&str; 8] = ["sk-", "sk_", "key-", "AIza", "ghp_", "gho_", "github_pat_", "xox"];

/// What a text looks like. The first that fits counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Empty,
    /// Nothing but blanks and quotes.
    Blank,
    Utf16,
    /// `"..."` or `'...'`.
    Quoted,
    /// `NAME=VALUE` or `export NAME=VALUE`.
    Assignment,
    /// `Bearer TOKEN`.
    Bearer,
    /// `data:...,...`.
    DataUrl,
    /// `${NAME}`, `$NAME` or `$(COMMAND)`.
    Unexpanded,
    /// `{\"...`.
    EscapedJson,
    Json,
    Path,
    /// `~/...`.
    HomePath,
    Jwt,
    Hex,
    /// It has a line break or another control character inside.
    Control,
    Other,
}

impl Look {
    /// What `text` looks like. Blanks around it do not count.
    pub fn of(text: &[u8]) -> Look {
        let inner = text.trim_ascii();
        let words = || String::from_utf8_lossy(inner);
        match inner {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Look::Utf16,
            [] if text.is_empty() => Look::Empty,
            _ if is_blank(inner) => Look::Blank,
            [b'{', b'\\', ..] => Look::EscapedJson,
            [b'{' | b'[', ..] => Look::Json,
            [first @ (b'"' | b'\''), .., last] if first == last => Look::Quoted,
            _ if is_assignment(&words()) => Look::Assignment,
            _ if inner.get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"bearer ")) => Look::Bearer,
            _ if inner.starts_with(b"data:") && inner.contains(&b',') => Look::DataUrl,
            _ if is_unexpanded(&words()) => Look::Unexpanded,
            // A carriage return behind a path is a line end of Windows.
            _ if text.last() == Some(&b'\r') || inner.iter().any(u8::is_ascii_control) => Look::Control,
            [b'/', ..] => Look::Path,
            [b'~', b'/', ..] => Look::HomePath,
            _ if is_jwt(&words()) => Look::Jwt,
            _ if inner.len() >= 16 && inner.len().is_multiple_of(2) && inner.iter().all(u8::is_ascii_hexdigit) => {
                Look::Hex
            }
            _ => Look::Other,
        }
    }
}

impl fmt::Display for Look {
    /// Completes "it": `is in quotes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Look::Empty => "is empty",
            Look::Blank => "holds nothing but blanks and quotes",
            Look::Utf16 => "is UTF-16: save it as UTF-8",
            Look::Quoted => "is in quotes: remove them, because docker and compose pass them on",
            Look::Assignment => "is an assignment (NAME=VALUE): keep only the value",
            Look::Bearer => "begins with 'Bearer ': keep only what follows",
            Look::DataUrl => "is a data: URL: keep only what follows the comma",
            Look::Unexpanded => "holds a variable or command that nothing expanded, such as ${NAME}",
            Look::EscapedJson => "is escaped JSON: remove the backslashes",
            Look::Json => "is JSON",
            Look::Path => "is a path",
            Look::HomePath => "begins with ~, which only a shell expands",
            Look::Jwt => "is a JWT",
            Look::Hex => "is a hexadecimal number",
            Look::Control => "has a line break or another control character in it",
            Look::Other => "is something else",
        })
    }
}

/// Whether nothing is left without blanks and quotes.
pub fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\''))
}

/// `NAME=` with something behind it that is not the padding of base64.
fn is_assignment(text: &str) -> bool {
    let rest = text.strip_prefix("export ").unwrap_or(text).trim_start();
    let Some((name, value)) = rest.split_once('=') else { return false };
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let begins = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    is_name && begins && !value.trim_matches('=').is_empty()
}

fn is_unexpanded(text: &str) -> bool {
    let is_between = |open: &str, close: char| text.split_once(open).is_some_and(|(_, rest)| rest.contains(close));
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_between("${", '}') || is_between("$(", ')') || text.strip_prefix('$').is_some_and(is_name)
}

/// RFC 7519: three parts in base64url, of which the first is a JSON object.
fn is_jwt(text: &str) -> bool {
    let mut parts = text.split('.');
    let header = parts.next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    header.is_some_and(|header| header.first() == Some(&b'{')) && parts.count() == 2
}

/// Whether a message may show this path.
pub fn is_shown(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let is_name = |part: Component<'_>| part.as_os_str().len() <= NAME_MAX;
    path.is_absolute()
        && bytes.len() <= PATH_MAX
        && path.components().all(is_name)
        && !bytes.iter().any(|byte| byte.is_ascii_control() || matches!(byte, b'{' | b'"'))
}

/// A path as messages show it: itself, or what it looks like.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'p>(pub &'p Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Look::of(self.0.as_os_str().as_bytes()) {
            _ if is_shown(self.0) => self.0.display().fmt(f),
            Look::Other | Look::Path => f.write_str("(a text that is not an absolute path)"),
            look => write!(f, "(a text that {look})"),
        }
    }
}

/// A word as messages show it: an absolute path or a short plain word, such as the name of a program or a mode. `None`:
/// it could be a secret.
pub fn shown_word(word: &OsStr) -> Option<&str> {
    let text = word.to_str()?;
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && !b"=\"'`{}$\\".contains(&byte);
    let is_key = KEY_PREFIXES.iter().any(|prefix| text.contains(prefix));
    let is_short = text.len() <= WORD_MAX && text.bytes().all(is_plain) && !is_key;
    (is_shown(Path::new(word)) || is_short).then_some(text)
}

/// A word in quotes as messages show it, or what stands for one that is not shown.
pub fn quoted(word: &OsStr) -> String {
    shown_word(word).map_or_else(|| "(not shown)".to_owned(), |word| format!("'{word}'"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_look_is_recognised() {
        let rows: [(&[u8], Look); 40] = [
            (b"", Look::Empty),
            (b" \n", Look::Blank),
            (b"\"\"", Look::Blank),
            (b"' '", Look::Blank),
            (b"\xff\xfe{\0", Look::Utf16),
            (b"\"key\"", Look::Quoted),
            (b"'key'\n", Look::Quoted),
            (b"'{\"a\":1}'", Look::Quoted),
            (b"KEY=value", Look::Assignment),
            (b"export KEY=value", Look::Assignment),
            (b"export  KEY=value\n", Look::Assignment),
            (b"eyJhIjoxfQ==", Look::Other),
            (b"QUJD=", Look::Other),
            (b"1=2", Look::Other),
            (b"Bearer abc", Look::Bearer),
            (b"bearer abc", Look::Bearer),
            (b"data:application/json;base64,e30=", Look::DataUrl),
            (b"${KEY}", Look::Unexpanded),
            (b"sk-${KEY}", Look::Unexpanded),
            (b"$(cat key)", Look::Unexpanded),
            (b"$KEY", Look::Unexpanded),
            (b"a$b", Look::Other),
            (b"{\"a\":1}", Look::Json),
            (b"[1]", Look::Json),
            (b"{\\\"a\\\":1}", Look::EscapedJson),
            (b"/run/secrets/key", Look::Path),
            (b"/run/secrets/key\r", Look::Control),
            (b"~/key", Look::HomePath),
            (b"~key", Look::Other),
            (b"eyJhIjoxfQ.eyJhIjoxfQ.c2ln", Look::Jwt),
            (b"a.b.c", Look::Other),
            (b"7b2261223a317d0a", Look::Hex),
            (b"7b22", Look::Other),
            (b"a\nb", Look::Control),
            (b"a\tb", Look::Control),
            (b"value\n", Look::Other),
            (b" value ", Look::Other),
            (b"sk-ant-api03-abc", Look::Other),
            (b"dummy", Look::Other),
            (b"\xc3\xa4", Look::Other),
        ];
        for (text, expected) in rows {
            assert_eq!(Look::of(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn only_absolute_paths_and_plain_names_are_shown() {
        let rows = [
            ("/run/secrets/key", true),
            ("/a b/ä", true),
            ("key", false),
            ("./key", false),
            ("~/key", false),
            ("/{\"a\":1}", false),
            ("/a\nb", false),
        ];
        for (path, expected) in rows {
            assert_eq!(Shown(Path::new(path)).to_string() == path, expected, "{path}");
        }
        let long = format!("/{}", "x".repeat(NAME_MAX + 1));
        assert!(!is_shown(Path::new(&long)));
        let rows = [
            ("program", true),
            ("./run.sh", true),
            ("/opt/a tool/run", true),
            ("python3.13", true),
            ("KEY=value", false),
            ("sk-ant-key", false),
            ("two words", true),
            ("${NAME}", false),
            ("abcdefghijklmnopqrstuvwxyz", false),
        ];
        for (command, expected) in rows {
            assert_eq!(shown_word(OsStr::new(command)).is_some(), expected, "{command}");
        }
    }

    proptest! {
        /// Whatever is wrong with a text, no message shows a part of it.
        #[test]
        fn a_text_that_is_not_shown_leaves_no_trace(text in "[ -.0-~]{0,40}CANARY[ -~]{0,40}") {
            prop_assert!(!Shown(Path::new(&text)).to_string().contains("CANARY"));
            prop_assert!(!Look::of(text.as_bytes()).to_string().contains("CANARY"));
        }
    }
}
