//! Servers that stores are in, and where their programs are.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A file of the project.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The commands that `scripts/store-servers` installs; the first caller has it install them.
pub fn commands() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let script = file("scripts/store-servers");
        let done = Command::new(&script).stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
        assert!(done.status.success(), "{}: {}", script.display(), done.status);
        Path::new(String::from_utf8(done.stdout).unwrap().trim_end()).join("bin")
    })
}

/// Ends with the test process, however that ends: the server's standard input ends then.
pub struct Server {
    /// What its clients need in their environment.
    pub environment: BTreeMap<String, String>,
    _child: Child,
}

impl Server {
    /// Starts `tests/stores/SCRIPT` and waits until it answers.
    pub fn start(script: &str, arguments: &[&Path]) -> Self {
        Self::of(Command::new(commands().join("python")), script, arguments)
    }

    /// The same in a network namespace that is there.
    pub fn within(network: &Path, script: &str, arguments: &[&Path]) -> Self {
        let mut enter = Command::new("nsenter");
        enter.arg(format!("--net={}", network.display())).arg(commands().join("python"));
        Self::of(enter, script, arguments)
    }

    fn of(mut python: Command, script: &str, arguments: &[&Path]) -> Self {
        let mut child = python
            .arg("-B")
            .arg(file("tests/stores").join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0) // an interrupt at the terminal is for the tests, whose end then ends it
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let environment = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{script}: {e}: {line:?}"));
        Self { environment, _child: child }
    }
}
