//! Scratch directories in which an init finds a fresh home, state directory and capture.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::unistd::{AccessFlags, User, access};

/// Whom privileged cases become; in every Debian and Alpine image.
pub const USER: &str = "nobody";

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// One directory tree, made new before each start.
pub struct Ground {
    root: PathBuf,
    owner: Option<(u32, u32)>,
    /// Whether writes stay in memory (fsync costs nothing).
    pub in_memory: bool,
}

impl Ground {
    /// On a tmpfs, where there is one.
    pub fn in_memory(for_user: bool) -> Result<Self> {
        let runtime = std::env::var("XDG_RUNTIME_DIR").unwrap_or_default();
        Self::below(["/dev/shm", "/run", &runtime, "/tmp"], true, for_user).or_else(|_| Self::on_disk(for_user))
    }

    /// On a file system with a disk, or at least none of tmpfs's kind.
    pub fn on_disk(for_user: bool) -> Result<Self> {
        Self::below(["/var/tmp", "/tmp", "/", env!("CARGO_TARGET_TMPDIR")], false, for_user)
    }

    fn below<const N: usize>(places: [&str; N], in_memory: bool, for_user: bool) -> Result<Self> {
        let suits = |place: &&Path| {
            access(*place, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
                && statfs(*place).is_ok_and(|fs| (fs.filesystem_type() == TMPFS_MAGIC) == in_memory)
        };
        let kind = if in_memory { "tmpfs" } else { "disk" };
        let place =
            places.iter().map(Path::new).find(suits).with_context(|| format!("no writable directory on a {kind}"))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = place.join(format!("agent-init-bench-{}-{number}", std::process::id()));
        let user = if for_user { User::from_name(USER)? } else { None };
        let owner = user.map(|user| (user.uid.as_raw(), user.gid.as_raw()));
        Ok(Self { root, owner, in_memory })
    }

    /// What it lies on.
    pub fn kind(&self) -> &'static str {
        if self.in_memory { "tmpfs" } else { "disk" }
    }

    pub fn place(&self) -> &Path {
        self.root.parent().unwrap_or(&self.root)
    }

    pub fn path(&self, name: &str) -> String {
        self.root.join(name).to_string_lossy().into_owned()
    }

    /// An empty home and capture, no state directory: a container at its first start.
    pub fn renew(&self) -> Result<()> {
        self.clear();
        for name in ["home", "capture"] {
            let path = self.root.join(name);
            fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
            if let Some((uid, gid)) = self.owner {
                chown(&path, Some(uid), Some(gid))?;
            }
        }
        fs::set_permissions(&self.root, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn clear(&self) {
        let _ = fs::remove_dir_all(&self.root);
    }

    /// A command with no standard streams and the same small environment for every init.
    pub fn command(&self, argv: &[String]) -> Command {
        let mut command = Command::new(argv.first().map_or("", String::as_str));
        command.args(argv.iter().skip(1));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.path("home"));
        command
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.clear();
    }
}
