//! The credentials that were found, and the reader of explicit sources: variables, files and commands.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use crate::agent::Definition;
use crate::agent::definition::{Method, MethodRule};
use crate::env::Environment;
use crate::error::Failure;
use crate::facts::explicit::{ExplicitSource, ExplicitSources, switch_value};
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

const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A credential that was found, usable or not.
pub struct Candidate<'c> {
    /// The method by which it authenticates.
    pub rule: &'c MethodRule,
    pub source: Source,
    /// The credential, or why it is unusable.
    pub found: Result<CandidateValue, String>,
    /// When a token expires, if its metadata says so. A login contains its own expiry.
    pub expires_at: Option<SystemTime>,
}

pub enum CandidateValue {
    /// The value of a variable.
    Value(Secret),
    Session(Session),
    /// An entry in the agent's own settings, which stays there.
    Setting,
    /// Only a start runs the command or asks the store.
    Unread,
}

/// A login, parsed and as it is stored.
pub struct Session {
    /// The content of the login file.
    pub bytes: Secret,
    pub login: Login,
}

impl Candidate<'_> {
    /// Whether the value of a token or key begins with `prefix`. Settings and logins have no value.
    pub fn value_starts_with(&self, prefix: &str) -> bool {
        matches!(&self.found, Ok(CandidateValue::Value(value)) if value.expose_secret().starts_with(prefix.as_bytes()))
    }

    pub fn is_setting(&self) -> bool {
        matches!(self.found, Ok(CandidateValue::Setting))
    }

    /// Whether it has expired and cannot be refreshed.
    pub fn has_ended(&self, now: SystemTime) -> bool {
        let expires_at = match self.session() {
            Some(session) if session.login.refreshable => None,
            Some(session) => session.login.expires_at,
            None => self.expires_at,
        };
        expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// The login, if this is a usable one.
    pub fn session(&self) -> Option<&Session> {
        match &self.found {
            Ok(CandidateValue::Session(session)) => Some(session),
            _ => None,
        }
    }
}

/// Reads the explicit sources of methods and logins.
///
/// A source that cannot be read at all is an error: a missing or unreadable file, a command that fails, text that is
/// not base64, more than [`LIMIT`] bytes. Readable content that is not a credential makes an unusable candidate.
pub fn read_explicit<'c>(
    definition: &'c Definition,
    explicit: &mut ExplicitSources,
    reader: &mut SourceReader<'_, '_>,
) -> anyhow::Result<Vec<Candidate<'c>>> {
    let mut candidates = Vec::new();
    for (name, explicit_source) in std::mem::take(&mut explicit.sources) {
        let rule = definition.methods.iter().find(|rule| rule.variable.as_deref() == Some(&name));
        let Some(rule) = rule.or_else(|| definition.session_rule()) else { continue };
        let source = explicit_source.source();
        if reader.leaves_unread(&explicit_source) {
            candidates.push(Candidate { rule, source, found: Ok(CandidateValue::Unread), expires_at: None });
            continue;
        }
        let bytes = reader.read(&explicit_source)?;
        let found = match &definition.session {
            Some(session) if rule.method == Method::Session => parse_session(session, bytes),
            _ => match variable_value(&bytes) {
                Ok(None) => {
                    explicit.warnings.push(empty_warning(&explicit_source));
                    continue;
                }
                Ok(Some(switch)) if rule.method == Method::Cloud => match switch_value(&switch) {
                    Some(true) => Ok(CandidateValue::Value(switch)),
                    Some(false) => continue,
                    // The agent would take it for a no and have no credential.
                    None => Err("its value is neither yes (1, true, yes, on) nor no".to_owned()),
                },
                Ok(Some(value)) => Ok(CandidateValue::Value(value)),
                Err(reason) => Err(reason),
            },
        };
        candidates.push(Candidate { rule, source, found, expires_at: None });
    }
    Ok(candidates)
}

/// Reads the variables that accompany a method.
pub fn read_companions(
    explicit: &mut ExplicitSources,
    reader: &mut SourceReader<'_, '_>,
) -> anyhow::Result<Vec<(String, Secret)>> {
    let mut values = Vec::new();
    for (name, source) in std::mem::take(&mut explicit.companions) {
        if reader.leaves_unread(&source) {
            continue;
        }
        match variable_value(&reader.read(&source)?) {
            Ok(Some(value)) => values.push((name, value)),
            Ok(None) => explicit.warnings.push(empty_warning(&source)),
            Err(reason) => return Err(Failure::new(format!("{}: {reason}", source.name())).into()),
        }
    }
    Ok(values)
}

fn empty_warning(source: &ExplicitSource) -> Message {
    Message::warning(format!("{} is ignored: it is empty", source.name()))
        .event(EventKey::UnusableSource)
        .about(source.name())
}

/// The content as the value of a variable: without trailing newlines. `None` if nothing is left.
pub(super) fn variable_value(bytes: &Secret) -> Result<Option<Secret>, String> {
    let value = without_trailing_newlines(bytes.expose_secret());
    if value.is_empty() {
        return Ok(None);
    }
    if value.contains(&0) {
        return Err("it contains a NUL byte, which a variable cannot hold".to_owned());
    }
    Ok(Some(Secret::copied(value)))
}

fn parse_session(session: &SessionFile, bytes: Secret) -> Result<CandidateValue, String> {
    let document = Document::parse(bytes.expose_secret(), session.format).map_err(|defect| defect.to_string())?;
    let login = document.login(session).map_err(|defect| defect.to_string())?;
    Ok(CandidateValue::Session(Session { bytes, login }))
}

/// Reads explicit sources.
pub struct SourceReader<'r, 's> {
    /// Runs commands; `None` leaves them unread.
    pub helpers: Option<&'r mut Helpers<'s>>,
    /// The environment of the commands: the one that agent-init was started with.
    pub environment: &'r Environment,
}

impl SourceReader<'_, '_> {
    fn leaves_unread(&self, source: &ExplicitSource) -> bool {
        self.helpers.is_none() && matches!(source, ExplicitSource::Command { .. })
    }

    fn read(&mut self, source: &ExplicitSource) -> anyhow::Result<Secret> {
        let too_large = || {
            Failure::new(format!("{} is larger than {LIMIT} bytes", source.name()))
                .hint("a login has a few kB: check that this is the right file")
        };
        let bytes = match source {
            ExplicitSource::Value { value, .. } => value.duplicate(),
            ExplicitSource::Base64 { variable, value } => {
                let hint = "encode the login file again: base64 -w0 < FILE";
                let decoded = decode_base64(value.expose_secret());
                Secret::new(decoded.ok_or_else(|| Failure::new(format!("{variable} is not base64")).hint(hint))?)
            }
            ExplicitSource::Command { variable, line } => self.run_command(variable, line)?,
            ExplicitSource::File { path, .. } | ExplicitSource::Secret { path } => match read_named_file(path) {
                Ok(bytes) => bytes,
                Err(Unreadable::TooLarge) => return Err(too_large().into()),
                Err(why) => return Err(unreadable(source, path, &why).into()),
            },
        };
        if bytes.expose_secret().len() as u64 > LIMIT { Err(too_large().into()) } else { Ok(bytes) }
    }

    fn run_command(&mut self, variable: &str, line: &OsStr) -> anyhow::Result<Secret> {
        let argv = argv::argv(line).ok_or_else(|| Failure::new(format!("{variable} is blank")))?;
        let environment = self.environment.all();
        let bounds = Bounds { time: COMMAND_TIMEOUT, output: usize::try_from(LIMIT)? };
        let helpers =
            self.helpers.as_mut().with_context(|| format!("{variable}: this command does not run helpers"))?;
        Ok(Secret::new(helpers.run(variable, &argv, environment, &[], bounds)?))
    }
}

fn unreadable(source: &ExplicitSource, path: &Path, why: &Unreadable) -> Failure {
    let name = source.name();
    let named_by = if name == path.display().to_string() { String::new() } else { format!("{name} names ") };
    let hint = match why {
        Unreadable::Missing => "is the secret or volume mounted?".to_owned(),
        Unreadable::NotRegular(Kind::Directory) => {
            "docker makes a directory for a bind mount whose source is missing".to_owned()
        }
        Unreadable::NotRegular(_) => "name a regular file: a pipe or device may never end".to_owned(),
        _ => format!("make the file readable for uid {}", privilege::current().0),
    };
    Failure::new(format!("{named_by}{}: {why}", path.display())).hint(hint)
}

/// Reads a file that the operator named. Links are followed wherever they lead.
pub fn read_named_file(path: &Path) -> Result<Secret, Unreadable> {
    let real = path.canonicalize()?;
    let dir = Dir::open(real.parent().unwrap_or(&real))?;
    let content = untrusted::entry(&dir, real.file_name().unwrap_or(OsStr::new("")), &Owners::Any)?;
    Ok(Secret::new(content.bytes))
}

pub fn as_variable(secret: &Secret) -> OsString {
    OsStr::from_bytes(secret.expose_secret()).to_owned()
}
