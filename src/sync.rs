//! Syncs logins between working copies and stores: compares the working copy, the stored login and the merge base, and
//! publishes or adopts what changed.

pub mod dedup_log;
pub mod engine;
pub mod expiry_watch;
pub mod keepers_turn;
pub mod refresh_lock;
pub mod session;
pub mod turn;
pub mod watch_state;

pub use engine::Engine;
