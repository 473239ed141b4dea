//! Where a login lives between containers.

pub mod directory;

pub use directory::Capture;
