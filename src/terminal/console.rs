//! The agent's terminal: our own, lent to it, or one of its own.

use zeroize::Zeroizing;

use crate::sys::poll::Interest;
use crate::sys::process::Pid;
use crate::terminal::foreground::Foreground;
use crate::terminal::relay::Relay;

#[allow(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Console {
    /// Our terminal, or none.
    Lent(Foreground),
    /// A terminal of the agent's own, relayed to ours.
    Relayed(Box<Relay>),
    /// The agent has ended.
    Gone,
}

impl Console {
    pub fn relay(&mut self) -> Option<&mut Relay> {
        match self {
            Console::Lent(_) | Console::Gone => None,
            Console::Relayed(relay) => Some(relay),
        }
    }

    /// The descriptors to poll.
    pub fn interests(&self) -> impl Iterator<Item = Interest<'_>> {
        let relay: Option<&Relay> = match self {
            Console::Lent(_) | Console::Gone => None,
            Console::Relayed(relay) => Some(relay),
        };
        relay.into_iter().flat_map(Relay::interests)
    }

    /// We were continued (SIGCONT). `group`: the agent's process group, while it lives.
    pub fn continued(&mut self, group: Option<Pid>) {
        match self {
            Console::Lent(foreground) => group.into_iter().for_each(|group| foreground.continued(group)),
            // If the terminal has hung up meanwhile, the next read says so.
            Console::Relayed(relay) => drop(relay.resume()),
            Console::Gone => {}
        }
    }

    /// Restores our terminal, because the agent has ended. Returns what the filter of a relayed terminal found.
    pub fn end(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        match std::mem::replace(self, Console::Gone) {
            Console::Lent(mut foreground) => {
                foreground.take_back();
                None
            }
            Console::Relayed(relay) => relay.finish(),
            Console::Gone => None,
        }
    }
}
