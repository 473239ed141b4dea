//! PID 1: one loop over signals, children and login files. While nothing happens it sleeps without a timer.
//!
//! It ends only when the agent has ended. Errors are logged and never end it.

pub mod stop;

use crate::plan::SignalPolicy;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use zeroize::Zeroizing;

use self::stop::{Act, Event, Stop};
use crate::config::Forwarding;
use crate::error::reason;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::process::children;
use crate::process::children::Children;
use crate::process::hook;
use crate::sync::Engine;
use crate::sync::dedup_log::{DedupLog, Subject};
use crate::sys::poll::Interest;
use crate::sys::process::{Pid, Target};
use crate::sys::signal::{Signal, Signals};
use crate::sys::{errno, poll, process};
use crate::terminal::console::Console;
use crate::terminal::relay;

/// How many signals are handled in one round, before files and deadlines get their turn. The descriptor stays readable.
const MAX_SIGNALS: usize = 256;

pub struct Supervisor {
    /// The only receiver of signals.
    signals: Signals,
    /// The only caller of waitpid(2).
    children: Children,
    /// The policy of a stop.
    stop: Stop,
    /// The agent's terminal.
    console: Console,
    policy: SignalPolicy,
    /// Syncs logins.
    engine: Engine,
    reporter: Reporter,
    /// Messages about the loop itself.
    log: DedupLog,
    /// The agent's process group.
    agent_group: Pid,
    /// The last round of reaping reached its limit, so more children may have ended.
    may_have_unreaped: bool,
}

/// A running agent, and what PID 1 needs for it.
pub struct Running {
    /// The agent's process, and its process group.
    pub agent: Pid,
    pub signals: Signals,
    pub children: Children,
    pub console: Console,
    pub policy: SignalPolicy,
    pub engine: Engine,
    pub reporter: Reporter,
}

/// The result of a run.
pub struct Ended {
    /// Our exit status, which is the agent's.
    pub status: u8,
    /// The engine after its final sync.
    pub engine: Engine,
    /// What the scanner of the agent's terminal found.
    pub found_on_screen: Option<Zeroizing<Vec<u8>>>,
}

impl Supervisor {
    pub fn new(running: Running) -> Supervisor {
        let Running { agent, signals, children, console, policy, engine, reporter } = running;
        Supervisor {
            stop: Stop::new(policy.escalates.then_some(policy.stop), policy.grace),
            signals,
            children,
            console,
            policy,
            engine,
            reporter,
            log: DedupLog::default(),
            agent_group: agent,
            may_have_unreaped: false,
        }
    }

    /// Runs until the agent and all processes that it left have ended, and then does the final sync.
    pub fn run(mut self) -> Ended {
        // Events from before the first sleep may not wake it.
        self.reap();
        while !self.stop.is_over() {
            self.sleep();
            self.read_signals();
            if self.console.relay().is_some_and(relay::Relay::step) {
                self.terminal_hung_up();
            }
            let was_refreshing = self.engine.is_refreshing();
            self.engine.step(Instant::now(), &mut self.children);
            if was_refreshing && !self.engine.is_refreshing() {
                self.handle_event(Event::RefreshDone);
            }
            if self.stop.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
                self.handle_event(Event::Deadline);
            }
        }
        let found_on_screen = self.console.end();
        self.run_final_sync();
        self.reporter.say_all(&self.log.take_last(Instant::now()));
        self.reporter.finish(self.stop.ends_at());
        // KILL was sent, and the kernel has not ended the agent yet. Report the status that it will have.
        let status = self.children.end().map_or(128 + 9, children::End::exit_status);
        Ended { status, engine: self.engine, found_on_screen }
    }

    /// Runs the final sync. A store's helper may take a while.
    fn run_final_sync(&mut self) {
        let limit = self.engine.begin_final_sync(Instant::now(), self.stop.ends_at(), &mut self.children);
        while let Some(next) = self.engine.final_sync_step(Instant::now(), &mut self.children) {
            // A stop signal may come during the final sync.
            let limit = self.stop.ends_at().map_or(limit, |ends_at| ends_at.min(limit));
            if Instant::now() >= limit {
                break;
            }
            self.sleep_until(Some(next.min(limit)));
            self.read_signals();
        }
        self.engine.finish(&mut self.children);
        self.run_last_hooks();
    }

    /// Gives the command of `--on-event` a moment for what happened at the end.
    fn run_last_hooks(&mut self) {
        let until = hook::last_wait(self.stop.ends_at());
        while self.engine.last_hook_step(Instant::now(), &mut self.children) && Instant::now() < until {
            self.sleep_until(Some(until));
            self.read_signals();
        }
        self.engine.abandon_hook(&mut self.children);
    }

    fn sleep(&mut self) {
        let deadlines = [self.stop.deadline(), self.engine.deadline(), self.log.deadline()];
        self.sleep_until(deadlines.into_iter().flatten().min());
        self.reporter.say_all(&self.log.take(Instant::now()));
    }

    fn sleep_until(&mut self, deadline: Option<Instant>) {
        let deadline = if self.may_have_unreaped { Some(Instant::now()) } else { deadline };
        let deadline = deadline.into_iter().chain(self.reporter.deadline()).min();
        let fds = std::iter::once(self.signals.as_fd()).chain(self.engine.fds());
        let interests = fds.map(Interest::to_read).chain(self.console.interests()).chain(self.reporter.interest());
        if let Err(error) = poll::wait(interests.collect(), deadline) {
            self.log_failure("poll", &error);
        }
        self.reporter.flush(Instant::now());
    }

    fn read_signals(&mut self) {
        if self.may_have_unreaped {
            self.reap();
        }
        for _ in 0..MAX_SIGNALS {
            match self.signals.next() {
                Ok(None) => return,
                Ok(Some(Signal::CHLD)) => self.reap(),
                Ok(Some(signal)) => self.handle_signal(signal),
                Err(error) => return self.log_failure("signalfd", &error),
            }
        }
        // An endless stream of one signal hides signals of higher numbers from signalfd(2). SIGCHLD and the stop signal
        // are the ones that end the run, so they are taken separately.
        self.reap();
        if let Some(stop) = self.stop.signal().filter(|stop| self.signals.take(*stop)) {
            self.handle_signal(stop);
        }
    }

    fn handle_signal(&mut self, signal: Signal) {
        if signal == Signal::CONT {
            // Once its leader is reaped, the group's id may be another group's.
            self.console.continued(self.children.agent().map(|_| self.agent_group));
        }
        if let Some(relay) = self.console.relay() {
            // These signals are about our own terminal, and the agent has another one.
            match signal {
                Signal::WINCH => return relay.resized(),
                Signal::HUP if relay.hang_up() => return self.terminal_hung_up(),
                Signal::HUP | Signal::CONT => return,
                _ => {}
            }
        }
        let dropped = self.policy.rewrites.iter().any(|rewrite| rewrite.from == signal && rewrite.to.is_none());
        if !dropped {
            self.handle_event(Event::Signal(signal));
        }
    }

    /// The terminal's user has gone. Begins a stop, unless one has begun.
    fn terminal_hung_up(&mut self) {
        if let Some(signal) = self.stop.signal()
            && !self.stop.has_begun()
        {
            self.handle_event(Event::Signal(signal));
        }
    }

    fn reap(&mut self) {
        match self.children.reap() {
            Ok(reaped) => {
                self.may_have_unreaped = reaped.limit_reached;
                if self.policy.says_reaped && reaped.others > 0 {
                    let text = format!("reaped {} orphaned processes", reaped.others);
                    self.reporter.say(&Message::warning(text).event(EventKey::Reaped));
                }
                if reaped.agent_stopped {
                    self.handle_agent_stopped();
                }
                if reaped.agent_ended {
                    self.handle_event(Event::AgentEnded { any_left: self.children.any_left() });
                } else if self.children.end().is_some() && !self.children.any_left() {
                    self.handle_event(Event::NobodyLeft);
                }
            }
            Err(error) => self.log_failure("waitpid", &error),
        }
    }

    /// The agent was stopped with Ctrl-Z. The shell that started agent-init waits for agent-init to stop, so it stops
    /// itself. A SIGCONT will continue it, and is forwarded like every signal. As PID 1, or with a terminal of the
    /// agent's own, nobody could ever continue the agent, so it is continued at once.
    fn handle_agent_stopped(&mut self) {
        match &mut self.console {
            Console::Lent(foreground) if process::id() != 1 => {
                foreground.agent_stopped();
                self.send(Target::Process(process::id()), Signal::STOP);
            }
            _ => self.send(Target::Group(self.agent_group), Signal::CONT),
        }
    }

    fn handle_event(&mut self, event: Event) {
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
        let rewrite = self.policy.rewrites.iter().find(|rewrite| rewrite.from == signal);
        let Some(signal) = rewrite.map_or(Some(signal), |rewrite| rewrite.to) else { return };
        let Some(agent) = self.children.agent() else { return };
        if let Console::Relayed(_) = self.console {
            return self.forward_to_session(signal);
        }
        match self.policy.forward_to {
            Forwarding::Group => self.send(Target::Group(self.agent_group), signal),
            Forwarding::Process => self.send(Target::Process(agent), signal),
        }
    }

    /// Forwards a signal to an agent with a session of its own: to its group, and to the foreground group of its
    /// terminal. If the terminal's user has gone, a stop becomes what the user's own terminal would have sent: a
    /// hang-up. A shell ignores TERM but not HUP, so it gets both (as with systemd's `SendSIGHUP=`).
    fn forward_to_session(&mut self, signal: Signal) {
        let is_stop = self.stop.signal() == Some(signal);
        let Some(relay) = self.console.relay() else { return };
        if is_stop && relay.has_hung_up() {
            return relay.close();
        }
        let (foreground, is_shell) = (relay.foreground(), relay.is_shell());
        self.send(Target::Group(self.agent_group), signal);
        if let Some(foreground) = foreground.filter(|foreground| *foreground != self.agent_group) {
            self.send(Target::Group(foreground), signal);
        }
        if is_stop && is_shell {
            self.send(Target::Group(self.agent_group), Signal::HUP);
        }
    }

    /// Signals all other processes: as PID 1 the whole namespace, otherwise our descendants, including those that left
    /// session and group. Helpers transfer a login, so they get no TERM. A helper that was killed is run again.
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
        // A stopped process acts on TERM only once it is continued.
        if signal == Signal::TERM {
            self.signal_rest(Signal::CONT);
        }
        self.reap();
    }

    fn send(&mut self, target: Target, signal: Signal) {
        match process::kill(target, signal) {
            Ok(()) => {}
            // The process has just ended.
            Err(error) if errno::is_no_such_process(&error) => {}
            Err(error) => {
                let text = format!("cannot send {signal}: {}", reason(&error));
                let hint = "signalling another user's process requires the capability KILL";
                self.once_about(
                    Subject::Signal(signal),
                    Message::warning(text).event(EventKey::SignalNotSent).hint(hint),
                );
            }
        }
    }

    /// Logs a failed system call, once: it may fail in each round.
    fn log_failure(&mut self, what: &'static str, error: &io::Error) {
        let text = format!("{what}: {}", reason(error));
        self.once_about(Subject::Call(what), Message::warning(text).event(EventKey::SystemCallFailed));
    }

    fn once_about(&mut self, subject: Subject, message: Message) {
        self.log.once_about(subject, message);
        self.reporter.say_all(&self.log.take(Instant::now()));
    }
}
