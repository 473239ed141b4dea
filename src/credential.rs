//! Credentials: secrets, the sources they come from, and what a login document says.

pub mod command;
mod defect;
mod digest;
pub mod document;
mod jwt;
pub mod lines;
pub mod names;
pub mod secret;
pub mod source;
pub mod splice;
pub mod weight;

pub use defect::Defect;
pub use digest::Digest;
pub use document::{Document, Login};
pub use secret::Secret;
pub use source::Source;
