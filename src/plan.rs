//! Pure. What will be done, and why: facts and options in, a plan out.
//!
//! A plan refers to what was found and holds none of its bytes, so it can be printed.

pub mod agent_plan;
pub mod condition;
pub mod environment;
pub mod method;
mod requirement;
pub mod warning;
mod write_back;

use std::path::Path;

pub use agent_plan::{AgentPlan, Enforcement, LoginFileStep, Plan};
pub use requirement::required;
pub use write_back::{WriteBack, WriteBackTarget};

use self::method::SelectionInput;
use crate::account;
use crate::agent::definition::Method;
use crate::cli::{Delivery, RunOptions, Switch};
use crate::facts::agent_facts::AgentFacts;
use crate::facts::{Candidate, Facts, place};
use crate::login::Source;
use crate::login::format::SessionFile;
use crate::login::history::History;
use crate::login::merge::MergeBase;
use crate::state::Served;
use crate::store::Recovery;

/// Makes the plan, which a start may go by.
///
/// # Errors
/// A mode for an agent that has no such method; a required credential that is not there.
pub fn plan<'f, 'c>(options: &RunOptions, facts: &'f Facts<'c>) -> anyhow::Result<Plan<'f, 'c>> {
    let plan = draft(options, facts);
    requirement::possible(options, &plan.agents)?;
    required(options, &plan.agents)?;
    Ok(plan)
}

/// Makes the plan, for those who look at it: a start may refuse it ([`required`]).
pub fn draft<'f, 'c>(options: &RunOptions, facts: &'f Facts<'c>) -> Plan<'f, 'c> {
    let mut agents: Vec<_> = facts.agents.iter().map(|agent| agent_plan(options, facts, agent)).collect();
    warning::of_conflicts(&mut agents);
    let changed = facts.identity.differs_from(facts.current);
    let is_home_named = options.workplace.home.is_some();
    let is_fallback_needed = facts.home == Path::new(account::FALLBACK_HOME) && (changed || !agents.is_empty());
    let enforcement = |switch: Option<Switch>| match switch.unwrap_or_default() {
        Switch::On => Enforcement::Required,
        Switch::Auto if changed && facts.identity.uid != 0 => Enforcement::BestEffort,
        Switch::Auto | Switch::Off => Enforcement::No,
    };
    Plan {
        environment: environment::changes(facts, &agents, changed || is_home_named),
        makes_home: (is_home_named || is_fallback_needed).then(|| facts.home.clone()),
        agents,
        drop_caps: enforcement(options.drop_caps),
        no_new_privs: enforcement(options.no_new_privs),
    }
}

fn agent_plan<'f, 'c>(options: &RunOptions, facts: &'f Facts<'c>, agent: &'f AgentFacts<'c>) -> AgentPlan<'f, 'c> {
    let definition = agent.definition;
    let mode = options.auth_of(&definition.name);
    let in_place = agent.login_file().map(Source::Home);
    let recovery =
        |session: &SessionFile| Source::Home(Recovery::new(&facts.state_dir, &definition.name, &session.file).path());
    let recovered = definition.session.as_ref().map(recovery);
    let left_at: Vec<Source> = in_place.iter().cloned().chain(recovered).collect();
    let remembered = facts.remembered(agent);
    let none = History::default();
    let choice = method::choose(&SelectionInput {
        candidates: &agent.candidates,
        rules: &definition.methods,
        mode,
        prefer: options.prefer.as_ref().map_or(&[], |prefer| prefer.0.as_slice()),
        left_at: &left_at,
        remembered,
        captured: agent.capture.as_ref().map_or(&none, |capture| &capture.history),
        now: facts.now,
    });
    let chosen = choice.chosen.and_then(|index| agent.candidates.get(index));
    let session = chosen.and_then(Candidate::session);
    let is_in_place = chosen.is_some_and(|chosen| Some(&chosen.source) == in_place.as_ref());
    let login = match session {
        Some(_) if is_in_place => LoginFileStep::Stays,
        Some(_) => LoginFileStep::Written,
        None => LoginFileStep::Absent,
    };
    let write_back = match (chosen, session) {
        (Some(chosen), Some(_)) => write_back::of(options, agent, chosen),
        // Somebody may log in while the agent runs.
        (None, _) if method::allows(mode, Method::Session) => write_back::to_store(options, agent, false),
        _ => None,
    };
    let base = if chosen.is_some_and(|chosen| left_at.contains(&chosen.source)) {
        remembered.and_then(Served::merge_base)
    } else {
        session.map(|session| MergeBase::from(&session.login))
    };
    let capture = agent.capture.as_ref().map(|capture| capture.path.as_path());
    let settings = place::settings_source(&agent.place, &agent.working_copy, capture).map(|(path, _)| path.to_owned());
    let by_descriptor = chosen.filter(|candidate| options.deliver == Some(Delivery::Fd) && !candidate.is_setting());
    let descriptor = by_descriptor.and_then(|candidate| candidate.rule.descriptor.clone());
    let mut plan =
        AgentPlan { facts: agent, mode, settings, choice, login, write_back, base, descriptor, warnings: Vec::new() };
    plan.warnings = warning::of(&plan, options, facts);
    plan
}
