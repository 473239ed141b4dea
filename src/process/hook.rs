//! `--on-event`: runs the operator's command when something happens to a login, with the event on its standard input.
//!
//! Nothing waits for it, and nothing depends on it. It is run for one event after another. While it runs, only the
//! newest event of each kind and agent is kept, so that neither an agent nor a store can fill the queue.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime};

use crate::error::Failure;
use crate::log::event::EventKey;
use crate::log::{Message, safe};
use crate::looks::quoted;
use crate::process::children::Children;
use crate::process::programs;
use crate::process::task::{Bounds, Job, Task};
use crate::sys::process::Program;
use crate::sys::signal::Inherited;

/// What the command is run for.
pub const EVENTS: &[EventKey] = &[
    EventKey::Expiring,
    EventKey::Expired,
    EventKey::LoggedOut,
    EventKey::PublishFailed,
    EventKey::NotPublished,
    EventKey::Recovered,
    EventKey::Conflict,
    EventKey::Published,
    EventKey::Adopted,
    EventKey::Refreshed,
    EventKey::RefreshFailed,
    EventKey::NotKept,
];

const BOUNDS: Bounds = Bounds { time: Duration::from_secs(10), output: 1 << 20 };

const NAME: &str = "--on-event";

/// How long the end of a run waits for the command.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Until when the end of a run waits for the command. `ends_at`: when a stop must be over.
pub fn last_wait(ends_at: Option<Instant>) -> Instant {
    let until = Instant::now() + LAST_WAIT;
    ends_at.map_or(until, |ends_at| ends_at.min(until))
}

pub struct Hook {
    program: Program,
    inherited: Inherited,
    queue: VecDeque<QueuedEvent>,
    running: Option<Task>,
    /// The last run failed, and a message said so.
    has_failed: bool,
}

struct QueuedEvent {
    event: EventKey,
    agent: Option<String>,
    text: Vec<u8>,
}

impl Hook {
    /// The command `argv`, with this environment (`NAME=value`). Fails if a word contains a NUL byte.
    pub fn new(argv: &[OsString], environment: Vec<OsString>, inherited: Inherited) -> io::Result<Hook> {
        let program = Program::new(argv, environment)?;
        Ok(Hook { program, inherited, queue: VecDeque::new(), running: None, has_failed: false })
    }

    /// Returns a warning if the program does not exist: better at a start than when something has happened.
    pub fn check(&mut self, path: Option<&OsStr>, program: &OsStr) -> Option<Message> {
        if programs::exists(path, program) {
            return None;
        }
        let text = format!("{NAME}: cannot find the program {}", quoted(program));
        self.judge(Err(Failure::new(text).hint("is it installed in this image, and on PATH? no event is told")))
    }

    /// Queues the message, if it is an event that the command is run for.
    pub fn observe(&mut self, message: &Message) {
        if !EVENTS.contains(&message.event) {
            return;
        }
        self.queue.retain(|queued| queued.event != message.event || queued.agent != message.agent);
        let text = text(message, SystemTime::now()).into_bytes();
        self.queue.push_back(QueuedEvent { event: message.event, agent: message.agent.clone(), text });
    }

    /// Whether an event is queued or the command runs.
    pub fn is_busy(&self) -> bool {
        self.running.is_some() || !self.queue.is_empty()
    }

    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.running.iter().flat_map(Task::fds)
    }

    /// When the next step is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.running {
            Some(task) => Some(task.deadline()),
            None => (!self.queue.is_empty()).then(Instant::now),
        }
    }

    /// Looks at the command that runs, and runs it for the next event. Returns a warning about the first run that fails
    /// after one that did not.
    pub fn step(&mut self, now: Instant, children: &mut Children) -> Option<Message> {
        let mut warning = match self.running.as_mut().map(|task| task.step(now, children)) {
            None => None,
            Some(Ok(None)) => return None,
            Some(ended) => {
                self.running = None;
                self.judge(ended.map(drop))
            }
        };
        while self.running.is_none()
            && let Some(next) = self.queue.pop_front()
        {
            match self.start(&next, children) {
                Ok(task) => self.running = Some(task),
                Err(failure) => warning = warning.or(self.judge(Err(failure))),
            }
        }
        warning
    }

    fn start(&self, event: &QueuedEvent, children: &mut Children) -> Result<Task, Failure> {
        let Hook { program, inherited, .. } = self;
        let (input, prepare, ends_with_us) = (event.text.as_slice(), None, true);
        Task::start(&Job { name: NAME, program, input, bounds: BOUNDS, inherited, prepare, ends_with_us }, children)
    }

    /// Ends the command.
    pub fn abandon(&mut self, children: &mut Children) {
        if let Some(task) = self.running.take() {
            task.kill(children);
        }
        self.queue.clear();
    }

    fn judge(&mut self, ended: Result<(), Failure>) -> Option<Message> {
        let had_failed = std::mem::replace(&mut self.has_failed, ended.is_err());
        let failure = ended.err().filter(|_| !had_failed)?;
        Some(Message::error(&failure.into()).as_warning().event(EventKey::HookFailed))
    }
}

/// The event as one JSON object and a line feed.
fn text(message: &Message, now: SystemTime) -> String {
    let mut object = message.object();
    object["v"] = 1.into();
    object["at"] = humantime::format_rfc3339_millis(now).to_string().into();
    safe::escaped(&object.to_string()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::signal::Inherited;

    fn hook() -> Hook {
        Hook::new(&["true".into()], Vec::new(), Inherited::current().unwrap()).unwrap()
    }

    #[test]
    fn only_the_newest_event_of_a_kind_is_queued() {
        let mut hook = hook();
        for number in 0..1000 {
            for (event, agent) in [
                (EventKey::Published, "one"),
                (EventKey::Published, "two"),
                (EventKey::Conflict, "one"),
                (EventKey::Other, "one"),
                (EventKey::HookFailed, "one"),
            ] {
                hook.observe(&Message::detail(format!("text {number}")).event(event).agent(agent));
            }
        }
        let queued: Vec<_> = hook.queue.iter().map(|queued| (queued.event, queued.agent.as_deref().unwrap())).collect();
        assert_eq!(queued, [(EventKey::Published, "one"), (EventKey::Published, "two"), (EventKey::Conflict, "one")]);
        assert!(hook.queue.iter().all(|queued| String::from_utf8_lossy(&queued.text).contains("text 999")));
    }

    #[test]
    fn an_event_is_one_line_of_json() {
        let message = Message::warning("a\u{1b}[2J\nb \u{202e}c").event(EventKey::Conflict).agent("one").hint("do\nit");
        let text = text(&message, SystemTime::UNIX_EPOCH + Duration::from_millis(1));
        assert_eq!((text.lines().count(), text.ends_with('\n')), (1, true));
        assert!(text.is_ascii() && !text.contains('\u{1b}'), "{text}");
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "v": 1, "event": "conflict", "agent": "one", "at": "1970-01-01T00:00:00.001Z",
            "level": "warning", "message": "a\u{1b}[2J\nb \u{202e}c", "hint": "do\nit",
        });
        assert_eq!(event, expected);
    }
}
