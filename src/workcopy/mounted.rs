//! Puts what the operator mounted in the agent's config directory into a working copy that is elsewhere.
//!
//! The mount is the operator's, but an agent may write in it: nothing in it is followed, and only a directory is made
//! there. The links are for the agent, which follows them with its own rights.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use crate::config::Scope;
use crate::error::reason;
use crate::fs::tree;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::plan::{AgentPlan, MountedEntry, MountedStep};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::errno;
use crate::sys::stat::Kind;
use crate::workcopy::{WorkingCopy, import};

/// Copies and links the entries of the plan. What fails is a warning: the agent may do without.
pub(super) fn install(
    plan: &AgentPlan<'_, '_>,
    working_copy: &WorkingCopy,
    is_stopped: &dyn Fn() -> bool,
    reporter: Reporter,
) {
    let path = &plan.facts.config_dir.path;
    if plan.mounted.is_empty() {
        return;
    }
    let warn = |name: &OsStr, why: &str| {
        let text =
            format!("{}: {} is not in the working copy: {why}", plan.facts.definition.name, path.join(name).display());
        reporter.say(&Message::warning(text).event(EventKey::WorkingCopy).agent(&plan.facts.definition.name));
    };
    let config_dir = match Dir::open(path) {
        Ok(dir) => dir,
        Err(error) => return warn(OsStr::new(""), &reason(&error)),
    };
    for MountedEntry { name, step } in &plan.mounted {
        let done = match step {
            MountedStep::Copied => copy(plan, &config_dir, name, working_copy, is_stopped, reporter),
            MountedStep::Linked => link(&config_dir, path, name, working_copy),
        };
        if let Err(error) = done {
            warn(name, &reason(&error));
        }
    }
}

/// Copies an entry over what an earlier run copied: the operator may have changed it since.
fn copy(
    plan: &AgentPlan<'_, '_>,
    config_dir: &Dir,
    name: &OsStr,
    working_copy: &WorkingCopy,
    is_stopped: &dyn Fn() -> bool,
    reporter: Reporter,
) -> io::Result<()> {
    make_room(&working_copy.dir, name)?;
    let settings = &plan.facts.definition.settings;
    let filter = import::SettingsFilter { settings, scope: Scope::All, login: None };
    let is_taken = |entry: &OsStr| entry == name && entry.to_str().is_some_and(|entry| filter.takes(entry));
    let skipped = import::copy_entries(config_dir, &working_copy.dir, &is_taken, working_copy.owner, is_stopped);
    for line in skipped.into_lines() {
        let text = format!("{}/{line}", plan.facts.config_dir.path.display());
        reporter.say(&Message::warning(text).event(EventKey::WorkingCopy).agent(&plan.facts.definition.name));
    }
    Ok(())
}

/// Makes the entry a link to the mount. A directory that does not exist there is made. A name with a dot is a file's: it
/// is linked once the agent of another run has made it.
fn link(config_dir: &Dir, path: &Path, name: &OsStr, working_copy: &WorkingCopy) -> io::Result<()> {
    let is_there = config_dir.stat_entry(name).is_ok();
    if !is_there && name.as_encoded_bytes().contains(&b'.') {
        return Ok(());
    }
    if !is_there {
        config_dir.make(name, Attributes { mode: 0o700, owner: working_copy.owner })?;
    }
    let target = path.join(name);
    if working_copy.dir.read_link(name).is_ok_and(|there| there == target) {
        return Ok(());
    }
    make_room(&working_copy.dir, name)?;
    working_copy.dir.make_link(&target, name, working_copy.owner)
}

/// Removes an entry of the working copy: what an earlier run copied there.
fn make_room(dir: &Dir, name: &OsStr) -> io::Result<()> {
    match dir.stat_entry(name) {
        Ok(there) if there.kind == Kind::Directory => {
            tree::remove(dir, name);
            Ok(())
        }
        Ok(_) => dir.remove(name),
        Err(error) if errno::is_unknown(&error) => Err(error),
        Err(_) => Ok(()),
    }
}
