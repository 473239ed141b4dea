//! The kinds of messages, which programs distinguish by a key. A key never changes its meaning. Pure.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKey {
    /// How an agent is authenticated, at its start.
    Auth,
    /// A login was saved to the store.
    Published,
    /// A login was copied from the store.
    Adopted,
    /// A login could not be saved to the store. It is tried again.
    PublishFailed,
    /// A newer login could not be copied from the store. It is tried again.
    AdoptFailed,
    /// A login, or the metadata of one, cannot be read.
    Unreadable,
    /// A login was not saved to the store, and the run ends.
    NotPublished,
    /// The store holds another account's login. The agent's is kept under `conflicts/`.
    Conflict,
    /// The agent's login is blank or missing.
    LoggedOut,
    /// The agent's login file is not a usable login.
    DamagedLogin,
    /// A recovery copy that is not needed any more could not be removed.
    RecoveryNotRemoved,
    /// Containers that share a login cannot take turns at refreshing it.
    NoTurns,
    /// Another run uses the same working copy.
    SharedWorkingCopy,
    /// An agent's turn at refreshing took too long and was ended.
    TurnOverdue,
    /// An agent refreshed although it was not its turn.
    OutOfTurn,
    /// A directory cannot be watched and is polled.
    NotWatched,
    /// A directory was removed, renamed or unmounted.
    DirectoryGone,
    /// A directory cannot be reopened.
    DirectoryClosed,
    /// A store's helper failed.
    StoreFailed,
    /// The state could not be saved.
    StateNotSaved,
    /// A login or token has expired, and nothing refreshes it.
    Expired,
    /// A credential was found and is ignored.
    Ignored,
    /// A source does not exist or cannot be used.
    UnusableSource,
    /// The operator asked for a method that the agent does not have.
    NoSuchMethod,
    /// A refreshed login stays in this container.
    NotCarriedBack,
    /// A known problem, from the agent's definition.
    AgentHint,
    /// Agents of one container get each other's variables.
    SharedEnvironment,
    /// The working copy, and what could not be put into it.
    WorkingCopy,
    /// agent-init waits for a login.
    Waiting,
    /// Nothing reads this variable with our prefix.
    UnknownVariable,
    /// Orphaned processes were reaped.
    Reaped,
    /// A signal could not be sent.
    SignalNotSent,
    /// A system call of the event loop failed.
    SystemCallFailed,
    /// A message of `setup` to a person.
    Setup,
    /// The binary was copied.
    Installed,
    /// An error that ends the run.
    Failed,
    /// Messages were dropped.
    MessagesDropped,
    /// Anything else.
    Other,
}

impl EventKey {
    /// The key in JSON.
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
            EventKey::OutOfTurn => "out-of-turn",
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

    const ALL: [EventKey; 38] = [
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
        EventKey::OutOfTurn,
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

    /// Programs depend on these keys: documented ones must stay.
    #[test]
    fn every_key_is_documented_and_unique() {
        let documentation = include_str!("../../docs/operations.md");
        for key in ALL {
            assert!(documentation.contains(&format!("| `{}` |", key.word())), "{}", key.word());
            assert_eq!(ALL.iter().filter(|other| other.word() == key.word()).count(), 1, "{}", key.word());
        }
        let rows = documentation.lines().skip_while(|line| !line.starts_with("| event |")).skip(2);
        assert_eq!(rows.take_while(|line| line.starts_with("| `")).count(), ALL.len());
    }
}
