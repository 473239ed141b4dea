//! Pure. Clap's findings in our form of an error.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::Failure;

/// The finding as a failure. `program`: what shows the help; `name` turns an option into the name by which it was given.
pub fn explain(error: &clap::Error, program: &str, name: Option<fn(&str) -> String>) -> Failure {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let long = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let given = name.map_or_else(|| long.to_owned(), |name| name(long.trim_start_matches('-')));
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let usage = format!("{program} --help shows the options; what belongs to COMMAND comes after it, or after --");
    match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => Failure::new(format!("{given} needs a value")).hint(usage),
        ErrorKind::InvalidValue => {
            let forms = text(ContextKind::ValidValue).map(|forms| format!("use one of: {forms}"));
            Failure::new(format!("{given}: '{value}' is not accepted")).hint(forms.unwrap_or(usage))
        }
        ErrorKind::ValueValidation => {
            Failure::new(format!("{given}: '{value}' is not accepted: {}", cause.unwrap_or_default())).hint(usage)
        }
        ErrorKind::UnknownArgument if !long.starts_with('-') => {
            Failure::new(format!("unexpected word '{argument}'")).hint(format!("{program} --help shows what it takes"))
        }
        ErrorKind::UnknownArgument => {
            let near = text(ContextKind::SuggestedArg).map(|near| format!("did you mean {near}? "));
            Failure::new(format!("unknown option {given}")).hint(near.unwrap_or_default() + &usage)
        }
        ErrorKind::MissingRequiredArgument => {
            Failure::new(format!("{argument} is missing")).hint(format!("{program} --help shows what it takes"))
        }
        _ => {
            let rendered = error.render().to_string();
            let first = rendered.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Failure::new(first).hint(usage)
        }
    }
}
