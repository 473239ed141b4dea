//! A log that reports each kind of message once, until the kind is new again. Pure.
//!
//! It remembers kinds and not texts. An agent or a store can vary a text at will (a line and a column, a helper's
//! output): each variant would get a line in the log and room in memory. A kind that comes and goes gets a few lines,
//! and then a count.

use std::time::{Duration, Instant};

use crate::log::Message;
use crate::log::event::EventKey;
use crate::sync::watch_state::Side;
use crate::sys::signal::Signal;

/// A burst ends when its kind has not occurred for this long. Longer than any pause between two retries.
const BURST: Duration = Duration::from_secs(60);
/// How many times in one burst a kind is reported again after a recovery.
const REPORTS_PER_BURST: u32 = 3;
/// How many repetitions are worth a line at the end of a burst.
const MIN_REPETITIONS: u32 = 3;

type Kind = (EventKey, Subject);

/// Distinguishes messages of one event. There are few values: neither an agent nor a store can choose one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The event has no subject.
    None,
    /// A side of a sync session.
    Side(Side),
    Signal(Signal),
    /// A system call, by its name.
    Call(&'static str),
}

#[derive(Debug, Default)]
pub struct DedupLog {
    inbox: Vec<Input>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
enum Input {
    Message(Message),
    Once(Subject, Message),
    Recovered,
}

/// A kind that was reported.
#[derive(Debug)]
struct Entry {
    kind: Kind,
    latest: Message,
    latest_at: Instant,
    /// How many times in this burst.
    reported: u32,
    repeated: u32,
    /// The log has recovered since, so the kind may be reported again.
    may_repeat: bool,
}

impl DedupLog {
    pub fn say(&mut self, message: Message) {
        self.inbox.push(Input::Message(message));
    }

    /// Reports the message unless one of its event was reported.
    pub fn once(&mut self, message: Message) {
        self.once_about(Subject::None, message);
    }

    /// Reports the message unless one of its event and subject was reported.
    pub fn once_about(&mut self, subject: Subject, message: Message) {
        self.inbox.push(Input::Once(subject, message));
    }

    /// Everything works again: a problem from before is reported when it returns.
    pub fn recovered(&mut self) {
        self.inbox.push(Input::Recovered);
    }

    /// The messages to print since the last call.
    pub fn take(&mut self, now: Instant) -> Vec<Message> {
        let mut messages = Vec::new();
        for input in std::mem::take(&mut self.inbox) {
            match input {
                Input::Message(message) => messages.push(message),
                Input::Once(subject, message) => {
                    messages.extend(self.deduplicate(now, (message.event, subject), message));
                }
                Input::Recovered => self.entries.iter_mut().for_each(|entry| entry.may_repeat = true),
            }
        }
        for entry in self.entries.iter_mut().filter(|entry| entry.latest_at + BURST <= now) {
            messages.extend(entry.end_burst());
        }
        messages
    }

    /// The messages to print at the end.
    pub fn take_last(&mut self, now: Instant) -> Vec<Message> {
        let mut messages = self.take(now);
        messages.extend(self.entries.iter_mut().filter_map(Entry::end_burst));
        messages
    }

    /// When to call `take` because a burst ends and its repetitions are to be reported.
    pub fn deadline(&self) -> Option<Instant> {
        self.entries.iter().filter(|entry| entry.repeated >= MIN_REPETITIONS).map(|entry| entry.latest_at + BURST).min()
    }

    fn deduplicate(&mut self, now: Instant, kind: Kind, message: Message) -> Option<Message> {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.kind == kind) else {
            let latest = message.clone();
            self.entries.push(Entry { kind, latest, latest_at: now, reported: 1, repeated: 0, may_repeat: false });
            return Some(message);
        };
        let ended = (entry.latest_at + BURST <= now).then(|| entry.end_burst()).flatten();
        entry.latest_at = now;
        if entry.may_repeat && entry.reported < REPORTS_PER_BURST {
            entry.may_repeat = false;
            entry.reported += 1;
            entry.latest = message.clone();
            return Some(message);
        }
        entry.may_repeat = false;
        entry.repeated += 1;
        entry.latest = message;
        ended
    }
}

impl Entry {
    /// Ends the burst. Returns the line about its repetitions.
    fn end_burst(&mut self) -> Option<Message> {
        self.reported = 0;
        let repeated = std::mem::take(&mut self.repeated);
        let text = format!("{}; repeated {repeated} times", self.latest.text);
        (repeated >= MIN_REPETITIONS).then(|| Message { text, hint: None, ..self.latest.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged(column: usize) -> Message {
        Message::warning(format!("not JSON (line 1, column {column})")).event(EventKey::DamagedLogin)
    }

    fn texts(messages: Vec<Message>) -> Vec<String> {
        messages.into_iter().map(|message| message.text).collect()
    }

    #[test]
    fn a_varying_text_is_reported_once_and_counted() {
        let (mut log, start) = (DedupLog::default(), Instant::now());
        let mut messages = Vec::new();
        for column in 1..100_000 {
            log.once(damaged(column));
            messages.extend(texts(log.take(start + Duration::from_micros(column as u64))));
        }
        assert_eq!(messages, ["not JSON (line 1, column 1)"]);
        assert_eq!(log.entries.len(), 1);
        let end = log.deadline().unwrap();
        assert!(texts(log.take(start + BURST)).is_empty());
        let last = "not JSON (line 1, column 99999); repeated 99998 times";
        assert_eq!(texts(log.take(end)), [last]);
        assert_eq!((log.deadline(), log.take(end + BURST * 9).len()), (None, 0));
    }

    #[test]
    fn a_few_repetitions_are_not_reported() {
        let (mut log, now) = (DedupLog::default(), Instant::now());
        for column in 0..3 {
            log.once(damaged(column));
        }
        assert_eq!((log.take(now).len(), log.deadline(), log.take_last(now).len()), (1, None, 0));
    }

    #[test]
    fn a_recurring_problem_is_reported_a_few_times_and_then_counted() {
        let (mut log, now) = (DedupLog::default(), Instant::now());
        let mut messages = 0;
        for column in 0..1000 {
            log.once(damaged(column));
            log.recovered();
            messages += log.take(now).len();
        }
        assert_eq!(messages, REPORTS_PER_BURST as usize);
        assert_eq!(texts(log.take_last(now)), ["not JSON (line 1, column 999); repeated 997 times"]);
        // After a long pause it is reported again.
        log.once(damaged(1));
        assert_eq!(log.take(now + BURST * 9).len(), 1);
    }

    #[test]
    fn other_events_and_subjects_are_reported_separately() {
        let (mut log, now) = (DedupLog::default(), Instant::now());
        let gone = || Message::warning("gone").event(EventKey::DirectoryGone);
        for _ in 0..2 {
            log.once(damaged(1));
            log.once_about(Subject::Side(Side::Working), gone());
            log.once_about(Subject::Side(Side::Stored), gone());
        }
        assert_eq!(log.take(now).len(), 3);
    }
}
