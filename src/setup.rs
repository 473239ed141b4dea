//! A login made by a person: what is run for it, what is seen on its screen, and what came of it.

pub mod capture;
pub mod scanner;
pub mod scratch;
pub mod selection;
pub mod target;
pub mod token_metadata;
pub mod verdict;
