//! `AGENT_INIT_*` variables: options by another name, read by the same rules.

use std::ffi::OsStr;

use super::command::{CommandSpec, Variables};
use super::flag::Flag;
use super::flags;
use super::layers::{Layer, Occurrence};
use super::settings::Origin;
use crate::env::Environment;
use crate::error::Failure;
use crate::log::Message;
use crate::log::event::EventKey;

/// What the names of our variables begin with.
pub const PREFIX: &str = "AGENT_INIT_";

/// The options that variables give a command, and a warning for each variable that belongs to no option of any command.
///
/// # Errors
/// A variable is empty that limits what the agent may do.
pub(crate) fn read(spec: &'static CommandSpec, environment: &Environment) -> Result<(Layer, Vec<Message>), Failure> {
    let mut layer = Layer { origin: Origin::Variables, spec, options: Vec::new() };
    let mut warnings = Vec::new();
    if spec.variables == Variables::None {
        return Ok((layer, warnings));
    }
    let ours = environment.names().filter_map(OsStr::to_str).filter(|name| name.starts_with(PREFIX));
    for name in ours {
        match of_variable(spec.flags(), name) {
            Some(flag) => {
                refuse_empty(name, environment)?;
                // Compose sets an empty value for what is not set.
                let value = environment.get_filled(name).filter(|_| !layer.has(flag));
                layer.options.extend(value.map(|value| Occurrence { flag, value: value.to_owned() }));
            }
            None if spec.variables == Variables::OwnAndWarn && of_variable(flags::all(), name).is_none() => {
                warnings.push(unknown(name));
            }
            None => {}
        }
    }
    Ok((layer, warnings))
}

/// Variables that limit what the agent may do, and what they take. An empty one is refused: to take it for one that is not
/// set would let an agent run as root that was meant to run as another user.
const LIMITS: [(&str, &str); 3] = [
    ("AGENT_INIT_USER", "a user, such as node or 1000:1000"),
    ("AGENT_INIT_DROP_CAPS", "on, off or auto"),
    ("AGENT_INIT_NO_NEW_PRIVS", "on, off or auto"),
];

fn refuse_empty(name: &str, environment: &Environment) -> Result<(), Failure> {
    let Some((_, takes)) = LIMITS.iter().find(|(known, _)| *known == name) else { return Ok(()) };
    if environment.get_filled(name).is_some() {
        return Ok(());
    }
    let hint = format!(
        "set it to {takes}, or unset it; compose sets an empty value for a variable that is not set: ${{NAME:-DEFAULT}} \
         gives a default"
    );
    Err(Failure::new(format!("{name} is empty")).hint(hint))
}

impl Layer {
    /// A name that stands twice in an environment is one variable.
    fn has(&self, flag: &Flag) -> bool {
        self.options.iter().any(|known| known.flag.name == flag.name)
    }
}

fn of_variable(mut flags: impl Iterator<Item = &'static Flag>, name: &str) -> Option<&'static Flag> {
    flags.find(|flag| flag.variable == Some(name))
}

/// A warning that names the most similar variable there is.
fn unknown(name: &str) -> Message {
    let known = flags::all().filter_map(|flag| flag.variable);
    let nearest = known.max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    let warning = Message::warning(format!("unknown variable {name} is ignored")).event(EventKey::UnknownVariable);
    match nearest {
        Some(nearest) => warning.hint(format!("did you mean {nearest}?")),
        None => warning,
    }
}
