//! Pure. `status` in text and JSON.

use std::time::SystemTime;

use serde::Serialize;

use crate::agent::definition::Method;
use crate::config::Detail;
use crate::login::merge::SyncResult;
use crate::output::page::{Line, Page, marked, toned};
use crate::output::style::{Mark, Tone, from_now};
use crate::plan::warning::log_in;
use crate::state::Shadowed;
use crate::status::{AgentStatus, End, Health, WriteBackStatus};
use crate::words::spelling::Words;

/// The object of `status --json`, and of `auth` in `plan --json`.
#[derive(Debug, Serialize)]
pub struct Document<'s> {
    /// Of this form.
    version: u32,
    agents: &'s [AgentStatus],
}

impl<'s> Document<'s> {
    /// The object for these agents.
    pub fn of(agents: &'s [AgentStatus]) -> Document<'s> {
        Document { version: 1, agents }
    }
}

/// A page for people. `context`: of which moment it is.
pub fn page(context: &str, agents: &[AgentStatus], now: SystemTime, detail: Detail) -> Page {
    let mut page = Page::default();
    if detail == Detail::Short {
        page.page(verdicts(agents, now));
        return page;
    }
    page.line(toned(Tone::Strong, "Authentication Status"));
    page.line(toned(Tone::Faint, context));
    page.gap();
    page.page(sections(agents, now, detail));
    page
}

/// One line an agent.
fn verdicts(agents: &[AgentStatus], now: SystemTime) -> Page {
    let mut page = Page::default();
    for agent in agents {
        page.line(headline(agent, agents, now));
    }
    if agents.is_empty() {
        page.line(NOTHING);
    }
    page
}

const NOTHING: &str = "No credential was found for any agent.";

/// Each agent, and the next step.
pub fn sections(agents: &[AgentStatus], now: SystemTime, detail: Detail) -> Page {
    let mut page = Page::default();
    for agent in agents {
        page.line(headline(agent, agents, now));
        page.rows(4, rows(agent, now, detail));
        page.gap();
    }
    page.line(Line::from(summary(agents, now)).unwrapped());
    page
}

fn headline(agent: &AgentStatus, all: &[AgentStatus], now: SystemTime) -> Line {
    let width = all.iter().map(|agent| agent.title.chars().count()).max().unwrap_or_default();
    let Verdict { mark, words } = Verdict::on(agent, now);
    let title = format!("{:width$}", agent.title);
    marked(mark).tone(Tone::Strong, title).text("   ").tone(mark.tone(), words).hanging(2 + width + 3)
}

/// How an agent is: the worst of its login, its write-back, and how it came to its method.
struct Verdict {
    mark: Mark,
    words: String,
}

impl Verdict {
    fn on(agent: &AgentStatus, now: SystemTime) -> Verdict {
        let has = what_it_has(agent);
        let (mark, words) = match agent.state {
            Health::Missing => (Mark::Bad, "not logged in".to_owned()),
            Health::Invalid => (Mark::Bad, "not logged in: the credential is not usable".to_owned()),
            Health::Expired => (Mark::Bad, format!("{} expired{}", kind(agent), when(agent, now))),
            Health::Unsaved => (Mark::Attention, format!("{has}; the refreshed login is not saved")),
            Health::Expiring if is_at_deadline(agent) => {
                (Mark::Attention, format!("{has}; the login ends{}", when(agent, now)))
            }
            Health::Expiring => (Mark::Attention, format!("{has}, expires{}", when(agent, now))),
            Health::Ok if agent.problem.is_some() => (Mark::Attention, "the login cannot be checked".to_owned()),
            Health::Ok if is_left_behind(agent) => (Mark::Attention, format!("{has}; a refreshed login is not saved")),
            Health::Ok if cannot_be_saved(agent) => {
                (Mark::Attention, format!("{has}; a refreshed login cannot be saved"))
            }
            Health::Ok if agent.is_key_over_login => {
                (Mark::Attention, format!("{}, billed by use; the login is not used", kind(agent)))
            }
            Health::Ok => (Mark::Good, has),
        };
        Verdict { mark, words }
    }
}

fn what_it_has(agent: &AgentStatus) -> String {
    if is_session(agent) {
        let account = agent.account.as_ref().map(|account| format!(" as {account}")).unwrap_or_default();
        let plan = agent.plan.as_ref().map(|plan| format!(" ({})", capitalized(plan))).unwrap_or_default();
        return format!("logged in{account}{plan}");
    }
    let billed = if agent.method == Method::ApiKey.word() { ", billed by use" } else { "" };
    format!("{}{billed} (not checked with the vendor)", kind(agent))
}

fn is_session(agent: &AgentStatus) -> bool {
    agent.method == Method::Session.word()
}

fn kind(agent: &AgentStatus) -> String {
    match &agent.label {
        Some(label) if !is_session(agent) => label.clone(),
        None if !is_session(agent) => agent.method.clone(),
        _ => "login".to_owned(),
    }
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

fn when(agent: &AgentStatus, now: SystemTime) -> String {
    let at = agent.end.map(|end| match end {
        End::Token(at) | End::Login(at) => at,
    });
    at.map(|at| format!(" {}", from_now(at, now))).unwrap_or_default()
}

fn cannot_be_saved(agent: &AgentStatus) -> bool {
    let is_closed = |to: &WriteBackStatus| to.target.is_some() && !to.writable;
    agent.refreshable && agent.write_back.as_ref().is_some_and(is_closed)
}

/// A refreshed login waits in the state directory.
fn is_left_behind(agent: &AgentStatus) -> bool {
    agent.write_back.as_ref().is_some_and(|to| to.kept.recovery.is_some())
}

fn rows(agent: &AgentStatus, now: SystemTime, detail: Detail) -> Vec<(&'static str, Line)> {
    let is_verbose = detail == Detail::Verbose;
    let mut rows: Vec<(&str, Line)> = Vec::new();
    rows.extend(problem(agent).map(|problem| ("problem", problem.into())));
    rows.extend(source(agent));
    rows.extend(token(agent, now, is_verbose).map(|token| ("token", token.into())));
    rows.extend(deadline(agent, now, is_verbose).map(|deadline| ("login deadline", deadline.into())));
    rows.extend(saved(agent, now).map(|saved| ("saved", saved.into())));
    rows.extend(agent.write_back.iter().flat_map(kept));
    for ignored in &agent.shadowed {
        let name = if is_the_problem(agent, ignored) { "problem" } else { "ignored" };
        rows.push((name, format!("{}: {}", place(&ignored.source), ignored.why).into()));
    }
    match agent.shared_by {
        0 => {}
        1 => rows.push(("shared by", "1 container uses this login now".into())),
        count => rows.push(("shared by", format!("{count} containers use this login now").into())),
    }
    if is_verbose {
        rows.extend(specifications(agent));
    }
    rows
}

/// What is wrong, unless the row of an ignored source or of the login deadline says it.
fn problem(agent: &AgentStatus) -> Option<&str> {
    let problem = agent.problem.as_deref()?;
    let is_deadline = is_at_deadline(agent) && matches!(agent.state, Health::Expiring | Health::Expired);
    let is_said = is_deadline || agent.shadowed.iter().any(|ignored| is_the_problem(agent, ignored));
    (!is_said).then_some(problem)
}

/// Whether this source is the reason why the agent has no credential.
fn is_the_problem(agent: &AgentStatus, ignored: &Shadowed) -> bool {
    let rest = agent.problem.as_deref().and_then(|problem| problem.strip_prefix(&ignored.source));
    rest.is_some_and(|rest| rest.starts_with(": ") || rest.starts_with(" is "))
}

fn source(agent: &AgentStatus) -> Option<(&'static str, Line)> {
    let source = agent.source.as_ref()?;
    match source.strip_prefix("capture:").filter(|_| is_session(agent)) {
        Some(directory) => Some(("login directory", directory.into())),
        None => Some(("found in", place(source).into())),
    }
}

/// A source in words. Its specification, `env:NAME`, is in the JSON and with `-v`.
fn place(source: &str) -> String {
    let Some((kind, name)) = source.split_once(':') else { return source.to_owned() };
    match kind {
        "env" => format!("the variable {name}"),
        "command" => format!("the output of {name}"),
        "secret" => format!("the secret file {name}"),
        "mount" => format!("the mounted {name}"),
        "store" => format!("the store {name}"),
        _ => name.to_owned(),
    }
}

fn token(agent: &AgentStatus, now: SystemTime, is_verbose: bool) -> Option<String> {
    if matches!(agent.state, Health::Invalid | Health::Missing) {
        return None;
    }
    let when = match agent.access_expires_at {
        Some(at) => {
            let verb = if at > now { "expires" } else { "expired" };
            format!("{verb} {}{}", from_now(at, now), exact(at, is_verbose))
        }
        None if is_session(agent) => "does not say when it expires".to_owned(),
        None => return None,
    };
    let who = match agent {
        _ if agent.refreshable => "; the agent refreshes it",
        _ if agent.is_followed() => "; a keeper refreshes it",
        _ => "; it cannot be refreshed",
    };
    Some(when + who)
}

/// Whether the login ends soon or has ended, although it is refreshed.
fn is_at_deadline(agent: &AgentStatus) -> bool {
    matches!(agent.end, Some(End::Login(_)))
}

/// Until when the login can be refreshed. Near the end, the command that logs in anew.
fn deadline(agent: &AgentStatus, now: SystemTime, is_verbose: bool) -> Option<String> {
    let at = agent.login_expires_at?;
    let left = format!("{}{}", from_now(at, now), exact(at, is_verbose));
    if !is_at_deadline(agent) {
        return Some(left);
    }
    let means = if at > now { "no refresh moves it" } else { "the vendor may refuse the next refresh" };
    Some(format!("{left}; {means}; log in again: {}", log_in(&agent.agent)))
}

/// A time in full, for `-v`.
fn exact(at: SystemTime, is_verbose: bool) -> String {
    if is_verbose { format!(" ({})", humantime::format_rfc3339_seconds(at)) } else { String::new() }
}

/// Where refreshed logins go, and what became of the last one.
fn saved(agent: &AgentStatus, now: SystemTime) -> Option<String> {
    let to = agent.write_back.as_ref().filter(|to| agent.refreshable || to.last.is_some())?;
    let is_in_place = agent.source.as_ref().is_some_and(|source| source.starts_with("home:"));
    let Some(target) = &to.target else {
        return Some(if is_in_place {
            "in the agent's own directory".to_owned()
        } else {
            "no: refreshed logins stay in this container".to_owned()
        });
    };
    let at = to.at.as_deref().and_then(|at| humantime::parse_rfc3339(at).ok());
    let ago = at.map(|at| format!(" {}", from_now(at, now))).unwrap_or_default();
    let is_elsewhere = agent.source.as_deref() != Some(&format!("capture:{target}"));
    let into = if is_elsewhere { format!(" in {target}") } else { String::new() };
    Some(match to.last {
        _ if !to.writable => format!("no: {target} is not writable"),
        Some(SyncResult::Failed) => format!("no: the last publish{into} failed{ago}"),
        Some(last) => format!("{}{into}{ago}", last.word()),
        None => format!("not needed yet; a refreshed login is saved{}", if is_elsewhere { &into } else { " there" }),
    })
}

/// Logins that are kept because they could not be saved.
fn kept(to: &WriteBackStatus) -> Vec<(&'static str, Line)> {
    let recovery = to.kept.recovery.as_ref().map(|path| {
        let what = "a refreshed login that could not be saved; it is published as soon as it can be";
        ("recovery copy", format!("{path}: {what}").into())
    });
    let count = to.kept.conflicts;
    let conflicts = to.kept.conflicts_in.as_ref().filter(|_| count > 0);
    let conflicts = conflicts.map(|path| ("conflicts", format!("{path}: {count} kept that lost to another").into()));
    recovery.into_iter().chain(conflicts).collect()
}

/// The words of the JSON.
fn specifications(agent: &AgentStatus) -> Vec<(&'static str, Line)> {
    let mut rows: Vec<(&str, Line)> =
        vec![("agent", agent.agent.as_str().into()), ("state", agent.state.word().into())];
    let label = agent.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
    rows.push(("method", format!("{}{label}", agent.method).into()));
    rows.extend(agent.source.as_ref().map(|source| ("source", source.into())));
    rows.extend(agent.place.as_ref().map(|place| {
        let why = place.why.as_ref().map(|why| format!(" - {why}")).unwrap_or_default();
        ("working copy", format!("{}{why}", place.path).into())
    }));
    rows.extend(agent.write_back.as_ref().map(|to| {
        let target = to.target.as_deref().unwrap_or("none");
        let writable = if to.writable { "writable" } else { "not writable" };
        let at = to.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
        let last = to.last.map(|last| format!("; last: {}{at}", last.word())).unwrap_or_default();
        ("write-back", format!("{target} ({}, {writable}){last}", to.mode).into())
    }));
    rows
}

/// How many agents are ready, and what to do next.
fn summary(agents: &[AgentStatus], now: SystemTime) -> String {
    const DOCTOR: &str = "Next: agent-init doctor shows what to do.";
    let count = agents.len();
    let agents_are = if count == 1 { "1 agent is".to_owned() } else { format!("All {count} agents are") };
    let good = agents.iter().filter(|agent| Verdict::on(agent, now).mark == Mark::Good).count();
    let missing: Vec<&AgentStatus> = agents.iter().filter(|agent| agent.state == Health::Missing).collect();
    match missing.as_slice() {
        [] if agents.is_empty() => format!("{NOTHING} Next: docker run -it --rm -v LOGINS:/capture IMAGE setup"),
        _ if good == count => format!("{agents_are} ready. Nothing to do."),
        [missing] if good + 1 == count => {
            format!("{} is not logged in. Next: {}", missing.title, log_in(&missing.agent))
        }
        _ if count == 1 => format!("1 agent needs attention. {DOCTOR}"),
        _ => format!("{} of {count} agents need attention. {DOCTOR}", count - good),
    }
}
