//! Files that others can write to, directories that agent-init makes, and the mount table.

pub mod directories;
pub mod mounts;
pub mod tree;
pub mod untrusted;
