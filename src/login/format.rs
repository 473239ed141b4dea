//! The part of an agent's definition that describes its login file. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The file that holds a login.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SessionFile {
    /// The file's name in the config directory: one component.
    pub file: String,
    #[serde(default)]
    pub format: Format,
    /// Where the access token is. The first field that exists counts.
    pub access_token: Vec<Field>,
    /// Where the refresh token is.
    #[serde(default)]
    pub refresh_token: Vec<Field>,
    /// When the access token expires.
    pub expiry: Option<Expiry>,
    /// When the refresh token ends: the login deadline. No refresh moves it.
    pub deadline: Option<Expiry>,
    /// The account that the login belongs to. The first field that exists counts.
    #[serde(default)]
    pub account: Vec<Field>,
    /// What the account has subscribed to, shown to people. The first field that exists counts.
    #[serde(default)]
    pub plan: Vec<Field>,
    /// The form without a refresh token. Without it, the agent cannot follow a keeper.
    pub follower: Option<FollowerForm>,
    /// The field that tells the kind of the login.
    pub kind: Option<Kind>,
    /// What a usable login has besides its tokens.
    #[serde(default)]
    pub required: Vec<Required>,
    /// The top-level keys that belong to the login. The others belong to the file's directory and are not synced.
    /// Empty: all keys belong to the login.
    #[serde(default, rename = "travels")]
    pub synced_keys: Vec<String>,
    /// Objects beside the login whose members are logins of their own: each is merged on its own.
    #[serde(default)]
    pub entries: Vec<EntryRule>,
    /// A key that tells this file from another agent's file of the same name, where a file is found by its name alone.
    pub mark: Option<String>,
    /// The agent's own variables that hold the whole file. agent-init installs the file instead, so that refreshes are
    /// kept.
    #[serde(default)]
    pub variables: Vec<String>,
    /// Whether a refresh replaces the refresh token and spends the old one. If not, copies of a login work side by
    /// side.
    #[serde(default = "yes")]
    pub rotates: bool,
}

fn yes() -> bool {
    true
}

impl SessionFile {
    /// The file's name without its leading dot, as a key of a Kubernetes Secret may be called.
    pub fn undotted(&self) -> Option<&str> {
        self.file.strip_prefix('.')
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// RFC 8259.
    #[default]
    Json,
    /// JSON with `//` comments on lines of their own.
    Jsonc,
    /// Nested `key: value` lines: the subset of YAML that agents write.
    Yaml,
}

/// A field of a document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", from = "FieldForm")]
pub struct Field {
    /// A JSON pointer (RFC 6901). A segment `*` matches any child.
    pub pointer: String,
    /// If set, the value is a JWT (RFC 7519), and this is a pointer into its claims.
    pub claim: Option<String>,
    /// If set, the field is in this file beside the login file.
    pub file: Option<String>,
}

/// A field in a definition: its pointer alone, or an object.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
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

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expiry {
    pub field: Field,
    pub unit: ExpiryUnit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpiryUnit {
    /// Since 1970.
    Milliseconds,
    /// Since 1970.
    Seconds,
    Rfc3339,
}

/// An object in a login file, each member of which is a login to something else, such as an MCP server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EntryRule {
    /// The top-level key of the object.
    pub key: String,
    /// Where a member has its access token. Without one it is blank, and is not transferred. If this is not set, every
    /// member is usable.
    pub access_token: Option<Field>,
    /// Where a member has its refresh token.
    pub refresh_token: Option<Field>,
    /// When the access token expires.
    pub expiry: Option<Expiry>,
}

/// What is changed in a login file. Which form an agent accepts, without contacting its vendor, is measured.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FollowerForm {
    /// Pointers to what is removed. A segment `*` stands for every child.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Pointers to what is set, with the values. Only what is there is set.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
}

/// The kinds of login that a file may hold. A newer version of the agent may have others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kind {
    pub pointer: String,
    pub known: Vec<String>,
}

/// Something that a usable login must have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Required {
    pub pointer: String,
    /// The requirement applies only if there is a value at this pointer.
    pub when: Option<String>,
    /// The value must be an array with this word.
    pub contains: Option<String>,
    /// The value must be text of this form.
    pub form: Option<Form>,
}

/// A form of text that the agent parses. It refuses the whole file if the text is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// RFC 7519.
    Jwt,
}
