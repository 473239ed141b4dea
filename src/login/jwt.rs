//! The claims of a JWT (RFC 7519). They are read and not verified: the vendor does that. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::login::limits;

/// The claims as JSON: the middle one of three base64url parts.
pub fn claims(token: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut parts = token.split('.');
    let (_, body, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    Some(Zeroizing::new(URL_SAFE_NO_PAD.decode(body.trim_end_matches('=')).ok()?))
}

/// Whether a strict reader accepts the token: no part is empty, and the claims have no padding (RFC 7515, section 2).
/// None of the readers that were tried looks at the header.
pub fn is_well_formed(token: &str) -> bool {
    #[allow(clippy::zero_sized_map_values, reason = "nothing of the claims is kept")]
    let is_object = |claims: &[u8]| limits::parse::<BTreeMap<String, IgnoredAny>>(claims).is_ok();
    token.split('.').all(|part| !part.is_empty() && !part.ends_with('='))
        && claims(token).is_some_and(|claims| is_object(&claims))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_tokens_are_refused() {
        let body = URL_SAFE_NO_PAD.encode(br#"{"email":"user@example.com"}"#);
        let padded = base64::engine::general_purpose::URL_SAFE.encode(br#"{"a":1}"#);
        assert!(padded.ends_with('='));
        let rows = [
            (format!("FAKE.{body}.FAKE"), true),
            (format!("FAKE.{body}"), false),
            (format!("FAKE.{body}."), false),
            (format!(".{body}.FAKE"), false),
            (format!("FAKE.{padded}.FAKE"), false),
            (format!("FAKE.{}.FAKE", URL_SAFE_NO_PAD.encode(b"hello")), false),
            (format!("FAKE.{}.FAKE", URL_SAFE_NO_PAD.encode(b"null")), false),
            ("FAKE.%%%.FAKE".to_owned(), false),
            ("FAKE-opaque".to_owned(), false),
            (String::new(), false),
        ];
        for (token, expected) in rows {
            assert_eq!(is_well_formed(&token), expected, "{token}");
        }
    }
}
