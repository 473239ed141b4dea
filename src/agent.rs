//! Agents are data: definitions, and the catalog of those that this binary knows.

pub mod catalog;
pub mod definition;

pub use catalog::Catalog;
pub use definition::Definition;
