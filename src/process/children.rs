//! Our children. This file is the only caller of waitpid(2).

use std::io;

use crate::sys::process;
use crate::sys::process::{Change, Pid, Waited};

/// The maximum number of children to reap in one round. With many processors a fork bomb makes orphans faster than one
/// process reaps them, and what ends it (a stop, a deadline) must get its turn.
const MAX_REAPED: usize = 1024;

/// The agent, helpers that somebody waits for, and orphans.
#[derive(Debug, Default)]
pub struct Children {
    agent: Option<Pid>,
    end: Option<End>,
    any_left: bool,
    helpers: Vec<Helper>,
    next_id: u64,
}

/// Identifies a helper until its end was read. A process id cannot: the kernel may reuse it once the helper is reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelperId(u64);

#[derive(Debug)]
struct Helper {
    id: HelperId,
    pid: Pid,
    state: HelperState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HelperState {
    /// Not reaped. Its end will be read.
    Awaited,
    /// Not reaped. Nobody will read its end.
    Abandoned,
    /// Reaped. Its process id may be another process's by now.
    Ended(End),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Exited(u8),
    /// By this signal number.
    Signaled(i32),
}

impl End {
    /// The exit status for it: the agent's own, or 128 + signal, as in shells.
    pub fn exit_status(self) -> u8 {
        match self {
            End::Exited(code) => code,
            End::Signaled(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// The result of a round of reaping.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    pub agent_ended: bool,
    /// Job control stopped the agent.
    pub agent_stopped: bool,
    /// How many processes were reaped other than the agent and helpers.
    pub others: usize,
    /// The limit was reached. More children may have ended, and no further SIGCHLD will tell.
    pub limit_reached: bool,
}

impl Children {
    /// Sets which child is the agent.
    pub fn adopt(&mut self, agent: Pid) {
        self.agent = Some(agent);
        self.any_left = true;
    }

    /// Registers a helper. Its end is kept for [`Children::take_end`] until it is abandoned.
    pub fn expect_helper(&mut self, pid: Pid) -> HelperId {
        let id = HelperId(self.next_id);
        self.next_id += 1;
        self.helpers.push(Helper { id, pid, state: HelperState::Awaited });
        id
    }

    /// The helpers that are not reaped.
    pub fn helpers(&self) -> impl Iterator<Item = Pid> {
        self.helpers.iter().filter(|helper| helper.is_unreaped()).map(|helper| helper.pid)
    }

    /// A helper's process, unless it is reaped. Until then no other process has its id.
    pub fn unreaped(&self, id: HelperId) -> Option<Pid> {
        self.helpers.iter().find(|helper| helper.id == id && helper.is_unreaped()).map(|helper| helper.pid)
    }

    /// How a helper ended, once it has. Returned only once.
    pub fn take_end(&mut self, id: HelperId) -> Option<End> {
        let index = self.helpers.iter().position(|helper| helper.id == id)?;
        let HelperState::Ended(end) = self.helpers.get(index)?.state else { return None };
        self.helpers.swap_remove(index);
        Some(end)
    }

    /// Forgets a helper whose end nobody will read. It is reaped like any child, and not counted as an orphan.
    pub fn abandon(&mut self, id: HelperId) {
        self.helpers.retain(|helper| helper.id != id || helper.is_unreaped());
        if let Some(helper) = self.helpers.iter_mut().find(|helper| helper.id == id) {
            helper.state = HelperState::Abandoned;
        }
    }

    /// Reaps children that have ended, up to a limit: one SIGCHLD may stand for any number of them.
    pub fn reap(&mut self) -> io::Result<Reaped> {
        let mut reaped = Reaped::default();
        for _ in 0..MAX_REAPED {
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
                Waited::Child(pid, Change::Exited(code)) => self.child_ended(pid, End::Exited(code), &mut reaped),
                Waited::Child(pid, Change::Signaled(signal)) => {
                    self.child_ended(pid, End::Signaled(signal), &mut reaped);
                }
            }
        }
        self.any_left = true;
        reaped.limit_reached = true;
        Ok(reaped)
    }

    /// Reaps all children that have ended. For the time before the agent runs, when nobody makes children without end.
    pub fn reap_all(&mut self) -> io::Result<()> {
        while self.reap()?.limit_reached {}
        Ok(())
    }

    /// Once reaped, a process id may be another process's, so the agent's id is matched only once.
    fn child_ended(&mut self, pid: Pid, end: End, reaped: &mut Reaped) {
        if self.agent() == Some(pid) {
            self.end = Some(end);
            reaped.agent_ended = true;
        } else if let Some(index) = self.helpers.iter().position(|helper| helper.pid == pid && helper.is_unreaped()) {
            self.helper_ended(index, end);
        } else {
            reaped.others += 1;
        }
    }

    fn helper_ended(&mut self, index: usize, end: End) {
        match self.helpers.get_mut(index) {
            Some(helper) if helper.state == HelperState::Awaited => helper.state = HelperState::Ended(end),
            _ => drop(self.helpers.swap_remove(index)),
        }
    }

    /// The agent, while it lives.
    pub fn agent(&self) -> Option<Pid> {
        if self.end.is_none() { self.agent } else { None }
    }

    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether any children but helpers were left at the last reaping. Helpers end by themselves, within their time
    /// limit.
    pub fn any_left(&self) -> bool {
        let is_helper = |pid: &Pid| self.helpers().any(|helper| helper == *pid);
        self.any_left
            && (self.helpers().next().is_none()
                || process::children_of(process::id()).iter().any(|pid| !is_helper(pid)))
    }
}

impl Helper {
    fn is_unreaped(&self) -> bool {
        !matches!(self.state, HelperState::Ended(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends a process, as if waitpid(2) had returned it.
    fn end(children: &mut Children, pid: Pid, code: u8) -> Reaped {
        let mut reaped = Reaped::default();
        children.child_ended(pid, End::Exited(code), &mut reaped);
        reaped
    }

    #[test]
    fn a_helper_does_not_get_the_end_of_another_with_its_process_id() {
        let mut children = Children::default();
        let first = children.expect_helper(70);
        assert_eq!(end(&mut children, 70, 1), Reaped::default());
        // The first helper's end is not read yet, and the second helper has its process id.
        let second = children.expect_helper(70);
        assert_eq!((children.unreaped(first), children.unreaped(second)), (None, Some(70)));
        assert_eq!(children.take_end(second), None);
        end(&mut children, 70, 2);
        assert_eq!(children.take_end(second), Some(End::Exited(2)));
        assert_eq!(children.take_end(first), Some(End::Exited(1)));
        assert_eq!((children.take_end(first), children.take_end(second)), (None, None));
        assert!(children.helpers.is_empty());
    }

    #[test]
    fn the_entry_of_an_abandoned_helper_ends_with_its_process() {
        for ends_first in [false, true] {
            let mut children = Children::default();
            let helper = children.expect_helper(70);
            if ends_first {
                end(&mut children, 70, 0);
            }
            children.abandon(helper);
            // Until it is reaped it is spared and counted as a helper.
            assert_eq!(children.helpers().count(), usize::from(!ends_first));
            if !ends_first {
                assert_eq!(children.unreaped(helper), Some(70));
                assert_eq!(end(&mut children, 70, 9).others, 0, "an orphan");
            }
            assert!(children.helpers.is_empty());
            assert_eq!((children.take_end(helper), children.unreaped(helper)), (None, None));
            // The next process with that id is not a helper.
            assert_eq!(end(&mut children, 70, 3).others, 1);
            let next = children.expect_helper(70);
            assert_eq!(children.take_end(next), None);
        }
    }

    #[test]
    fn a_reused_process_id_is_not_the_agent_again() {
        let mut children = Children::default();
        children.adopt(70);
        assert!(end(&mut children, 70, 4).agent_ended);
        assert_eq!((children.agent(), children.end()), (None, Some(End::Exited(4))));
        let helper = children.expect_helper(70);
        assert_eq!(end(&mut children, 70, 5), Reaped::default());
        assert_eq!((children.take_end(helper), children.end()), (Some(End::Exited(5)), Some(End::Exited(4))));
    }

    #[test]
    fn ten_thousand_helpers_leave_no_entry() {
        let mut children = Children::default();
        for number in 0..10_000u32 {
            let pid = i32::try_from(number % 7 + 100).unwrap();
            let helper = children.expect_helper(pid);
            match number % 3 {
                0 => {
                    end(&mut children, pid, 0);
                    assert!(children.take_end(helper).is_some());
                }
                1 => {
                    children.abandon(helper);
                    end(&mut children, pid, 0);
                }
                _ => {
                    end(&mut children, pid, 0);
                    children.abandon(helper);
                }
            }
            assert!(children.helpers.is_empty(), "{number}");
        }
    }

    #[test]
    fn exit_statuses_are_those_of_shells() {
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
