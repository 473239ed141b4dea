//! `run`: reads the facts, makes the plan, and carries it out.

mod session;

use std::ffi::OsString;
use std::time::SystemTime;

use anyhow::Context;

use crate::agent::Catalog;
use crate::config::{AuthMode, RunConfig};
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
use crate::process::hook::Hook;
use crate::process::interrupt::Interrupt;
use crate::state::{SavedWriteBack, Served, State};
use crate::sync::Engine;
use crate::sync::session::SyncSession;
use crate::sys::dir::Dir;
use crate::sys::process::{Pid, Program};
use crate::sys::signal::{Inherited, Signals};
use crate::sys::{descriptors, process, wipe};
use crate::terminal::console::Console;
use crate::terminal::foreground::Foreground;
use crate::words::spelling::Words;
use crate::{facts, log, plan, workcopy};

/// Runs the agent and returns its exit status. Errors are those from before the agent runs; later problems are logged.
pub fn run(config: &RunConfig, environment: Environment) -> anyhow::Result<u8> {
    let supervisor = start(config, &environment)?;
    // Nothing of a secret stays in this process while the agent runs.
    drop(environment);
    wipe::stack();
    let Ended { status, .. } = supervisor.run();
    Ok(if config.compat.expected.contains(&status) { 0 } else { status })
}

/// Starts the agent. Not inlined, so that its stack frame lies below that of `run`, which wipes it.
#[inline(never)]
fn start(config: &RunConfig, environment: &Environment) -> anyhow::Result<Supervisor> {
    let reporter = config.reporter();
    let (signals, inherited) = take_over_signals()?;
    let catalog = hide_secrets()?;
    let mut children = Children::default();
    let interrupt = Interrupt::listen(&signals, config.stop_signal).context("cannot listen for a stop signal")?;
    let mut helpers = Helpers { signals: &interrupt, inherited, children: &mut children };

    let facts = read_facts(config, &catalog, environment, &mut helpers)?;
    interrupt.check("the facts were read")?;
    // They may explain why the plan is refused.
    reporter.say_all(facts.warnings());
    let plan = plan::plan(config, &facts)?;
    announce(reporter, &plan, facts.now);
    let hook = hook(config, &facts, inherited, reporter)?;
    let mut engine = install_working_copies(&facts, &plan, &mut helpers, reporter, hook)?;
    let launched = launch(&facts, &plan, inherited, &interrupt, reporter);
    let (agent, foreground) = launched.inspect_err(|_| engine.agent_not_started(&mut children))?;

    // From here on only the end of the agent ends this process.
    let policy = plan.signals;
    children.adopt(agent);
    engine.agent_started(agent);
    shed_what_only_the_start_needed(reporter);
    let console = Console::Lent(foreground);
    Ok(Supervisor::new(Running { agent, signals, children, console, policy, engine, reporter }))
}

/// Keeps other processes from the secrets in this one's memory and environment, before any is read.
/// /proc/self/mountinfo and /proc/self/children stay readable.
fn hide_secrets() -> anyhow::Result<Catalog> {
    process::set_undumpable().context("cannot forbid core dumps")?;
    let catalog = facts::catalog()?;
    wipe::environment(|variable| catalog.is_credential(variable));
    Ok(catalog)
}

/// Blocks all signals and queues them. PID 1 has no default actions: a stop signal that came earlier would be lost.
pub(super) fn take_over_signals() -> anyhow::Result<(Signals, Inherited)> {
    let taken_over = Signals::take_over().context("cannot take over the signals")?;
    log::stop_waiting();
    Ok(taken_over)
}

/// Reads the facts. With `--wait`, reads them again until they hold a credential or the time is over.
fn read_facts<'c>(
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
        // The facts are read after the watch begins, because a login may have appeared in between, and once more when
        // the time is over.
        login_wait.watch(&facts);
        let reread = facts::facts(config, catalog, environment, Some(&mut *helpers));
        helpers.signals.check("waiting for a login")?;
        facts = reread?;
        if !is_time_left || !plan::draft(config, &facts).lacks_credential(config) {
            return Ok(facts);
        }
        is_time_left = login_wait.wait(helpers)?;
    }
}

fn announce(reporter: Reporter, plan: &Plan<'_, '_>, now: SystemTime) {
    for agent in &plan.agents {
        reporter.say_all(&agent.warnings);
        reporter.say(&plan::auth_line(agent, now));
    }
}

/// The command of `--on-event`.
pub(super) fn hook(
    config: &RunConfig,
    facts: &Facts<'_>,
    inherited: Inherited,
    reporter: Reporter,
) -> anyhow::Result<Option<Hook>> {
    let Some(argv) = &config.on_event else { return Ok(None) };
    let environment = facts.environment.for_helpers(|name| facts.catalog.is_agents_own(name));
    let hook = Hook::new(argv, environment, inherited);
    let mut hook = hook.context("--on-event: the command contains a NUL byte")?;
    let missing = argv.first().and_then(|program| hook.check(facts.environment.get("PATH"), program));
    reporter.say_all(&missing);
    Ok(Some(hook))
}

/// Installs the working copies and connects them to their stores.
///
/// A failure stops the start only if a login was to be installed or the operator named the directory. Otherwise the
/// agent may do without.
pub(super) fn install_working_copies(
    facts: &Facts<'_>,
    plan: &Plan<'_, '_>,
    helpers: &mut Helpers<'_>,
    reporter: Reporter,
    hook: Option<Hook>,
) -> anyhow::Result<Engine> {
    let interrupt = helpers.signals;
    if let Some(home) = &plan.home {
        let made = directories::home(&home.path, workcopy::agent_owner(facts));
        fail_or_warn(made, home.is_required, reporter)?;
    }
    let mut installer =
        Installer { facts, helpers, reporter, sessions: Vec::new(), served: Vec::new(), state_dir: None };
    for agent in &plan.agents {
        let installed = installer.install(agent);
        // After a stop signal, the stop is the error, and not what it did to this working copy.
        let installed = interrupt.check("the working copy was made").and(installed);
        let is_required = agent.login != LoginFileStep::Absent || interrupt.has_come();
        if let Err(error) = fail_or_warn(installed, is_required, reporter) {
            installer.release_sessions();
            return Err(error);
        }
    }
    let mut engine = installer.into_engine(plan, hook);
    engine.sync_before_start(interrupt);
    Ok(engine)
}

/// Passes on the error of a required step, and turns that of any other into a warning.
fn fail_or_warn(result: anyhow::Result<()>, is_required: bool, reporter: Reporter) -> anyhow::Result<()> {
    match result {
        Err(error) if !is_required => {
            reporter.say(&Message::error(&error).as_warning().event(EventKey::WorkingCopy));
            Ok(())
        }
        other => other,
    }
}

/// Installs one working copy after the other and collects what the sync engine needs of them.
struct Installer<'i, 'f, 'h> {
    facts: &'i Facts<'f>,
    helpers: &'i mut Helpers<'h>,
    reporter: Reporter,
    sessions: Vec<SyncSession>,
    served: Vec<Served>,
    state_dir: Option<Dir>,
}

impl Installer<'_, '_, '_> {
    fn install(&mut self, agent: &AgentPlan<'_, '_>) -> anyhow::Result<()> {
        let state_dir = directories::state_directory(&self.facts.state_dir)?;
        let reporter = self.reporter;
        let working_copy = workcopy::install(self.facts, agent, &state_dir, self.helpers.signals, reporter)?;
        self.state_dir = Some(state_dir);
        let name = &agent.facts.definition.name;
        let text = format!("{name}: the working copy is {}", working_copy.path.display());
        reporter.say(&Message::detail(text).event(EventKey::WorkingCopy).agent(name));
        self.served.push(remembered(self.facts, agent));
        if let Some(write_back) = &agent.write_back {
            let inherited = self.helpers.inherited;
            self.sessions.extend(session::open_session(self.facts, agent, write_back, working_copy, inherited)?);
        }
        Ok(())
    }

    fn release_sessions(&mut self) {
        for session in &mut self.sessions {
            session.release(self.helpers.children);
        }
    }

    fn into_engine(self, plan: &Plan<'_, '_>, hook: Option<Hook>) -> Engine {
        let state = State {
            version: 1,
            pid: process::id(),
            agent_pid: None,
            user: (self.facts.identity.uid, self.facts.identity.gid),
            environment: environment::for_exec(plan),
            keeper_started: None,
            agents: self.served,
        };
        if let Some(state_dir) = &self.state_dir {
            directories::sweep(state_dir);
        }
        let mut engine = Engine::new(self.sessions, self.state_dir.map(|dir| (dir, state)), self.reporter, hook);
        engine.observe(plan.agents.iter().flat_map(|agent| &agent.warnings));
        if self.facts.previous.agent_pid.is_some() {
            // `status` and `exec` must not find the agent of the previous run in the meantime.
            engine.save_state();
        }
        engine
    }
}

/// Starts the agent, unless a stop signal has come.
fn launch(
    facts: &Facts<'_>,
    plan: &Plan<'_, '_>,
    inherited: Inherited,
    interrupt: &Interrupt,
    reporter: Reporter,
) -> anyhow::Result<(Pid, Foreground)> {
    let deliveries = Deliveries::prepare(&plan.agents, workcopy::agent_owner(facts))?;
    let program = program(facts, plan, &deliveries)?;
    let mut foreground = Foreground::at_start();
    become_reaper(reporter);
    if let Some(signal) = plan.signals.parent_death {
        process::on_parent_death(signal).context("cannot ask for a signal at the parent's death")?;
    }
    let launch = Launch {
        program,
        command: plan.command.first().context("no COMMAND")?,
        privilege_drop: privilege_drop(facts, plan),
        terminal: Tty::Lent(foreground.lent()),
        inherited,
    };
    interrupt.check("the start was prepared")?;
    let started = launch.start(reporter);
    drop(launch);
    let agent = started.inspect_err(|_| foreground.take_back())?;
    Ok((agent, foreground))
}

/// Makes orphans come to this process. They come to PID 1 by themselves, and to any other process only if it asks.
pub(super) fn become_reaper(reporter: Reporter) {
    if process::id() == 1 {
        return;
    }
    if let Err(error) = process::become_subreaper() {
        let text = format!("agent-init is not PID 1 and cannot become a subreaper: {}", reason(&error));
        let hint = "processes that the agent leaves behind may keep running or stay as zombies: make agent-init the \
                    ENTRYPOINT";
        reporter.say(&Message::warning(text).event(EventKey::SystemCallFailed).hint(hint));
    }
}

/// Turns core dumps off and closes the descriptors that are the agent's alone. Each step is tried even if the other
/// fails.
fn shed_what_only_the_start_needed(reporter: Reporter) {
    let steps = [
        ("turn core dumps off", process::no_core()),
        ("close the agent's descriptors", descriptors::release_agents_descriptors()),
    ];
    for (what, done) in steps {
        if let Err(error) = done {
            let text = format!("cannot {what}: {}", reason(&error));
            reporter.say(&Message::warning(text).event(EventKey::SystemCallFailed));
        }
    }
}

/// What the state file tells `status` and the next run of this container.
fn remembered(facts: &Facts<'_>, plan: &AgentPlan<'_, '_>) -> Served {
    let chosen = plan.chosen();
    let previous = facts.remembered(plan.facts);
    let mut served = Served {
        agent: plan.facts.definition.name.clone(),
        method: chosen.map_or("none", |candidate| candidate.rule.method.word()).to_owned(),
        source: chosen.map(|candidate| candidate.source.to_string()),
        place: plan.facts.working_copy.clone(),
        expires_at: chosen
            .and_then(|candidate| candidate.expires_at)
            .map(|expires| humantime::format_rfc3339_seconds(expires).to_string()),
        write_back: plan.write_back.as_ref().map(|to| SavedWriteBack {
            path: to.target.path().to_owned(),
            store: to.target.helper().map(str::to_owned),
        }),
        base: None,
        entries: plan.entries.clone(),
        history: previous.map(|previous| previous.history.clone()).unwrap_or_default(),
        follows: plan.mode == AuthMode::Follow,
        shadowed: plan.shadowed(),
        is_key_over_login: plan.is_key_over_login(),
        last: None,
        at: None,
        last_publish_at: previous.and_then(|previous| previous.last_publish_at.clone()),
        publish_failures: previous.map_or(0, |previous| previous.publish_failures),
        kept: None,
    };
    if let Some(base) = plan.base {
        served.set_merge_base(base);
    }
    if plan.write_back.is_none()
        && let Some(session) = chosen.and_then(|candidate| candidate.session())
    {
        // Without sync, the next start compares the login in the working copy with this one.
        served.set_merge_base((&session.login).into());
    }
    served
}

/// The privilege that the child gives up, and the user that it becomes.
pub(super) fn privilege_drop<'f>(facts: &'f Facts<'_>, plan: &Plan<'_, '_>) -> PrivilegeDrop<'f> {
    let PrivilegeSteps { changes_user, drop_caps, no_new_privs, .. } = plan.privilege;
    PrivilegeDrop { identity: &facts.identity, changes_user, drop_caps, no_new_privs }
}

/// COMMAND with the agent's environment. A NUL byte in either is an error.
pub(super) fn program(facts: &Facts<'_>, plan: &Plan<'_, '_>, deliveries: &Deliveries) -> anyhow::Result<Program> {
    let credentials = environment::credentials(&plan.agents);
    let set: Vec<(String, OsString)> =
        plan.environment.set.iter().cloned().chain(credentials).chain(deliveries.variables()).collect();
    Program::new(&plan.command, facts.environment.with(&plan.environment.unset, &set))
        .context("COMMAND or the environment contains a NUL byte")
}
