//! The library behind `agent-init`, the ENTRYPOINT of coding-agent containers.
//!
//! A start is *facts, then a plan, then acts*. Modules import from the layers below their own; `scripts/layers` checks
//! it. From the lowest layer to the highest:
//!
//! - [`sys`] is the only module that talks to the kernel: small safe wrappers;
//! - [`error`], [`log`], [`words`], [`mod@env`], [`account`], [`fs`], [`process`] and [`terminal`] are what everything else uses:
//!   the one error type, the log, passwd, files that others can write to, children and helpers;
//! - [`login`] knows what a login document says, [`agent`] the agents, which are data, and [`config`] the configuration of one
//!   invocation;
//! - [`store`] holds logins that containers share, [`state`] what a run leaves for the next one and for `status`;
//! - [`facts`] reads the environment, the accounts, the mounts and the files, once, and changes nothing;
//! - [`plan`] decides what will be done and why, and touches nothing;
//! - [`workcopy`] installs the working copy, [`launch`] forks and becomes the agent's user;
//! - [`sync`] syncs logins between the working copy and the store;
//! - [`init`] is PID 1: signals, children, the stop; [`keep`] refreshes logins for others;
//! - [`status`], [`doctor`] and [`setup`] judge what was found and log in, [`output`] renders it;
//! - [`commands`] composes them, one file a command.
//!
//! The process has one thread and no network code.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(any(fuzzing, test), allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod account;
pub mod agent;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod env;
pub mod error;
pub mod facts;
pub mod fs;
pub mod init;
pub mod keep;
pub mod launch;
pub mod log;
pub mod login;
pub mod looks;
pub mod output;
pub mod plan;
pub mod process;
pub mod setup;
pub mod state;
pub mod status;
pub mod store;
pub mod sync;
pub mod sys;
pub mod terminal;
pub mod words;
pub mod workcopy;

#[cfg(any(fuzzing, test))]
#[doc(hidden)]
#[path = "../fuzz/oracles/mod.rs"]
pub mod fuzzing;
