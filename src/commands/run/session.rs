//! Ties a working copy to its store.

use anyhow::Context;

use crate::facts::{Facts, StoreFacts};
use crate::fs::directories;
use crate::login::format::SessionFile;
use crate::login::merge::MergeBase;
use crate::plan::{AgentPlan, WriteBack};
use crate::store::helper::Helper;
use crate::store::protocol::Stored;
use crate::store::{Capture, Recovery, Remote, Store, directory, remote};
use crate::sync::session::{Beginning, SessionConfig, SyncSession};
use crate::sys::signal::Inherited;
use crate::workcopy::WorkingCopy;

/// The link of one agent; none where its store cannot be opened, and the plan has said what that means.
///
/// # Errors
/// A store that cannot be opened, and was thought to be writable.
pub(super) fn of(
    facts: &Facts<'_>,
    plan: &AgentPlan<'_, '_>,
    write_back: &WriteBack,
    working: WorkingCopy,
    inherited: Inherited,
) -> anyhow::Result<Option<SyncSession>> {
    let definition = plan.facts.definition;
    let rule = definition.session.clone().context("no session")?;
    let behind_helper = plan.facts.capture.as_ref().and_then(|capture| capture.store.as_ref());
    let opened = match behind_helper.filter(|_| write_back.target.helper().is_some()) {
        Some(store) => behind(store, &definition.name, facts, write_back.live, inherited).map(Store::Remote),
        // Nobody has logged in yet: what would be made for nobody could keep another user out.
        None if plan.chosen().is_none() && !write_back.target.path().exists() => {
            Ok(Store::Expected(write_back.target.path().to_owned()))
        }
        None => capture(facts, write_back).map(Store::Directory),
    };
    let store = match opened {
        Ok(store) => store,
        Err(_) if !write_back.writable => return Ok(None),
        Err(error) => return Err(error),
    };
    let base = if write_back.replaces { replaced(&store, &rule) } else { plan.base };
    Ok(Some(SyncSession::new(SessionConfig {
        agent: definition.name.clone(),
        refresh_lock: definition.refresh_lock.clone(),
        recovery: Recovery::new(&facts.state_dir, &definition.name, &rule.file),
        rule,
        working,
        store,
        base,
        beginning: if write_back.replaces { Beginning::Replace } else { Beginning::Continue },
        live: write_back.live,
        refusal_is_known: !write_back.writable && plan.chosen().is_some(),
    })))
}

/// A login that replaces the stored one starts from it, so that the table says: publish.
fn replaced(store: &Store, rule: &SessionFile) -> Option<MergeBase> {
    store.read(rule).state.login().map(MergeBase::from)
}

fn capture(facts: &Facts<'_>, write_back: &WriteBack) -> anyhow::Result<Capture> {
    let target = write_back.target.path();
    let opened = if write_back.target.is_file() {
        Capture::of_single_file(target, &facts.state_dir)
    } else {
        directory::make(target).and_then(|()| Capture::open(target))
    };
    opened.with_context(|| directories::failure("open", target))
}

fn behind(
    store: &StoreFacts,
    agent: &str,
    facts: &Facts<'_>,
    live: bool,
    inherited: Inherited,
) -> anyhow::Result<Box<Remote>> {
    let path = remote::mirror_path(&facts.state_dir, agent);
    if !path.is_dir() {
        // The store did not answer yet; what loses is kept there.
        remote::install_mirror(&facts.state_dir, agent, None)?;
    }
    let mirror = Capture::open(&path).with_context(|| directories::failure("open", &path))?;
    let spec = &store.spec;
    let helper = Helper::new(
        &spec.text,
        &spec.argv,
        facts.environment.for_helpers(|name| facts.catalog.is_agents_own(name)),
        inherited,
    );
    let helper = helper.context("--store: a word has a NUL byte")?;
    let stored = store.stored.as_ref().map(Stored::duplicate);
    Ok(Box::new(Remote::new(helper, agent, mirror, stored, live)))
}
