//! Pure. What a definition says of the file that holds a login.

use serde::Deserialize;

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
    /// What the account has subscribed to, for people; the first that is there counts.
    #[serde(default)]
    pub plan: Vec<Field>,
    /// What a usable login has beside its tokens.
    #[serde(default)]
    pub required: Vec<Required>,
    /// The top-level keys that belong to the login; the others belong to the place where the file is. None: all.
    #[serde(default)]
    pub travels: Vec<String>,
    /// What tells this file from another agent's of the same name, where both are found under that name alone.
    pub mark: Option<String>,
    /// Variables of the agent's own that hold the whole file; it is installed instead, so that refreshes are kept.
    #[serde(default)]
    pub variables: Vec<String>,
    /// A refresh replaces the refresh token and spends the old one. False: copies of a login live side by side.
    #[serde(default = "yes")]
    pub rotates: bool,
}

fn yes() -> bool {
    true
}

impl SessionFile {
    /// The name of a key for it in a Kubernetes Secret that lacks the dot in front.
    pub fn undotted(&self) -> Option<&str> {
        self.file.strip_prefix('.')
    }
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
    /// Nested `key: value` lines: the part of YAML that such files are written in.
    Yaml,
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
    /// The text there is of this form.
    pub form: Option<Form>,
}

/// The form of a text that the agent itself reads, and refuses the whole file for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A JWT (RFC 7519).
    Jwt,
}
