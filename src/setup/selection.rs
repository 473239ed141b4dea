//! Pure. What `setup` runs, and for which agents.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::agent::Definition;
use crate::config::AgentSelection;
use crate::error::Failure;
use crate::words::listed;

/// What the choice depends on.
pub struct SelectionInput<'q, 'c> {
    /// The operator's agents.
    pub agents: &'q AgentSelection,
    /// The operator's COMMAND.
    pub command: &'q [OsString],
    /// `--auto`.
    pub auto: bool,
    /// `--token`.
    pub token: bool,
    /// Every known agent.
    pub known: &'q [&'c Definition],
    /// Whether there is a command of this name.
    pub is_there: &'q dyn Fn(&str) -> bool,
    /// The shell of the agent's user.
    pub shell: Option<&'q Path>,
}

/// What is run.
#[derive(Debug)]
pub struct Selection<'c> {
    /// The agents whose login is looked for.
    pub agents: Vec<&'c Definition>,
    /// The words.
    pub command: Vec<OsString>,
    /// What it is to them.
    pub kind: Kind,
}

/// What a command is to the agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The operator's own.
    Command,
    /// The agent's login command.
    Login,
    /// The agent itself, asking for no permission.
    Auto,
    /// What shows a long-lived token.
    Token,
    /// A shell, in which several agents may be logged in.
    Shell,
}

impl<'c> Selection<'c> {
    /// The one agent that it is about.
    pub fn only(&self) -> Option<&'c Definition> {
        match self.agents.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// What the definition sets for its commands.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let login = self.only().filter(|_| self.kind != Kind::Command).and_then(|only| only.login.as_ref());
        login.map(|login| login.environment.clone()).unwrap_or_default()
    }
}

/// Chooses.
///
/// # Errors
/// Options that exclude each other, an unknown agent, or one that cannot do what is asked.
pub fn choose<'c>(question: &SelectionInput<'_, 'c>) -> Result<Selection<'c>, Failure> {
    if question.auto && question.token {
        return Err(Failure::new("--auto and --token are both set").hint("use one of them"));
    }
    if question.auto && !question.command.is_empty() {
        return Err(Failure::new("--auto and a COMMAND are both given").hint("use one of them"));
    }
    let agents = question.candidates()?;
    if question.token {
        return question.token(&agents);
    }
    let command = question.command.to_vec();
    if !command.is_empty() {
        return Ok(Selection { agents, command, kind: Kind::Command });
    }
    match agents.as_slice() {
        [only] if question.auto => {
            let auto = only.login.as_ref().map(|login| &login.auto).filter(|auto| !auto.is_empty());
            let auto = auto.ok_or_else(|| {
                Failure::new(format!("--auto: {} has no such form", only.title))
                    .hint("leave --auto away, or give the command: agent-init setup -- COMMAND")
            })?;
            Ok(Selection { command: words(auto), agents, kind: Kind::Auto })
        }
        _ if question.auto => {
            Err(Failure::new("--auto is for one agent, and which one is not clear").hint("name it with --agent NAME"))
        }
        [only] if only.login.is_some() => {
            let login = only.login.as_ref().map(|login| words(&login.command)).unwrap_or_default();
            Ok(Selection { command: login, agents, kind: Kind::Login })
        }
        _ => question.shell(agents),
    }
}

fn words(command: &[String]) -> Vec<OsString> {
    command.iter().map(OsString::from).collect()
}

impl<'c> SelectionInput<'_, 'c> {
    /// The agents that may be logged in: those that were named; whose COMMAND it is; the only one that is installed; all.
    fn candidates(&self) -> Result<Vec<&'c Definition>, Failure> {
        let all = || self.known.to_vec();
        let those = |test: &dyn Fn(&Definition) -> bool| -> Vec<&'c Definition> {
            self.known.iter().copied().filter(|known| test(known)).collect()
        };
        match self.agents {
            AgentSelection::Nobody => Err(Failure::new("--agent none: setup logs an agent in")
                .hint("name one with --agent NAME; 'agent-init agents' lists them")),
            AgentSelection::Named(names) => names.iter().map(|name| self.named(name)).collect(),
            AgentSelection::Auto => {
                let command = self.command.first().and_then(|word| Path::new(word).file_name());
                let has = |known: &Definition, name: &OsStr| known.commands.iter().any(|own| name == own.as_str());
                let chosen = match command {
                    Some(name) => those(&|known| has(known, name)),
                    None => those(&|known| known.commands.iter().any(|own| (self.is_there)(own))),
                };
                Ok(if chosen.len() == 1 { chosen } else { all() })
            }
        }
    }

    fn named(&self, name: &str) -> Result<&'c Definition, Failure> {
        self.known.iter().copied().find(|known| known.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.known.iter().map(|known| known.name.as_str()).collect();
            Failure::new(format!("unknown agent '{name}'"))
                .hint(format!("the known agents are {}", listed(&known, ", ", "none")))
        })
    }

    fn token(&self, agents: &[&'c Definition]) -> Result<Selection<'c>, Failure> {
        let rule = |agent: &&'c Definition| agent.login.as_ref().and_then(|login| login.token.as_ref());
        let able: Vec<&'c Definition> = agents.iter().copied().filter(|agent| rule(agent).is_some()).collect();
        let installed =
            || able.iter().copied().filter(|agent| agent.commands.iter().any(|own| (self.is_there)(own))).collect();
        let narrowed: Vec<&'c Definition> = if able.len() > 1 { installed() } else { able.clone() };
        let [only] = narrowed.as_slice() else {
            let names: Vec<&str> =
                self.known.iter().filter(|known| rule(known).is_some()).map(|known| &*known.name).collect();
            let what = match agents {
                [one] => format!("--token: {} has no long-lived token", one.title),
                _ => "--token is for one agent, and which one is not clear".to_owned(),
            };
            let names = listed(&names, ", ", "none");
            return Err(Failure::new(what).hint(format!("agents that have one, for --agent: {names}")));
        };
        let own = rule(only).map(|rule| words(&rule.command)).unwrap_or_default();
        let command = if self.command.is_empty() { own } else { self.command.to_vec() };
        Ok(Selection { agents: vec![only], command, kind: Kind::Token })
    }

    fn shell(&self, agents: Vec<&'c Definition>) -> Result<Selection<'c>, Failure> {
        let shell: Option<PathBuf> = self.shell.map(Path::to_owned);
        let shell = shell.ok_or_else(|| {
            Failure::new("which agent to log in is not clear, and the image has no shell")
                .hint("name the agent with --agent NAME, or give the command: agent-init setup -- COMMAND")
        })?;
        Ok(Selection { agents, command: vec![shell.into_os_string()], kind: Kind::Shell })
    }
}

/// What to type in a shell for each agent that is installed, or for all where none is.
pub fn manual(agents: &[&Definition], is_there: &dyn Fn(&str) -> bool) -> Vec<(String, String)> {
    let of = |agent: &&Definition| {
        let login = agent.login.as_ref()?;
        let say = login.say.as_ref().map(|say| format!(" ({say})")).unwrap_or_default();
        Some((agent.title.clone(), login.command.join(" ") + &say))
    };
    let installed = |agent: &&&Definition| agent.commands.iter().any(|own| is_there(own));
    let found: Vec<_> = agents.iter().filter(installed).filter_map(of).collect();
    if found.is_empty() { agents.iter().filter_map(of).collect() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definitions() -> Vec<Definition> {
        let one = |name: &str, login: &str| {
            let text = format!(
                r#"{{"name":"{name}","title":"T-{name}","commands":["{name}"],"home":{{"variable":"H","default":"~/.h"}},"methods":[]{login}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let token = r#","login":{"command":["a","in"],"auto":["a","--all"],"token":{"command":["a","mint"],"prefix":"t","alphabet":"x","least":2,"days":1}}"#;
        vec![one("a", token), one("b", r#","login":{"command":["b","login"]}"#), one("c", "")]
    }

    /// Agents, COMMAND, `--auto`, `--token`, what is on PATH, and what comes of it: agents, words and kind, or an error.
    type Row = (
        &'static str,
        &'static str,
        bool,
        bool,
        &'static str,
        Result<(&'static str, &'static str, Kind), &'static str>,
    );

    #[test]
    fn the_table() {
        let rows: Vec<Row> = vec![
            ("", "", false, false, "a", Ok(("a", "a in", Kind::Login))),
            ("", "", false, false, "", Ok(("a b c", "/sh", Kind::Shell))),
            ("", "", false, false, "a b", Ok(("a b c", "/sh", Kind::Shell))),
            ("b", "", false, false, "a", Ok(("b", "b login", Kind::Login))),
            ("c", "", false, false, "a", Ok(("c", "/sh", Kind::Shell))),
            ("a,b", "", false, false, "a", Ok(("a b", "/sh", Kind::Shell))),
            ("", "b x", false, false, "a", Ok(("b", "b x", Kind::Command))),
            ("", "/bin/b", false, false, "a", Ok(("b", "/bin/b", Kind::Command))),
            ("", "bash", false, false, "a", Ok(("a b c", "bash", Kind::Command))),
            ("a", "bash", false, false, "", Ok(("a", "bash", Kind::Command))),
            ("", "", true, false, "a", Ok(("a", "a --all", Kind::Auto))),
            ("b", "", true, false, "a", Err("T-b has no such form")),
            ("", "", true, false, "a b", Err("not clear")),
            ("a", "x", true, false, "a", Err("both")),
            ("a", "", true, true, "a", Err("both")),
            ("", "", false, true, "a b", Ok(("a", "a mint", Kind::Token))),
            ("", "", false, true, "", Ok(("a", "a mint", Kind::Token))),
            ("a", "own", false, true, "", Ok(("a", "own", Kind::Token))),
            ("b", "", false, true, "", Err("T-b has no long-lived token")),
            ("", "", false, true, "b", Err("T-b has no long-lived token")),
            ("x", "", false, false, "", Err("unknown agent 'x'")),
            ("none", "", false, false, "", Err("--agent none")),
        ];
        let definitions = definitions();
        let known: Vec<&Definition> = definitions.iter().collect();
        for (agents, command, auto, token, path, expected) in rows {
            let selection = match agents {
                "" => AgentSelection::Auto,
                "none" => AgentSelection::Nobody,
                names => AgentSelection::Named(names.split(',').map(str::to_owned).collect()),
            };
            let command: Vec<OsString> = command.split_whitespace().map(OsString::from).collect();
            let is_there = |name: &str| path.split(' ').any(|there| there == name);
            let question = SelectionInput {
                agents: &selection,
                command: &command,
                auto,
                token,
                known: &known,
                is_there: &is_there,
                shell: Some(Path::new("/sh")),
            };
            let row = format!("{agents:?} {command:?} {auto} {token} {path:?}");
            match (choose(&question), expected) {
                (Ok(choice), Ok((names, words, kind))) => {
                    let found: Vec<&str> = choice.agents.iter().map(|agent| agent.name.as_str()).collect();
                    let line: Vec<&str> = choice.command.iter().map(|word| word.to_str().unwrap()).collect();
                    assert_eq!(
                        (found.join(" "), line.join(" "), choice.kind),
                        (names.into(), words.into(), kind),
                        "{row}"
                    );
                }
                (Err(failure), Err(words)) => assert!(failure.what.contains(words), "{row}: {failure}"),
                (found, expected) => panic!("{row}: {found:?} and not {expected:?}"),
            }
            let shellless = SelectionInput { shell: None, ..question };
            if let Ok(Selection { kind: Kind::Shell, .. }) = choose(&shellless) {
                panic!("{row}: a shell that is not there");
            }
        }
    }

    #[test]
    fn what_to_type() {
        let definitions = definitions();
        let known: Vec<&Definition> = definitions.iter().collect();
        let lines = |path: &str| -> Vec<String> {
            manual(&known, &|name| name == path).into_iter().map(|(_, command)| command).collect()
        };
        assert_eq!(lines("b"), ["b login"]);
        assert_eq!(lines(""), ["a in", "b login"]);
    }
}
