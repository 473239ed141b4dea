//! What every test needs: a sandbox, runs of the binary in it, made-up logins and a stand-in agent.

mod await_path;
mod definition;
mod kept;
mod live;
mod noise;
mod pty;
mod run;
mod sandbox;
mod screen;
mod session;
mod snapshot;
mod store;
mod tracer;
mod vendor;

use std::time::Duration;

pub use await_path::{await_path, await_settled};
pub use definition::{Definition, definitions};
pub use kept::assert_kept;
pub use live::{Live, Outcome};
pub use noise::noise;
pub use pty::Pty;
pub use run::Run;
pub use sandbox::{Gate, Sandbox};
pub use screen::Screen;
pub use session::{Session, base64, codex_auth, jwt};
pub use snapshot::assert_snapshot;
pub use store::StandIn;
pub use tracer::Tracer;
pub use vendor::{ANSWER, CODEX_TOKEN, NODE, TOKEN, Vendor, agents, text, vendor_file};

/// A step of preparing a run; tables are made of them.
pub type Give = fn(&Sandbox, Run) -> Run;

/// Guards against hangs only; nothing that works comes near it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// True as root. Otherwise says what is skipped, which CI does not accept.
#[must_use]
pub fn root_or_skip(what: &str) -> bool {
    nix::unistd::geteuid().is_root() || skip(what, "needs root")
}

/// Reports a skipped test; with `CI=true` that is a failure. Always false.
pub fn skip(what: &str, why: &str) -> bool {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}: {why}, and CI skips nothing");
    println!("skipped: {what}: {why}");
    false
}

/// Returns from the test unless it runs as root.
macro_rules! needs_root {
    () => {
        if !$crate::support::root_or_skip(module_path!()) {
            return;
        }
    };
}
pub(crate) use needs_root;
