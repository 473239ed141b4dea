//! The names under which a credential may be given: variables, and files in a secrets directory. Pure.
//!
//! `build.rs` includes this file, so it uses nothing but std.

/// What follows NAME in a variable's name. It says what the variable holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suffix {
    /// The value itself.
    Plain,
    /// The value in base64. Only for logins.
    Base64,
    /// The path of a file that holds the value.
    File,
    /// A command that prints the value.
    Command,
}

impl Suffix {
    pub const ALL: [Suffix; 4] = [Suffix::Plain, Suffix::Base64, Suffix::File, Suffix::Command];
    /// The suffixes of a token's or key's variable.
    pub const OF_VALUE: [Suffix; 3] = [Suffix::Plain, Suffix::File, Suffix::Command];

    pub const fn text(self) -> &'static str {
        match self {
            Suffix::Plain => "",
            Suffix::Base64 => "_B64",
            Suffix::File => "_FILE",
            Suffix::Command => "_COMMAND",
        }
    }

    /// The variable for this name.
    pub fn of(self, name: &str) -> String {
        format!("{name}{}", self.text())
    }
}

/// Whether a variable is `name` with any suffix.
pub fn is_form_of(variable: &[u8], name: &str) -> bool {
    // Called for every variable at each start. Most differ in the first letter.
    variable.first() == name.as_bytes().first()
        && variable
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| Suffix::ALL.iter().any(|suffix| suffix.text().as_bytes() == rest))
}

/// The variable of an agent's login: `AGENT_CREDENTIALS`.
pub fn of_session(agent: &str) -> String {
    format!("{}_CREDENTIALS", agent.to_ascii_uppercase().replace('-', "_"))
}

/// The names under which one credential may be given.
#[derive(Debug)]
pub struct Names {
    /// NAME: the variable without a suffix.
    pub variable: String,
    /// The agent's own variables for the same credential. They take no suffix.
    pub also: Vec<String>,
    pub files: Vec<String>,
    /// The suffixes that NAME may have.
    pub suffixes: &'static [Suffix],
}

impl Names {
    /// The names of a token or key.
    pub fn of_value(variable: &str) -> Names {
        Names {
            variable: variable.to_owned(),
            also: Vec::new(),
            files: vec![variable.to_owned(), variable.to_ascii_lowercase()],
            suffixes: &Suffix::OF_VALUE,
        }
    }

    /// The names of an agent's login. `own_files`: the names that its login file itself may have.
    pub fn of_session<'f>(agent: &str, also: &[String], own_files: impl IntoIterator<Item = &'f str>) -> Names {
        let variable = of_session(agent);
        let lower = variable.to_ascii_lowercase();
        let mut files = vec![lower.clone(), format!("{lower}.json")];
        files.extend(own_files.into_iter().map(str::to_owned));
        Names { variable, also: also.to_vec(), files, suffixes: &Suffix::ALL }
    }

    /// Every variable, with its suffix.
    pub fn forms(&self) -> impl Iterator<Item = (Suffix, String)> {
        let own = self.suffixes.iter().map(|suffix| (*suffix, suffix.of(&self.variable)));
        own.chain(self.also.iter().map(|variable| (Suffix::Plain, variable.clone())))
    }

    pub fn variables(&self) -> impl Iterator<Item = String> {
        self.forms().map(|(_, variable)| variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_value_and_of_a_login() {
        let value = Names::of_value("MY_KEY");
        assert_eq!(value.variables().collect::<Vec<_>>(), ["MY_KEY", "MY_KEY_FILE", "MY_KEY_COMMAND"]);
        assert_eq!(value.files, ["MY_KEY", "my_key"]);
        let session = Names::of_session("my-agent", &["MINE".into()], ["auth.json"]);
        let variables = ["", "_B64", "_FILE", "_COMMAND"].map(|suffix| format!("MY_AGENT_CREDENTIALS{suffix}"));
        assert_eq!(session.variables().collect::<Vec<_>>(), [&variables[..], &["MINE".into()]].concat());
        assert_eq!(session.files, ["my_agent_credentials", "my_agent_credentials.json", "auth.json"]);
    }

    #[test]
    fn a_name_with_a_known_suffix_is_a_form_of_it() {
        let rows = [
            ("KEY", true),
            ("KEY_B64", true),
            ("KEY_FILE", true),
            ("KEY_COMMAND", true),
            ("KEY_", false),
            ("KEY_OTHER", false),
            ("KEYS", false),
            ("XKEY", false),
            ("", false),
        ];
        for (variable, expected) in rows {
            assert_eq!(is_form_of(variable.as_bytes(), "KEY"), expected, "{variable}");
        }
    }
}
