//! Pure. Checks the rules for definitions that types cannot express and that other code relies on.

use std::fmt;

use crate::agent::definition::{Condition, Definition, Method, RefreshLockRule, RefreshRule};
use crate::agent::keys::Keys;
use crate::login::format::{EntryRule, Field, Format, SessionFile};
use crate::login::limits;
use crate::login::limits::Unparsed;
use crate::words::spelling::Words;

/// What is wrong with a definition, and where.
#[derive(Debug)]
pub struct BadDefinition {
    /// `None` for what concerns the whole text.
    line: Option<usize>,
    /// Empty where no key is known.
    key: String,
    what: String,
}

impl fmt::Display for BadDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// Parses and checks a definition.
pub fn read(text: &str) -> Result<Definition, BadDefinition> {
    if !text.trim_start().starts_with('{') {
        // Serde would take a list for the fields in their order.
        return Err(BadDefinition { line: Some(1), key: String::new(), what: "it is not a JSON object".to_owned() });
    }
    let definition: Definition = limits::parse(text.as_bytes()).map_err(|why| match why {
        Unparsed::NotJson { error: Some(error), .. } => refused(&Keys::of(text), &error),
        why => BadDefinition { line: None, key: String::new(), what: why.to_string() },
    })?;
    match broken(&definition) {
        None => Ok(definition),
        Some(Broken { key, what }) => Err(BadDefinition { line: Some(Keys::of(text).line(&key)), key, what }),
    }
}

/// What serde refuses, with the key that it does not name.
fn refused(keys: &Keys<'_>, error: &serde_json::Error) -> BadDefinition {
    let said = error.to_string();
    let what = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what);
    let (line, column) = (error.line(), error.column());
    let key = match error.classify() {
        // Where the text is broken, what stands before says nothing.
        serde_json::error::Category::Data if what.starts_with("missing field") => keys.closed_at(line, column),
        serde_json::error::Category::Data => keys.at(line, column),
        _ => String::new(),
    };
    BadDefinition { line: Some(line), key, what: what.to_owned() }
}

/// A rule that a definition breaks.
struct Broken {
    key: String,
    what: String,
}

fn breaks(key: impl Into<String>, what: impl Into<String>) -> Broken {
    Broken { key: key.into(), what: what.into() }
}

/// One name of a directory or file.
fn component(key: impl Into<String>, name: &str) -> Option<Broken> {
    let is_one = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    (!is_one).then(|| breaks(key, format!("'{name}' is not one path component")))
}

/// A path below HOME.
fn below_home(key: impl Into<String>, path: &str) -> Option<Broken> {
    let key = key.into();
    let Some(rest) = path.strip_prefix("~/") else {
        return Some(breaks(key, format!("'{path}' does not start with ~/")));
    };
    rest.split('/').find_map(|name| component(key.as_str(), name))
}

/// The name of a variable: it is given to programs and shells, and `NAME_FILE` and others are made of it.
fn variable(key: impl Into<String>, name: &str) -> Option<Broken> {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    (!is_name).then(|| breaks(key, format!("'{name}' is not a variable name")))
}

/// RFC 6901.
fn pointer(key: impl Into<String>, text: &str) -> Option<Broken> {
    let is_escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    let is_pointer = (text.is_empty() || text.starts_with('/')) && is_escaped;
    (!is_pointer)
        .then(|| breaks(key, format!("'{text}' is not a JSON pointer: each part begins with /, and ~ is written ~0")))
}

/// The first rule that a definition breaks.
fn broken(definition: &Definition) -> Option<Broken> {
    name(&definition.name)
        .or_else(|| listed("commands", &definition.commands, component))
        .or_else(|| home(definition))
        .or_else(|| definition.session.as_ref().and_then(session))
        .or_else(|| {
            (definition.session.is_some() != definition.session_rule().is_some())
                .then(|| breaks("session", "a method 'session' and a 'session' file need each other"))
        })
        .or_else(|| methods(definition))
        .or_else(|| login(definition))
        .or_else(|| {
            let mut files = definition.first_run.iter().enumerate();
            files.find_map(|(index, entry)| component(format!("first-run[{index}].file"), &entry.file))
        })
        .or_else(|| settings(definition))
        .or_else(|| environment(definition))
        .or_else(|| definition.refresh_lock.as_ref().and_then(refresh_lock))
        .or_else(|| refresh(definition, definition.refresh.as_ref()?))
        .or_else(|| conditions(definition).find_map(|(key, when)| condition(&key, when)))
}

fn refresh_lock(lock: &RefreshLockRule) -> Option<Broken> {
    let seconds = |key: &'static str, seconds: u64, most: u64| {
        let what = format!("{seconds} is not a number of seconds from 1 to {most}");
        (!(1..=most).contains(&seconds)).then(|| breaks(key, what))
    };
    let is_date = humantime::parse_rfc3339(&lock.rest).is_ok();
    let (shared, write) = (lock.shared.as_ref(), lock.write.as_ref());
    // A lock beside the home has a name that begins with the home's own.
    component("refresh-lock.intent", &lock.intent)
        .or_else(|| component("refresh-lock.beside", &lock.beside))
        .or_else(|| (!is_date).then(|| breaks("refresh-lock.rest", "it is not a time such as 2037-01-01T00:00:00Z")))
        .or_else(|| seconds("refresh-lock.sign.every", lock.sign.every, 3600))
        .or_else(|| seconds("refresh-lock.sign.ahead", lock.sign.ahead, 3600))
        .or_else(|| seconds("refresh-lock.dead-after", lock.dead_after, 3600))
        .or_else(|| seconds("refresh-lock.shared.every", shared?.every, 3600))
        .or_else(|| seconds("refresh-lock.shared.behind", shared?.behind, 3600))
        .or_else(|| seconds("refresh-lock.shared.dead-after", shared?.dead_after, 3600))
        .or_else(|| component("refresh-lock.write.name", &write?.name))
        .or_else(|| seconds("refresh-lock.write.dead-after", write?.dead_after, 3600))
}

fn refresh(definition: &Definition, rule: &RefreshRule) -> Option<Broken> {
    let Some(session) = &definition.session else { return Some(breaks("refresh", "it needs a 'session'")) };
    if session.format != Format::Json {
        return Some(breaks("refresh", "only a login in JSON can be refreshed by a keeper"));
    }
    if rule.program().is_empty() || rule.program().contains('/') {
        return Some(breaks("refresh.command", "it must begin with the name of a program"));
    }
    if rule.force.is_empty() {
        return Some(breaks("refresh.force", "it is empty: the agent would not refresh"));
    }
    if !(1..=600).contains(&rule.limit) {
        let what = format!("{} is not a number of seconds from 1 to 600", rule.limit);
        return Some(breaks("refresh.limit", what));
    }
    let field = |text: &String| {
        let key = format!("refresh.force.{text}");
        let names_none = || breaks(key.as_str(), "it names no field");
        pointer(key.as_str(), text).or_else(|| (text.len() < 2).then(names_none))
    };
    rule.force.keys().find_map(field).or_else(|| listed("refresh.environment", rule.environment.keys(), variable))
}

fn listed<'n>(
    key: &str,
    names: impl IntoIterator<Item = &'n String>,
    rule: impl Fn(String, &str) -> Option<Broken>,
) -> Option<Broken> {
    names.into_iter().enumerate().find_map(|(index, name)| rule(format!("{key}[{index}]"), name))
}

fn name(name: &str) -> Option<Broken> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.chars().all(plain) {
        // It becomes part of variables and paths, and stands in options between commas and equals signs.
        return Some(breaks("name", format!("'{name}' must consist of a-z, 0-9 and -, and begin with a letter")));
    }
    ["auto", "none"].contains(&name).then(|| breaks("name", format!("'{name}' is reserved for --agent")))
}

fn home(definition: &Definition) -> Option<Broken> {
    let home = &definition.home;
    let parts = |key: &'static str, path: &str| path.split('/').find_map(|name| component(key, name));
    let suffix = Some(&home.suffix).filter(|suffix| !suffix.is_empty());
    let parent = home.parent.as_ref();
    variable("home.variable", &home.variable)
        .or_else(|| below_home("home.default", &home.default))
        .or_else(|| parts("home.suffix", suffix?))
        .or_else(|| variable("home.parent.variable", &parent?.variable))
        .or_else(|| parts("home.parent.suffix", &parent?.suffix))
}

fn session(session: &SessionFile) -> Option<Broken> {
    if session.access_token.is_empty() {
        return Some(breaks("session.access-token", "it is empty"));
    }
    if session.format == Format::Yaml && !session.synced_keys.is_empty() {
        return Some(breaks("session.travels", "a YAML file can only be synced as a whole"));
    }
    if !session.entries.is_empty() && session.synced_keys.is_empty() {
        return Some(breaks(
            "session.entries",
            "they need session.travels: a file that is synced whole has no other keys",
        ));
    }
    let of = |key: &'static str, fields: &[Field]| {
        fields.iter().enumerate().find_map(|(index, place)| field(&format!("session.{key}[{index}]"), place))
    };
    component("session.file", &session.file)
        .or_else(|| of("access-token", &session.access_token))
        .or_else(|| of("refresh-token", &session.refresh_token))
        .or_else(|| field("session.expiry.field", &session.expiry.as_ref()?.field))
        .or_else(|| field("session.deadline.field", &session.deadline.as_ref()?.field))
        .or_else(|| of("account", &session.account))
        .or_else(|| of("plan", &session.plan))
        .or_else(|| session.mark.as_ref().and_then(|mark| pointer("session.mark", mark)))
        .or_else(|| {
            session.required.iter().enumerate().find_map(|(index, required)| {
                let key = |name: &str| format!("session.required[{index}].{name}");
                let when = required.when.as_ref();
                pointer(key("pointer"), &required.pointer).or_else(|| pointer(key("when"), when?))
            })
        })
        .or_else(|| session.entries.iter().enumerate().find_map(|(index, rule)| entries(index, rule, session)))
        .or_else(|| listed("session.variables", &session.variables, variable))
}

fn entries(index: usize, rule: &EntryRule, session: &SessionFile) -> Option<Broken> {
    let key = |name: &str| format!("session.entries[{index}].{name}");
    let is_named_twice = session.synced_keys.contains(&rule.key)
        || session.entries.iter().take(index).any(|other| other.key == rule.key);
    if rule.key.is_empty() {
        return Some(breaks(key("key"), "it is empty"));
    }
    if is_named_twice {
        return Some(breaks(key("key"), format!("'{}' is named twice", rule.key)));
    }
    let field = |name: &str, field: &Field| {
        let is_elsewhere = field.claim.is_some() || field.file.is_some();
        let elsewhere = || breaks(key(name), "it must be a pointer into the member");
        pointer(key(name), &field.pointer).or_else(|| is_elsewhere.then(elsewhere))
    };
    let access = rule.access_token.as_ref().and_then(|token| field("access-token", token));
    let access_or_refresh = access.or_else(|| field("refresh-token", rule.refresh_token.as_ref()?));
    access_or_refresh.or_else(|| field("expiry.field", &rule.expiry.as_ref()?.field))
}

fn field(key: &str, field: &Field) -> Option<Broken> {
    pointer(key, &field.pointer)
        .or_else(|| pointer(key, field.claim.as_ref()?))
        .or_else(|| component(key, field.file.as_ref()?))
}

fn methods(definition: &Definition) -> Option<Broken> {
    for (index, rule) in definition.methods.iter().enumerate() {
        let key = |name: &str| format!("methods[{index}].{name}");
        let word = rule.method.word();
        let carriers = usize::from(rule.variable.is_some()) + usize::from(rule.setting.is_some());
        if carriers != usize::from(rule.method != Method::Session) {
            let what = format!("'{word}' takes either a variable or a setting, and 'session' neither");
            return Some(breaks(key("method"), what));
        }
        if rule.descriptor.is_some() && rule.variable.is_none() {
            return Some(breaks(key("descriptor"), "it needs a variable that it replaces"));
        }
        let names = [("variable", &rule.variable), ("descriptor", &rule.descriptor)];
        let mut names = names.iter().filter_map(|(part, name)| Some((key(part), name.as_ref()?)));
        let unsound = names.find_map(|(key, name)| variable(key, name));
        let unsound = unsound.or_else(|| listed(&key("with"), &rule.with, variable)).or_else(|| {
            rule.files.iter().enumerate().find_map(|(file, rule)| {
                let key = |name: &str| format!("{}[{file}].{name}", key("files"));
                variable(key("variable"), &rule.variable)
                    .or_else(|| below_home(key("default"), &rule.default))
                    .or_else(|| below_home(key("cache"), rule.cache.as_deref()?))
            })
        });
        let unsound = unsound.or_else(|| component(key("setting.file"), &rule.setting.as_ref()?.file));
        if unsound.is_some() {
            return unsound;
        }
        let is_same =
            |other: &&crate::agent::definition::MethodRule| rule.variable.is_some() && other.variable == rule.variable;
        if let Some(name) = definition.methods.iter().take(index).find(is_same).and(rule.variable.as_ref()) {
            return Some(breaks(key("variable"), format!("{name} is used twice")));
        }
    }
    None
}

fn login(definition: &Definition) -> Option<Broken> {
    let login = definition.login.as_ref()?;
    let has_no_word = |words: &[String]| words.first().is_none_or(String::is_empty);
    let commands = [
        ("login.command", Some(&login.command)),
        ("login.auto", Some(&login.auto).filter(|auto| !auto.is_empty())),
        ("login.token.command", login.token.as_ref().map(|token| &token.command)),
    ];
    if let Some((key, _)) = commands.iter().find(|(_, words)| words.is_some_and(|words| has_no_word(words))) {
        return Some(breaks(*key, "it is empty"));
    }
    if let Some(broken) = login.environment.keys().find_map(|name| variable("login.environment", name)) {
        return Some(broken);
    }
    let token = login.token.as_ref()?;
    let characters = token.characters();
    if token.prefix.is_empty()
        || !token.prefix.bytes().chain(characters.iter().copied()).all(|byte| byte.is_ascii_graphic())
    {
        // It is looked for among the characters on a screen.
        return Some(breaks(
            "login.token.prefix",
            "a token must consist of visible ASCII characters and have a prefix",
        ));
    }
    if characters.is_empty() || token.least <= token.prefix.len() {
        return Some(breaks("login.token.least", "a token must have characters after its prefix"));
    }
    if token.days == 0 {
        return Some(breaks("login.token.days", "a token must be valid for at least a day"));
    }
    let has_method = definition.methods.iter().any(|rule| rule.method == Method::OauthToken && rule.variable.is_some());
    (!has_method).then(|| breaks("login.token", "it needs a method 'oauth-token' with a variable"))
}

fn settings(definition: &Definition) -> Option<Broken> {
    let settings = &definition.settings;
    let mut outside = settings.outside.iter();
    listed("settings.take", &settings.take, component)
        .or_else(|| listed("settings.leave", &settings.leave, component))
        .or_else(|| listed("settings.state", settings.state.iter().map(|entry| &entry.name), component))
        .or_else(|| {
            outside.find_map(|(path, name)| {
                let key = format!("settings.outside.{path}");
                below_home(key.as_str(), path).or_else(|| component(key.as_str(), name))
            })
        })
        .or_else(|| component("settings.variables.file", &settings.variables.as_ref()?.file))
}

fn environment(definition: &Definition) -> Option<Broken> {
    definition.environment.iter().enumerate().find_map(|(index, entry)| {
        let key = |name: &str| format!("environment[{index}].{name}");
        let mut set = entry.set.keys();
        set.find_map(|name| variable(key("set"), name)).or_else(|| listed(&key("remove"), &entry.remove, variable))
    })
}

/// The conditions, and the keys of what they are in.
fn conditions(definition: &Definition) -> impl Iterator<Item = (String, &Condition)> {
    let first_run = definition.first_run.iter().map(|entry| &entry.when).enumerate();
    let environment = definition.environment.iter().map(|entry| &entry.when).enumerate();
    let hints = definition.hints.iter().map(|hint| &hint.when).enumerate();
    let named = |list: &'static str| move |(index, when)| (format!("{list}[{index}].when"), when);
    first_run.map(named("first-run")).chain(environment.map(named("environment"))).chain(hints.map(named("hints")))
}

fn condition(key: &str, when: &Condition) -> Option<Broken> {
    let is_known = |word: &str| word == "none" || Method::VALUES.iter().any(|method| method.word() == word);
    let word = |key: String, word: &str| (!is_known(word)).then(|| breaks(key, format!("'{word}' is not a method")));
    listed(&format!("{key}.method"), &when.method, word)
        .or_else(|| listed(&format!("{key}.set-aside"), &when.ignored, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sound definition with this text in place of that.
    fn changed(from: &str, to: &str) -> Result<Definition, BadDefinition> {
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

    /// A keeper's command.
    const REFRESH: (&str, &str) = (
        "\"hints\": [",
        r#""refresh": { "command": ["mine", "mcp"], "environment": { "A": "1" }, "force": { "/expiry": 1 }, "limit": 30 }, "hints": ["#,
    );

    /// Logins beside the agent's own.
    const ENTRIES: (&str, &str) = (
        "\"auth.json\"",
        r#""auth.json", "travels": ["own"], "entries": [{ "key": "servers", "access-token": "/t", "expiry": { "field": "/e", "unit": "seconds" } }]"#,
    );

    #[test]
    fn each_rule_names_key_and_line() {
        assert!(changed("", "").is_ok());
        assert!(changed(REFRESH.0, REFRESH.1).is_ok());
        assert!(changed(ENTRIES.0, ENTRIES.1).is_ok());
        let rows = [
            ("\"title\"", "\"titel\"", "line 3: titel: unknown field `titel`"),
            ("\"Mine\"", "3", "line 3: title: invalid type: integer `3`"),
            ("  \"title\": \"Mine\",\n", "", "line 12: missing field `title`"),
            ("\"label\": \"API key\", ", "", "line 7: methods[0]: missing field `label`"),
            ("\"api-key\"", "\"key\"", "line 7: methods[0].method: unknown method `key`"),
            ("\"name\": \"mine\"", "\"name\": \"a/b\"", "line 2: name: 'a/b'"),
            ("\"name\": \"mine\"", "\"name\": \"-a\"", "line 2: name: '-a'"),
            ("\"name\": \"mine\"", "\"name\": \"auto\"", "line 2: name: 'auto'"),
            ("\"name\": \"mine\"", "\"name\": \"mine\", \"name\": \"other\"", "line 2: name: duplicate field"),
            ("[\"mine\"]", "[\"/bin/mine\"]", "line 4: commands[0]: '/bin/mine'"),
            ("\"MINE_HOME\"", "\"MINE HOME\"", "line 5: home.variable: 'MINE HOME'"),
            ("\"MINE_HOME\"", "\"\"", "line 5: home.variable: ''"),
            ("~/.mine", "/mine", "line 5: home.default: '/mine'"),
            ("~/.mine", "~/../mine", "line 5: home.default: '..'"),
            ("~/.mine", "~/", "line 5: home.default: ''"),
            (
                "~/.mine\"",
                "~/.mine\", \"parent\": { \"variable\": \"\", \"suffix\": \"x\" }",
                "line 5: home.parent.variable: ''",
            ),
            (
                "~/.mine\"",
                "~/.mine\", \"parent\": { \"variable\": \"X\", \"suffix\": \"/x\" }",
                "line 5: home.parent.suffix: ''",
            ),
            ("\"MINE_KEY\"", "\"1KEY\"", "line 7: methods[0].variable: '1KEY'"),
            ("auth.json", "../auth.json", "line 10: session.file: '../auth.json'"),
            ("[\"/token\"]", "[]", "line 10: session.access-token"),
            ("[\"/token\"]", "[\"token\"]", "line 10: session.access-token[0]: 'token' is not a JSON pointer"),
            ("[\"/token\"]", "[{ \"pointer\": \"/a~2\" }]", "line 10: session.access-token[0]: '/a~2'"),
            ("[\"/token\"]", "[{ \"pointer\": \"/a\", \"clam\": \"/b\" }]", "line 10: session.access-token[0]"),
            ("[\"/token\"]", "[3]", "line 10: session.access-token"),
            (", \"variable\": \"MINE_KEY\"", "", "line 7: methods[0].method: 'api-key'"),
            (
                "\"hints\": [",
                "\"settings\": { \"state\": [\"a/\", \"b/c\"] }, \"hints\": [",
                "line 12: settings.state[1]: 'b/c'",
            ),
            ("[\"none\"]", "[\"nothing\"]", "line 12: hints[0].when.method[0]: 'nothing'"),
            ("{ \"method\": [", "{ \"methods\": [", "line 12: hints[0].when.methods: unknown field"),
            (",\n    { \"method\": \"session\", \"label\": \"session\" }", "", "session: a method 'session' and"),
            ("[\"mine\", \"login\"]", "[]", "line 11: login.command: it is empty"),
            ("\"login\": {", "\"login\": { \"say\": 1,", "line 11: login.say: invalid type"),
            (TOKEN.0, TOKEN.1, "line 11: login.token: it needs a method 'oauth-token'"),
            (TOKEN.0, &TOKEN.1.replace("\"tok-\"", "\"\""), "line 11: login.token.prefix: a token must consist"),
            (TOKEN.0, &TOKEN.1.replace("a-z", "a b"), "line 11: login.token.prefix: "),
            (TOKEN.0, &TOKEN.1.replace("a-z", ""), "line 11: login.token.least: "),
            (TOKEN.0, &TOKEN.1.replace("20", "4"), "line 11: login.token.least: "),
            (TOKEN.0, &TOKEN.1.replace("365", "0"), "line 11: login.token.days: "),
            (
                "\"hints\": [",
                "\"first-run\": [{ \"file\": \"a/b\" }], \"hints\": [",
                "line 12: first-run[0].file: 'a/b'",
            ),
            (
                "\"hints\": [",
                "\"refresh-lock\": { \"intent\": \"../x\", \"beside\": \".lock\" }, \"hints\": [",
                "line 12: refresh-lock.intent: '../x'",
            ),
            (
                "\"hints\": [",
                "\"refresh-lock\": { \"intent\": \"x\", \"beside\": \"/x\" }, \"hints\": [",
                "line 12: refresh-lock.beside: '/x'",
            ),
            (
                "\"hints\": [",
                "\"environment\": [{ \"set\": { \"A=B\": \"1\" } }], \"hints\": [",
                "line 12: environment[0].set: 'A=B'",
            ),
            (REFRESH.0, &REFRESH.1.replace("[\"mine\", \"mcp\"]", "[]"), "line 12: refresh.command: it must begin"),
            (REFRESH.0, &REFRESH.1.replace("\"mine\", \"mcp", "\"/bin/mine\", \"mcp"), "line 12: refresh.command: "),
            (REFRESH.0, &REFRESH.1.replace("\"/expiry\": 1", ""), "line 12: refresh.force: it is empty"),
            (REFRESH.0, &REFRESH.1.replace("/expiry", "expiry"), "line 12: refresh.force.expiry: 'expiry' is not a"),
            (REFRESH.0, &REFRESH.1.replace("30", "0"), "line 12: refresh.limit: 0 is not"),
            (REFRESH.0, &REFRESH.1.replace("A\": \"1", "A=B\": \"1"), "line 12: refresh.environment[0]: 'A=B'"),
            (ENTRIES.0, &ENTRIES.1.replace("\"own\"", ""), "line 10: session.entries: they need session.travels"),
            (ENTRIES.0, &ENTRIES.1.replace("own", "servers"), "line 10: session.entries[0].key: 'servers' is named"),
            (ENTRIES.0, &ENTRIES.1.replace("servers", ""), "line 10: session.entries[0].key: it is empty"),
            (ENTRIES.0, &ENTRIES.1.replace("/t", "t"), "line 10: session.entries[0].access-token: 't' is not a"),
            (
                ENTRIES.0,
                &ENTRIES.1.replace("\"/e\"", r#"{ "pointer": "/e", "claim": "/exp" }"#),
                "line 10: session.entries[0].expiry.field: it must be",
            ),
            ("\"hints\"", "hints", "line 12: key must be a string"),
        ];
        for (from, to, expected) in rows {
            let said = changed(from, to).unwrap_err().to_string();
            assert!(said.contains(expected), "{to}: {said}");
        }
        assert_eq!(read("[]").unwrap_err().to_string(), "line 1: it is not a JSON object");
        assert!(read("").unwrap_err().to_string().starts_with("line 1: "));
    }
}
