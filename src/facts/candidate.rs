//! The credentials that were found, and the reader of explicit sources: variables, files and commands.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use zeroize::Zeroizing;

use crate::agent::definition::{Method, MethodRule};
use crate::agent::{Catalog, Definition};
use crate::env::Environment;
use crate::error::Failure;
use crate::facts::advice;
use crate::facts::explicit::{ExplicitSource, ExplicitSources, switch_value};
use crate::fs::untrusted;
use crate::fs::untrusted::{LIMIT, Owners, Unreadable};
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::file::{FileStamp, LoginFile};
use crate::login::follower::following;
use crate::login::format::SessionFile;
use crate::login::merge::LoginState;
use crate::login::names::Suffix;
use crate::login::source::{decode_base64, without_trailing_newlines};
use crate::login::wrapped::unwrapped;
use crate::login::{Advice, Defect, Document, Login, Secret, Source, Unusable};
use crate::looks;
use crate::looks::{Look, Shown};
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
    pub found: Result<CandidateValue, Unusable>,
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
    /// The stamp of its file, if that tells every later change.
    pub stamp: Option<FileStamp>,
}

impl Session {
    /// The file that it was read from, if its stamp tells every later change.
    pub fn file(&self) -> Option<LoginFile> {
        let bytes = Zeroizing::new(self.bytes.expose_secret().to_vec());
        Some(LoginFile { state: LoginState::Valid(self.login.clone()), bytes: Some(bytes), stamp: Some(self.stamp?) })
    }
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

    /// Takes the refresh token out of a login ([`following`]).
    pub(super) fn follow(&mut self, session: &SessionFile) {
        let Some(found) = self.session() else { return };
        let bytes = Zeroizing::new(found.bytes.expose_secret().to_vec());
        let state = LoginState::Valid(found.login.clone());
        let file = following(LoginFile { state, bytes: Some(bytes), stamp: found.stamp }, session);
        self.found = match (file.state, file.bytes) {
            (LoginState::Valid(login), Some(bytes)) => {
                Ok(CandidateValue::Session(Session { bytes: Secret::new(bytes), login, stamp: file.stamp }))
            }
            (LoginState::Damaged(why), _) => Err(Unusable::Damaged(why)),
            _ => Err(Unusable::LoggedOut),
        };
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
            Some(session) if rule.method == Method::Session => {
                let bytes = unwrapped(bytes.into_bytes(), session.format);
                parse_session(session, bytes)
                    .map_err(|(bytes, defect)| advice::not_a_login(definition, reader.catalog, &bytes, defect))
            }
            _ => match method_value(&bytes) {
                Ok(None) => {
                    explicit.warnings.push(empty_warning(&explicit_source, &bytes));
                    continue;
                }
                Ok(Some(switch)) if rule.method == Method::Cloud => match switch_value(&switch) {
                    Some(true) => Ok(CandidateValue::Value(switch)),
                    Some(false) => continue,
                    // The agent would take it for a no and have no credential.
                    None => Err(Unusable::Switch),
                },
                Ok(Some(value)) => {
                    let doubt = advice::doubt(definition, rule, value.expose_secret());
                    explicit.warnings.extend(doubt.map(|doubt| doubtful(definition, &explicit_source, &doubt)));
                    Ok(CandidateValue::Value(value))
                }
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
        let bytes = reader.read(&source)?;
        match variable_value(&bytes) {
            Ok(Some(value)) => values.push((name, value)),
            Ok(None) => explicit.warnings.push(empty_warning(&source, &bytes)),
            Err(reason) => return Err(Failure::new(format!("{}: {reason}", source.name())).into()),
        }
    }
    Ok(values)
}

fn empty_warning(source: &ExplicitSource, bytes: &Secret) -> Message {
    let is_empty = without_trailing_newlines(bytes.expose_secret()).is_empty();
    let look = if is_empty { Look::Empty } else { Look::Blank };
    Message::warning(format!("{} is ignored: it {look}", source.name()))
        .event(EventKey::UnusableSource)
        .about(source.name())
}

/// A value that is used, and looks like something else.
fn doubtful(definition: &Definition, source: &ExplicitSource, doubt: &Advice) -> Message {
    let (agent, name) = (&definition.name, source.name());
    Message::warning(format!("{agent}: {name}: {doubt}"))
        .event(EventKey::DoubtfulValue)
        .agent(agent)
        .about(name)
        .hint("the agent gets it as it is; only the vendor knows whether it is valid")
}

/// The value of a method's variable. One that no vendor accepts is unusable.
fn method_value(bytes: &Secret) -> Result<Option<Secret>, Unusable> {
    let value = variable_value(bytes)?;
    let look = value.as_ref().map(|value| Look::of(value.expose_secret()));
    match look {
        Some(look @ (Look::Control | Look::Unexpanded)) => Err(Unusable::Value(look)),
        _ => Ok(value),
    }
}

/// The content as the value of a variable: without trailing newlines. `None` if nothing is left but blanks and quotes.
pub(super) fn variable_value(bytes: &Secret) -> Result<Option<Secret>, Unusable> {
    let value = without_trailing_newlines(bytes.expose_secret());
    if looks::is_blank(value) {
        return Ok(None);
    }
    if value.contains(&0) {
        return Err(Unusable::Nul);
    }
    Ok(Some(Secret::copied(value)))
}

fn parse_session(
    session: &SessionFile,
    bytes: Zeroizing<Vec<u8>>,
) -> Result<CandidateValue, (Zeroizing<Vec<u8>>, Defect)> {
    match Document::parse(&bytes, session.format).and_then(|document| document.login(session)) {
        Ok(login) => Ok(CandidateValue::Session(Session { bytes: Secret::new(bytes), login, stamp: None })),
        Err(defect) => Err((bytes, defect)),
    }
}

/// Reads explicit sources.
pub struct SourceReader<'r, 's> {
    /// Runs commands; `None` leaves them unread.
    pub helpers: Option<&'r mut Helpers<'s>>,
    /// The environment of the commands: the one that agent-init was started with.
    pub environment: &'r Environment,
    /// The known agents, whose logins may be taken for one another.
    pub catalog: &'r Catalog,
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
                let text = value.expose_secret();
                // The file itself is as good.
                let decoded = if Look::of(text) == Look::Json { None } else { Some(decode_base64(text)) };
                match decoded {
                    None => value.duplicate(),
                    Some(Some(decoded)) => Secret::new(decoded),
                    Some(None) => return Err(Failure::new(format!("{variable} is not base64")).hint(hint).into()),
                }
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
    let shown = Shown(path);
    let named_by = if name == path.display().to_string() { String::new() } else { format!("{name} names ") };
    if !looks::is_shown(path) {
        let look = match Look::of(path.as_os_str().as_bytes()) {
            Look::Other | Look::Path => String::new(),
            look => format!(": it {look}"),
        };
        return Failure::new(format!("{name} holds no absolute path{look}")).hint(not_a_path_hint(source, path));
    }
    let hint = match why {
        Unreadable::Missing => "is the secret or volume mounted?".to_owned(),
        Unreadable::NotRegular(Kind::Directory) => {
            "docker makes a directory for a bind mount whose source is missing".to_owned()
        }
        Unreadable::NotRegular(_) => "name a regular file: a pipe or device may never end".to_owned(),
        _ => format!("make the file readable for uid {}", privilege::current().0),
    };
    Failure::new(format!("{named_by}{shown}: {why}")).hint(hint)
}

/// What to do if a variable holds something else than a path.
fn not_a_path_hint(source: &ExplicitSource, path: &Path) -> String {
    let name = source.name();
    let plain = name.strip_suffix(Suffix::File.text()).unwrap_or(&name);
    match Look::of(path.as_os_str().as_bytes()) {
        Look::Quoted | Look::HomePath | Look::Control | Look::Unexpanded => {
            "write the absolute path without quotes, ~, variables and line ends".to_owned()
        }
        _ => format!("set {name} to an absolute path; the value itself belongs into {plain}"),
    }
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
