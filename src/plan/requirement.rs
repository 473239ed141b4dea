//! Pure. Whether a start may use a plan: the modes that the operator named must be possible, and required credentials
//! must exist.

use crate::config::{AuthMode, Requirement, RunConfig, Words};
use crate::error::Failure;
use crate::plan::agent_plan::{AgentPlan, Plan};
use crate::plan::method::IgnoreReason;
use crate::plan::{method, warning};

/// A mode that `--auth NAME=MODE` asks for must be possible for that agent.
pub(super) fn check_modes(config: &RunConfig, agents: &[AgentPlan<'_, '_>]) -> anyhow::Result<()> {
    for plan in agents {
        let definition = plan.facts.definition;
        if plan.mode == AuthMode::Follow {
            check_follower(plan)?;
        }
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

/// A follower needs a login that a keeper refreshes, and an agent that uses one without its refresh token.
fn check_follower(plan: &AgentPlan<'_, '_>) -> anyhow::Result<()> {
    let definition = plan.facts.definition;
    let name = &definition.name;
    if definition.session.as_ref().is_none_or(|session| session.follower.is_none()) {
        let what = format!("--auth follow: {} cannot use a login without its refresh token", definition.title);
        return Err(Failure::new(what).hint(format!("use --auth {name}=sync, or a token or key")).into());
    }
    let mounts = &plan.facts.config_dir.mounts;
    let is_mounted = mounts.directory.is_some() || mounts.login_file.is_some();
    if plan.facts.capture.is_none() && !is_mounted {
        let what = format!("--auth follow: there is no capture of {name}");
        let hint =
            "mount the login directory that a keeper refreshes at /capture (read-only is enough), or name a --store";
        return Err(Failure::new(what).hint(hint).into());
    }
    Ok(())
}

/// Checks `--require`. The error says what is missing, and why the credentials that were found do not count.
pub fn required(config: &RunConfig, agents: &[AgentPlan<'_, '_>]) -> anyhow::Result<()> {
    let has = |name: Option<&str>| agents.iter().filter(|plan| plan.is_named(name)).any(AgentPlan::is_authenticated);
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
    let hint = format!("log in ({again}), or provide a token, key or login by variable or secret file");
    Err(Failure::new(what).hint(format!("{}; {hint}", why_nothing_counts(agents, missing))).into())
}

/// The credentials that were found, each with the reason why it is unusable.
fn why_nothing_counts(agents: &[AgentPlan<'_, '_>], name: Option<&str>) -> String {
    if name.is_some() && !agents.iter().any(|plan| plan.is_named(name)) {
        return "it is not served: see --agent".to_owned();
    }
    let mut found = Vec::new();
    for plan in agents.iter().filter(|plan| plan.is_named(name)) {
        if let Some(chosen) = plan.chosen()
            && plan.selection.has_ended
        {
            found.push(format!("{}: {}", chosen.source, IgnoreReason::Ended));
        }
        found.extend(plan.ignored().map(|(candidate, ignored)| format!("{}: {}", candidate.source, ignored.why)));
    }
    if found.is_empty() { "nothing was found".to_owned() } else { found.join("; ") }
}

impl Plan<'_, '_> {
    /// Whether `--wait` should wait for a login: a credential that `--require` names is missing or, if it names none,
    /// no served agent has a credential.
    pub fn lacks_credential(&self, config: &RunConfig) -> bool {
        let names_any = matches!(config.require, Requirement::Named(_));
        let has_any = self.agents.iter().any(AgentPlan::is_authenticated);
        let lacks = if names_any { required(config, &self.agents).is_err() } else { !has_any };
        lacks && !self.agents.is_empty()
    }
}
