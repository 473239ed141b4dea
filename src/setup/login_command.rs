//! Pure. Chooses the command that `setup` runs, and the agents that it logs in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::agent::Definition;
use crate::config::AgentSelection;
use crate::error::Failure;
use crate::words::listed;

pub struct LoginCommandInput<'q, 'c> {
    /// `--agent`.
    pub agents: &'q AgentSelection,
    pub command: &'q [OsString],
    pub auto: bool,
    pub token: bool,
    pub known: &'q [&'c Definition],
    /// Whether PATH has a command of this name.
    pub is_installed: &'q dyn Fn(&str) -> bool,
    /// The shell of the agent's user.
    pub shell: Option<&'q Path>,
}

/// The command that is run.
#[derive(Debug)]
pub struct LoginCommand<'c> {
    /// The agents whose login is captured.
    pub agents: Vec<&'c Definition>,
    /// Program and arguments.
    pub command: Vec<OsString>,
    pub kind: CommandKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandKind {
    /// The operator's COMMAND.
    Command,
    Login,
    /// The agent itself, without permission prompts.
    Auto,
    /// A command that shows a long-lived token.
    Token,
    /// A shell, in which several agents may be logged in.
    Shell,
}

impl<'c> LoginCommand<'c> {
    /// The agent, if there is exactly one.
    pub fn only(&self) -> Option<&'c Definition> {
        match self.agents.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The variables that the definition sets for its login commands.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let login = self.only().filter(|_| self.kind != CommandKind::Command).and_then(|only| only.login.as_ref());
        login.map(|login| login.environment.clone()).unwrap_or_default()
    }
}

/// Chooses the command. Options that exclude each other, an unknown agent, and an agent without the requested feature
/// are errors.
pub fn choose<'c>(input: &LoginCommandInput<'_, 'c>) -> Result<LoginCommand<'c>, Failure> {
    if input.auto && input.token {
        return Err(Failure::new("--auto and --token are both set").hint("use one of them"));
    }
    if input.auto && !input.command.is_empty() {
        return Err(Failure::new("--auto and a COMMAND are both set").hint("use one of them"));
    }
    let agents = input.candidates()?;
    if input.token {
        return input.token(&agents);
    }
    let command = input.command.to_vec();
    if !command.is_empty() {
        return Ok(LoginCommand { agents, command, kind: CommandKind::Command });
    }
    match agents.as_slice() {
        [only] if input.auto => {
            let auto = only.login.as_ref().map(|login| &login.auto).filter(|auto| !auto.is_empty());
            let auto = auto.ok_or_else(|| {
                Failure::new(format!("--auto: {} has no mode without permission prompts", only.title))
                    .hint("omit --auto, or name the command: agent-init setup -- COMMAND")
            })?;
            Ok(LoginCommand { command: words(auto), agents, kind: CommandKind::Auto })
        }
        _ if input.auto => Err(Failure::new("--auto needs exactly one agent").hint("name it with --agent NAME")),
        [only] if only.login.is_some() => {
            let login = only.login.as_ref().map(|login| words(&login.command)).unwrap_or_default();
            Ok(LoginCommand { command: login, agents, kind: CommandKind::Login })
        }
        _ => input.shell(agents),
    }
}

fn words(command: &[String]) -> Vec<OsString> {
    command.iter().map(OsString::from).collect()
}

impl<'c> LoginCommandInput<'_, 'c> {
    /// The agents that may be logged in: the ones that `--agent` names, else the one whose command COMMAND is, else the
    /// only installed one, else all.
    fn candidates(&self) -> Result<Vec<&'c Definition>, Failure> {
        let all = || self.known.to_vec();
        let known_where = |test: &dyn Fn(&Definition) -> bool| -> Vec<&'c Definition> {
            self.known.iter().copied().filter(|known| test(known)).collect()
        };
        match self.agents {
            AgentSelection::Nobody => Err(Failure::new("--agent none: setup needs an agent to log in")
                .hint("name one with --agent NAME; 'agent-init agents' lists them")),
            AgentSelection::Named(names) => names.iter().map(|name| self.named(name)).collect(),
            AgentSelection::Auto => {
                let command = self.command.first().and_then(|word| Path::new(word).file_name());
                let has = |known: &Definition, name: &OsStr| known.commands.iter().any(|own| name == own.as_str());
                let chosen = match command {
                    Some(name) => known_where(&|known| has(known, name)),
                    None => known_where(&|known| known.commands.iter().any(|own| (self.is_installed)(own))),
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

    fn token(&self, agents: &[&'c Definition]) -> Result<LoginCommand<'c>, Failure> {
        let rule = |agent: &&'c Definition| agent.login.as_ref().and_then(|login| login.token.as_ref());
        let with_token: Vec<&'c Definition> = agents.iter().copied().filter(|agent| rule(agent).is_some()).collect();
        let installed = || {
            with_token
                .iter()
                .copied()
                .filter(|agent| agent.commands.iter().any(|own| (self.is_installed)(own)))
                .collect()
        };
        let narrowed: Vec<&'c Definition> = if with_token.len() > 1 { installed() } else { with_token.clone() };
        let [only] = narrowed.as_slice() else {
            let names: Vec<&str> =
                self.known.iter().filter(|known| rule(known).is_some()).map(|known| &*known.name).collect();
            let what = match agents {
                [one] => format!("--token: {} has no long-lived token", one.title),
                _ => "--token needs exactly one agent".to_owned(),
            };
            let names = listed(&names, ", ", "none");
            return Err(Failure::new(what).hint(format!("name an agent that has one with --agent: {names}")));
        };
        let own = rule(only).map(|rule| words(&rule.command)).unwrap_or_default();
        let command = if self.command.is_empty() { own } else { self.command.to_vec() };
        Ok(LoginCommand { agents: vec![only], command, kind: CommandKind::Token })
    }

    fn shell(&self, agents: Vec<&'c Definition>) -> Result<LoginCommand<'c>, Failure> {
        let shell: Option<PathBuf> = self.shell.map(Path::to_owned);
        let shell = shell.ok_or_else(|| {
            Failure::new("several agents could log in, and the image has no shell")
                .hint("name the agent with --agent NAME, or the command: agent-init setup -- COMMAND")
        })?;
        Ok(LoginCommand { agents, command: vec![shell.into_os_string()], kind: CommandKind::Shell })
    }
}

/// Title and login command of each installed agent, or of all agents if none is installed.
pub fn manual(agents: &[&Definition], is_installed: &dyn Fn(&str) -> bool) -> Vec<(String, String)> {
    let instructions = |agent: &&Definition| {
        let login = agent.login.as_ref()?;
        let say = login.say.as_ref().map(|say| format!(" ({say})")).unwrap_or_default();
        Some((agent.title.clone(), login.command.join(" ") + &say))
    };
    let installed = |agent: &&&Definition| agent.commands.iter().any(|own| is_installed(own));
    let found: Vec<_> = agents.iter().filter(installed).filter_map(instructions).collect();
    if found.is_empty() { agents.iter().filter_map(instructions).collect() } else { found }
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

    /// Agents, COMMAND, `--auto`, `--token`, commands on PATH, and the result: agents, words and kind, or an error.
    type Row = (
        &'static str,
        &'static str,
        bool,
        bool,
        &'static str,
        Result<(&'static str, &'static str, CommandKind), &'static str>,
    );

    #[test]
    fn options_and_command_decide() {
        let rows: Vec<Row> = vec![
            ("", "", false, false, "a", Ok(("a", "a in", CommandKind::Login))),
            ("", "", false, false, "", Ok(("a b c", "/sh", CommandKind::Shell))),
            ("", "", false, false, "a b", Ok(("a b c", "/sh", CommandKind::Shell))),
            ("b", "", false, false, "a", Ok(("b", "b login", CommandKind::Login))),
            ("c", "", false, false, "a", Ok(("c", "/sh", CommandKind::Shell))),
            ("a,b", "", false, false, "a", Ok(("a b", "/sh", CommandKind::Shell))),
            ("", "b x", false, false, "a", Ok(("b", "b x", CommandKind::Command))),
            ("", "/bin/b", false, false, "a", Ok(("b", "/bin/b", CommandKind::Command))),
            ("", "bash", false, false, "a", Ok(("a b c", "bash", CommandKind::Command))),
            ("a", "bash", false, false, "", Ok(("a", "bash", CommandKind::Command))),
            ("", "", true, false, "a", Ok(("a", "a --all", CommandKind::Auto))),
            ("b", "", true, false, "a", Err("T-b has no mode without")),
            ("", "", true, false, "a b", Err("exactly one agent")),
            ("a", "x", true, false, "a", Err("both")),
            ("a", "", true, true, "a", Err("both")),
            ("", "", false, true, "a b", Ok(("a", "a mint", CommandKind::Token))),
            ("", "", false, true, "", Ok(("a", "a mint", CommandKind::Token))),
            ("a", "own", false, true, "", Ok(("a", "own", CommandKind::Token))),
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
            let is_installed = |name: &str| path.split(' ').any(|there| there == name);
            let input = LoginCommandInput {
                agents: &selection,
                command: &command,
                auto,
                token,
                known: &known,
                is_installed: &is_installed,
                shell: Some(Path::new("/sh")),
            };
            let row = format!("{agents:?} {command:?} {auto} {token} {path:?}");
            match (choose(&input), expected) {
                (Ok(found_command), Ok((names, words, kind))) => {
                    let found: Vec<&str> = found_command.agents.iter().map(|agent| agent.name.as_str()).collect();
                    let line: Vec<&str> = found_command.command.iter().map(|word| word.to_str().unwrap()).collect();
                    assert_eq!(
                        (found.join(" "), line.join(" "), found_command.kind),
                        (names.into(), words.into(), kind),
                        "{row}"
                    );
                }
                (Err(failure), Err(words)) => assert!(failure.what.contains(words), "{row}: {failure}"),
                (found, expected) => panic!("{row}: {found:?} and not {expected:?}"),
            }
            let shellless = LoginCommandInput { shell: None, ..input };
            if let Ok(LoginCommand { kind: CommandKind::Shell, .. }) = choose(&shellless) {
                panic!("{row}: a shell that is not there");
            }
        }
    }

    #[test]
    fn instructions_are_for_installed_agents() {
        let definitions = definitions();
        let known: Vec<&Definition> = definitions.iter().collect();
        let lines = |path: &str| -> Vec<String> {
            manual(&known, &|name| name == path).into_iter().map(|(_, command)| command).collect()
        };
        assert_eq!(lines("b"), ["b login"]);
        assert_eq!(lines(""), ["a in", "b login"]);
    }
}
