//! Pure. The definition of an agent, as JSON.
//!
//! An unknown key is an error, so that a typing mistake is noticed.

mod condition;
mod locks;
mod login;
mod pattern;
mod refresh;
mod state;

use std::collections::BTreeMap;

pub use condition::Condition;
pub use locks::{RefreshLockRule, SharedLockRule, Sign, WriteLockRule};
pub use login::{LoginRule, TokenRule};
pub use pattern::matches;
pub use refresh::RefreshRule;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
pub use state::StateEntry;

use crate::login::format::{Format, SessionFile};
use crate::login::names::Names;
use crate::words::spelling;
use crate::words::spelling::word_enum;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Definition {
    /// The short name: directories, options and variables use it.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// Base names of the commands that start this agent.
    pub commands: Vec<String>,
    /// Its config directory.
    pub home: Home,
    /// Ways to authenticate, the preferred one first.
    pub methods: Vec<MethodRule>,
    /// The file that holds a login, if the agent has one.
    pub session: Option<SessionFile>,
    /// The settings that are copied from a captured directory to the working copy.
    #[serde(default)]
    pub settings: Settings,
    /// State that answers the questions of the first start.
    #[serde(default)]
    pub first_run: Vec<FirstRun>,
    /// Variables to set in the agent's environment, or to keep out of it.
    #[serde(default)]
    pub environment: Vec<EnvironmentRules>,
    /// Known problems.
    #[serde(default)]
    pub hints: Vec<Hint>,
    /// The agent's own lock around a refresh.
    pub refresh_lock: Option<RefreshLockRule>,
    /// How `keep` refreshes its login. Without it, nothing keeps a login of this agent.
    pub refresh: Option<RefreshRule>,
    /// How a person logs in.
    pub login: Option<LoginRule>,
}

/// The config directory of an agent: a variable names it, and the default is below `HOME`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Home {
    /// The variable that names it.
    pub variable: String,
    /// The part of the path below the directory that the variable names; empty if the variable names the config
    /// directory.
    #[serde(default)]
    pub suffix: String,
    /// The default path; `~/` stands for `HOME`.
    pub default: String,
    /// A variable that moves the default together with those of other programs, such as the base directories of XDG.
    pub parent: Option<Parent>,
}

/// A directory named by a variable, and what is below it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Parent {
    /// The variable.
    pub variable: String,
    /// The part of the path below the directory that it names.
    pub suffix: String,
}

word_enum! {
    /// The kind of authentication.
    #[derive(Hash)]
    pub enum Method("method") {
        OauthToken = "oauth-token": "a long-lived token of a subscription",
        AuthToken = "auth-token": "a bearer token",
        ApiKey = "api-key": "an API key, billed by use",
        Session = "session": "a login, with tokens that the agent refreshes",
        Cloud = "cloud": "a cloud provider's own credentials",
    }
}

impl<'d> Deserialize<'d> for Method {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Method, D::Error> {
        spelling::deserialize(deserializer)
    }
}

/// One way to authenticate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MethodRule {
    pub method: Method,
    /// What people call it: the auth line's words.
    pub label: String,
    /// The variable that carries the value; for a cloud provider, the one that switches it on. None for a session.
    pub variable: Option<String>,
    /// A variable that names a descriptor to read the value from instead.
    pub descriptor: Option<String>,
    /// Other programs use the variable too. It alone does not make the agent served, and it is removed only where the
    /// agent would prefer it to what was chosen.
    #[serde(default)]
    pub shared: bool,
    /// How its values begin, as the vendor makes them. A value that begins like another method's is a warning.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Variables that go with this method: read from files and commands like it, and never removed for it.
    #[serde(default)]
    pub with: Vec<String>,
    /// Files that go with this method: copied for an agent's user who cannot be expected to read ours.
    #[serde(default)]
    pub files: Vec<CredentialFile>,
    /// The agent's own setting that stands for this method, instead of a variable.
    pub setting: Option<Setting>,
}

/// A file of credentials that is not the agent's own, such as a cloud provider's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CredentialFile {
    /// The variable that names it.
    pub variable: String,
    /// Where it is when the variable is not set; `~/` stands for HOME.
    pub default: String,
    /// A directory of JSON files that it takes to use it, and that no variable moves: copied to the same place below
    /// the agent's HOME; `~/` stands for HOME.
    pub cache: Option<String>,
}

/// A setting of the agent's own that authenticates it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Setting {
    /// The file in its home, JSON.
    pub file: String,
    /// The top-level key: it counts when it holds text.
    pub key: String,
    /// The agent prefers it to whatever else is there, so that it is taken out of the working copy when something else
    /// was chosen.
    #[serde(default)]
    pub overrides: bool,
}

/// The settings that are copied from a captured directory to the working copy. Names are entries of the agent's home;
/// one `*` in a name stands for any characters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The scope `settings`.
    #[serde(default)]
    pub take: Vec<String>,
    /// Left out of every scope: locks, caches, logs.
    #[serde(default)]
    pub leave: Vec<String>,
    /// Conversations and other state that should outlive a container. In a mounted config directory they stay in the
    /// mount.
    #[serde(default)]
    pub state: Vec<StateEntry>,
    /// Files that the agent reads from outside its home as long as its home variable is not set, and where they
    /// belong once it is: `"~/.x.json": ".x.json"`.
    #[serde(default)]
    pub outside: BTreeMap<String, String>,
    /// Where they hold variables of the agent's environment, which it takes before those that are set.
    pub variables: Option<SettingVariables>,
    /// Settings that agent-init does not install and the agent prefers: the machine's, and those of a workspace.
    #[serde(default)]
    pub elsewhere: Vec<SettingsElsewhere>,
}

/// A file of settings outside of the config directory that may hold credentials. JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SettingsElsewhere {
    /// Its path; a relative one is below the working directory.
    pub file: String,
    /// Top-level keys that authenticate the agent when they hold text.
    #[serde(default)]
    pub keys: Vec<String>,
    /// The top-level key of an object of environment variables.
    pub variables: Option<String>,
}

/// An object of variables in a file of settings, JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SettingVariables {
    /// The file in the agent's home.
    pub file: String,
    /// The top-level key.
    pub key: String,
}

/// State to merge into a file of the agent's home before it starts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FirstRun {
    /// The file.
    pub file: String,
    /// How it is written, where there is something to merge.
    #[serde(default)]
    pub format: Format,
    /// Only when this holds.
    #[serde(default)]
    pub when: Condition,
    /// JSON to merge into it. A key or a string `{trusted}` is repeated for every trusted directory; a string
    /// `{key-tail}` is the end of the API key in use, and the entry it stands in is left out when there is none.
    #[serde(default)]
    pub merge: Map<String, Value>,
    /// How many characters of the key `{key-tail}` has.
    #[serde(default)]
    pub key_tail: usize,
    /// Text to append to a file that is not JSON, once for every trusted directory in place of `{trusted}`.
    #[serde(default)]
    pub append: String,
    /// Append only when the file does not contain this; without it, when it does not contain the text.
    #[serde(default)]
    pub unless: String,
}

/// Variables to set or to remove.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EnvironmentRules {
    /// Only when this holds.
    #[serde(default)]
    pub when: Condition,
    /// Set unless they are set.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Removed: they would lead the agent away from its working copy.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// A known problem, reported at the start if its condition holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hint {
    /// When it applies.
    pub when: Condition,
    /// What goes wrong.
    pub say: String,
    /// The remedy.
    pub hint: Option<String>,
    /// Shown only with `-v` and by `doctor`: useful to know, but nothing is wrong.
    #[serde(default)]
    pub detail: bool,
}

impl MethodRule {
    /// Its variables, in every form, and that of the descriptor.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        let forms = self.variable.as_deref().map(|name| Names::of_value(name).variables().collect::<Vec<_>>());
        forms.into_iter().flatten().chain(self.descriptor.clone())
    }
}

impl Definition {
    /// The variables and secret files that may hold its session. `owns_file_name`: a secret file with the name of the
    /// login file counts, because it cannot belong to another agent.
    pub fn session_names(&self, owns_file_name: bool) -> Option<Names> {
        let session = self.session.as_ref()?;
        // A key of a Kubernetes Secret made by hand often lacks the dot.
        let files = std::iter::once(session.file.as_str()).chain(session.undotted());
        Some(Names::of_session(&self.name, &session.variables, files.filter(|_| owns_file_name)))
    }

    /// The variables of its session, in every form.
    pub fn session_variables(&self) -> Vec<String> {
        self.session_names(false).map(|names| names.variables().collect()).unwrap_or_default()
    }

    /// Every variable by which it may be given a credential, in every form.
    pub fn variables(&self) -> Vec<String> {
        self.methods.iter().flat_map(MethodRule::variables).chain(self.session_variables()).collect()
    }

    /// Whether an entry of a config directory is the agent's, or agent-init's.
    pub fn knows_entry(&self, name: &str) -> bool {
        let settings = &self.settings;
        let mut patterns = settings.take.iter().chain(&settings.leave);
        name == ".agent-init"
            || self.session.as_ref().is_some_and(|session| session.file == name)
            || self.first_run.iter().any(|entry| entry.file == name)
            || patterns.any(|pattern| matches(pattern, name))
            || settings.state.iter().any(|entry| entry.matches(name))
    }

    /// The rule of the method by which a session authenticates.
    pub fn session_rule(&self) -> Option<&MethodRule> {
        self.methods.iter().find(|rule| rule.method == Method::Session)
    }
}
