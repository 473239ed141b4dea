//! Pure. Checks the mounts.

use std::path::Path;

use crate::doctor::finding::{Finding, shown};
use crate::doctor::input::{DoctorInput, InspectedPath, PathRole};
use crate::fs::mounts::Mount;
use crate::sys::stat::Kind;

/// In bytes: the space for a login, its temporary file and its record.
const MIN_ROOM: u64 = 256 * 1024;

fn is_file_role(role: &PathRole) -> bool {
    matches!(role, PathRole::CapturedLogin | PathRole::ConfigDirLogin | PathRole::Secret | PathRole::Named(_))
}

fn is_overlay(mount: &Mount) -> bool {
    matches!(mount.kind.as_str(), "overlay" | "aufs" | "fuse.fuse-overlayfs")
}

/// Docker makes an empty directory on the host for a bind mount whose source is missing.
pub fn made_by_docker(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    inspected.found.filter(|found| is_file_role(&inspected.role) && found.kind == Kind::Directory)?;
    let what = "it is a directory and should be a file: docker makes one if the source of a bind mount is missing";
    let fix = "on the host: remove that directory, log in so that the file exists, and start again; --mount \
               type=bind refuses a missing source, and -v creates it";
    Some(Finding::problem("made-by-docker", shown(&inspected.path), what, fix))
}

/// A directory in which a secret volume of Kubernetes keeps one version: `..2026_01_31_08_15_00.123456789`.
fn is_version(name: &std::ffi::OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_prefix("..")).and_then(|rest| rest.get(..5));
    digits.is_some_and(|start| start.ends_with('_') && start.bytes().take(4).all(|byte| byte.is_ascii_digit()))
}

fn is_sub_path(mount: &Mount) -> bool {
    mount.root.components().any(|part| part.as_os_str() == "volume-subpaths" || is_version(part.as_os_str()))
}

/// A mount by subPath of Kubernetes.
pub fn sub_path(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    inspected.mount.as_ref().filter(|mount| is_sub_path(mount))?;
    let what = "it is mounted by subPath: changes of the volume after the container started are not visible";
    let fix = "mount the whole volume, and name it with --capture or --secrets";
    Some(Finding::problem("sub-path", shown(&inspected.path), what, fix))
}

/// A login file that is itself a mount.
pub fn single_file(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    let mount = inspected.mount.as_ref().filter(|mount| !is_sub_path(mount))?;
    let is_login = matches!(inspected.role, PathRole::CapturedLogin | PathRole::ConfigDirLogin);
    inspected.found.filter(|found| is_login && found.kind == Kind::File)?;
    let directory = inspected.path.parent().map(shown).unwrap_or_default();
    let what = if mount.read_only {
        "it is a single file, mounted read-only: a refreshed login cannot be stored, and the login on the host is spent"
    } else {
        "it is a single file, mounted by itself: a login that the host renames into place is not visible here, and \
         writes are not atomic, so a crash can damage the login"
    };
    let fix = format!("mount its directory, writable: -v HOSTDIR:{directory}, or -v HOSTDIR:/capture");
    Some(Finding::problem("single-file-mount", shown(&inspected.path), what, fix))
}

/// A read-only capture or mounted config directory.
pub fn read_only(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    let is_mounted_config_dir = inspected.role == PathRole::ConfigDir && inspected.mount.is_some();
    inspected.found.filter(|_| inspected.role == PathRole::Capture || is_mounted_config_dir)?;
    inspected.on.as_ref().filter(|mount| mount.read_only)?;
    let what = "it is read-only: the first refresh spends the login that is stored there, and cannot store the new one";
    let fix = "mount it read-write (without :ro, readOnly: true or read_only: true)";
    Some(Finding::problem("read-only", shown(&inspected.path), what, fix))
}

/// A capture in memory.
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

/// A capture on a file system where inotify(7) does not report changes by other machines.
pub fn network(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    inspected.found.filter(|_| inspected.role == PathRole::Capture && !inspected.watched)?;
    let mount = inspected.on.as_ref()?;
    let what = format!("it is on {}: a login that another machine stores is noticed late, by polling", mount.kind);
    let fix = "use a volume on a local disk, unless several machines share the login";
    Some(Finding::note("network-file-system", shown(&inspected.path), what, fix))
}

/// A directory for logins whose file system is full.
pub fn full(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    let matters = matches!(inspected.role, PathRole::Capture | PathRole::WorkingCopy | PathRole::State);
    // A read-only file system has no room, and a check of its own.
    let is_writable = inspected.on.as_ref().is_some_and(|mount| !mount.read_only);
    let room = inspected.room.filter(|room| matters && is_writable && *room < MIN_ROOM)?;
    let what = format!("its file system is full ({room} bytes left): a refreshed login cannot be written, and is lost");
    Some(Finding::problem("full", shown(&inspected.path), what, "free space, or enlarge the tmpfs or volume"))
}

/// Working copies in the container's own layer.
pub fn working_copy_on_disk(input: &DoctorInput) -> Vec<Finding> {
    let state = input.inspected(&PathRole::State).map_or(Path::new("/run/agent-init"), |state| &state.path);
    let on_disk = |inspected: &InspectedPath| {
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
    input.inspected_paths.iter().filter_map(on_disk).collect()
}
