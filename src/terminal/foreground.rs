//! The terminal's foreground: lent to the agent while it is ours to lend. The one owner of the terminal.
//!
//! The shell that started us gives the foreground to our process group and takes it away (Ctrl-Z and bg, `&` and fg).
//! While we have it the agent has it from us; what is not ours is never given and never taken back.

use crate::sys::process::Pid;
use crate::sys::terminal::{Modes, Terminal};

/// The terminal, and whether the agent has it from us.
pub struct Foreground {
    terminal: Option<Terminal>,
    lent: bool,
    /// The agent's modes while it is stopped.
    modes: Option<Modes>,
}

impl Foreground {
    /// The controlling terminal on standard input, output or error. The agent is to take it at its start if we hold it.
    pub fn at_start() -> Foreground {
        let terminal = Terminal::controlling();
        let lent = terminal.as_ref().is_some_and(Terminal::is_ours);
        Foreground { terminal, lent, modes: None }
    }

    /// The terminal that the agent has from us.
    pub fn lent(&self) -> Option<&Terminal> {
        self.terminal.as_ref().filter(|_| self.lent)
    }

    /// The agent has ended, or did not start: foreground and modes are what they were.
    pub fn take_back(&mut self) {
        if let Some(terminal) = self.lent() {
            // A terminal that has hung up has nobody to give it back to.
            let _ = terminal.take_back();
        }
        self.lent = false;
    }

    /// The agent was stopped, and we are about to stop with it: the shell finds its terminal as it was.
    pub fn agent_stopped(&mut self) {
        self.modes = self.lent().and_then(Terminal::modes);
        self.take_back();
    }

    /// We were continued. Whether in the foreground was the shell's decision.
    pub fn continued(&mut self, group: Pid) {
        let Some(terminal) = &self.terminal else { return };
        if terminal.is_ours() {
            if let Some(modes) = self.modes.take() {
                let _ = terminal.set_modes(&modes);
            }
            self.lent = terminal.give_to(group).is_ok();
        } else {
            self.lent = terminal.is_held_by(group) && self.lent;
        }
    }
}
