//! Pure. What there is to know about an agent, as JSON.
//!
//! A key that is not known is an error, so a typing mistake in a definition can not be silent.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One agent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Definition {
    /// The short name: directories, options and variables use it.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// Base names of the commands that start this agent.
    pub commands: Vec<String>,
    /// Where it keeps its state.
    pub home: Home,
    /// Ways to authenticate, the preferred one first.
    pub methods: Vec<MethodRule>,
    /// The file that holds a login, if the agent has one.
    pub session: Option<SessionFile>,
    /// What of a captured directory belongs to the working copy.
    #[serde(default)]
    pub settings: Settings,
    /// State that answers the questions of a first start.
    #[serde(default)]
    pub first_run: Vec<FirstRun>,
    /// Variables to set in the agent's environment unless they are set.
    #[serde(default)]
    pub environment: Surroundings,
    /// The agent's own lock around a refresh.
    pub refresh_lock: Option<RefreshLock>,
}

/// The agent's home: a directory named by a variable, with a default under `HOME`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Home {
    /// The variable that names it.
    pub variable: String,
    /// The part of the home below the directory that the variable names; empty when it names the home itself.
    #[serde(default)]
    pub suffix: String,
    /// The default place; `~/` stands for `HOME`.
    pub default: String,
}

/// The kind of authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A long-lived OAuth token.
    OauthToken,
    /// A bearer token.
    AuthToken,
    /// An API key.
    ApiKey,
    /// A login with rotating tokens, in a file.
    Session,
    /// A cloud provider with credentials of its own.
    Cloud,
}

impl Method {
    /// The word for it in options and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Method::OauthToken => "oauth-token",
            Method::AuthToken => "auth-token",
            Method::ApiKey => "api-key",
            Method::Session => "session",
            Method::Cloud => "cloud",
        }
    }
}

/// One way to authenticate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MethodRule {
    /// Its kind.
    pub method: Method,
    /// What people call it: the auth line's words.
    pub label: String,
    /// The variable that carries the value; for a cloud provider, the one that switches it on. None for a session.
    pub variable: Option<String>,
    /// A variable that names a descriptor to read the value from instead.
    pub descriptor: Option<String>,
}

/// The file that holds a login.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SessionFile {
    /// Its name in the agent's home: one component.
    pub file: String,
    /// How it is written.
    #[serde(default)]
    pub format: Format,
    /// Where the access token is; the first that is there counts.
    pub access_token: Vec<Field>,
    /// Where the refresh token is.
    #[serde(default)]
    pub refresh_token: Vec<Field>,
    /// When the access token expires.
    pub expiry: Option<Expiry>,
    /// Whose login it is; the first that is there counts.
    #[serde(default)]
    pub account: Vec<Field>,
    /// What a usable login has beside its tokens.
    #[serde(default)]
    pub required: Vec<Required>,
    /// The top-level keys that belong to the login; the others belong to the place where the file is. None: all.
    #[serde(default)]
    pub travels: Vec<String>,
}

/// How a session file is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// JSON (RFC 8259).
    #[default]
    Json,
    /// JSON with whole lines of `//` comment.
    Jsonc,
}

/// A place in a document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", from = "FieldForm")]
pub struct Field {
    /// A JSON pointer (RFC 6901); a segment `*` is any child.
    pub pointer: String,
    /// The value is a JWT (RFC 7519), and this pointer leads into its claims.
    pub claim: Option<String>,
    /// The document is this file beside the session file.
    pub file: Option<String>,
}

/// A field is written as its pointer alone, or whole.
#[derive(Deserialize)]
#[serde(untagged)]
enum FieldForm {
    Pointer(String),
    Whole { pointer: String, claim: Option<String>, file: Option<String> },
}

impl From<FieldForm> for Field {
    fn from(form: FieldForm) -> Field {
        match form {
            FieldForm::Pointer(pointer) => Field { pointer, claim: None, file: None },
            FieldForm::Whole { pointer, claim, file } => Field { pointer, claim, file },
        }
    }
}

/// The expiry of an access token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expiry {
    /// Where it is.
    pub field: Field,
    /// What it counts.
    pub unit: ExpiryUnit,
}

/// The unit of an expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpiryUnit {
    /// Milliseconds since 1970.
    Milliseconds,
    /// Seconds since 1970.
    Seconds,
    /// An RFC 3339 time.
    Rfc3339,
}

/// Something that a usable login has.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Required {
    /// Where.
    pub pointer: String,
    /// Only asked for when this is there.
    pub when: Option<String>,
    /// An array there contains this word.
    pub contains: Option<String>,
}

/// What of a captured directory belongs to the working copy. Names are entries of the agent's home; one `*` in a name
/// stands for any characters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The scope `settings`.
    #[serde(default)]
    pub take: Vec<String>,
    /// Left out of every scope: locks, caches, logs.
    #[serde(default)]
    pub leave: Vec<String>,
    /// Files that the agent reads from outside its home as long as its home variable is not set, and where they
    /// belong once it is: `"~/.x.json": ".x.json"`.
    #[serde(default)]
    pub outside: BTreeMap<String, String>,
}

/// State to merge into a file of the agent's home before it starts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FirstRun {
    /// The file.
    pub file: String,
    /// JSON to merge into it. A key `{trusted}` is repeated for every trusted directory; a string `{key-tail}` is the
    /// end of the API key in use, and the entry it stands in is left out when there is none.
    #[serde(default)]
    pub merge: Map<String, Value>,
    /// How many characters of the key `{key-tail}` has.
    #[serde(default)]
    pub key_tail: usize,
    /// Text to append to a file that is not JSON, once for every trusted directory in place of `{trusted}`.
    #[serde(default)]
    pub append: String,
    /// Append only when the file does not contain this.
    #[serde(default)]
    pub unless: String,
}

/// Variables to set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Surroundings {
    /// For every user.
    #[serde(default)]
    pub always: BTreeMap<String, String>,
    /// When the agent runs as root.
    #[serde(default)]
    pub root: BTreeMap<String, String>,
}

/// Directories that the agent makes as locks around a refresh.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RefreshLock {
    /// Made in its home for as long as a refresh is under way.
    pub intent: String,
    /// The suffix of the lock beside its home (`.lock` for `HOME/.x` is `HOME/.x.lock`).
    pub beside: String,
}

impl Definition {
    /// The prefix of this agent's variables for a session: `NAME_CREDENTIALS`.
    #[must_use]
    pub fn session_variable(&self) -> String {
        format!("{}_CREDENTIALS", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// The rule of the method by which a session authenticates.
    #[must_use]
    pub fn session_rule(&self) -> Option<&MethodRule> {
        self.methods.iter().find(|rule| rule.method == Method::Session)
    }
}

/// Whether `name` matches `pattern`, in which one `*` stands for any characters.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let rows = [
            ("a", "a", true),
            ("a", "ab", false),
            ("*.lock", "x.lock", true),
            ("*.lock", ".lock", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("log*", "logs", true),
            ("*", "", true),
        ];
        for (pattern, name, expected) in rows {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
