//! Where a login lives between containers.

pub mod directory;
pub mod recovery;
pub mod token;

pub use directory::Capture;
pub use recovery::Recovery;
