//! The names of the commands.

use crate::words::spelling::word_enum;

word_enum! {
    /// The commands. Any other first word is the COMMAND that `run` runs.
    pub enum CommandName("command") {
        Run = "run": "Run COMMAND with its agent's login (the default command)",
        Serve = "serve": "Install and sync logins without a COMMAND, until a stop signal",
        Setup = "setup": "Log in at the terminal and save the login for other containers",
        Keep = "keep": "Refresh logins shortly before they expire, for containers that follow",
        Status = "status": "Show how each agent is logged in, and until when",
        History = "history": "Show who refreshed, saved, adopted or lost a login, and when",
        Plan = "plan": "Show what `run` would do and why, without doing it",
        Doctor = "doctor": "Look for problems and show how to fix each of them",
        Healthcheck = "healthcheck": "Exit with 0 if the running agent is healthy, else with 1",
        Exec = "exec": "Run COMMAND as the running agent's user, in its environment",
        Agents = "agents": "Show the known agents, or one of them",
        Install = "install": "Copy this binary to PATH",
        Completions = "completions": "Print the completions of a shell",
        Help = "help": "Print the help of a command",
        Version = "version": "Print the version",
    }
}
