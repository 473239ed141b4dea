//! The kinds of messages, which programs distinguish by a key. Pure.

use crate::words::spelling::word_enum;

word_enum! {
    /// A key never changes its meaning. docs/operations.md lists them with the same words.
    pub enum EventKey("event") {
        Auth = "auth": "how an agent is authenticated (at a start)",
        Published = "published": "a login was saved to the capture",
        Adopted = "adopted": "a login was taken from the capture",
        PublishFailed = "publish-failed": "a login cannot be saved to the capture; agent-init retries",
        AdoptFailed = "adopt-failed": "a newer login cannot be taken from the capture; agent-init retries",
        Unreadable = "unreadable": "a login cannot be read; nothing is saved or replaced until it can",
        NotPublished = "not-published": "agent-init ends, and a login was not saved to the capture",
        Recovered = "recovered": "a login that could not be saved is saved now",
        Conflict = "conflict": "the capture holds another account's login",
        LoggedOut = "logged-out": "the agent's login is blank or gone",
        Keeping = "keeping": "when the keeper refreshes a login next, or why it cannot (`keep`)",
        Refreshed = "refreshed": "the keeper refreshed a login and saved it",
        RefreshFailed = "refresh-failed": "the keeper could not refresh a login; it tries again",
        Overwritten = "overwritten": "the agent's login was overwritten by an older one, which was replaced again",
        DamagedLogin = "damaged-login": "the agent's file is not a login",
        RecoveryNotRemoved = "recovery-not-removed": "a recovery copy that is no longer needed is still there",
        NoTurns = "no-turns": "containers that share a login do not take turns at refreshing it",
        SharedWorkingCopy = "shared-working-copy": "another running agent-init uses the same working copy: give each \
            container a HOME of its own",
        TurnOverdue = "turn-overdue": "an agent's turn at refreshing took longer than 35 s and was ended",
        OutOfTurn = "out-of-turn": "an agent that shares a login has refreshed although it was not its turn: its \
            version ignores the lock, or somebody logged in again",
        NotKept = "not-kept": "the access token that a follower uses ends soon, and no keeper has refreshed it",
        NotWatched = "not-watched": "a directory cannot be watched and is polled every 2 s",
        DirectoryGone = "directory-gone": "a directory was removed, renamed or unmounted",
        DirectoryClosed = "directory-closed": "a directory can no longer be opened",
        StoreFailed = "store-failed": "a store's helper failed",
        StateNotSaved = "state-not-saved": "`state.json` cannot be written",
        Expired = "expired": "a login or token has expired, and nothing refreshes it, or its login deadline has passed",
        Expiring = "expiring": "a login ends soon, and no refresh moves that",
        Ignored = "source-ignored": "a credential was found and is ignored",
        UnusableSource = "unusable-source": "a source is empty, missing or unreadable",
        DoubtfulValue = "doubtful-value": "a value does not look like what its variable should hold; it is used",
        Outranked = "outranked": "settings that agent-init does not install hold a credential that the agent prefers",
        NoSuchMethod = "no-such-method": "the agent does not support what an option asks for",
        NotCarriedBack = "not-carried-back": "refreshed logins stay in this container",
        AgentHint = "agent-hint": "a known failure of this agent, from its definition",
        SharedEnvironment = "shared-environment": "agents, or `exec`, receive another agent's variables or lack their \
            own",
        WorkingCopy = "working-copy": "the working copy, and what was not copied into it",
        Waiting = "waiting": "agent-init waits for a login (`--wait`, `keep`)",
        UnknownVariable = "unknown-variable": "an `AGENT_INIT_*` variable that nothing reads",
        Reaped = "reaped": "orphaned processes were reaped (only under the name `tini` with `-w`)",
        SignalNotSent = "signal-not-sent": "a signal could not be sent",
        SystemCallFailed = "system-call-failed": "a system call of PID 1 failed",
        HookFailed = "hook-failed": "the command of `--on-event` failed; said once until it succeeds",
        Setup = "setup": "a message of `setup`",
        Installed = "installed": "a message of `install`",
        Failed = "failed": "the error that ends agent-init",
        MessagesDropped = "messages-dropped": "nobody read standard error, and messages were dropped",
        Other = "other": "anything else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::spelling::Words;

    /// Programs depend on these keys: documented ones must stay.
    #[test]
    fn the_documentation_lists_every_key() {
        let documentation = include_str!("../../docs/operations.md");
        let rows = documentation.lines().skip_while(|line| !line.starts_with("| event |")).skip(2);
        let documented: Vec<&str> = rows.take_while(|line| line.starts_with("| `")).collect();
        let known: Vec<_> = EventKey::WORDS.iter().map(|key| format!("| `{}` | {} |", key.word, key.help)).collect();
        assert_eq!(documented, known);
    }
}
