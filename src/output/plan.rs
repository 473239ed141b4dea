//! Pure. `plan` as it is shown: each step of a start, with its reason. Names and paths, no value of a credential.

pub mod text;

use crate::looks;
use crate::plan::{PrivilegeSteps, SignalPolicy};
use std::path::Path;

use serde::Serialize;

use crate::agent::definition::Method;
use crate::config::{Rewrite, Scope, Words};
use crate::facts::{CandidateValue, Facts};
use crate::log::Message;
use crate::output::status::Document;
use crate::plan::{AgentPlan, Enforcement, LoginFileStep, MountedEntry, MountedStep, NotKept, Plan, environment};
use crate::status::AgentStatus;

/// The whole plan; its JSON is that of `plan --json`.
#[derive(Debug, Serialize)]
pub struct View<'v> {
    version: u32,
    command: String,
    refuses: Option<Refusal>,
    identity: IdentityView<'v>,
    home: Home,
    working_directory: String,
    state_dir: Option<String>,
    agents: Vec<AgentView>,
    environment: Environment,
    privileges: Privileges,
    stop: Stop,
    warnings: Vec<String>,
    auth: Document<'v>,
}

#[derive(Debug, Serialize)]
struct Refusal {
    what: String,
    hint: Option<String>,
}

#[derive(Debug, Serialize)]
struct IdentityView<'v> {
    uid: u32,
    gid: u32,
    groups: Option<&'v [u32]>,
    name: Option<&'v str>,
    changes: bool,
    why: String,
}

#[derive(Debug, Serialize)]
struct Home {
    path: String,
    made: bool,
    why: &'static str,
}

#[derive(Debug, Serialize)]
struct AgentView {
    agent: String,
    place: Place,
    sources: Vec<SourceView>,
    login_file: Option<Step>,
    settings: Option<Step>,
    /// What of a mounted config directory goes into the working copy.
    mounted: Vec<Step>,
    first_run: Vec<String>,
    write_back: Option<Step>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Place {
    path: String,
    variable: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct SourceView {
    source: String,
    method: &'static str,
    verdict: &'static str,
    why: String,
}

/// Something that is done, to what, and why.
#[derive(Debug, Serialize)]
struct Step {
    what: &'static str,
    path: Option<String>,
    why: String,
}

#[derive(Debug, Serialize)]
struct Environment {
    set: Vec<String>,
    unset: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Privileges {
    drop_caps: &'static str,
    no_new_privs: &'static str,
    why: &'static str,
}

#[derive(Debug, Serialize)]
struct Stop {
    signal: String,
    grace_ms: u128,
    forward_to: &'static str,
    rewrites: Vec<String>,
}

impl<'v> View<'v> {
    /// The plan as it is shown. `refusal`: why a start would not go by it.
    pub fn of(
        facts: &'v Facts<'_>,
        plan: &Plan<'_, '_>,
        refusal: Option<&anyhow::Error>,
        auth: &'v [AgentStatus],
    ) -> View<'v> {
        let changes = facts.identity.differs_from(facts.current);
        View {
            version: 1,
            // Its arguments are the operator's own: a prompt may say anything.
            command: plan
                .command
                .first()
                .map_or_else(String::new, |word| looks::shown_word(word).unwrap_or("(not shown)").to_owned()),
            refuses: refusal.map(|error| {
                let Message { text, hint, .. } = Message::error(error);
                Refusal { what: text, hint }
            }),
            identity: IdentityView {
                uid: facts.identity.uid,
                gid: facts.identity.gid,
                groups: facts.identity.groups.as_deref(),
                name: facts.identity.name.as_deref(),
                changes,
                why: plan.identity_why.clone(),
            },
            home: Home { path: shown(&facts.home), made: plan.home.is_some(), why: facts.home_why },
            working_directory: shown(&facts.working_directory),
            state_dir: (!plan.agents.is_empty()).then(|| shown(&facts.state_dir)),
            agents: plan.agents.iter().map(agent_view).collect(),
            environment: environment_view(facts, plan),
            privileges: privileges(plan.privilege),
            stop: stop(&plan.signals),
            warnings: facts.warnings().map(|message| message.text.clone()).collect(),
            auth: Document::of(auth),
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn environment_view(facts: &Facts<'_>, plan: &Plan<'_, '_>) -> Environment {
    let set = plan.environment.set.iter().map(|(name, _)| name.clone());
    let mut set: Vec<String> = set.chain(environment::credential_names(&plan.agents)).collect();
    set.sort();
    set.dedup();
    let is_there = |name: &&String| facts.environment.get(name).is_some() && !set.contains(name);
    let mut unset: Vec<String> = plan.environment.unset.iter().filter(is_there).cloned().collect();
    unset.sort();
    Environment { set, unset }
}

fn privileges(steps: PrivilegeSteps) -> Privileges {
    Privileges {
        drop_caps: enforcement(steps.drop_caps),
        no_new_privs: enforcement(steps.no_new_privs),
        why: steps.why,
    }
}

fn enforcement(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Off => "no",
        Enforcement::BestEffort => "as far as the kernel lets us",
        Enforcement::Required => "yes, or the agent does not start",
    }
}

fn stop(policy: &SignalPolicy) -> Stop {
    let rewrite = |rewrite: &Rewrite| match rewrite.to {
        Some(to) => format!("{} as {to}", rewrite.from),
        None => format!("{} not at all", rewrite.from),
    };
    Stop {
        signal: policy.stop.to_string(),
        grace_ms: policy.grace.as_millis(),
        forward_to: policy.forward_to.word(),
        rewrites: policy.rewrites.iter().map(rewrite).collect(),
    }
}

fn agent_view(plan: &AgentPlan<'_, '_>) -> AgentView {
    let definition = plan.facts.definition;
    let first_run = plan.first_run.iter().flat_map(|step| &step.entries).map(|entry| entry.file.clone()).collect();
    AgentView {
        agent: definition.name.clone(),
        place: Place {
            path: shown(&plan.facts.working_copy),
            variable: definition.home.variable.clone(),
            why: plan.working_copy_why.clone(),
        },
        sources: sources(plan),
        login_file: definition.session.as_ref().map(|session| login_file(plan, &session.file)),
        settings: settings(plan),
        mounted: settings_first(plan)
            .into_iter()
            .chain(plan.mounted.iter().map(|entry| mounted(plan, entry)))
            .collect(),
        first_run,
        write_back: write_back_if_any(plan),
        warnings: plan.warnings.iter().map(|message| message.text.clone()).collect(),
    }
}

fn sources(plan: &AgentPlan<'_, '_>) -> Vec<SourceView> {
    let one = |(index, candidate): (usize, &crate::facts::Candidate<'_>)| {
        let aside = plan.selection.ignored.iter().find(|aside| aside.candidate == index);
        let (verdict, why) = match (&candidate.found, aside) {
            (Err(why), _) => ("unusable", why.to_string()),
            (Ok(_), Some(aside)) => ("set aside", aside.why.to_string()),
            (Ok(_), None) => ("chosen", plan.chosen_why.to_owned()),
        };
        SourceView { source: candidate.source.to_string(), method: candidate.rule.method.word(), verdict, why }
    };
    plan.facts.candidates.iter().enumerate().map(one).collect()
}

fn login_file(plan: &AgentPlan<'_, '_>, file: &str) -> Step {
    let path = Some(shown(&plan.facts.working_copy.join(file)));
    let is_unread = plan.chosen().is_some_and(|candidate| {
        candidate.rule.method == Method::Session && matches!(candidate.found, Ok(CandidateValue::Unread))
    });
    let (what, why) = match plan.login {
        _ if is_unread => ("written", "a start reads the login from the store and installs it"),
        LoginFileStep::Written => ("written", "the chosen login is installed"),
        LoginFileStep::Stays => ("stays", "it is the chosen login"),
        LoginFileStep::Absent if plan.displaced_login().is_some() => {
            ("moved to conflicts/", "another method is in place")
        }
        LoginFileStep::Absent => ("absent", "the method that was chosen is not a login"),
    };
    Step { what, path, why: why.to_owned() }
}

fn settings(plan: &AgentPlan<'_, '_>) -> Option<Step> {
    let scope = plan.scope;
    let (what, why) = match scope {
        Scope::Login => return None,
        Scope::Settings => {
            ("copied", "--scope settings: what the agent's definition names, unless it is there already")
        }
        Scope::All => {
            ("copied", "--scope all: all but what the agent's definition excludes, unless it is there already")
        }
    };
    plan.settings.last().map(|from| Step { what, path: Some(shown(from)), why: why.to_owned() })
}

/// The settings of a config directory that is not the working copy, if there are captured ones, too.
fn settings_first(plan: &AgentPlan<'_, '_>) -> Option<Step> {
    let (first, _) = plan.settings.split_first().filter(|(_, rest)| !rest.is_empty() && plan.scope != Scope::Login)?;
    Some(Step { what: "copied", path: Some(shown(first)), why: "its settings win over captured ones".to_owned() })
}

fn mounted(plan: &AgentPlan<'_, '_>, entry: &MountedEntry) -> Step {
    let (what, why) = match &entry.step {
        MountedStep::Copied => ("copied", "it is mounted there, and replaces what was captured".to_owned()),
        MountedStep::Linked(_) => ("linked", "what the agent writes there stays in the mount".to_owned()),
        MountedStep::NotKept(NotKept::ReadOnly) => ("not kept", "it is mounted read-only".to_owned()),
        MountedStep::NotKept(NotKept::Closed { at, uid }) => {
            ("not kept", format!("the agent (uid {uid}) may not use {}", shown(at)))
        }
    };
    Step { what, path: Some(shown(&plan.facts.config_dir.path.join(&entry.name))), why }
}

/// Where refreshed logins go or, without one, a login that somebody makes while the agent runs.
fn write_back_if_any(plan: &AgentPlan<'_, '_>) -> Option<Step> {
    let has_login = plan.chosen().is_some_and(|candidate| candidate.session().is_some());
    let is_awaited = plan.chosen().is_none() && plan.write_back.is_some();
    if !has_login && !is_awaited {
        return None;
    }
    let step = write_back(plan);
    Some(if is_awaited { Step { why: format!("{}, once somebody logs in", step.why), ..step } } else { step })
}

fn write_back(plan: &AgentPlan<'_, '_>) -> Step {
    let Some(target) = &plan.write_back else {
        return Step { what: "none", path: None, why: plan.no_write_back_why.to_owned() };
    };
    let when = if target.live { "as it happens" } else { "at the end" };
    let what = match (target.writable, target.target.is_file()) {
        (false, _) => "kept until it is writable",
        (true, true) => "overwritten in place",
        (true, false) => "published",
    };
    let replaces = if target.replaces { "; the login stored there is kept under conflicts/" } else { "" };
    Step { what, path: Some(target.location()), why: format!("{when}{replaces}") }
}

/// A plan in which all data is this text.
#[cfg(test)]
pub(super) fn example<'v>(text: &'v str, auth: &'v [AgentStatus]) -> View<'v> {
    let owned = || text.to_owned();
    let step = || Some(Step { what: "stays", path: Some(owned()), why: owned() });
    View {
        version: 1,
        command: owned(),
        refuses: Some(Refusal { what: owned(), hint: Some(owned()) }),
        identity: IdentityView { uid: 1, gid: 1, groups: Some(&[1]), name: Some(text), changes: true, why: owned() },
        home: Home { path: owned(), made: true, why: "why" },
        working_directory: owned(),
        state_dir: Some(owned()),
        agents: vec![AgentView {
            agent: owned(),
            place: Place { path: owned(), variable: owned(), why: owned() },
            sources: vec![SourceView { source: owned(), method: "session", verdict: "unusable", why: owned() }],
            login_file: step(),
            settings: step(),
            mounted: step().into_iter().collect(),
            first_run: vec![owned()],
            write_back: step(),
            warnings: vec![owned()],
        }],
        environment: Environment { set: vec![owned()], unset: vec![owned()] },
        privileges: Privileges { drop_caps: "no", no_new_privs: "no", why: "why" },
        stop: Stop { signal: owned(), grace_ms: 1, forward_to: "group", rewrites: vec![owned()] },
        warnings: vec![owned()],
        auth: Document::of(auth),
    }
}
