//! The library behind `agent-init`, the ENTRYPOINT of coding-agent containers.
//!
//! A start is *facts, then a plan, then acts*; the modules stand in the order in which data flows:
//!
//! 1. [`cli`] turns arguments and `AGENT_INIT_*` variables into settings;
//! 2. [`agent`] knows the agents, which are data;
//! 3. [`credential`] knows secrets, where they come from and what a login document says;
//! 4. [`discover`] reads the environment, the accounts, the mounts and the files, once;
//! 5. [`plan`] decides, without touching anything, what will be done and why;
//! 6. [`workcopy`] lays the login down as a private working copy;
//! 7. [`launch`] forks and becomes the agent's user;
//! 8. [`supervise`] is PID 1: signals, children, the stop;
//! 9. [`sync`] carries refreshed logins between the working copy and the [`store`];
//! 10. [`status`] and [`doctor`] judge what was found, [`report`] says it to people, and [`sys`] is the only place that talks to the kernel.
//!
//! [`command`] composes them. The process has one thread and no network code.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(any(fuzzing, test), allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod agent;
pub mod cli;
pub mod command;
pub mod config;
pub mod credential;
pub mod discover;
pub mod doctor;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
#[path = "../fuzz/oracles/mod.rs"]
pub mod fuzzing;
pub mod launch;
pub mod plan;
pub mod report;
pub mod setup;
pub mod state;
pub mod status;
pub mod store;
pub mod supervise;
pub mod sync;
pub mod sys;
pub mod workcopy;
