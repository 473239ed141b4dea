//! The agent's own terminal: a pty of ours, relayed to the terminal at which a person sits. Touches both; never waits.
//!
//! The agent gets no descriptor of the outer terminal, so that what it leaves behind can neither read a person's keys nor
//! put words into the input of the shell that comes after us.

use std::io;
use std::time::{Duration, Instant};

use zeroize::{Zeroize, Zeroizing};

use crate::sys::poll;
use crate::sys::poll::Interest;
use crate::sys::process::Pid;
use crate::sys::pty::{Master, Outer};

/// What is read at once, in bytes; the next read comes when all of it is written.
const CHUNK: usize = 16 * 1024;
/// How often both ways are tried before signals have their turn: a program that writes forever shall not keep us.
const ROUNDS: usize = 16;
/// How long the last words may take to a screen that takes none.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Sees what the agent's terminal shows before the outer one does.
pub trait ScreenFilter {
    /// Takes what the agent wrote, and appends what is to be shown of it.
    fn pass(&mut self, written: &[u8], shown: &mut Vec<u8>);

    /// The terminal has another width.
    fn resized(&mut self, columns: u16);

    /// What was found, at the end.
    fn found(self: Box<Self>) -> Option<Zeroizing<Vec<u8>>>;
}

/// Both terminals, and what is under way between them.
pub struct Relay {
    outer: Outer,
    /// Dropped, the agent's terminal hangs up.
    master: Option<Master>,
    keys: WriteBuffer,
    screen: WriteBuffer,
    /// Looks at what is shown before it is.
    filter: Option<Box<dyn ScreenFilter>>,
    /// The outer terminal has gone.
    hung_up: bool,
    /// Nobody has the agent's terminal open: poll(2) would say so forever.
    is_closed_by_agent: bool,
    /// The agent is a shell, which ignores TERM.
    is_shell: bool,
}

/// Bytes that were read and are not all written.
#[derive(Default)]
struct WriteBuffer {
    bytes: Zeroizing<Vec<u8>>,
    written: usize,
}

impl WriteBuffer {
    fn is_empty(&self) -> bool {
        self.written >= self.bytes.len()
    }

    fn left(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.bytes.zeroize();
        self.written = 0;
    }
}

impl Relay {
    /// Makes the outer terminal raw and the agent's as large as it.
    ///
    /// # Errors
    /// As tcsetattr(3).
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

    /// The outer terminal has another size.
    pub fn resized(&mut self) {
        if let (Some(size), Some(master)) = (self.outer.size(), &self.master) {
            if let Some(filter) = &mut self.filter {
                filter.resized(size.ws_col);
            }
            // One that has gone needs no size.
            let _ = master.resize(&size);
        }
    }

    /// Takes the outer terminal again, after a stop in which a shell had it.
    ///
    /// # Errors
    /// As tcsetattr(3).
    pub fn resume(&mut self) -> io::Result<()> {
        self.outer.make_raw()?;
        self.resized();
        Ok(())
    }

    /// What to wait for.
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

    /// Carries what is there. True when the outer terminal has just gone.
    pub fn step(&mut self) -> bool {
        let before = self.hung_up;
        for _ in 0..ROUNDS {
            let moved = [self.show(), self.type_keys()];
            if moved == [false, false] {
                break;
            }
        }
        self.hung_up && !before
    }

    /// The outer terminal has gone, by a signal that says so. False if that was known.
    pub fn hang_up(&mut self) -> bool {
        !std::mem::replace(&mut self.hung_up, true)
    }

    /// Whether the outer terminal has gone.
    pub fn has_hung_up(&self) -> bool {
        self.hung_up
    }

    /// Hangs the agent's terminal up: the kernel sends HUP to its session.
    pub fn close(&mut self) {
        self.master = None;
    }

    /// The process group that has the agent's terminal now.
    pub fn foreground(&self) -> Option<Pid> {
        self.master.as_ref().and_then(Master::foreground)
    }

    /// Whether the agent is a shell.
    pub fn is_shell(&self) -> bool {
        self.is_shell
    }

    /// Shows the last words, gives the outer terminal back as it was, and returns what looked on.
    pub fn finish(mut self) -> Option<Zeroizing<Vec<u8>>> {
        let until = Instant::now() + LAST_WORDS;
        loop {
            // Whatever the agent wrote before its end is read now (tty_read flushes the line discipline's work).
            while self.show() {}
            if self.screen.is_empty() || self.hung_up || Instant::now() >= until {
                return self.filter.take().and_then(ScreenFilter::found);
            }
            if poll::wait(vec![Interest::to_write(self.outer.output())], Some(until)).is_err() {
                return self.filter.take().and_then(ScreenFilter::found);
            }
        }
    }

    /// One step from the agent to the screen; whether anything moved.
    fn show(&mut self) -> bool {
        if self.screen.is_empty() {
            let Some(master) = &mut self.master else { return false };
            let mut chunk = Zeroizing::new([0; CHUNK]);
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
            match self.outer.write(self.screen.left()) {
                Ok(count) => self.screen.written += count,
                Err(error) if is_for_later(&error) => return false,
                Err(_) => self.hung_up = true,
            }
            true
        }
    }

    /// One step from the keys to the agent; whether anything moved.
    fn type_keys(&mut self) -> bool {
        let Some(master) = &mut self.master else { return false };
        if self.keys.is_empty() {
            if self.hung_up {
                return false;
            }
            let mut chunk = Zeroizing::new([0; CHUNK]);
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
                    self.hung_up |= !is_for_later(&error);
                    false
                }
            }
        } else {
            match master.write(self.keys.left()) {
                Ok(count) => self.keys.written += count,
                Err(error) if is_for_later(&error) => return false,
                // Nobody reads them.
                Err(_) => self.keys.clear(),
            }
            true
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
