//! Pure. Changes to the agent's environment.

use std::ffi::OsString;

use crate::agent::definition::MethodRule;
use crate::facts::candidate::as_variable;
use crate::facts::{Candidate, CandidateValue, Facts, config_dir};
use crate::login::names::Suffix;
use crate::plan::agent_plan::{AgentPlan, Changes, Plan};
use crate::plan::condition::Situation;
use crate::plan::method::agent_prefers;
use crate::state::Handed;

/// Removes the variables of methods that were not chosen and every `_B64`, `_FILE` and `_COMMAND`. Sets HOME, the
/// variable of the config directory, the paths of copied files, and what the definition asks for.
pub fn changes(facts: &Facts<'_>, agents: &[AgentPlan<'_, '_>], sets_home: bool) -> Changes {
    let mut changes = Changes::default();
    if sets_home || !agents.is_empty() {
        changes.set.push(("HOME".to_owned(), facts.home.clone().into_os_string()));
    }
    for plan in agents {
        changes.unset.extend(removed(plan));
        let definition = plan.facts.definition;
        let value = config_dir::variable_value(&definition.home, &plan.facts.working_copy);
        changes.set.push((definition.home.variable.clone(), value.into_os_string()));
        for file in plan.files() {
            let copy = config_dir::copied_file(&facts.state_dir, &definition.name, &file.variable);
            changes.set.push((file.variable.clone(), copy.into_os_string()));
        }
        let situation = Situation::of(plan, facts);
        for entry in definition.environment.iter().filter(|entry| situation.meets(&entry.when)) {
            let missing = entry.set.iter().filter(|(name, _)| facts.environment.get_filled(name).is_none());
            changes.set.extend(missing.map(|(name, value)| (name.clone(), value.into())));
            changes.unset.extend(entry.remove.iter().cloned());
        }
    }
    changes
}

/// What `exec` must know of the agent's environment. Credentials and values that JSON cannot hold are listed only by
/// name: `exec` reads them from the process of the agent.
pub fn for_exec(plan: &Plan<'_, '_>) -> Handed {
    let changes = &plan.environment;
    let mut handed = Handed::default();
    for (name, value) in &changes.set {
        match value.to_str() {
            Some(value) => drop(handed.set.insert(name.clone(), value.to_owned())),
            None => handed.kept.push(name.clone()),
        }
    }
    handed.kept.extend(credential_names(&plan.agents));
    let is_unset = |name: &String| !handed.set.contains_key(name) && !handed.kept.contains(name);
    handed.unset = changes.unset.iter().filter(|name| is_unset(name)).cloned().collect();
    handed.unset.sort();
    handed
}

/// The names of the variables that [`credentials`] sets.
pub fn credential_names(agents: &[AgentPlan<'_, '_>]) -> impl Iterator<Item = String> {
    agents
        .iter()
        .filter_map(|plan| plan.chosen().filter(|candidate| candidate.session().is_none())?.rule.variable.clone())
}

/// The variables of the agent that are removed.
pub fn removed(plan: &AgentPlan<'_, '_>) -> Vec<String> {
    let definition = plan.facts.definition;
    let chosen = plan.chosen().map(|candidate| candidate.rule);
    let accompanies_chosen = |name: &String| chosen.is_some_and(|chosen| chosen.with.contains(name));
    let of_methods =
        definition.methods.iter().filter(|rule| !keeps_shared_variable(plan, rule)).flat_map(MethodRule::variables);
    let companion_forms = plan
        .facts
        .companions
        .iter()
        .flat_map(|(name, _)| [Suffix::File, Suffix::Command].map(|suffix| suffix.of(name)));
    of_methods
        .filter(|name| !accompanies_chosen(name))
        .chain(definition.session_variables())
        .chain(companion_forms)
        .collect()
}

/// Whether the variables of a method stay although it was not chosen: other programs use them too, and the agent
/// prefers the chosen method.
pub fn keeps_shared_variable(plan: &AgentPlan<'_, '_>, rule: &MethodRule) -> bool {
    let rules = &plan.facts.definition.methods;
    let is_after_chosen = plan.chosen().is_some_and(|chosen| agent_prefers(rules, plan.mode, chosen.rule, rule));
    rule.shared && (!plan.facts.is_selected || is_after_chosen)
}

/// The credential variables of the chosen candidates, with their secret values.
pub fn credentials(agents: &[AgentPlan<'_, '_>]) -> Vec<(String, OsString)> {
    let value = |candidate: &Candidate<'_>| match (&candidate.rule.variable, &candidate.found) {
        (Some(variable), Ok(CandidateValue::Value(secret))) => Some((variable.clone(), as_variable(secret))),
        _ => None,
    };
    let mut values = Vec::new();
    for plan in agents {
        let Some(chosen) = plan.chosen() else { continue };
        if plan.descriptor.is_none() {
            values.extend(value(chosen));
        }
        let companions = plan.facts.companions.iter().filter(|(name, _)| chosen.rule.with.contains(name));
        values.extend(companions.map(|(name, secret)| (name.clone(), as_variable(secret))));
    }
    values
}
