//! What the keeper says about a login. Pure.

use std::time::{Duration, SystemTime};

use crate::error::Failure;
use crate::keep::schedule::Due;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::plan::warning::log_in;

/// An agent, and where its login is stored.
#[derive(Debug, Clone)]
pub struct About {
    pub agent: String,
    pub at: String,
}

impl About {
    /// When the login is refreshed next.
    pub fn planned(&self, due: Due, now: SystemTime) -> Message {
        let About { agent, at } = self;
        let cannot = |why: &str| {
            let message = Message::warning(format!("{agent}: the login in {at} cannot be kept: {why}"));
            message.hint("a key or token needs no keeper; a login with a refresh token can be kept")
        };
        let message = match due {
            Due::At(due) => {
                let due = humantime::format_rfc3339_seconds(due.max(now));
                Message::notice(format!("{agent}: the login in {at} will be refreshed at {due}"))
            }
            Due::NotRefreshable => cannot("it has no refresh token"),
            Due::Unknown => cannot("it does not tell when it expires"),
        };
        message.event(EventKey::Keeping).agent(agent)
    }

    pub fn refreshed(&self) -> Message {
        let About { agent, at } = self;
        Message::notice(format!("{agent}: refreshed the login in {at}")).event(EventKey::Refreshed).agent(agent)
    }

    /// `is_expected`: there should be a login. `waits`: the keeper waits for one.
    pub fn missing(&self, is_expected: bool, waits: bool) -> Message {
        let About { agent, at } = self;
        let text = format!("{agent}: there is no login to keep in {at}");
        let message = if is_expected { Message::warning(text) } else { Message::detail(text) };
        let hint = if waits { "the keeper waits for one: log in" } else { "log in" };
        message.event(EventKey::Waiting).agent(agent).hint(format!("{hint}: {}", log_in(agent)))
    }

    /// The vendor refused the refresh token.
    pub fn refused(&self) -> Message {
        let About { agent, at } = self;
        Message::warning(format!("{agent}: the vendor refused to refresh the login in {at}; it stays as it is"))
            .event(EventKey::LoggedOut)
            .agent(agent)
            .hint(format!("log in again: {}", log_in(agent)))
    }

    /// `retry`: after how long the keeper tries again, if it does.
    pub fn failed(&self, failure: Failure, retry: Option<Duration>) -> Message {
        let About { agent, at } = self;
        let text = format!("{agent}: the login in {at} was not refreshed: {}", failure.what);
        let again = retry.map(|retry| {
            let retry = humantime::format_duration(Duration::from_secs(retry.as_secs()));
            format!("the keeper tries again in {retry}")
        });
        let message = Message::warning(text).event(EventKey::RefreshFailed).agent(agent);
        let hints: Vec<String> = failure.hint.into_iter().chain(again).collect();
        if hints.is_empty() { message } else { message.hint(hints.join("; ")) }
    }

    /// What a refresh left is not a login that can be published. `kept`: whether it is under `conflicts/` now.
    pub fn set_aside(&self, kept: Result<(), String>) -> Message {
        let About { agent, at } = self;
        let message = match kept {
            Ok(()) => Message::detail(format!("{agent}: what a refresh left is kept under conflicts/ of {at}")),
            Err(why) => Message::warning(format!("{agent}: cannot keep what a refresh left in {at}: {why}")),
        };
        message.event(EventKey::RefreshFailed).agent(agent)
    }

    pub fn not_cleaned_up(&self, why: &str) -> Message {
        let agent = &self.agent;
        let text = format!("{agent}: cannot remove the copy of the last refresh: {why}");
        Message::warning(text).event(EventKey::RefreshFailed).agent(agent)
    }
}

pub fn interrupted(agent: &str) -> Message {
    Message::warning(format!("{agent}: agent-init ends in the middle of a refresh"))
        .event(EventKey::RefreshFailed)
        .agent(agent)
        .hint("the next keeper with this state directory takes the result; a longer --grace waits for it")
}
