//! One run of the binary: arguments, environment, identity and namespace.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{LIMIT, Live, Outcome, Sandbox, noise};

/// Builds a run. By default: our own uid, not PID 1, an environment of PATH, `AGENT_INIT_HOME`, `HOME`,
/// `AGENT_INIT_STATE_DIR`, `AGENT_INIT_CAPTURE` and `AGENT_INIT_SECRETS` of the sandbox and of noise, stdin from `/dev/null`.
#[must_use]
pub struct Run {
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    directory: std::path::PathBuf,
    program: String,
    preamble: String,
    wrappers: Vec<String>,
    namespace: bool,
    stdin: Option<String>,
    limit: Duration,
}

impl Run {
    pub(super) fn new(sandbox: &Sandbox, arguments: Vec<String>) -> Self {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", sandbox.text("bin"));
        let env = [
            ("PATH", path),
            ("HOME", sandbox.text("home")),
            ("AGENT_INIT_HOME", sandbox.text("home")),
            ("AGENT_INIT_STATE_DIR", sandbox.text("state")),
            ("AGENT_INIT_CAPTURE", sandbox.text("capture")),
            ("AGENT_INIT_SECRETS", sandbox.text("secrets")),
        ];
        let mut preamble = String::from("set -eu\nmount -t tmpfs -o mode=755 tmpfs /run\n");
        for file in ["passwd", "group"] {
            let source = sandbox.text(&format!("etc/{file}"));
            writeln!(preamble, "mount --bind {source} /etc/{file}").unwrap();
        }
        Self {
            arguments,
            env: noise().into_iter().chain(env.map(|(k, v)| (k.to_owned(), v))).collect(),
            directory: sandbox.path("cwd"),
            program: sandbox.text("bin/agent-init"),
            preamble,
            wrappers: Vec::new(),
            namespace: false,
            stdin: Some(String::new()),
            limit: LIMIT,
        }
    }

    /// Options before the rest of the arguments.
    pub fn options<I: IntoIterator<Item = S>, S: Into<String>>(mut self, options: I) -> Self {
        self.arguments.splice(0..0, options.into_iter().map(Into::into));
        self
    }

    /// More arguments after the COMMAND's.
    pub fn arguments<I: IntoIterator<Item = S>, S: Into<String>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    pub fn unset(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// The binary under another name (a link to it).
    pub fn program(mut self, path: &str) -> Self {
        self.program = path.into();
        self
    }

    /// `None` leaves descriptor 0 closed.
    pub fn stdin(mut self, text: Option<&str>) -> Self {
        self.stdin = text.map(Into::into);
        self
    }

    /// Another guard against hangs than the usual one, for a run that is meant to be long.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// As PID 1 of namespaces of its own, with the sandbox's passwd and group and an empty /run. Needs root.
    pub fn pid1(mut self) -> Self {
        self.namespace = true;
        self
    }

    /// A line of sh run in the namespace before the binary is.
    pub fn setup(mut self, line: impl AsRef<str>) -> Self {
        self.namespace = true;
        writeln!(self.preamble, "{}", line.as_ref()).unwrap();
        self
    }

    pub fn bind(self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        let (source, target) = (source.as_ref().display(), target.as_ref().display());
        self.setup(format!("mount --bind {source} {target}"))
    }

    pub fn bind_read_only(self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        let at = target.as_ref().display().to_string();
        self.bind(source, target).setup(format!("mount -o remount,bind,ro {at}"))
    }

    pub fn tmpfs(self, target: impl AsRef<Path>) -> Self {
        let target = target.as_ref().display();
        self.setup(format!("mount -t tmpfs tmpfs {target}"))
    }

    /// A read-only root file system with these directories writable.
    pub fn read_only_root(mut self, writable: &[&Path]) -> Self {
        for path in writable {
            self = self.bind(path, path);
        }
        self.setup("mount -o remount,bind,ro /")
    }

    /// Started by another program (`env --ignore-signal=...`, `setpriv ...`) that becomes the binary by exec.
    pub fn through<I: IntoIterator<Item = S>, S: Into<String>>(mut self, wrapper: I) -> Self {
        self.wrappers.extend(wrapper.into_iter().map(Into::into));
        self
    }

    /// As an ordinary uid and the gid of the same number, without groups and capabilities.
    pub fn uid(self, uid: u32) -> Self {
        self.through([
            "setpriv".to_owned(),
            format!("--reuid={uid}"),
            format!("--regid={uid}"),
            "--clear-groups".to_owned(),
        ])
    }

    fn command(&self) -> Command {
        let mut line: Vec<String> = Vec::new();
        if self.namespace {
            let unshare = ["unshare", "-pfm", "--mount-proc", "--kill-child"];
            line.extend(unshare.map(String::from));
            let script = format!("{}exec \"$@\"", self.preamble);
            line.extend(["sh".into(), "-c".into(), script, "sh".into()]);
        }
        if self.stdin.is_none() {
            line.extend(["sh", "-c", "exec \"$@\" <&-", "sh"].map(String::from));
        }
        line.extend(self.wrappers.iter().cloned());
        line.push(self.program.clone());
        line.extend(self.arguments.iter().cloned());
        // The wrappers are found on the tests' own PATH, whatever PATH the run gets.
        let mut command = Command::new("env");
        command.args(["-i", "--default-signal", "-C"]).arg(&self.directory);
        if self.namespace || !self.wrappers.is_empty() || self.stdin.is_none() {
            let path = std::env::var("PATH").unwrap_or_default();
            command.arg(format!("PATH={path}"));
            let inner = line.len() - 1 - self.arguments.len();
            let pairs = self.env.iter().map(|(k, v)| format!("{k}={v}"));
            let env: Vec<String> = ["env".into(), "-i".into()].into_iter().chain(pairs).collect();
            line.splice(inner..inner, env);
        } else {
            command.args(self.env.iter().map(|(k, v)| format!("{k}={v}")));
        }
        command.args(line);
        command
    }

    /// Starts the run.
    pub fn start(self) -> Live {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Live::new(command.spawn().unwrap(), self.namespace, self.stdin.as_deref().unwrap_or_default(), self.limit)
    }

    /// Runs to the end.
    pub fn run(self) -> Outcome {
        self.start().wait()
    }
}
