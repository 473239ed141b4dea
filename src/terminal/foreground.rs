//! The foreground of our terminal, lent to the agent while it is ours. This is the only owner of the terminal.
//!
//! The shell that started us makes our process group the foreground and takes that away (Ctrl-Z and bg, `&` and fg).
//! While we are the foreground, we pass it on to the agent. A foreground that is not ours is never given away nor taken
//! back.

use crate::sys::process::Pid;
use crate::sys::terminal::{Modes, Terminal};

pub struct Foreground {
    terminal: Option<Terminal>,
    lent: bool,
    /// The agent's terminal modes while it is stopped.
    modes: Option<Modes>,
}

impl Foreground {
    /// Opens the controlling terminal on standard input, output or error. It is lent to the agent if we are its
    /// foreground.
    pub fn at_start() -> Foreground {
        let terminal = Terminal::controlling();
        let lent = terminal.as_ref().is_some_and(Terminal::is_ours);
        Foreground { terminal, lent, modes: None }
    }

    /// The terminal, while it is lent to the agent.
    pub fn lent(&self) -> Option<&Terminal> {
        if self.lent { self.terminal.as_ref() } else { None }
    }

    /// Restores foreground and modes, because the agent has ended or did not start.
    pub fn take_back(&mut self) {
        if let Some(terminal) = self.lent() {
            // A terminal that has hung up has nobody to give it back to.
            let _ = terminal.take_back();
        }
        self.lent = false;
    }

    /// The agent was stopped, and we are about to stop too. Restores the terminal for the shell.
    pub fn agent_stopped(&mut self) {
        self.modes = self.lent().and_then(Terminal::modes);
        self.take_back();
    }

    /// We were continued. Whether as the foreground was the shell's decision.
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
