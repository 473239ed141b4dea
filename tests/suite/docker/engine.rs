//! The engine that the containers of this test process run in, and its images.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use crate::support::{root_or_skip, skip};

/// Not the first `docker` on PATH, which may be another.
pub const CLIENT: &str = "/usr/bin/docker";

/// The binary in an image without anything else of a system: busybox for the stand-in agent, no passwd, no /tmp, no /run.
const SCRATCH: &str = "
FROM busybox AS tools
FROM scratch
COPY --from=tools /bin /bin
COPY claude /bin/claude
COPY notes /etc/notes
COPY agent-init /agent-init
ENTRYPOINT [\"/agent-init\"]
";

const DEBIAN: &str = "
FROM debian:bookworm-slim
RUN useradd --create-home --uid 1000 node
COPY claude /usr/local/bin/claude
COPY notes /etc/notes
COPY agent-init /usr/local/bin/agent-init
ENTRYPOINT [\"agent-init\"]
";

/// Ends with the test process, however that ends: `engine hold` stops the engine when its standard input does.
pub struct Engine {
    directory: PathBuf,
    socket: String,
    _hold: Child,
}

impl Engine {
    /// The engine, started and with its images at the first call; none if it said that it cannot be had here.
    pub fn get() -> Option<&'static Self> {
        static ENGINE: OnceLock<Option<Engine>> = OnceLock::new();
        ENGINE.get_or_init(Self::start).as_ref()
    }

    pub fn host(&self) -> String {
        format!("unix://{}", self.socket)
    }

    /// The network namespace that is the host's to its containers.
    pub fn network(&self) -> PathBuf {
        let pid = fs::read_to_string(self.directory.join("dockerd.pid")).unwrap();
        Path::new("/proc").join(pid.trim_end()).join("ns/net")
    }

    /// Makes the stand-in for a registry's image, unless it is there.
    pub fn stand_in(&self, name: &str) {
        succeed(script("tests/engine/engine").arg("image").arg(&self.directory).arg(name));
    }

    fn start() -> Option<Self> {
        let binary = static_binary();
        let directory = tempfile::Builder::new().prefix("engine-").tempdir().unwrap().keep();
        let mut hold = script("tests/engine/engine")
            .arg("hold")
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0) // an interrupt at the terminal is for the tests, whose end then ends it
            .spawn()
            .unwrap();
        let mut socket = String::new();
        BufReader::new(hold.stdout.take().unwrap()).read_line(&mut socket).unwrap();
        if socket.is_empty() {
            hold.wait().unwrap();
            return None;
        }
        let engine = Self { directory, socket: socket.trim_end().into(), _hold: hold };

        engine.stand_in("busybox");
        engine.stand_in("debian:bookworm-slim");
        let stage = |context: &Path| Command::new("sh").args(["-euc", STAGE, "sh"]).arg(context).arg(binary).status();
        engine.with_context(stage, |context| {
            engine.build(context, super::SCRATCH, Some(SCRATCH), &[]);
            engine.build(context, super::DEBIAN, Some(DEBIAN), &[]);
        });
        Some(engine)
    }

    /// Builds images from a directory that another process has filled, and removes it.
    pub fn with_context(&self, fill: impl FnOnce(&Path) -> io::Result<ExitStatus>, build: impl FnOnce(&Path)) {
        let context = tempfile::Builder::new().prefix("context-").tempdir_in(&self.directory).unwrap();
        assert!(fill(context.path()).unwrap().success(), "cannot fill {}", context.path().display());
        build(context.path());
    }

    /// Builds an image, from the text of a Dockerfile if there is one; without network.
    pub fn build(&self, context: &Path, tag: &str, dockerfile: Option<&str>, options: &[&str]) {
        let mut build = Command::new(CLIENT)
            .env("DOCKER_BUILDKIT", "1")
            .args(["-H", &self.host(), "build", "--quiet", "--network=none", "--tag", tag])
            .args(dockerfile.map(|_| "--file=-"))
            .args(options)
            .arg(context)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        build.stdin.take().unwrap().write_all(dockerfile.unwrap_or_default().as_bytes()).unwrap();
        assert!(build.wait().unwrap().success(), "docker build of {tag} failed");
    }
}

/// Another process writes the executables: a thread of ours that forks meanwhile would hold them open for writing.
const STAGE: &str = r#"
install -m 755 "$2" "$1/agent-init"
install -m 755 tests/suite/support/agent.sh "$1/claude"
echo 'not a program' >"$1/notes"
"#;

/// `$TEST_BINARY`; without it, the static build, made now.
pub fn static_binary() -> PathBuf {
    std::env::var_os("TEST_BINARY").map_or_else(
        || {
            succeed(&mut script("scripts/build"));
            root().join("dist/agent-init")
        },
        PathBuf::from,
    )
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn script(path: &str) -> Command {
    let mut command = Command::new(root().join(path));
    command.current_dir(root());
    command
}

pub fn succeed(command: &mut Command) {
    let status = command.current_dir(root()).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// True if there is an engine, which takes root. Otherwise says what is skipped, which CI does not accept.
pub fn engine_or_skip(what: &str) -> bool {
    root_or_skip(what) && (Engine::get().is_some() || skip(what, "needs a Docker engine"))
}

/// Returns from the test unless there is an engine.
macro_rules! needs_docker {
    () => {
        if !$crate::docker::engine::engine_or_skip(module_path!()) {
            return;
        }
    };
}
pub(super) use needs_docker;
