//! Pure. What a link has to say: each kind of thing once, until it is news again.
//!
//! Kinds and not texts are remembered: an agent or a store varies a text at will (a line and a column, a helper's last
//! words), and would get a line, and room in our memory, for each. Whoever makes a thing come and go gets a few lines and
//! then a count.

use std::time::{Duration, Instant};

use crate::log::Message;
use crate::log::event::EventKey;
use crate::sync::watch_state::Side;
use crate::sys::signal::Signal;

/// A burst is over when a thing has not happened for so long. Longer than any pause between two tries of ours.
const BURST: Duration = Duration::from_secs(60);
/// So often it is said in one burst that a thing is so again after all was well.
const NEWS: u32 = 3;
/// So many repetitions are worth a line at the end of a burst.
const MANY: u32 = 3;

/// A kind of thing: of a link, which is one agent's, or of the loop.
type Kind = (EventKey, About);

/// What tells things of one event apart. There are few of each: nothing here is the agent's or a store's to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// There is one.
    Only,
    /// Each end of a link has its own.
    End(Side),
    /// Each signal has.
    Signal(Signal),
    /// Each system call has.
    Call(&'static str),
}

/// Messages on their way out.
#[derive(Debug, Default)]
pub struct DedupLog {
    inbox: Vec<Word>,
    known: Vec<Known>,
}

#[derive(Debug)]
enum Word {
    Message(Message),
    Once(About, Message),
    AllIsWell,
}

/// A kind of thing that was said. There are as many as there are kinds.
#[derive(Debug)]
struct Known {
    kind: Kind,
    /// The latest message of it.
    latest: Message,
    at: Instant,
    /// In this burst.
    said: u32,
    repeated: u32,
    /// All was well since.
    is_news: bool,
}

impl DedupLog {
    /// Says it.
    pub fn say(&mut self, message: Message) {
        self.inbox.push(Word::Message(message));
    }

    /// Says it, unless a message of its event was said.
    pub fn once(&mut self, message: Message) {
        self.once_of(About::Only, message);
    }

    /// The same for this alone.
    pub fn once_of(&mut self, about: About, message: Message) {
        self.inbox.push(Word::Once(about, message));
    }

    /// All is well: what was wrong before is news when it happens again.
    pub fn is_healthy(&mut self) {
        self.inbox.push(Word::AllIsWell);
    }

    /// What there is to say since the last call.
    pub fn take(&mut self, now: Instant) -> Vec<Message> {
        let mut said = Vec::new();
        for word in std::mem::take(&mut self.inbox) {
            match word {
                Word::Message(message) => said.push(message),
                Word::Once(about, message) => said.extend(self.watched(now, (message.event, about), message)),
                Word::AllIsWell => self.known.iter_mut().for_each(|known| known.is_news = true),
            }
        }
        for known in self.known.iter_mut().filter(|known| known.at + BURST <= now) {
            said.extend(known.end());
        }
        said
    }

    /// What there is to say at the end.
    pub fn last(&mut self, now: Instant) -> Vec<Message> {
        let mut said = self.take(now);
        said.extend(self.known.iter_mut().filter_map(Known::end));
        said
    }

    /// When a burst is over of which there is something to say.
    pub fn deadline(&self) -> Option<Instant> {
        self.known.iter().filter(|known| known.repeated >= MANY).map(|known| known.at + BURST).min()
    }

    fn watched(&mut self, now: Instant, kind: Kind, message: Message) -> Option<Message> {
        let Some(known) = self.known.iter_mut().find(|known| known.kind == kind) else {
            let latest = message.clone();
            self.known.push(Known { kind, latest, at: now, said: 1, repeated: 0, is_news: false });
            return Some(message);
        };
        let ended = (known.at + BURST <= now).then(|| known.end()).flatten();
        known.at = now;
        if known.is_news && known.said < NEWS {
            known.is_news = false;
            known.said += 1;
            known.latest = message.clone();
            return Some(message);
        }
        known.is_news = false;
        known.repeated += 1;
        known.latest = message;
        ended
    }
}

impl Known {
    /// The burst is over.
    fn end(&mut self) -> Option<Message> {
        self.said = 0;
        let repeated = std::mem::take(&mut self.repeated);
        let text = format!("{}; repeated {repeated} times", self.latest.text);
        (repeated >= MANY).then(|| Message { text, hint: None, ..self.latest.clone() })
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
    fn a_text_that_varies_is_said_once_and_counted() {
        let (mut log, start) = (DedupLog::default(), Instant::now());
        let mut said = Vec::new();
        for column in 1..100_000 {
            log.once(damaged(column));
            said.extend(texts(log.take(start + Duration::from_micros(column as u64))));
        }
        assert_eq!(said, ["not JSON (line 1, column 1)"]);
        assert_eq!(log.known.len(), 1);
        let end = log.deadline().unwrap();
        assert!(texts(log.take(start + BURST)).is_empty());
        let last = "not JSON (line 1, column 99999); repeated 99998 times";
        assert_eq!(texts(log.take(end)), [last]);
        assert_eq!((log.deadline(), log.take(end + BURST * 9).len()), (None, 0));
    }

    #[test]
    fn a_few_repetitions_are_no_burst() {
        let (mut log, now) = (DedupLog::default(), Instant::now());
        for column in 0..3 {
            log.once(damaged(column));
        }
        assert_eq!((log.take(now).len(), log.deadline(), log.last(now).len()), (1, None, 0));
    }

    #[test]
    fn what_comes_and_goes_is_news_a_few_times() {
        let (mut log, now) = (DedupLog::default(), Instant::now());
        let mut said = 0;
        for column in 0..1000 {
            log.once(damaged(column));
            log.is_healthy();
            said += log.take(now).len();
        }
        assert_eq!(said, NEWS as usize);
        assert_eq!(texts(log.last(now)), ["not JSON (line 1, column 999); repeated 997 times"]);
        // Another day it is news again.
        log.once(damaged(1));
        assert_eq!(log.take(now + BURST * 9).len(), 1);
    }

    #[test]
    fn other_events_and_other_ends_are_said_apart() {
        let (mut log, now) = (DedupLog::default(), Instant::now());
        let gone = || Message::warning("gone").event(EventKey::DirectoryGone);
        for _ in 0..2 {
            log.once(damaged(1));
            log.once_of(About::End(Side::Working), gone());
            log.once_of(About::End(Side::Stored), gone());
        }
        assert_eq!(log.take(now).len(), 3);
    }
}
