//! Pure. The auth line: what authenticates an agent, said at its start.

use crate::config::AuthMode;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::plan::agent_plan::{AgentPlan, LoginFileStep};
use crate::plan::warning;

/// `NAME auth: LABEL (MODE), SOURCE, ACCOUNT, access token expires TIME`; without a credential a hint says how to get one.
pub fn auth_line(plan: &AgentPlan<'_, '_>) -> Message {
    let agent = &plan.facts.definition.name;
    let line = |text: String| Message::notice(format!("{agent} auth: {text}")).event(EventKey::Auth).agent(agent);
    let Some(chosen) = plan.chosen() else {
        return Message { hint: how_to_authenticate(plan), ..line("none (not logged in)".to_owned()) };
    };
    let mut words = vec![chosen.source.to_string()];
    let mut mode = "";
    if let Some(session) = chosen.session() {
        mode = match (plan.login, &plan.write_back) {
            _ if plan.mode == AuthMode::Follow => " (follow)",
            (_, Some(_)) => " (sync)",
            (LoginFileStep::Stays, None) => " (in place)",
            _ => " (copy)",
        };
        words.extend(session.login.account.clone());
        let expiry = |expires| format!("access token expires {}", humantime::format_rfc3339_seconds(expires));
        words.extend(session.login.expires_at.map(expiry));
    }
    let expiry = |expires| format!("expires {}", humantime::format_rfc3339_seconds(expires));
    words.extend(chosen.expires_at.map(expiry));
    line(format!("{}{mode}, {}", chosen.rule.label, words.join(", ")))
}

/// The remedy for an agent without a credential: by its definition, and of a kind that the operator's mode allows. `None`
/// where the mode wants no credential.
fn how_to_authenticate(plan: &AgentPlan<'_, '_>) -> Option<String> {
    let definition = plan.facts.definition;
    let log_in = warning::log_in(&definition.name);
    let can_log_in = definition.login.is_some() && definition.session.is_some();
    let can_make_token = definition.login.as_ref().is_some_and(|login| login.token.is_some());
    match plan.mode {
        AuthMode::Ignore => None,
        AuthMode::Auto | AuthMode::Sync | AuthMode::Copy | AuthMode::Follow if can_log_in => {
            Some(format!("log in: {log_in}"))
        }
        AuthMode::Token if can_make_token => Some(format!("make a token: {log_in} --token")),
        _ => Some(format!("agent-init agents {} shows what it takes", definition.name)),
    }
}
