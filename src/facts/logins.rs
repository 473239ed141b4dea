//! Reads the logins that stand in directories: at the agent's own place, in its capture, and where an earlier run left one;
//! and the long-lived token of a capture.

use std::io;
use std::path::Path;

use crate::account::Identity;
use crate::agent::Definition;
use crate::agent::definition::{Method, MethodRule};
use crate::error;
use crate::error::Failure;
use crate::facts::agent_facts::CaptureFacts;
use crate::facts::candidate::{Candidate, CandidateValue, Session, value};
use crate::facts::place::ConfigDirFacts;
use crate::fs::untrusted::{Owners, Unreadable};
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::merge::LoginState;
use crate::login::{Document, Secret, Source, file};
use crate::store::directory::interrupted_write_at;
use crate::store::{Capture, token};
use crate::sys::dir::Dir;
use crate::sys::{errno, privilege};

/// The login at the agent's own place, when the operator mounted that, or when the working copy cannot be there.
pub(super) fn in_place<'c>(
    definition: &'c Definition,
    session: &SessionFile,
    place: &ConfigDirFacts,
    identity: &Identity,
    state_dir: &Path,
) -> Option<Candidate<'c>> {
    let file = place.path.join(&session.file);
    let dir = match Dir::open(&place.path) {
        Err(error) if errno::is_unknown(&error) => {
            let version = LoginState::Unreadable(error::reason(&error));
            let source = if place.mounted { Source::Mount(place.path.clone()) } else { Source::Home(file) };
            return candidate(definition, source, LoginFile { state: version, bytes: None, stamp: None });
        }
        Err(_) => return None,
        Ok(dir) => dir,
    };
    let is_file_mount = place.mounted_below.as_ref() == Some(&file);
    let (source, copy) = if place.mounted || is_file_mount {
        let source = if is_file_mount { file } else { place.path.clone() };
        let copy = file::login_at_start(&dir, session, &Owners::Any, true);
        // A file cannot be replaced whole where it is a mount: its last writer may have been killed in the middle.
        let whole = || interrupted_write_at(state_dir, session).filter(|_| is_file_mount);
        let is_half = matches!(copy.state, LoginState::Damaged(_));
        (Source::Mount(source), is_half.then(whole).flatten().unwrap_or(copy))
    } else {
        (Source::Home(file), file::login_at_start(&dir, session, &found_owners(identity), false))
    };
    candidate(definition, source, copy)
}

/// The login that an earlier run, the image or a volume left in this directory: where the working copy goes, or where
/// a recovery copy is kept.
///
/// # Errors
/// It is there and cannot be read. It may be newer than every other, and a start would write over it.
pub(super) fn left<'c>(
    definition: &'c Definition,
    session: &SessionFile,
    place: &Path,
    identity: &Identity,
) -> anyhow::Result<Option<Candidate<'c>>> {
    let file = place.join(&session.file);
    let unreadable = |why: &str| {
        let hint = "it may be newer than every other login, so it is not replaced: make it readable for agent-init, or remove it";
        Failure::new(format!("cannot read {}, which an earlier run left: {why}", file.display())).hint(hint)
    };
    let dir = match Dir::open(place) {
        Ok(dir) => dir,
        Err(error) if errno::is_unknown(&error) => return Err(unreadable(&error::reason(&error)).into()),
        // What is not there holds none, and where we may not look we cannot write.
        Err(_) => return Ok(None),
    };
    let copy = file::login_at_start(&dir, session, &found_owners(identity), false);
    match &copy.state {
        LoginState::Unreadable(why) => Err(unreadable(why).into()),
        _ => Ok(candidate(definition, Source::Home(file), copy)),
    }
}

/// Whose files are believed where anybody could have put them: the agent's, the image's and ours.
pub(super) fn found_owners(identity: &Identity) -> Owners {
    Owners::These(vec![identity.uid, 0, privilege::current().0])
}

/// The login in the capture, or in the mirror of a store that was asked for it. `opened`: what is there of it.
pub(super) fn stored<'c>(
    definition: &'c Definition,
    session: &SessionFile,
    opened: Option<&Capture>,
    facts: &CaptureFacts,
) -> Option<Candidate<'c>> {
    let source = match &facts.store {
        None => Source::Capture(facts.path.clone()),
        Some(store) => Source::Store(store.spec.text.clone()),
    };
    match (opened, &facts.store) {
        (Some(capture), _) => candidate(definition, source, capture.read_at_start(session)),
        (None, Some(store)) if !store.was_asked => Some(Candidate {
            rule: definition.session_rule()?,
            source,
            found: Ok(CandidateValue::Unread),
            expires_at: None,
        }),
        (None, _) => None,
    }
}

/// The long-lived token in the capture.
pub(super) fn token<'c>(definition: &'c Definition, capture: &Capture) -> Option<Candidate<'c>> {
    token::rule(definition)?;
    let is_its = |rule: &&MethodRule| rule.method == Method::OauthToken && rule.variable.is_some();
    let rule = definition.methods.iter().find(is_its)?;
    let path = capture.path.join(token::FILE);
    let (found, expires_at) = match capture.token() {
        Err(Unreadable::Missing) => return None,
        Err(why) => (Err(why.to_string()), None),
        Ok(token::Found { token, expires_at }) => match value(&token) {
            Ok(Some(token)) => (Ok(CandidateValue::Value(token)), expires_at),
            Ok(None) => (Err("it is empty".to_owned()), None),
            Err(why) => (Err(why), None),
        },
    };
    Some(Candidate { rule, source: Source::Capture(path), found, expires_at })
}

/// A copy as a candidate; what is not there is none.
fn candidate(definition: &Definition, source: Source, copy: LoginFile) -> Option<Candidate<'_>> {
    if !source.is_explicit() && holds_settings_only(definition, &copy) {
        return None;
    }
    let found = match (copy.state, copy.bytes) {
        (LoginState::Absent, _) | (LoginState::Valid(_), None) => return None,
        (LoginState::Valid(login), Some(bytes)) => {
            Ok(CandidateValue::Session(Session { bytes: Secret::new(bytes), login }))
        }
        (LoginState::LoggedOut, _) => Err("nobody is logged in: its tokens are blank or not there".to_owned()),
        (LoginState::Damaged(why), _) => Err(why),
        (LoginState::Unreadable(why), _) => Err(format!("it cannot be read: {why}")),
    };
    Some(Candidate { rule: definition.session_rule()?, source, found, expires_at: None })
}

/// Whether nobody has logged in yet: the file is one of settings too, which first-run state is merged into, and nothing
/// of a login is in it.
fn holds_settings_only(definition: &Definition, copy: &LoginFile) -> bool {
    let Some(session) = &definition.session else { return false };
    let is_shared = definition.first_run.iter().any(|entry| entry.file == session.file);
    let Some(bytes) = copy.bytes.as_ref().filter(|_| is_shared && copy.state == LoginState::LoggedOut) else {
        return false;
    };
    Document::parse(bytes, session.format)
        .is_ok_and(|document| !session.synced_keys.iter().any(|key| document.has(&format!("/{key}"))))
}

/// Whether the login file in a directory that belongs to no one agent is this agent's: another's may have the same name.
///
/// # Errors
/// It cannot be told.
pub(super) fn is_its_own(path: &Path, session: &SessionFile) -> io::Result<bool> {
    let dir = match Dir::open(path) {
        Err(error) if errno::is_unknown(&error) => return Err(error),
        Err(_) => return Ok(false),
        Ok(dir) => dir,
    };
    let copy = file::login_at_start(&dir, session, &Owners::Any, true);
    if let LoginState::Unreadable(why) = copy.state {
        return Err(io::Error::other(why.clone()));
    }
    let Some(bytes) = copy.bytes else { return Ok(false) };
    Ok(Document::parse(&bytes, session.format).is_ok_and(|document| {
        document.login(session).is_ok() && session.mark.as_deref().is_none_or(|mark| document.has(mark))
    }))
}
