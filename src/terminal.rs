//! The container's terminal: its foreground process group, and the relay to a terminal of the agent's own.

pub mod console;
pub mod foreground;
pub mod relay;
