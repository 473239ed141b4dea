//! Pure. The warnings of a plan: what was ignored, what will be lost, and the known problems that a definition lists.

use std::time::{Duration, SystemTime};

use crate::agent::Definition;
use crate::agent::definition::Method;
use crate::config::{AuthMode, Delivery, RunConfig, Words};
use crate::facts::agent_facts::{AgentFacts, Reader};
use crate::facts::placement::{Naming, Reason};
use crate::facts::{Candidate, Facts};
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::{Nearness, Unusable};
use crate::plan::agent_plan::{AgentPlan, LoginFileStep};
use crate::plan::condition::Situation;
use crate::plan::method::Ignored;
use crate::plan::mounted::{MountedStep, NotKept};
use crate::plan::{environment, method};

/// All warnings about one agent.
pub fn for_agent(plan: &AgentPlan<'_, '_>, config: &RunConfig, facts: &Facts<'_>) -> Vec<Message> {
    let mut messages = ignored(plan);
    messages.extend(diverted(plan));
    messages.extend(state_not_kept(plan));
    messages.extend(no_such_method(plan, config));
    messages.extend(near_deadline(plan, config, facts));
    messages.extend(unknown_kind(plan));
    if plan.mode == AuthMode::Follow {
        messages.extend(followed_token(plan, facts));
    } else {
        messages.extend(expired(plan));
        messages.extend(invalidates_source(plan));
        messages.extend(not_taking_turns(plan));
    }
    messages.extend(not_delivered_by_descriptor(plan, config));
    messages.extend(hints(plan, facts));
    messages
}

/// `--auth` or `--prefer` asks for a method that the agent does not have.
fn no_such_method(plan: &AgentPlan<'_, '_>, config: &RunConfig) -> Vec<Message> {
    let definition = plan.facts.definition;
    let has = |test: &dyn Fn(Method) -> bool| definition.methods.iter().any(|rule| test(rule.method));
    let hint = match method::words(definition) {
        words if words.is_empty() => format!("{} has no methods: its definition lists none", definition.name),
        words => format!("the methods of {} are {words}", definition.name),
    };
    let warn = |option: String| {
        let text = format!("{}: {option} is ignored: the agent has no such method", definition.title);
        Message::warning(text).event(EventKey::NoSuchMethod).agent(&definition.name).hint(hint.clone())
    };
    let mut messages = Vec::new();
    if plan.mode != AuthMode::Ignore && !has(&|method| method::allows(plan.mode, method)) {
        messages.push(warn(format!("--auth {}", plan.mode.word())));
    }
    if plan.facts.is_selected {
        let missing = config.prefer.iter().filter(|preferred| !has(&|method| method == **preferred));
        messages.extend(missing.map(|method| warn(format!("--prefer {}", method.word()))));
    }
    messages
}

/// An expired credential was chosen because there is nothing better.
fn expired(plan: &AgentPlan<'_, '_>) -> Option<Message> {
    if !plan.selection.has_ended {
        return None;
    }
    let chosen = plan.chosen()?;
    let agent = &plan.facts.definition.name;
    let time = |ended| humantime::format_rfc3339_seconds(ended);
    let message = match (chosen.session(), chosen.expires_at) {
        (Some(session), _) => return Some(expired_login(agent, &chosen.source.to_string(), session.login.expires_at)),
        (None, ended) => {
            let ended = ended.map(|ended| format!(", {}", time(ended))).unwrap_or_default();
            Message::warning(format!("{agent}: {}: the token has expired{ended}", chosen.source))
                .hint(format!("make a new one: {} --token", log_in(agent)))
        }
    };
    Some(message.event(EventKey::Expired).agent(agent))
}

/// The login in `place` has expired, and cannot be refreshed.
pub fn expired_login(agent: &str, place: &str, ended: Option<SystemTime>) -> Message {
    let ended = ended.map(|ended| format!(", {}", humantime::format_rfc3339_seconds(ended))).unwrap_or_default();
    Message::warning(format!("{agent}: the login from {place} has expired{ended}, and it has no refresh token"))
        .event(EventKey::Expired)
        .agent(agent)
        .hint(format!("log in again: {}", log_in(agent)))
}

/// The chosen login is refreshed, and ends soon all the same or has ended. It is used: only the vendor knows.
fn near_deadline(plan: &AgentPlan<'_, '_>, config: &RunConfig, facts: &Facts<'_>) -> Option<Message> {
    let chosen = plan.chosen()?;
    let login = &chosen.session()?.login;
    let is_refreshed = login.refreshable || plan.mode == AuthMode::Follow;
    let agent = &plan.facts.definition.name;
    deadline(agent, &chosen.source.to_string(), login.ends_at(facts.now)?, facts.now, config.warn_within)
        .filter(|_| is_refreshed)
}

/// The login in `place` ends soon, or has ended.
pub fn deadline(
    agent: &str,
    place: &str,
    deadline: SystemTime,
    now: SystemTime,
    warn_within: Duration,
) -> Option<Message> {
    let nearness = Nearness::of(deadline, now, warn_within);
    let text = format!("{agent}: {} ({place})", nearness.of_deadline(deadline)?);
    let event = if nearness == Nearness::Past { EventKey::Expired } else { EventKey::Expiring };
    let hint = format!("log in again: {}; containers on the same capture adopt the new login", log_in(agent));
    Some(Message::warning(text).event(event).agent(agent).hint(hint))
}

/// A variable names a directory that cannot be the config directory.
pub fn diverted(plan: &AgentPlan<'_, '_>) -> Option<Message> {
    let config_dir = &plan.facts.config_dir;
    let Reason::Diverted(why) = plan.facts.working_copy_reason else { return None };
    if config_dir.site.naming == Naming::Default || !why.is_worth_a_warning() {
        return None;
    }
    let Definition { name, home, .. } = plan.facts.definition;
    let variable = &home.variable;
    let (path, copy) = (config_dir.path.display(), plan.facts.working_copy.display());
    let text = format!("{name}: {variable} is not used: {path}: {why}; the working copy is {copy}");
    let hint = format!(
        "unset it (docker run -e {variable}=), let it name a directory of the agent's own, or choose with --work-dir"
    );
    Some(Message::warning(text).event(EventKey::WorkingCopy).agent(name).about(variable).hint(hint))
}

/// What the agent would keep in a mount, and cannot.
pub fn state_not_kept(plan: &AgentPlan<'_, '_>) -> Vec<Message> {
    let mut reasons: Vec<(&NotKept, Vec<String>)> = Vec::new();
    for entry in &plan.mounted {
        let MountedStep::NotKept(why) = &entry.step else { continue };
        let name = entry.name.to_string_lossy().into_owned();
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    let (agent, config_dir) = (&plan.facts.definition.name, plan.facts.config_dir.path.display());
    let message = |(why, names): (&NotKept, Vec<String>)| {
        let example = names.first().cloned().unwrap_or_default();
        let what = format!("{agent}: not kept when the container ends: {} in {config_dir}", names.join(", "));
        let (text, hint) = match why {
            NotKept::ReadOnly => (
                format!("{what}: it is mounted read-only"),
                format!("mount it writable, or a volume there: docker run -v VOLUME:{config_dir}/{example}"),
            ),
            NotKept::Closed { at, uid } => (
                format!("{what}: the agent (uid {uid}) may not use {}", at.display()),
                format!(
                    "run the agent as the owner: --user-from {at}; or give it to the agent: chown -R {uid} {at}",
                    at = at.display()
                ),
            ),
        };
        Message::warning(text).event(EventKey::WorkingCopy).agent(agent).hint(hint)
    };
    reasons.into_iter().map(message).collect()
}

/// The chosen login is of a kind that the definition does not know.
pub fn unknown_kind(plan: &AgentPlan<'_, '_>) -> Option<Message> {
    let chosen = plan.chosen()?;
    chosen.session().filter(|session| session.login.is_unknown_kind)?;
    let Definition { name, title, .. } = plan.facts.definition;
    let text = format!("{name}: the login from {} is of a kind that this definition does not know", chosen.source);
    let hint = format!("{title} gets it as it is; its account and expiry are not shown, and changes of it are saved");
    Some(Message::warning(text).event(EventKey::DoubtfulValue).agent(name).hint(hint))
}

fn ignored(plan: &AgentPlan<'_, '_>) -> Vec<Message> {
    let agent = &plan.facts.definition.name;
    let message = |(candidate, ignored): (&Candidate<'_>, &Ignored)| {
        let key = candidate.rule.setting.as_ref().map(|setting| &setting.key).or(candidate.rule.variable.as_ref());
        let key = key.filter(|_| candidate.is_setting()).map(|key| format!(" ({key})")).unwrap_or_default();
        let is_kept = plan.displaced_login().is_some_and(|kept| std::ptr::eq(kept, candidate));
        let kept = is_kept.then(|| format!("; it is kept in {}", plan.conflicts_dir().display()));
        let text =
            format!("{agent}: {}{key} is ignored: {}{}", candidate.source, ignored.why, kept.unwrap_or_default());
        let message = if ignored.is_warning { Message::warning(text) } else { Message::detail(text) };
        let hint = if ignored.why.is_useless() { Some(fix(plan.facts, candidate)) } else { prefer(plan, candidate) };
        Message { hint: hint.filter(|_| ignored.is_warning), ..message.event(EventKey::Ignored).agent(agent) }
    };
    plan.ignored().map(message).collect()
}

/// The command that logs in to an agent, in a container of its own.
pub fn log_in(agent: &str) -> String {
    format!("docker run -it --rm -v LOGINS:/capture IMAGE setup --agent {agent}")
}

/// What to do about a candidate that is not usable.
pub fn fix(agent: &AgentFacts<'_>, candidate: &Candidate<'_>) -> String {
    if matches!(candidate.found, Err(Unusable::Unreadable(_))) {
        return make_readable(agent.reader);
    }
    let definition = agent.definition;
    if candidate.source.is_explicit() || definition.login.is_none() {
        return "replace it with a working credential, or remove it".to_owned();
    }
    format!("log in again: {}; or remove it", log_in(&definition.name))
}

/// What lets this process read a file that it could not read.
fn make_readable(reader: Reader) -> String {
    match reader {
        Reader::Privileged => {
            "no permission keeps root out here: a network file system may (root_squash of NFS), or the file is damaged"
                .to_owned()
        }
        Reader::RootWithoutCapability => {
            "root lacks the capability DAC_OVERRIDE, and reads only what a file's mode allows: docker run --cap-add \
             DAC_OVERRIDE, or give the file to root (chown 0)"
                .to_owned()
        }
        Reader::User(uid) => {
            format!("make it readable for uid {uid}: chown -R {uid} on the host; or start as root, with --user {uid}")
        }
    }
}

/// The option that makes a usable candidate the chosen one, if there is one.
pub fn prefer(plan: &AgentPlan<'_, '_>, candidate: &Candidate<'_>) -> Option<String> {
    let chosen = plan.chosen()?;
    if plan.mode != AuthMode::Auto || chosen.rule.method == candidate.rule.method {
        return None;
    }
    let word = candidate.rule.method.word();
    Some(format!(
        "--prefer {word} (AGENT_INIT_PREFER={word}) uses it instead of {}; or remove one of them",
        chosen.source
    ))
}

/// Refreshed logins cannot leave the container.
pub fn invalidates_source(plan: &AgentPlan<'_, '_>) -> Option<Message> {
    let chosen = plan.chosen()?;
    let agent = &plan.facts.definition.name;
    let is_spent_by_refresh = plan.facts.definition.session.as_ref().is_some_and(|session| session.rotates)
        && chosen.session().is_some_and(|session| session.login.refreshable);
    match &plan.write_back {
        None if is_spent_by_refresh && plan.login != LoginFileStep::Stays => {
            let text = format!(
                "{agent}: refreshed logins are not saved: the first refresh invalidates the login in {}",
                chosen.source
            );
            let is_copy = plan.mode == AuthMode::Copy;
            let hint = if is_copy { "use --auth sync to save them" } else { "mount a writable directory as /capture" };
            Some(Message::warning(text).event(EventKey::NotCarriedBack).agent(agent).hint(hint))
        }
        Some(target) if is_spent_by_refresh && !target.writable => {
            let target = target.location();
            let text = format!("{agent}: refreshed logins stay in this container: {target} is not writable");
            let hint = "mount it read-write and give it to the user that agent-init runs as";
            Some(Message::warning(text).event(EventKey::NotCarriedBack).agent(agent).hint(hint))
        }
        _ => None,
    }
}

/// A keeper refreshes a login this long before it expires, at the latest.
pub const KEPT_BEFORE: Duration = Duration::from_secs(20 * 60);

/// What to do about a login that a follower uses and that nobody refreshes.
pub const RUN_KEEPER: &str = "run a keeper on that login: agent-init keep; a follower cannot refresh it";

fn followed_token(plan: &AgentPlan<'_, '_>, facts: &Facts<'_>) -> Option<Message> {
    let chosen = plan.chosen()?;
    let expires_at = chosen.session()?.login.expires_at?;
    not_kept(&plan.facts.definition.name, &chosen.source.to_string(), expires_at, facts.now)
}

/// Nobody has refreshed the login in `place`, which a follower uses.
pub fn not_kept(agent: &str, place: &str, expires_at: SystemTime, now: SystemTime) -> Option<Message> {
    let (verb, event) = match Nearness::of(expires_at, now, KEPT_BEFORE) {
        Nearness::Far => return None,
        Nearness::Near => ("ends", EventKey::NotKept),
        Nearness::Past => ("ended", EventKey::Expired),
    };
    let time = humantime::format_rfc3339_seconds(expires_at);
    let text = format!("{agent}: the access token of {place} {verb} {time}, and no keeper has refreshed it");
    Some(Message::warning(text).event(event).agent(agent).hint(RUN_KEEPER))
}

/// Other containers use the login, and this one does not take turns with them.
fn not_taking_turns(plan: &AgentPlan<'_, '_>) -> Option<Message> {
    let others = plan.facts.capture.as_ref().map_or(0, |capture| capture.others);
    let chosen = plan.chosen().filter(|candidate| others > 0 && candidate.source.is_store())?;
    let is_spent_by_refresh = plan.facts.definition.session.as_ref().is_some_and(|session| session.rotates);
    chosen.session().filter(|session| is_spent_by_refresh && session.login.refreshable)?;
    let agent = &plan.facts.definition.name;
    let text = format!(
        "{agent}: {others} other container(s) use this login, and this one does not take turns with them: the second \
         refresh is refused"
    );
    let hint = "use --auth sync, --sync live and a writable capture in every container";
    Some(Message::warning(text).event(EventKey::NoTurns).agent(agent).hint(hint))
}

fn not_delivered_by_descriptor(plan: &AgentPlan<'_, '_>, config: &RunConfig) -> Option<Message> {
    let variable = plan.chosen().filter(|candidate| !candidate.is_setting())?.rule.variable.as_deref()?;
    (config.deliver == Delivery::Fd && plan.descriptor.is_none()).then(|| {
        let Definition { title, name, .. } = plan.facts.definition;
        let text = format!("--deliver fd is ignored: {title} reads {variable} only from its environment");
        Message::warning(text).event(EventKey::NoSuchMethod).agent(name)
    })
}

/// The known problems in the definition that apply here.
pub fn hints(plan: &AgentPlan<'_, '_>, facts: &Facts<'_>) -> Vec<Message> {
    let situation = Situation::of(plan, facts);
    let definition = plan.facts.definition;
    let applying = definition.hints.iter().filter(|hint| plan.facts.is_selected && situation.meets(&hint.when));
    let message = |hint: &crate::agent::definition::Hint| {
        let text = format!("{}: {}", definition.name, hint.say);
        let message = if hint.detail { Message::detail(text) } else { Message::warning(text) };
        Message { hint: hint.hint.clone(), ..message.event(EventKey::AgentHint).agent(&definition.name) }
    };
    applying.map(message).collect()
}

/// Agents in one container share its environment, so one may use the credential of another instead of its own.
pub fn add_conflicts(plans: &mut [AgentPlan<'_, '_>]) {
    let given: Vec<(String, String)> = plans
        .iter()
        .filter_map(|plan| {
            let variable = plan.chosen()?.rule.variable.clone().filter(|_| plan.descriptor.is_none())?;
            Some((plan.facts.definition.name.clone(), variable))
        })
        .collect();
    for plan in plans {
        let agent = &plan.facts.definition.name;
        let own = plan.chosen().and_then(|candidate| candidate.rule.variable.as_ref());
        let disturbing = given.iter().filter(|(other, variable)| {
            other != agent && Some(variable) != own && environment::removed(plan).contains(variable)
        });
        let messages = disturbing.map(|(other, variable)| {
            let text =
                format!("{agent}: {variable}, which is set for {other}, may take precedence: both agents see it");
            Message::warning(text)
                .event(EventKey::SharedEnvironment)
                .agent(agent)
                .hint(format!("run the agents in separate containers, or choose another method: --auth {other}=MODE"))
        });
        let messages: Vec<Message> = messages.collect();
        plan.warnings.extend(messages);
    }
}
