//! Reads the logins in directories: the agent's config directory, its capture, and where an earlier run left one. Also
//! reads the long-lived token of a capture.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::account::Identity;
use crate::agent::Definition;
use crate::agent::definition::{Method, MethodRule};
use crate::error;
use crate::error::Failure;
use crate::facts::agent_facts::CaptureFacts;
use crate::facts::candidate::{Candidate, CandidateValue, Session, variable_value};
use crate::facts::config_dir::ConfigDirFacts;
use crate::fs::untrusted::{Owners, Unreadable};
use crate::login::file::LoginFile;
use crate::login::format::SessionFile;
use crate::login::merge::LoginState;
use crate::login::{Document, Secret, Source, Unusable, file};
use crate::store::directory::interrupted_write_at;
use crate::store::{Capture, token};
use crate::sys::dir::Dir;
use crate::sys::{errno, privilege};

/// The login in the config directory, which the operator mounted or which cannot be the working copy.
pub(super) fn in_config_dir<'c>(
    definition: &'c Definition,
    session: &SessionFile,
    config_dir: &ConfigDirFacts,
    identity: &Identity,
    state_dir: &Path,
) -> Option<Candidate<'c>> {
    let file = config_dir.path.join(&session.file);
    let dir = match Dir::open(&config_dir.path) {
        Err(error) if errno::is_unknown(&error) => {
            let state = LoginState::Unreadable(error::reason(&error));
            let source = if config_dir.mounts.directory.is_some() {
                Source::Mount(config_dir.path.clone())
            } else {
                Source::Home(file)
            };
            return to_candidate(definition, source, LoginFile { state, bytes: None, stamp: None });
        }
        Err(_) => return None,
        Ok(dir) => dir,
    };
    let is_file_mount = config_dir.mounts.login_file.is_some();
    let (source, login_file) = if config_dir.mounts.directory.is_some() || is_file_mount {
        let source = if is_file_mount { file } else { config_dir.path.clone() };
        let login_file = file::login_at_start(&dir, session, &Owners::Any, true);
        // A file that is a mount cannot be replaced by rename(2), so a writer that was killed may have left half of it.
        let is_damaged = matches!(login_file.state, LoginState::Damaged(_));
        let intended = if is_file_mount && is_damaged { interrupted_write_at(state_dir, session) } else { None };
        (Source::Mount(source), intended.unwrap_or(login_file))
    } else {
        (Source::Home(file), file::login_at_start(&dir, session, &found_owners(identity), false))
    };
    to_candidate(definition, source, login_file)
}

/// The login that an earlier run, the image or a volume left in `directory`: the working copy or the recovery copy. A
/// login that cannot be read is an error: it may be newer than every other, and a start would overwrite it.
pub(super) fn left_in<'c>(
    definition: &'c Definition,
    session: &SessionFile,
    directory: &Path,
    identity: &Identity,
) -> anyhow::Result<Option<Candidate<'c>>> {
    let file = directory.join(&session.file);
    let unreadable = |why: &str| {
        let hint = "it may be newer than every other login, so it is not replaced: make it readable for agent-init or remove it";
        Failure::new(format!("cannot read {}, which an earlier run left: {why}", file.display())).hint(hint)
    };
    let dir = match Dir::open(directory) {
        Ok(dir) => dir,
        Err(error) if errno::is_unknown(&error) => return Err(unreadable(&error::reason(&error)).into()),
        // A missing directory holds no login, and one that cannot be entered cannot be written to either.
        Err(_) => return Ok(None),
    };
    let login_file = file::login_at_start(&dir, session, &found_owners(identity), false);
    match &login_file.state {
        LoginState::Unreadable(why) => Err(unreadable(why).into()),
        _ => Ok(to_candidate(definition, Source::Home(file), login_file)),
    }
}

/// The owners whose files are trusted in a directory that anybody could write to: the agent, root and this process.
pub(super) fn found_owners(identity: &Identity) -> Owners {
    Owners::These(vec![identity.uid, 0, privilege::current().0])
}

/// The login in the capture or in the mirror of a store.
pub(super) fn stored<'c>(
    definition: &'c Definition,
    session: &SessionFile,
    capture: &CaptureFacts,
) -> Option<Candidate<'c>> {
    let source = match &capture.store {
        None => Source::Capture(capture.path.clone()),
        Some(store) => Source::Store(store.spec.text.clone()),
    };
    match (&capture.opened, &capture.store) {
        (Some(opened), _) => {
            let read_at = SystemTime::now();
            let mut login_file = opened.read_at_start(session);
            login_file.stamp = login_file.stamp.filter(|stamp| stamp.shows_changes_after(read_at));
            to_candidate(definition, source, login_file)
        }
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
    let carries_token = |rule: &&MethodRule| rule.method == Method::OauthToken && rule.variable.is_some();
    let rule = definition.methods.iter().find(carries_token)?;
    let path = capture.path.join(token::FILE);
    let (found, expires_at) = match capture.token() {
        Err(Unreadable::Missing) => return None,
        Err(why) => (Err(Unusable::Damaged(why.to_string())), None),
        Ok(token::Found { token, expires_at }) => match variable_value(&token) {
            Ok(Some(token)) => (Ok(CandidateValue::Value(token)), expires_at),
            Ok(None) => (Err(Unusable::Empty), None),
            Err(why) => (Err(why), None),
        },
    };
    Some(Candidate { rule, source: Source::Capture(path), found, expires_at })
}

/// The candidate that a login file makes; `None` if there is no login file.
fn to_candidate(definition: &Definition, source: Source, login_file: LoginFile) -> Option<Candidate<'_>> {
    if !source.is_explicit() && holds_settings_only(definition, &login_file) {
        return None;
    }
    let found = match (login_file.state, login_file.bytes) {
        (LoginState::Absent, _) | (LoginState::Valid(_), None) => return None,
        (LoginState::Valid(login), Some(bytes)) => {
            Ok(CandidateValue::Session(Session { bytes: Secret::new(bytes), login, stamp: login_file.stamp }))
        }
        (LoginState::LoggedOut, _) => Err(Unusable::LoggedOut),
        (LoginState::Damaged(why), _) => Err(Unusable::Damaged(why)),
        (LoginState::Unreadable(why), _) => Err(Unusable::Unreadable(why)),
    };
    Some(Candidate { rule: definition.session_rule()?, source, found, expires_at: None })
}

/// Whether nobody has logged in yet although the file exists: it also holds settings, into which first-run state was
/// merged, and no part of a login.
fn holds_settings_only(definition: &Definition, login_file: &LoginFile) -> bool {
    let Some(session) = &definition.session else { return false };
    let is_shared = definition.first_run.iter().any(|entry| entry.file == session.file);
    let Some(bytes) = &login_file.bytes else { return false };
    if !is_shared || login_file.state != LoginState::LoggedOut {
        return false;
    }
    Document::parse(bytes, session.format)
        .is_ok_and(|document| !session.synced_keys.iter().any(|key| document.has(&format!("/{key}"))))
}

/// Whether the login file in a shared directory belongs to this agent. Another agent's may have the same name.
pub(super) fn holds_login_of_its_own(path: &Path, session: &SessionFile) -> io::Result<bool> {
    let dir = match Dir::open(path) {
        Err(error) if errno::is_unknown(&error) => return Err(error),
        Err(_) => return Ok(false),
        Ok(dir) => dir,
    };
    let login_file = file::login_at_start(&dir, session, &Owners::Any, true);
    if let LoginState::Unreadable(why) = login_file.state {
        return Err(io::Error::other(why.clone()));
    }
    let Some(bytes) = login_file.bytes else { return Ok(false) };
    Ok(Document::parse(&bytes, session.format).is_ok_and(|document| {
        document.login(session).is_ok() && session.mark.as_deref().is_none_or(|mark| document.has(mark))
    }))
}
