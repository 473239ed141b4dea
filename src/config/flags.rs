//! The options. One name means one thing in all commands.

mod login;
mod output;
mod process;
mod user;

use super::flag::Flag;

/// Every option, in the order in which help lists them.
pub(crate) fn all() -> impl Iterator<Item = &'static Flag> {
    [login::FLAGS, user::FLAGS, process::FLAGS, output::FLAGS].into_iter().flatten()
}
