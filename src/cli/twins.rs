//! Pure. Environment twins: every option has one, and it is parsed by the option's own rule.

use std::ffi::{OsStr, OsString};

use clap::{Command, CommandFactory};

use crate::cli::options::RunOptions;
use crate::env::Environment;
use crate::log::Message;
use crate::log::event::EventKey;

/// The prefix of the environment twins.
pub const PREFIX: &str = "AGENT_INIT_";

/// Options that `run` does not have and another command does: their twins in an image's environment are known to `run`.
const ELSEWHERE: &[&str] = &["auto", "token", "warn-within"];

/// Options that have no twin: they are asked for each time.
const NONE: &[&str] = &["json", "help", "version"];

/// `work-dir` -> `AGENT_INIT_WORK_DIR`.
pub fn name(long: &str) -> String {
    format!("{PREFIX}{}", long.to_ascii_uppercase().replace('-', "_"))
}

/// The twins that are set, as `--name=value` words, and a warning for each variable that is none. `options` gives the
/// options of the command that is asked; it is not built when nothing is set.
pub fn words(environment: &Environment, options: fn() -> Command) -> (Vec<OsString>, Vec<Message>) {
    let mut words = Vec::new();
    let mut warnings = Vec::new();
    let set: Vec<&str> =
        environment.names().filter_map(OsStr::to_str).filter(|name| name.starts_with(PREFIX)).collect();
    if set.is_empty() {
        return (words, warnings);
    }
    let command = options();
    let longs = command.get_arguments().filter_map(|arg| arg.get_long()).filter(|long| !NONE.contains(long));
    let known: Vec<(String, &str)> = longs.map(|long| (self::name(long), long)).collect();
    for name in set {
        let Some((_, long)) = known.iter().find(|(twin, _)| twin == name) else {
            warnings.extend(unknown(name, &known));
            continue;
        };
        // Compose writes an empty value for what is not set.
        if let Some(value) = environment.get_filled(name) {
            let mut word = OsString::from(format!("--{long}="));
            word.push(value);
            words.push(word);
        }
    }
    (words, warnings)
}

/// A warning that names the nearest twin, unless the name is another command's.
fn unknown(name: &str, known: &[(String, &str)]) -> Option<Message> {
    let run = RunOptions::command();
    let runs_own = run.get_arguments().filter_map(|arg| arg.get_long()).filter(|long| !NONE.contains(long));
    let elsewhere: Vec<String> = ELSEWHERE.iter().copied().chain(runs_own).map(self::name).collect();
    if elsewhere.iter().any(|twin| twin == name) {
        return None;
    }
    let all = known.iter().map(|(twin, _)| twin).chain(&elsewhere);
    let nearest = all.max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    let hint = nearest.map(|twin| format!("did you mean {twin}?")).unwrap_or_default();
    Some(Message::warning(format!("unknown variable {name} is ignored")).event(EventKey::UnknownVariable).hint(hint))
}
