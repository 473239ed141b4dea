//! Carries logins between working copies and captures: three versions are compared, and what changed travels.

pub mod engine;
pub mod gate;
pub mod hearing;
pub mod lineage;
pub mod link;
pub mod reconcile;
pub mod turn;
pub mod voice;

pub use engine::Engine;
