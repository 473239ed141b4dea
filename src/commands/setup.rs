//! `setup`: a person logs in at a terminal, and the login is captured.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::io::IsTerminal;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context;

use crate::agent::Definition;
use crate::commands::run;
use crate::config::{AgentSelection, AuthMode, PerAgent, RunConfig, SetupConfig};
use crate::env::Environment;
use crate::error::{Failure, reason};
use crate::facts::Facts;
use crate::init::{Ended, Running, Supervisor};
use crate::launch::deliver::Deliveries;
use crate::launch::{Launch, Tty};
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::login::file;
use crate::output::setup as say;
use crate::plan::Plan;
use crate::process::children::Children;
use crate::process::interrupt::Interrupt;
use crate::process::programs;
use crate::setup::login_command::{CommandKind, LoginCommand, LoginCommandInput};
use crate::setup::outcome::{Evidence, LoginOutcome};
use crate::setup::scanner::Scanner;
use crate::setup::scratch::ScratchDir;
use crate::setup::target::LoginTarget;
use crate::setup::{capture, login_command, outcome, target, token_metadata};
use crate::store::token;
use crate::sync::Engine;
use crate::sys::dir::{Attributes, set_mode_and_owner};
use crate::sys::process::Pid;
use crate::sys::pty::{NoTerminal, Outer};
use crate::sys::signal::{Inherited, Signal, Signals};
use crate::sys::{privilege, process, pty, wipe};
use crate::terminal::console::Console;
use crate::terminal::relay::{Relay, ScreenFilter};
use crate::{facts, plan, workcopy};

/// Lets a person log in and captures the login. The exit status is 0 if a login was captured, else 1. Errors are those
/// from before the person is asked for anything.
pub fn setup(config: &SetupConfig, mut environment: Environment, reporter: Reporter) -> anyhow::Result<u8> {
    let outer = terminal()?;
    let (signals, inherited) = run::take_over_signals()?;
    let interrupt = Interrupt::listen(&signals, Signal::TERM).context("cannot listen for a stop signal")?;
    process::set_undumpable().context("cannot forbid core dumps")?;
    let catalog = facts::catalog()?;
    wipe::environment(|variable| catalog.is_credential(variable));
    let known = catalog.definitions()?;
    let mut run = config.run.clone();
    let identity = facts::agent_identity(&run, &environment, privilege::current())?;
    let path = environment.get("PATH").map(OsString::from);
    let is_installed = |command: &str| programs::on_path(path.as_deref(), command);
    let login_command = login_command::choose(&LoginCommandInput {
        agents: &config.run.agent,
        command: &config.run.command,
        auto: config.auto,
        token: config.token,
        known: &known,
        is_installed: &is_installed,
        shell: facts::shell(identity.uid).as_deref(),
    })?;
    remove_credentials(&mut environment, &known, &login_command, reporter);

    let state_dir = facts::state_dir(&run, &environment, privilege::current().0);
    let mut scratch_dir = ScratchDir::under(run.work_dir.as_deref().unwrap_or(&state_dir));
    run.agent = AgentSelection::Named(login_command.agents.iter().map(|agent| agent.name.clone()).collect());
    let is_mounted = |path: &str| Path::new(path).symlink_metadata().is_ok();
    run.capture = capture::find_captures(&config.run.capture, &login_command.agents, is_mounted)?;
    run.auth = PerAgent::all(AuthMode::Ignore);
    run.secrets = Some(OsString::new());
    run.work_dir = Some(scratch_dir.path());
    run.command.clone_from(&login_command.command);
    let facts = facts::facts(&run, &catalog, &environment, None)?;
    interrupt.check("the facts were read")?;
    let mut plan = plan::plan(&run, &facts)?;
    for (name, value) in login_command.environment() {
        if facts.environment.get_filled(&name).is_none() {
            plan.environment.set.push((name, value.into()));
        }
    }

    let targets = target::prepare(&facts, &plan, &interrupt, reporter)?;
    scratch_dir.lock();
    announce(&login_command, &targets, &is_installed, reporter);
    let session = InteractiveSession {
        run: &run,
        facts: &facts,
        plan: &plan,
        login_command: &login_command,
        inherited,
        reporter,
    };
    let ended = session.run_to_end(outer, signals, interrupt, &targets)?;
    let is_captured = match login_command.kind {
        CommandKind::Token => conclude_token(&run.command, &targets, ended, reporter),
        _ => conclude_logins(&run, &targets, &ended, scratch_dir, reporter),
    };
    Ok(u8::from(!is_captured))
}

/// The terminal at which the person sits.
fn terminal() -> anyhow::Result<Outer> {
    let missing = |stream: &str| {
        Failure::new(format!("setup needs a terminal: {stream} is not one")).hint(
            "use docker run -it ..., docker compose run, or kubectl exec -it; to log in without a person: \
             agent-init run --sync live -- COMMAND",
        )
    };
    match pty::usable() {
        Ok(()) => Ok(Outer::open().context("cannot open the terminal")?),
        Err(NoTerminal::Input) => Err(missing("standard input").into()),
        Err(NoTerminal::Output) => Err(missing("standard output").into()),
        Err(NoTerminal::Background) => Err(Failure::new("setup needs a terminal: another job is in its foreground")
            .hint("bring setup to the foreground: fg")
            .into()),
    }
}

/// Removes all credentials from the environment, because an agent that finds one there does not ask for a login.
fn remove_credentials(
    environment: &mut Environment,
    known: &[&Definition],
    login_command: &LoginCommand<'_>,
    reporter: Reporter,
) {
    let served = |definition: &&&Definition| login_command.agents.iter().any(|agent| agent.name == definition.name);
    let mut names: BTreeSet<String> =
        known.iter().filter(served).flat_map(|definition| definition.variables()).collect();
    for definition in known {
        let shared: BTreeSet<&str> =
            definition.methods.iter().filter(|rule| rule.shared).filter_map(|rule| rule.variable.as_deref()).collect();
        names.extend(definition.variables().into_iter().filter(|name| !shared.contains(name.as_str())));
    }
    for name in environment.remove(&names) {
        let text = format!("{name} is ignored: setup makes a new login");
        reporter.say(&Message::detail(text).event(EventKey::Ignored));
    }
}

fn announce(
    login_command: &LoginCommand<'_>,
    targets: &[LoginTarget<'_, '_>],
    is_installed: &dyn Fn(&str) -> bool,
    reporter: Reporter,
) {
    let capture = match targets {
        [only] => Some(only.capture_dir.path.as_path()),
        _ => None,
    };
    let manual = if login_command.kind == CommandKind::Command {
        Vec::new()
    } else {
        login_command::manual(&login_command.agents, is_installed)
    };
    reporter.say_all(&say::beginning(login_command, capture, &manual));
}

/// The login command and the terminal at which it runs.
struct InteractiveSession<'s, 'f, 'c> {
    run: &'s RunConfig,
    facts: &'s Facts<'c>,
    plan: &'s Plan<'f, 'c>,
    login_command: &'s LoginCommand<'c>,
    inherited: Inherited,
    reporter: Reporter,
}

impl InteractiveSession<'_, '_, '_> {
    fn run_to_end(
        &self,
        outer: Outer,
        signals: Signals,
        interrupt: Interrupt,
        targets: &[LoginTarget<'_, '_>],
    ) -> anyhow::Result<Ended> {
        let reporter = Reporter { on_raw_terminal: io::stderr().is_terminal(), ..self.reporter };
        let sessions =
            if self.login_command.kind == CommandKind::Token { Vec::new() } else { target::open_sessions(targets)? };
        let mut engine = Engine::new(sessions, None, reporter, None);
        let mut children = Children::default();
        engine.sync_before_start(&interrupt);
        let started = self.start(outer, &interrupt, reporter);
        let (agent, relay) = started.inspect_err(|_| engine.agent_not_started(&mut children))?;
        drop(interrupt);
        // From here on only the end of the agent ends this process.
        children.adopt(agent);
        if let Err(error) = process::no_core() {
            let text = format!("cannot turn core dumps off: {}", reason(&error));
            reporter.say(&Message::warning(text).event(EventKey::SystemCallFailed));
        }
        let console = Console::Relayed(Box::new(relay));
        let policy = self.plan.signals.clone();
        Ok(Supervisor::new(Running { agent, signals, children, console, policy, engine, reporter }).run())
    }

    /// Starts the command at a terminal of its own.
    fn start(&self, outer: Outer, interrupt: &Interrupt, reporter: Reporter) -> anyhow::Result<(Pid, Relay)> {
        let program = run::program(self.facts, self.plan, &Deliveries::default())?;
        run::become_reaper(reporter);
        let (master, slave) = pty::open().map_err(|error| {
            Failure::new(format!("cannot make a terminal for the agent: {}", reason(&error)))
                .hint("is /dev/pts mounted, with /dev/ptmx? (docker does so)")
        })?;
        if let Some(owner) = workcopy::agent_owner(self.facts) {
            // Programs may also open their terminal by name. Without CAP_CHOWN they can use only the inherited
            // descriptors.
            let attributes = Attributes { mode: 0o620, owner: Some(owner) };
            let _ = set_mode_and_owner(&slave, attributes);
        }
        let rule =
            self.login_command.only().filter(|_| self.login_command.kind == CommandKind::Token).and_then(token::rule);
        let is_shell = self.login_command.kind == CommandKind::Shell;
        let filter = rule.map(|rule| Box::new(Scanner::new(rule)) as Box<dyn ScreenFilter>);
        let relay = Relay::begin(outer, master, filter, is_shell).context("cannot use the terminal")?;
        let launch = Launch {
            program,
            command: self.run.command.first().context("no COMMAND")?,
            privilege_drop: run::privilege_drop(self.facts, self.plan),
            terminal: Tty::Own(&slave),
            inherited: self.inherited,
        };
        interrupt.check("the start was prepared")?;
        Ok((launch.start(reporter)?, relay))
    }
}

/// Reads the working copies and captures back, captures the settings along with a login, and reports the outcome.
fn conclude_logins(
    run: &RunConfig,
    targets: &[LoginTarget<'_, '_>],
    ended: &Ended,
    mut scratch_dir: ScratchDir,
    reporter: Reporter,
) -> bool {
    let mut captured = Vec::new();
    let mut has_reported = false;
    let scratch = scratch_dir.path();
    for target in targets {
        let definition = target.plan.facts.definition;
        let Some(rule) = &definition.session else { continue };
        let working = file::login(&target.copy.dir, rule, &target.copy.owners(), false).state;
        let has_published = ended.engine.has_published(&definition.name);
        let setting = target.new_setting();
        let evidence = Evidence { working: &working, stored: &target.capture.read(rule).state, has_published, setting };
        if outcome::assess(&evidence).is_captured() {
            target.capture_settings(run.scope, reporter);
        }
        // The account may be part of the settings that were just captured.
        let evidence = Evidence { stored: &target.capture.read(rule).state, ..evidence };
        let outcome = outcome::assess(&evidence);
        let mut kept = target.copy.path.join(&rule.file);
        if let LoginOutcome::NotStored(login) = &outcome {
            if target.recovery.holds(rule, login) {
                kept = target.recovery.path();
            } else if let Ok(file) = kept.strip_prefix(&scratch) {
                kept = scratch_dir.keep().join(file);
            }
        }
        let message = say::verdict(definition, &outcome, &target.capture_dir.path, Some(&kept), SystemTime::now());
        has_reported |= message.is_some();
        reporter.say_all(message.iter());
        if outcome.is_captured() {
            if token::rule(definition).is_some() && target.capture.token().is_ok() {
                reporter.say(&say::outranked(definition, &target.capture_dir.path.join(token::FILE)));
            }
            captured.push(target);
        }
    }
    if captured.is_empty() && !has_reported {
        let held_any = targets.iter().any(LoginTarget::held_any);
        reporter.say(&say::nothing(&ending(&run.command, ended.status, "login"), held_any));
    }
    if let [only] = captured.as_slice() {
        reporter.say(&say::next(only.plan.facts.definition, only.root()));
    }
    !captured.is_empty()
}

fn ending(command: &[OsString], status: u8, without: &str) -> String {
    let name = command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let with = if status == 0 { String::new() } else { format!(" with status {status}") };
    format!("{name} exited{with} without a {without}")
}

/// Stores the token that was shown on the screen.
fn conclude_token(command: &[OsString], targets: &[LoginTarget<'_, '_>], ended: Ended, reporter: Reporter) -> bool {
    let [target] = targets else { return false };
    let definition = target.plan.facts.definition;
    let (Some(token), Some(rule)) = (ended.found_on_screen, token::rule(definition)) else {
        reporter.say(&say::nothing(&ending(command, ended.status, "token"), target.held_any()));
        return false;
    };
    match token_metadata::store(&target.capture, &token, rule) {
        Ok(metadata) => {
            reporter.say(&say::minted(definition, &metadata.expires_at, &target.capture_dir.path.join(token::FILE)));
            reporter.say(&say::next(definition, target.root()));
            true
        }
        Err(error) => {
            reporter.say(&say::not_stored(definition, &target.capture_dir.path, &reason(&error)));
            false
        }
    }
}
