//! Copies a login from a store behind a helper into its mirror in the state directory. From then on the mirror is read
//! like any capture.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context;

use crate::config::StoreSpec;
use crate::error::Failure;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::login::Secret;
use crate::login::file::LoginFile;
use crate::login::follower::following;
use crate::login::format::SessionFile;
use crate::process::helpers::Helpers;
use crate::store::directory::BOOKKEEPING;
use crate::store::protocol::{Stored, Verb};
use crate::store::{Capture, helper, protocol, remote};

/// The store that `--store` names, and what a start read from it.
pub struct StoreFacts {
    /// The helper command.
    pub spec: StoreSpec,
    /// The answer of the helper; `None` without one.
    pub stored: Option<Stored>,
    /// Commands that change nothing do not ask the store.
    pub was_asked: bool,
}

/// Asks the store for an agent's login and writes the answer to the mirror. A store that does not answer produces a
/// warning and does not prevent the start: there may be another source, and the mirror holds what an earlier run of
/// this container read. A stop signal is an error.
pub(super) fn fetch(
    spec: &StoreSpec,
    agent: &str,
    state_dir: &Path,
    environment: Vec<OsString>,
    followed: Option<&SessionFile>,
    helpers: &mut Helpers<'_>,
) -> anyhow::Result<(Option<Stored>, Option<Capture>, Vec<Message>)> {
    let mut answered = ask(spec, agent, environment, helpers);
    if let (Ok(Some(stored)), Some(session)) = (&mut answered, followed) {
        without_refresh_token(stored, session);
    }
    helpers.signals.check(&format!("{} ran", helper::request_name(&spec.text, Verb::Get)))?;
    let mirrored = answered.and_then(|stored| {
        let mirror = remote::install_mirror(state_dir, agent, stored.as_ref());
        mirror
            .with_context(|| Failure::new(format!("{}: cannot write the files of the store", state_dir.display())))?;
        Ok(stored)
    });
    let (stored, warnings) = match mirrored {
        Ok(stored) => {
            let has_reserved_name = stored.as_ref().is_some_and(|stored| stored.ignored_files > 0);
            let warnings = if has_reserved_name { vec![reserved_name(spec, agent)] } else { Vec::new() };
            (stored, warnings)
        }
        Err(error) => (None, vec![Message::error(&error).as_warning().event(EventKey::StoreFailed).agent(agent)]),
    };
    Ok((stored, remote::mirror(state_dir, agent).ok(), warnings))
}

/// Takes the refresh token out of an answer before it is written anywhere.
fn without_refresh_token(stored: &mut Stored, session: &SessionFile) {
    let read = |name: &str| stored.files.get(name).map(|file| file.duplicate().into_bytes());
    let file = following(LoginFile::from_files(read, session), session);
    match file.bytes {
        Some(bytes) => drop(stored.files.insert(session.file.clone(), Secret::new(bytes))),
        None => drop(stored.files.remove(&session.file)),
    }
}

fn reserved_name(spec: &StoreSpec, agent: &str) -> Message {
    let text = format!("{agent}: {} holds a file named {BOOKKEEPING}, which is ignored", spec.text);
    Message::warning(text)
        .agent(agent)
        .hint("agent-init uses that name itself: store only the login file; the next refresh removes the other file")
}

fn ask(
    spec: &StoreSpec,
    agent: &str,
    environment: Vec<OsString>,
    helpers: &mut Helpers<'_>,
) -> anyhow::Result<Option<Stored>> {
    let verb = Verb::Get;
    let argv: Vec<_> = spec.argv.iter().cloned().chain([verb.word().into()]).collect();
    let name = helper::request_name(&spec.text, verb);
    let answer = helpers.run(&name, &argv, environment, &protocol::get_request(agent), helper::BOUNDS)?;
    protocol::parse_get_answer(&answer).map_err(|why| helper::protocol_error(&spec.text, verb, &why).into())
}
