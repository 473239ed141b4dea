//! Pure. The kinds of messages, by which programs tell them apart: a word here never changes its meaning.

/// What kind of thing a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKey {
    /// How an agent is authenticated, at its start.
    Auth,
    /// A login was carried to the capture.
    Published,
    /// A login was taken from the capture.
    Adopted,
    /// A login could not be carried to the capture, and is tried again.
    PublishFailed,
    /// A newer login could not be taken from the capture, and is tried again.
    AdoptFailed,
    /// A login, or a note about one, cannot be read.
    Unreadable,
    /// A login was not carried to the capture, and we end.
    NotPublished,
    /// The capture holds another account's login, and ours is kept beside it.
    Conflict,
    /// The agent's login is blank or gone.
    LoggedOut,
    /// The agent's login file is no login.
    DamagedLogin,
    /// A recovery copy that is needed no longer could not be removed.
    RecoveryNotRemoved,
    /// Containers that share a login cannot take turns at refreshing it.
    NoTurns,
    /// Another run that is under way uses the same working copy.
    SharedWorkingCopy,
    /// An agent's turn at refreshing took too long, and others get theirs.
    TurnOverdue,
    /// Changes of a directory are looked for, and not heard.
    NotWatched,
    /// A directory was removed, renamed or unmounted.
    DirectoryGone,
    /// A directory cannot be opened any more.
    DirectoryClosed,
    /// A store's helper failed.
    StoreFailed,
    /// What is remembered could not be written down.
    StateNotSaved,
    /// A login or token has expired, and nothing refreshes it.
    Expired,
    /// A credential was found and is not used.
    Ignored,
    /// A source that cannot be used, or is not there.
    UnusableSource,
    /// What is asked of an agent that cannot do it.
    NoSuchMethod,
    /// What is refreshed stays in this container.
    NotCarriedBack,
    /// What a definition knows to go wrong.
    AgentHint,
    /// Agents of one container get each other's variables.
    SharedEnvironment,
    /// The working copy, and what could not be put into it.
    WorkingCopy,
    /// Waiting for a login.
    Waiting,
    /// A variable of our prefix that nothing reads.
    UnknownVariable,
    /// Orphaned processes were reaped.
    Reaped,
    /// A signal could not be sent.
    SignalNotSent,
    /// A system call of the loop failed.
    SystemCallFailed,
    /// What `setup` says to a person.
    Setup,
    /// The binary was copied.
    Installed,
    /// An error that ends us.
    Failed,
    /// Messages were dropped.
    MessagesDropped,
    /// Anything else.
    Other,
}

impl EventKey {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            EventKey::Auth => "auth",
            EventKey::Published => "published",
            EventKey::Adopted => "adopted",
            EventKey::PublishFailed => "publish-failed",
            EventKey::AdoptFailed => "adopt-failed",
            EventKey::Unreadable => "unreadable",
            EventKey::NotPublished => "not-published",
            EventKey::Conflict => "conflict",
            EventKey::LoggedOut => "logged-out",
            EventKey::DamagedLogin => "damaged-login",
            EventKey::RecoveryNotRemoved => "recovery-not-removed",
            EventKey::NoTurns => "no-turns",
            EventKey::SharedWorkingCopy => "shared-working-copy",
            EventKey::TurnOverdue => "turn-overdue",
            EventKey::NotWatched => "not-watched",
            EventKey::DirectoryGone => "directory-gone",
            EventKey::DirectoryClosed => "directory-closed",
            EventKey::StoreFailed => "store-failed",
            EventKey::StateNotSaved => "state-not-saved",
            EventKey::Expired => "expired",
            EventKey::Ignored => "source-ignored",
            EventKey::UnusableSource => "unusable-source",
            EventKey::NoSuchMethod => "no-such-method",
            EventKey::NotCarriedBack => "not-carried-back",
            EventKey::AgentHint => "agent-hint",
            EventKey::SharedEnvironment => "shared-environment",
            EventKey::WorkingCopy => "working-copy",
            EventKey::Waiting => "waiting",
            EventKey::UnknownVariable => "unknown-variable",
            EventKey::Reaped => "reaped",
            EventKey::SignalNotSent => "signal-not-sent",
            EventKey::SystemCallFailed => "system-call-failed",
            EventKey::Setup => "setup",
            EventKey::Installed => "installed",
            EventKey::Failed => "failed",
            EventKey::MessagesDropped => "messages-dropped",
            EventKey::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [EventKey; 37] = [
        EventKey::Auth,
        EventKey::Published,
        EventKey::Adopted,
        EventKey::PublishFailed,
        EventKey::AdoptFailed,
        EventKey::Unreadable,
        EventKey::NotPublished,
        EventKey::Conflict,
        EventKey::LoggedOut,
        EventKey::DamagedLogin,
        EventKey::RecoveryNotRemoved,
        EventKey::NoTurns,
        EventKey::SharedWorkingCopy,
        EventKey::TurnOverdue,
        EventKey::NotWatched,
        EventKey::DirectoryGone,
        EventKey::DirectoryClosed,
        EventKey::StoreFailed,
        EventKey::StateNotSaved,
        EventKey::Expired,
        EventKey::Ignored,
        EventKey::UnusableSource,
        EventKey::NoSuchMethod,
        EventKey::NotCarriedBack,
        EventKey::AgentHint,
        EventKey::SharedEnvironment,
        EventKey::WorkingCopy,
        EventKey::Waiting,
        EventKey::UnknownVariable,
        EventKey::Reaped,
        EventKey::SignalNotSent,
        EventKey::SystemCallFailed,
        EventKey::Setup,
        EventKey::Installed,
        EventKey::Failed,
        EventKey::MessagesDropped,
        EventKey::Other,
    ];

    /// Programs go by these words: what is in the book stays.
    #[test]
    fn every_word_is_documented_and_is_one_events() {
        let book = include_str!("../../docs/operations.md");
        for key in ALL {
            assert!(book.contains(&format!("| `{}` |", key.word())), "{}", key.word());
            assert_eq!(ALL.iter().filter(|other| other.word() == key.word()).count(), 1, "{}", key.word());
        }
        let rows = book.lines().skip_while(|line| !line.starts_with("| event |")).skip(2);
        assert_eq!(rows.take_while(|line| line.starts_with("| `")).count(), ALL.len());
    }
}
