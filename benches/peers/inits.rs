//! The catalogue: which inits are compared, where they are, how each is called.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ground::{Ground, USER};

/// The name of the init that this project builds.
pub const SUBJECT: &str = "agent-init";
const PEERS: [&str; 4] = ["tini", "tini-static", "catatonit", "dumb-init"];
const STEPPER: &str = "gosu";
const DIRECTORIES: [&str; 5] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin"];

/// A made-up login of the form that Claude Code stores.
const SESSION: &str = r#"{"claudeAiOauth":{"accessToken":"sk-ant-oat01-FAKE-bench","refreshToken":"sk-ant-ort01-FAKE-bench","expiresAt":4102444800000,"scopes":["user:inference","user:profile"],"subscriptionType":"max"}}"#;

/// Labels of cases that are looked up.
pub const BARE: &str = "/bin/true";
pub const PLAIN_START: &str = "agent-init -- true";
pub const STEPPED_START: &str = "tini -- gosu USER true";
pub const USER_START: &str = "agent-init --user USER -- true";
pub const SESSION_START: &str = "agent-init --user USER, session installed";
pub const CAPTURED_START: &str = "... and published to a capture";

/// The programs that were found on this machine.
pub struct Inits {
    found: Vec<(String, PathBuf)>,
}

/// One way to start a command.
pub struct Launch {
    pub label: String,
    pub argv: Vec<String>,
    /// Whether a made-up session is in the environment.
    pub session: bool,
}

impl Launch {
    fn new(label: &str, argv: impl IntoIterator<Item = String>) -> Self {
        Self { label: label.to_owned(), argv: argv.into_iter().collect(), session: false }
    }

    /// Ready to spawn, on `ground`.
    pub fn command(&self, ground: &Ground) -> std::process::Command {
        let mut command = ground.command(&self.argv);
        if self.session {
            command.env("CLAUDE_CREDENTIALS_B64", STANDARD.encode(SESSION));
        }
        command
    }
}

impl Inits {
    pub fn find(subject: PathBuf) -> Result<Self> {
        let mut found = vec![(SUBJECT.to_owned(), subject)];
        for name in PEERS.into_iter().chain([STEPPER]) {
            let place = DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).find(|path| path.is_file());
            found.extend(place.map(|path| (name.to_owned(), path)));
        }
        ensure!(Path::new(BARE).is_file(), "{BARE} is missing");
        Ok(Self { found })
    }

    pub fn missing(&self) -> Vec<String> {
        let absent = |name: &&str| self.path(name).is_none();
        PEERS.into_iter().chain([STEPPER]).filter(absent).map(|name| format!("{name}: not installed")).collect()
    }

    pub fn path(&self, name: &str) -> Option<&Path> {
        self.found.iter().find(|(found, _)| found == name).map(|(_, path)| path.as_path())
    }

    /// Everything found, this project's binary first.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.found.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }

    fn call(&self, name: &str, rest: &[&str]) -> Option<Vec<String>> {
        let path = self.path(name)?.to_string_lossy().into_owned();
        Some(std::iter::once(path).chain(rest.iter().map(|word| (*word).to_owned())).collect())
    }

    /// `INIT -- COMMAND` for every init.
    pub fn plain(&self, command: &[&str]) -> Vec<Launch> {
        let words: Vec<&str> = std::iter::once("--").chain(command.iter().copied()).collect();
        let names = std::iter::once(SUBJECT).chain(PEERS);
        names.filter_map(|name| self.call(name, &words).map(|argv| Launch::new(name, argv))).collect()
    }

    /// agent-init serving a session, with write-back to a capture, for `command`.
    pub fn serving(&self, ground: &Ground, command: &[&str]) -> Option<Launch> {
        let (state, capture) = (ground.path("state"), ground.path("capture"));
        let words = ["--agent", "claude", "--state-dir", &state, "--capture", &capture, "--"];
        let argv = self.call(SUBJECT, &[words.as_slice(), command].concat())?;
        Some(Launch { session: true, ..Launch::new("agent-init, live session", argv) })
    }

    /// The bare command, and what needs no privilege.
    pub fn starts(&self) -> Vec<Launch> {
        let bare = Launch::new(BARE, [BARE.to_owned()]);
        let plain = self
            .plain(&["true"])
            .into_iter()
            .map(|launch| Launch { label: format!("{} -- true", launch.label), ..launch });
        std::iter::once(bare).chain(plain).collect()
    }

    /// What takes on another user, which only root can.
    pub fn privileged(&self, ground: &Ground) -> Vec<Launch> {
        let [home, state, capture] = ["home", "state", "capture"].map(|name| ground.path(name));
        let gosu = self.path(STEPPER).map(|path| path.to_string_lossy().into_owned());
        let mut launches = Vec::new();
        let mut add = |label: &str, session: bool, argv: Option<Vec<String>>| {
            launches.extend(argv.map(|argv| Launch { session, ..Launch::new(label, argv) }));
        };
        add("gosu USER true", false, self.call(STEPPER, &[USER, "true"]));
        for name in ["tini", "tini-static"] {
            let label = format!("{name} -- gosu USER true");
            add(&label, false, gosu.as_deref().and_then(|gosu| self.call(name, &["--", gosu, USER, "true"])));
        }
        add(USER_START, false, self.call(SUBJECT, &["--user", USER, "--", "true"]));
        let session = ["--agent", "claude", "--user", USER, "--home", &home, "--state-dir", &state];
        add(SESSION_START, true, self.call(SUBJECT, &[session.as_slice(), &["--", "true"]].concat()));
        let captured = [session.as_slice(), &["--capture", &capture, "--", "true"]].concat();
        add(CAPTURED_START, true, self.call(SUBJECT, &captured));
        launches
    }
}
