//! PID 1: one loop over signals, children and the login's files. While nothing happens it sleeps without a timer.
//!
//! From here on the agent runs, and nothing but its end ends us: an error becomes a message.

pub mod stop;

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use zeroize::Zeroizing;

use self::stop::{Act, Event, Stop};
use crate::cli::{Forwarding, Rewrite};
use crate::error::reason;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::process::children;
use crate::process::children::Children;
use crate::sync::Engine;
use crate::sync::dedup_log::{DedupLog, Subject};
use crate::sys::poll::Interest;
use crate::sys::process::{Pid, Target};
use crate::sys::signal::{Signal, Signals};
use crate::sys::{errno, poll, process};
use crate::terminal::console::Console;
use crate::terminal::relay;

/// So many signals are handled before the login's files and deadlines have their turn; the descriptor stays readable.
const SIGNALS: usize = 256;

/// What the loop works with.
pub struct Supervisor {
    /// The one owner of signal delivery.
    pub signals: Signals,
    /// The one owner of waitpid.
    pub children: Children,
    /// The policy of the end.
    pub stop: Stop,
    /// The agent's terminal.
    pub console: Console,
    /// Signals that are forwarded as others.
    pub rewrites: Vec<Rewrite>,
    /// Who gets them.
    pub forward_to: Forwarding,
    /// Carries logins.
    pub engine: Engine,
    /// Says what happens.
    pub reporter: Reporter,
    /// What was said of the loop itself.
    pub log: DedupLog,
    /// The agent's process group.
    pub group: Pid,
    /// Reaping others than the agent is worth a warning.
    pub says_reaped: bool,
    /// Children that have ended wait for the next round.
    pub is_reaping: bool,
}

/// How it ended.
pub struct Ended {
    /// Our exit status: the agent's.
    pub status: u8,
    /// What carried logins, after its last exchange.
    pub engine: Engine,
    /// What looked at the agent's screen.
    pub found_on_screen: Option<Zeroizing<Vec<u8>>>,
}

impl Supervisor {
    /// Runs until the agent has ended and nothing is left of it, and publishes what is to be published.
    pub fn run(mut self) -> Ended {
        // What happened before the first sleep made no descriptor readable.
        self.reap();
        while !self.stop.is_over() {
            self.sleep();
            self.read_signals();
            if self.console.relay().is_some_and(relay::Relay::step) {
                self.hung_up();
            }
            let busy_before = self.engine.is_refreshing();
            self.engine.step(Instant::now(), &mut self.children);
            if busy_before && !self.engine.is_refreshing() {
                self.happened(Event::RefreshDone);
            }
            if self.stop.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
                self.happened(Event::Deadline);
            }
        }
        let found_on_screen = self.console.end();
        self.publish_last();
        self.reporter.say_all(&self.log.take_last(Instant::now()));
        self.reporter.finish(self.stop.ends_at());
        // KILL was sent and the kernel is slow: that is how it will have ended.
        let status = self.children.end().map_or(128 + 9, children::End::exit_status);
        Ended { status, engine: self.engine, found_on_screen }
    }

    /// The last exchange; a helper of a store may take a while.
    fn publish_last(&mut self) {
        let limit = self.engine.begin_final_sync(Instant::now(), self.stop.ends_at(), &mut self.children);
        while let Some(next) = self.engine.final_sync_step(Instant::now(), &mut self.children) {
            // A stop may come meanwhile.
            let limit = self.stop.ends_at().map_or(limit, |ends_at| ends_at.min(limit));
            if Instant::now() >= limit {
                break;
            }
            self.sleep_until(Some(next.min(limit)));
            self.read_signals();
        }
        self.engine.finish(&mut self.children);
    }

    fn sleep(&mut self) {
        let deadlines = [self.stop.deadline(), self.engine.deadline(), self.log.deadline()];
        self.sleep_until(deadlines.into_iter().flatten().min());
        self.reporter.say_all(&self.log.take(Instant::now()));
    }

    fn sleep_until(&mut self, deadline: Option<Instant>) {
        let deadline = if self.is_reaping { Some(Instant::now()) } else { deadline };
        let deadline = deadline.into_iter().chain(self.reporter.deadline()).min();
        let fds = std::iter::once(self.signals.as_fd()).chain(self.engine.fds());
        let interests = fds.map(Interest::to_read).chain(self.console.interests()).chain(self.reporter.interest());
        if let Err(error) = poll::wait(interests.collect(), deadline) {
            self.complain("poll", &error);
        }
        self.reporter.flush(Instant::now());
    }

    fn read_signals(&mut self) {
        if self.is_reaping {
            self.reap();
        }
        for _ in 0..SIGNALS {
            match self.signals.next() {
                Ok(None) => return,
                Ok(Some(Signal::CHLD)) => self.reap(),
                Ok(Some(signal)) => self.signalled(signal),
                Err(error) => return self.complain("signalfd", &error),
            }
        }
        // What comes without end hides signals of higher numbers: these two are what ends us.
        self.reap();
        if let Some(stop) = self.stop.signal().filter(|stop| self.signals.take(*stop)) {
            self.signalled(stop);
        }
    }

    fn signalled(&mut self, signal: Signal) {
        if signal == Signal::CONT {
            // The id of a group whose leader is reaped may be another group's.
            self.console.continued(self.children.agent().map(|_| self.group));
        }
        if let Some(relay) = self.console.relay() {
            // These are about our terminal, and the agent has another.
            match signal {
                Signal::WINCH => return relay.resized(),
                Signal::HUP if relay.hang_up() => return self.hung_up(),
                Signal::HUP | Signal::CONT => return,
                _ => {}
            }
        }
        let dropped = self.rewrites.iter().any(|rewrite| rewrite.from == signal && rewrite.to.is_none());
        if !dropped {
            self.happened(Event::Signal(signal));
        }
    }

    /// Nobody sees the agent any more: a stop, unless one has begun.
    fn hung_up(&mut self) {
        if let Some(signal) = self.stop.signal().filter(|_| !self.stop.has_begun()) {
            self.happened(Event::Signal(signal));
        }
    }

    fn reap(&mut self) {
        match self.children.reap() {
            Ok(reaped) => {
                self.is_reaping = reaped.is_more;
                if self.says_reaped && reaped.others > 0 {
                    let text = format!("reaped {} orphaned processes", reaped.others);
                    self.reporter.say(&Message::warning(text).event(EventKey::Reaped));
                }
                if reaped.agent_stopped {
                    self.agent_stopped();
                }
                if reaped.agent_ended {
                    self.happened(Event::AgentEnded { any_left: self.children.any_left() });
                } else if self.children.end().is_some() && !self.children.any_left() {
                    self.happened(Event::NobodyLeft);
                }
            }
            Err(error) => self.complain("waitpid", &error),
        }
    }

    /// Ctrl-Z. The shell that started us waits for us to stop, so we do; what continues us is a SIGCONT, which is
    /// forwarded as every signal is. As PID 1, or on a terminal of its own, nobody could ever continue the agent: it goes
    /// on at once.
    fn agent_stopped(&mut self) {
        match &mut self.console {
            Console::Lent(foreground) if process::id() != 1 => {
                foreground.agent_stopped();
                self.send(Target::Process(process::id()), Signal::STOP);
            }
            _ => self.send(Target::Group(self.group), Signal::CONT),
        }
    }

    fn happened(&mut self, event: Event) {
        let act = self.stop.step(Instant::now(), event, self.engine.is_refreshing());
        if self.stop.has_begun() {
            self.engine.stop_begun();
        }
        match act {
            None => {}
            Some(Act::Forward(signal)) => self.forward(signal),
            Some(Act::TermRest) => self.signal_rest(Signal::TERM),
            Some(Act::KillAll) => self.signal_rest(Signal::KILL),
        }
    }

    fn forward(&mut self, signal: Signal) {
        let rewrite = self.rewrites.iter().find(|rewrite| rewrite.from == signal);
        let Some(signal) = rewrite.map_or(Some(signal), |rewrite| rewrite.to) else { return };
        let Some(agent) = self.children.agent() else { return };
        if let Console::Relayed(_) = self.console {
            return self.forward_to_session(signal);
        }
        match self.forward_to {
            Forwarding::Group => self.send(Target::Group(self.group), signal),
            Forwarding::Process => self.send(Target::Process(agent), signal),
        }
    }

    /// To an agent that leads a session of its own: its group, and the group in the foreground of its terminal. The stop
    /// of one whose person has gone is what they would have got from their own terminal, a hang-up. A shell ignores TERM,
    /// and not HUP (as systemd's `SendSIGHUP=` has it).
    fn forward_to_session(&mut self, signal: Signal) {
        let is_stop = self.stop.signal() == Some(signal);
        let Some(relay) = self.console.relay() else { return };
        if is_stop && relay.has_hung_up() {
            return relay.close();
        }
        let (foreground, is_shell) = (relay.foreground(), relay.is_shell());
        self.send(Target::Group(self.group), signal);
        if let Some(foreground) = foreground.filter(|foreground| *foreground != self.group) {
            self.send(Target::Group(foreground), signal);
        }
        if is_stop && is_shell {
            self.send(Target::Group(self.group), Signal::HUP);
        }
    }

    /// Everyone but us: the whole namespace as PID 1, else our descendants, those that left session and group included.
    /// Helpers carry a login: they get no TERM, and with KILL what they did is done again.
    fn signal_rest(&mut self, signal: Signal) {
        let helpers: Vec<Pid> = self.children.helpers().collect();
        if process::id() == 1 && (helpers.is_empty() || signal == Signal::KILL) {
            self.send(Target::Everyone, signal);
        } else {
            let spared: Vec<Pid> =
                helpers.iter().copied().chain(helpers.iter().copied().flat_map(process::descendants_of)).collect();
            let is_spared = |pid: &Pid| signal != Signal::KILL && spared.contains(pid);
            for pid in process::descendants().into_iter().filter(|pid| !is_spared(pid)) {
                self.send(Target::Process(pid), signal);
            }
        }
        // A stopped process acts on a TERM only once it is continued.
        if signal == Signal::TERM {
            self.signal_rest(Signal::CONT);
        }
        self.reap();
    }

    fn send(&mut self, target: Target, signal: Signal) {
        match process::kill(target, signal) {
            Ok(()) => {}
            // It ended in this moment.
            Err(error) if errno::is_no_such_process(&error) => {}
            Err(error) => {
                let text = format!("cannot send {signal}: {}", reason(&error));
                let hint = "signalling another user's process takes the capability KILL";
                self.once_about(
                    Subject::Signal(signal),
                    Message::warning(text).event(EventKey::SignalNotSent).hint(hint),
                );
            }
        }
    }

    /// A call that fails once may fail in each round.
    fn complain(&mut self, what: &'static str, error: &io::Error) {
        let text = format!("{what}: {}", reason(error));
        self.once_about(Subject::Call(what), Message::warning(text).event(EventKey::SystemCallFailed));
    }

    fn once_about(&mut self, subject: Subject, message: Message) {
        self.log.once_about(subject, message);
        self.reporter.say_all(&self.log.take(Instant::now()));
    }
}
