//! The fake vendor (`tests/vendor`) in a network namespace of its own, and runs of real agents in that namespace.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use super::{Run, Sandbox};

/// What the fake vendor answers to every prompt.
pub const ANSWER: &str = "Hello from the fake vendor.";

/// Where Claude Code refreshes.
pub const TOKEN: &str = "/v1/oauth/token";
/// Where Codex does.
pub const CODEX_TOKEN: &str = "/codex/oauth/token";

/// The uid of the sandbox's user `node`.
pub const NODE: u32 = 1000;

/// A file of the fake vendor.
pub fn vendor_file(name: &str) -> String {
    format!("{}/tests/vendor/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Where the real agents are installed; the first caller installs them.
pub fn agents() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/agents");
        let done = Command::new(script).stderr(Stdio::inherit()).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{script}: {}", done.status);
        String::from_utf8(done.stdout).unwrap().trim_end().into()
    })
}

/// A fake vendor that runs. Nothing in its network namespace reaches anything but it.
pub struct Vendor {
    child: Child,
    directory: TempDir,
    ready: Value,
}

impl Vendor {
    pub fn start() -> Self {
        Self::with(&["unshare", "-n"], &["--loopback-up"])
    }

    /// One in a network namespace that is there.
    pub fn within(network: &Path) -> Self {
        Self::with(&["nsenter", &format!("--net={}", network.display())], &[])
    }

    /// One that ends the whole login when a spent refresh token comes again.
    pub fn strict() -> Self {
        Self::with(&["unshare", "-n"], &["--loopback-up", "--revoke-on-reuse"])
    }

    fn with(enter: &[&str], options: &[&str]) -> Self {
        // The agent's user reads the certificate in there.
        let open = Permissions::from_mode(0o755);
        let directory = tempfile::Builder::new().prefix("vendor-").permissions(open).tempdir().unwrap();
        let place = directory.path().join("vendor");
        let mut child = Command::new(enter[0])
            .args(&enter[1..])
            .args(["python3", "-B", &vendor_file("vendor.py"), "serve", "--until-eof", "--dir"])
            .arg(&place)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("vendor: {e}: {line:?}"));
        let vendor = Self { child, directory, ready };
        // A name for the namespace that is seen from another pid namespace too.
        fs::write(vendor.network(), "").unwrap();
        let source = format!("/proc/{}/ns/net", vendor.child.id());
        let bound = Command::new("mount").args(["--bind", &source]).arg(vendor.network()).status();
        assert!(bound.unwrap().success(), "mount {source}");
        vendor
    }

    fn network(&self) -> PathBuf {
        self.directory.path().join("network")
    }

    /// The Unix socket at which it serves agents in any network namespace.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("vendor/agents.sock")
    }

    /// One request to the control socket.
    pub fn ask(&self, request: &str) -> Value {
        let socket = self.directory.path().join("vendor/control.sock");
        let mut stream = UnixStream::connect(socket).unwrap();
        write!(stream, "POST /control/{request} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{request}: {answer}");
        serde_json::from_str(body).unwrap()
    }

    /// A new login file, known to the vendor.
    pub fn login(&self, agent: &str, expires_in: i64) -> String {
        self.ask(&format!("mint?agent={agent}&expires_in={expires_in}")).to_string()
    }

    /// A long-lived token or an API key, known to the vendor.
    pub fn key(&self, agent: &str, kind: &str) -> String {
        text(&self.ask(&format!("mint?agent={agent}&kind={kind}")))
    }

    /// The requests to a path so far.
    pub fn requests(&self, path: &str) -> Vec<Value> {
        records(self.ask(&format!("log?path={path}")))
    }

    /// The same credential of every request to a path; each has to have it.
    pub fn sent(&self, path: &str, kind: &str) -> Vec<String> {
        self.requests(path).iter().map(|record| text(&record[kind])).collect()
    }

    /// Waits for the first request to a path.
    pub fn request(&self, path: &str) -> Value {
        records(self.ask(&format!("wait?path={path}"))).swap_remove(0)
    }

    /// Every credential of every request so far, as `bearer VALUE` and `api_key VALUE`.
    pub fn credentials(&self) -> BTreeSet<String> {
        let sent = |record: &Value| {
            let of = |kind: &str| record[kind].as_str().map(|value| format!("{kind} {value}"));
            ["bearer", "api_key"].into_iter().filter_map(of).collect::<Vec<_>>()
        };
        records(self.ask("log")).iter().flat_map(sent).collect()
    }

    /// A run as PID 1, as the user `node`, in the vendor's network, with the real agents first on PATH.
    pub fn run(&self, sandbox: &Sandbox, command: &[&str]) -> Run {
        self.run_of(sandbox, &["--user", "node", "--"]).arguments(command.iter().copied())
    }

    /// The same with these words for agent-init.
    pub fn run_of(&self, sandbox: &Sandbox, words: &[&str]) -> Run {
        sandbox.give("home", NODE);
        let place = sandbox.mkdir("agents");
        let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", place.display());
        let network = format!("--net={}", self.network().display());
        let mut run = sandbox
            .raw(words.iter().copied())
            .pid1()
            .bind(agents(), &place)
            .through(["nsenter", &network])
            .env("PATH", path)
            .env("TERM", "xterm-256color");
        for (name, value) in self.environment() {
            run = run.env(&name, value);
        }
        run
    }

    /// A run of a real agent without agent-init, as on a host: the user `node`, in the vendor's network, with `home` as
    /// the agent's config directory. `bin` is the directory of the agent's command.
    pub fn host(&self, sandbox: &Sandbox, bin: &str, home: &str, command: &[&str]) -> Run {
        let network = format!("--net={}", self.network().display());
        let mut run = sandbox
            .raw(command[1..].iter().copied())
            .program(&agents().join(bin).join(command[0]).display().to_string())
            .through(["nsenter", &network])
            .uid(NODE)
            .env("CLAUDE_CONFIG_DIR", home);
        for (name, value) in self.environment() {
            run = run.env(&name, value);
        }
        run
    }

    /// Where it serves in its network.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ready["port"])
    }

    /// What leads agents to it.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.ready["environment"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// `codex exec` with the vendor as its model provider.
    pub fn codex(&self, sandbox: &Sandbox) -> Run {
        self.run(sandbox, &["codex", "exec", "--skip-git-repo-check"])
            .arguments(self.codex_arguments())
            .arguments(["hello"])
    }

    /// What makes it the model provider of Codex.
    pub fn codex_arguments(&self) -> Vec<String> {
        self.ready["codex_arguments"].as_array().unwrap().iter().map(text).collect()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.network()).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The string that a value is.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no string: {value}")).into()
}

fn records(log: Value) -> Vec<Value> {
    match log {
        Value::Array(records) => records,
        other => panic!("no log: {other}"),
    }
}
