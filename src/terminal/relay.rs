//! The relay between the user's terminal and a pseudoterminal of the agent's own. It touches both and never blocks.
//!
//! The agent gets no descriptor of the outer terminal. So processes that it leaves behind can neither read the user's
//! keys nor put text into the input of the shell that follows us.

use std::io;
use std::time::{Duration, Instant};

use zeroize::{Zeroize, Zeroizing};

use crate::sys::poll;
use crate::sys::poll::Interest;
use crate::sys::process::Pid;
use crate::sys::pty::{Master, Outer};

/// The size of one read, in bytes. The next read follows once all of it is written.
const READ_SIZE: usize = 16 * 1024;
/// The maximum number of transfers before signals get their turn. A program may write without end.
const MAX_TRANSFERS: usize = 16;
/// How long the last output may take if the outer terminal does not accept it.
const LAST_OUTPUT_WAIT: Duration = Duration::from_secs(1);

/// Sees the agent's output before the outer terminal does.
pub trait ScreenFilter {
    /// Takes output of the agent, and appends the part to show.
    fn pass(&mut self, written: &[u8], shown: &mut Vec<u8>);

    /// The terminal has a new width.
    fn resized(&mut self, columns: u16);

    /// What was found, at the end.
    fn found(self: Box<Self>) -> Option<Zeroizing<Vec<u8>>>;
}

pub struct Relay {
    outer: Outer,
    /// Dropping it hangs up the agent's terminal.
    master: Option<Master>,
    keys: WriteBuffer,
    screen: WriteBuffer,
    filter: Option<Box<dyn ScreenFilter>>,
    /// The outer terminal has gone.
    hung_up: bool,
    /// Nobody has the agent's terminal open. poll(2) would report that again and again.
    is_closed_by_agent: bool,
    /// A shell ignores TERM.
    is_shell: bool,
}

/// Bytes that were read and are not all written yet.
#[derive(Default)]
struct WriteBuffer {
    bytes: Zeroizing<Vec<u8>>,
    written: usize,
}

impl WriteBuffer {
    fn is_empty(&self) -> bool {
        self.written >= self.bytes.len()
    }

    fn remaining(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.bytes.zeroize();
        self.written = 0;
    }
}

impl Relay {
    /// Sets the outer terminal to raw mode, and the agent's to the same size.
    pub fn begin(
        outer: Outer,
        master: Master,
        filter: Option<Box<dyn ScreenFilter>>,
        is_shell: bool,
    ) -> io::Result<Relay> {
        let (keys, screen) = (WriteBuffer::default(), WriteBuffer::default());
        let master = Some(master);
        let mut relay =
            Relay { outer, master, keys, screen, filter, hung_up: false, is_closed_by_agent: false, is_shell };
        relay.resume()?;
        Ok(relay)
    }

    /// The outer terminal has a new size.
    pub fn resized(&mut self) {
        if let (Some(size), Some(master)) = (self.outer.size(), &self.master) {
            if let Some(filter) = &mut self.filter {
                filter.resized(size.ws_col);
            }
            // A terminal that has gone needs no size.
            let _ = master.resize(&size);
        }
    }

    /// Sets up the outer terminal again, after a stop during which a shell had it.
    pub fn resume(&mut self) -> io::Result<()> {
        self.outer.make_raw()?;
        self.resized();
        Ok(())
    }

    /// The descriptors to poll.
    pub fn interests(&self) -> impl Iterator<Item = Interest<'_>> {
        let master = self.master.as_ref();
        let screen = match (self.screen.is_empty(), master) {
            (true, Some(master)) if !self.is_closed_by_agent => {
                Some(Interest::to_read(std::os::fd::AsFd::as_fd(master)))
            }
            (false, _) if !self.hung_up => Some(Interest::to_write(self.outer.output())),
            _ => None,
        };
        let keys = match (self.keys.is_empty(), master) {
            (true, Some(_)) if !self.hung_up => Some(Interest::to_read(self.outer.input())),
            (false, Some(master)) if !self.is_closed_by_agent => {
                Some(Interest::to_write(std::os::fd::AsFd::as_fd(master)))
            }
            _ => None,
        };
        screen.into_iter().chain(keys)
    }

    /// Transfers what is available. Returns true if the outer terminal has just gone.
    pub fn step(&mut self) -> bool {
        let was_hung_up = self.hung_up;
        for _ in 0..MAX_TRANSFERS {
            let moved = [self.transfer_to_screen(), self.transfer_to_agent()];
            if moved == [false, false] {
                break;
            }
        }
        self.hung_up && !was_hung_up
    }

    /// A signal says that the outer terminal has gone. Returns false if that was known.
    pub fn hang_up(&mut self) -> bool {
        !std::mem::replace(&mut self.hung_up, true)
    }

    /// Whether the outer terminal has gone.
    pub fn has_hung_up(&self) -> bool {
        self.hung_up
    }

    /// Hangs up the agent's terminal: the kernel sends HUP to its session.
    pub fn close(&mut self) {
        self.master = None;
    }

    /// The foreground process group of the agent's terminal.
    pub fn foreground(&self) -> Option<Pid> {
        self.master.as_ref().and_then(Master::foreground)
    }

    pub fn is_shell(&self) -> bool {
        self.is_shell
    }

    /// Shows the last output, restores the outer terminal, and returns what the filter found.
    pub fn finish(mut self) -> Option<Zeroizing<Vec<u8>>> {
        let until = Instant::now() + LAST_OUTPUT_WAIT;
        loop {
            // All that the agent wrote before its end is readable by now (tty_read flushes the line discipline's work).
            while self.transfer_to_screen() {}
            if self.screen.is_empty() || self.hung_up || Instant::now() >= until {
                return self.filter.take().and_then(ScreenFilter::found);
            }
            if poll::wait(vec![Interest::to_write(self.outer.output())], Some(until)).is_err() {
                return self.filter.take().and_then(ScreenFilter::found);
            }
        }
    }

    /// One transfer from the agent to the screen. Returns whether anything moved.
    fn transfer_to_screen(&mut self) -> bool {
        if self.screen.is_empty() {
            let Some(master) = &mut self.master else { return false };
            let mut chunk = Zeroizing::new([0; READ_SIZE]);
            match master.read(chunk.as_mut_slice()) {
                Ok(Some(count)) => {
                    let bytes = chunk.get(..count).unwrap_or_default();
                    self.screen.clear();
                    match &mut self.filter {
                        Some(filter) => filter.pass(bytes, &mut self.screen.bytes),
                        None => self.screen.bytes.extend_from_slice(bytes),
                    }
                    self.is_closed_by_agent = false;
                    true
                }
                Ok(None) => {
                    self.is_closed_by_agent = true;
                    false
                }
                Err(_) => false,
            }
        } else if self.hung_up {
            self.screen.clear();
            true
        } else {
            match self.outer.write(self.screen.remaining()) {
                Ok(count) => self.screen.written += count,
                Err(error) if would_block(&error) => return false,
                Err(_) => self.hung_up = true,
            }
            true
        }
    }

    /// One transfer from the keyboard to the agent. Returns whether anything moved.
    fn transfer_to_agent(&mut self) -> bool {
        let Some(master) = &mut self.master else { return false };
        if self.keys.is_empty() {
            if self.hung_up {
                return false;
            }
            let mut chunk = Zeroizing::new([0; READ_SIZE]);
            match self.outer.read(chunk.as_mut_slice()) {
                Ok(Some(count)) => {
                    self.keys.clear();
                    self.keys.bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
                    true
                }
                Ok(None) => {
                    self.hung_up = true;
                    false
                }
                Err(error) => {
                    self.hung_up |= !would_block(&error);
                    false
                }
            }
        } else {
            match master.write(self.keys.remaining()) {
                Ok(count) => self.keys.written += count,
                Err(error) if would_block(&error) => return false,
                // Nobody reads them.
                Err(_) => self.keys.clear(),
            }
            true
        }
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
