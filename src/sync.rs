//! Carries logins between working copies and captures: three versions are compared, and what changed travels.

pub mod dedup_log;
pub mod engine;
pub mod refresh_lock;
pub mod session;
pub mod turn;
pub mod watch_state;

pub use engine::Engine;
