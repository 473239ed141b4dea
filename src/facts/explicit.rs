//! The forms in which an operator gives an agent its credentials; nothing but names is looked at here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::agent::Definition;
use crate::agent::definition::Method;
use crate::config::boolean;
use crate::env::Environment;
use crate::error::{Failure, without_number};
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::names::{Names, Suffix};
use crate::login::{Secret, Source};
use crate::sys::{access, privilege};

/// What the operator gave an agent: at most one form of each thing.
#[derive(Default)]
pub struct ExplicitSources {
    /// Values of methods, and logins.
    pub(super) forms: Vec<(String, ExplicitSource)>,
    /// Values of variables that go with a method, where they are more than the variable itself.
    pub(super) companions: Vec<(String, ExplicitSource)>,
    /// What looking and reading found worth a word.
    pub warnings: Vec<Message>,
}

/// One form in which a thing was given.
pub(super) enum ExplicitSource {
    /// As a variable.
    Value { variable: String, value: Secret },
    /// As base64 in a variable.
    Base64 { variable: String, value: Secret },
    /// As a file that a variable names.
    File { variable: String, path: PathBuf },
    /// As a command in a variable.
    Command { variable: String, line: OsString },
    /// As a secret file.
    Secret { path: PathBuf },
}

impl ExplicitSource {
    fn of(suffix: Suffix, variable: String, value: &OsStr) -> ExplicitSource {
        let secret = || Secret::copied(value.as_bytes());
        match suffix {
            Suffix::Plain => ExplicitSource::Value { variable, value: secret() },
            Suffix::Base64 => ExplicitSource::Base64 { variable, value: secret() },
            Suffix::File => ExplicitSource::File { variable, path: value.into() },
            Suffix::Command => ExplicitSource::Command { variable, line: value.to_owned() },
        }
    }

    /// What messages call it.
    pub(super) fn name(&self) -> String {
        match self {
            ExplicitSource::Value { variable, .. }
            | ExplicitSource::Base64 { variable, .. }
            | ExplicitSource::File { variable, .. }
            | ExplicitSource::Command { variable, .. } => variable.clone(),
            ExplicitSource::Secret { path } => path.display().to_string(),
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            ExplicitSource::File { path, .. } | ExplicitSource::Secret { path } => Some(path),
            ExplicitSource::Value { .. } | ExplicitSource::Base64 { .. } | ExplicitSource::Command { .. } => None,
        }
    }

    /// The source that it is.
    pub(super) fn source(&self) -> Source {
        match self {
            ExplicitSource::Value { variable, .. } | ExplicitSource::Base64 { variable, .. } => {
                Source::Env(variable.clone())
            }
            ExplicitSource::File { path, .. } => Source::File(path.clone()),
            ExplicitSource::Command { variable, .. } => Source::Command(variable.clone()),
            ExplicitSource::Secret { path } => Source::Secret(path.clone()),
        }
    }
}

/// Where explicit forms are looked for, and how far a form counts that others may mean.
pub struct Search<'s> {
    /// The environment.
    pub environment: &'s Environment,
    /// The directories of secret files.
    pub directories: &'s [PathBuf],
    /// The agent is served whatever is found, so that a variable which other programs use too means it.
    pub is_certain: bool,
    /// A secret file of its login's name is its own.
    pub by_name: bool,
}

/// The directories of secret files.
pub fn secret_directories(option: Option<&OsStr>, environment: &Environment) -> Vec<PathBuf> {
    let credentials = environment.get_filled("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let usual = || std::iter::once(PathBuf::from("/run/secrets")).chain(credentials).collect();
    let all: Vec<PathBuf> = option.map_or_else(usual, |option| named(option).collect());
    // Most containers have none: one look here saves a look for every name.
    all.into_iter().filter(|path| access::is_directory(path)).collect()
}

fn named(option: &OsStr) -> impl Iterator<Item = PathBuf> + '_ {
    std::env::split_paths(option).filter(|path| !path.as_os_str().is_empty())
}

/// A word for each directory of secret files that was named and is not there: an image may name some for those who have
/// them.
///
/// # Errors
/// One that is there and is no directory, or that we may not look into.
pub fn missing_directories(option: Option<&OsStr>) -> anyhow::Result<Vec<Message>> {
    let mut missing = Vec::new();
    for path in option.into_iter().flat_map(named) {
        let shown = path.display();
        match path.metadata() {
            Ok(found) if !found.is_dir() => {
                return Err(Failure::new(format!("--secrets {shown}: it is not a directory"))
                    .hint("name the directory that the secret files are in")
                    .into());
            }
            Ok(_) if !access::may_pass(&path) => {
                let hint = format!("this is uid {}: give it the right to pass through", privilege::current().0);
                return Err(Failure::new(format!("--secrets {shown}: it cannot be looked into")).hint(hint).into());
            }
            Ok(_) => {}
            Err(error) => {
                let text =
                    format!("--secrets {shown}: no secret is found there: {}", without_number(&error.to_string()));
                let warning = Message::warning(text).event(EventKey::UnusableSource).about(shown.to_string());
                missing.push(warning.hint("is the secret or volume mounted?"));
            }
        }
    }
    Ok(missing)
}

/// What was given explicitly.
///
/// # Errors
/// Two forms of one thing.
pub fn given(definition: &Definition, search: &Search<'_>) -> anyhow::Result<ExplicitSources> {
    let mut given = ExplicitSources::default();
    for rule in definition.methods.iter().filter(|rule| search.is_certain || !rule.shared) {
        let Some(variable) = &rule.variable else { continue };
        let form = given.look(&Names::of_value(variable), search)?;
        // Nobody is given a provider by saying no to it.
        let form = form.filter(|form| {
            rule.method != Method::Cloud
                || !matches!(form, ExplicitSource::Value { value, .. } if says(value) == Some(false))
        });
        if form.is_some() {
            for companion in &rule.with {
                let form = given.look(&Names::of_value(companion), search)?;
                // A plain variable reaches the agent as it is.
                let form = form.filter(|form| !matches!(form, ExplicitSource::Value { .. }));
                given.companions.extend(form.map(|form| (companion.clone(), form)));
            }
        }
        given.forms.extend(form.map(|form| (variable.clone(), form)));
        if let Some(descriptor) = rule.descriptor.as_deref().filter(|name| search.environment.get(name).is_some()) {
            let text = format!("{descriptor} is set aside: agent-init does not read descriptors");
            let [plain, file, command] = Suffix::OF_VALUE.map(|suffix| suffix.of(variable));
            let hint = format!("give the value by {plain}, {file} or {command}");
            let warning = Message::warning(text).event(EventKey::Ignored).agent(&definition.name);
            given.warnings.push(warning.about(descriptor).hint(hint));
        }
    }
    if let Some(names) = definition.session_names(search.by_name) {
        let form = given.look(&names, search)?;
        given.forms.extend(form.map(|form| (names.variable, form)));
    }
    Ok(given)
}

impl ExplicitSources {
    /// Whether there is anything.
    pub fn is_explicit(&self) -> bool {
        !self.forms.is_empty()
    }

    fn look(&mut self, names: &Names, search: &Search<'_>) -> anyhow::Result<Option<ExplicitSource>> {
        let mut filled = |variable: &str| match search.environment.get(variable) {
            Some(value) if value.is_empty() => {
                let text = format!("{variable} is set and empty: it counts as not set");
                let warning = Message::warning(text).event(EventKey::UnusableSource).about(variable);
                if !self.warnings.contains(&warning) {
                    self.warnings.push(warning);
                }
                None
            }
            value => value,
        };
        let mut forms = Vec::new();
        for (suffix, variable) in names.forms() {
            let value = filled(&variable);
            forms.extend(value.map(|value| ExplicitSource::of(suffix, variable, value)));
        }
        for directory in search.directories {
            let paths = names.files.iter().map(|file| directory.join(file));
            forms.extend(paths.filter(|path| access::is_there(path)).map(|path| ExplicitSource::Secret { path }));
        }
        drop_same_files(&mut forms);
        let mut forms = forms.into_iter();
        match (forms.next(), forms.next()) {
            (Some(first), Some(second)) => {
                let what = format!("both {} and {} are set", first.name(), second.name());
                Err(Failure::new(what).hint("keep one of them").into())
            }
            (form, _) => Ok(form),
        }
    }
}

/// `NAME_FILE` usually points into the secrets directory: one file found by two ways is given once.
fn drop_same_files(forms: &mut Vec<ExplicitSource>) {
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

/// What the value of a provider's switch says: yes, no, or neither.
pub(super) fn says(switch: &Secret) -> Option<bool> {
    let text = String::from_utf8_lossy(switch.expose_secret());
    boolean(text.trim()).ok()
}
