//! The sources of credentials, and the encodings that they use. Pure.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use zeroize::Zeroizing;

/// Where a credential comes from. `status` and `plan` show it by its `Display`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Found in the agent's config directory.
    Home(PathBuf),
    /// A variable with the value or its base64.
    Env(String),
    /// A file that a `NAME_FILE` variable names.
    File(PathBuf),
    /// The output of a `NAME_COMMAND` variable's command.
    Command(String),
    /// A file in a secrets directory.
    Secret(PathBuf),
    /// Mounted at the agent's config directory.
    Mount(PathBuf),
    Capture(PathBuf),
    /// A store behind a helper command.
    Store(String),
}

impl Source {
    /// Whether the operator gave the credential for this start, by a variable or a secret.
    pub fn is_explicit(&self) -> bool {
        matches!(self, Source::Env(_) | Source::File(_) | Source::Command(_) | Source::Secret(_))
    }

    pub fn path(&self) -> Option<&Path> {
        match self {
            Source::Home(path)
            | Source::File(path)
            | Source::Secret(path)
            | Source::Mount(path)
            | Source::Capture(path) => Some(path),
            Source::Env(_) | Source::Command(_) | Source::Store(_) => None,
        }
    }

    /// Whether it holds logins between containers.
    pub fn is_store(&self) -> bool {
        matches!(self, Source::Capture(_) | Source::Store(_))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Env(name) => write!(f, "env:{name}"),
            Source::Command(name) => write!(f, "command:{name}"),
            Source::Home(path) => write!(f, "home:{}", path.display()),
            Source::File(path) => write!(f, "file:{}", path.display()),
            Source::Secret(path) => write!(f, "secret:{}", path.display()),
            Source::Mount(path) => write!(f, "mount:{}", path.display()),
            Source::Capture(path) => write!(f, "capture:{}", path.display()),
            Source::Store(text) => write!(f, "store:{text}"),
        }
    }
}

/// Removes the newlines that editors and `echo` append to a value.
pub fn without_trailing_newlines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != b'\n' && *byte != b'\r').map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}

/// Decodes base64 as people paste it: with wrapped lines, in the standard or URL alphabet, with or without padding.
/// `None` if the text is not base64.
pub fn decode_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, config);
    let mut compact = Zeroizing::new(Vec::with_capacity(text.len()));
    compact.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    }));
    let mut decoded = Zeroizing::new(Vec::with_capacity(compact.len()));
    engine.decode_vec(compact.as_slice(), &mut decoded).ok()?;
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_pasted_form_decodes(bytes in proptest::collection::vec(any::<u8>(), 0..400), width in 1usize..90) {
            let standard = STANDARD.encode(&bytes);
            let wrapped = standard.as_bytes().chunks(width).map(<[u8]>::to_vec).collect::<Vec<_>>().join(&b"\r\n"[..]);
            for form in [standard.clone().into_bytes(), wrapped, URL_SAFE_NO_PAD.encode(&bytes).into_bytes(), standard.trim_end_matches('=').as_bytes().to_vec()] {
                prop_assert_eq!(decode_base64(&form).map(|decoded| decoded.to_vec()), Some(bytes.clone()));
            }
        }

        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_base64(&bytes);
        }
    }

    #[test]
    fn other_text_is_not_base64() {
        for text in ["{\"a\":1}", "a", "%%%%", "QUJD=QUJD"] {
            assert!(decode_base64(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn only_trailing_newlines_are_removed() {
        let rows: [(&[u8], &[u8]); 5] =
            [(b"v\n", b"v"), (b"v\r\n\n", b"v"), (b" v ", b" v "), (b"\n\n", b""), (b"a\nb\n", b"a\nb")];
        for (given, expected) in rows {
            assert_eq!(without_trailing_newlines(given), expected);
        }
    }
}
