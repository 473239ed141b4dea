use super::*;

const CONFIG_DIR: &str = "/home/u/.x";

const FREE: Site = Site {
    naming: Naming::Default,
    mount: MountSite::None,
    occupant: Occupant::Directory { owner: Owner::Agent, contents: Contents::Agents },
    role: Role::None,
    writable: true,
};

const fn directory(owner: Owner, contents: Contents) -> Occupant {
    Occupant::Directory { owner, contents }
}

/// One state of the config directory, and the obstacle that it is as the default and if a variable names it.
struct Row {
    what: &'static str,
    site: Site,
    default: Option<Obstacle>,
    named: Option<Obstacle>,
}

const fn both(what: &'static str, site: Site, obstacle: Option<Obstacle>) -> Row {
    Row { what, site, default: obstacle, named: obstacle }
}

const fn only_named(what: &'static str, site: Site, named: Obstacle) -> Row {
    Row { what, site, default: None, named: Some(named) }
}

const ROWS: [Row; 23] = [
    both("the agent's own, a mount above it or none", FREE, None),
    both("missing", Site { occupant: Occupant::Missing, ..FREE }, None),
    both(
        "missing where nothing can be made",
        Site { occupant: Occupant::Missing, writable: false, ..FREE },
        Some(Obstacle::NotWritable),
    ),
    both("not writable", Site { writable: false, ..FREE }, Some(Obstacle::NotWritable)),
    both("made by the image as root", Site { occupant: directory(Owner::Init, Contents::Agents), ..FREE }, None),
    both(
        "a volume, a bind mount or a tmpfs at it",
        Site { mount: MountSite::Here, ..FREE },
        Some(Obstacle::MountPoint),
    ),
    both(
        "a mount of another user at it, in the working directory",
        Site {
            mount: MountSite::Here,
            occupant: directory(Owner::Other, Contents::Others),
            role: Role::Workspace,
            ..FREE
        },
        Some(Obstacle::MountPoint),
    ),
    both("a mount below it", Site { mount: MountSite::Below, ..FREE }, Some(Obstacle::HoldsMount)),
    both("a link", Site { occupant: Occupant::Link, ..FREE }, Some(Obstacle::Link)),
    both("a link to the capture", Site { occupant: Occupant::Link, role: Role::Capture, ..FREE }, Some(Obstacle::Link)),
    both("a file", Site { occupant: Occupant::NotADirectory, ..FREE }, Some(Obstacle::NotADirectory)),
    both("the capture", Site { role: Role::Capture, ..FREE }, Some(Obstacle::IsCapture)),
    both(
        "the capture, of another user",
        Site { role: Role::Capture, occupant: directory(Owner::Other, Contents::Others), ..FREE },
        Some(Obstacle::IsCapture),
    ),
    both(
        "another user's, and empty",
        Site { occupant: directory(Owner::Other, Contents::Agents), ..FREE },
        Some(Obstacle::OfAnotherUser),
    ),
    both(
        "another user's, not empty",
        Site { occupant: directory(Owner::Other, Contents::Others), ..FREE },
        Some(Obstacle::OfAnotherUser),
    ),
    both("in the working directory", Site { role: Role::Workspace, ..FREE }, Some(Obstacle::InWorkingDirectory)),
    both(
        "missing in the working directory",
        Site { role: Role::Workspace, occupant: Occupant::Missing, ..FREE },
        Some(Obstacle::InWorkingDirectory),
    ),
    both(
        "the agent's, with files that are not",
        Site { occupant: directory(Owner::Agent, Contents::Others), ..FREE },
        None,
    ),
    only_named(
        "root's, with files that are not the agent's",
        Site { occupant: directory(Owner::Init, Contents::Others), ..FREE },
        Obstacle::HoldsOtherFiles,
    ),
    only_named(
        "one that everybody may write to",
        Site { occupant: directory(Owner::Agent, Contents::Anybodys), ..FREE },
        Obstacle::OpenToAll,
    ),
    only_named("a directory of the system", Site { role: Role::System, ..FREE }, Obstacle::System),
    only_named(
        "a missing directory of the system",
        Site { role: Role::System, occupant: Occupant::Missing, ..FREE },
        Obstacle::System,
    ),
    only_named("HOME", Site { role: Role::Home, ..FREE }, Obstacle::HoldsHome),
];

/// Every state, for the default, a variable and `--work-dir`.
#[test]
fn the_place_and_its_reason_follow_from_the_site() {
    let paths =
        Paths { agent: "x", config_dir: Path::new(CONFIG_DIR), suffix: "", work_dir: None, state_dir: Path::new("/s") };
    for Row { what, site, default, named } in &ROWS {
        for (naming, obstacle) in [(Naming::Default, default), (Naming::Variable, named)] {
            let site = Site { naming, ..*site };
            let expected = match obstacle {
                None => Placement { path: CONFIG_DIR.into(), reason: Reason::ConfigDir },
                Some(why) => Placement { path: "/s/work/x".into(), reason: Reason::Diverted(*why) },
            };
            assert_eq!(place(&site, &paths), expected, "{what} {naming:?}");
            let with_option = Paths { work_dir: Some(Path::new("/w")), ..paths };
            let expected = Placement { path: "/w/x".into(), reason: Reason::WorkDir };
            assert_eq!(place(&site, &with_option), expected, "{what} {naming:?} --work-dir");
        }
    }
}

#[test]
fn a_suffix_is_added_elsewhere() {
    let paths =
        Paths { agent: "x", config_dir: Path::new("/d/x"), suffix: "x", work_dir: None, state_dir: Path::new("/s") };
    let elsewhere = Site { mount: MountSite::Here, ..FREE };
    assert_eq!(place(&elsewhere, &paths).path, Path::new("/s/work/x/x"));
    assert_eq!(place(&FREE, &paths).path, Path::new("/d/x"));
    let with_option = Paths { work_dir: Some(Path::new("/w")), ..paths };
    assert_eq!(place(&FREE, &with_option).path, Path::new("/w/x/x"));
}

#[test]
fn what_else_a_directory_is() {
    struct Row {
        config_dir: &'static str,
        working_directory: &'static str,
        home: &'static str,
        expected: Role,
    }
    let row = |config_dir, working_directory, home, expected| Row { config_dir, working_directory, home, expected };
    let rows = [
        row("/home/u/.x", "/workspace", "/home/u", Role::None),
        row("/workspace/.x", "/workspace", "/home/u", Role::Workspace),
        row("/workspace", "/workspace", "/home/u", Role::Workspace),
        row("/workspace-2/.x", "/workspace", "/home/u", Role::None),
        row("/workspace/.x", "/workspace/sub", "/home/u", Role::None),
        row("/home/u/.x", "/home/u", "/home/u", Role::None),
        row("/home/u/.x", "/home", "/home/u", Role::None),
        row("/home/other/.x", "/home", "/home/u", Role::Workspace),
        row("/home/u/project/.x", "/home/u/project", "/home/u", Role::Workspace),
        row("/home/u", "/home/u", "/home/u", Role::Workspace),
        row("/home/u", "/", "/home/u", Role::Home),
        row("/data", "/", "/data/homes/u", Role::Home),
        row("/data/x", "/", "/home/u", Role::None),
        row("/tmp", "/", "/home/u", Role::System),
        row("/tmp", "/tmp", "/home/u", Role::Workspace),
        row("/", "/w", "/home/u", Role::System),
        row("/captures", "/", "/home/u", Role::Capture),
        row("/captures/x", "/captures", "/home/u", Role::Capture),
        row("/captures/x/y", "/", "/home/u", Role::Capture),
        row("/captures/other", "/", "/home/u", Role::None),
        // HOME is in the capture: not everything there is the capture's.
        row("/captures/x/home/.x", "/", "/captures/x/home", Role::None),
    ];
    for Row { config_dir, working_directory, home, expected } in rows {
        let known = KnownDirectories {
            capture: Some("/captures/x".into()),
            capture_root: Some("/captures".into()),
            working_directory: working_directory.into(),
            home: home.into(),
        };
        assert_eq!(role(Path::new(config_dir), &known), expected, "{config_dir:?} {known:?}");
    }
}

#[test]
fn settings_count_unless_anybody_may_have_put_them_there() {
    for (obstacle, expected) in [
        (Obstacle::MountPoint, true),
        (Obstacle::HoldsOtherFiles, true),
        (Obstacle::OpenToAll, false),
        (Obstacle::System, false),
    ] {
        assert_eq!(obstacle.lets_settings_count(), expected, "{obstacle:?}");
    }
}

#[test]
fn paths_are_made_normal() {
    for (path, expected) in [("/a/../b/./c", "/b/c"), ("/..", "/"), ("/a/b/", "/a/b")] {
        assert_eq!(normal(Path::new(path)), Path::new(expected), "{path}");
    }
}
