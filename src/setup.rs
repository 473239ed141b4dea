//! A person logs in: the command that is run, the token on its screen, and the outcome.

pub mod capture;
pub mod login_command;
pub mod outcome;
pub mod scanner;
pub mod scratch;
pub mod target;
pub mod token_metadata;
