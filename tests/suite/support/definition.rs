//! The built-in agent definitions and their fixtures, as data: a new definition is tested by being there.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A definition and its fixture.
pub struct Definition {
    /// As the binary has it.
    pub value: Value,
    /// A valid login.
    pub login: String,
    /// A login that is none: logged out, or refused.
    pub spent: String,
    /// What is to be found out about the login, and to be installed beside it.
    pub expected: Value,
}

/// A method that has a variable.
pub struct Carrier {
    pub method: String,
    pub label: String,
    pub variable: String,
    pub descriptor: Option<String>,
}

impl Carrier {
    /// A value that it may have: a provider is switched on, anything else is a secret.
    pub fn value(&self) -> &'static str {
        if self.method == "cloud" { "true" } else { "FAKE-value" }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Every built-in definition.
pub fn definitions() -> Vec<Definition> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("src/agent/definitions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files.iter().map(|path| Definition::read(path)).collect()
}

impl Definition {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let fixture = |file: &str| {
            let path = root().join("tests/fixtures").join(name).join(file);
            fs::read_to_string(&path).unwrap_or_else(|e| {
                panic!("the definition '{name}' has no fixture {}: {e}", path.display());
            })
        };
        Self {
            value: serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap(),
            login: fixture("login"),
            spent: fixture("spent"),
            expected: serde_json::from_str(&fixture("expected.json")).unwrap(),
        }
    }

    pub fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.text("/name")
    }

    pub fn command(&self) -> &str {
        self.text("/commands/0")
    }

    /// The credential file's name.
    pub fn file(&self) -> &str {
        self.text("/session/file")
    }

    /// `NAME_CREDENTIALS`.
    pub fn variable(&self) -> String {
        format!("{}_CREDENTIALS", self.name().to_uppercase())
    }

    /// The agent's directory below HOME.
    pub fn place(&self) -> &str {
        self.text("/home/default").strip_prefix("~/").unwrap()
    }

    /// What the auth line calls a login.
    pub fn label(&self) -> String {
        let rules = self.value["methods"].as_array().unwrap();
        rules.iter().find(|rule| rule["method"] == "session").unwrap()["label"].as_str().unwrap().to_owned()
    }

    pub fn carriers(&self) -> Vec<Carrier> {
        let text = |rule: &Value, key: &str| rule[key].as_str().map(str::to_owned);
        let rules = self.value["methods"].as_array().unwrap().iter();
        rules
            .filter_map(|rule| {
                Some(Carrier {
                    variable: text(rule, "variable")?,
                    method: text(rule, "method")?,
                    label: text(rule, "label")?,
                    descriptor: text(rule, "descriptor"),
                })
            })
            .collect()
    }

    /// A script for the stand-in that prints its environment and then its credential file.
    pub fn show(&self) -> String {
        let (variable, suffix) = (self.text("/home/variable"), self.text("/home/suffix"));
        let place = if suffix.is_empty() { format!("${variable}") } else { format!("${variable}/{suffix}") };
        format!("env | sort; F={place}/{}; say FILE-FOLLOWS; test ! -e \"$F\" || cat \"$F\"", self.file())
    }

    /// The tokens of the fixture's login.
    pub fn tokens(&self) -> Vec<&str> {
        self.expected["tokens"].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect()
    }
}
