//! Pure. `agents` in text and JSON.

use serde_json::{Value, json};

use crate::agent::Definition;
use crate::agent::definition::{LoginRule, MethodRule};
use crate::login::names::Suffix;
use crate::login::{limits, names};
use crate::output::json_line;
use crate::output::page::{Line, Page, toned};
use crate::output::style::Tone;
use crate::plan::warning::log_in;
use crate::words::listed;
use crate::words::spelling::Words;

/// JSON for `agents --json`: one line. With each definition goes its text.
///
/// # Errors
/// As [`json_line`].
pub fn json(agents: &[(&Definition, &str)]) -> anyhow::Result<String> {
    let agents: Vec<Value> = agents.iter().map(|(definition, text)| value(definition, text)).collect();
    json_line(&json!({ "version": 1, "agents": agents }))
}

fn value(definition: &Definition, text: &str) -> Value {
    let methods: Vec<Value> = definition.methods.iter().map(method).collect();
    let session = definition
        .session
        .as_ref()
        .map(|session| json!({ "file": session.file, "variable": names::of_session(&definition.name) }));
    json!({
        "agent": definition.name,
        "title": definition.title,
        "commands": definition.commands,
        "home": { "variable": definition.home.variable, "default": definition.home.default },
        "methods": methods,
        "session": session,
        "login": definition.login.as_ref().map(login),
        "variables": definition.variables(),
        "definition": limits::parse::<Value>(text.as_bytes()).ok(),
    })
}

fn login(rule: &LoginRule) -> Value {
    let token = rule.token.as_ref().map(|token| &token.command);
    json!({ "command": rule.command, "auto": rule.auto, "token": token })
}

fn method(rule: &MethodRule) -> Value {
    json!({ "method": rule.method.word(), "label": rule.label, "variable": rule.variable })
}

/// The table of all agents.
pub fn list(agents: &[&Definition]) -> Page {
    let width = agents.iter().map(|definition| definition.name.len()).max().unwrap_or(0);
    let mut page = Page::default();
    page.line(toned(Tone::Strong, "Known agents"));
    for definition in agents {
        let commands = listed(&definition.commands, ", ", "no commands");
        let name = Line::from("  ").tone(Tone::Strong, format!("{:width$}", definition.name));
        page.line(name.hanging(width + 4).text(format!("  {} ({commands})", definition.title)));
    }
    page.gap();
    page.line("Next: agent-init agents NAME shows which credentials an agent takes.");
    page
}

/// One agent: what it takes, in the order of preference.
pub fn one(definition: &Definition) -> Page {
    let parent = definition.home.parent.as_ref().map(|parent| format!(" or ${}", parent.variable)).unwrap_or_default();
    let home = format!("{}, moved by ${}{parent}", definition.home.default, definition.home.variable);
    let mut rows: Vec<(&str, Line)> =
        vec![("commands", listed(&definition.commands, ", ", "none").into()), ("config directory", home.into())];
    if let Some(login) = &definition.login {
        rows.push(("logs in with", listed(&login.command, " ", "no command").into()));
        rows.extend(
            login.token.as_ref().map(|token| ("makes a token with", listed(&token.command, " ", "no command").into())),
        );
    }
    if definition.methods.is_empty() {
        rows.push(("methods", "none".into()));
    }
    for rule in &definition.methods {
        let how = match (&rule.variable, &rule.setting) {
            (Some(variable), _) => variable.clone(),
            (None, Some(setting)) => format!("{} in {}", setting.key, setting.file),
            (None, None) => session_forms(definition),
        };
        rows.push((rule.method.word(), format!("{}: {how}", rule.label).into()));
    }
    let [_, file, command] = Suffix::OF_VALUE.map(|suffix| suffix.of("NAME"));
    let forms =
        format!("Instead of a variable NAME you can set {file} or {command}, or mount a secret file of that name.");
    let mut page = Page::default();
    page.line(toned(Tone::Strong, &definition.name).text(format!(" - {}", definition.title)));
    page.rows(2, rows);
    page.gap();
    page.line(forms);
    if definition.login.is_some() {
        page.line(Line::from(format!("Next: {}", log_in(&definition.name))).unwrapped());
    }
    page
}

fn session_forms(definition: &Definition) -> String {
    let variable = names::of_session(&definition.name);
    let base64 = Suffix::Base64.of(&variable);
    let file = definition.session.as_ref().map(|session| session.file.as_str()).unwrap_or_default();
    format!("{variable}, {base64}; {file} as a secret file, in the capture or in the config directory")
}
