//! A long-lived token in a capture: a file of its own, with metadata in the bookkeeping that holds no secret.

use std::ffi::OsStr;
use std::io;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::agent::Definition;
use crate::agent::definition::TokenRule;
use crate::fs::untrusted;
use crate::fs::untrusted::{Owners, Unreadable};
use crate::login::source::without_trailing_newlines;
use crate::login::{Digest, Secret, limits};
use crate::store::directory::Capture;
use crate::sys::lock::Lock;

/// The token's file. Its metadata is in a file of this name with `.json` appended, in the bookkeeping.
pub const FILE: &str = "oauth-token";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMetadata {
    /// The version of the file's format.
    pub version: u32,
    /// RFC 3339.
    pub minted_at: String,
    /// RFC 3339.
    pub expires_at: String,
    /// The token's digest. A token that somebody replaced by hand has another.
    pub digest: String,
}

pub struct Found {
    pub token: Secret,
    /// When the token expires, if the metadata is about this token.
    pub expires_at: Option<SystemTime>,
}

/// How the agent's tokens are made, if it has any.
pub fn rule(definition: &Definition) -> Option<&TokenRule> {
    definition.login.as_ref()?.token.as_ref()
}

fn digest(token: &[u8]) -> String {
    Digest::of_parts(&[token]).to_string()
}

impl Capture {
    /// The stored token.
    pub fn token(&self) -> Result<Found, Unreadable> {
        let content = untrusted::beneath(self.handle(), FILE.as_ref(), &self.owners())?;
        let token = Secret::copied(without_trailing_newlines(&content.bytes));
        let expires_at =
            self.metadata().filter(|metadata| metadata.digest == digest(without_trailing_newlines(&content.bytes)));
        let expires_at = expires_at.and_then(|metadata| humantime::parse_rfc3339(&metadata.expires_at).ok());
        Ok(Found { token, expires_at })
    }

    fn metadata(&self) -> Option<TokenMetadata> {
        let notes = self.existing_notes().ok()?;
        let note = untrusted::entry(&notes, OsStr::new(&format!("{FILE}.json")), &Owners::Any).ok()?;
        limits::parse(&note.bytes).ok()
    }

    /// Stores a token that was made just now, over the one that is there. `_lock` serialises writers. After a failure
    /// the old token is still there.
    pub fn put_token(&self, token: &[u8], days: u32, _lock: &Lock) -> io::Result<TokenMetadata> {
        let now = SystemTime::now();
        let expires_at = now.checked_add(Duration::from_secs(u64::from(days) * 86_400)).unwrap_or(now);
        let rfc3339 = |moment| humantime::format_rfc3339_seconds(moment).to_string();
        let metadata = TokenMetadata {
            version: 1,
            minted_at: rfc3339(now),
            expires_at: rfc3339(expires_at),
            digest: digest(token),
        };
        let notes = self.notes()?;
        // The metadata is written first. After a crash between the two writes its digest matches no token, so it is
        // ignored.
        let text = serde_json::to_vec_pretty(&metadata).map_err(io::Error::other)?;
        notes.write_whole(OsStr::new(&format!("{FILE}.json")), &text, self.attributes(0o644))?;
        self.handle().write_whole_staged_in(&notes, OsStr::new(FILE), token, self.attributes(0o600))?;
        self.handle().sync()?;
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_stored_with_its_expiry() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        assert!(matches!(capture.token(), Err(Unreadable::Missing)));
        let lock = capture.lock().unwrap().unwrap();
        for token in ["tok-FAKE-1", "tok-FAKE-2"] {
            let metadata = capture.put_token(token.as_bytes(), 365, &lock).unwrap();
            let found = capture.token().unwrap();
            assert_eq!(std::fs::read_to_string(temp.path().join(FILE)).unwrap(), token);
            let expires = humantime::format_rfc3339_seconds(found.expires_at.unwrap()).to_string();
            assert_eq!(expires, metadata.expires_at);
        }
        let mode = |name: &str| temp.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(FILE), mode(".agent-init/oauth-token.json")), (0o600, 0o644));
        let note = std::fs::read_to_string(temp.path().join(".agent-init/oauth-token.json")).unwrap();
        assert!(!note.contains("FAKE"), "{note}");
        // A token that was replaced by hand: the metadata is about another one.
        std::fs::write(temp.path().join(FILE), "tok-FAKE-3\n").unwrap();
        assert_eq!(capture.token().unwrap().expires_at, None);
    }
}
