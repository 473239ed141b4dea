//! Pure. What the operator should know of a plan: what was ignored, what will be lost, and what a definition knows to
//! go wrong.

use crate::agent::Definition;
use crate::agent::definition::Method;
use crate::config::{AuthMode, Delivery, RunConfig, Words};
use crate::facts::{Candidate, Facts};
use crate::log::Message;
use crate::log::event::EventKey;
use crate::plan::agent_plan::{AgentPlan, LoginFileStep};
use crate::plan::condition::Situation;
use crate::plan::method::Ignored;
use crate::plan::{environment, method};

/// What there is to say of one agent.
pub fn of(plan: &AgentPlan<'_, '_>, config: &RunConfig, facts: &Facts<'_>) -> Vec<Message> {
    let mut messages = ignored(plan);
    messages.extend(no_such_method(plan, config));
    messages.extend(ended(plan));
    messages.extend(invalidates_source(plan));
    messages.extend(out_of_turn(plan));
    messages.extend(delivery(plan, config));
    messages.extend(hints(plan, facts));
    messages
}

/// What was asked for of an agent that cannot do it.
fn no_such_method(plan: &AgentPlan<'_, '_>, config: &RunConfig) -> Vec<Message> {
    let definition = plan.facts.definition;
    let has = |test: &dyn Fn(Method) -> bool| definition.methods.iter().any(|rule| test(rule.method));
    let hint = match method::words(definition) {
        words if words.is_empty() => format!("{} has no methods: its definition names none", definition.name),
        words => format!("the methods of {} are {words}", definition.name),
    };
    let say = |what: String| {
        let text = format!("{}: {what}", definition.title);
        Message::warning(text).event(EventKey::NoSuchMethod).agent(&definition.name).hint(hint.clone())
    };
    let mode =
        Some(plan.mode).filter(|mode| *mode != AuthMode::Ignore && !has(&|method| method::allows(*mode, method)));
    let preferred = config.prefer.iter();
    let preferred = preferred.filter(|preferred| plan.facts.is_selected && !has(&|method| method == **preferred));
    let preferred = preferred.map(|method| say(format!("--prefer {}: it has no such method", method.word())));
    mode.map(|mode| say(format!("--auth {}: it has no such method", mode.word())))
        .into_iter()
        .chain(preferred)
        .collect()
}

/// What was chosen for want of anything better.
fn ended(plan: &AgentPlan<'_, '_>) -> Option<Message> {
    let chosen = plan.chosen().filter(|_| plan.choice.has_ended)?;
    let agent = &plan.facts.definition.name;
    let at = |ended| humantime::format_rfc3339_seconds(ended);
    let message = match (chosen.session(), chosen.expires_at) {
        (Some(session), _) => {
            let ended = session.login.expires_at.map(|ended| format!(", {}", at(ended))).unwrap_or_default();
            let source = &chosen.source;
            let text = format!("{agent}: the login from {source} has expired{ended}, and it has no refresh token");
            Message::warning(text).hint(format!("log in again: {}", log_in(agent)))
        }
        (None, ended) => {
            let ended = ended.map(|ended| format!(", {}", at(ended))).unwrap_or_default();
            Message::warning(format!("{agent}: {}: the token has expired{ended}", chosen.source))
                .hint(format!("make a new one: {} --token", log_in(agent)))
        }
    };
    Some(message.event(EventKey::Expired).agent(agent))
}

fn ignored(plan: &AgentPlan<'_, '_>) -> Vec<Message> {
    let agent = &plan.facts.definition.name;
    let message = |(candidate, aside): (&Candidate<'_>, &Ignored)| {
        let key = candidate.rule.setting.as_ref().map(|setting| &setting.key).or(candidate.rule.variable.as_ref());
        let key = key.filter(|_| candidate.is_setting()).map(|key| format!(" ({key})")).unwrap_or_default();
        let is_kept = plan.kept_login().is_some_and(|kept| std::ptr::eq(kept, candidate));
        let kept = is_kept.then(|| format!("; a start keeps it under {}", plan.keeps_at().display()));
        let text = format!("{agent}: {}{key} is ignored: {}{}", candidate.source, aside.why, kept.unwrap_or_default());
        let message = if aside.is_warning { Message::warning(text) } else { Message::detail(text) };
        let remedy =
            if aside.why.is_useless() { Some(fix(plan.facts.definition, candidate)) } else { prefer(plan, candidate) };
        Message { hint: remedy.filter(|_| aside.is_warning), ..message.event(EventKey::Ignored).agent(agent) }
    };
    plan.ignored().map(message).collect()
}

/// How a person logs in to an agent, in a container of its own.
pub fn log_in(agent: &str) -> String {
    format!("docker run -it --rm -v LOGINS:/capture IMAGE setup --agent {agent}")
}

/// What to do about something that is no usable credential.
pub fn fix(definition: &Definition, candidate: &Candidate<'_>) -> String {
    if candidate.source.is_explicit() || definition.login.is_none() {
        return "give a good one, or take it away".to_owned();
    }
    format!("log in again: {}; or remove it", log_in(&definition.name))
}

/// How a candidate that is of use is chosen instead, where an option does that.
pub fn prefer(plan: &AgentPlan<'_, '_>, candidate: &Candidate<'_>) -> Option<String> {
    let chosen = plan.chosen().filter(|_| plan.mode == AuthMode::Auto)?;
    let word = candidate.rule.method.word();
    (chosen.rule.method != candidate.rule.method).then(|| {
        format!(
            "--prefer {word} (AGENT_INIT_PREFER={word}) takes it instead of {}; or remove one of them",
            chosen.source
        )
    })
}

/// What becomes of a refreshed login that cannot get out of the container.
pub fn invalidates_source(plan: &AgentPlan<'_, '_>) -> Option<Message> {
    let chosen = plan.chosen()?;
    let agent = &plan.facts.definition.name;
    let is_spent_by_refresh = plan.facts.definition.session.as_ref().is_some_and(|session| session.rotates)
        && chosen.session().is_some_and(|session| session.login.refreshable);
    match &plan.write_back {
        None if is_spent_by_refresh && plan.login != LoginFileStep::Stays => {
            let text = format!(
                "{agent}: the login from {} is not carried back: its first refresh strands the source",
                chosen.source
            );
            let is_copy = plan.mode == AuthMode::Copy;
            let hint = if is_copy { "--auth sync shares it" } else { "mount a writable directory as /capture" };
            Some(Message::warning(text).event(EventKey::NotCarriedBack).agent(agent).hint(hint))
        }
        Some(target) if is_spent_by_refresh && !target.writable => {
            let target = target.place();
            let text = format!("{agent}: {target} is not writable: refreshed logins stay in this container");
            let hint = "mount it read-write, and owned by the user that agent-init runs as";
            Some(Message::warning(text).event(EventKey::NotCarriedBack).agent(agent).hint(hint))
        }
        _ => None,
    }
}

/// Other containers use the login, and this one will not take turns with them.
fn out_of_turn(plan: &AgentPlan<'_, '_>) -> Option<Message> {
    let others = plan.facts.capture.as_ref().map_or(0, |capture| capture.others);
    let chosen = plan.chosen().filter(|candidate| others > 0 && candidate.source.is_store())?;
    let is_spent_by_refresh = plan.facts.definition.session.as_ref().is_some_and(|session| session.rotates);
    chosen.session().filter(|session| is_spent_by_refresh && session.login.refreshable)?;
    let agent = &plan.facts.definition.name;
    let text = format!(
        "{agent}: {others} other container(s) use this login, and this one takes no turns with them: who refreshes \
         second is logged out"
    );
    let hint = "share it with --auth sync, --sync live and a writable capture in each of them";
    Some(Message::warning(text).event(EventKey::NoTurns).agent(agent).hint(hint))
}

fn delivery(plan: &AgentPlan<'_, '_>, config: &RunConfig) -> Option<Message> {
    let variable = plan.chosen().filter(|candidate| !candidate.is_setting())?.rule.variable.as_deref()?;
    (config.deliver == Delivery::Fd && plan.descriptor.is_none()).then(|| {
        let Definition { title, name, .. } = plan.facts.definition;
        let text = format!("--deliver fd: {title} reads {variable} from its environment only, and finds it there");
        Message::warning(text).event(EventKey::NoSuchMethod).agent(name)
    })
}

/// What the definition knows to go wrong here.
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

/// Agents of one container share its environment: what one of them got may be what another of them prefers to its own.
pub fn of_conflicts(plans: &mut [AgentPlan<'_, '_>]) {
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
            let text = format!("{agent}: {variable}, which {other} got, is in its environment too, and may win");
            Message::warning(text)
                .event(EventKey::SharedEnvironment)
                .agent(agent)
                .hint(format!("serve them in containers of their own, or choose another method: --auth {other}=MODE"))
        });
        let messages: Vec<Message> = messages.collect();
        plan.warnings.extend(messages);
    }
}
