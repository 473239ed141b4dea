//! Puts what the operator mounted in the agent's config directory into a working copy that is elsewhere.
//!
//! The mount is the operator's, but an agent may write in it: nothing in it is followed, and only a directory is made
//! there. The links are for the agent, which follows them with its own rights.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use crate::error::reason;
use crate::facts::config_dir::MountAccess;
use crate::fs::tree;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::plan::{AgentPlan, MountedEntry, MountedStep, Preparation};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::stat::Kind;
use crate::sys::{errno, privilege};
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
    if plan.facts.config_dir.mounts.directory == Some(MountAccess::New)
        && let Err(error) = give(&config_dir, working_copy)
    {
        warn(OsStr::new(""), &reason(&error));
    }
    for MountedEntry { name, step } in &plan.mounted {
        let done = match step {
            MountedStep::Copied => copy(plan, &config_dir, name, working_copy, is_stopped, reporter),
            MountedStep::Linked(preparation) => prepare(&config_dir, name, *preparation, working_copy)
                .and_then(|()| link(&path.join(name), name, working_copy))
                .map(|kept| kept.iter().for_each(|kept| say_kept(plan, name, &working_copy.path.join(kept), reporter))),
            MountedStep::NotKept(_) => unlink(name, working_copy),
        };
        if let Err(error) = done {
            warn(name, &reason(&error));
        }
    }
}

fn say_kept(plan: &AgentPlan<'_, '_>, name: &OsStr, kept: &Path, reporter: Reporter) {
    let agent = &plan.facts.definition.name;
    let (name, kept) = (name.display(), kept.display());
    let text =
        format!("{agent}: {name} is in the mount now; what an earlier run kept in the working copy is in {kept}");
    let hint = "copy what you need into the mount: it ends with the container";
    reporter.say(&Message::warning(text).event(EventKey::WorkingCopy).agent(agent).hint(hint));
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
    let is_taken = |entry: &OsStr| entry == name;
    let skipped = import::copy_entries(config_dir, &working_copy.dir, &is_taken, working_copy.owner, is_stopped);
    for line in skipped.into_lines() {
        let text = format!("{}/{line}", plan.facts.config_dir.path.display());
        reporter.say(&Message::warning(text).event(EventKey::WorkingCopy).agent(&plan.facts.definition.name));
    }
    Ok(())
}

/// Makes what is missing in the mount, or gives it to the agent. Another container may do the same, and its agent may
/// put anything there meanwhile: nothing is replaced, no link is followed, and nothing but a new file or an empty
/// directory of ours changes its owner.
fn prepare(config_dir: &Dir, name: &OsStr, preparation: Preparation, working_copy: &WorkingCopy) -> io::Result<()> {
    let owner = working_copy.owner;
    match preparation {
        Preparation::None => Ok(()),
        Preparation::Made(Kind::Directory) => match config_dir.make(name, Attributes { mode: 0o700, owner }) {
            // Something else is there now. The agent follows it with its own rights.
            Err(_) if config_dir.stat_entry(name).is_ok() => Ok(()),
            made => made.map(drop),
        },
        Preparation::Made(_) => config_dir.make_file(name, Attributes { mode: 0o600, owner }),
        Preparation::Given => give(&config_dir.sub(name)?, working_copy),
    }
}

/// Gives an empty directory of ours to the agent.
fn give(dir: &Dir, working_copy: &WorkingCopy) -> io::Result<()> {
    let is_ours = dir.stat()?.uid == privilege::current().0;
    if is_ours && dir.names_up_to(1, &|_| true)?.names.is_empty() {
        dir.set_mode_and_owner(Attributes { mode: 0o700, owner: working_copy.owner })?;
    }
    Ok(())
}

/// Makes the entry of the working copy a link to the mount. Returns the name under which is kept what an earlier run of
/// this container wrote there, because it could not be kept in the mount then.
fn link(target: &Path, name: &OsStr, working_copy: &WorkingCopy) -> io::Result<Option<OsString>> {
    let dir = &working_copy.dir;
    if dir.read_link(name).is_ok_and(|there| there == target) {
        return Ok(None);
    }
    let has_content = match dir.stat_entry(name) {
        Ok(there) if there.kind == Kind::Directory => {
            !dir.sub(name).and_then(|sub| sub.names_up_to(1, &|_| true))?.names.is_empty()
        }
        Ok(there) => there.kind == Kind::File && there.size > 0,
        Err(_) => false,
    };
    let mut kept = None;
    if has_content {
        let mut aside = name.to_owned();
        aside.push(".before-mount");
        dir.rename_new(name, &aside)?;
        kept = Some(aside);
    } else {
        make_room(dir, name)?;
    }
    dir.make_link(target, name, working_copy.owner)?;
    Ok(kept)
}

/// Removes the link that an earlier run made: it leads where the agent may not write any more.
fn unlink(name: &OsStr, working_copy: &WorkingCopy) -> io::Result<()> {
    match working_copy.dir.stat_entry(name) {
        Ok(there) if there.kind == Kind::Link => working_copy.dir.remove(name),
        _ => Ok(()),
    }
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
