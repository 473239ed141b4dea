//! Files that others can write to, directories of ours, and the mount table.

pub mod directories;
pub mod mounts;
pub mod tree;
pub mod untrusted;
