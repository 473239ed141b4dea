//! The values that options take. Pure, but for the working directory: a relative capture begins there.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use crate::process::argv;
use crate::sys::signal::Signal;

/// Which agents are served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AgentSelection {
    /// By COMMAND and by what was given.
    #[default]
    Auto,
    /// None: a plain init.
    Nobody,
    /// These.
    Named(Vec<String>),
}

/// Reads `auto`, `none` or names.
pub fn agents(text: &str) -> Result<AgentSelection, String> {
    match text {
        "auto" => Ok(AgentSelection::Auto),
        "none" => Ok(AgentSelection::Nobody),
        names => {
            let mut named = Vec::new();
            for name in list(names)? {
                // Twice the same is meant once.
                if !named.contains(&name) {
                    named.push(name);
                }
            }
            Ok(AgentSelection::Named(named))
        }
    }
}

/// How an agent authenticates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AuthMode {
    /// By the definition's order.
    #[default]
    Auto,
    /// A session, published back.
    Sync,
    /// A session, not published.
    Copy,
    /// A long-lived or bearer token only.
    Token,
    /// An API key only.
    ApiKey,
    /// Nothing at all.
    Ignore,
}

impl AuthMode {
    /// Its spelling.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            AuthMode::Auto => "auto",
            AuthMode::Sync => "sync",
            AuthMode::Copy => "copy",
            AuthMode::Token => "token",
            AuthMode::ApiKey => "api-key",
            AuthMode::Ignore => "ignore",
        }
    }
}

/// A value for all agents, and others for some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PerAgent<T> {
    /// For those that are not named.
    pub default: Option<T>,
    /// For these.
    pub named: Vec<(String, T)>,
}

impl<T> PerAgent<T> {
    /// The value for an agent.
    #[must_use]
    pub fn of(&self, agent: &str) -> Option<&T> {
        self.of_named(agent).or(self.default.as_ref())
    }

    /// The value that an agent was given by its name.
    #[must_use]
    pub fn of_named(&self, agent: &str) -> Option<&T> {
        self.named.iter().find(|(name, _)| name == agent).map(|(_, value)| value)
    }

    /// The agents that are named.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|(name, _)| name.as_str())
    }

    /// Every value, whomever it is for.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.default.iter().chain(self.named.iter().map(|(_, value)| value))
    }
}

/// Reads `VALUE` or `agent=VALUE,...`.
fn per_agent<T>(text: &str, value: impl Fn(&str) -> Result<T, String>) -> Result<PerAgent<T>, String> {
    let mut found = PerAgent { default: None, named: Vec::new() };
    for part in text.split(',').map(str::trim) {
        match part.split_once('=').filter(|(name, _)| !name.contains('/')) {
            Some((name, _)) if found.named.iter().any(|(known, _)| known == name) => {
                return Err(format!("'{name}' stands twice"));
            }
            Some((name, text)) => found.named.push((name.to_owned(), value(text)?)),
            None if found.default.is_some() => return Err("there are two values for all agents".to_owned()),
            None => found.default = Some(value(part)?),
        }
    }
    Ok(found)
}

/// Reads an authentication mode for all agents or for each.
pub fn auth(text: &str) -> Result<PerAgent<AuthMode>, String> {
    per_agent(text, |word| {
        <AuthMode as clap::ValueEnum>::from_str(word, false)
            .map_err(|_| format!("'{word}' is no mode: use auto, sync, copy, token, api-key or ignore"))
    })
}

/// Where captures are.
pub type CaptureSpec = PerAgent<PathBuf>;

/// Reads a capture root, or a directory for each agent. `status` may look at it from elsewhere: the paths become absolute.
pub fn capture(text: &str) -> Result<CaptureSpec, String> {
    // An empty path is the one that has no absolute form, where there is a working directory.
    per_agent(text, |path| std::path::absolute(path).map_err(|_| "a directory is empty".to_owned()))
}

/// A store behind a helper command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSpec {
    /// As the operator wrote it: `exec:CMD ARG...`.
    pub text: String,
    /// Its words.
    pub argv: Vec<OsString>,
}

/// Where logins live between containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StoreChoice {
    /// In a capture directory.
    #[default]
    Directory,
    /// Behind a helper command.
    Exec(StoreSpec),
}

/// Reads `dir` or `exec:CMD ARG...`.
pub fn store(text: &str) -> Result<StoreChoice, String> {
    if text == "dir" {
        return Ok(StoreChoice::Directory);
    }
    let Some(command) = text.strip_prefix("exec:") else {
        return Err(format!("'{text}' is no store: use dir, or exec: and a command"));
    };
    match argv::words(OsStr::new(command)) {
        Some(argv) => Ok(StoreChoice::Exec(StoreSpec { text: text.to_owned(), argv })),
        None => Err("exec: takes a command as plain words: for a pipe or a variable, write a script".to_owned()),
    }
}

/// What of a captured directory goes into the working copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Scope {
    /// The login alone.
    Login,
    /// The login and the agent's settings.
    #[default]
    Settings,
    /// All but locks and caches.
    All,
}

/// When a refreshed login is carried back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SyncMode {
    /// As it happens, and at the end.
    #[default]
    Live,
    /// At the end.
    Exit,
    /// Never.
    Off,
}

/// On, off, or by what else is decided. Whatever is a boolean is a switch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// Always.
    #[value(aliases = ["1", "true", "yes"])]
    On,
    /// Never.
    #[value(aliases = ["0", "false", "no"])]
    Off,
    /// When agent-init itself changes to another user that is not root.
    #[default]
    Auto,
}

/// How a token or key reaches the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Delivery {
    /// In its environment.
    #[default]
    Env,
    /// By a descriptor, where the agent reads one.
    Fd,
}

/// Who gets forwarded signals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Forwarding {
    /// COMMAND's process group.
    #[default]
    Group,
    /// COMMAND alone.
    Process,
}

/// For whom a credential is required.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Requirement {
    /// For nobody.
    #[default]
    Nobody,
    /// For at least one served agent.
    Anybody,
    /// For each of these.
    Named(Vec<String>),
}

/// Reads a yes or no, or names.
pub fn requirement(text: &str) -> Result<Requirement, String> {
    match boolean(text) {
        Ok(true) => Ok(Requirement::Anybody),
        Ok(false) => Ok(Requirement::Nobody),
        Err(_) => list(text).map(Requirement::Named),
    }
}

/// One signal forwarded as another; `to` `None` drops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrite {
    /// The signal that comes.
    pub from: Signal,
    /// The signal that is forwarded.
    pub to: Option<Signal>,
}

/// Reads `FROM:TO`, by names or numbers, with `0` to drop.
pub fn rewrite(text: &str) -> Result<Rewrite, String> {
    let (from, to) = text.split_once(':').ok_or_else(|| "use FROM:TO, or FROM:0 to drop".to_owned())?;
    let to = if to == "0" { None } else { Some(to.parse()?) };
    let from: Signal = from.parse()?;
    if !from.can_be_forwarded() {
        return Err(format!("{from} cannot be caught and forwarded"));
    }
    Ok(Rewrite { from, to })
}

/// Takes a path that is the same wherever it is read.
pub fn absolute(path: PathBuf) -> Result<PathBuf, &'static str> {
    if path.is_absolute() { Ok(path) } else { Err("the path is not absolute") }
}

/// Reads a duration: a number of seconds, or with a unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = match text {
        _ if bare => text.parse().ok().map(Duration::from_secs),
        // humantime's `M` is a month.
        _ if text.contains('M') => None,
        _ => humantime::parse_duration(text).ok(),
    };
    // A year is no wait, and keeps every deadline far from overflow.
    parsed
        .filter(|duration| *duration <= Duration::from_secs(366 * 86_400))
        .ok_or_else(|| "use a duration such as 500ms, 8s, 2m or 1h; a bare number is seconds".to_owned())
}

/// Reads yes or no.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("use 1 or 0, true or false, yes or no, on or off".to_owned()),
    }
}

fn list(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) { Err("an empty name".to_owned()) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let rows = [("8", 8000), ("0", 0), ("500ms", 500), ("8s", 8000), ("2m", 120_000), ("1h", 3_600_000)];
        for (text, millis) in rows {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "-1", "8x", "abc", "99999999999999999999", "1e9", "10years", "2M"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_per_agent() {
        let spec = capture("a=/x,b=/y=z").unwrap();
        assert_eq!(spec.of("a"), Some(&PathBuf::from("/x")));
        assert_eq!(spec.of("b"), Some(&PathBuf::from("/y=z")));
        assert_eq!(spec.of("c"), None);
        assert!(capture("a=").is_err() && capture("").is_err());
        let here = std::env::current_dir().unwrap();
        assert_eq!(capture("./logins").unwrap().of("c"), Some(&here.join("logins")));
        assert_eq!(capture("/with=sign").unwrap().of("c"), Some(&PathBuf::from("/with=sign")));
        let modes = auth("copy,a=token").unwrap();
        assert_eq!((modes.of("a"), modes.of("b")), (Some(&AuthMode::Token), Some(&AuthMode::Copy)));
        for text in ["nope", "a=nope", "copy,sync", "a=copy,a=sync", ""] {
            assert!(auth(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_switches() {
        assert_eq!(agents("a, b,a"), Ok(AgentSelection::Named(vec!["a".into(), "b".into()])));
        assert_eq!(auth("a=copy, b=sync").unwrap().of("b"), Some(&AuthMode::Sync));
        for text in ["1", "0", "TRUE", "false", "yes", "No", "on", "off"] {
            let expected = if boolean(text).unwrap() { Switch::On } else { Switch::Off };
            assert_eq!(<Switch as clap::ValueEnum>::from_str(text, true), Ok(expected), "{text}");
        }
    }

    #[test]
    fn rewrites() {
        assert_eq!(rewrite("TERM:INT").unwrap().to, Some("2".parse().unwrap()));
        assert_eq!(rewrite("15:0").unwrap().to, None);
        for text in ["TERM", "TERM:", ":INT", "TERM:99", "0:TERM", "KILL:TERM", "19:TERM", "CHLD:0"] {
            assert!(rewrite(text).is_err(), "{text}");
        }
    }
}
