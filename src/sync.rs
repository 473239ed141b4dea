//! Carries logins between working copies and captures: three versions are compared, and what changed travels.

pub mod engine;
pub mod lineage;
pub mod link;
pub mod reconcile;

pub use engine::Engine;
