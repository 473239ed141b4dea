//! `run`: facts, a plan, acts.

mod link;

use std::ffi::OsString;

use anyhow::Context;

use crate::agent::Catalog;
use crate::cli::{Manner, RunOptions};
use crate::discover::{self, Environment, Facts};
use crate::launch::deliver::Deliveries;
use crate::launch::helper::Helpers;
use crate::launch::patience::Patience;
use crate::launch::{Descent, Launch, Tty};
use crate::plan::{self, AgentPlan, LoginFile, Plan, environment};
use crate::report::{Level, Message, Reporter};
use crate::state::{Served, State};
use crate::supervise::children::Children;
use crate::supervise::console::Console;
use crate::supervise::foreground::Foreground;
use crate::supervise::stop::Stop;
use crate::supervise::{Ended, Supervisor};
use crate::sync::Engine;
use crate::sys::descriptors;
use crate::sys::process::{self, Program};
use crate::sys::signal::{Inherited, Signal, Signals};
use crate::workcopy::read::reason;
use crate::workcopy::{self, ground};

/// Runs the agent and returns our exit status.
///
/// # Errors
/// Everything that can go wrong before the agent runs. After that there are messages, and its exit status.
pub fn run(options: &RunOptions, manner: &Manner, environment: Environment) -> anyhow::Result<u8> {
    let reporter = options.reporter();
    // From here on signals wait for us: as PID 1 one that comes too early would be lost, and with it a stop.
    let (signals, inherited) = Signals::take_over().context("cannot take the signals over")?;
    // Before any secret is read. What is read of /proc/self later (mountinfo, children) stays readable.
    process::forbid_dumps().context("cannot forbid core dumps")?;
    let catalog = discover::catalog()?;
    let mut children = Children::default();
    let stop = options.stop_signal.unwrap_or(Signal::TERM);
    let mut helpers = Helpers { signals: &signals, inherited, children: &mut children, stop };
    let facts = facts(options, &catalog, &environment, &mut helpers)?;
    let plan = plan::plan(options, &facts)?;
    announce(reporter, &facts, &plan);

    let engine = prepare(options, &facts, &plan, inherited, reporter)?;
    let deliveries = Deliveries::prepare(&plan.agents, workcopy::agent_owner(&facts))?;
    let program = program(options, &facts, &plan, &deliveries)?;
    let mut foreground = Foreground::at_start();
    if process::id() != 1 {
        process::become_subreaper().context("cannot become a subreaper")?;
    }
    if let Some(signal) = manner.parent_death {
        process::on_parent_death(signal).context("cannot ask for a signal at the parent's death")?;
    }
    let launch = Launch {
        program,
        command: options.command.first().context("no COMMAND")?,
        descent: descent(options, &facts, &plan),
        terminal: Tty::Lent(foreground.lent()),
        inherited,
    };
    let started = launch.start();
    drop(launch);
    drop(deliveries);
    let agent = started.inspect_err(|_| foreground.take_back())?;
    drop(plan);
    drop(facts);
    drop(environment);

    // From here on nothing but the agent's end ends us.
    children.adopt(agent);
    let mut engine = engine;
    engine.started(agent);
    // Neither hinders the other.
    let steps =
        [("turn core dumps off", process::no_core()), ("let go of the agent's descriptors", descriptors::let_go())];
    for (what, done) in steps {
        if let Err(error) = done {
            reporter.say(&Message::warning(format!("cannot {what}: {}", reason(&error))));
        }
    }
    let supervisor = Supervisor {
        signals,
        children,
        stop: Stop::new(manner.escalates.then_some(stop), options.grace()),
        console: Console::Lent(foreground),
        rewrites: options.rewrite.clone(),
        forward_to: options.forward_to.unwrap_or_default(),
        engine,
        reporter,
        group: agent,
        says_reaped: manner.says_reaped,
        is_reaping: false,
    };
    let Ended { status, .. } = supervisor.run();
    Ok(if manner.expected.contains(&status) { 0 } else { status })
}

/// The facts; with `--wait` once there is a credential among them, or the time is over.
fn facts<'c>(
    options: &RunOptions,
    catalog: &'c Catalog,
    environment: &'c Environment,
    helpers: &mut Helpers<'_>,
) -> anyhow::Result<Facts<'c>> {
    let mut facts = discover::facts(options, catalog, environment, Some(&mut *helpers))?;
    let Some(limit) = options.wait.filter(|limit| !limit.is_zero()) else { return Ok(facts) };
    if !plan::draft(options, &facts).lacks_credential(options) {
        return Ok(facts);
    }
    let Some(mut patience) = Patience::begin(&facts, limit, options.reporter()) else { return Ok(facts) };
    let mut is_time_left = true;
    loop {
        // Looked at again once it is watched, for it may have come in between; and once more when the time is over.
        patience.watch(&facts);
        facts = discover::facts(options, catalog, environment, Some(&mut *helpers))?;
        if !is_time_left || !plan::draft(options, &facts).lacks_credential(options) {
            return Ok(facts);
        }
        is_time_left = patience.wait(helpers)?;
    }
}

fn announce(reporter: Reporter, facts: &Facts<'_>, plan: &Plan<'_, '_>) {
    reporter.say_all(facts.warnings());
    for agent in &plan.agents {
        reporter.say_all(&agent.warnings);
        reporter.say(&agent.auth_line());
    }
}

/// Lays the working copies down and links them to their stores.
///
/// What can not be made stops the start when a login is to be laid down, or when the operator asked for it by name; else
/// the agent may do without.
fn prepare(
    options: &RunOptions,
    facts: &Facts<'_>,
    plan: &Plan<'_, '_>,
    inherited: Inherited,
    reporter: Reporter,
) -> anyhow::Result<Engine> {
    let or_say = |result: anyhow::Result<()>, is_fatal: bool| match result {
        Err(error) if !is_fatal => {
            reporter.say(&Message { level: Level::Warning, ..Message::error(&error) });
            Ok(())
        }
        other => other,
    };
    if let Some(home) = &plan.makes_home {
        or_say(ground::home(home, workcopy::agent_owner(facts)), options.workplace.home.is_some())?;
    }
    let mut links = Vec::new();
    let mut served = Vec::new();
    let mut state_dir = None;
    for agent in &plan.agents {
        let mut lay_down = || {
            let state = ground::state_directory(&facts.state_dir)?;
            let say = &mut |message| reporter.say(&message);
            let copy = workcopy::lay_down(options, facts, agent, &state, say)?;
            state_dir = Some(state);
            let text = format!("{}: the working copy is {}", agent.facts.definition.name, copy.path.display());
            reporter.say(&Message::detail(text));
            served.push(remembered(facts, agent));
            if let Some(write_back) = &agent.write_back {
                links.extend(link::of(facts, agent, write_back, copy, inherited)?);
            }
            Ok(())
        };
        or_say(lay_down(), agent.login != LoginFile::Absent)?;
    }
    let user = (facts.identity.uid, facts.identity.gid);
    let environment = environment::handed(plan);
    let state = State { version: 1, pid: process::id(), agent_pid: None, user, environment, agents: served };
    if let Some(state_dir) = &state_dir {
        ground::sweep(state_dir);
    }
    let mut engine = Engine::new(links, state_dir.map(|dir| (dir, state)), reporter);
    if facts.previous.agent_pid.is_some() {
        // Whoever asks meanwhile must not be told of the run before this one.
        engine.write_down();
    }
    engine.begin();
    Ok(engine)
}

/// What the next run of this container must know.
fn remembered(facts: &Facts<'_>, plan: &AgentPlan<'_, '_>) -> Served {
    let chosen = plan.chosen();
    let before = facts.remembered(plan.facts);
    let mut served = Served {
        agent: plan.facts.definition.name.clone(),
        method: chosen.map_or("none", |offer| offer.rule.method.word()).to_owned(),
        source: chosen.map(|offer| offer.source.to_string()),
        place: plan.facts.working_copy.clone(),
        expires_at: chosen
            .and_then(|offer| offer.expires_at)
            .map(|expires| humantime::format_rfc3339_seconds(expires).to_string()),
        write_back: plan.write_back.as_ref().map(|target| target.target.clone()),
        store: plan.write_back.as_ref().and_then(|target| target.store.clone()),
        base: None,
        content: None,
        lineage: before.map(|before| before.lineage.clone()).unwrap_or_default(),
        shadowed: plan.shadowed(),
        last: None,
        at: None,
    };
    if let Some(base) = plan.base {
        served.agree(base);
    }
    if let Some(session) = chosen.and_then(|offer| offer.session()).filter(|_| plan.write_back.is_none()) {
        // Nobody carries it: what lies in the working copy at the next start is judged against this.
        served.agree((&session.login).into());
    }
    served
}

/// The way down to the agent's user. Root that is asked for a user gets that user's groups, too, where it stays root.
pub(super) fn descent<'f>(options: &RunOptions, facts: &'f Facts<'_>, plan: &Plan<'_, '_>) -> Descent<'f> {
    let is_asked = options.workplace.user.is_some() || options.workplace.user_from.is_some();
    Descent {
        identity: &facts.identity,
        changes_user: facts.current.0 == 0 && is_asked,
        drop_caps: plan.drop_caps,
        no_new_privs: plan.no_new_privs,
    }
}

/// COMMAND with the agent's environment.
///
/// # Errors
/// A NUL byte in either.
pub(super) fn program(
    options: &RunOptions,
    facts: &Facts<'_>,
    plan: &Plan<'_, '_>,
    deliveries: &Deliveries,
) -> anyhow::Result<Program> {
    let credentials = environment::credentials(&plan.agents);
    let set = plan.environment.set.iter().cloned().chain(credentials).chain(deliveries.variables());
    let set: Vec<(String, OsString)> = set.collect();
    Program::new(&options.command, facts.environment.with(&plan.environment.unset, &set))
        .context("COMMAND or environment has a NUL byte")
}
