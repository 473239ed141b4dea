//! The entry point: collects arguments and environment, calls the library, and turns the result into an exit status.

#![no_main]

use std::ffi::OsString;

use agent_init::config::Compat;
use agent_init::env::Environment;
use agent_init::error::{EXIT_FAILURE, Failure};
use agent_init::log::{Level, LogFormat, Message, Reporter};
use agent_init::{commands, config};

agent_init::entry!(start);

fn start(arguments: Vec<OsString>) -> u8 {
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    let environment = Environment::new(std::env::vars_os());
    // Errors in the arguments already use the log format that the environment asks for.
    let is_json = environment.get("AGENT_INIT_LOG_FORMAT").is_some_and(|format| format == "json");
    let format = if is_json { LogFormat::Json } else { LogFormat::Text };
    let mut reporter = Reporter { format, level: Level::Notice, on_raw_terminal: false };
    let mut compat = Compat::default();
    let result = config::parse(&program, &arguments, &environment).and_then(|parsed| {
        reporter = parsed.reporter();
        reporter.say_all(&parsed.warnings);
        compat = parsed.compat();
        commands::perform(parsed.command, environment, reporter)
    });
    let status = match result {
        Ok(status) => status,
        Err(error) => {
            reporter.say(&Message::error(&error));
            let status = error.downcast_ref::<Failure>().map_or(EXIT_FAILURE, |failure| failure.exit);
            compat.exit_status(status)
        }
    };
    reporter.finish(None);
    status
}
