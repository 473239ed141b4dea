//! Black-box tests: the real binary, run as root in namespaces and as an ordinary user.
//!
//! `$TEST_BINARY` names the binary under test; without it, cargo's own build is used.
#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on should panic, and builders take their arguments by value"
)]

mod backtraces;
mod canary;
mod cli;
mod commands;
mod crash;
mod docker;
mod dropin;
mod events;
mod faults;
mod first_start;
mod fleet;
mod follow;
mod hostile;
mod identity;
mod install_script;
mod interrupted;
mod keep;
mod matrix;
mod memory;
mod namespace;
mod operators;
mod output;
mod peers;
mod process;
mod publish;
mod real_agents;
mod release;
mod remote;
mod resume;
mod scripts;
mod setup;
mod sources;
mod status_agrees;
mod stores;
mod stress;
mod support;
mod systemd;
mod terminal;
mod workcopy;
