//! Agents are data: definitions, the rules for definitions, and the catalog of known agents.

pub mod catalog;
pub mod definition;
mod keys;
pub mod rules;

pub use catalog::Catalog;
pub use definition::Definition;
