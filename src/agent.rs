//! Agents are data: definitions, the rules that they keep, and the catalog of those that are known.

pub mod catalog;
pub mod definition;
mod keys;
pub mod rules;

pub use catalog::Catalog;
pub use definition::Definition;
