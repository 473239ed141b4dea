//! The log: lines of text or JSON on standard error.

pub mod event;
pub mod safe;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::event::EventKey;
use self::safe::sanitized;
use crate::error::{Failure, in_words, without_number};
use crate::sys::output::Output;
use crate::sys::poll;
use crate::sys::poll::Interest;
use crate::words::spelling::Words;
use crate::words::spelling::word_enum;

word_enum! {
    #[derive(Default)]
    pub enum LogFormat("format") {
        #[default]
        Text = "text": "lines for people",
        Json = "json": "one JSON object per line, for log collectors",
    }
}

word_enum! {
    #[derive(PartialOrd, Ord)]
    pub enum Level("level") {
        Error = "error": "",
        Warning = "warning": "what the operator should know",
        Notice = "notice": "one line for each agent",
        Detail = "detail": "each step",
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub level: Level,
    /// The kind of message, for programs that read the log.
    pub event: EventKey,
    /// The agent that it is about.
    pub agent: Option<String>,
    /// The variable, path or store that it is about, if not the agent.
    pub about: Option<String>,
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Message {
    pub fn new(level: Level, text: impl Into<String>) -> Message {
        Message { level, event: EventKey::Other, agent: None, about: None, text: text.into(), hint: None }
    }

    pub fn warning(text: impl Into<String>) -> Message {
        Message::new(Level::Warning, text)
    }

    /// A line that only `-q` hides.
    pub fn notice(text: impl Into<String>) -> Message {
        Message::new(Level::Notice, text)
    }

    /// A line that only `-v` shows.
    pub fn detail(text: impl Into<String>) -> Message {
        Message::new(Level::Detail, text)
    }

    /// An error with its chain of causes, and the hint of the [`Failure`] in it.
    pub fn error(error: &anyhow::Error) -> Message {
        let hint = error.downcast_ref::<Failure>().and_then(|failure| failure.hint.clone());
        Message { hint, ..Message::new(Level::Error, in_words(error)).event(EventKey::Failed) }
    }

    pub fn as_warning(self) -> Message {
        Message { level: Level::Warning, ..self }
    }

    pub fn event(mut self, event: EventKey) -> Message {
        self.event = event;
        self
    }

    /// Sets the variable, path or store that it is about.
    pub fn about(mut self, subject: impl Into<String>) -> Message {
        self.about = Some(subject.into());
        self
    }

    pub fn agent(mut self, agent: impl Into<String>) -> Message {
        self.agent = Some(agent.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Message {
        self.hint = Some(hint.into());
        self
    }

    /// The message for programs. Its text may hold anything: [`safe::escaped`] makes it one safe line.
    pub fn object(&self) -> Value {
        let mut object = json!({
            "level": self.level.word(),
            "event": self.event.word(),
            "message": without_number(&self.text),
        });
        if let Some(agent) = &self.agent {
            object["agent"] = agent.as_str().into();
        }
        if let Some(hint) = &self.hint {
            object["hint"] = without_number(hint).into();
        }
        object
    }
}

/// How long the last messages may take if their reader is slow.
const LAST_OUTPUT_WAIT: Duration = Duration::from_millis(500);

// The process has one standard error, so there is one buffer for it.
static STDERR: Mutex<Output<'static>> = Mutex::new(Output::standard_error());

fn stderr() -> MutexGuard<'static, Output<'static>> {
    STDERR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on messages never wait for a reader, whatever the agent does to the terminal or pipe that it shares with
/// us. Must be called before core dumps are forbidden.
pub fn stop_waiting() {
    stderr().stop_waiting();
}

/// Writes messages to standard error.
///
/// Writing never fails and never blocks: a log that nobody reads must not stop PID 1. What does not fit is buffered, up
/// to a limit, and written by [`Reporter::flush`].
#[derive(Debug, Clone, Copy)]
pub struct Reporter {
    pub format: LogFormat,
    /// The least severe level that is shown.
    pub level: Level,
    /// Standard error is a terminal in raw mode, where a line feed needs a carriage return.
    pub on_raw_terminal: bool,
}

impl Reporter {
    /// Writes the message, if its level is shown.
    pub fn say(self, message: &Message) {
        if message.level <= self.level {
            let mut stderr = stderr();
            self.report_dropped(&mut stderr);
            stderr.write(self.bytes(message));
        }
    }

    pub fn say_all<'m>(self, messages: impl IntoIterator<Item = &'m Message>) {
        for message in messages {
            self.say(message);
        }
    }

    /// Writes buffered messages, if there is room by now.
    pub fn flush(self, now: Instant) {
        let mut stderr = stderr();
        stderr.flush(now);
        self.report_dropped(&mut stderr);
    }

    /// The descriptor to poll while messages are buffered.
    pub fn interest(self) -> Option<Interest<'static>> {
        stderr().interest()
    }

    /// When to flush if no descriptor can be polled.
    pub fn deadline(self) -> Option<Instant> {
        stderr().deadline()
    }

    /// Gives buffered messages a moment to be written, until `limit` at most, and then drops them.
    pub fn finish(self, limit: Option<Instant>) {
        let until = Instant::now() + LAST_OUTPUT_WAIT;
        let until = limit.map_or(until, |limit| limit.min(until));
        loop {
            self.flush(Instant::now());
            let interest = stderr().interest();
            if interest.is_none()
                || Instant::now() >= until
                || poll::wait(interest.into_iter().collect(), Some(until)).is_err()
            {
                return stderr().clear();
            }
        }
    }

    pub(crate) fn report_dropped(self, stderr: &mut Output<'_>) {
        let Some(count) = stderr.take_dropped() else { return };
        if self.level < Level::Warning {
            return;
        }
        let were = if count == 1 { "1 message was".to_owned() } else { format!("{count} messages were") };
        let text = format!("{were} dropped: nobody read standard error fast enough");
        stderr.write(self.bytes(&Message::warning(text).event(EventKey::MessagesDropped)));
    }

    fn bytes(self, message: &Message) -> Vec<u8> {
        let text = self.render(message);
        if self.on_raw_terminal { text.replace('\n', "\r\n").into_bytes() } else { text.into_bytes() }
    }

    pub(crate) fn render(self, message: &Message) -> String {
        match self.format {
            LogFormat::Text => {
                let text = without_number(&message.text);
                let hint = message.hint.as_deref().map(without_number);
                let prefix = match message.level {
                    Level::Error => "error: ",
                    Level::Warning => "warning: ",
                    Level::Notice | Level::Detail => "",
                };
                let hint = hint.map(|hint| format!("  hint: {}\n", sanitized(&hint))).unwrap_or_default();
                format!("agent-init: {prefix}{}\n{hint}", sanitized(&text))
            }
            LogFormat::Json => safe::escaped(&message.object().to_string()) + "\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context;

    use super::*;

    #[test]
    fn an_error_has_its_chain_and_its_hint() {
        let error = Err::<(), _>(io::Error::from(io::ErrorKind::NotFound))
            .context(Failure::new("cannot read /x").hint("mount it"))
            .unwrap_err();
        let message = Message::error(&error);
        assert_eq!(message.text, "cannot read /x: entity not found");
        assert_eq!(message.hint.as_deref(), Some("mount it"));
    }

    /// Every error number of Linux, in every form that a person sees.
    #[test]
    fn no_message_contains_an_error_number() {
        for number in 1..=133 {
            let error = || io::Error::from_raw_os_error(number);
            let words = without_number(&error().to_string());
            assert!(!words.is_empty() && !words.contains("os error"), "{number}: {words}");
            let chain = Err::<(), _>(error()).context(Failure::new("cannot read /x")).unwrap_err().context("outer");
            let expected = format!("outer: cannot read /x: {words}");
            assert_eq!(in_words(&chain), expected);
            for text in [format!("{chain:#}"), format!("cannot read /x: {}: and more", error())] {
                let message = Message::warning(text.clone()).hint(text);
                for format in [LogFormat::Text, LogFormat::Json] {
                    let line = Reporter { format, level: Level::Detail, on_raw_terminal: false }.render(&message);
                    assert!(!line.contains("os error"), "{line}");
                    assert!(line.matches(&words).count() == 2, "{line}");
                }
            }
        }
        assert_eq!(without_number("a (os error 5): b (os error x) c"), "a: b (os error x) c");
    }

    #[test]
    fn messages_are_rendered_as_text_and_json() {
        let message = Message::warning("a\u{1b}[31m\nb").hint("c");
        let text = Reporter { format: LogFormat::Text, level: Level::Notice, on_raw_terminal: false };
        assert_eq!(text.render(&message), "agent-init: warning: a\u{fffd}[31m\u{fffd}b\n  hint: c\n");
        let json = Reporter { format: LogFormat::Json, ..text };
        let message = message.event(EventKey::LoggedOut).agent("mine");
        let line: serde_json::Value = serde_json::from_str(&json.render(&message)).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"warning".into(), &"a\u{1b}[31m\nb".into()));
        assert_eq!((&line["event"], &line["agent"]), (&"logged-out".into(), &"mine".into()));
        assert_eq!(line["hint"], "c");
    }
}
