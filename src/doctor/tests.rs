use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use crate::doctor::input::Found;
use crate::fs::mounts::Mount;
use crate::login::Source;
use crate::process::table::Process;
use crate::sys::stat::Kind;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn mount(point: &str, root: &str, kind: &str, read_only: bool) -> Mount {
    Mount { point: point.into(), root: root.into(), kind: kind.into(), read_only }
}

fn found(kind: Kind, mode: u32, uid: u32) -> Found {
    Found { kind, mode, uid, gid: uid, modified: now() - Duration::from_secs(60) }
}

/// A path with nothing wrong, on a disk of the host.
fn inspected(role: PathRole, path: &str, kind: Kind) -> InspectedPath {
    let mode = if kind == Kind::Directory { 0o700 } else { 0o600 };
    InspectedPath {
        role,
        path: path.into(),
        found: Some(found(kind, mode, 0)),
        mount: None,
        on: Some(mount("/capture", "/", "ext4", false)),
        readable: true,
        writable: true,
        watched: true,
        room: Some(1 << 30),
        conflicts: 0,
        is_empty: false,
    }
}

fn capture() -> InspectedPath {
    inspected(PathRole::Capture, "/capture", Kind::Directory)
}

fn login(role: PathRole) -> InspectedPath {
    inspected(role, "/capture/x/login", Kind::File)
}

fn input_with(inspected_paths: Vec<InspectedPath>) -> DoctorInput {
    let process = Process {
        pid: 1,
        parent: 0,
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        no_new_privs: false,
        bounding: 0xa804_25fb,
        effective: 0xa804_25fb,
    };
    DoctorInput {
        inspected_paths,
        process: Some(process),
        agent: (1000, 1000),
        current: (0, 0),
        is_running: false,
        now: now(),
    }
}

/// The names of the checks with findings, with `!` before problems.
fn check_names(input: &DoctorInput) -> Vec<String> {
    let name = |finding: Finding| {
        assert!(!finding.fix.is_empty() && !finding.what.is_empty() && !finding.subject.is_empty(), "{finding:?}");
        format!("{}{}", if finding.is_problem { "!" } else { "" }, finding.check)
    };
    check_input(input).into_iter().map(name).collect()
}

#[test]
fn healthy_paths_have_no_findings() {
    let inspected_paths = vec![
        capture(),
        login(PathRole::CapturedLogin),
        login(PathRole::ConfigDirLogin),
        inspected(PathRole::State, "/run/agent-init", Kind::Directory),
        inspected(PathRole::WorkingCopy, "/home/x/.x", Kind::Directory),
        InspectedPath { found: None, ..inspected(PathRole::Secret, "/run/secrets/x", Kind::File) },
        InspectedPath {
            found: Some(found(Kind::Directory, 0o755, 1000)),
            ..inspected(PathRole::WorkingDirectory, "/w", Kind::Directory)
        },
    ];
    assert_eq!(check_names(&input_with(inspected_paths)), [] as [&str; 0]);
}

#[test]
fn each_problem_of_a_path_is_found() {
    let own_mount = |inspected: InspectedPath, root: &str, read_only| {
        let own = mount("/capture/x/login", root, "ext4", read_only);
        InspectedPath { mount: Some(own.clone()), on: Some(own), ..inspected }
    };
    let on = |inspected: InspectedPath, point: &str, kind: &str, read_only| InspectedPath {
        on: Some(mount(point, "/", kind, read_only)),
        ..inspected
    };
    let has =
        |inspected: InspectedPath, kind, mode, uid| InspectedPath { found: Some(found(kind, mode, uid)), ..inspected };
    let rows: Vec<(InspectedPath, &[&str])> = vec![
        (has(login(PathRole::CapturedLogin), Kind::Directory, 0o755, 0), &["!made-by-docker"]),
        (
            has(inspected(PathRole::Named("X_FILE".into()), "/x", Kind::File), Kind::Directory, 0o755, 0),
            &["!made-by-docker"],
        ),
        (own_mount(login(PathRole::ConfigDirLogin), "/home/u/.x/login", false), &["!single-file-mount"]),
        (own_mount(login(PathRole::ConfigDirLogin), "/home/u/.x/login", true), &["!single-file-mount"]),
        (own_mount(login(PathRole::ConfigDirLogin), "/v/volume-subpaths/x/c/0", false), &["!sub-path"]),
        (own_mount(login(PathRole::ConfigDirLogin), "/..2026_01_31_08_15_00.123456789/login", true), &["!sub-path"]),
        (on(capture(), "/capture", "ext4", true), &["!read-only"]),
        (on(capture(), "/capture", "tmpfs", false), &["!in-memory"]),
        (on(capture(), "/", "overlay", false), &["!not-mounted"]),
        (on(capture(), "/", "ext4", false), &[]),
        (InspectedPath { watched: false, ..on(capture(), "/capture", "nfs4", false) }, &["network-file-system"]),
        (InspectedPath { watched: false, ..login(PathRole::CapturedLogin) }, &[]),
        (on(inspected(PathRole::WorkingCopy, "/h/.x", Kind::Directory), "/", "overlay", false), &["on-disk"]),
        (InspectedPath { room: Some(1000), ..capture() }, &["!full"]),
        (InspectedPath { room: Some(0), ..on(capture(), "/capture", "ext4", true) }, &["!read-only"]),
        (InspectedPath { readable: false, writable: false, ..capture() }, &["!capture-closed"]),
        (InspectedPath { writable: false, ..capture() }, &["!capture-not-writable"]),
        (has(login(PathRole::CapturedLogin), Kind::File, 0o644, 0), &["!open-to-others"]),
        (
            InspectedPath { readable: false, ..inspected(PathRole::Secret, "/run/secrets/x", Kind::File) },
            &["!secret-closed"],
        ),
        (
            has(
                on(inspected(PathRole::Secret, "/run/secrets/x", Kind::File), "/", "overlay", false),
                Kind::File,
                0o444,
                0,
            ),
            &["secret-in-layer"],
        ),
        (inspected(PathRole::WorkingDirectory, "/w", Kind::Directory), &["working-directory-closed"]),
        (has(inspected(PathRole::State, "/s", Kind::Directory), Kind::Directory, 0o777, 0), &["!state-directory"]),
        (has(inspected(PathRole::State, "/s", Kind::Directory), Kind::Directory, 0o711, 1000), &["!state-directory"]),
        // A start closes what is new and bears our name.
        (
            InspectedPath {
                is_empty: true,
                ..has(inspected(PathRole::State, "/run/agent-init", Kind::Directory), Kind::Directory, 0o1777, 0)
            },
            &[],
        ),
        (
            has(inspected(PathRole::State, "/run/agent-init", Kind::Directory), Kind::Directory, 0o1777, 0),
            &["!state-directory"],
        ),
        (InspectedPath { readable: false, ..login(PathRole::CapturedLogin) }, &["!login-closed"]),
        (
            InspectedPath {
                readable: false,
                ..own_mount(inspected(PathRole::ConfigDir, "/h/.x", Kind::Directory), "/", false)
            },
            &["!capture-closed"],
        ),
        (inspected(PathRole::Recovery, "/s/recovery/x/login", Kind::File), &["!recovery"]),
        (InspectedPath { conflicts: 2, ..capture() }, &["conflicts"]),
        (inspected(PathRole::RefreshLock, "/h/.x.lock", Kind::File), &["!refresh-lock"]),
        (inspected(PathRole::RefreshLock, "/h/.x.lock", Kind::Directory), &[]),
    ];
    for (inspected, expected) in rows {
        let what = format!("{inspected:?}");
        assert_eq!(check_names(&input_with(vec![inspected])), expected, "{what}");
    }
}

#[test]
fn the_lock_of_a_killed_run_is_a_problem() {
    let ahead = Found { modified: now() + Duration::from_secs(86_400), ..found(Kind::Directory, 0o755, 0) };
    let lock = InspectedPath { found: Some(ahead), ..inspected(PathRole::RefreshLock, "/h/.x.lock", Kind::Directory) };
    assert_eq!(check_names(&input_with(vec![lock.clone()])), ["!refresh-lock"]);
    assert_eq!(check_names(&DoctorInput { is_running: true, ..input_with(vec![lock]) }), [] as [&str; 0]);
}

#[test]
fn missing_capabilities_are_problems() {
    let with = |effective| {
        let whole = input_with(Vec::new());
        let process = whole.process.clone().map(|process| Process { effective, ..process });
        DoctorInput { process, ..whole }
    };
    assert_eq!(check_names(&with(0)).len(), 5);
    assert_eq!(check_input(&with(0xa804_25fb & !(1 << 7)))[0].subject, "CAP_SETUID");
    assert_eq!(check_names(&DoctorInput { agent: (0, 0), ..with(0) }), [] as [&str; 0]);
    assert_eq!(check_names(&DoctorInput { current: (1000, 1000), ..with(0) }), [] as [&str; 0]);
}

#[test]
fn a_wrong_clock_is_a_problem() {
    let old = DoctorInput { now: UNIX_EPOCH + Duration::from_secs(5), ..input_with(Vec::new()) };
    assert_eq!(check_names(&old), ["!clock"]);
    let later = Found { modified: now() + Duration::from_secs(3600), ..found(Kind::File, 0o600, 0) };
    let behind = input_with(vec![InspectedPath { found: Some(later), ..login(PathRole::CapturedLogin) }]);
    assert_eq!(check_names(&behind), ["!clock"]);
}

#[test]
fn secrets_hidden_by_a_tmpfs_are_a_note() {
    let run = InspectedPath {
        mount: Some(mount("/run", "/", "tmpfs", false)),
        ..inspected(PathRole::Run, "/run", Kind::Directory)
    };
    let secrets = inspected(PathRole::RunSecrets, "/run/secrets", Kind::Directory);
    assert_eq!(
        check_names(&input_with(vec![run.clone(), InspectedPath { found: None, ..secrets.clone() }])),
        ["secrets-hidden"]
    );
    assert_eq!(check_names(&input_with(vec![run, secrets])), [] as [&str; 0]);
}

#[test]
fn problems_come_first() {
    let inspected_paths =
        vec![InspectedPath { conflicts: 1, ..capture() }, inspected(PathRole::Recovery, "/s/login", Kind::File)];
    assert_eq!(check_names(&input_with(inspected_paths)), ["!recovery", "conflicts"]);
}

#[test]
fn one_mount_has_one_finding() {
    let on = |path: &str| InspectedPath {
        on: Some(mount("/capture", "/", "tmpfs", false)),
        ..inspected(PathRole::Capture, path, Kind::Directory)
    };
    let findings = check_input(&input_with(vec![on("/capture"), on("/capture/x"), on("/other")]));
    let subjects: Vec<&str> = findings.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(subjects, ["/capture", "/other"]);
    assert!(findings[1].fix.ends_with("-v logins:/other"), "{findings:?}");
}

#[test]
fn a_closed_source_has_one_finding() {
    let closed = check_input(&input_with(vec![InspectedPath { readable: false, ..capture() }]));
    let unusable = |source: &Source| Finding {
        source: source.path().map(Path::to_owned),
        ..Finding::problem("unusable", source.to_string(), "it is not a usable login", "log in")
    };
    let sources = [Source::Capture("/capture/x".into()), Source::Env("X".into()), Source::Mount("/h/.x".into())];
    let all = combine(closed, sources.iter().map(unusable).collect());
    let subjects: Vec<&str> = all.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(subjects, ["/capture", "env:X", "mount:/h/.x"]);
}
