//! What the agent has for a terminal: the one that we were started at, lent to it, or one of its own.

use zeroize::Zeroizing;

use crate::sys::poll::Interest;
use crate::sys::process::Pid;
use crate::terminal::foreground::Foreground;
use crate::terminal::relay::Relay;

/// The agent's terminal.
#[allow(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Console {
    /// Ours, or none.
    Lent(Foreground),
    /// One of its own, relayed to ours.
    Relayed(Box<Relay>),
    /// None any more: the agent has ended.
    Gone,
}

impl Console {
    /// The relay, if there is one.
    pub fn relay(&mut self) -> Option<&mut Relay> {
        match self {
            Console::Lent(_) | Console::Gone => None,
            Console::Relayed(relay) => Some(relay),
        }
    }

    /// What to wait for.
    pub fn interests(&self) -> impl Iterator<Item = Interest<'_>> {
        let relay: Option<&Relay> = match self {
            Console::Lent(_) | Console::Gone => None,
            Console::Relayed(relay) => Some(relay),
        };
        relay.into_iter().flat_map(Relay::interests)
    }

    /// We were continued. `group`: the agent's, as long as it lives.
    pub fn continued(&mut self, group: Option<Pid>) {
        match self {
            Console::Lent(foreground) => group.into_iter().for_each(|group| foreground.continued(group)),
            // A terminal that has hung up meanwhile says so when it is read.
            Console::Relayed(relay) => drop(relay.resume()),
            Console::Gone => {}
        }
    }

    /// The agent has ended: our terminal is what it was. What the filter of a relayed screen found.
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
