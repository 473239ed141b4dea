//! Pure. What will be done, and why: facts and options in, a plan out.
//!
//! A plan refers to what was found and holds none of its bytes, so it can be printed.

pub mod environment;
pub mod identity;
pub mod method;
pub mod place;
pub mod select;

use std::path::{Path, PathBuf};

use crate::agent::definition::Method;
use crate::cli::{AuthMode, Requirement, RunOptions, Switch, SyncMode};
use crate::credential::Source;
use crate::discover::{AgentFacts, Facts, Offer};
use crate::report::{Failure, Message};
use crate::state::{Served, Shadowed};
use crate::store::Recovery;
use crate::sync::lineage::Lineage;
use crate::sync::reconcile::Base;

use environment::Changes;
use method::{Choice, Question};

/// What `run` will do.
pub struct Plan<'f, 'c> {
    /// The served agents.
    pub agents: Vec<AgentPlan<'f, 'c>>,
    /// What changes in the environment.
    pub environment: Changes,
    /// HOME is made, with this path, if it is not there.
    pub makes_home: Option<PathBuf>,
    /// The bounding set and the capabilities are dropped.
    pub drop_caps: Firmness,
    /// `no_new_privs` is set.
    pub no_new_privs: Firmness,
}

/// Whether a step of losing privilege is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmness {
    /// No.
    No,
    /// As far as the kernel lets us: nobody asked for it.
    Tried,
    /// Yes, or the agent does not start.
    Insisted,
}

/// What is done for one agent.
pub struct AgentPlan<'f, 'c> {
    /// What is known of it.
    pub facts: &'f AgentFacts<'c>,
    /// What authenticates it, and what does not.
    pub choice: Choice,
    /// The login file of the working copy.
    pub login: LoginFile,
    /// Where refreshed logins go.
    pub write_back: Option<WriteBack>,
    /// The directory whose settings belong to the working copy.
    pub settings: Option<PathBuf>,
    /// What was agreed between working copy and store before this start.
    pub base: Option<Base>,
    /// What the operator should know.
    pub warnings: Vec<Message>,
}

/// What happens to the login file of the working copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginFile {
    /// The chosen login is written.
    Written,
    /// The login that is there stays.
    Stays,
    /// There is to be none; one that is there is kept under `conflicts/` or, when it is no login, removed.
    Absent,
}

/// Where refreshed logins go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteBack {
    /// The directory, or the file that is a mount of its own.
    pub target: PathBuf,
    /// The target is a single file.
    pub single_file: bool,
    /// It can be written now.
    pub writable: bool,
    /// As it happens, or at the end.
    pub live: bool,
    /// The chosen login is not the stored one: it becomes it at the start, and the stored one is kept.
    pub replaces: bool,
}

/// Makes the plan, which a start may go by.
///
/// # Errors
/// A required credential that is not there.
pub fn plan<'f, 'c>(options: &RunOptions, facts: &'f Facts<'c>) -> anyhow::Result<Plan<'f, 'c>> {
    let plan = draft(options, facts);
    required(options, &plan.agents)?;
    Ok(plan)
}

/// Makes the plan, for those who look at it: a start may refuse it ([`required`]).
#[must_use]
pub fn draft<'f, 'c>(options: &RunOptions, facts: &'f Facts<'c>) -> Plan<'f, 'c> {
    let agents: Vec<_> = facts.agents.iter().map(|agent| agent_plan(options, facts, agent)).collect();
    let changed = facts.identity.differs_from(facts.current);
    let makes_home =
        (options.home.is_some() || facts.home == Path::new(place::FALLBACK_HOME)).then(|| facts.home.clone());
    let firmness = |switch: Option<Switch>| match switch.unwrap_or_default() {
        Switch::On => Firmness::Insisted,
        Switch::Auto if changed && facts.identity.uid != 0 => Firmness::Tried,
        Switch::Auto | Switch::Off => Firmness::No,
    };
    Plan {
        environment: environment::changes(facts, &agents, changed || options.home.is_some()),
        makes_home: makes_home.filter(|_| changed || !agents.is_empty() || options.home.is_some()),
        agents,
        drop_caps: firmness(options.drop_caps),
        no_new_privs: firmness(options.no_new_privs),
    }
}

fn agent_plan<'f, 'c>(options: &RunOptions, facts: &'f Facts<'c>, agent: &'f AgentFacts<'c>) -> AgentPlan<'f, 'c> {
    let definition = agent.definition;
    let mode = options.auth_of(&definition.name);
    let order: Vec<Method> = definition.methods.iter().map(|rule| rule.method).collect();
    let session_file = definition.session.as_ref().map(|session| session.file.as_str()).unwrap_or_default();
    let in_place = Source::Home(agent.working_copy.join(session_file));
    let recovery = Recovery::new(&facts.state_dir, &definition.name, session_file);
    let left_at = [in_place.clone(), Source::Home(recovery.directory().join(session_file))];
    let remembered = facts.remembered(agent);
    let none = Lineage::default();
    let choice = method::choose(&Question {
        offers: &agent.offers,
        order: &order,
        mode,
        prefer: options.prefer.as_ref().map_or(&[], |prefer| prefer.0.as_slice()),
        left_at: &left_at,
        remembered,
        captured: agent.capture.as_ref().map_or(&none, |capture| &capture.lineage),
    });
    let chosen = choice.chosen.and_then(|index| agent.offers.get(index));
    let session = chosen.and_then(Offer::session);
    let login = match (session, chosen) {
        (Some(_), Some(chosen)) if chosen.source == in_place => LoginFile::Stays,
        (Some(_), _) => LoginFile::Written,
        (None, _) => LoginFile::Absent,
    };
    let write_back = chosen.filter(|_| session.is_some()).and_then(|chosen| write_back(options, agent, chosen));
    let base = if chosen.is_some_and(|chosen| left_at.contains(&chosen.source)) {
        remembered.and_then(Served::agreed)
    } else {
        session.map(|session| Base::from(&session.login))
    };
    let mut plan =
        AgentPlan { facts: agent, settings: settings(agent), choice, login, write_back, base, warnings: Vec::new() };
    plan.warnings = warnings(&plan, mode);
    plan
}

/// Where refreshed logins go: back to where the login came from, or, for one that was given for this start, to the
/// capture.
fn write_back(options: &RunOptions, agent: &AgentFacts<'_>, chosen: &Offer<'_>) -> Option<WriteBack> {
    let sync = options.sync.unwrap_or_default();
    if sync == SyncMode::Off || options.auth_of(&agent.definition.name) == AuthMode::Copy {
        return None;
    }
    let session = agent.definition.session.as_ref()?;
    let file = agent.place.path.join(&session.file);
    let live = sync == SyncMode::Live;
    if let Source::Mount(path) = &chosen.source {
        let single_file = *path == file;
        if agent.place.mount_writable {
            return Some(WriteBack { target: path.clone(), single_file, writable: true, live, replaces: false });
        }
    }
    let displaced = matches!(&chosen.source, Source::Home(path) if *path == file && !agent.place.is_usable());
    if displaced {
        return Some(WriteBack {
            target: agent.place.path.clone(),
            single_file: false,
            writable: agent.place.writable,
            live,
            replaces: false,
        });
    }
    let capture = agent.capture.as_ref()?;
    let stored = agent.offers.iter().find(|offer| matches!(offer.source, Source::Capture(_))).and_then(Offer::session);
    let replaces = !matches!(chosen.source, Source::Capture(_) | Source::Home(_))
        && stored.map(|stored| stored.login.digest) != chosen.session().map(|session| session.login.digest);
    Some(WriteBack { target: capture.path.clone(), single_file: false, writable: capture.writable, live, replaces })
}

/// The directory whose settings belong to the working copy: the operator's mount, else the capture, else the agent's
/// own place, when that can not be the working copy.
fn settings(agent: &AgentFacts<'_>) -> Option<PathBuf> {
    let place = &agent.place;
    if place.mounted {
        return Some(place.path.clone());
    }
    let capture = agent.capture.as_ref().map(|capture| capture.path.clone());
    capture.or_else(|| (place.path != agent.working_copy && place.kind.is_some()).then(|| place.path.clone()))
}

/// Whether the operator's `--require` is met.
///
/// # Errors
/// What is missing, and what was found in vain.
pub fn required(options: &RunOptions, agents: &[AgentPlan<'_, '_>]) -> anyhow::Result<()> {
    let has = |name: Option<&str>| agents.iter().filter(|plan| plan.is(name)).any(|plan| plan.choice.chosen.is_some());
    let missing = match options.require.as_ref().unwrap_or(&Requirement::Nobody) {
        Requirement::Nobody => return Ok(()),
        Requirement::Anybody if has(None) => return Ok(()),
        Requirement::Anybody => None,
        Requirement::Named(names) => match names.iter().find(|name| !has(Some(name))) {
            None => return Ok(()),
            missing => missing.map(String::as_str),
        },
    };
    let what = format!("no usable credential for {}", missing.unwrap_or("any agent"));
    let hint = "log in with a setup container, or give a token, key or login by a variable or secret";
    Err(Failure::new(what).hint(format!("{}; {hint}", found_in_vain(agents, missing))).into())
}

/// What was found and is of no use.
fn found_in_vain(agents: &[AgentPlan<'_, '_>], name: Option<&str>) -> String {
    let mut found = Vec::new();
    for plan in agents.iter().filter(|plan| plan.is(name)) {
        let offers =
            plan.choice.set_aside.iter().filter_map(|aside| Some((plan.facts.offers.get(aside.offer)?, aside)));
        found.extend(offers.map(|(offer, aside)| format!("{}: {}", offer.source, aside.why)));
    }
    if found.is_empty() { "nothing was found".to_owned() } else { found.join("; ") }
}

fn warnings(plan: &AgentPlan<'_, '_>, mode: AuthMode) -> Vec<Message> {
    let agent = &plan.facts.definition.name;
    let aside = plan.choice.set_aside.iter().filter_map(|aside| {
        let text = format!("{agent}: {} is set aside: {}", plan.facts.offers.get(aside.offer)?.source, aside.why);
        Some(if aside.is_warning { Message::warning(text) } else { Message::detail(text) })
    });
    aside.chain(plan.strands(mode)).collect()
}

impl<'f, 'c> AgentPlan<'f, 'c> {
    /// Whether this is the agent of that name; without a name any is.
    fn is(&self, name: Option<&str>) -> bool {
        name.is_none_or(|name| self.facts.definition.name == name)
    }

    /// The offer that authenticates the agent.
    #[must_use]
    pub fn chosen(&self) -> Option<&'f Offer<'c>> {
        self.choice.chosen.and_then(|index| self.facts.offers.get(index))
    }

    /// What becomes of a refreshed login that can not get out of the container.
    #[must_use]
    pub fn strands(&self, mode: AuthMode) -> Option<Message> {
        let agent = &self.facts.definition.name;
        let chosen = self.chosen()?;
        if !chosen.session()?.login.refreshable {
            return None;
        }
        match &self.write_back {
            None if self.login != LoginFile::Stays => {
                let text = format!(
                    "{agent}: the login from {} is not carried back: its first refresh strands the source",
                    chosen.source
                );
                let shares = mode == AuthMode::Copy;
                let hint = if shares { "--auth sync shares it" } else { "mount a writable directory as /capture" };
                Some(Message::warning(text).hint(hint))
            }
            Some(target) if !target.writable => {
                let at = target.target.display();
                let text = format!("{agent}: {at} is not writable: refreshed logins stay in this container");
                let hint = "mount it read-write, and owned by the user that agent-init runs as";
                Some(Message::warning(text).hint(hint))
            }
            _ => None,
        }
    }

    /// Why the chosen offer was chosen, in words.
    #[must_use]
    pub fn why_chosen(&self, options: &RunOptions) -> &'static str {
        let Some(chosen) = self.chosen() else { return "nothing was chosen" };
        let usable = self.facts.offers.iter().filter(|offer| offer.found.is_ok()).count();
        let is_session = chosen.session().is_some();
        if options.auth_of(&self.facts.definition.name) != AuthMode::Auto {
            "--auth asks for it"
        } else if options.prefer.as_ref().is_some_and(|prefer| prefer.0.contains(&chosen.rule.method)) {
            "--prefer asks for it"
        } else if usable == 1 {
            "it is the only one that is usable"
        } else if is_session && matches!(chosen.source, Source::Home(_)) {
            "an earlier run of this container left it, and no other is newer"
        } else if is_session {
            "the first in the agent's order of methods and places that is not spent"
        } else {
            "the first in the agent's order of methods"
        }
    }

    /// What was found beside the chosen offer, and why it is not used.
    #[must_use]
    pub fn shadowed(&self) -> Vec<Shadowed> {
        let aside = self.choice.set_aside.iter().filter_map(|aside| {
            let source = self.facts.offers.get(aside.offer)?.source.to_string();
            Some(Shadowed { source, why: aside.why.clone() })
        });
        aside.collect()
    }

    /// The auth line.
    #[must_use]
    pub fn auth_line(&self) -> Message {
        let agent = &self.facts.definition.name;
        let Some(chosen) = self.chosen() else {
            return Message::notice(format!("{agent} auth: none (manual /login required)"));
        };
        let mut words = vec![chosen.source.to_string()];
        let mut how = "";
        if let Some(session) = chosen.session() {
            how = match (self.login, &self.write_back) {
                (_, Some(_)) => " (sync)",
                (LoginFile::Stays, None) => " (in place)",
                _ => " (copy)",
            };
            words.extend(session.login.account.clone());
            let expiry = |expires| format!("access token expires {}", humantime::format_rfc3339_seconds(expires));
            words.extend(session.login.expires_at.map(expiry));
        }
        Message::notice(format!("{agent} auth: {}{how}, {}", chosen.rule.label, words.join(", ")))
    }
}
