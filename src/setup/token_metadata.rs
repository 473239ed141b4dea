//! Stores a token that a person has just made.

use std::io;
use std::time::{Duration, Instant};

use crate::agent::definition::TokenRule;
use crate::store::Capture;
use crate::store::token::TokenMetadata;
use crate::sys::lock::Lock;
use crate::sys::poll;

/// How long to wait for another writer of the capture.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// Stores the token and reads it back. After an error, the previous token is still stored.
pub fn store(capture: &Capture, token: &[u8], rule: &TokenRule) -> io::Result<TokenMetadata> {
    let lock = lock(capture)?;
    let metadata = capture.put_token(token, rule.days, &lock)?;
    let is_readable = capture.token().is_ok_and(|found| found.expires_at.is_some());
    if is_readable { Ok(metadata) } else { Err(io::Error::other("the stored token cannot be read back")) }
}

fn lock(capture: &Capture) -> io::Result<Lock> {
    let until = Instant::now() + LOCK_TIMEOUT;
    loop {
        let now = Instant::now();
        match capture.lock()? {
            Some(lock) => return Ok(lock),
            None if now >= until => return Err(io::Error::other("another container holds the lock of the capture")),
            None => poll::wait_readable(&[], Some(now + LOCK_RETRY))?,
        }
    }
}
