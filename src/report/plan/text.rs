//! Pure. `plan` in text.

use std::time::{Duration, SystemTime};

use crate::report::style::{Style, Tone, rows, span};
use crate::report::{sanitized, status};
use crate::status::AgentStatus;

use super::{AgentView, Step, View};

/// Text for people.
#[must_use]
pub fn text(view: &View<'_>, auth: &[AgentStatus], now: SystemTime, style: Style) -> String {
    let mut parts = vec![steps(view, style)];
    for agent in &view.agents {
        parts.push(format!("\n{}\n{}", style.paint(Tone::Strong, &agent.agent), agent_text(agent, style)));
    }
    for warning in &view.warnings {
        parts.push(format!("\n{}: {}\n", style.paint(Tone::Notice, "warning"), sanitized(warning)));
    }
    parts.push("\n".to_owned());
    if let Some(refusal) = &view.refuses {
        parts.push(format!("{}: {}\n", style.paint(Tone::Bad, "run would refuse"), sanitized(&refusal.what)));
    }
    parts.push(if auth.is_empty() {
        "No agent is served: a plain init.\n".to_owned()
    } else {
        status::text("What would authenticate:", auth, now, style)
    });
    parts.concat()
}

fn steps(view: &View<'_>, style: Style) -> String {
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
    let made = if view.home.made { ", made if it is not there" } else { "" };
    let named = |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join(" ") };
    let stop = &view.stop;
    let rewrites = if stop.rewrites.is_empty() { String::new() } else { format!("; {}", stop.rewrites.join(", ")) };
    let because = |what: String, why: &str| sanitized(&format!("{what} - {why}"));
    let mut lines = vec![
        ("command", sanitized(&view.command)),
        ("user", because(format!("{}:{}{name}{groups}", identity.uid, identity.gid), &identity.why)),
        ("home", because(format!("{}{made}", view.home.path), view.home.why)),
        ("directory", sanitized(&view.working_directory)),
    ];
    lines.extend(view.state_dir.as_ref().map(|path| ("state", sanitized(path))));
    lines.extend([
        ("sets", sanitized(&named(&view.environment.set))),
        ("removes", sanitized(&named(&view.environment.unset))),
        (
            "drops",
            because(
                format!("capabilities: {}; no_new_privs: {}", view.privileges.drop_caps, view.privileges.no_new_privs),
                view.privileges.why,
            ),
        ),
        (
            "stop",
            format!(
                "{} starts it, all is over within {}; signals go to the {}{rewrites}",
                stop.signal,
                span(Duration::from_millis(u64::try_from(stop.grace_ms).unwrap_or(u64::MAX))),
                if stop.forward_to == "group" { "command's process group" } else { "command alone" },
            ),
        ),
    ]);
    format!("{}\n{}", style.paint(Tone::Strong, "agent-init run"), rows(&lines))
}

fn agent_text(agent: &AgentView, style: Style) -> String {
    let step = |step: &Step| {
        let path = step.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
        sanitized(&format!("{path}{} - {}", step.what, step.why))
    };
    let mut lines =
        vec![("place", sanitized(&format!("{} ({}) - {}", agent.place.path, agent.place.variable, agent.place.why)))];
    if agent.sources.is_empty() {
        lines.push(("source", "none was found".to_owned()));
    }
    for source in &agent.sources {
        let tone = match source.verdict {
            "chosen" => Tone::Good,
            "unusable" => Tone::Bad,
            _ => Tone::Faint,
        };
        let verdict = style.paint(tone, source.verdict);
        let what = sanitized(&format!("{} ({})", source.source, source.method));
        lines.push(("source", format!("{what}: {verdict} - {}", sanitized(&source.why))));
    }
    lines.extend(agent.login_file.as_ref().map(|file| ("login file", step(file))));
    lines.extend(agent.settings.as_ref().map(|from| ("settings", step(from))));
    if !agent.first_run.is_empty() {
        lines.push(("first run", sanitized(&format!("merged into {}", agent.first_run.join(", ")))));
    }
    lines.extend(agent.write_back.as_ref().map(|to| ("write-back", step(to))));
    rows(&lines)
}
