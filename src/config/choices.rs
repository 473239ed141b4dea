//! The options that are a choice between words.

use crate::words::spelling::word_enum;

word_enum! {
    /// How an agent authenticates.
    #[derive(Default)]
    pub enum AuthMode("mode") {
        #[default]
        Auto = "auto": "the first usable method in the agent's order",
        Sync = "sync": "a login; refreshed tokens are saved to where it came from",
        Copy = "copy": "a login; refreshed tokens stay in the container",
        Follow = "follow": "a captured login without its refresh token; a keeper refreshes it",
        Token = "token": "a long-lived or bearer token, and nothing else",
        ApiKey = "api-key": "an API key, and nothing else",
        Ignore = "ignore": "no credential at all, even if there is one",
    }
}

word_enum! {
    /// What of a captured directory goes into the working copy.
    #[derive(Default)]
    pub enum Scope("scope") {
        Login = "login": "the login only",
        #[default]
        Settings = "settings": "the login and the agent's settings",
        All = "all": "everything but locks and caches",
    }
}

word_enum! {
    /// When a refreshed login is published.
    #[derive(Default)]
    pub enum SyncMode("time") {
        #[default]
        Live = "live": "as soon as the agent refreshes it, and when the agent exits",
        Exit = "exit": "only when the agent exits",
        Off = "off": "never",
    }
}

word_enum! {
    /// On, off, or decided by whether agent-init changes the user.
    #[derive(Default)]
    pub enum Switch("value") {
        On = "on" | "1" | "true" | "yes": "always",
        Off = "off" | "0" | "false" | "no": "never",
        #[default]
        Auto = "auto": "on if agent-init changes to a user other than root",
    }
}

word_enum! {
    /// Yes or no.
    pub enum Boolean("value") {
        On = "on" | "1" | "true" | "yes": "",
        Off = "off" | "0" | "false" | "no": "",
    }
}

word_enum! {
    /// How a token or key reaches the agent.
    #[derive(Default)]
    pub enum Delivery("way") {
        #[default]
        Env = "env": "in an environment variable",
        Fd = "fd": "through a file descriptor, for agents that can read one",
    }
}

word_enum! {
    /// Who gets forwarded signals.
    #[derive(Default)]
    pub enum Forwarding("target") {
        #[default]
        Group = "group": "COMMAND and its children: the process group",
        Process = "process": "COMMAND alone",
    }
}

word_enum! {
    /// A shell with completions.
    pub enum Shell("shell") {
        Bash = "bash": "",
        Zsh = "zsh": "",
        Fish = "fish": "",
    }
}
