//! Credentials: secrets, the sources they come from, and the content of login documents.

mod deadline;
mod defect;
mod digest;
pub mod document;
pub mod entries;
pub mod file;
pub mod follower;
pub mod forced;
pub mod format;
pub mod history;
mod jwt;
pub mod limits;
pub mod merge;
pub mod names;
pub mod secret;
pub mod source;
pub mod splice;
mod unusable;
pub mod wrapped;
pub mod yaml;

pub use deadline::{Deadline, Nearness};
pub use defect::Defect;
pub use digest::Digest;
pub use document::{Document, Login};
pub use secret::Secret;
pub use source::Source;
pub use unusable::{Advice, Unusable};
