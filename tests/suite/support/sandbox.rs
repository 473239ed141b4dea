//! A temporary directory laid out like a small container.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use super::Run;

/// `bin/` (the binary and the stand-in agents), `home/` `root/` `capture/` `secrets/` `state/` `work/` and `etc/` (passwd, group).
pub struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("agent-init-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let sandbox = Self { dir };
        sandbox.install_programs();
        for (name, mode) in [
            ("home", 0o755),
            ("root", 0o700),
            ("capture", 0o755),
            ("secrets", 0o755),
            ("state", 0o755),
            ("work", 0o755),
            ("etc", 0o755),
            ("cwd", 0o755),
        ] {
            fs::create_dir(sandbox.path(name)).unwrap();
            sandbox.chmod(name, mode);
        }
        let home = sandbox.path("home").display().to_string();
        let root = sandbox.path("root").display().to_string();
        sandbox.write(
            "etc/passwd",
            format!(
                "root:x:0:0:root:{root}:/bin/sh\nnode:x:1000:1000::{home}:/bin/sh\nother:x:1001:1001::{home}-other:/bin/sh\n"
            ),
        );
        sandbox
            .write("etc/group", "root:x:0:\nnode:x:1000:\nother:x:1001:\ndocker:x:999:node,other\nstaff:x:50:node\n");
        sandbox.chmod("etc/passwd", 0o644);
        sandbox.chmod("etc/group", 0o644);
        sandbox
    }

    /// Another process writes the executables: a thread of ours that forks meanwhile would hold them open for writing,
    /// and exec would fail with ETXTBSY.
    fn install_programs(&self) {
        let binary = std::env::var_os("TEST_BINARY")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_agent-init")), PathBuf::from);
        let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/support/agent.sh");
        let done = Command::new("sh")
            .args(["-euc", "mkdir -m 755 \"$1\"; ln \"$2\" \"$1/agent-init\" 2>/dev/null || cp \"$2\" \"$1/agent-init\"; install -m 755 \"$3\" \"$1/claude\"; for d in \"$4\"/*.json; do n=${d##*/}; n=${n%.json}; test -e \"$1/$n\" || ln \"$1/claude\" \"$1/$n\"; done", "sh"])
            .arg(self.path("bin"))
            .arg(&binary)
            .arg(&agent)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/agent/definitions"))
            .status()
            .unwrap();
        assert!(done.success(), "cannot install {} and {}", binary.display(), agent.display());
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The path as text, for options and variables.
    pub fn text(&self, name: &str) -> String {
        self.path(name).into_os_string().into_string().unwrap()
    }

    /// Writes a file (0600), with the directories above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.chmod(name, 0o600);
        path
    }

    pub fn mkdir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    pub fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Hands a file or a whole directory to a uid and the gid of the same number.
    pub fn give(&self, name: &str, uid: u32) {
        give(&self.path(name), uid);
    }

    /// A login in the capture of an agent, owned like the capture.
    pub fn captured(&self, agent: &str, file: &str, content: &str) -> PathBuf {
        let path = self.write(&format!("capture/{agent}/{file}"), content);
        self.chmod(&format!("capture/{agent}"), 0o700);
        path
    }

    /// A gate that a stand-in agent waits at with `hold PATH`.
    pub fn gate(&self, name: &str) -> Gate {
        let path = self.path(name);
        mkfifo(&path, Mode::from_bits_truncate(0o666)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        // Opened for both ends, a fifo neither blocks in open nor loses what was written before the reader came.
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        Gate { path, file }
    }

    /// A run of the binary with exactly these arguments.
    pub fn raw<I: IntoIterator<Item = S>, S: Into<String>>(&self, arguments: I) -> Run {
        Run::new(self, arguments.into_iter().map(Into::into).collect())
    }

    /// A run of the stand-in `claude` with a script for it (see `agent.sh`).
    pub fn claude(&self, script: &str) -> Run {
        self.raw(["--", "claude", script])
    }

    pub fn codex(&self, script: &str) -> Run {
        self.raw(["--", "codex", script])
    }
}

fn give(path: &Path, uid: u32) {
    lchown(path, Some(uid), Some(uid)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), uid);
        }
    }
}

/// A fifo that holds a stand-in agent until the test opens it.
pub struct Gate {
    pub path: PathBuf,
    file: File,
}

impl Gate {
    /// Lets one `hold` go on.
    pub fn open(&mut self) {
        self.file.write_all(b"go\n").unwrap();
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.display().fmt(f)
    }
}
