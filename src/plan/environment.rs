//! Pure. What changes in the agent's environment.

use std::ffi::OsString;

use crate::agent::definition::MethodRule;
use crate::facts::candidate::as_variable;
use crate::facts::{Candidate, CandidateValue, Facts, config_dir};
use crate::login::names::Suffix;
use crate::plan::agent_plan::{AgentPlan, Changes, Plan};
use crate::plan::condition::Situation;
use crate::plan::method::agent_prefers;
use crate::state::Handed;

/// The changes: no variable of a method that was not chosen, no blob, no `_FILE`; the home variable; the places of
/// copied files; what the definition sets.
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

/// What a command that joins the agent must know of its environment. A value that JSON cannot hold is the agent's to
/// tell, as those of credentials are.
pub fn handed(plan: &Plan<'_, '_>) -> Handed {
    let changes = &plan.environment;
    let mut handed = Handed::default();
    for (name, value) in &changes.set {
        match value.to_str() {
            Some(value) => drop(handed.set.insert(name.clone(), value.to_owned())),
            None => handed.kept.push(name.clone()),
        }
    }
    handed.kept.extend(credential_names(&plan.agents));
    let stays = |name: &String| !handed.set.contains_key(name) && !handed.kept.contains(name);
    handed.unset = changes.unset.iter().filter(|name| stays(name)).cloned().collect();
    handed.unset.sort();
    handed
}

/// The names of the variables that [`credentials`] sets.
pub fn credential_names(agents: &[AgentPlan<'_, '_>]) -> impl Iterator<Item = String> {
    agents
        .iter()
        .filter_map(|plan| plan.chosen().filter(|candidate| candidate.session().is_none())?.rule.variable.clone())
}

/// The agent's own variables that are removed.
pub fn removed(plan: &AgentPlan<'_, '_>) -> Vec<String> {
    let definition = plan.facts.definition;
    let chosen = plan.chosen().map(|candidate| candidate.rule);
    let goes_along = |name: &String| chosen.is_some_and(|chosen| chosen.with.contains(name));
    let of_methods = definition.methods.iter().filter(|rule| !stays(plan, rule)).flat_map(MethodRule::variables);
    let blobs =
        plan.facts.companions.iter().flat_map(|(name, _)| [Suffix::File, Suffix::Command].map(|form| form.of(name)));
    of_methods.filter(|name| !goes_along(name)).chain(definition.session_variables()).chain(blobs).collect()
}

/// Whether the variables of a method stay although it was not chosen: other programs use them too, and the agent
/// prefers what was chosen.
pub fn stays(plan: &AgentPlan<'_, '_>, rule: &MethodRule) -> bool {
    let rules = &plan.facts.definition.methods;
    let is_after_chosen = plan.chosen().is_some_and(|chosen| agent_prefers(rules, plan.mode, chosen.rule, rule));
    rule.shared && (!plan.facts.is_selected || is_after_chosen)
}

/// The credential variables of the chosen candidates, with their values: for the agent's environment alone.
pub fn credentials(agents: &[AgentPlan<'_, '_>]) -> Vec<(String, OsString)> {
    let value = |candidate: &Candidate<'_>| match (&candidate.rule.variable, &candidate.found) {
        (Some(variable), Ok(CandidateValue::Value(secret))) => Some((variable.clone(), as_variable(secret))),
        _ => None,
    };
    let mut values = Vec::new();
    for plan in agents {
        let Some(chosen) = plan.chosen() else { continue };
        values.extend(value(chosen).filter(|_| plan.descriptor.is_none()));
        let companions = plan.facts.companions.iter().filter(|(name, _)| chosen.rule.with.contains(name));
        values.extend(companions.map(|(name, secret)| (name.clone(), as_variable(secret))));
    }
    values
}
