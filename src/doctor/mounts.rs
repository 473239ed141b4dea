//! Pure. What is mounted wrongly.

use std::path::Path;

use crate::doctor::finding::{Finding, shown};
use crate::doctor::input::{DoctorInput, InspectedPath, PathRole};
use crate::fs::mounts::Mount;
use crate::sys::stat::Kind;

/// So little room stores no login, with its temporary file and its notes.
const ROOM: u64 = 256 * 1024;

fn is_file_role(role: &PathRole) -> bool {
    matches!(role, PathRole::CapturedLogin | PathRole::PlacedLogin | PathRole::Secret | PathRole::Named(_))
}

fn is_overlay(mount: &Mount) -> bool {
    matches!(mount.kind.as_str(), "overlay" | "aufs" | "fuse.fuse-overlayfs")
}

/// Docker makes an empty directory on the host for a bind mount whose source is missing.
pub fn made_by_docker(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    inspected.found.filter(|found| is_file_role(&inspected.role) && found.kind == Kind::Directory)?;
    let what = "it is a directory where a file belongs: docker makes one for a bind mount whose source is missing";
    let fix = "on the host: remove that directory, log in so that the file is there, and start again; --mount \
               type=bind refuses a missing source, where -v makes it";
    Some(Finding::problem("made-by-docker", shown(&inspected.path), what, fix))
}

/// The directory that Kubernetes' secret volumes keep a version in: `..2026_01_31_08_15_00.123456789`.
fn is_version(name: &std::ffi::OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_prefix("..")).and_then(|rest| rest.get(..5));
    digits.is_some_and(|start| start.ends_with('_') && start.bytes().take(4).all(|byte| byte.is_ascii_digit()))
}

fn is_sub_path(mount: &Mount) -> bool {
    mount.root.components().any(|part| part.as_os_str() == "volume-subpaths" || is_version(part.as_os_str()))
}

/// A mount by Kubernetes' subPath.
pub fn sub_path(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    inspected.mount.as_ref().filter(|mount| is_sub_path(mount))?;
    let what = "it is mounted by subPath: it keeps the content of the container's start, whatever the volume gets";
    let fix = "mount the whole volume, and name it with --capture or --secrets";
    Some(Finding::problem("sub-path", shown(&inspected.path), what, fix))
}

/// A login file that is a mount of its own.
pub fn single_file(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    let mount = inspected.mount.as_ref().filter(|mount| !is_sub_path(mount))?;
    let is_login = matches!(inspected.role, PathRole::CapturedLogin | PathRole::PlacedLogin);
    inspected.found.filter(|found| is_login && found.kind == Kind::File)?;
    let directory = inspected.path.parent().map(shown).unwrap_or_default();
    let what = if mount.read_only {
        "it is a single file, mounted read-only: a refresh cannot be stored, and leaves the host with a spent login"
    } else {
        "it is a single file, mounted by itself: a login that the host renames into place is not seen here, and ours \
         can only be overwritten, which a crash can tear"
    };
    let fix = format!("mount its directory, writable: -v HOSTDIR:{directory}, or -v HOSTDIR:/capture");
    Some(Finding::problem("single-file-mount", shown(&inspected.path), what, fix))
}

/// A place for logins that is read-only.
pub fn read_only(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    let is_mounted_place = inspected.role == PathRole::Place && inspected.mount.is_some();
    inspected.found.filter(|_| inspected.role == PathRole::Capture || is_mounted_place)?;
    inspected.on.as_ref().filter(|mount| mount.read_only)?;
    let what = "it is read-only: the first refresh spends the login that is stored there, and cannot store the new one";
    let fix = "mount it read-write (without :ro, readOnly: true or read_only: true)";
    Some(Finding::problem("read-only", shown(&inspected.path), what, fix))
}

/// A capture that ends with the machine's uptime, or sooner.
pub fn in_memory(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    inspected.found.filter(|_| inspected.role == PathRole::Capture)?;
    inspected.on.as_ref().filter(|mount| matches!(mount.kind.as_str(), "tmpfs" | "ramfs"))?;
    let what = "it is in memory: the login is lost with the container or the machine";
    Some(Finding::problem("in-memory", shown(&inspected.path), what, mount_something(inspected)))
}

/// A capture in the container's own layer.
pub fn in_the_container(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    inspected.found.filter(|_| inspected.role == PathRole::Capture)?;
    inspected.on.as_ref().filter(|mount| mount.point.as_os_str() == "/" && is_overlay(mount))?;
    let what = "nothing is mounted there: the login is lost with the container";
    Some(Finding::problem("not-mounted", shown(&inspected.path), what, mount_something(inspected)))
}

fn mount_something(inspected: &InspectedPath) -> String {
    format!("mount a volume or a directory of the host there: docker run -v logins:{}", inspected.path.display())
}

/// A capture whose changes come from elsewhere unheard.
pub fn network(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    inspected.found.filter(|_| inspected.role == PathRole::Capture && !inspected.watched)?;
    let mount = inspected.on.as_ref()?;
    let what = format!("it is on {}: logins that others store there are seen late, by looking", mount.kind);
    let fix = "a volume on the machine's own disk is seen at once; nothing to do where several machines share it";
    Some(Finding::note("network-file-system", shown(&inspected.path), what, fix))
}

/// A place for logins that is full.
pub fn full(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    let matters = matches!(inspected.role, PathRole::Capture | PathRole::WorkingCopy | PathRole::State);
    // A read-only file system has no room, and a check of its own.
    let is_writable = inspected.on.as_ref().is_some_and(|mount| !mount.read_only);
    let room = inspected.room.filter(|room| matters && is_writable && *room < ROOM)?;
    let what = format!("its file system is full ({room} bytes left): a refreshed login cannot be written, and is lost");
    Some(Finding::problem("full", shown(&inspected.path), what, "make room, or give the tmpfs or volume a larger size"))
}

/// Working copies in the container's layer.
pub fn working_copy_on_disk(input: &DoctorInput) -> Vec<Finding> {
    let state = input.inspected(&PathRole::State).map_or(Path::new("/run/agent-init"), |state| &state.path);
    let of = |inspected: &InspectedPath| {
        let mount =
            inspected.on.as_ref().filter(|mount| inspected.role == PathRole::WorkingCopy && is_overlay(mount))?;
        let what = format!(
            "the working copy is on disk ({}): a login in it stays there until the container is removed",
            mount.kind
        );
        let elsewhere = if inspected.path.starts_with(state) {
            String::new()
        } else {
            format!(" and --work-dir {}/work", state.display())
        };
        let fix =
            format!("remove containers when they end (docker run --rm), or --tmpfs {}{elsewhere}", state.display());
        Some(Finding::note("on-disk", shown(&inspected.path), what, fix))
    };
    input.inspected_paths.iter().filter_map(of).collect()
}
