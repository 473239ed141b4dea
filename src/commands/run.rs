//! `run`: facts, a plan, acts.

mod session;

use std::ffi::OsString;

use anyhow::Context;

use crate::agent::Catalog;
use crate::config::RunConfig;
use crate::env::Environment;
use crate::error::reason;
use crate::facts::Facts;
use crate::facts::wait::LoginWait;
use crate::fs::directories;
use crate::init::{Ended, Running, Supervisor};
use crate::launch::deliver::Deliveries;
use crate::launch::{Launch, PrivilegeDrop, Tty};
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::plan::{AgentPlan, LoginFileStep, Plan, PrivilegeSteps, environment};
use crate::process::children::Children;
use crate::process::helpers::Helpers;
use crate::process::interrupt::Interrupt;
use crate::state::{Served, State};
use crate::sync::Engine;
use crate::sync::session::SyncSession;
use crate::sys::process::{Pid, Program};
use crate::sys::signal::{Inherited, Signals};
use crate::sys::{descriptors, process, wipe};
use crate::terminal::console::Console;
use crate::terminal::foreground::Foreground;
use crate::{facts, log, plan, workcopy};

/// Runs the agent and returns our exit status.
///
/// # Errors
/// Everything that can go wrong before the agent runs. After that there are messages, and its exit status.
pub fn run(config: &RunConfig, environment: Environment) -> anyhow::Result<u8> {
    let supervisor = start(config, environment)?;
    wipe::stack();
    let Ended { status, .. } = supervisor.run();
    Ok(if config.compat.expected.contains(&status) { 0 } else { status })
}

/// Starts the agent. A function of its own: what it leaves on the stack is below that of its caller, who wipes it.
#[inline(never)]
fn start(config: &RunConfig, environment: Environment) -> anyhow::Result<Supervisor> {
    let reporter = config.reporter();
    // From here on signals wait for us: as PID 1 one that comes too early would be lost, and with it a stop.
    let (signals, inherited) = Signals::take_over().context("cannot take the signals over")?;
    log::stop_waiting();
    // Before any secret is read. What is read of /proc/self later (mountinfo, children) stays readable.
    process::set_undumpable().context("cannot forbid core dumps")?;
    let catalog = facts::catalog()?;
    wipe::environment(|variable| catalog.is_credential(variable));
    let mut children = Children::default();
    let stop = config.stop_signal;
    let interrupt = Interrupt::listen(&signals, stop).context("cannot listen for a stop")?;
    let mut helpers = Helpers { signals: &interrupt, inherited, children: &mut children };
    let facts = facts(config, &catalog, &environment, &mut helpers)?;
    interrupt.check("the facts were read")?;
    let plan = plan::plan(config, &facts)?;
    announce(reporter, &facts, &plan);

    let mut engine = prepare(&facts, &plan, &mut helpers, reporter)?;
    let start = Start { facts: &facts, plan: &plan, inherited, reporter };
    let started = start.agent(&interrupt);
    let (agent, foreground) = started.inspect_err(|_| engine.not_started(&mut children))?;
    let policy = plan.signals.clone();
    drop(plan);
    drop(facts);
    drop(environment);
    drop(interrupt);

    // From here on nothing but the agent's end ends us.
    children.adopt(agent);
    engine.started(agent);
    // Neither hinders the other.
    let steps = [
        ("turn core dumps off", process::no_core()),
        ("let go of the agent's descriptors", descriptors::release_agents_descriptors()),
    ];
    for (what, done) in steps {
        if let Err(error) = done {
            let text = format!("cannot {what}: {}", reason(&error));
            reporter.say(&Message::warning(text).event(EventKey::SystemCallFailed));
        }
    }
    let console = Console::Lent(foreground);
    Ok(Supervisor::new(Running { agent, signals, children, console, policy, engine, reporter }))
}

/// What the agent is started from.
struct Start<'s, 'f, 'c> {
    facts: &'f Facts<'c>,
    plan: &'s Plan<'f, 'c>,
    inherited: Inherited,
    reporter: Reporter,
}

impl Start<'_, '_, '_> {
    /// Starts the agent, unless a stop has come.
    fn agent(&self, interrupt: &Interrupt) -> anyhow::Result<(Pid, Foreground)> {
        let deliveries = Deliveries::prepare(&self.plan.agents, workcopy::agent_owner(self.facts))?;
        let program = program(self.facts, self.plan, &deliveries)?;
        let mut foreground = Foreground::at_start();
        become_reaper(self.reporter);
        if let Some(signal) = self.plan.signals.parent_death {
            process::on_parent_death(signal).context("cannot ask for a signal at the parent's death")?;
        }
        let launch = Launch {
            program,
            command: self.plan.command.first().context("no COMMAND")?,
            privilege_drop: privilege_drop(self.facts, self.plan),
            terminal: Tty::Lent(foreground.lent()),
            inherited: self.inherited,
        };
        interrupt.check("the start was prepared")?;
        let started = launch.start(self.reporter);
        drop(launch);
        let agent = started.inspect_err(|_| foreground.take_back())?;
        Ok((agent, foreground))
    }
}

/// Orphans come to PID 1 by themselves, and to any other process only if it asks for them.
pub(super) fn become_reaper(reporter: Reporter) {
    if process::id() == 1 {
        return;
    }
    if let Err(error) = process::become_subreaper() {
        let text = format!("agent-init is not PID 1 and cannot become a subreaper: {}", reason(&error));
        let hint =
            "what the agent leaves behind may go on after it, or stay as zombies: make agent-init the ENTRYPOINT";
        reporter.say(&Message::warning(text).event(EventKey::SystemCallFailed).hint(hint));
    }
}

/// The facts; with `--wait` once there is a credential among them, or the time is over.
fn facts<'c>(
    config: &RunConfig,
    catalog: &'c Catalog,
    environment: &'c Environment,
    helpers: &mut Helpers<'_>,
) -> anyhow::Result<Facts<'c>> {
    let mut facts = facts::facts(config, catalog, environment, Some(&mut *helpers))?;
    if config.wait.is_zero() || !plan::draft(config, &facts).lacks_credential(config) {
        return Ok(facts);
    }
    let Some(mut login_wait) = LoginWait::begin(&facts, config.wait, config.reporter()) else { return Ok(facts) };
    let mut is_time_left = true;
    loop {
        // Looked at again once it is watched, for it may have come in between; and once more when the time is over.
        login_wait.watch(&facts);
        let found = facts::facts(config, catalog, environment, Some(&mut *helpers));
        helpers.signals.check("waiting for a login")?;
        facts = found?;
        if !is_time_left || !plan::draft(config, &facts).lacks_credential(config) {
            return Ok(facts);
        }
        is_time_left = login_wait.wait(helpers)?;
    }
}

fn announce(reporter: Reporter, facts: &Facts<'_>, plan: &Plan<'_, '_>) {
    reporter.say_all(facts.warnings());
    for agent in &plan.agents {
        reporter.say_all(&agent.warnings);
        reporter.say(&plan::auth_line(agent));
    }
}

/// Lays the working copies down and links them to their stores.
///
/// What cannot be made stops the start when a login is to be installed, or when the operator asked for it by name; else
/// the agent may do without.
fn prepare(
    facts: &Facts<'_>,
    plan: &Plan<'_, '_>,
    helpers: &mut Helpers<'_>,
    reporter: Reporter,
) -> anyhow::Result<Engine> {
    let interrupt = helpers.signals;
    let or_say = |result: anyhow::Result<()>, is_fatal: bool| match result {
        Err(error) if !is_fatal => {
            reporter.say(&Message::error(&error).as_warning().event(EventKey::WorkingCopy));
            Ok(())
        }
        other => other,
    };
    if let Some(home) = &plan.home {
        or_say(directories::home(&home.path, workcopy::agent_owner(facts)), home.is_required)?;
    }
    let mut links = Vec::new();
    let mut served = Vec::new();
    let mut state_dir = None;
    let mut install = |agent: &AgentPlan<'_, '_>, links: &mut Vec<SyncSession>| {
        let state = directories::state_directory(&facts.state_dir)?;
        let say = &mut |message| reporter.say(&message);
        let copy = workcopy::install(facts, agent, &state, interrupt, say)?;
        state_dir = Some(state);
        let text = format!("{}: the working copy is {}", agent.facts.definition.name, copy.path.display());
        let message = Message::detail(text).event(EventKey::WorkingCopy);
        reporter.say(&message.agent(&agent.facts.definition.name));
        served.push(remembered(facts, agent));
        if let Some(write_back) = &agent.write_back {
            links.extend(session::of(facts, agent, write_back, copy, helpers.inherited)?);
        }
        Ok(())
    };
    for agent in &plan.agents {
        let laid = install(agent, &mut links);
        // A stop is no trouble of this agent's.
        let laid = interrupt.check("the working copy was made").and(laid);
        let is_fatal = agent.login != LoginFileStep::Absent || interrupt.has_come();
        if let Err(error) = or_say(laid, is_fatal) {
            for link in &mut links {
                link.release(helpers.children);
            }
            return Err(error);
        }
    }
    let user = (facts.identity.uid, facts.identity.gid);
    let environment = environment::handed(plan);
    let state = State { version: 1, pid: process::id(), agent_pid: None, user, environment, agents: served };
    if let Some(state_dir) = &state_dir {
        directories::sweep(state_dir);
    }
    let mut engine = Engine::new(links, state_dir.map(|dir| (dir, state)), reporter);
    if facts.previous.agent_pid.is_some() {
        // Whoever asks meanwhile must not be told of the run before this one.
        engine.write_down();
    }
    engine.begin(interrupt);
    Ok(engine)
}

/// What the next run of this container must know.
fn remembered(facts: &Facts<'_>, plan: &AgentPlan<'_, '_>) -> Served {
    let chosen = plan.chosen();
    let before = facts.remembered(plan.facts);
    let mut served = Served {
        agent: plan.facts.definition.name.clone(),
        method: chosen.map_or("none", |candidate| candidate.rule.method.word()).to_owned(),
        source: chosen.map(|candidate| candidate.source.to_string()),
        place: plan.facts.working_copy.clone(),
        expires_at: chosen
            .and_then(|candidate| candidate.expires_at)
            .map(|expires| humantime::format_rfc3339_seconds(expires).to_string()),
        write_back: plan.write_back.as_ref().map(|to| to.target.path().to_owned()),
        store: plan.write_back.as_ref().and_then(|to| to.target.helper().map(str::to_owned)),
        base: None,
        content: None,
        history: before.map(|before| before.history.clone()).unwrap_or_default(),
        shadowed: plan.shadowed(),
        is_key_over_login: plan.is_key_over_login(),
        last: None,
        at: None,
    };
    if let Some(base) = plan.base {
        served.agree(base);
    }
    if let Some(session) = chosen.and_then(|candidate| candidate.session()).filter(|_| plan.write_back.is_none()) {
        // Nobody carries it: what lies in the working copy at the next start is judged against this.
        served.agree((&session.login).into());
    }
    served
}

/// What the child loses, and who it becomes.
pub(super) fn privilege_drop<'f>(facts: &'f Facts<'_>, plan: &Plan<'_, '_>) -> PrivilegeDrop<'f> {
    let PrivilegeSteps { changes_user, drop_caps, no_new_privs, .. } = plan.privilege;
    PrivilegeDrop { identity: &facts.identity, changes_user, drop_caps, no_new_privs }
}

/// COMMAND with the agent's environment.
///
/// # Errors
/// A NUL byte in either.
pub(super) fn program(facts: &Facts<'_>, plan: &Plan<'_, '_>, deliveries: &Deliveries) -> anyhow::Result<Program> {
    let credentials = environment::credentials(&plan.agents);
    let set = plan.environment.set.iter().cloned().chain(credentials).chain(deliveries.variables());
    let set: Vec<(String, OsString)> = set.collect();
    Program::new(&plan.command, facts.environment.with(&plan.environment.unset, &set))
        .context("COMMAND or environment has a NUL byte")
}
