//! Pure. What authenticates an agent, until when, and what is wrong with it.

mod health;
pub mod running;

use std::time::SystemTime;

pub use health::{Clock, End, Health, Judgement};
use serde::{Serialize, Serializer};

use self::running::Live;
use crate::agent::Definition;
use crate::agent::definition::Method;
use crate::config::AuthMode;
use crate::login::merge::{LoginState, SyncResult};
use crate::plan::{AgentPlan, WriteBack, warning};
use crate::state::{Keeping, SavedWriteBack, Served, Shadowed};
use crate::words::spelling::Words;

/// The status of one agent; its JSON is that of `status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentStatus {
    /// The agent's name.
    pub agent: String,
    /// Its name for people.
    pub title: String,
    /// Anything was found that could authenticate it, usable or not.
    pub detected: bool,
    /// The method's word, or `none`.
    pub method: String,
    /// What people call the method.
    #[serde(skip)]
    pub label: Option<String>,
    /// Where its material is from.
    pub source: Option<String>,
    /// Whose login it is, where it says so.
    pub account: Option<String>,
    /// What the account has subscribed to, for people.
    #[serde(skip)]
    pub plan: Option<String>,
    /// When the access token expires.
    #[serde(serialize_with = "rfc3339")]
    pub access_expires_at: Option<SystemTime>,
    /// The login deadline, where the login notes one.
    #[serde(serialize_with = "rfc3339")]
    pub login_expires_at: Option<SystemTime>,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    /// The verdict.
    pub state: Health,
    /// What is wrong.
    pub problem: Option<String>,
    /// What ends soon or has ended.
    #[serde(skip)]
    pub end: Option<End>,
    /// What was found beside the source, and why it is not used.
    pub shadowed: Vec<Shadowed>,
    /// An API key, which is billed by use, is used although there is a login.
    #[serde(skip)]
    pub is_key_over_login: bool,
    /// Where refreshed logins go; nothing is refreshed without a session.
    pub write_back: Option<WriteBackStatus>,
    /// How many containers use the capture now.
    pub shared_by: usize,
    /// Where the working copy is, for people.
    #[serde(skip)]
    pub place: Option<PlaceStatus>,
}

/// Where the working copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceStatus {
    pub path: String,
    /// Why it is there; a run does not keep the reason.
    pub why: Option<String>,
}

impl AgentStatus {
    /// Whether a keeper refreshes the login.
    pub fn is_followed(&self) -> bool {
        self.write_back.as_ref().is_some_and(|write_back| write_back.mode == FOLLOW)
    }
}

/// Where refreshed logins go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WriteBackStatus {
    /// `sync`, `copy` when they stay in the container, or `follow` when nothing is refreshed here.
    pub mode: &'static str,
    /// The capture, or the file.
    pub target: Option<String>,
    /// It can be written now.
    pub writable: bool,
    /// What the last exchange came to.
    pub last: Option<SyncResult>,
    /// When, RFC 3339.
    pub at: Option<String>,
    /// What is kept because it could not be carried.
    #[serde(flatten)]
    pub kept: Kept,
    #[serde(skip)]
    pub publishes: Publishes,
}

/// What metrics tell of publishing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Publishes {
    /// When a login was last published, by this container or another.
    pub newest: Option<SystemTime>,
    /// How many times publishing began to fail in this container.
    pub failures: u64,
}

/// Logins that are kept because they could not be carried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The copy of one that the store refused, which a later start publishes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<String>,
    /// How many lost to another.
    #[serde(skip_serializing_if = "is_none")]
    pub conflicts: usize,
    /// Where those are.
    #[serde(skip)]
    pub conflicts_in: Option<String>,
}

/// What is known of the exchange with the capture.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// What the last one came to.
    pub last: Option<SyncResult>,
    /// When, RFC 3339.
    pub at: Option<String>,
    /// The capture can be written now.
    pub writable: bool,
    /// How many containers use it now.
    pub shared_by: usize,
    /// What is kept.
    pub kept: Kept,
    pub publishes: Publishes,
}

/// What `run` would authenticate the agent with.
pub fn planned(plan: &AgentPlan<'_, '_>, clock: Clock, exchange: Exchange) -> AgentStatus {
    let definition = plan.facts.definition;
    let chosen = plan.chosen();
    let login = chosen.and_then(|candidate| candidate.session()).map(|session| &session.login);
    let judgement = match (chosen, login) {
        (Some(_), Some(login)) => clock.judge(login, plan.mode == AuthMode::Follow),
        (Some(chosen), None) => clock.judge_token(chosen.expires_at),
        (None, _) => nothing_usable(plan),
    };
    let target = plan.write_back.as_ref();
    let write_back = login.map(|_| WriteBackStatus {
        mode: mode(target.is_some(), plan.mode == AuthMode::Follow),
        target: target.map(WriteBack::location),
        writable: target.is_some_and(|target| target.writable),
        last: exchange.last,
        at: exchange.at,
        kept: exchange.kept,
        publishes: exchange.publishes,
    });
    let Judgement { health: state, problem, end } = verdict(judgement, write_back.as_ref());
    AgentStatus {
        agent: definition.name.clone(),
        title: definition.title.clone(),
        detected: !plan.facts.candidates.is_empty(),
        method: chosen.map_or("none", |candidate| candidate.rule.method.word()).to_owned(),
        label: chosen.map(|candidate| candidate.rule.label.clone()),
        source: chosen.map(|candidate| candidate.source.to_string()),
        account: login.and_then(|login| login.account.clone()),
        plan: login.and_then(|login| login.plan.clone()),
        access_expires_at: login.map_or(chosen.and_then(|candidate| candidate.expires_at), |login| login.expires_at),
        login_expires_at: login.and_then(|login| login.ends_at(clock.now)),
        refreshable: login.is_some_and(|login| login.refreshable),
        state,
        problem,
        end,
        shadowed: plan.shadowed(),
        is_key_over_login: plan.is_key_over_login(),
        write_back,
        shared_by: exchange.shared_by,
        place: Some(PlaceStatus {
            path: plan.facts.working_copy.display().to_string(),
            why: Some(plan.working_copy_why.clone()),
        }),
    }
}

fn nothing_usable(plan: &AgentPlan<'_, '_>) -> Judgement {
    let defect = plan.facts.candidates.iter().find_map(|candidate| Some((candidate, candidate.found.as_ref().err()?)));
    match (defect, plan.shadowed().first()) {
        (Some((candidate, why)), _) => Judgement::new(Health::Invalid, format!("{}: {why}", candidate.source)),
        (None, Some(aside)) => Judgement::new(Health::Missing, format!("{} is not used: {}", aside.source, aside.why)),
        (None, None) => Judgement::new(Health::Missing, "nothing was found"),
    }
}

const FOLLOW: &str = "follow";

fn mode(is_carried: bool, follows: bool) -> &'static str {
    match (is_carried, follows) {
        (true, true) => FOLLOW,
        (true, false) => "sync",
        (false, _) => "copy",
    }
}

/// What authenticates the agent that runs.
pub fn served(
    served: &Served,
    definition: Option<&Definition>,
    live: Option<&Live>,
    clock: Clock,
    exchange: Exchange,
) -> AgentStatus {
    let is_session = served.method == Method::Session.word();
    let login = match live {
        Some(Live::Seen(LoginState::Valid(login))) if is_session || served.method == "none" => Some(login),
        _ => None,
    };
    let noted = served.expires_at.as_deref().and_then(|text| humantime::parse_rfc3339(text).ok());
    let judgement = match (login, live) {
        (Some(login), _) => clock.judge(login, served.follows),
        (None, _) if served.method == "none" => Judgement::new(Health::Missing, "nobody has logged in"),
        (None, Some(Live::Seen(version))) if is_session => lost(version),
        (None, Some(Live::Hidden)) if is_session => {
            Judgement::new(Health::Ok, format!("{} cannot be looked into by this user", served.place.display()))
        }
        (None, _) => clock.judge_token(noted),
    };
    let by_hand = login.is_some() && !is_session;
    let method = if by_hand { Method::Session.word() } else { &served.method };
    let rule = definition.and_then(|known| known.methods.iter().find(|rule| rule.method.word() == method));
    let target = served.write_back.as_ref();
    let write_back = (is_session || by_hand).then(|| WriteBackStatus {
        mode: mode(target.is_some(), served.follows),
        target: target.map(SavedWriteBack::location),
        writable: target.is_some() && exchange.writable,
        last: exchange.last,
        at: exchange.at,
        kept: exchange.kept,
        publishes: exchange.publishes,
    });
    let Judgement { health: state, problem, end } = verdict(judgement, write_back.as_ref());
    AgentStatus {
        agent: served.agent.clone(),
        title: definition.map_or(&served.agent, |definition| &definition.title).clone(),
        detected: served.source.is_some() || !served.shadowed.is_empty() || by_hand,
        method: method.to_owned(),
        label: rule.map(|rule| rule.label.clone()),
        source: if by_hand { Some(format!("home:{}", served.place.display())) } else { served.source.clone() },
        account: login.and_then(|login| login.account.clone()),
        plan: login.and_then(|login| login.plan.clone()),
        access_expires_at: login.map_or(noted, |login| login.expires_at),
        login_expires_at: login.and_then(|login| login.ends_at(clock.now)),
        refreshable: login.is_some_and(|login| login.refreshable),
        state,
        problem,
        end,
        shadowed: served.shadowed.clone(),
        is_key_over_login: served.is_key_over_login,
        write_back,
        shared_by: exchange.shared_by,
        place: Some(PlaceStatus { path: served.place.display().to_string(), why: None }),
    }
}

/// The one verdict on an agent: the worst of its login's and its write-back's. Everything that says or judges how an agent
/// is goes by it.
fn verdict(login: Judgement, write_back: Option<&WriteBackStatus>) -> Judgement {
    let is_failed = write_back.is_some_and(|write_back| write_back.last == Some(SyncResult::Failed));
    if !is_failed || login.health >= Health::Unsaved {
        return login;
    }
    let unsaved =
        Judgement::new(Health::Unsaved, "the last publish failed: a refreshed login is in this container alone");
    Judgement { end: login.end, ..unsaved }
}

/// What became of the login that the agent had.
fn lost(version: &LoginState) -> Judgement {
    let problem = match version {
        LoginState::LoggedOut => "logged out by the vendor".to_owned(),
        LoginState::Absent => "its login is gone: someone logged out".to_owned(),
        LoginState::Damaged(why) => format!("its login is damaged: {why}"),
        LoginState::Unreadable(why) => format!("its login cannot be read: {why}"),
        LoginState::Valid(_) => return Judgement::default(),
    };
    Judgement::new(Health::Invalid, problem)
}

/// An agent that was asked for and is not served by the run under way.
pub fn not_served(definition: &Definition) -> AgentStatus {
    AgentStatus {
        agent: definition.name.clone(),
        title: definition.title.clone(),
        detected: false,
        method: "none".to_owned(),
        label: None,
        source: None,
        account: None,
        plan: None,
        access_expires_at: None,
        login_expires_at: None,
        refreshable: false,
        state: Health::Missing,
        problem: Some("the run under way does not serve this agent".to_owned()),
        end: None,
        shadowed: Vec::new(),
        is_key_over_login: false,
        write_back: None,
        shared_by: 0,
        place: None,
    }
}

/// Whether a run is well with this agent: why not.
pub fn complaint(status: &AgentStatus) -> Option<String> {
    let AgentStatus { agent, state, problem, .. } = status;
    (!state.is_healthy())
        .then(|| format!("{agent}: {}: {}", state.word(), problem.as_deref().unwrap_or("no usable login")))
}

/// What is wrong with a login that a keeper keeps, and what to do. A refresh that fails is no complaint as long as the
/// access token works: it is tried again.
pub fn kept_complaint(served: &Served, status: &AgentStatus, now: SystemTime) -> Option<String> {
    let AgentStatus { agent, state, .. } = status;
    let at = served.write_back.as_ref().map(SavedWriteBack::location).unwrap_or_default();
    let log_in = warning::log_in(agent);
    let see_log = "the log of the keeper says why";
    let has_token_ended = status.access_expires_at.is_some_and(|end| end <= now);
    let say = |state: Health, problem: &str, fix: &str| Some(format!("{agent}: {}: {problem}: {fix}", state.word()));
    match (served.kept, state) {
        (None, _) => Some(format!("{agent}: the keeper has not looked at the login in {at} yet")),
        (Some(Keeping::Unused), _) => None,
        (Some(Keeping::Missing), _) => {
            say(Health::Missing, &format!("there is no login to keep in {at}"), &format!("log in: {log_in}"))
        }
        (Some(Keeping::Refused), _) => {
            let problem = format!("the vendor refused to refresh the login in {at}");
            say(Health::Invalid, &problem, &format!("log in again: {log_in}"))
        }
        (Some(Keeping::Failing), _) if has_token_ended => {
            let problem = format!("the access token of the login in {at} has ended, and refreshing it fails");
            say(Health::Expired, &problem, see_log)
        }
        (Some(Keeping::Good | Keeping::Failing), Health::Unsaved) => Some(format!("{}: {see_log}", complaint(status)?)),
        (Some(Keeping::Good | Keeping::Failing), _) => Some(format!("{}: log in again: {log_in}", complaint(status)?)),
    }
}

/// How to get a new login or token.
pub fn how_to_renew(status: &AgentStatus) -> String {
    let again = warning::log_in(&status.agent);
    if status.is_followed() && matches!(status.end, Some(End::Token(_))) {
        warning::RUN_KEEPER.to_owned()
    } else if status.method == Method::OauthToken.word() {
        format!("make a new token: {again} --token; or provide another one")
    } else if status.method == Method::Session.word() {
        format!("log in again: {again}; containers on the same capture adopt the new login")
    } else {
        format!("log in: {again}; or provide a token, key or login")
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

#[allow(clippy::ref_option, reason = "serde's signature")]
fn rfc3339<S: Serializer>(moment: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
    moment.map(|moment| humantime::format_rfc3339_seconds(moment).to_string()).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::health::tests::{clock, login};

    fn remembered(method: &str, last: Option<&str>) -> Served {
        let text =
            serde_json::json!({ "agent": "x", "method": method, "source": "env:X", "place": "/h/.x", "last": last });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn what_a_running_agent_has() {
        let seen = |version| Some(Live::Seen(version));
        let good = || LoginState::Valid(login(true, Some(1)));
        let rows = [
            ("session", seen(good()), Health::Ok, "session"),
            ("session", seen(LoginState::LoggedOut), Health::Invalid, "session"),
            ("session", seen(LoginState::Absent), Health::Invalid, "session"),
            ("session", seen(LoginState::Damaged("torn".into())), Health::Invalid, "session"),
            ("session", seen(LoginState::Valid(login(false, Some(1)))), Health::Expired, "session"),
            ("session", Some(Live::Hidden), Health::Ok, "session"),
            ("none", seen(LoginState::Absent), Health::Missing, "none"),
            ("none", None, Health::Missing, "none"),
            ("none", seen(good()), Health::Ok, "session"),
            ("api-key", seen(LoginState::Absent), Health::Ok, "api-key"),
            ("api-key", None, Health::Ok, "api-key"),
        ];
        for (method, live, state, shown) in rows {
            let status = served(&remembered(method, None), None, live.as_ref(), clock(), Exchange::default());
            assert_eq!((status.state, status.method.as_str()), (state, shown), "{method} {live:?}");
            assert_eq!(complaint(&status).is_none(), state.is_healthy(), "{method} {live:?}");
        }
    }

    #[test]
    fn a_login_that_stays_in_the_container_is_a_complaint() {
        let live = Live::Seen(LoginState::Valid(login(true, None)));
        let exchange = Exchange { last: Some(SyncResult::Failed), ..Exchange::default() };
        let status = served(&remembered("session", None), None, Some(&live), clock(), exchange);
        assert_eq!((status.state, status.state.is_healthy()), (Health::Unsaved, false));
        assert!(complaint(&status).unwrap().contains("x: unsaved: the last publish failed"));
    }

    #[test]
    fn a_kept_login_is_a_complaint_if_somebody_has_to_do_something() {
        struct Row {
            what: &'static str,
            kept: Option<Keeping>,
            /// Days; it is day 100.
            access_expires: u64,
            last: Option<SyncResult>,
            says: Option<&'static str>,
        }
        let good = Row { what: "good", kept: Some(Keeping::Good), access_expires: 101, last: None, says: None };
        let rows = [
            Row {
                what: "not looked at",
                kept: None,
                says: Some("x: the keeper has not looked at the login in /c/x yet"),
                ..good
            },
            Row { what: "no login, and none asked for", kept: Some(Keeping::Unused), ..good },
            Row {
                what: "no login",
                kept: Some(Keeping::Missing),
                says: Some("x: missing: there is no login to keep in /c/x: log in: docker run "),
                ..good
            },
            Row {
                what: "refused",
                kept: Some(Keeping::Refused),
                says: Some("x: invalid: the vendor refused to refresh the login in /c/x: log in again: docker run "),
                ..good
            },
            Row { what: "about to be refreshed", access_expires: 99, ..good },
            Row { what: "failing, and there is time", kept: Some(Keeping::Failing), ..good },
            Row {
                what: "failing, and it is over",
                kept: Some(Keeping::Failing),
                access_expires: 100,
                says: Some(
                    "x: expired: the access token of the login in /c/x has ended, and refreshing it fails: the log ",
                ),
                ..good
            },
            Row {
                what: "not saved",
                last: Some(SyncResult::Failed),
                says: Some(
                    "x: unsaved: the last publish failed: a refreshed login is in this container alone: the log ",
                ),
                ..good
            },
            good,
        ];
        for Row { what, kept, access_expires, last, says } in rows {
            let to = SavedWriteBack { path: "/c/x".into(), store: None };
            let remembered = Served { kept, write_back: Some(to), ..remembered("session", None) };
            let live = Live::Seen(LoginState::Valid(login(true, Some(access_expires))));
            let exchange = Exchange { last, ..Exchange::default() };
            let status = served(&remembered, None, Some(&live), clock(), exchange);
            let complaint = kept_complaint(&remembered, &status, clock().now);
            assert_eq!(complaint.is_some(), says.is_some(), "{what}: {complaint:?}");
            assert!(complaint.unwrap_or_default().starts_with(says.unwrap_or_default()), "{what}");
        }
    }

    /// Whatever the login is and however the last exchange ended, what is shown and what is judged by agree.
    #[test]
    fn the_verdict_is_the_worst_of_login_and_write_back() {
        let logins = [
            (login(true, Some(1)), Health::Ok),
            (login(false, Some(101)), Health::Expiring),
            (login(false, Some(1)), Health::Expired),
        ];
        for (login, alone) in logins {
            for last in [
                None,
                Some(SyncResult::Unchanged),
                Some(SyncResult::Published),
                Some(SyncResult::Adopted),
                Some(SyncResult::Kept),
                Some(SyncResult::Failed),
            ] {
                let live = Live::Seen(LoginState::Valid(login.clone()));
                let exchange = Exchange { last, ..Exchange::default() };
                let status = served(&remembered("session", None), None, Some(&live), clock(), exchange);
                let expected = if last == Some(SyncResult::Failed) { alone.max(Health::Unsaved) } else { alone };
                assert_eq!(status.state, expected, "{alone:?} {last:?}");
                assert_eq!(complaint(&status).is_none(), expected <= Health::Expiring, "{alone:?} {last:?}");
                let json = serde_json::to_value(&status).unwrap();
                assert_eq!(json["state"], expected.word(), "{alone:?} {last:?}");
            }
        }
        // What has no write-back cannot have failed.
        let exchange = Exchange { last: Some(SyncResult::Failed), ..Exchange::default() };
        assert_eq!(served(&remembered("api-key", None), None, None, clock(), exchange).state, Health::Ok);
    }
}
