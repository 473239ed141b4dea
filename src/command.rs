//! The commands: composition, and no rules.

pub mod run;
