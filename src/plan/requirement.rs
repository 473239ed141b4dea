//! Pure. Whether a start may go by a plan: what the operator asked for by name must be possible, and what is required must
//! be there.

use crate::config::{AuthMode, Requirement, RunConfig, Words};
use crate::error::Failure;
use crate::plan::agent_plan::{AgentPlan, Plan};
use crate::plan::method::Why;
use crate::plan::{method, warning};

/// A mode that was asked for by an agent's name must be one of its own.
pub(super) fn possible(config: &RunConfig, agents: &[AgentPlan<'_, '_>]) -> anyhow::Result<()> {
    for plan in agents {
        let definition = plan.facts.definition;
        let is_named = config.auth.of_named(&definition.name).is_some();
        let has = definition.methods.iter().any(|rule| method::allows(plan.mode, rule.method));
        if is_named && !has && plan.mode != AuthMode::Ignore {
            let name = &definition.name;
            let what = format!("--auth {name}={}: {} has no such method", plan.mode.word(), definition.title);
            let hint = format!("its methods are {}", method::words(definition));
            return Err(Failure::new(what).hint(hint).into());
        }
    }
    Ok(())
}

/// Whether the operator's `--require` is met.
///
/// # Errors
/// What is missing, and what was found in vain.
pub fn required(config: &RunConfig, agents: &[AgentPlan<'_, '_>]) -> anyhow::Result<()> {
    let has = |name: Option<&str>| agents.iter().filter(|plan| plan.is(name)).any(AgentPlan::is_authenticated);
    let missing = match &config.require {
        Requirement::Nobody => return Ok(()),
        Requirement::Anybody if has(None) => return Ok(()),
        Requirement::Anybody => None,
        Requirement::Named(names) => match names.iter().find(|name| !has(Some(name))) {
            None => return Ok(()),
            missing => missing.map(String::as_str),
        },
    };
    let what = format!("no usable credential for {}", missing.unwrap_or("any agent"));
    let only = match agents {
        [only] => Some(only.facts.definition.name.as_str()),
        _ => None,
    };
    let again = warning::log_in(missing.or(only).unwrap_or("NAME"));
    let hint = format!("log in ({again}), or give a token, key or login by a variable or secret");
    Err(Failure::new(what).hint(format!("{}; {hint}", found_in_vain(agents, missing))).into())
}

/// What was found and is of no use.
fn found_in_vain(agents: &[AgentPlan<'_, '_>], name: Option<&str>) -> String {
    if name.is_some() && !agents.iter().any(|plan| plan.is(name)) {
        return "it is not served: see --agent".to_owned();
    }
    let mut found = Vec::new();
    for plan in agents.iter().filter(|plan| plan.is(name)) {
        let ended = plan.chosen().filter(|_| plan.choice.has_ended);
        found.extend(ended.map(|candidate| format!("{}: {}", candidate.source, Why::Ended)));
        found.extend(plan.ignored().map(|(candidate, aside)| format!("{}: {}", candidate.source, aside.why)));
    }
    if found.is_empty() { "nothing was found".to_owned() } else { found.join("; ") }
}

impl Plan<'_, '_> {
    /// Whether it is worth waiting for a login: a required one is missing or, where none is required by name, no served
    /// agent has any.
    pub fn lacks_credential(&self, config: &RunConfig) -> bool {
        let names_any = matches!(config.require, Requirement::Named(_));
        let has_any = self.agents.iter().any(AgentPlan::is_authenticated);
        let lacks = if names_any { required(config, &self.agents).is_err() } else { !has_any };
        lacks && !self.agents.is_empty()
    }
}
