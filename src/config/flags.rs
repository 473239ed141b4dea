//! The options. One name means one thing in all commands.

mod login;
mod output;
mod process;
mod user;

use super::command::CommandName::{self, Doctor, Exec, Healthcheck, Plan, Run, Setup, Status};
use super::flag::{Flag, TakenBy};

/// Every option, in the order in which help lists them.
pub(crate) fn all() -> impl Iterator<Item = &'static Flag> {
    [login::FLAGS, user::FLAGS, process::FLAGS, output::FLAGS].into_iter().flatten()
}

/// What a run depends on. `status` and `doctor` take it too, so that the same words give the same answer.
const FACTS: TakenBy = TakenBy::only(&[Run, Plan, Status, Doctor]);
/// The same, where it also matters to a login.
const FACTS_AND_SETUP: TakenBy = TakenBy::only(&[Run, Setup, Plan, Status, Doctor]);
/// What `run` does once it starts: `status` and `doctor` accept it, and it means nothing to them.
const START: TakenBy = TakenBy { shown: &[Run, Plan], hidden: LOOKING };
/// The same, where it also matters to a login.
const START_AND_SETUP: TakenBy = TakenBy { shown: &[Run, Setup, Plan], hidden: LOOKING };
const LOOKING: &[CommandName] = &[Status, Doctor];
/// Where a run keeps its state matters to whoever looks for it.
const STATE: TakenBy = TakenBy::only(&[Run, Setup, Plan, Status, Doctor, Healthcheck, Exec]);
