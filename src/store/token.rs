//! A long-lived token in a capture: a file of its own, and a note of when it was made, without a secret.

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

/// The token's file; its note is this with `.json` at the end, in the notes of the capture.
pub const FILE: &str = "oauth-token";

/// The note: of which token, made when, good until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMetadata {
    /// The form of this file.
    pub version: u32,
    /// RFC 3339.
    pub minted_at: String,
    /// RFC 3339.
    pub expires_at: String,
    /// Of the token: a file that was put there by hand has another.
    pub digest: String,
}

/// A token that was found.
pub struct Found {
    /// The token.
    pub token: Secret,
    /// When it ends, where the note is about this token.
    pub expires_at: Option<SystemTime>,
}

/// How this agent's tokens are made, if it has any.
pub fn rule(definition: &Definition) -> Option<&TokenRule> {
    definition.login.as_ref()?.token.as_ref()
}

fn digest(token: &[u8]) -> String {
    Digest::of(&[token]).to_string()
}

impl Capture {
    /// The token that is stored here.
    ///
    /// # Errors
    /// Why there is none, or it is not read.
    pub fn token(&self) -> Result<Found, Unreadable> {
        let content = untrusted::beneath(self.handle(), FILE.as_ref(), &self.owners())?;
        let token = Secret::copied(without_trailing_newlines(&content.bytes));
        let expires_at = self.mint().filter(|mint| mint.digest == digest(without_trailing_newlines(&content.bytes)));
        let expires_at = expires_at.and_then(|mint| humantime::parse_rfc3339(&mint.expires_at).ok());
        Ok(Found { token, expires_at })
    }

    fn mint(&self) -> Option<TokenMetadata> {
        let notes = self.notes_there().ok()?;
        let note = untrusted::entry(&notes, OsStr::new(&format!("{FILE}.json")), &Owners::Any).ok()?;
        limits::parse(&note.bytes).ok()
    }

    /// Stores a token that was made just now, in place of the one that is there; the lock orders writers.
    ///
    /// # Errors
    /// What the kernel says; the token that was there is then there still.
    pub fn put_token(&self, token: &[u8], days: u32, _lock: &Lock) -> io::Result<TokenMetadata> {
        let now = SystemTime::now();
        let until = now.checked_add(Duration::from_secs(u64::from(days) * 86_400)).unwrap_or(now);
        let said = |moment| humantime::format_rfc3339_seconds(moment).to_string();
        let mint = TokenMetadata { version: 1, minted_at: said(now), expires_at: said(until), digest: digest(token) };
        let notes = self.notes()?;
        // The note first: after a crash between the two it is about a token that is not there, and counts for nothing.
        let text = serde_json::to_vec_pretty(&mint).map_err(io::Error::other)?;
        notes.write_whole(OsStr::new(&format!("{FILE}.json")), &text, self.attributes(0o644))?;
        self.handle().write_whole_by_way_of(&notes, OsStr::new(FILE), token, self.attributes(0o600))?;
        self.handle().sync()?;
        Ok(mint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_its_note() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let capture = Capture::open(temp.path()).unwrap();
        assert!(matches!(capture.token(), Err(Unreadable::Missing)));
        let lock = capture.lock().unwrap().unwrap();
        for token in ["tok-FAKE-1", "tok-FAKE-2"] {
            let mint = capture.put_token(token.as_bytes(), 365, &lock).unwrap();
            let found = capture.token().unwrap();
            assert_eq!(std::fs::read_to_string(temp.path().join(FILE)).unwrap(), token);
            let expires = humantime::format_rfc3339_seconds(found.expires_at.unwrap()).to_string();
            assert_eq!(expires, mint.expires_at);
        }
        let mode = |name: &str| temp.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(FILE), mode(".agent-init/oauth-token.json")), (0o600, 0o644));
        let note = std::fs::read_to_string(temp.path().join(".agent-init/oauth-token.json")).unwrap();
        assert!(!note.contains("FAKE"), "{note}");
        // Put there by hand: the note is about another one.
        std::fs::write(temp.path().join(FILE), "tok-FAKE-3\n").unwrap();
        assert_eq!(capture.token().unwrap().expires_at, None);
    }
}
