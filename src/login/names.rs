//! Pure. The names under which a credential may be given: of variables, and of files in a directory of secrets.
//!
//! `build.rs` reads this file too, so that it uses nothing but std.

/// What stands behind NAME in a variable's name, and so what the variable holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suffix {
    /// Nothing: the thing itself.
    Plain,
    /// Base64 of it; of a login only.
    Base64,
    /// The path of a file with it.
    File,
    /// A command that writes it.
    Command,
}

impl Suffix {
    /// All of them.
    pub const ALL: [Suffix; 4] = [Suffix::Plain, Suffix::Base64, Suffix::File, Suffix::Command];
    /// Those of a value.
    pub const OF_VALUE: [Suffix; 3] = [Suffix::Plain, Suffix::File, Suffix::Command];

    /// As it is written.
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
    // Asked of every variable at each start: most differ in the first letter.
    variable.first() == name.as_bytes().first()
        && variable
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| Suffix::ALL.iter().any(|suffix| suffix.text().as_bytes() == rest))
}

/// The name of an agent's session: `AGENT_CREDENTIALS`.
pub fn of_session(agent: &str) -> String {
    format!("{}_CREDENTIALS", agent.to_ascii_uppercase().replace('-', "_"))
}

/// The names under which one thing may be given.
#[derive(Debug)]
pub struct Names {
    /// NAME: that of the variable without a suffix.
    pub variable: String,
    /// Variables of the agent's own that hold the same; they take no suffix.
    pub also: Vec<String>,
    /// Names of secret files.
    pub files: Vec<String>,
    /// What NAME takes.
    pub suffixes: &'static [Suffix],
}

impl Names {
    /// Of a value.
    pub fn of_value(variable: &str) -> Names {
        Names {
            variable: variable.to_owned(),
            also: Vec::new(),
            files: vec![variable.to_owned(), variable.to_ascii_lowercase()],
            suffixes: &Suffix::OF_VALUE,
        }
    }

    /// Of an agent's session. `own_files`: what its login file itself may be called.
    pub fn of_session<'f>(agent: &str, also: &[String], own_files: impl IntoIterator<Item = &'f str>) -> Names {
        let variable = of_session(agent);
        let lower = variable.to_ascii_lowercase();
        let mut files = vec![lower.clone(), format!("{lower}.json")];
        files.extend(own_files.into_iter().map(str::to_owned));
        Names { variable, also: also.to_vec(), files, suffixes: &Suffix::ALL }
    }

    /// Every variable, and what it holds.
    pub fn forms(&self) -> impl Iterator<Item = (Suffix, String)> {
        let own = self.suffixes.iter().map(|suffix| (*suffix, suffix.of(&self.variable)));
        own.chain(self.also.iter().map(|variable| (Suffix::Plain, variable.clone())))
    }

    /// Every variable.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        self.forms().map(|(_, variable)| variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_and_files_of_a_thing() {
        let value = Names::of_value("MY_KEY");
        assert_eq!(value.variables().collect::<Vec<_>>(), ["MY_KEY", "MY_KEY_FILE", "MY_KEY_COMMAND"]);
        assert_eq!(value.files, ["MY_KEY", "my_key"]);
        let session = Names::of_session("my-agent", &["MINE".into()], ["auth.json"]);
        let variables = ["", "_B64", "_FILE", "_COMMAND"].map(|suffix| format!("MY_AGENT_CREDENTIALS{suffix}"));
        assert_eq!(session.variables().collect::<Vec<_>>(), [&variables[..], &["MINE".into()]].concat());
        assert_eq!(session.files, ["my_agent_credentials", "my_agent_credentials.json", "auth.json"]);
    }

    #[test]
    fn what_is_a_form_of_a_name() {
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
