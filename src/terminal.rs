//! The terminal that a container was given: who is in the foreground, and a relay to a terminal of its own.

pub mod console;
pub mod foreground;
pub mod relay;
