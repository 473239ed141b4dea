//! The project's own images, built from its Dockerfiles on stand-in bases; compose.yaml and deploy/kubernetes, run as
//! written; the real agent in its image.

mod build;
mod compose;
mod kubernetes;
mod migration;
mod real;
mod scripts;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::engine::{Engine, needs_docker, root, script, static_binary};

/// As `compose.yaml` names them, with the real CLI.
pub const AGENT: &str = "agent-init-agent:latest";
pub const SETUP: &str = "agent-init-setup:latest";
pub const BINARY: &str = "agent-init-binary:latest";
/// The same with a stand-in for the CLI (`tests/deploy/claude`).
pub const TAG: &str = "stand-in";
pub const STAND_IN: &str = "agent-init-agent:stand-in";

/// In files that must not get into a build.
pub const CANARY: &str = "FAKE-canary-of-the-build-context";

/// A clone as somebody may have it who has worked in it: with logins and tokens lying around.
const CLONE: &str = r#"
cd "$1"
cp -r "$2"/Cargo.* "$2"/build.rs "$2"/src "$2"/completions "$2"/benches "$2"/scripts "$2"/Dockerfile.* "$2"/.dockerignore .
mkdir -p dist tests secrets .git .claude target/release capture/claude
cp -r "$2/tests/suite" tests/
install -m 755 "$3" dist/agent-init
for file in .env secrets/claude_code_oauth_token .git/config .claude/.credentials.json target/release/login \
    capture/claude/.credentials.json dist/login tests/token scripts/.netrc; do
    echo "$4" >"$file"
done
"#;

const STAND_INS: &str = r#"
install -m 755 "$2/tests/deploy/claude" "$1/claude"
install -m 755 "$2/tests/suite/support/agent.sh" "$1/stand-in"
"#;

/// The first caller builds them.
fn build() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let engine = Engine::get().unwrap();
        engine.stand_in("node:22-bookworm-slim");
        let shell = |script: &'static str| {
            move |context: &Path| {
                let binary = static_binary();
                Command::new("sh")
                    .args(["-euc", script, "sh"])
                    .arg(context)
                    .arg(root())
                    .arg(binary)
                    .arg(CANARY)
                    .status()
            }
        };
        engine.with_context(shell(CLONE), |context| {
            let arguments =
                ["--build-arg=BINARY=prebuilt", "--build-arg=AGENTS=claude", "--build-arg=PACKAGES=ca-certificates"];
            let files = [(AGENT, "agent", "agent"), (SETUP, "setup", "setup"), (BINARY, "agent", "binary")];
            for (tag, file, target) in files {
                let file = format!("--file={}/Dockerfile.{file}", context.display());
                engine.build(context, tag, None, &[&arguments[..], &[&file, &format!("--target={target}")]].concat());
            }
        });
        engine.with_context(shell(STAND_INS), |context| {
            for image in ["agent-init-agent", "agent-init-setup"] {
                let dockerfile = format!("FROM {image}\nCOPY claude stand-in /usr/local/bin/\n");
                engine.build(context, &format!("{image}:{TAG}"), Some(&dockerfile), &[]);
            }
        });
    });
}

/// Where docker compose, kubectl and Kubernetes' schemas are installed; the first caller installs them.
pub fn tools() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let done = script("scripts/deploy-tools").stderr(Stdio::inherit()).output().unwrap();
        assert!(done.status.success(), "scripts/deploy-tools: {}", done.status);
        String::from_utf8(done.stdout).unwrap().trim_end().into()
    })
}

/// Returns from the test unless there is an engine; with one, the images are there.
macro_rules! needs_images {
    () => {
        $crate::docker::images::needs_docker!();
        $crate::docker::images::build();
    };
}
use needs_images;
