//! What was found that could authenticate an agent: the one reader of its variables, secret files and login files.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::agent::Definition;
use crate::agent::definition::{Method, MethodRule, SessionFile};
use crate::cli::value;
use crate::credential::source::{LIMIT, decode_base64, without_trailing_newlines};
use crate::credential::{Document, Login, Secret, Source};
use crate::plan::identity::Identity;
use crate::plan::place::PlaceFacts;
use crate::report::{Failure, Message};
use crate::store::Capture;
use crate::sync::reconcile::Version;
use crate::sys::dir::Dir;
use crate::sys::privilege;
use crate::workcopy::read::{self, Copy, Owners, Unreadable};

use super::Environment;

/// One thing that could authenticate an agent.
pub struct Offer<'c> {
    /// By which method.
    pub rule: &'c MethodRule,
    /// Where it is from.
    pub source: Source,
    /// What it is, or why it is of no use.
    pub found: Result<Material, String>,
}

/// Credential material.
pub enum Material {
    /// The value of a variable.
    Value(Secret),
    /// A login.
    Session(Session),
}

/// A login and its bytes.
pub struct Session {
    /// The file.
    pub bytes: Secret,
    /// What it says.
    pub login: Login,
}

impl Offer<'_> {
    /// The login, if it is a usable one.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        match &self.found {
            Ok(Material::Session(session)) => Some(session),
            _ => None,
        }
    }
}

/// What the operator gave an agent: at most one form of each thing.
#[derive(Default)]
pub struct Given {
    forms: Vec<(String, Form)>,
    /// What reading found worth a word.
    pub warnings: Vec<Message>,
}

/// One form in which a thing was given.
enum Form {
    Value { variable: String, value: Secret },
    Base64 { variable: String, value: Secret },
    File { variable: String, path: PathBuf },
    Secret { path: PathBuf },
}

impl Form {
    fn name(&self) -> String {
        match self {
            Form::Value { variable, .. } | Form::Base64 { variable, .. } | Form::File { variable, .. } => {
                variable.clone()
            }
            Form::Secret { path } => path.display().to_string(),
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Form::File { path, .. } | Form::Secret { path } => Some(path),
            Form::Value { .. } | Form::Base64 { .. } => None,
        }
    }

    fn source(&self) -> Source {
        match self {
            Form::Value { variable, .. } | Form::Base64 { variable, .. } => Source::Env(variable.clone()),
            Form::File { path, .. } => Source::File(path.clone()),
            Form::Secret { path } => Source::Secret(path.clone()),
        }
    }
}

impl Given {
    /// Whether there is anything.
    #[must_use]
    pub fn is_explicit(&self) -> bool {
        !self.forms.is_empty()
    }
}

/// The directories of secret files.
#[must_use]
pub fn secret_directories(option: Option<&OsStr>, environment: &Environment) -> Vec<PathBuf> {
    let credentials = environment.get_filled("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let usual = || std::iter::once(PathBuf::from("/run/secrets")).chain(credentials).collect();
    let named: Vec<PathBuf> = option.map_or_else(usual, |option| std::env::split_paths(option).collect());
    // Most containers have none: one look here saves a look for every name.
    named.into_iter().filter(|path| path.is_dir()).collect()
}

/// What was given explicitly, as forms; nothing but names is looked at.
///
/// # Errors
/// Two forms of one thing, and a form that this version does not know.
pub fn given(definition: &Definition, environment: &Environment, directories: &[PathBuf]) -> anyhow::Result<Given> {
    let mut given = Given::default();
    for variable in definition.methods.iter().filter_map(|rule| rule.variable.as_deref()) {
        let files = [variable.to_owned(), variable.to_ascii_lowercase()];
        given.look(variable, &files, false, environment, directories)?;
    }
    if let Some(session) = &definition.session {
        let variable = definition.session_variable();
        let lower = variable.to_ascii_lowercase();
        let files = [lower.clone(), format!("{lower}.json"), session.file.clone()];
        given.look(&variable, &files, true, environment, directories)?;
    }
    Ok(given)
}

impl Given {
    fn look(
        &mut self,
        name: &str,
        files: &[String],
        is_session: bool,
        environment: &Environment,
        directories: &[PathBuf],
    ) -> anyhow::Result<()> {
        let mut forms = Vec::new();
        let mut filled = |variable: String| match environment.get(&variable) {
            Some(value) if value.is_empty() => {
                self.warnings.push(Message::warning(format!("{variable} is set and empty: it counts as not set")));
                None
            }
            value => value.map(|value| (variable, value)),
        };
        let secret = |value: &OsStr| Secret::copied(value.as_bytes());
        forms.extend(filled(name.to_owned()).map(|(variable, value)| Form::Value { variable, value: secret(value) }));
        if is_session {
            let base64 = filled(format!("{name}_B64"));
            forms.extend(base64.map(|(variable, value)| Form::Base64 { variable, value: secret(value) }));
        }
        forms.extend(
            filled(format!("{name}_FILE")).map(|(variable, value)| Form::File { variable, path: value.into() }),
        );
        if let Some((variable, _)) = filled(format!("{name}_COMMAND")) {
            let hint = "give the value by a file or a variable";
            return Err(Failure::new(format!("{variable}: commands are not in this version")).hint(hint).into());
        }
        for directory in directories {
            let present = files.iter().map(|file| directory.join(file)).filter(|path| path.symlink_metadata().is_ok());
            forms.extend(present.map(|path| Form::Secret { path }));
        }
        drop_same_files(&mut forms);
        let mut forms = forms.into_iter();
        if let Some(first) = forms.next() {
            if let Some(second) = forms.next() {
                let what = format!("both {} and {} are set", first.name(), second.name());
                return Err(Failure::new(what).hint("keep one of them").into());
            }
            self.forms.push((name.to_owned(), first));
        }
        Ok(())
    }
}

/// `NAME_FILE` usually points into the secrets directory: one file found by two ways is given once.
fn drop_same_files(forms: &mut Vec<Form>) {
    let mut seen: Vec<PathBuf> = Vec::new();
    forms.retain(|form| match form.path().and_then(|path| path.canonicalize().ok()) {
        Some(real) if seen.contains(&real) => false,
        Some(real) => {
            seen.push(real);
            true
        }
        None => true,
    });
}

/// Reads what was given.
///
/// # Errors
/// What can not even be read as asked: a missing or unreadable file, text that is no base64, more than [`LIMIT`].
pub fn explicit<'c>(definition: &'c Definition, given: &mut Given) -> anyhow::Result<Vec<Offer<'c>>> {
    let mut offers = Vec::new();
    for (name, form) in std::mem::take(&mut given.forms) {
        let rule = definition.methods.iter().find(|rule| rule.variable.as_deref() == Some(&name));
        let Some(rule) = rule.or_else(|| definition.session_rule()) else { continue };
        let source = form.source();
        let bytes = content(&form)?;
        let found = match &definition.session {
            Some(session) if rule.variable.is_none() => judge(session, bytes),
            _ => match value(&bytes) {
                Ok(None) => {
                    given.warnings.push(Message::warning(format!("{} is empty: it counts as not set", form.name())));
                    continue;
                }
                Ok(Some(switch)) if rule.method == Method::Cloud && is_off(&switch) => continue,
                Ok(Some(value)) => Ok(Material::Value(value)),
                Err(reason) => Err(reason),
            },
        };
        offers.push(Offer { rule, source, found });
    }
    Ok(offers)
}

/// The value that a variable would have: less trailing newlines.
fn value(bytes: &Secret) -> Result<Option<Secret>, String> {
    let value = without_trailing_newlines(bytes.expose_secret());
    if value.is_empty() {
        return Ok(None);
    }
    if value.contains(&0) {
        return Err("it has a NUL byte, which no variable can hold".to_owned());
    }
    Ok(Some(Secret::copied(value)))
}

/// A provider's switch that says no.
fn is_off(switch: &Secret) -> bool {
    let word = String::from_utf8_lossy(switch.expose_secret());
    value::boolean(&word).is_ok_and(|on| !on)
}

fn judge(session: &SessionFile, bytes: Secret) -> Result<Material, String> {
    let document = Document::parse(bytes.expose_secret(), session.format).map_err(|defect| defect.to_string())?;
    let login = document.login(session).map_err(|defect| defect.to_string())?;
    Ok(Material::Session(Session { bytes, login }))
}

fn content(form: &Form) -> anyhow::Result<Secret> {
    let too_large = || {
        Failure::new(format!("{} is larger than {LIMIT} bytes", form.name()))
            .hint("a login is a few kB: is it the right one?")
    };
    let bytes = match form {
        Form::Value { value, .. } => value.duplicate(),
        Form::Base64 { variable, value } => {
            let hint = "encode the login file again: base64 -w0 < FILE";
            let decoded = decode_base64(value.expose_secret());
            Secret::new(decoded.ok_or_else(|| Failure::new(format!("{variable} is not base64")).hint(hint))?)
        }
        Form::File { path, .. } | Form::Secret { path } => match file(path) {
            Ok(bytes) => bytes,
            Err(Unreadable::TooLarge) => return Err(too_large().into()),
            Err(why) => {
                let place = if form.name() == path.display().to_string() {
                    String::new()
                } else {
                    format!("{} names ", form.name())
                };
                let hint = match &why {
                    Unreadable::Missing => "is the secret or volume mounted?".to_owned(),
                    Unreadable::NotRegular(_) => {
                        "docker makes a directory for a bind mount whose source is missing".to_owned()
                    }
                    _ => format!("this is uid {}: give it the right to read the file", privilege::current().0),
                };
                return Err(Failure::new(format!("{place}{}: {why}", path.display())).hint(hint).into());
            }
        },
    };
    if bytes.expose_secret().len() as u64 > LIMIT { Err(too_large().into()) } else { Ok(bytes) }
}

/// A file that the operator named: links are followed wherever they lead.
fn file(path: &Path) -> Result<Secret, Unreadable> {
    let real = path.canonicalize()?;
    let dir = Dir::open(real.parent().unwrap_or(&real))?;
    let content = read::entry(&dir, real.file_name().unwrap_or(OsStr::new("")), &Owners::Any)?;
    Ok(Secret::new(content.bytes))
}

/// The login at the agent's own place, when the operator mounted that, or when the working copy can not be there.
#[must_use]
pub fn in_place<'c>(
    definition: &'c Definition,
    session: &SessionFile,
    place: &PlaceFacts,
    identity: &Identity,
) -> Option<Offer<'c>> {
    let file = place.path.join(&session.file);
    let dir = Dir::open(&place.path).ok()?;
    let is_file_mount = place.mounted_below.as_ref() == Some(&file);
    let (source, copy) = if place.mounted || is_file_mount {
        let source = if is_file_mount { file } else { place.path.clone() };
        (Source::Mount(source), read::login(&dir, session, &Owners::Any, true))
    } else {
        (Source::Home(file), read::login(&dir, session, &found_owners(identity), false))
    };
    offer(definition, source, copy)
}

/// The login that an earlier run, the image or a volume left in this directory: where the working copy goes, or where
/// a recovery copy is kept.
#[must_use]
pub fn left<'c>(
    definition: &'c Definition,
    session: &SessionFile,
    place: &Path,
    identity: &Identity,
) -> Option<Offer<'c>> {
    let dir = Dir::open(place).ok()?;
    let copy = read::login(&dir, session, &found_owners(identity), false);
    offer(definition, Source::Home(place.join(&session.file)), copy)
}

/// Whose files are believed where anybody could have put them: the agent's, the image's and ours.
fn found_owners(identity: &Identity) -> Owners {
    Owners::These(vec![identity.uid, 0, privilege::current().0])
}

/// The login in the capture.
#[must_use]
pub fn captured<'c>(definition: &'c Definition, session: &SessionFile, capture: &Capture) -> Option<Offer<'c>> {
    offer(definition, Source::Capture(capture.path.clone()), capture.read(session))
}

/// A copy as an offer; what is not there is none.
fn offer(definition: &Definition, source: Source, copy: Copy) -> Option<Offer<'_>> {
    let found = match (copy.version, copy.bytes) {
        (Version::Absent, _) | (Version::Valid(_), None) => return None,
        (Version::Valid(login), Some(bytes)) => Ok(Material::Session(Session { bytes: Secret::new(bytes), login })),
        (Version::LoggedOut, _) => Err("nobody is logged in: its tokens are blank or not there".to_owned()),
        (Version::Damaged(why), _) => Err(why),
    };
    Some(Offer { rule: definition.session_rule()?, source, found })
}

/// Every variable of an agent's, chosen or not: what is removed from its environment unless it was chosen.
#[must_use]
pub fn variables(definition: &Definition) -> Vec<String> {
    let forms = |name: &str| ["", "_FILE", "_COMMAND"].map(|suffix| format!("{name}{suffix}"));
    let session = definition.session_variable();
    definition
        .methods
        .iter()
        .flat_map(|rule| rule.variable.as_deref().map(forms).into_iter().flatten().chain(rule.descriptor.clone()))
        .chain(forms(&session))
        .chain([format!("{session}_B64")])
        .collect()
}

/// The value of a material as an environment string.
#[must_use]
pub fn as_variable(secret: &Secret) -> OsString {
    OsStr::from_bytes(secret.expose_secret()).to_owned()
}
