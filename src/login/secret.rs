//! Pure. Bytes that must not be seen.

use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

/// Secret bytes: no `Display`, no `Serialize`, no `PartialEq`, a redacted `Debug`, wiped when dropped.
///
/// [`Secret::expose_secret`] is the one way to the bytes, so a search for its name is an audit.
#[derive(Debug)]
pub struct Secret(SecretSlice<u8>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(mut bytes: Zeroizing<Vec<u8>>) -> Secret {
        Secret(SecretSlice::from(std::mem::take(&mut *bytes)))
    }

    /// Copies the bytes.
    pub fn copied(bytes: &[u8]) -> Secret {
        Secret(SecretSlice::from(bytes.to_vec()))
    }

    /// The bytes.
    pub fn expose_secret(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// Hands the bytes over.
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.expose_secret().to_vec())
    }

    /// A second copy, for a second owner.
    pub fn duplicate(&self) -> Secret {
        Secret::copied(self.expose_secret())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_redacted() {
        let shown = format!("{:?}", Secret::copied(b"FAKE-token"));
        assert!(!shown.contains("FAKE"), "{shown}");
    }
}
