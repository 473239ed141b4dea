//! Stores a token that a person has just made.

use std::io;
use std::time::{Duration, Instant};

use crate::agent::definition::TokenRule;
use crate::store::Capture;
use crate::store::token::TokenMetadata;
use crate::sys::lock::Lock;
use crate::sys::poll;

/// How long another writer of the capture is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(20);

/// Stores it, and reads it back.
///
/// # Errors
/// What the kernel says; what was stored before is then there still.
pub fn store(capture: &Capture, token: &[u8], rule: &TokenRule) -> io::Result<TokenMetadata> {
    let lock = lock(capture)?;
    let mint = capture.put_token(token, rule.days, &lock)?;
    let is_there = capture.token().is_ok_and(|found| found.expires_at.is_some());
    if is_there { Ok(mint) } else { Err(io::Error::other("what was written cannot be read back")) }
}

fn lock(capture: &Capture) -> io::Result<Lock> {
    let until = Instant::now() + PATIENCE;
    loop {
        let now = Instant::now();
        match capture.lock()? {
            Some(lock) => return Ok(lock),
            None if now >= until => return Err(io::Error::other("another container is writing there")),
            None => poll::wait_readable(&[], Some(now + AGAIN))?,
        }
    }
}
