//! What could authenticate an agent, and the reader of what the operator gave: variables, files and commands.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use crate::agent::Definition;
use crate::agent::definition::{Method, MethodRule};
use crate::env::Environment;
use crate::error::Failure;
use crate::facts::explicit::{ExplicitSource, ExplicitSources, says};
use crate::fs::untrusted;
use crate::fs::untrusted::{LIMIT, Owners, Unreadable};
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::format::SessionFile;
use crate::login::source::{decode_base64, without_trailing_newlines};
use crate::login::{Document, Login, Secret, Source};
use crate::process::argv;
use crate::process::helpers::Helpers;
use crate::process::task::Bounds;
use crate::sys::dir::Dir;
use crate::sys::privilege;
use crate::sys::stat::Kind;

/// How long a command may take.
const COMMAND_TIME: Duration = Duration::from_secs(30);

/// One thing that could authenticate an agent.
pub struct Candidate<'c> {
    /// By which method.
    pub rule: &'c MethodRule,
    /// Where it is from.
    pub source: Source,
    /// What it is, or why it is of no use.
    pub found: Result<CandidateValue, String>,
    /// When it ends, where that is noted beside it; a login says so itself.
    pub expires_at: Option<SystemTime>,
}

/// Credential material.
pub enum CandidateValue {
    /// The value of a variable.
    Value(Secret),
    /// A login.
    Session(Session),
    /// A setting of the agent's own, in the settings that it gets.
    Setting,
    /// What a command gives that only a start runs.
    Unread,
}

/// A login and its bytes.
pub struct Session {
    /// The file.
    pub bytes: Secret,
    /// What it says.
    pub login: Login,
}

impl Candidate<'_> {
    /// Whether the value begins with this; a setting and a login have none.
    pub fn value_starts_with(&self, prefix: &str) -> bool {
        matches!(&self.found, Ok(CandidateValue::Value(value)) if value.expose_secret().starts_with(prefix.as_bytes()))
    }

    /// Whether it is in the agent's own settings, and stays there.
    pub fn is_setting(&self) -> bool {
        matches!(self.found, Ok(CandidateValue::Setting))
    }

    /// Whether it has ended, and nobody can renew it.
    pub fn has_ended(&self, now: SystemTime) -> bool {
        let ends = match self.session() {
            Some(session) => session.login.expires_at.filter(|_| !session.login.refreshable),
            None => self.expires_at,
        };
        ends.is_some_and(|ends| ends <= now)
    }

    /// The login, if it is a usable one.
    pub fn session(&self) -> Option<&Session> {
        match &self.found {
            Ok(CandidateValue::Session(session)) => Some(session),
            _ => None,
        }
    }
}

/// Reads what was given.
///
/// # Errors
/// What cannot even be read as asked: a missing or unreadable file, a command that fails, text that is no base64, more
/// than [`LIMIT`].
pub fn explicit<'c>(
    definition: &'c Definition,
    given: &mut ExplicitSources,
    reading: &mut Reading<'_, '_>,
) -> anyhow::Result<Vec<Candidate<'c>>> {
    let mut candidates = Vec::new();
    for (name, form) in std::mem::take(&mut given.forms) {
        let rule = definition.methods.iter().find(|rule| rule.variable.as_deref() == Some(&name));
        let Some(rule) = rule.or_else(|| definition.session_rule()) else { continue };
        let source = form.source();
        if reading.passes_over(&form) {
            candidates.push(Candidate { rule, source, found: Ok(CandidateValue::Unread), expires_at: None });
            continue;
        }
        let bytes = reading.content(&form)?;
        let found = match &definition.session {
            Some(session) if rule.method == Method::Session => judge(session, bytes),
            _ => match value(&bytes) {
                Ok(None) => {
                    given.warnings.push(empty(&form));
                    continue;
                }
                Ok(Some(switch)) if rule.method == Method::Cloud => match says(&switch) {
                    Some(true) => Ok(CandidateValue::Value(switch)),
                    Some(false) => continue,
                    // The agent takes it for a no, and would be left with nothing.
                    None => Err("it says neither yes (1, true, yes, on) nor no".to_owned()),
                },
                Ok(Some(value)) => Ok(CandidateValue::Value(value)),
                Err(reason) => Err(reason),
            },
        };
        candidates.push(Candidate { rule, source, found, expires_at: None });
    }
    Ok(candidates)
}

/// Reads what goes with a method, as variables.
///
/// # Errors
/// As [`explicit`].
pub fn companions(given: &mut ExplicitSources, reading: &mut Reading<'_, '_>) -> anyhow::Result<Vec<(String, Secret)>> {
    let mut values = Vec::new();
    for (name, form) in std::mem::take(&mut given.companions) {
        if reading.passes_over(&form) {
            continue;
        }
        match value(&reading.content(&form)?) {
            Ok(Some(value)) => values.push((name, value)),
            Ok(None) => {
                given.warnings.push(empty(&form));
            }
            Err(reason) => return Err(Failure::new(format!("{}: {reason}", form.name())).into()),
        }
    }
    Ok(values)
}

fn empty(form: &ExplicitSource) -> Message {
    Message::warning(format!("{} is empty: it counts as not set", form.name()))
        .event(EventKey::UnusableSource)
        .about(form.name())
}

/// The value that a variable would have: less trailing newlines.
pub(super) fn value(bytes: &Secret) -> Result<Option<Secret>, String> {
    let value = without_trailing_newlines(bytes.expose_secret());
    if value.is_empty() {
        return Ok(None);
    }
    if value.contains(&0) {
        return Err("it has a NUL byte, which no variable can hold".to_owned());
    }
    Ok(Some(Secret::copied(value)))
}

fn judge(session: &SessionFile, bytes: Secret) -> Result<CandidateValue, String> {
    let document = Document::parse(bytes.expose_secret(), session.format).map_err(|defect| defect.to_string())?;
    let login = document.login(session).map_err(|defect| defect.to_string())?;
    Ok(CandidateValue::Session(Session { bytes, login }))
}

/// How forms are read.
pub struct Reading<'r, 's> {
    /// Runs their commands, if they are to be run.
    pub helpers: Option<&'r mut Helpers<'s>>,
    /// What commands find in their environment: what we were started with.
    pub environment: &'r Environment,
}

impl Reading<'_, '_> {
    /// Whether it takes a command to know, and none is to be run.
    fn passes_over(&self, form: &ExplicitSource) -> bool {
        self.helpers.is_none() && matches!(form, ExplicitSource::Command { .. })
    }

    fn content(&mut self, form: &ExplicitSource) -> anyhow::Result<Secret> {
        let too_large = || {
            Failure::new(format!("{} is larger than {LIMIT} bytes", form.name()))
                .hint("a login is a few kB: is it the right one?")
        };
        let bytes = match form {
            ExplicitSource::Value { value, .. } => value.duplicate(),
            ExplicitSource::Base64 { variable, value } => {
                let hint = "encode the login file again: base64 -w0 < FILE";
                let decoded = decode_base64(value.expose_secret());
                Secret::new(decoded.ok_or_else(|| Failure::new(format!("{variable} is not base64")).hint(hint))?)
            }
            ExplicitSource::Command { variable, line } => self.output(variable, line)?,
            ExplicitSource::File { path, .. } | ExplicitSource::Secret { path } => match file(path) {
                Ok(bytes) => bytes,
                Err(Unreadable::TooLarge) => return Err(too_large().into()),
                Err(why) => return Err(unreadable(form, path, &why).into()),
            },
        };
        if bytes.expose_secret().len() as u64 > LIMIT { Err(too_large().into()) } else { Ok(bytes) }
    }

    fn output(&mut self, variable: &str, line: &OsStr) -> anyhow::Result<Secret> {
        let argv = argv::argv(line).ok_or_else(|| Failure::new(format!("{variable} is blank")))?;
        let environment = self.environment.all();
        let bounds = Bounds { time: COMMAND_TIME, output: usize::try_from(LIMIT)? };
        let helpers = self.helpers.as_mut().with_context(|| format!("{variable}: no command is run here"))?;
        Ok(Secret::new(helpers.run(variable, &argv, environment, &[], bounds)?))
    }
}

fn unreadable(form: &ExplicitSource, path: &Path, why: &Unreadable) -> Failure {
    let named = form.name();
    let place = if named == path.display().to_string() { String::new() } else { format!("{named} names ") };
    let hint = match why {
        Unreadable::Missing => "is the secret or volume mounted?".to_owned(),
        Unreadable::NotRegular(Kind::Directory) => {
            "docker makes a directory for a bind mount whose source is missing".to_owned()
        }
        Unreadable::NotRegular(_) => "a pipe or device has no end that could be waited for: name a file".to_owned(),
        _ => format!("this is uid {}: give it the right to read the file", privilege::current().0),
    };
    Failure::new(format!("{place}{}: {why}", path.display())).hint(hint)
}

/// A file that the operator named: links are followed wherever they lead.
///
/// # Errors
/// Why it is not read.
pub fn file(path: &Path) -> Result<Secret, Unreadable> {
    let real = path.canonicalize()?;
    let dir = Dir::open(real.parent().unwrap_or(&real))?;
    let content = untrusted::entry(&dir, real.file_name().unwrap_or(OsStr::new("")), &Owners::Any)?;
    Ok(Secret::new(content.bytes))
}

/// The value of a material as an environment string.
pub fn as_variable(secret: &Secret) -> OsString {
    OsStr::from_bytes(secret.expose_secret()).to_owned()
}
