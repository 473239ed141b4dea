//! The values of options, and how they are read. Pure, except that a relative capture is resolved against the working
//! directory.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::choices::{AuthMode, Boolean};
use super::invalid::Invalid;
use super::words;
use crate::agent::definition::Method;
use crate::looks;
use crate::looks::quoted;
use crate::process::argv;
use crate::sys::signal::Signal;

/// Which agents are served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AgentSelection {
    /// The one that COMMAND starts, and those that were given a credential.
    #[default]
    Auto,
    /// None: a plain init.
    Nobody,
    /// These.
    Named(Vec<String>),
}

/// Reads `auto`, `none` or names. A name that is given twice counts once.
pub(crate) fn agents(text: &str) -> Result<AgentSelection, Invalid> {
    match text {
        "auto" => Ok(AgentSelection::Auto),
        "none" => Ok(AgentSelection::Nobody),
        names => {
            let mut named = Vec::new();
            for name in agent_names(names)? {
                if !named.contains(&name) {
                    named.push(name);
                }
            }
            Ok(AgentSelection::Named(named))
        }
    }
}

fn agent_names(text: &str) -> Result<Vec<String>, Invalid> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        let hint = "separate names by single commas; agent-init agents lists them";
        return Err(Invalid::new("the name of an agent is empty", hint));
    }
    Ok(names)
}

/// A value for all agents, and others for some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PerAgent<T> {
    /// For agents that are not named.
    pub for_all: T,
    /// For agents by name.
    pub named: Vec<(String, T)>,
}

impl<T> PerAgent<T> {
    /// The same value for every agent.
    pub fn all(value: T) -> PerAgent<T> {
        PerAgent { for_all: value, named: Vec::new() }
    }

    /// The value for an agent.
    pub fn of(&self, agent: &str) -> &T {
        self.of_named(agent).unwrap_or(&self.for_all)
    }

    /// The value that an agent was given by its name.
    pub fn of_named(&self, agent: &str) -> Option<&T> {
        self.named.iter().find(|(name, _)| name == agent).map(|(_, value)| value)
    }

    /// The agents that are named.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|(name, _)| name.as_str())
    }
}

/// Reads `VALUE` or `agent=VALUE,...`. A part whose name would contain a slash is a path with an equals sign in it.
fn per_agent<T: Default>(
    text: &str,
    value: impl Fn(&str) -> Result<T, Invalid>,
    placeholder: &str,
) -> Result<PerAgent<T>, Invalid> {
    let mut found = PerAgent::<T>::default();
    let mut has_one_for_all = false;
    let hint = || format!("use {placeholder}, or NAME={placeholder} for one agent, separated by commas");
    for part in text.split(',').map(str::trim) {
        match part.split_once('=').filter(|(name, _)| !name.contains('/')) {
            Some((name, _)) if found.of_named(name).is_some() => {
                return Err(Invalid::new(format!("{} is given twice", quoted(OsStr::new(name))), hint()));
            }
            Some((name, text)) => {
                let value = value(text).map_err(|invalid| {
                    let is_shown = [name, text].iter().all(|word| looks::shown_word(OsStr::new(word)).is_some());
                    let what = if is_shown { format!("{} in '{part}'", invalid.what) } else { invalid.what };
                    Invalid { what, ..invalid }
                })?;
                found.named.push((name.to_owned(), value));
            }
            None if has_one_for_all => return Err(Invalid::new("there are two values for all agents", hint())),
            None => {
                found.for_all = value(part)?;
                has_one_for_all = true;
            }
        }
    }
    Ok(found)
}

/// Reads an authentication mode, for all agents or for each.
pub(crate) fn auth(text: &str) -> Result<PerAgent<AuthMode>, Invalid> {
    per_agent(text, words::parse, "MODE")
}

/// Where captures are: the root for all agents, if one is given, and the directories of some agents. Without a root it is
/// `/capture`, if that exists.
pub type CaptureDirs = PerAgent<Option<PathBuf>>;

impl CaptureDirs {
    /// Whether any capture is given.
    pub fn is_given(&self) -> bool {
        self.directories().next().is_some()
    }

    /// Every directory that is given, whichever agent it is for.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        let named = self.named.iter().filter_map(|(_, directory)| directory.as_deref());
        self.for_all.as_deref().into_iter().chain(named)
    }
}

/// Reads a capture root, or a directory for each agent. Paths become absolute, because `status` may look from elsewhere.
pub(crate) fn captures(text: &str) -> Result<CaptureDirs, Invalid> {
    let directory = |given: &str| {
        // Where there is a working directory, only the empty path has no absolute form.
        let path = std::path::absolute(given).map_err(|_| {
            Invalid::new("the name of a directory is empty", "use DIR, or NAME=DIR for one agent, separated by commas")
        })?;
        // A relative one is not shown, so no later message could say which it is.
        if !Path::new(given).is_absolute() && !path.is_dir() {
            return Err(Invalid::new(
                "the directory does not exist",
                "name an existing directory, best by an absolute path",
            ));
        }
        Ok(Some(path))
    };
    per_agent(text, directory, "DIR")
}

/// A store behind a helper command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSpec {
    /// As it was given: `exec:CMD ARG...`.
    pub text: String,
    /// The words of CMD.
    pub argv: Vec<OsString>,
}

/// Where logins are kept between containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StoreChoice {
    /// In a capture directory.
    #[default]
    Directory,
    /// Behind a helper command.
    Exec(StoreSpec),
}

impl StoreChoice {
    /// The helper, if the store is behind one.
    pub fn helper(&self) -> Option<&StoreSpec> {
        match self {
            StoreChoice::Exec(spec) => Some(spec),
            StoreChoice::Directory => None,
        }
    }
}

/// Reads `dir` or `exec:CMD ARG...`.
pub(crate) fn store(text: &str) -> Result<StoreChoice, Invalid> {
    if text == "dir" {
        return Ok(StoreChoice::Directory);
    }
    let Some(command) = text.strip_prefix("exec:") else {
        return Err(Invalid::new(
            format!("unknown store {}", quoted(OsStr::new(text))),
            "use dir, or exec: followed by a command",
        ));
    };
    match argv::words(OsStr::new(command)) {
        Some(argv) => Ok(StoreChoice::Exec(StoreSpec { text: text.to_owned(), argv })),
        None => Err(Invalid::new(
            "the command after exec: is not a list of plain words",
            "put pipes, variables and redirections into a script and name that",
        )),
    }
}

/// Reads the command of `--on-event`.
pub(crate) fn command(text: &OsStr) -> Result<Vec<OsString>, Invalid> {
    argv::argv(text).ok_or_else(|| Invalid::new("the command is empty", "leave the option out to run nothing"))
}

/// Who runs the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UserChoice {
    /// The user that agent-init was started as.
    #[default]
    Unchanged,
    /// `USER[:GROUP]`, by names or numbers.
    Named(String),
    /// The owner of a path.
    OwnerOf(PathBuf),
}

/// Which credentials must be there before the agent starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Requirement {
    /// None.
    #[default]
    Nobody,
    /// One, of any agent that is served.
    Anybody,
    /// One for each of these agents.
    Named(Vec<String>),
}

/// Reads a boolean or names.
pub(crate) fn requirement(text: &str) -> Result<Requirement, Invalid> {
    match boolean(text) {
        Ok(true) => Ok(Requirement::Anybody),
        Ok(false) => Ok(Requirement::Nobody),
        Err(_) => agent_names(text).map(Requirement::Named),
    }
}

/// A signal that is forwarded as another one, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrite {
    /// The signal that arrives.
    pub from: Signal,
    /// The signal that is forwarded; `None` drops it.
    pub to: Option<Signal>,
}

/// Reads `FROM:TO`, by names or numbers, where TO may be `0`.
pub(crate) fn rewrite(text: &str) -> Result<Rewrite, Invalid> {
    let hint = "use FROM:TO, each the name or number of a signal, or FROM:0 to drop FROM: TERM:INT, 15:2, USR1:0";
    let invalid = || Invalid::new(format!("{} is not a pair of signals", quoted(OsStr::new(text))), hint);
    let (from, to) = text.split_once(':').ok_or_else(invalid)?;
    let from: Signal = from.parse().map_err(|_| invalid())?;
    let to = if to == "0" { None } else { Some(to.parse().map_err(|_| invalid())?) };
    if !from.can_be_forwarded() {
        return Err(Invalid::new(
            format!("{from} cannot be caught and forwarded"),
            "use any signal but KILL, STOP and CHLD",
        ));
    }
    Ok(Rewrite { from, to })
}

/// Reads `FROM:TO,...`.
pub(crate) fn rewrites(text: &str) -> Result<Vec<Rewrite>, Invalid> {
    text.split(',').map(rewrite).collect()
}

/// Reads a signal by name or number.
pub(crate) fn signal(text: &str) -> Result<Signal, Invalid> {
    let hint = "use a name or a number: TERM, SIGUSR1, RTMIN+3, 15";
    text.parse().map_err(|_: String| Invalid::new(format!("{} is not a signal", quoted(OsStr::new(text))), hint))
}

/// Reads a signal that starts the stop.
pub(crate) fn stop_signal(text: &str) -> Result<Signal, Invalid> {
    let signal = signal(text)?;
    if !signal.can_be_forwarded() {
        let hint = "use a signal that can be caught and forwarded, such as TERM or INT";
        return Err(Invalid::new(format!("{signal} cannot start a stop"), hint));
    }
    Ok(signal)
}

/// Reads methods in the order of preference.
pub(crate) fn methods(text: &str) -> Result<Vec<Method>, Invalid> {
    text.split(',').map(|word| words::parse(word.trim())).collect()
}

/// Reads a path that means the same wherever it is read.
pub(crate) fn absolute(path: &OsStr) -> Result<PathBuf, Invalid> {
    let hint = "use an absolute path: one that begins with /";
    if path.is_empty() {
        return Err(Invalid::new("the path is empty", hint));
    }
    let path = PathBuf::from(path);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Invalid::new(format!("{} is not absolute", quoted(path.as_os_str())), hint))
    }
}

/// Reads the path of something that exists.
pub(crate) fn path(path: &OsStr) -> Result<PathBuf, Invalid> {
    if path.is_empty() { Err(Invalid::new("the path is empty", "name a path")) } else { Ok(path.into()) }
}

/// A year: no sensible wait is longer, and no deadline made from a shorter one overflows.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Reads a number of seconds, or a number with a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, Invalid> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = match text {
        _ if is_number => text.parse().ok().map(Duration::from_secs),
        // To humantime `M` is a month.
        _ if text.contains('M') => None,
        _ => humantime::parse_duration(text).ok(),
    };
    let hint = "use a number with a unit, such as 500ms, 8s, 2m, 1h or 7d; a number without one is seconds";
    match parsed {
        Some(duration) if duration <= LONGEST => Ok(duration),
        Some(_) => Err(Invalid::new(format!("{} is longer than a year", quoted(OsStr::new(text))), hint)),
        None => Err(Invalid::new(format!("{} is not a duration", quoted(OsStr::new(text))), hint)),
    }
}

/// Reads a boolean in any of its spellings.
///
/// # Errors
/// What is accepted.
pub fn boolean(text: &str) -> Result<bool, Invalid> {
    match words::parse_any_case(text) {
        Ok(Boolean::On) => Ok(true),
        Ok(Boolean::Off) => Ok(false),
        Err(invalid) => Err(Invalid { hint: "use 1 or 0, true or false, yes or no, on or off".to_owned(), ..invalid }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::choices::Switch;
    use super::*;

    #[test]
    fn durations() {
        let rows = [
            ("8", 8000),
            ("0", 0),
            ("500ms", 500),
            ("8s", 8000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ];
        for (text, millis) in rows {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "-1", "8x", "abc", "99999999999999999999", "1e9", "10years", "2M", "8 parsecs"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn captures_by_agent() {
        let spec = captures("a=/x,b=/y=z").unwrap();
        assert_eq!(spec.of("a").as_deref(), Some(Path::new("/x")));
        assert_eq!(spec.of("b").as_deref(), Some(Path::new("/y=z")));
        assert_eq!((spec.of("c"), spec.for_all.is_none(), spec.is_given()), (&None, true, true));
        assert_eq!(spec.directories().count(), 2);
        for text in ["a=", "", "/x,/y", "a=/x,a=/y"] {
            assert!(captures(text).is_err(), "{text}");
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(captures("./src").unwrap().of("c").as_deref(), Some(&*here.join("src")));
        assert!(captures("./FAKE-nosuch").unwrap_err().what.contains("does not exist"));
        assert_eq!(captures("/with=sign").unwrap().for_all.as_deref(), Some(Path::new("/with=sign")));
        assert!(!CaptureDirs::default().is_given());
    }

    #[test]
    fn modes_by_agent() {
        let modes = auth("copy,a=token").unwrap();
        assert_eq!((modes.of("a"), modes.of("b")), (&AuthMode::Token, &AuthMode::Copy));
        let modes = auth("a=copy, b=sync").unwrap();
        assert_eq!((modes.of("b"), modes.of("c")), (&AuthMode::Sync, &AuthMode::Auto));
        for text in ["nope", "a=nope", "copy,sync", "a=copy,a=sync", "", "COPY"] {
            assert!(auth(text).is_err(), "{text}");
        }
        let unknown = auth("synch").unwrap_err();
        assert_eq!(unknown.what, "unknown mode 'synch'");
        assert_eq!(unknown.hint, "use auto, sync, copy, follow, token, api-key or ignore");
    }

    #[test]
    fn agents_by_name() {
        assert_eq!(agents("a, b,a"), Ok(AgentSelection::Named(vec!["a".into(), "b".into()])));
        assert_eq!((agents("auto"), agents("none")), (Ok(AgentSelection::Auto), Ok(AgentSelection::Nobody)));
        for text in ["", "a,", ",a", "a,,b"] {
            assert!(agents(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_boolean_is_a_switch() {
        for text in ["1", "0", "TRUE", "false", "yes", "No", "on", "off"] {
            let expected = if boolean(text).unwrap() { Switch::On } else { Switch::Off };
            assert_eq!(words::parse_any_case(text), Ok(expected), "{text}");
        }
        assert!(boolean("auto").is_err() && boolean("").is_err());
        assert_eq!(words::parse_any_case("Auto"), Ok(Switch::Auto));
    }

    #[test]
    fn requirements() {
        assert_eq!((requirement("on"), requirement("No")), (Ok(Requirement::Anybody), Ok(Requirement::Nobody)));
        assert_eq!(requirement("a,b"), Ok(Requirement::Named(vec!["a".into(), "b".into()])));
        assert!(requirement("").is_err());
    }

    #[test]
    fn signals() {
        assert_eq!(rewrite("TERM:INT").unwrap().to, Some("2".parse().unwrap()));
        assert_eq!(rewrite("15:0").unwrap().to, None);
        for text in ["TERM", "TERM:", ":INT", "TERM:99", "0:TERM", "KILL:TERM", "19:TERM", "CHLD:0"] {
            assert!(rewrite(text).is_err(), "{text}");
        }
        assert_eq!(rewrites("15:2,1:0").unwrap().len(), 2);
        assert!(stop_signal("KILL").is_err() && stop_signal("CHLD").is_err() && stop_signal("NOPE").is_err());
    }

    #[test]
    fn stores() {
        assert_eq!(store("dir"), Ok(StoreChoice::Directory));
        assert_eq!(store("exec:a 'b c'").unwrap().helper().unwrap().argv, ["a", "b c"]);
        for text in ["vault", "exec:", "exec:a | b", ""] {
            assert!(store(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths() {
        assert_eq!(absolute(OsStr::new("/x")), Ok("/x".into()));
        for text in ["", "x/y", "./x"] {
            assert!(absolute(OsStr::new(text)).is_err(), "{text}");
        }
    }
}
