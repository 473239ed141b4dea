//! Pure. Where credential material comes from, and the forms in which it is written.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use zeroize::Zeroizing;

/// Where credential material comes from; displayed as `status` and `plan` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Found at the agent's own place.
    Home(PathBuf),
    /// A variable with the value, or with base64 of it.
    Env(String),
    /// A file that a `NAME_FILE` variable names.
    File(PathBuf),
    /// What the command of a `NAME_COMMAND` variable wrote.
    Command(String),
    /// A file in a secrets directory.
    Secret(PathBuf),
    /// Mounted at the agent's own place.
    Mount(PathBuf),
    /// The capture.
    Capture(PathBuf),
    /// A store behind a helper command.
    Store(String),
}

impl Source {
    /// Whether the operator gave it for this start: a variable or a secret, not a place where logins live.
    pub fn is_explicit(&self) -> bool {
        matches!(self, Source::Env(_) | Source::File(_) | Source::Command(_) | Source::Secret(_))
    }

    /// The file or directory that it is, where it is one.
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

    /// Whether it is where logins live between containers.
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

/// A value without the newlines that editors and `echo` leave at its end.
pub fn without_trailing_newlines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != b'\n' && *byte != b'\r').map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}

/// Decodes base64 as people paste it: wrapped lines, the standard or the URL alphabet, with or without padding.
/// `None` when it is no base64.
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
    fn what_is_no_base64() {
        for text in ["{\"a\":1}", "a", "%%%%", "QUJD=QUJD"] {
            assert!(decode_base64(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn trailing_newlines_only() {
        let rows: [(&[u8], &[u8]); 5] =
            [(b"v\n", b"v"), (b"v\r\n\n", b"v"), (b" v ", b" v "), (b"\n\n", b""), (b"a\nb\n", b"a\nb")];
        for (given, left) in rows {
            assert_eq!(without_trailing_newlines(given), left);
        }
    }
}
