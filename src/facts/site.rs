//! Reads what is at an agent's config directory: links, mounts, owner, contents.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::account;
use crate::account::Identity;
use crate::agent::Definition;
use crate::agent::definition::StateEntry;
use crate::facts::config_dir::{
    ConfigDirFacts, ConfigMounts, EntryAccess, EntryFacts, EntryOrigin, MountAccess, may_pass, may_use,
};
use crate::facts::placement::{self, Contents, KnownDirectories, MountSite, Naming, Occupant, Owner, Site};
use crate::fs::mounts::{Mount, Mounts};
use crate::sys::access;
use crate::sys::dir::Dir;
use crate::sys::stat::{Kind, Stat};

/// How many entries of a config directory are looked at.
const MAX_ENTRIES: usize = 64;

/// Whose config directory is looked at, and by whom.
pub(super) struct SiteProbe<'p> {
    pub(super) definition: &'p Definition,
    pub(super) identity: &'p Identity,
    /// uid and gid of this process.
    pub(super) current: (u32, u32),
    pub(super) home: &'p Path,
    /// `--home` names HOME, which is made then.
    pub(super) is_home_named: bool,
    pub(super) capture: Option<PathBuf>,
    pub(super) capture_root: Option<PathBuf>,
    pub(super) mounts: &'p Mounts,
}

impl SiteProbe<'_> {
    pub(super) fn facts(&self, path: PathBuf, default: &Path) -> ConfigDirFacts {
        let mounts = self.config_mounts(&path);
        let found = access::entry(&path).ok();
        let naming = if path == default { Naming::Default } else { Naming::Variable };
        let known = KnownDirectories {
            capture: self.capture.as_deref().map(resolved),
            capture_root: self.capture_root.as_deref().map(resolved),
            working_directory: std::env::current_dir().unwrap_or_default(),
            home: resolved(self.home),
        };
        let site = Site {
            naming,
            mount: match (mounts.directory, mounts.login_file, mounts.entries.is_empty()) {
                (Some(_), _, _) => MountSite::Here,
                (None, None, true) => MountSite::None,
                (None, _, _) => MountSite::Below,
            },
            occupant: self.occupant(&path, found.as_ref()),
            role: placement::role(&resolved(&path), &known),
            writable: self.is_writable(&path),
        };
        ConfigDirFacts { path, site, mounts }
    }

    fn occupant(&self, path: &Path, found: Option<&Stat>) -> Occupant {
        // An earlier agent may have made any link below HOME, and it may lead anywhere.
        let mut above =
            path.ancestors().skip(1).take_while(|above| above.starts_with(self.home) && *above != self.home);
        match found {
            None => Occupant::Missing,
            Some(_) if above.any(Path::is_symlink) => Occupant::Link,
            Some(found) => match found.kind {
                Kind::Link => Occupant::Link,
                Kind::File | Kind::Special => Occupant::NotADirectory,
                Kind::Directory => {
                    Occupant::Directory { owner: self.owner(path, found), contents: self.contents(path, found) }
                }
            },
        }
    }

    fn owner(&self, path: &Path, found: &Stat) -> Owner {
        match found.uid {
            // What belongs to root is not the agent's alone only because the agent runs as root.
            uid if uid == self.identity.uid && (uid != 0 || path.starts_with(self.home)) => Owner::Agent,
            uid if uid == self.current.0 => Owner::Init,
            _ => Owner::Other,
        }
    }

    fn contents(&self, path: &Path, found: &Stat) -> Contents {
        if found.mode & 0o002 != 0 {
            return Contents::Anybodys;
        }
        let is_known = |name: &OsStr| name.to_str().is_some_and(|name| self.definition.knows_entry(name));
        let others = Dir::open(path).and_then(|dir| dir.names_up_to(1, &|name| !is_known(name)));
        let has_others = others.is_ok_and(|others| !others.names.is_empty());
        if has_others { Contents::Others } else { Contents::Agents }
    }

    /// Missing directories below HOME are made. HOME itself is made only if it is the fallback or `--home` names it.
    fn is_writable(&self, path: &Path) -> bool {
        let makes_home = self.home == Path::new(account::FALLBACK_HOME) || self.is_home_named;
        let existing = path.ancestors().find(|ancestor| access::is_directory(ancestor));
        existing.is_some_and(|existing| {
            (makes_home || existing.starts_with(self.home) || !path.starts_with(self.home))
                && Dir::open(existing).is_ok_and(|dir| dir.is_writable())
        })
    }

    fn config_mounts(&self, path: &Path) -> ConfigMounts {
        let login = self.definition.session.as_ref().map(|session| OsStr::new(&session.file));
        let dir = || Dir::open(path);
        let directory = self.mounts.at(path).map(|mount| match dir().and_then(|dir| dir.stat()) {
            Ok(found) if self.is_new(path, &found) => access_to(mount, MountAccess::New),
            Ok(_) if dir().is_ok_and(|dir| dir.is_writable()) => access_to(mount, MountAccess::Kept),
            _ => MountAccess::ReadOnly,
        });
        let login_file = login.and_then(|login| {
            let mount = self.mounts.at(&path.join(login))?;
            let may_write = dir().is_ok_and(|dir| dir.may_write(login));
            Some(if may_write { access_to(mount, MountAccess::Kept) } else { MountAccess::ReadOnly })
        });
        let first_name = |mount: &Mount| Some(mount.point.strip_prefix(path).ok()?.iter().next()?.to_owned());
        let mounted: BTreeSet<OsString> =
            self.mounts.below(path).filter_map(first_name).filter(|name| Some(name.as_os_str()) != login).collect();
        let mut entries: Vec<EntryFacts> =
            mounted.into_iter().map(|name| self.entry(path, name, EntryOrigin::Mount, directory)).collect();
        if directory.is_some() {
            for name in self.state_names(path) {
                if !entries.iter().any(|entry| entry.name == name) {
                    entries.push(self.entry(path, name, EntryOrigin::State, directory));
                }
            }
        }
        ConfigMounts { directory, login_file, entries }
    }

    /// The entries of a mounted directory that hold state: all that the definition names, and what matches a pattern.
    fn state_names(&self, path: &Path) -> Vec<OsString> {
        let state = &self.definition.settings.state;
        let named = state.iter().filter(|entry| !entry.is_pattern()).map(|entry| OsString::from(&entry.name));
        let matching = |name: &OsStr| {
            name.to_str().is_some_and(|name| state.iter().any(|entry| entry.is_pattern() && entry.matches(name)))
        };
        let found = if state.iter().any(StateEntry::is_pattern) {
            Dir::open(path).and_then(|dir| dir.names_up_to(MAX_ENTRIES, &matching)).unwrap_or_default().names
        } else {
            Vec::new()
        };
        named.chain(found).collect()
    }

    fn entry(
        &self,
        config_dir: &Path,
        name: OsString,
        origin: EntryOrigin,
        directory: Option<MountAccess>,
    ) -> EntryFacts {
        let path = config_dir.join(&name);
        let found = access::entry(&path).ok();
        let will_be_agents = directory == Some(MountAccess::New);
        let access = match (self.mounts.holding(&path), self.closed_to_agent(config_dir, will_be_agents)) {
            (Some(mount), _) if is_in_memory(mount) => EntryAccess::InMemory,
            (_, Some(closed)) => EntryAccess::Closed(closed),
            (Some(mount), None) if mount.read_only => EntryAccess::ReadOnly,
            _ if will_be_agents && origin == EntryOrigin::State => EntryAccess::Usable,
            _ => self.access_to_entry(config_dir, &path, found.as_ref()),
        };
        EntryFacts { name, origin, kind: found.map(|found| found.kind), access }
    }

    fn access_to_entry(&self, config_dir: &Path, path: &Path, found: Option<&Stat>) -> EntryAccess {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_file_of_state =
            self.definition.settings.state.iter().any(|entry| entry.kind == Kind::File && entry.matches(name));
        // Agents make a lock beside a file that they write.
        let may_be_beside = || {
            let beside = Dir::open(config_dir).and_then(|dir| dir.stat());
            beside.is_ok_and(|stat| self.may_write(config_dir, &stat))
        };
        match found {
            _ if is_file_of_state && self.mounts.at(path).is_none() && !may_be_beside() => {
                EntryAccess::Closed(config_dir.to_owned())
            }
            // It will be made for the agent.
            None if access::may_write(config_dir) => EntryAccess::Usable,
            None => EntryAccess::Closed(config_dir.to_owned()),
            Some(found) if self.may_write(path, found) => EntryAccess::Usable,
            Some(found) if self.is_new(path, found) => EntryAccess::New,
            Some(_) => EntryAccess::Closed(path.to_owned()),
        }
    }

    /// Whether it is an empty directory of ours that can be given to the agent.
    fn is_new(&self, path: &Path, found: &Stat) -> bool {
        let is_ours = found.uid == self.current.0 && self.identity.uid != self.current.0;
        let dir = || Dir::open(path);
        found.kind == Kind::Directory
            && is_ours
            && dir().is_ok_and(|dir| dir.is_writable())
            && dir().and_then(|dir| dir.names_up_to(1, &|_| true)).is_ok_and(|found| found.names.is_empty())
    }

    /// The directory on the way to the entries that the agent may not pass.
    fn closed_to_agent(&self, config_dir: &Path, will_be_agents: bool) -> Option<PathBuf> {
        let may_pass_as_agent = |path: &Path| {
            if self.identity.differs_from(self.current) {
                Dir::open_search_only(path).and_then(|dir| dir.stat()).is_ok_and(|stat| may_pass(&stat, self.identity))
            } else {
                access::may_pass(path)
            }
        };
        let mut above = config_dir.ancestors().skip(usize::from(will_be_agents));
        above.find(|above| !may_pass_as_agent(above)).map(Path::to_owned)
    }

    fn may_write(&self, path: &Path, found: &Stat) -> bool {
        match found.kind {
            // The agent follows it with its own rights.
            Kind::Link => true,
            Kind::Special => false,
            Kind::File | Kind::Directory if self.identity.differs_from(self.current) => may_use(found, self.identity),
            Kind::File | Kind::Directory => access::may_write(path),
        }
    }
}

fn is_in_memory(mount: &Mount) -> bool {
    matches!(mount.kind.as_str(), "tmpfs" | "ramfs")
}

fn access_to(mount: &Mount, access: MountAccess) -> MountAccess {
    if is_in_memory(mount) { MountAccess::InMemory } else { access }
}

/// The path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        if let (Ok(resolved), Ok(rest)) = (existing.canonicalize(), path.strip_prefix(existing)) {
            return resolved.join(rest);
        }
    }
    path.to_owned()
}
