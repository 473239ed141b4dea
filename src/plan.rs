//! Pure. Makes the plan: what will be done, and why.
//!
//! A plan refers to the facts and contains no secret, so it can be printed.

pub mod agent_plan;
mod auth_line;
pub mod condition;
pub mod environment;
pub mod method;
mod mounted;
mod requirement;
pub mod warning;
mod write_back;

use std::path::{Path, PathBuf};

pub use agent_plan::{
    AgentPlan, Enforcement, FirstRunStep, HomeStep, LoginFileStep, Plan, PrivilegeSteps, SignalPolicy, TrustedRoot,
};
pub use auth_line::auth_line;
pub use mounted::{MountedEntry, MountedStep, NotKept, Preparation};
pub use requirement::required;
pub use write_back::{WriteBack, WriteBackTarget};

use self::condition::Situation;
use self::method::{SelectionInput, StoredHistories};
use crate::account;
use crate::agent::definition::Method;
use crate::config::{AuthMode, Delivery, RunConfig, Switch, SyncMode, UserChoice};
use crate::facts::agent_facts::AgentFacts;
use crate::facts::placement::Reason;
use crate::facts::{Candidate, Facts, config_dir};
use crate::login::Source;
use crate::login::format::SessionFile;
use crate::login::history::History;
use crate::login::merge;
use crate::login::merge::MergeBase;
use crate::looks::Shown;
use crate::store::Recovery;

/// Makes the plan of a start. It is an error if the operator names a mode for an agent without such a method, or if a
/// required credential is missing.
pub fn plan<'f, 'c>(config: &RunConfig, facts: &'f Facts<'c>) -> anyhow::Result<Plan<'f, 'c>> {
    let plan = draft(config, facts);
    requirement::check_modes(config, &plan.agents)?;
    required(config, &plan.agents)?;
    Ok(plan)
}

/// Makes the plan for commands that only show it. A start might refuse this plan ([`required`]).
pub fn draft<'f, 'c>(config: &RunConfig, facts: &'f Facts<'c>) -> Plan<'f, 'c> {
    let mut agents: Vec<_> = facts.agents.iter().map(|agent| agent_plan(config, facts, agent)).collect();
    warning::add_conflicts(&mut agents);
    let changed = facts.identity.differs_from(facts.current);
    let is_home_named = config.home.is_some();
    let is_fallback_needed = facts.home == Path::new(account::FALLBACK_HOME) && (changed || !agents.is_empty());
    let makes_home = is_home_named || is_fallback_needed;
    Plan {
        environment: environment::changes(facts, &agents, changed || is_home_named),
        agents,
        command: config.command.clone(),
        home: makes_home.then(|| HomeStep { path: facts.home.clone(), is_required: is_home_named }),
        privilege: privilege(config, facts),
        signals: SignalPolicy {
            stop: config.stop_signal,
            escalates: config.compat.escalates,
            grace: config.grace,
            forward_to: config.forward_to,
            rewrites: config.rewrite.clone(),
            parent_death: config.compat.parent_death,
            says_reaped: config.compat.says_reaped,
        },
        identity_why: identity_why(config, facts.current),
    }
}

fn privilege(config: &RunConfig, facts: &Facts<'_>) -> PrivilegeSteps {
    let loses_root = facts.identity.differs_from(facts.current) && facts.identity.uid != 0;
    let enforcement = |switch| match switch {
        Switch::On => Enforcement::Required,
        Switch::Auto if loses_root => Enforcement::BestEffort,
        Switch::Auto | Switch::Off => Enforcement::Off,
    };
    let is_asked = config.drop_caps != Switch::Auto || config.no_new_privs != Switch::Auto;
    PrivilegeSteps {
        changes_user: facts.current.0 == 0 && config.user != UserChoice::Unchanged,
        drop_caps: enforcement(config.drop_caps),
        no_new_privs: enforcement(config.no_new_privs),
        why: match (is_asked, loses_root) {
            (true, _) => "as --drop-caps and --no-new-privs say",
            (false, true) => "auto: the user changes to one that is not root",
            (false, false) => "auto: the user does not change to one that is not root",
        },
    }
}

fn identity_why(config: &RunConfig, current: (u32, u32)) -> String {
    match &config.user {
        UserChoice::Unchanged => "unchanged: neither --user nor --user-from is given".to_owned(),
        _ if config.user_is_void(current) => {
            "unchanged: the image presets a user for a start as root, and this is not root".to_owned()
        }
        UserChoice::Named(user) => format!("--user {user}"),
        UserChoice::OwnerOf(path) => format!("the owner of {} (--user-from)", Shown(path)),
    }
}

fn agent_plan<'f, 'c>(config: &RunConfig, facts: &'f Facts<'c>, agent: &'f AgentFacts<'c>) -> AgentPlan<'f, 'c> {
    let definition = agent.definition;
    let mode = *config.auth.of(&definition.name);
    let in_working_copy = agent.login_file().map(Source::Home);
    let recovery =
        |session: &SessionFile| Source::Home(Recovery::new(&facts.state_dir, &definition.name, &session.file).path());
    let recovered = definition.session.as_ref().map(recovery);
    let earlier_sources: Vec<Source> = in_working_copy.iter().cloned().chain(recovered).collect();
    let remembered = facts.remembered(agent);
    let no_history = History::default();
    let selection = method::choose(&SelectionInput {
        candidates: &agent.candidates,
        rules: &definition.methods,
        mode,
        prefer: &config.prefer,
        earlier_sources: &earlier_sources,
        remembered,
        stored: StoredHistories {
            captured: agent.capture.as_ref().map_or(&no_history, |capture| &capture.history),
            mounted: &agent.mount_history,
        },
        now: facts.now,
    });
    let chosen = selection.chosen.and_then(|index| agent.candidates.get(index));
    let session = chosen.and_then(Candidate::session);
    let is_in_place = chosen.is_some_and(|chosen| Some(&chosen.source) == in_working_copy.as_ref());
    let login = match session {
        Some(_) if is_in_place => LoginFileStep::Stays,
        Some(_) => LoginFileStep::Written,
        None => LoginFileStep::Absent,
    };
    let write_back = match (chosen, session) {
        (Some(chosen), Some(_)) => write_back::for_login(config, agent, chosen),
        // Somebody may log in while the agent runs.
        (None, _) if method::allows(mode, Method::Session) => write_back::for_no_login(config, agent),
        _ => None,
    };
    let base = if chosen.is_some_and(|chosen| earlier_sources.contains(&chosen.source)) {
        remembered.and_then(|served| served.base)
    } else {
        session.map(|session| MergeBase::from(&session.login))
    };
    // A variable may hold entries that were replaced long ago, so that they have no merge base.
    let continues = login == LoginFileStep::Stays || chosen.is_some_and(|chosen| chosen.source.is_store());
    let entries = remembered.filter(|_| continues).map(|served| served.entries.clone());
    let earlier_entries = match (session, &entries) {
        (Some(session), Some(_)) if login == LoginFileStep::Written => earlier_sources
            .iter()
            .rev()
            .filter_map(|source| agent.candidates.iter().find(|candidate| candidate.source == *source)?.session())
            .filter(|earlier| merge::is_same_account(&earlier.login, &session.login))
            .collect(),
        _ => Vec::new(),
    };
    let capture = agent.capture.as_ref().map(|capture| capture.path.as_path());
    let settings = config_dir::settings_sources(&agent.config_dir, &agent.working_copy, capture);
    let settings = settings.into_iter().map(|source| source.path.to_owned()).collect();
    let descriptor = match chosen {
        Some(chosen) if config.deliver == Delivery::Fd && !chosen.is_setting() => chosen.rule.descriptor.clone(),
        _ => None,
    };
    let mut plan = AgentPlan {
        facts: agent,
        mode,
        root: trusted_root(config, facts, agent),
        working_copy_why: working_copy_why(agent),
        scope: config.scope,
        settings,
        mounted: mounted::entries(agent, facts.identity.uid),
        first_run: None,
        chosen_why: chosen_why(config, agent, chosen),
        no_write_back_why: no_write_back_why(config, agent, login),
        selection,
        login,
        write_back,
        base,
        entries: entries.unwrap_or_default(),
        earlier_entries,
        descriptor,
        warn_within: config.warn_within,
        warnings: Vec::new(),
    };
    if config.first_run {
        let situation = Situation::of(&plan, facts);
        let entries = definition.first_run.iter().filter(|entry| situation.meets(&entry.when)).collect();
        plan.first_run = Some(FirstRunStep { entries, trusted: trusted(config, &facts.working_directory) });
    }
    plan.warnings = warning::for_agent(&plan, config, facts);
    plan
}

fn trusted_root(config: &RunConfig, facts: &Facts<'_>, agent: &AgentFacts<'_>) -> TrustedRoot {
    let path = &agent.working_copy;
    match &config.work_dir {
        Some(work_dir) if path.starts_with(work_dir) => TrustedRoot::WorkDir(work_dir.clone()),
        _ if *path != agent.config_dir.path => TrustedRoot::Directory(facts.state_dir.clone()),
        _ if path.starts_with(&facts.home) => TrustedRoot::Directory(facts.home.clone()),
        _ => TrustedRoot::Existing,
    }
}

fn working_copy_why(agent: &AgentFacts<'_>) -> String {
    match agent.working_copy_reason {
        Reason::WorkDir => "--work-dir names its parent".to_owned(),
        Reason::ConfigDir => "the agent's config directory".to_owned(),
        Reason::Diverted(why) => format!("not the agent's config directory {}: {why}", agent.config_dir.path.display()),
    }
}

/// The directories that the agent is to trust. A path that is not UTF-8 is left out, because JSON cannot hold it.
fn trusted(config: &RunConfig, working_directory: &Path) -> Vec<String> {
    match &config.trust {
        Some(paths) => std::env::split_paths(paths)
            .filter(|path| !path.as_os_str().is_empty())
            // Agents write these paths absolute and without a trailing slash.
            .map(|path| working_directory.join(path).components().collect::<PathBuf>())
            .filter_map(|path| path.to_str().map(str::to_owned))
            .collect(),
        None => working_directory.to_str().map(str::to_owned).into_iter().collect(),
    }
}

fn chosen_why(config: &RunConfig, agent: &AgentFacts<'_>, chosen: Option<&Candidate<'_>>) -> &'static str {
    let Some(chosen) = chosen else { return "nothing was chosen" };
    let usable = agent.candidates.iter().filter(|candidate| candidate.found.is_ok()).count();
    let is_session = chosen.session().is_some();
    if *config.auth.of(&agent.definition.name) != AuthMode::Auto {
        "--auth asks for it"
    } else if config.prefer.contains(&chosen.rule.method) {
        "--prefer asks for it"
    } else if usable == 1 {
        "it is the only one that is usable"
    } else if is_session && matches!(chosen.source, Source::Home(_)) {
        "an earlier run of this container left it, and no other is newer"
    } else if is_session {
        "the first in the agent's order of methods and sources that is not spent"
    } else {
        "the first in the agent's order of methods"
    }
}

fn no_write_back_why(config: &RunConfig, agent: &AgentFacts<'_>, login: LoginFileStep) -> &'static str {
    match (config.sync, login) {
        (SyncMode::Off, _) => "--sync off",
        (_, LoginFileStep::Stays) => "the login stays where it is, and there is no capture",
        _ if agent.capture.is_some() => "--auth copy",
        _ => "there is no capture",
    }
}
