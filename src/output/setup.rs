//! Pure. What `setup` says to a person: before the login, and what came of it.

use std::path::Path;
use std::time::SystemTime;

use crate::agent::Definition;
use crate::log::event::EventKey;
use crate::log::{Level, Message};
use crate::login::Login;
use crate::setup::login_command::{CommandKind, LoginCommand};
use crate::setup::outcome::LoginOutcome;

/// What begins now. `places`: where the login of each agent goes; `manual`: what to type in a shell.
pub fn beginning(login_command: &LoginCommand<'_>, place: Option<&Path>, manual: &[(String, String)]) -> Vec<Message> {
    let words: Vec<_> = login_command.command.iter().map(|word| word.to_string_lossy()).collect();
    let what = if login_command.kind == CommandKind::Token { "it" } else { "the login" };
    let to = place.map(|place| format!("; {what} is saved in {}", place.display())).unwrap_or_default();
    let title = login_command.only().map(|only| only.title.as_str());
    let mut messages = vec![notice(match (login_command.kind, title) {
        (CommandKind::Login, Some(title)) => format!("log in to {title} now ({}){to}", words.join(" ")),
        (CommandKind::Auto, Some(title)) => {
            format!("{title} starts now without asking for permissions; log in there{to}")
        }
        (CommandKind::Token, Some(title)) => format!("make a long-lived token of {title} now{to}"),
        (CommandKind::Command | CommandKind::Shell, Some(title)) => format!("log in to {title} now, then exit{to}"),
        (_, None) => "log in to any of these agents now, then leave with 'exit' or Ctrl-D:".to_owned(),
    })];
    if matches!(login_command.kind, CommandKind::Shell | CommandKind::Command) {
        let width = manual.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
        messages.extend(manual.iter().map(|(title, command)| notice(format!("  {title:width$}  {command}"))));
    } else if let Some(say) = login_command.only().and_then(|only| only.login.as_ref()?.say.as_ref())
        && login_command.kind == CommandKind::Login
    {
        messages.push(notice(say.as_str()));
    }
    messages
}

/// What became of one agent's login. `recovered`: where a copy is of one that could not be stored.
pub fn verdict(
    definition: &Definition,
    verdict: &LoginOutcome,
    at: &Path,
    kept: Option<&Path>,
    now: SystemTime,
) -> Option<Message> {
    let (title, at) = (&definition.title, at.display());
    Some(match verdict {
        LoginOutcome::Captured(login) => notice(format!("captured the login of {title}{}: {at}", whose(login, now))),
        LoginOutcome::Setting(label) => notice(format!("captured the settings of {title}, with its {label}: {at}")),
        LoginOutcome::LoggedOut => warning(format!(
            "{title}: a login was captured, and then the agent logged out: the vendor may refuse it now ({at})"
        ))
        .hint("run setup again"),
        LoginOutcome::NotStored(_) => {
            let kept = kept.map_or_else(
                || "no copy of it is left: log in again once it can be stored".to_owned(),
                |kept| {
                    format!(
                        "a copy is {}: copy it there, once it can be stored, before this container is removed",
                        kept.display()
                    )
                },
            );
            error(format!("{title}: you are logged in, and the login could not be stored in {at}")).hint(kept)
        }
        LoginOutcome::Unusable(why) => {
            error(format!("{title}: the login is not usable: {why}")).hint("run setup again and complete the login")
        }
        LoginOutcome::Nothing => return None,
    })
}

/// Whose login it is, and until when.
fn whose(login: &Login, now: SystemTime) -> String {
    let account = login.account.as_ref().map(|account| format!(" ({account})")).unwrap_or_default();
    let end = if login.refreshable { login.ends_at(now) } else { login.expires_at };
    let until = end.map(|end| format!(" until {}", humantime::format_rfc3339_seconds(end)));
    let end = match (until, login.refreshable) {
        (until, true) => format!(", which the agent refreshes{}", until.unwrap_or_default()),
        (Some(until), false) => format!(",{until}"),
        (None, false) => String::new(),
    };
    account + &end
}

/// A token was stored.
pub fn minted(definition: &Definition, expires_at: &str, at: &Path) -> Message {
    notice(format!("captured a long-lived token of {}, until {expires_at}: {}", definition.title, at.display()))
}

/// A login was captured beside a token, which comes first.
pub fn outranked(definition: &Definition, token: &Path) -> Message {
    let text = format!("{}: {} is there too, and run uses it instead of the login", definition.title, token.display());
    warning(text).hint("remove it, or use the login with run --auth sync")
}

/// A token was made, and could not be stored.
pub fn not_stored(definition: &Definition, at: &Path, why: &str) -> Message {
    error(format!("{}: a token was made and could not be stored in {}: {why}", definition.title, at.display()))
        .hint("fix that and run setup --token again; revoke the token that was made, nobody has it")
}

/// Nothing came of it.
pub fn nothing(what: &str, is_kept: bool) -> Message {
    let kept = if is_kept { "; the earlier capture is unchanged" } else { "" };
    error(format!("nothing was captured: {what}{kept}")).hint("run setup again and complete the login")
}

/// What a person does next.
pub fn next(definition: &Definition, root: &Path) -> Message {
    let command = definition.commands.first().map_or("COMMAND", String::as_str);
    let at = root.display();
    notice(format!(
        "next: docker run -v LOGINS:/capture IMAGE {command}, where LOGINS is the volume or directory mounted here at {at}; \
         with compose: docker compose run --rm agent {command}"
    ))
}

fn error(text: String) -> Message {
    Message::new(Level::Error, text).event(EventKey::Setup)
}

fn warning(text: impl Into<String>) -> Message {
    Message::warning(text).event(EventKey::Setup)
}

fn notice(text: impl Into<String>) -> Message {
    Message::notice(text).event(EventKey::Setup)
}
