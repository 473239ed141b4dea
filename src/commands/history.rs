//! `history`: what happened to the logins of the captures here.

use std::path::{Path, PathBuf};

use crate::agent::Catalog;
use crate::agent::catalog::Entry;
use crate::commands::Answer;
use crate::config::{AgentSelection, HistoryConfig};
use crate::env::Environment;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::output::history::{LoginHistory, lines, page};
use crate::output::style::Style;
use crate::state::Served;
use crate::status::running;
use crate::store::Capture;
use crate::store::journal::{self, Journal};
use crate::{facts, plan};

pub fn history(config: &HistoryConfig, environment: &Environment, reporter: Reporter) -> anyhow::Result<Answer> {
    let catalog = facts::catalog()?;
    let logins = logins(config, &catalog, environment, reporter)?;
    let read: Vec<LoginHistory> = logins.into_iter().map(|login| login.read(&catalog, reporter)).collect();
    let is_empty = read.iter().all(|login| login.events.is_empty());
    let text = if config.json { lines(&read)? } else { page(&read).written(Style::of_stdout(environment)) };
    Ok(Answer { text, exit: u8::from(is_empty) })
}

/// A login that is stored somewhere.
struct StoredLogin {
    agent: String,
    /// The directory or store, as the operator wrote it.
    location: String,
    capture: Option<Capture>,
}

impl StoredLogin {
    /// `path`: a directory, the mirror of a store, or a login file that is a mount, whose journal is in `state_dir`.
    fn new(agent: &str, location: String, path: &Path, state_dir: &Path) -> StoredLogin {
        let capture = Capture::open(path).or_else(|_| Capture::of_single_file(path, state_dir)).ok();
        StoredLogin { agent: agent.to_owned(), location, capture }
    }

    fn read(self, catalog: &Catalog, reporter: Reporter) -> LoginHistory {
        let StoredLogin { agent, location, capture } = self;
        let read = capture.as_ref().map_or_else(|| Ok(Journal::default()), Capture::journal);
        let said = match &read {
            Err(why) => Some(format!("{agent}: the history in {location} cannot be read: {why}")),
            Ok(Journal { damaged: 0, .. }) => None,
            Ok(Journal { damaged, .. }) => Some(format!("{}: damaged lines are left out: {damaged}", journal::FILE)),
        };
        let said = said.map(|text| Message::warning(text).event(EventKey::Other).agent(&agent));
        reporter.say_all(&said);
        // In a flat capture several agents share the file.
        let mut events = read.unwrap_or_default().events;
        events.retain(|event| event.agent == agent);
        let title = catalog.named(&agent).and_then(Entry::definition).map(|definition| definition.title.clone());
        LoginHistory { title: title.unwrap_or_else(|_| agent.clone()), location, events }
    }
}

/// The stored logins of the run here. Where none runs: those that a run would use.
fn logins(
    config: &HistoryConfig,
    catalog: &Catalog,
    environment: &Environment,
    reporter: Reporter,
) -> anyhow::Result<Vec<StoredLogin>> {
    let run = running::with_init(&config.inspection)?;
    let named = match &config.inspection.run.agent {
        AgentSelection::Named(names) => names.clone(),
        _ => Vec::new(),
    };
    let is_wanted = |agent: &str| named.is_empty() || named.iter().any(|name| name == agent);
    if let Ok(running) = running::find(config.inspection.run.state_dir.as_deref(), environment) {
        let served = running.state.agents.iter().filter(|served| is_wanted(&served.agent));
        let logins: Vec<_> = served.filter_map(|served| of_served(served, &running.state_dir)).collect();
        if !logins.is_empty() {
            return Ok(logins);
        }
    }
    let facts = facts::facts(&run, catalog, environment, None)?;
    reporter.say_all(facts.warnings());
    let plan = plan::draft(&run, &facts);
    let planned = plan.agents.iter().filter(|agent| is_wanted(&agent.facts.definition.name));
    let found = planned.filter_map(|agent| {
        let written = agent.write_back.as_ref().map(|to| (to.location(), to.target.path().to_owned()));
        let captured = || agent.facts.capture.as_ref().map(|capture| (capture.location(), capture.path.clone()));
        let (location, path): (String, PathBuf) = written.or_else(captured)?;
        Some(StoredLogin::new(&agent.facts.definition.name, location, &path, &facts.state_dir))
    });
    Ok(found.collect())
}

fn of_served(served: &Served, state_dir: &Path) -> Option<StoredLogin> {
    let to = served.write_back.as_ref()?;
    Some(StoredLogin::new(&served.agent, to.location(), &to.path, state_dir))
}
