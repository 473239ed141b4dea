//! The one caller of waitpid(2).

use std::io;

use crate::sys::process::{self, Change, Pid, Waited};

/// So many are reaped in one round at the most. With many processors a fork bomb makes orphans faster than one reaps them,
/// and what ends it (a stop, a deadline) shall have its turn.
const MANY: usize = 1024;

/// Our children: helpers whose end somebody waits for, the agent once it runs, and others.
#[derive(Debug, Default)]
pub struct Children {
    agent: Option<Pid>,
    end: Option<End>,
    any_left: bool,
    helpers: Vec<(Pid, Option<End>)>,
}

/// How the agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Exited(u8),
    /// By this signal number.
    Signaled(i32),
}

impl End {
    /// Our exit status for it: its own, or 128 and the signal, as shells have it.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            End::Exited(code) => code,
            End::Signaled(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// What a round of reaping saw.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// The agent ended.
    pub agent_ended: bool,
    /// The agent was stopped by job control.
    pub agent_stopped: bool,
    /// Others that ended, but for helpers.
    pub others: usize,
    /// More may have ended: no other SIGCHLD tells of them.
    pub is_more: bool,
}

impl Children {
    /// This child is the agent.
    pub fn adopt(&mut self, agent: Pid) {
        self.agent = Some(agent);
        self.any_left = true;
    }

    /// The end of this child will be asked for.
    pub fn expect_helper(&mut self, helper: Pid) {
        self.helpers.push((helper, None));
    }

    /// The helpers that run.
    pub fn helpers(&self) -> impl Iterator<Item = Pid> {
        self.helpers.iter().filter(|(_, end)| end.is_none()).map(|(pid, _)| *pid)
    }

    /// How a helper ended, once it has: it is told once.
    pub fn take_helper(&mut self, helper: Pid) -> Option<End> {
        let index = self.helpers.iter().position(|(pid, end)| *pid == helper && end.is_some())?;
        self.helpers.swap_remove(index).1
    }

    /// Reaps whoever has ended, up to a bound: one SIGCHLD may stand for any number of them.
    ///
    /// # Errors
    /// As waitpid(2); nothing that is known to happen.
    pub fn reap(&mut self) -> io::Result<Reaped> {
        let mut reaped = Reaped::default();
        for _ in 0..MANY {
            match process::wait_any()? {
                Waited::Unchanged => {
                    self.any_left = true;
                    return Ok(reaped);
                }
                Waited::None => {
                    self.any_left = false;
                    return Ok(reaped);
                }
                Waited::Child(pid, Change::Stopped(_)) => {
                    reaped.agent_stopped |= self.agent() == Some(pid);
                }
                Waited::Child(pid, Change::Exited(code)) => self.ended(pid, End::Exited(code), &mut reaped),
                Waited::Child(pid, Change::Signaled(signal)) => self.ended(pid, End::Signaled(signal), &mut reaped),
            }
        }
        self.any_left = true;
        reaped.is_more = true;
        Ok(reaped)
    }

    /// Reaps until nobody is left who has ended: for the time before the agent, when nobody makes more for ever.
    ///
    /// # Errors
    /// As [`Children::reap`].
    pub fn reap_all(&mut self) -> io::Result<()> {
        while self.reap()?.is_more {}
        Ok(())
    }

    /// A process id is free for another process once it is reaped: the agent's is not looked at twice.
    fn ended(&mut self, pid: Pid, end: End, reaped: &mut Reaped) {
        if self.agent() == Some(pid) {
            self.end = Some(end);
            reaped.agent_ended = true;
        } else if let Some(helper) = self.helpers.iter_mut().find(|helper| **helper == (pid, None)) {
            helper.1 = Some(end);
        } else {
            reaped.others += 1;
        }
    }

    /// The agent, as long as it lives.
    #[must_use]
    pub fn agent(&self) -> Option<Pid> {
        self.agent.filter(|_| self.end.is_none())
    }

    /// How the agent ended.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether any child was left at the last look, but for helpers: those end by themselves, within their time.
    #[must_use]
    pub fn any_left(&self) -> bool {
        let is_helper = |pid: &Pid| self.helpers().any(|helper| helper == *pid);
        self.any_left
            && (self.helpers().next().is_none()
                || process::children_of(process::id()).iter().any(|pid| !is_helper(pid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses() {
        let rows = [
            (End::Exited(0), 0),
            (End::Exited(255), 255),
            (End::Signaled(9), 137),
            (End::Signaled(15), 143),
            (End::Signaled(64), 192),
        ];
        for (end, status) in rows {
            assert_eq!(end.exit_status(), status, "{end:?}");
        }
    }
}
