//! `setup`: a person logs in at a terminal, and the login is captured.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::io::IsTerminal;
use std::path::Path;

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
use crate::setup::scanner::Scanner;
use crate::setup::scratch::ScratchDir;
use crate::setup::selection::{Kind, Selection, SelectionInput};
use crate::setup::target::{LoginTarget, links, targets};
use crate::setup::verdict::{Seen, Verdict};
use crate::setup::{capture, selection, token_metadata, verdict};
use crate::store::token;
use crate::sync::Engine;
use crate::sys::dir::{Attributes, set_mode_and_owner};
use crate::sys::process::Pid;
use crate::sys::pty::{NoTerminal, Outer};
use crate::sys::signal::{Inherited, Signal, Signals};
use crate::sys::{privilege, process, pty, wipe};
use crate::terminal::console::Console;
use crate::terminal::relay::{Relay, ScreenFilter};
use crate::{facts, log, plan, workcopy};

/// Lets a person log in, and captures the login. The exit status: 0 if there is one to go on with, else 1.
///
/// # Errors
/// Everything that can go wrong before the person is asked for anything.
pub fn setup(config: &SetupConfig, mut environment: Environment, reporter: Reporter) -> anyhow::Result<u8> {
    let outer = terminal()?;
    let (signals, inherited) = Signals::take_over().context("cannot take the signals over")?;
    let interrupt = Interrupt::listen(&signals, Signal::TERM).context("cannot listen for a stop")?;
    log::stop_waiting();
    process::set_undumpable().context("cannot forbid core dumps")?;
    let catalog = facts::catalog()?;
    wipe::environment(|variable| catalog.is_credential(variable));
    let known = catalog.definitions()?;
    let mut run = config.run.clone();
    let identity = facts::agent_identity(&run, &environment, privilege::current())?;
    let path = environment.get("PATH").map(OsString::from);
    let is_there = |command: &str| programs::on_path(path.as_deref(), command);
    let choice = selection::choose(&SelectionInput {
        agents: &config.run.agent,
        command: &config.run.command,
        auto: config.auto,
        token: config.token,
        known: &known,
        is_there: &is_there,
        shell: facts::shell(identity.uid).as_deref(),
    })?;
    withhold(&mut environment, &known, &choice, reporter);

    let state_dir = facts::state_dir(&run, &environment, privilege::current().0);
    let mut workplace = ScratchDir::under(run.work_dir.as_deref().unwrap_or(&state_dir));
    run.agent = AgentSelection::Named(choice.agents.iter().map(|agent| agent.name.clone()).collect());
    let is_mounted = |path: &str| Path::new(path).symlink_metadata().is_ok();
    run.capture = capture::places(&config.run.capture, &choice.agents, is_mounted)?;
    run.auth = PerAgent::all(AuthMode::Ignore);
    run.secrets = Some(OsString::new());
    run.work_dir = Some(workplace.path());
    run.command.clone_from(&choice.command);
    let facts = facts::facts(&run, &catalog, &environment, None)?;
    interrupt.check("the facts were read")?;
    let mut plan = plan::plan(&run, &facts)?;
    for (name, value) in choice.environment() {
        if facts.environment.get_filled(&name).is_none() {
            plan.environment.set.push((name, value.into()));
        }
    }

    let targets = targets(&facts, &plan, &interrupt, reporter)?;
    workplace.hold();
    announce(&choice, &targets, &is_there, reporter);
    let stage = InteractiveSession { run: &run, facts: &facts, plan: &plan, choice: &choice, inherited, reporter };
    let ended = stage.play(outer, signals, interrupt, &targets)?;
    let is_good = match choice.kind {
        Kind::Token => minted(&run.command, &targets, ended, reporter),
        _ => conclude(&run, &targets, &ended, workplace, reporter),
    };
    Ok(u8::from(!is_good))
}

/// The terminal at which the person sits.
fn terminal() -> anyhow::Result<Outer> {
    let missing = |what: &str| {
        Failure::new(format!("setup takes a terminal, and {what}")).hint(
            "docker run -it ..., docker compose run, or kubectl exec -it; a login that takes no person: \
             agent-init run --sync live -- COMMAND",
        )
    };
    match pty::usable() {
        Ok(()) => Ok(Outer::open().context("cannot open the terminal")?),
        Err(NoTerminal::Input) => Err(missing("standard input is none").into()),
        Err(NoTerminal::Output) => Err(missing("standard output is none").into()),
        Err(NoTerminal::Background) => Err(Failure::new("setup takes a terminal, and this one is another job's")
            .hint("bring it to the foreground: fg")
            .into()),
    }
}

/// Whoever logs in does so with nothing in hand: an agent that finds a credential in its environment asks for no login.
fn withhold(environment: &mut Environment, known: &[&Definition], choice: &Selection<'_>, reporter: Reporter) {
    let served = |definition: &&&Definition| choice.agents.iter().any(|agent| agent.name == definition.name);
    let mut names: BTreeSet<String> =
        known.iter().filter(served).flat_map(|definition| definition.variables()).collect();
    for definition in known {
        let shared: BTreeSet<&str> =
            definition.methods.iter().filter(|rule| rule.shared).filter_map(|rule| rule.variable.as_deref()).collect();
        names.extend(definition.variables().into_iter().filter(|name| !shared.contains(name.as_str())));
    }
    for name in environment.remove(&names) {
        let text = format!("{name} is not passed on: setup makes a new login");
        reporter.say(&Message::detail(text).event(EventKey::Ignored));
    }
}

fn announce(
    choice: &Selection<'_>,
    targets: &[LoginTarget<'_, '_>],
    is_there: &dyn Fn(&str) -> bool,
    reporter: Reporter,
) {
    let place = match targets {
        [only] => Some(only.place.path.as_path()),
        _ => None,
    };
    let manual = if choice.kind == Kind::Command { Vec::new() } else { selection::manual(&choice.agents, is_there) };
    reporter.say_all(&say::beginning(choice, place, &manual));
}

/// The session at the terminal.
struct InteractiveSession<'s, 'f, 'c> {
    run: &'s RunConfig,
    facts: &'s Facts<'c>,
    plan: &'s Plan<'f, 'c>,
    choice: &'s Selection<'c>,
    inherited: Inherited,
    reporter: Reporter,
}

impl InteractiveSession<'_, '_, '_> {
    /// Runs it to its end.
    fn play(
        &self,
        outer: Outer,
        signals: Signals,
        interrupt: Interrupt,
        targets: &[LoginTarget<'_, '_>],
    ) -> anyhow::Result<Ended> {
        let reporter = Reporter { on_raw_terminal: io::stderr().is_terminal(), ..self.reporter };
        let links = if self.choice.kind == Kind::Token { Vec::new() } else { links(targets)? };
        let mut engine = Engine::new(links, None, reporter);
        let mut children = Children::default();
        engine.begin(&interrupt);
        let started = self.start(outer, &interrupt, reporter);
        let (agent, relay) = started.inspect_err(|_| engine.not_started(&mut children))?;
        drop(interrupt);
        // From here on nothing but the agent's end ends us.
        children.adopt(agent);
        if let Err(error) = process::no_core() {
            let text = format!("cannot forbid core files: {}", reason(&error));
            reporter.say(&Message::warning(text).event(EventKey::SystemCallFailed));
        }
        let console = Console::Relayed(Box::new(relay));
        let policy = self.plan.signals.clone();
        Ok(Supervisor::new(Running { agent, signals, children, console, policy, engine, reporter }).run())
    }

    /// Starts it at a terminal of its own.
    fn start(&self, outer: Outer, interrupt: &Interrupt, reporter: Reporter) -> anyhow::Result<(Pid, Relay)> {
        let program = run::program(self.facts, self.plan, &Deliveries::default())?;
        run::become_reaper(reporter);
        let (master, slave) = pty::open().map_err(|error| {
            Failure::new(format!("cannot make a terminal for the agent: {}", reason(&error)))
                .hint("is /dev/pts mounted, with /dev/ptmx? (docker does so)")
        })?;
        if let Some(owner) = workcopy::agent_owner(self.facts) {
            // Programs open their terminal by name too. Without CAP_CHOWN they have to do with what they inherit.
            let attributes = Attributes { mode: 0o620, owner: Some(owner) };
            let _ = set_mode_and_owner(&slave, attributes);
        }
        let rule = self.choice.only().filter(|_| self.choice.kind == Kind::Token).and_then(token::rule);
        let is_shell = self.choice.kind == Kind::Shell;
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

/// Reads back what is where, carries the settings along with a login, and says what came of it.
fn conclude(
    run: &RunConfig,
    targets: &[LoginTarget<'_, '_>],
    ended: &Ended,
    mut workplace: ScratchDir,
    reporter: Reporter,
) -> bool {
    let mut good = Vec::new();
    let mut has_spoken = false;
    let scratch = workplace.path();
    for target in targets {
        let definition = target.plan.facts.definition;
        let Some(rule) = &definition.session else { continue };
        let working = file::login(&target.copy.dir, rule, &target.copy.owners(), false).state;
        let has_published = ended.engine.has_published(&definition.name);
        let setting = target.new_setting();
        let seen = Seen { working: &working, stored: &target.capture.read(rule).state, has_published, setting };
        if verdict::judge(&seen).is_good() {
            target.carry_settings(run.scope, reporter);
        }
        // The account may stand in the settings.
        let seen = Seen { stored: &target.capture.read(rule).state, ..seen };
        let verdict = verdict::judge(&seen);
        let mut kept = target.copy.path.join(&rule.file);
        if let Verdict::NotStored(login) = &verdict {
            if target.recovery.holds(rule, login) {
                kept = target.recovery.path();
            } else if let Ok(file) = kept.strip_prefix(&scratch) {
                kept = workplace.keep().join(file);
            }
        }
        let message = say::verdict(definition, &verdict, &target.place.path, Some(&kept));
        has_spoken |= message.is_some();
        reporter.say_all(message.iter());
        if verdict.is_good() {
            if token::rule(definition).is_some() && target.capture.token().is_ok() {
                reporter.say(&say::outranked(definition, &target.place.path.join(token::FILE)));
            }
            good.push(target);
        }
    }
    if good.is_empty() && !has_spoken {
        let had = targets.iter().any(LoginTarget::had_any);
        reporter.say(&say::nothing(&ending(&run.command, ended.status, "login"), had));
    }
    if let [only] = good.as_slice() {
        reporter.say(&say::next(only.plan.facts.definition, only.root()));
    }
    !good.is_empty()
}

fn ending(command: &[OsString], status: u8, without: &str) -> String {
    let name = command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let with = if status == 0 { String::new() } else { format!(" with status {status}") };
    format!("{name} ended{with}, without a {without}")
}

/// Stores the token that was seen, and says so.
fn minted(command: &[OsString], targets: &[LoginTarget<'_, '_>], ended: Ended, reporter: Reporter) -> bool {
    let [target] = targets else { return false };
    let definition = target.plan.facts.definition;
    let (Some(token), Some(rule)) = (ended.found_on_screen, token::rule(definition)) else {
        reporter.say(&say::nothing(&ending(command, ended.status, "token"), target.had_any()));
        return false;
    };
    match token_metadata::store(&target.capture, &token, rule) {
        Ok(mint) => {
            reporter.say(&say::minted(definition, &mint.expires_at, &target.place.path.join(token::FILE)));
            reporter.say(&say::next(definition, target.root()));
            true
        }
        Err(error) => {
            reporter.say(&say::not_stored(definition, &target.place.path, &reason(&error)));
            false
        }
    }
}
