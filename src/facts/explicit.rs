//! Finds the credentials that an operator gave by variable or secret file. Only names are checked here; `candidate.rs`
//! reads the contents.

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
use crate::looks;
use crate::looks::Look;
use crate::sys::{access, privilege};

/// The sources that the operator gave an agent: at most one for each variable and for the login.
#[derive(Default)]
pub struct ExplicitSources {
    /// Values of methods and logins, each with the variable that it stands for.
    pub(super) sources: Vec<(String, ExplicitSource)>,
    /// Variables that accompany a method. A plain variable is not listed: it reaches the agent as it is.
    pub(super) companions: Vec<(String, ExplicitSource)>,
    /// Warnings from finding and reading the sources.
    pub warnings: Vec<Message>,
}

/// Where one value or login comes from.
pub(super) enum ExplicitSource {
    Value {
        variable: String,
        value: Secret,
    },
    /// base64 in a variable.
    Base64 {
        variable: String,
        value: Secret,
    },
    /// A file that a variable names.
    File {
        variable: String,
        path: PathBuf,
    },
    /// A command line in a variable.
    Command {
        variable: String,
        line: OsString,
    },
    /// A file in a secrets directory.
    Secret {
        path: PathBuf,
    },
}

impl ExplicitSource {
    fn from_variable(suffix: Suffix, variable: String, value: &OsStr) -> ExplicitSource {
        let secret = || Secret::copied(value.as_bytes());
        match suffix {
            Suffix::Plain => ExplicitSource::Value { variable, value: secret() },
            Suffix::Base64 => ExplicitSource::Base64 { variable, value: secret() },
            Suffix::File => ExplicitSource::File { variable, path: value.into() },
            Suffix::Command => ExplicitSource::Command { variable, line: value.to_owned() },
        }
    }

    /// The variable or path, for messages.
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

/// Where explicit sources are looked for, and which ambiguous ones count.
pub struct ExplicitSearch<'s> {
    pub environment: &'s Environment,
    /// The directories of secret files.
    pub directories: &'s [PathBuf],
    /// The agent is selected, so a variable that other programs also use is meant for it.
    pub is_selected: bool,
    /// A secret file with the name of its login file belongs to it.
    pub owns_file_name: bool,
}

/// The directories of secret files.
pub fn secret_directories(option: Option<&OsStr>, environment: &Environment) -> Vec<PathBuf> {
    let credentials = environment.get_filled("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let all: Vec<PathBuf> = match option {
        Some(option) => split_directories(option).collect(),
        None => std::iter::once(PathBuf::from("/run/secrets")).chain(credentials).collect(),
    };
    // Most containers have none. One access(2) here saves one for every name.
    all.into_iter().filter(|path| access::is_directory(path)).collect()
}

fn split_directories(option: &OsStr) -> impl Iterator<Item = PathBuf> + '_ {
    std::env::split_paths(option).filter(|path| !path.as_os_str().is_empty())
}

/// Checks the directories that `--secrets` names. A missing one is only a warning, because an image may name
/// directories that not every user mounts. A path that is not a directory, or that this process cannot enter, is an
/// error.
pub fn check_secret_directories(option: Option<&OsStr>) -> anyhow::Result<Vec<Message>> {
    let mut warnings = Vec::new();
    for path in option.into_iter().flat_map(split_directories) {
        let shown = looks::Shown(&path);
        match path.metadata() {
            Ok(found) if !found.is_dir() => {
                return Err(Failure::new(format!("--secrets {shown}: it is not a directory"))
                    .hint("name the directory that holds the secret files")
                    .into());
            }
            Ok(_) if !access::may_pass(&path) => {
                let hint = format!("let uid {} enter the directory (execute permission)", privilege::current().0);
                return Err(Failure::new(format!("--secrets {shown}: cannot enter the directory")).hint(hint).into());
            }
            Ok(_) => {}
            Err(error) => {
                let text =
                    format!("--secrets {shown}: cannot read secrets there: {}", without_number(&error.to_string()));
                let warning = Message::warning(text).event(EventKey::UnusableSource).about(shown.to_string());
                warnings.push(warning.hint("is the secret or volume mounted?"));
            }
        }
    }
    Ok(warnings)
}

/// Finds the explicit sources of an agent. Two sources for one value are an error.
pub fn find(definition: &Definition, search: &ExplicitSearch<'_>) -> anyhow::Result<ExplicitSources> {
    let mut found = ExplicitSources::default();
    for rule in definition.methods.iter().filter(|rule| search.is_selected || !rule.shared) {
        let Some(variable) = &rule.variable else { continue };
        let source = found.find_source(&Names::of_value(variable), search)?;
        if let Some(source) = source
            && !is_switched_off(rule.method, &source)
        {
            for companion in &rule.with {
                let source = found.find_source(&Names::of_value(companion), search)?;
                // A plain variable reaches the agent as it is.
                let source = source.filter(|source| !matches!(source, ExplicitSource::Value { .. }));
                found.companions.extend(source.map(|source| (companion.clone(), source)));
            }
            found.sources.push((variable.clone(), source));
        }
        if let Some(descriptor) = rule.descriptor.as_deref().filter(|name| search.environment.get(name).is_some()) {
            let text = format!("{descriptor} is ignored: agent-init does not read file descriptors");
            let [plain, file, command] = Suffix::OF_VALUE.map(|suffix| suffix.of(variable));
            let hint = format!("set {plain}, {file} or {command} instead");
            let warning = Message::warning(text).event(EventKey::Ignored).agent(&definition.name);
            found.warnings.push(warning.about(descriptor).hint(hint));
        }
    }
    if let Some(names) = definition.session_names(search.owns_file_name) {
        let source = found.find_source(&names, search)?;
        found.sources.extend(source.map(|source| (names.variable, source)));
    }
    Ok(found)
}

/// Whether a cloud provider's switch says no.
fn is_switched_off(method: Method, source: &ExplicitSource) -> bool {
    method == Method::Cloud
        && matches!(source, ExplicitSource::Value { value, .. } if switch_value(value) == Some(false))
}

impl ExplicitSources {
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The source among all that `names` may stand for. An empty variable produces a warning and does not count.
    fn find_source(&mut self, names: &Names, search: &ExplicitSearch<'_>) -> anyhow::Result<Option<ExplicitSource>> {
        let mut non_empty = |variable: &str, suffix: Suffix| match search.environment.get(variable) {
            // A blank command is an error, as one that fails.
            Some(value) if value.is_empty() || (suffix != Suffix::Command && looks::is_blank(value.as_bytes())) => {
                let text =
                    format!("{variable} is ignored: it {}", if value.is_empty() { Look::Empty } else { Look::Blank });
                let warning = Message::warning(text).event(EventKey::UnusableSource).about(variable);
                if !self.warnings.contains(&warning) {
                    self.warnings.push(warning);
                }
                None
            }
            value => value,
        };
        let mut sources = Vec::new();
        for (suffix, variable) in names.forms() {
            let value = non_empty(&variable, suffix);
            sources.extend(value.map(|value| ExplicitSource::from_variable(suffix, variable, value)));
        }
        for directory in search.directories {
            let paths = names.files.iter().map(|file| directory.join(file));
            sources.extend(paths.filter(|path| access::is_there(path)).map(|path| ExplicitSource::Secret { path }));
        }
        drop_same_files(&mut sources);
        let mut sources = sources.into_iter();
        match (sources.next(), sources.next()) {
            (Some(first), Some(second)) => {
                let what = format!("both {} and {} are set", first.name(), second.name());
                Err(Failure::new(what).hint("keep one of them").into())
            }
            (source, _) => Ok(source),
        }
    }
}

/// Keeps one of two sources that are the same file: `NAME_FILE` usually points into the secrets directory.
fn drop_same_files(sources: &mut Vec<ExplicitSource>) {
    let mut seen: Vec<PathBuf> = Vec::new();
    sources.retain(|source| match source.path().and_then(|path| path.canonicalize().ok()) {
        Some(real) if seen.contains(&real) => false,
        Some(real) => {
            seen.push(real);
            true
        }
        None => true,
    });
}

/// The value of a cloud provider's switch; `None` if it is neither yes nor no.
pub(super) fn switch_value(switch: &Secret) -> Option<bool> {
    let text = String::from_utf8_lossy(switch.expose_secret());
    boolean(text.trim()).ok()
}
