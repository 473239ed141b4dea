use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use crate::doctor::input::Found;
use crate::fs::mounts::Mount;
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
fn spot(role: Role, path: &str, kind: Kind) -> Spot {
    let mode = if kind == Kind::Directory { 0o700 } else { 0o600 };
    Spot {
        role,
        path: path.into(),
        found: Some(found(kind, mode, 0)),
        mount: None,
        on: Some(mount("/capture", "/", "ext4", false)),
        readable: true,
        writable: true,
        heard: true,
        room: Some(1 << 30),
        conflicts: 0,
        is_empty: false,
    }
}

fn capture() -> Spot {
    spot(Role::Capture, "/capture", Kind::Directory)
}

fn login(role: Role) -> Spot {
    spot(role, "/capture/x/login", Kind::File)
}

fn around(spots: Vec<Spot>) -> Surroundings {
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
    Surroundings { spots, process: Some(process), agent: (1000, 1000), current: (0, 0), is_running: false, now: now() }
}

/// The checks that speak, and `!` before those that are problems.
fn spoken(around: &Surroundings) -> Vec<String> {
    let name = |finding: Finding| {
        assert!(!finding.fix.is_empty() && !finding.what.is_empty() && !finding.subject.is_empty(), "{finding:?}");
        format!("{}{}", if finding.is_problem { "!" } else { "" }, finding.check)
    };
    of_surroundings(around).into_iter().map(name).collect()
}

#[test]
fn what_is_well_is_not_spoken_of() {
    let spots = vec![
        capture(),
        login(Role::CapturedLogin),
        login(Role::PlacedLogin),
        spot(Role::State, "/run/agent-init", Kind::Directory),
        spot(Role::WorkingCopy, "/home/x/.x", Kind::Directory),
        Spot { found: None, ..spot(Role::Secret, "/run/secrets/x", Kind::File) },
        Spot {
            found: Some(found(Kind::Directory, 0o755, 1000)),
            ..spot(Role::WorkingDirectory, "/w", Kind::Directory)
        },
    ];
    assert_eq!(spoken(&around(spots)), [] as [&str; 0]);
}

#[test]
fn what_is_wrong_with_a_path() {
    let own_mount = |spot: Spot, root: &str, read_only| {
        let own = mount("/capture/x/login", root, "ext4", read_only);
        Spot { mount: Some(own.clone()), on: Some(own), ..spot }
    };
    let on =
        |spot: Spot, point: &str, kind: &str, read_only| Spot { on: Some(mount(point, "/", kind, read_only)), ..spot };
    let has = |spot: Spot, kind, mode, uid| Spot { found: Some(found(kind, mode, uid)), ..spot };
    let rows: Vec<(Spot, &[&str])> = vec![
        (has(login(Role::CapturedLogin), Kind::Directory, 0o755, 0), &["!made-by-docker"]),
        (has(spot(Role::Named("X_FILE".into()), "/x", Kind::File), Kind::Directory, 0o755, 0), &["!made-by-docker"]),
        (own_mount(login(Role::PlacedLogin), "/home/u/.x/login", false), &["!single-file-mount"]),
        (own_mount(login(Role::PlacedLogin), "/home/u/.x/login", true), &["!single-file-mount"]),
        (own_mount(login(Role::PlacedLogin), "/v/volume-subpaths/x/c/0", false), &["!sub-path"]),
        (own_mount(login(Role::PlacedLogin), "/..2026_01_31_08_15_00.123456789/login", true), &["!sub-path"]),
        (on(capture(), "/capture", "ext4", true), &["!read-only"]),
        (on(capture(), "/capture", "tmpfs", false), &["!in-memory"]),
        (on(capture(), "/", "overlay", false), &["!not-mounted"]),
        (on(capture(), "/", "ext4", false), &[]),
        (Spot { heard: false, ..on(capture(), "/capture", "nfs4", false) }, &["network-file-system"]),
        (Spot { heard: false, ..login(Role::CapturedLogin) }, &[]),
        (on(spot(Role::WorkingCopy, "/h/.x", Kind::Directory), "/", "overlay", false), &["on-disk"]),
        (Spot { room: Some(1000), ..capture() }, &["!full"]),
        (Spot { room: Some(0), ..on(capture(), "/capture", "ext4", true) }, &["!read-only"]),
        (Spot { readable: false, writable: false, ..capture() }, &["!capture-closed"]),
        (Spot { writable: false, ..capture() }, &["!capture-not-writable"]),
        (has(login(Role::CapturedLogin), Kind::File, 0o644, 0), &["!open-to-others"]),
        (Spot { readable: false, ..spot(Role::Secret, "/run/secrets/x", Kind::File) }, &["!secret-closed"]),
        (
            has(on(spot(Role::Secret, "/run/secrets/x", Kind::File), "/", "overlay", false), Kind::File, 0o444, 0),
            &["secret-in-layer"],
        ),
        (spot(Role::WorkingDirectory, "/w", Kind::Directory), &["working-directory-closed"]),
        (has(spot(Role::State, "/s", Kind::Directory), Kind::Directory, 0o777, 0), &["!state-directory"]),
        (has(spot(Role::State, "/s", Kind::Directory), Kind::Directory, 0o711, 1000), &["!state-directory"]),
        // A start closes what is new and bears our name.
        (
            Spot {
                is_empty: true,
                ..has(spot(Role::State, "/run/agent-init", Kind::Directory), Kind::Directory, 0o1777, 0)
            },
            &[],
        ),
        (has(spot(Role::State, "/run/agent-init", Kind::Directory), Kind::Directory, 0o1777, 0), &["!state-directory"]),
        (Spot { readable: false, ..login(Role::CapturedLogin) }, &["!login-closed"]),
        (
            Spot { readable: false, ..own_mount(spot(Role::Place, "/h/.x", Kind::Directory), "/", false) },
            &["!capture-closed"],
        ),
        (spot(Role::Recovery, "/s/recovery/x/login", Kind::File), &["!recovery"]),
        (Spot { conflicts: 2, ..capture() }, &["conflicts"]),
        (spot(Role::RefreshLock, "/h/.x.lock", Kind::File), &["!refresh-lock"]),
        (spot(Role::RefreshLock, "/h/.x.lock", Kind::Directory), &[]),
    ];
    for (spot, expected) in rows {
        let what = format!("{spot:?}");
        assert_eq!(spoken(&around(vec![spot])), expected, "{what}");
    }
}

#[test]
fn a_lock_of_a_killed_run() {
    let ahead = Found { modified: now() + Duration::from_secs(86_400), ..found(Kind::Directory, 0o755, 0) };
    let lock = Spot { found: Some(ahead), ..spot(Role::RefreshLock, "/h/.x.lock", Kind::Directory) };
    assert_eq!(spoken(&around(vec![lock.clone()])), ["!refresh-lock"]);
    assert_eq!(spoken(&Surroundings { is_running: true, ..around(vec![lock]) }), [] as [&str; 0]);
}

#[test]
fn capabilities() {
    let with = |effective| {
        let whole = around(Vec::new());
        let process = whole.process.clone().map(|process| Process { effective, ..process });
        Surroundings { process, ..whole }
    };
    assert_eq!(spoken(&with(0)).len(), 5);
    assert_eq!(of_surroundings(&with(0xa804_25fb & !(1 << 7)))[0].subject, "CAP_SETUID");
    assert_eq!(spoken(&Surroundings { agent: (0, 0), ..with(0) }), [] as [&str; 0]);
    assert_eq!(spoken(&Surroundings { current: (1000, 1000), ..with(0) }), [] as [&str; 0]);
}

#[test]
fn clocks() {
    let old = Surroundings { now: UNIX_EPOCH + Duration::from_secs(5), ..around(Vec::new()) };
    assert_eq!(spoken(&old), ["!clock"]);
    let later = Found { modified: now() + Duration::from_secs(3600), ..found(Kind::File, 0o600, 0) };
    let behind = around(vec![Spot { found: Some(later), ..login(Role::CapturedLogin) }]);
    assert_eq!(spoken(&behind), ["!clock"]);
}

#[test]
fn secrets_that_a_tmpfs_hides() {
    let run = Spot { mount: Some(mount("/run", "/", "tmpfs", false)), ..spot(Role::Run, "/run", Kind::Directory) };
    let secrets = spot(Role::RunSecrets, "/run/secrets", Kind::Directory);
    assert_eq!(spoken(&around(vec![run.clone(), Spot { found: None, ..secrets.clone() }])), ["secrets-hidden"]);
    assert_eq!(spoken(&around(vec![run, secrets])), [] as [&str; 0]);
}

#[test]
fn problems_come_first() {
    let spots = vec![Spot { conflicts: 1, ..capture() }, spot(Role::Recovery, "/s/login", Kind::File)];
    assert_eq!(spoken(&around(spots)), ["!recovery", "conflicts"]);
}

#[test]
fn what_is_on_one_mount_is_said_once() {
    let on = |path: &str| Spot {
        on: Some(mount("/capture", "/", "tmpfs", false)),
        ..spot(Role::Capture, path, Kind::Directory)
    };
    let findings = of_surroundings(&around(vec![on("/capture"), on("/capture/x"), on("/other")]));
    let subjects: Vec<&str> = findings.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(subjects, ["/capture", "/other"]);
    assert!(findings[1].fix.ends_with("-v logins:/other"), "{findings:?}");
}

#[test]
fn a_source_that_is_closed_is_explained_once() {
    let closed = of_surroundings(&around(vec![Spot { readable: false, ..capture() }]));
    let unusable = |source: &str| Finding::problem("unusable", source, "it is no usable login", "log in");
    let all = together(closed, vec![unusable("capture:/capture/x"), unusable("env:X"), unusable("mount:/h/.x")]);
    let subjects: Vec<&str> = all.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(subjects, ["/capture", "env:X", "mount:/h/.x"]);
}
