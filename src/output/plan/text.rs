//! Pure. `plan` in text.

use std::time::{Duration, SystemTime};

use crate::config::Detail;
use crate::output::page::{Line, Page, marked, toned};
use crate::output::plan::{AgentView, Step, View};
use crate::output::status;
use crate::output::style::{Mark, Tone, span};
use crate::status::AgentStatus;
use crate::words::listed;

/// A page for people.
pub fn page(view: &View<'_>, auth: &[AgentStatus], now: SystemTime) -> Page {
    let mut page = Page::default();
    page.line(toned(Tone::Strong, "Plan of agent-init run"));
    page.line(match &view.refuses {
        Some(refusal) => marked(Mark::Bad).tone(Tone::Bad, "run would refuse").text(format!(": {}", refusal.what)),
        None => marked(Mark::Good).tone(Tone::Good, "run would start").text(format!(" {}", view.command)),
    });
    page.gap();
    page.page(steps(view));
    for agent in &view.agents {
        page.gap();
        page.page(agent_page(agent));
    }
    for warning in &view.warnings {
        page.gap();
        page.line(marked(Mark::Attention).tone(Tone::Notice, "warning").text(format!(": {warning}")));
    }
    page.gap();
    if auth.is_empty() {
        page.line("No agent gets a login: agent-init only starts the command.");
    } else {
        page.page(status::sections(auth, now, Detail::Normal));
    }
    if let Some(hint) = view.refuses.as_ref().and_then(|refusal| refusal.hint.as_ref()) {
        page.line(Line::from(format!("To let run start: {hint}")).unwrapped());
    }
    page
}

fn steps(view: &View<'_>) -> Page {
    let identity = &view.identity;
    let name = identity.name.map(|name| format!(" ({name})")).unwrap_or_default();
    let groups = match identity.groups {
        None => String::new(),
        Some([]) => ", no other groups".to_owned(),
        Some(groups) => {
            let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
            format!(", groups {}", groups.join(" "))
        }
    };
    let made = if view.home.made { ", created if it is missing" } else { "" };
    let stop = &view.stop;
    let rewrites = if stop.rewrites.is_empty() { String::new() } else { format!("; {}", stop.rewrites.join(", ")) };
    let because = |what: String, why: &str| Line::from(format!("{what} - {why}"));
    let mut rows: Vec<(&str, Line)> = vec![
        ("command", view.command.as_str().into()),
        ("user", because(format!("{}:{}{name}{groups}", identity.uid, identity.gid), &identity.why)),
        ("home", because(format!("{}{made}", view.home.path), view.home.why)),
        ("directory", view.working_directory.as_str().into()),
    ];
    rows.extend(view.state_dir.as_ref().map(|path| ("state", path.into())));
    rows.extend([
        ("sets", listed(&view.environment.set, " ", "nothing").into()),
        ("removes", listed(&view.environment.unset, " ", "nothing").into()),
        (
            "drops",
            because(
                format!("capabilities: {}; no_new_privs: {}", view.privileges.drop_caps, view.privileges.no_new_privs),
                view.privileges.why,
            ),
        ),
        (
            "stop",
            Line::from(format!(
                "{} stops it within {}; signals go to the {}{rewrites}",
                stop.signal,
                span(Duration::from_millis(u64::try_from(stop.grace_ms).unwrap_or(u64::MAX))),
                if stop.forward_to == "group" { "command's process group" } else { "command alone" },
            )),
        ),
    ]);
    let mut page = Page::default();
    page.rows(2, rows);
    page
}

/// A verdict of the JSON in the word that people read.
fn verdict(word: &str) -> &str {
    if word == "set aside" { "ignored" } else { word }
}

fn agent_page(agent: &AgentView) -> Page {
    let step = |step: &Step| {
        let path = step.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
        Line::from(format!("{path}{} - {}", step.what, step.why))
    };
    let place = format!("{} ({}) - {}", agent.place.path, agent.place.variable, agent.place.why);
    let mut rows: Vec<(&str, Line)> = vec![("config directory", place.into())];
    if agent.sources.is_empty() {
        rows.push(("source", "none found".into()));
    }
    for source in &agent.sources {
        let tone = match source.verdict {
            "chosen" => Tone::Good,
            "unusable" => Tone::Bad,
            _ => Tone::Faint,
        };
        let what = Line::from(format!("{} ({}): ", source.source, source.method));
        rows.push(("source", what.tone(tone, verdict(source.verdict)).text(format!(" - {}", source.why))));
    }
    rows.extend(agent.login_file.as_ref().map(|file| ("login file", step(file))));
    rows.extend(agent.settings.as_ref().map(|from| ("settings", step(from))));
    rows.extend(agent.mounted.iter().map(|entry| ("mounted", step(entry))));
    if !agent.first_run.is_empty() {
        rows.push(("first run", format!("merged into {}", agent.first_run.join(", ")).into()));
    }
    rows.extend(agent.write_back.as_ref().map(|to| ("write-back", step(to))));
    let mut page = Page::default();
    page.line(toned(Tone::Strong, &agent.agent));
    page.rows(2, rows);
    page
}
