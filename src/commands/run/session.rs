//! Connects a working copy to its store.

use anyhow::Context;

use crate::config::{AuthMode, CommandName};
use crate::facts::{Facts, StoreFacts};
use crate::fs::directories;
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::merge::MergeBase;
use crate::plan::{AgentPlan, WriteBack};
use crate::store::helper::Helper;
use crate::store::protocol::Stored;
use crate::store::{Capture, Recovery, Remote, Store, directory, remote};
use crate::sync::session::{Beginning, SessionConfig, SyncSession};
use crate::sys::signal::Inherited;
use crate::workcopy::WorkingCopy;

/// Opens the store of one agent for sync. A store that cannot be opened is an error if the plan counts on writing to
/// it. Otherwise there is no session, and the plan has warned already.
pub(super) fn open_session(
    facts: &Facts<'_>,
    plan: &AgentPlan<'_, '_>,
    write_back: &WriteBack,
    working: WorkingCopy,
    inherited: Inherited,
) -> anyhow::Result<Option<SyncSession>> {
    let definition = plan.facts.definition;
    let rule = definition.session.clone().context("no session")?;
    let helper_store = plan.facts.capture.as_ref().and_then(|capture| capture.store.as_ref());
    let target = write_back.target.path();
    let opened = match helper_store {
        Some(store) if write_back.target.helper().is_some() => {
            open_remote(store, plan, facts, write_back.live, inherited).map(Store::Remote)
        }
        // Nobody has logged in yet. A directory made now, for no login, could keep another user out.
        _ if plan.chosen().is_none() && !target.exists() => Ok(Store::Expected(target.to_owned())),
        _ => open_capture(facts, plan, write_back).map(Store::Directory),
    };
    let is_follower = plan.mode == AuthMode::Follow;
    let store = match opened {
        Ok(store) => store,
        Err(_) if !write_back.writable => return Ok(None),
        Err(error) => return Err(error),
    };
    let known = plan.facts.stored_login().filter(|known| store.still_holds(&rule, known));
    let base = if write_back.replaces { stored_base(&store, &rule, known.as_ref()) } else { plan.base };
    Ok(Some(SyncSession::new(SessionConfig {
        agent: definition.name.clone(),
        command: CommandName::Run,
        refresh_lock: definition.refresh_lock.clone().filter(|_| !is_follower),
        recovery: Recovery::new(&facts.state_dir, &definition.name, &rule.file),
        rule,
        working,
        store,
        base,
        entries: plan.entries.clone(),
        known,
        beginning: match write_back.replaces {
            _ if is_follower => Beginning::Follow,
            true => Beginning::Replace,
            false => Beginning::Continue,
        },
        live: write_back.live,
        refusal_is_known: !write_back.writable && plan.chosen().is_some(),
        warn_within: plan.warn_within,
    })))
}

/// A login that replaces the stored one takes it as its merge base, so that the merge table says: publish.
fn stored_base(store: &Store, rule: &SessionFile, known: Option<&LoginFile>) -> Option<MergeBase> {
    match known {
        Some(known) => known.state.login().map(MergeBase::from),
        None => store.read(rule).state.login().map(MergeBase::from),
    }
}

fn open_capture(facts: &Facts<'_>, plan: &AgentPlan<'_, '_>, write_back: &WriteBack) -> anyhow::Result<Capture> {
    let target = write_back.target.path();
    let opened = if write_back.target.is_file() {
        Capture::of_single_file(target, &facts.state_dir)
    } else {
        // A follower writes nothing there.
        let made = if plan.mode == AuthMode::Follow { Ok(()) } else { directory::make(target) };
        made.and_then(|()| plan.facts.open_capture(target))
    };
    opened.with_context(|| directories::failure("open", target))
}

fn open_remote(
    store: &StoreFacts,
    plan: &AgentPlan<'_, '_>,
    facts: &Facts<'_>,
    live: bool,
    inherited: Inherited,
) -> anyhow::Result<Box<Remote>> {
    let agent = &plan.facts.definition.name;
    let path = remote::mirror_path(&facts.state_dir, agent);
    if !path.is_dir() {
        // The store has not answered yet. The mirror is needed nevertheless: logins that lose are kept there.
        remote::install_mirror(&facts.state_dir, agent, None)?;
    }
    let mirror = plan.facts.open_capture(&path).with_context(|| directories::failure("open", &path))?;
    let spec = &store.spec;
    let helper = Helper::new(
        &spec.text,
        &spec.argv,
        facts.environment.for_helpers(|name| facts.catalog.is_agents_own(name)),
        inherited,
    );
    let helper = helper.context("--store: the command contains a NUL byte")?;
    let stored = store.stored.as_ref().map(Stored::duplicate);
    Ok(Box::new(Remote::new(helper, agent, mirror, stored, live)))
}
