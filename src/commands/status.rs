//! `status`: the credentials of the running agents or, if none runs, those that a start would use.

use std::path::Path;
use std::time::SystemTime;

use crate::agent::Catalog;
use crate::agent::catalog::Entry;
use crate::commands::Answer;
use crate::config::{AgentSelection, StatusConfig, StatusForm};
use crate::env::Environment;
use crate::facts::Facts;
use crate::log::Reporter;
use crate::login::format::SessionFile;
use crate::login::merge::SyncResult;
use crate::output::json_line;
use crate::output::status::Document;
use crate::output::style::Style;
use crate::plan::{AgentPlan, Plan};
use crate::process::table;
use crate::state::Served;
use crate::status::running::Running;
use crate::status::{AgentStatus, Clock, Exchange, Kept, Publishes, running};
use crate::store::{Capture, Recovery};
use crate::sys::dir::Dir;
use crate::{facts, output, plan, status};

pub fn status(config: &StatusConfig, environment: &Environment, reporter: Reporter) -> anyhow::Result<Answer> {
    let catalog = facts::catalog()?;
    let run = &config.inspection.run;
    let as_init_was_told = running::with_init(&config.inspection)?;
    let clock = Clock { now: SystemTime::now(), warn_within: as_init_was_told.warn_within };
    let named = match &run.agent {
        AgentSelection::Named(names) => names.clone(),
        _ => Vec::new(),
    };
    for name in &named {
        catalog.named(name)?;
    }
    let (context, agents) = if let Ok(running) = running::find(run.state_dir.as_deref(), environment) {
        let all = running_agents(&running, &catalog, clock);
        let wanted = |status: &AgentStatus| named.is_empty() || named.contains(&status.agent);
        let mut agents: Vec<_> = all.into_iter().filter(wanted).collect();
        for name in named.iter().filter(|name| !running.state.agents.iter().any(|served| served.agent == **name)) {
            agents.push(status::not_served(catalog.named(name)?.definition()?));
        }
        let table::Process { pid, uid, gid, .. } = running.agent;
        (format!("Process {pid} runs here as {uid}:{gid}. This is what it has now."), agents)
    } else {
        let run = &as_init_was_told;
        let facts = facts::facts(run, &catalog, environment, None)?;
        reporter.say_all(facts.warnings());
        let plan = plan::draft(run, &facts);
        ("No agent runs here. This is what `run` would use.".to_owned(), planned_agents(&facts, &plan, clock))
    };
    let is_healthy = |status: &AgentStatus| status.state.is_healthy();
    let is_success = if named.is_empty() { agents.iter().any(is_healthy) } else { agents.iter().all(is_healthy) };
    let text = match config.form {
        StatusForm::Json => json_line(&Document::of(&agents))?,
        StatusForm::OpenMetrics => output::openmetrics::metrics(&agents),
        StatusForm::Text(detail) => {
            output::status::page(&context, &agents, clock.now, detail).written(Style::of_stdout(environment))
        }
    };
    Ok(Answer { text, exit: u8::from(!is_success) })
}

/// The status of the running agents.
pub fn running_agents(running: &Running, catalog: &Catalog, clock: Clock) -> Vec<AgentStatus> {
    let Running { state, state_dir, agent } = running;
    state.agents.iter().map(|served| running_agent(served, state_dir, agent.uid, catalog, clock)).collect()
}

/// The status of the login in the working copy of a served agent or of a keeper. It belongs to the user `uid`.
pub fn running_agent(served: &Served, state_dir: &Path, uid: u32, catalog: &Catalog, clock: Clock) -> AgentStatus {
    let definition = catalog.named(&served.agent).and_then(Entry::definition).ok();
    let session = definition.and_then(|definition| definition.session.as_ref());
    let live = session.map(|session| running::live(served, session, uid));
    let recovery = session.map(|session| Recovery::new(state_dir, &served.agent, &session.file));
    let exchange = running_exchange(served, session, recovery.as_ref());
    status::served(served, definition, live.as_ref(), clock, exchange)
}

fn running_exchange(served: &Served, session: Option<&SessionFile>, recovery: Option<&Recovery>) -> Exchange {
    let (last, at) = (served.last, served.at.clone());
    let Some(target) = served.write_back.as_ref().map(|to| to.path.as_path()) else {
        return Exchange { last, at, publishes: publishes(Some(served), None), ..Exchange::default() };
    };
    let capture = Capture::open(target).ok();
    let published = capture.as_ref().and_then(|capture| capture.record(session?).ok()?.published_at);
    Exchange {
        last,
        at,
        writable: is_writable(target),
        shared_by: capture.as_ref().map_or(0, Capture::users),
        kept: kept(capture.as_ref(), recovery),
        publishes: publishes(Some(served), published.as_deref()),
    }
}

/// `recorded`: when the capture's login was published, RFC 3339, by whichever container.
fn publishes(served: Option<&Served>, recorded: Option<&str>) -> Publishes {
    let ours = served.and_then(|served| served.last_publish_at.as_deref());
    let times = [ours, recorded].into_iter().flatten().filter_map(|text| humantime::parse_rfc3339(text).ok());
    Publishes { newest: times.max(), failures: served.map_or(0, |served| served.publish_failures) }
}

fn kept(capture: Option<&Capture>, recovery: Option<&Recovery>) -> Kept {
    Kept {
        recovery: recovery.and_then(Recovery::found).map(|path| path.display().to_string()),
        conflicts: capture.map_or(0, Capture::conflicts),
        conflicts_in: capture.map(|capture| capture.conflicts_path().display().to_string()),
    }
}

/// `target` is a directory, or a file that is itself a mount.
fn is_writable(target: &Path) -> bool {
    match (Dir::open(target), target.parent().zip(target.file_name())) {
        (Ok(dir), _) => dir.is_writable(),
        (Err(_), Some((parent, name))) => Dir::open(parent).is_ok_and(|parent| parent.may_write(name)),
        (Err(_), None) => false,
    }
}

/// The status of the agents that a start would serve.
pub fn planned_agents(facts: &Facts<'_>, plan: &Plan<'_, '_>, clock: Clock) -> Vec<AgentStatus> {
    plan.agents.iter().map(|agent| status::planned(agent, clock, last_exchange(facts, agent))).collect()
}

/// The last sync, from the state of the previous run here or from the record of the capture.
fn last_exchange(facts: &Facts<'_>, plan: &AgentPlan<'_, '_>) -> Exchange {
    let target = plan.write_back.as_ref().filter(|write_back| !write_back.target.is_file());
    let capture = target.and_then(|target| plan.facts.open_capture(target.target.path()).ok());
    let published =
        capture.as_ref().and_then(|capture| capture.record(plan.facts.definition.session.as_ref()?).ok()?.published_at);
    let remembered = facts.remembered(plan.facts);
    let publishes = publishes(remembered, published.as_deref());
    let (last, at) = match remembered.filter(|remembered| remembered.last.is_some()) {
        Some(remembered) => (remembered.last, remembered.at.clone()),
        None => (published.as_ref().map(|_| SyncResult::Published), published),
    };
    let writable = target.is_some_and(|target| target.writable);
    let session = plan.facts.definition.session.as_ref();
    let recovery = session.map(|session| Recovery::new(&facts.state_dir, &plan.facts.definition.name, &session.file));
    Exchange {
        last,
        at,
        writable,
        shared_by: capture.as_ref().map_or(0, Capture::users),
        kept: kept(capture.as_ref(), recovery.as_ref()),
        publishes,
    }
}
