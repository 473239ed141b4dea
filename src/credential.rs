//! Credentials: secrets, the sources they come from, and what a login document says.

pub mod command;
pub mod document;
mod jwt;
pub mod lines;
pub mod names;
pub mod secret;
pub mod source;
pub mod weight;

pub use document::{Defect, Digest, Document, Login};
pub use secret::Secret;
pub use source::Source;
