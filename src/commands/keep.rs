//! `keep`: refreshes logins shortly before they expire, for containers that follow.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::agent::Catalog;
use crate::agent::definition::{Method, RefreshRule};
use crate::commands::run;
use crate::config::{AgentSelection, AuthMode, KeepConfig, PerAgent, RunConfig, Scope, SyncMode};
use crate::env::Environment;
use crate::error::{Failure, reason};
use crate::facts::Facts;
use crate::fs::directories;
use crate::keep::command::{AgentsUser, RefreshCommand};
use crate::keep::copy::{Place, RefreshCopy};
use crate::keep::kept_login::{KeptLogin, Options};
use crate::keep::{Keeper, StopPolicy};
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::plan::{AgentPlan, Plan};
use crate::process::children::Children;
use crate::process::helpers::Helpers;
use crate::process::interrupt::Interrupt;
use crate::process::programs;
use crate::sync::Engine;
use crate::sync::dedup_log::DedupLog;
use crate::sys::signal::{Inherited, Signals};
use crate::sys::{privilege, process, wipe};
use crate::{facts, plan, state, workcopy};

/// Keeps logins until a stop signal, and returns the exit status. Errors are those from before the first refresh.
pub fn keep(config: &KeepConfig, environment: &Environment, reporter: Reporter) -> anyhow::Result<u8> {
    let keeper = start(config, environment, reporter)?;
    wipe::stack();
    Ok(keeper.run())
}

/// Not inlined, so that its stack frame lies below that of [`keep`], which wipes it.
#[inline(never)]
fn start(config: &KeepConfig, environment: &Environment, reporter: Reporter) -> anyhow::Result<Keeper> {
    let (signals, inherited) = run::take_over_signals()?;
    process::set_undumpable().context("cannot forbid core dumps")?;
    let catalog = facts::catalog()?;
    wipe::environment(|variable| catalog.is_credential(variable));
    let interrupt = Interrupt::listen(&signals, config.run.stop_signal).context("cannot listen for a stop signal")?;
    let mut children = Children::default();
    let mut helpers = Helpers { signals: &interrupt, inherited, children: &mut children };

    let run = keepers_run(config, &catalog, environment)?;
    let is_named = matches!(config.run.agent, AgentSelection::Named(_));
    let facts = read_facts(&run, &catalog, environment, is_named, &mut helpers)?;
    interrupt.check("the facts were read")?;
    reporter.say_all(facts.warnings());
    let plan = plan::plan(&run, &facts)?;
    check_stores(&plan)?;
    directories::state_directory(facts.state_dir.parent().unwrap_or(&facts.state_dir))?;
    let hook = run::hook(&run, &facts, inherited, reporter)?;
    let mut engine = run::install_working_copies(&facts, &plan, &mut helpers, reporter, hook)?;
    run::become_reaper(reporter);
    let logins = kept_logins(config, &facts, &plan, inherited, &mut engine, reporter)?;

    interrupt.check("the logins were found")?;
    drop(plan);
    drop(facts);
    drop(interrupt);
    if let Err(error) = process::no_core() {
        let text = format!("cannot turn core dumps off: {}", reason(&error));
        reporter.say(&Message::warning(text).event(EventKey::SystemCallFailed));
    }
    Ok(keeper(config, signals, children, engine, logins, reporter))
}

fn keeper(
    config: &KeepConfig,
    signals: Signals,
    children: Children,
    engine: Engine,
    logins: Vec<KeptLogin>,
    reporter: Reporter,
) -> Keeper {
    let stop = StopPolicy::new(config.run.stop_signal, config.run.grace);
    Keeper { signals, children, engine, logins, stop, reporter, log: DedupLog::default(), may_have_unreaped: false }
}

/// What a `run` would be asked to do that syncs the logins to keep, and no more, into a directory of the keeper's own.
fn keepers_run(config: &KeepConfig, catalog: &Catalog, environment: &Environment) -> anyhow::Result<RunConfig> {
    let mut run = config.run.clone();
    let state_dir = facts::state_dir(&run, environment, privilege::current().0).join(state::KEEPER);
    run.auth = PerAgent::all(AuthMode::Sync);
    run.sync = SyncMode::Live;
    run.scope = Scope::Login;
    run.trust = Some(OsString::new());
    run.work_dir = Some(state_dir.join("work"));
    run.state_dir = Some(state_dir);
    run.command = Vec::new();
    run.agent = AgentSelection::Named(agents_to_keep(&run, catalog, environment)?);
    Ok(run)
}

/// The agents whose logins are kept. All of them must be installed.
fn agents_to_keep(run: &RunConfig, catalog: &Catalog, environment: &Environment) -> anyhow::Result<Vec<String>> {
    let reporter = run.reporter();
    let is_installed = |rule: &RefreshRule| programs::on_path(environment.get("PATH"), rule.program());
    if let AgentSelection::Named(names) = &run.agent {
        for name in names {
            let definition = catalog.named(name)?.definition()?;
            let rule = definition.refresh.as_ref().ok_or_else(|| not_keepable(&definition.title, catalog))?;
            if !is_installed(rule) {
                return Err(not_installed(&definition.title, rule).into());
            }
        }
        return Ok(names.clone());
    }
    let found = facts::facts(run, catalog, environment, None)?;
    let mut agents = Vec::new();
    let mut missing = None;
    for definition in catalog.definitions()? {
        let Some(rule) = &definition.refresh else { continue };
        if is_installed(rule) {
            agents.push(definition.name.clone());
        } else if found.agents.iter().any(|agent| agent.definition.name == definition.name) {
            let failure = not_installed(&definition.title, rule);
            let name = &definition.name;
            let text = format!("{name}: its login is not kept: {}", failure.what);
            reporter.say(&Message::warning(text).event(EventKey::Keeping).agent(name));
            missing = Some(failure);
        }
    }
    if agents.is_empty() {
        return Err(missing.unwrap_or_else(|| no_agent(catalog)).into());
    }
    Ok(agents)
}

fn not_installed(title: &str, rule: &RefreshRule) -> Failure {
    let program = rule.program();
    Failure::new(format!("{title} is not installed: there is no {program} on PATH"))
        .hint("the keeper runs the agent's own command: use an image that has the agent")
}

fn not_keepable(title: &str, catalog: &Catalog) -> Failure {
    Failure::new(format!("nothing to keep: {title} has no command that refreshes its login")).hint(keepable(catalog))
}

fn no_agent(catalog: &Catalog) -> Failure {
    Failure::new("nothing to keep: no agent whose login can be kept is installed").hint(keepable(catalog))
}

fn keepable(catalog: &Catalog) -> String {
    let definitions = catalog.definitions().unwrap_or_default();
    let names = definitions.iter().filter(|definition| definition.refresh.is_some());
    let names: Vec<&str> = names.map(|definition| definition.name.as_str()).collect();
    format!("logins of these agents can be kept: {}", names.join(", "))
}

/// Reads the facts, without what a keeper has no business with: logins in config directories, keys and tokens.
fn read_facts<'c>(
    run: &RunConfig,
    catalog: &'c Catalog,
    environment: &'c Environment,
    is_named: bool,
    helpers: &mut Helpers<'_>,
) -> anyhow::Result<Facts<'c>> {
    let mut facts = facts::facts(run, catalog, environment, Some(helpers))?;
    if let Some(without) = facts.agents.iter().find(|agent| agent.capture.is_none())
        && (is_named || facts.agents.iter().all(|agent| agent.capture.is_none()))
    {
        let name = &without.definition.name;
        let failure = Failure::new(format!("nothing to keep: there is no login directory for {name}"));
        let hint = "mount the login directory as /capture, or name it with --capture DIR or --store SPEC";
        return Err(failure.hint(hint).into());
    }
    facts.agents.retain(|agent| agent.capture.is_some());
    let own = facts.state_dir.clone();
    for agent in &mut facts.agents {
        agent.candidates.retain(|candidate| {
            let is_elsewhere = |path: &Path| !path.starts_with(&own);
            let source = &candidate.source;
            let is_kept = source.is_store() || source.is_explicit() || !source.path().is_none_or(is_elsewhere);
            is_kept && candidate.rule.method == Method::Session
        });
    }
    Ok(facts)
}

/// A refreshed login that cannot be stored would be lost for everybody else.
fn check_stores(plan: &Plan<'_, '_>) -> anyhow::Result<()> {
    for agent in &plan.agents {
        let name = &agent.facts.definition.name;
        if let Some(write_back) = &agent.write_back
            && !write_back.writable
        {
            let failure = Failure::new(format!("{name}: {} is not writable", write_back.location()));
            return Err(failure.hint("a keeper saves refreshed logins there: mount it read-write").into());
        }
    }
    Ok(())
}

fn kept_logins(
    config: &KeepConfig,
    facts: &Facts<'_>,
    plan: &Plan<'_, '_>,
    inherited: Inherited,
    engine: &mut Engine,
    reporter: Reporter,
) -> anyhow::Result<Vec<KeptLogin>> {
    let is_named = matches!(config.run.agent, AgentSelection::Named(_));
    let has_any = plan.agents.iter().any(AgentPlan::is_authenticated);
    let mut logins = Vec::new();
    for agent in &plan.agents {
        let definition = agent.facts.definition;
        let (Some(rule), Some(session)) = (&definition.refresh, &definition.session) else { continue };
        let Some(synced) = engine.session(&definition.name) else { continue };
        synced.keep();
        let place = Place {
            agent: &definition.name,
            suffix: &definition.home.suffix,
            state_dir: &facts.state_dir,
            owner: workcopy::agent_owner(facts),
        };
        let mut copy = RefreshCopy::new(&place, session.clone(), rule.force.clone())?;
        if let Some(step) = &agent.first_run {
            workcopy::first_run::answer(step, agent, copy.working_copy(), reporter);
            copy.keep_beside(step.entries.iter().map(|entry| entry.file.clone()));
        }
        let environment = command_environment(facts, plan, agent, rule, &copy.root);
        let user = AgentsUser::new(facts.identity.clone(), &plan.privilege);
        let command = RefreshCommand::new(&rule.command, environment, rule.limit(), inherited, user)
            .context("the environment contains a NUL byte")?;
        let options = Options {
            before: config.before,
            once: config.once,
            warn_within: config.run.warn_within,
            is_expected: !has_any || is_named,
        };
        logins.push(KeptLogin::new(&definition.name, copy, command, options));
    }
    Ok(logins)
}

/// The agent's environment, with its config directory at the copy of the login.
fn command_environment(
    facts: &Facts<'_>,
    plan: &Plan<'_, '_>,
    agent: &AgentPlan<'_, '_>,
    rule: &RefreshRule,
    root: &PathBuf,
) -> Vec<OsString> {
    let home = (agent.facts.definition.home.variable.clone(), root.into());
    let own = rule.environment.iter().map(|(name, value)| (name.clone(), value.into()));
    let own: Vec<(String, OsString)> = own.chain([home]).collect();
    let is_own = |name: &str| own.iter().any(|(known, _)| known == name);
    let mut set: Vec<(String, OsString)> =
        plan.environment.set.iter().filter(|(name, _)| !is_own(name)).cloned().collect();
    set.extend(own);
    facts.environment.with(&plan.environment.unset, &set)
}
