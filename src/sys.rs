//! Thin, safe wrappers around system calls, with types of our own. Only this module names `nix`, `libc` and `caps`.
//!
//! Every descriptor that it makes is close-on-exec. Unsafe code is allowed only here. Each unsafe block says why it is
//! sound.
#![allow(unsafe_code)]

pub mod access;
mod append;
mod beneath;
pub mod descriptors;
pub mod dir;
pub mod entry;
pub mod errno;
mod listing;
pub mod lock;
pub mod memory;
pub mod output;
pub mod pipe;
pub mod poll;
pub mod privilege;
pub mod process;
pub mod pty;
pub mod replace;
mod resolve;
pub mod signal;
pub mod stat;
pub mod terminal;
pub mod walk;
pub mod watch;
pub mod wipe;
