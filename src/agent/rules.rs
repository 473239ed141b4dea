//! Pure. What a definition must be beyond its types: the rules that other code relies on.

use super::definition::{Condition, Definition, Format, Method};

/// Reads a definition.
///
/// # Errors
/// What is wrong with it: the key, and the line where it stands.
pub fn read(text: &str) -> Result<Definition, String> {
    let definition: Definition = serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let what = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what);
        format!("line {}: {what}", error.line())
    })?;
    match broken(&definition) {
        None => Ok(definition),
        Some((key, what)) => Err(format!("line {}: {key}: {what}", line_of(text, key))),
    }
}

/// The line of the first place that names this key; serde knows lines of what it refuses, and not of what it accepts.
fn line_of(text: &str, key: &str) -> usize {
    let last = key.rsplit('.').next().unwrap_or(key);
    let at = text.find(&format!("\"{last}\"")).unwrap_or(0);
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

/// The first rule that a definition breaks: the key, and what is wrong.
fn broken(definition: &Definition) -> Option<(&'static str, String)> {
    let single = |name: &str| !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    let component =
        |key: &'static str, name: &str| (!single(name)).then(|| (key, format!("'{name}' is not one path component")));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if definition.name.is_empty() || !definition.name.chars().all(plain) {
        // It becomes part of variables and paths, and stands in options between commas and equals signs.
        return Some(("name", format!("'{}' is not made of a-z, 0-9 and -", definition.name)));
    }
    if ["auto", "none"].contains(&definition.name.as_str()) {
        return Some(("name", format!("'{}' has a meaning of its own in --agent", definition.name)));
    }
    if !definition.home.default.starts_with("~/") {
        return Some(("home.default", format!("'{}' does not start with ~/", definition.home.default)));
    }
    if let Some(session) = &definition.session {
        if session.access_token.is_empty() {
            return Some(("session.access-token", "it names no place".to_owned()));
        }
        if session.format == Format::Yaml && !session.travels.is_empty() {
            return Some(("session.travels", "a file of lines can only travel whole".to_owned()));
        }
        if let Some(broken) = component("session.file", &session.file) {
            return Some(broken);
        }
    }
    if definition.session.is_some() != definition.session_rule().is_some() {
        return Some(("session", "it takes both a method 'session' and a 'session' file".to_owned()));
    }
    methods(definition)
        .or_else(|| login(definition))
        .or_else(|| definition.first_run.iter().find_map(|entry| component("first-run.file", &entry.file)))
        .or_else(|| definition.settings.outside.values().find_map(|name| component("settings.outside", name)))
        .or_else(|| conditions(definition).find_map(condition))
}

fn methods(definition: &Definition) -> Option<(&'static str, String)> {
    for rule in &definition.methods {
        let word = rule.method.word();
        let carriers = usize::from(rule.variable.is_some()) + usize::from(rule.setting.is_some());
        if carriers != usize::from(rule.method != Method::Session) {
            let what = format!("'{word}' takes either a variable or a setting, and 'session' neither");
            return Some(("methods.method", what));
        }
        if rule.descriptor.is_some() && rule.variable.is_none() {
            return Some(("methods.descriptor", "there is no variable that it could replace".to_owned()));
        }
        if let Some(file) = rule.files.iter().find(|file| !file.default.starts_with("~/")) {
            return Some(("methods.default", format!("'{}' does not start with ~/", file.default)));
        }
        if let Some(setting) = rule.setting.as_ref().filter(|setting| setting.file.contains('/')) {
            return Some(("methods.setting", format!("'{}' is not one path component", setting.file)));
        }
    }
    let mut names: Vec<&str> = definition.methods.iter().filter_map(|rule| rule.variable.as_deref()).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first());
    twice.map(|name| ("methods.variable", format!("{name} stands twice")))
}

fn login(definition: &Definition) -> Option<(&'static str, String)> {
    let login = definition.login.as_ref()?;
    let commands = std::iter::once(&login.command).chain(Some(&login.auto).filter(|auto| !auto.is_empty()));
    if commands
        .chain(login.token.as_ref().map(|token| &token.command))
        .any(|words| words.first().is_none_or(String::is_empty))
    {
        return Some(("login.command", "it has no word".to_owned()));
    }
    let token = login.token.as_ref()?;
    let characters = token.characters();
    if token.prefix.is_empty()
        || !token.prefix.bytes().chain(characters.iter().copied()).all(|byte| byte.is_ascii_graphic())
    {
        // It is looked for among the characters on a screen.
        return Some(("login.prefix", "a token begins with, and is made of, visible ASCII characters".to_owned()));
    }
    if characters.is_empty() || token.least <= token.prefix.len() {
        return Some(("login.least", "a token has characters after its prefix".to_owned()));
    }
    if token.days == 0 {
        return Some(("login.days", "a token lives a day at least".to_owned()));
    }
    let has_method = definition.methods.iter().any(|rule| rule.method == Method::OauthToken && rule.variable.is_some());
    (!has_method).then(|| ("login.token", "it takes a method 'oauth-token' with a variable".to_owned()))
}

fn conditions(definition: &Definition) -> impl Iterator<Item = &Condition> {
    let first_run = definition.first_run.iter().map(|entry| &entry.when);
    let environment = definition.environment.iter().map(|entry| &entry.when);
    first_run.chain(environment).chain(definition.hints.iter().map(|hint| &hint.when))
}

fn condition(when: &Condition) -> Option<(&'static str, String)> {
    let known = |word: &&String| *word != "none" && !Method::ALL.iter().any(|method| method.word() == *word);
    let unknown = when.method.iter().chain(&when.set_aside).find(known);
    unknown.map(|word| ("when", format!("'{word}' is no method")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sound definition with this text in place of that.
    fn changed(from: &str, to: &str) -> Result<Definition, String> {
        let text = r#"{
  "name": "mine",
  "title": "Mine",
  "commands": ["mine"],
  "home": { "variable": "MINE_HOME", "default": "~/.mine" },
  "methods": [
    { "method": "api-key", "label": "API key", "variable": "MINE_KEY" },
    { "method": "session", "label": "session" }
  ],
  "session": { "file": "auth.json", "access-token": ["/token"] },
  "login": { "command": ["mine", "login"] },
  "hints": [{ "when": { "method": ["none"] }, "say": "nothing" }]
}"#;
        assert!(from.is_empty() || text.contains(from));
        read(&text.replacen(from, to, 1))
    }

    /// A login that makes a token too.
    const TOKEN: (&str, &str) = (
        r#"["mine", "login"] }"#,
        r#"["mine"], "token": { "command": ["mine"], "prefix": "tok-", "alphabet": "a-z", "least": 20, "days": 365 } }"#,
    );

    #[test]
    fn each_rule_names_key_and_line() {
        assert!(changed("", "").is_ok());
        let rows = [
            ("\"title\"", "\"titel\"", "line 3: unknown field `titel`"),
            ("\"label\": \"API key\", ", "", "line 7: missing field `label`"),
            ("\"api-key\"", "\"key\"", "line 7: unknown variant `key`"),
            ("\"name\": \"mine\"", "\"name\": \"a/b\"", "line 2: name: 'a/b'"),
            ("\"name\": \"mine\"", "\"name\": \"auto\"", "line 2: name: 'auto'"),
            ("~/.mine", "/mine", "line 5: home.default: '/mine'"),
            ("auth.json", "../auth.json", "line 10: session.file: '../auth.json'"),
            ("[\"/token\"]", "[]", "line 10: session.access-token"),
            (", \"variable\": \"MINE_KEY\"", "", "line 7: methods.method: 'api-key'"),
            ("[\"none\"]", "[\"nothing\"]", "line 12: when: 'nothing'"),
            (",\n    { \"method\": \"session\", \"label\": \"session\" }", "", "session: it takes both"),
            ("[\"mine\", \"login\"]", "[]", "line 11: login.command: it has no word"),
            ("\"login\": {", "\"login\": { \"say\": 1,", "line 11: invalid type"),
            (TOKEN.0, TOKEN.1, "line 11: login.token: it takes a method 'oauth-token'"),
            (TOKEN.0, &TOKEN.1.replace("\"tok-\"", "\"\""), "line 11: login.prefix: a token begins with"),
            (TOKEN.0, &TOKEN.1.replace("a-z", "a b"), "line 11: login.prefix: "),
            (TOKEN.0, &TOKEN.1.replace("a-z", ""), "line 11: login.least: "),
            (TOKEN.0, &TOKEN.1.replace("20", "4"), "line 11: login.least: "),
            (TOKEN.0, &TOKEN.1.replace("365", "0"), "line 11: login.days: "),
            ("\"hints\"", "hints", "line 12: key must be a string"),
        ];
        for (from, to, expected) in rows {
            let said = changed(from, to).unwrap_err();
            assert!(said.contains(expected), "{to}: {said}");
        }
    }
}
