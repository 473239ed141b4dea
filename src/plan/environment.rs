//! Pure. What changes in the agent's environment.

use std::collections::HashSet;
use std::ffi::OsString;

use crate::discover::offers::{as_variable, variables};
use crate::discover::{Facts, Material, Offer};
use crate::state::Handed;

use super::place;
use super::{AgentPlan, Plan};

/// Variables to remove and to set. What is set by name alone is printable; credential values are taken from the offers
/// when the agent starts.
#[derive(Debug, Default)]
pub struct Changes {
    /// Removed.
    pub unset: HashSet<String>,
    /// Set.
    pub set: Vec<(String, OsString)>,
}

/// The changes: no variable of a method that was not chosen, no blob, no `_FILE`; the home variable; what the
/// definition sets.
#[must_use]
pub fn changes(facts: &Facts<'_>, agents: &[AgentPlan<'_, '_>], sets_home: bool) -> Changes {
    let mut changes = Changes::default();
    for plan in agents {
        changes.unset.extend(variables(plan.facts.definition));
    }
    if sets_home || !agents.is_empty() {
        changes.set.push(("HOME".to_owned(), facts.home.clone().into_os_string()));
    }
    for plan in agents {
        let definition = plan.facts.definition;
        let value = place::variable_value(&definition.home, &plan.facts.working_copy);
        changes.set.push((definition.home.variable.clone(), value.into_os_string()));
        let for_root = definition.environment.root.iter().filter(|_| facts.identity.uid == 0);
        let unless_set = definition.environment.always.iter().chain(for_root);
        let missing = unless_set.filter(|(name, _)| facts.environment.get_filled(name).is_none());
        changes.set.extend(missing.map(|(name, value)| (name.clone(), value.into())));
    }
    changes
}

/// What a command that joins the agent must know of its environment. A value that JSON can not hold is the agent's to
/// tell, as those of credentials are.
#[must_use]
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
    agents.iter().filter_map(|plan| plan.chosen().filter(|offer| offer.session().is_none())?.rule.variable.clone())
}

/// The credential variables of the chosen offers, with their values: for the agent's environment alone.
#[must_use]
pub fn credentials(agents: &[AgentPlan<'_, '_>]) -> Vec<(String, OsString)> {
    let value = |offer: &Offer<'_>| match (&offer.rule.variable, &offer.found) {
        (Some(variable), Ok(Material::Value(secret))) => Some((variable.clone(), as_variable(secret))),
        _ => None,
    };
    agents.iter().filter_map(|plan| plan.chosen().and_then(value)).collect()
}
