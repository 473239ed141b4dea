//! Pure. Evaluates the conditions of a definition.

use crate::agent::definition::{Condition, Method};
use crate::env::Environment;
use crate::facts::config_dir::{EntryFacts, EntryOrigin};
use crate::facts::{Candidate, Facts};
use crate::plan::agent_plan::AgentPlan;
use crate::words::spelling::Words;

/// The facts that conditions refer to.
pub struct Situation<'s, 'c> {
    /// The credential that authenticates the agent.
    pub chosen: Option<&'s Candidate<'c>>,
    /// The methods of the usable credentials that were ignored.
    pub ignored: Vec<Method>,
    /// Refreshed logins are saved.
    pub saves_refreshed: bool,
    /// The config directory is a mount that holds state of the agent.
    pub is_used: bool,
    /// The environment that agent-init was started with.
    pub environment: &'s Environment,
    /// The arguments of COMMAND.
    pub arguments: &'s [String],
    pub is_root: bool,
    /// Standard input is a terminal.
    pub is_terminal: bool,
}

impl<'s, 'c> Situation<'s, 'c> {
    pub fn of(plan: &AgentPlan<'s, 'c>, facts: &'s Facts<'c>) -> Situation<'s, 'c> {
        let usable = plan.ignored().map(|(candidate, _)| candidate).filter(|candidate| candidate.found.is_ok());
        Situation {
            chosen: plan.chosen(),
            ignored: usable.map(|candidate| candidate.rule.method).collect(),
            saves_refreshed: plan.write_back.as_ref().is_some_and(|target| target.writable),
            is_used: has_state(&plan.facts.config_dir.mounts.entries),
            environment: facts.environment,
            arguments: &facts.arguments,
            is_root: facts.identity.uid == 0,
            is_terminal: facts.terminal,
        }
    }

    /// Whether every key of the condition holds.
    pub fn meets(&self, when: &Condition) -> bool {
        let method = self.chosen.map_or("none", |candidate| candidate.rule.method.word());
        let variable = self.chosen.and_then(|candidate| candidate.rule.variable.as_deref());
        let is_set = |name: &String| self.environment.get_filled(name).is_some();
        let has_argument = |word: &String| self.arguments.contains(word);
        let differs = |(name, value): (&String, &String)| {
            self.environment.get_filled(name).is_some_and(|found| found != value.as_str())
        };
        (when.method.is_empty() || when.method.iter().any(|word| word == method))
            && (when.variable.is_empty() || when.variable.iter().any(|name| Some(name.as_str()) == variable))
            && when
                .value_prefix
                .as_deref()
                .is_none_or(|prefix| self.chosen.is_some_and(|candidate| candidate.value_starts_with(prefix)))
            && (when.ignored.is_empty()
                || self.ignored.iter().any(|method| when.ignored.iter().any(|word| word == method.word())))
            && when.carried_back.is_none_or(|expected| expected == self.saves_refreshed)
            && when.used.is_none_or(|expected| expected == self.is_used)
            && when.set.iter().all(is_set)
            && !when.unset.iter().any(is_set)
            && when.differs.iter().all(differs)
            && (when.argument.is_empty() || when.argument.iter().any(has_argument))
            && !when.no_argument.iter().any(has_argument)
            && when.root.is_none_or(|expected| expected == self.is_root)
            && when.terminal.is_none_or(|expected| expected == self.is_terminal)
    }
}

/// Whether the agent has left state there.
fn has_state(entries: &[EntryFacts]) -> bool {
    entries.iter().any(|entry| entry.origin == EntryOrigin::State && entry.kind.is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::agent::definition::MethodRule;
    use crate::facts::CandidateValue;
    use crate::login::{Secret, Source};

    fn holds(situation: &Situation<'_, '_>, when: &Value) -> bool {
        situation.meets(&serde_json::from_value(when.clone()).unwrap())
    }

    #[test]
    fn every_key_of_a_condition() {
        let rule: MethodRule =
            serde_json::from_value(json!({ "method": "api-key", "label": "key", "variable": "X_KEY" })).unwrap();
        let candidate = Candidate {
            rule: &rule,
            source: Source::Env("X_KEY".into()),
            found: Ok(CandidateValue::Value(Secret::copied(b"FAKE-key"))),
            expires_at: None,
        };
        let environment = Environment::new([("A", "1"), ("B", "")].map(|(k, v)| (k.into(), v.into())));
        let arguments = ["exec".to_owned()];
        let situation = Situation {
            chosen: Some(&candidate),
            ignored: vec![Method::Session],
            saves_refreshed: false,
            is_used: true,
            environment: &environment,
            arguments: &arguments,
            is_root: true,
            is_terminal: false,
        };
        let rows = [
            (json!({}), true),
            (json!({ "method": ["session", "api-key"] }), true),
            (json!({ "method": ["none"] }), false),
            (json!({ "variable": ["X_KEY"] }), true),
            (json!({ "variable": ["Y_KEY"] }), false),
            (json!({ "value-prefix": "FAKE-" }), true),
            (json!({ "value-prefix": "other" }), false),
            (json!({ "set-aside": ["session"] }), true),
            (json!({ "set-aside": ["cloud"] }), false),
            (json!({ "carried-back": false }), true),
            (json!({ "carried-back": true }), false),
            (json!({ "used": true }), true),
            (json!({ "used": false }), false),
            (json!({ "set": ["A"] }), true),
            (json!({ "set": ["A", "B"] }), false),
            (json!({ "unset": ["B", "C"] }), true),
            (json!({ "unset": ["A"] }), false),
            (json!({ "differs": { "A": "2" } }), true),
            (json!({ "differs": { "A": "1" } }), false),
            (json!({ "differs": { "C": "1" } }), false),
            (json!({ "argument": ["exec", "e"] }), true),
            (json!({ "argument": ["e"] }), false),
            (json!({ "no-argument": ["login"] }), true),
            (json!({ "no-argument": ["exec"] }), false),
            (json!({ "root": true, "terminal": false }), true),
            (json!({ "root": true, "terminal": true }), false),
        ];
        for (when, expected) in rows {
            assert_eq!(holds(&situation, &when), expected, "{when}");
        }
        let nothing = Situation { chosen: None, ..situation };
        assert!(holds(&nothing, &json!({ "method": ["none"] })));
        assert!(!holds(&nothing, &json!({ "value-prefix": "" })));
    }
}
