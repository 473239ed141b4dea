//! Reads what a store behind a helper command holds, into a mirror in our state directory: from there it is read and laid
//! down as any capture is.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context;

use crate::config::StoreSpec;
use crate::error::Failure;
use crate::log::Message;
use crate::log::event::EventKey;
use crate::process::helpers::Helpers;
use crate::store::directory::BOOKKEEPING;
use crate::store::protocol::{Stored, Verb};
use crate::store::{Capture, helper, protocol, remote};

/// The store that `--store` names, and what a start read of it.
pub struct StoreFacts {
    /// The helper command.
    pub spec: StoreSpec,
    /// What is stored, as far as the helper told.
    pub stored: Option<Stored>,
    /// It was asked; a command that looks does not.
    pub was_asked: bool,
}

/// Asks the store for an agent's login and lays the answer in the mirror. A store that does not answer is no reason not to
/// start: there may be another source, and what an earlier run of this container read. A stop is one.
///
/// # Errors
/// We are told to stop meanwhile.
pub(super) fn fetch(
    spec: &StoreSpec,
    agent: &str,
    state_dir: &Path,
    environment: Vec<OsString>,
    helpers: &mut Helpers<'_>,
) -> anyhow::Result<(Option<Stored>, Option<Capture>, Vec<Message>)> {
    let answered = ask(spec, agent, environment, helpers);
    helpers.signals.check(&format!("{} ran", helper::request_name(&spec.text, Verb::Get)))?;
    let mirrored = answered.and_then(|stored| {
        let mirror = remote::install_mirror(state_dir, agent, stored.as_ref());
        mirror.with_context(|| Failure::new(format!("{}: cannot keep the store's files", state_dir.display())))?;
        Ok(stored)
    });
    let (stored, warnings) = match mirrored {
        Ok(stored) => {
            let warning = stored.as_ref().filter(|stored| stored.ignored_files > 0).map(|_| passed_over(spec, agent));
            (stored, warning.into_iter().collect())
        }
        Err(error) => (None, vec![Message::error(&error).as_warning().event(EventKey::StoreFailed).agent(agent)]),
    };
    Ok((stored, remote::mirror(state_dir, agent).ok(), warnings))
}

fn passed_over(spec: &StoreSpec, agent: &str) -> Message {
    let text = format!("{agent}: {} holds a file named {BOOKKEEPING}, which is ignored", spec.text);
    Message::warning(text)
        .agent(agent)
        .hint("that name is agent-init's own: store the login file alone; the next refresh removes it")
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
