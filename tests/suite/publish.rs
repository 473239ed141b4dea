//! Carrying refreshed logins back: when, what, and how safely.

mod ends;
mod entries;
mod kept;
mod lineage;
mod outcomes;
mod start;
mod unreadable;

use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use crate::support::{Gate, Live, Run, Sandbox, Session, await_path, needs_root};

/// A capture with the login "a", and a gate for the stand-in agent.
struct Captured {
    sandbox: Sandbox,
    gate: Gate,
}

const FILE: &str = "capture/claude/.credentials.json";

impl Captured {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        let gate = sandbox.gate("gate");
        Self { sandbox, gate }
    }

    /// The stand-in runs `script`, in which `pause` holds until `gate.open()`.
    fn run(&self, script: &str) -> Run {
        let script = format!("pause() {{ hold '{}' \"$@\"; }}; {script}", self.gate);
        self.sandbox.claude(&script)
    }

    /// Until the capture holds the login of this name.
    fn await_stored(&self, name: &str) {
        let directory = self.sandbox.path("capture/claude");
        await_path(&directory, &format!("login {name}"), || self.stored() == name);
    }

    /// The name of the login in the capture.
    fn stored(&self) -> String {
        name_of(&std::fs::read_to_string(self.sandbox.path(FILE)).unwrap_or_default())
    }

    /// Until the working copy holds the login of this name.
    fn await_working(&self, name: &str) {
        let directory = self.sandbox.path("home/.claude");
        let what = format!("login {name}");
        let file = directory.join(".credentials.json");
        await_path(&directory, &what, || name_of(&std::fs::read_to_string(&file).unwrap_or_default()) == name);
    }

    /// Another container publishes a login to the capture.
    fn store(&self, login: &Session) {
        self.sandbox.write("capture/claude/.other.tmp", login.json());
        std::fs::rename(self.sandbox.path("capture/claude/.other.tmp"), self.sandbox.path(FILE)).unwrap();
    }

    /// What was kept under the capture's `conflicts/`.
    fn conflicts(&self) -> String {
        let directory = self.sandbox.path("capture/claude/.agent-init/conflicts");
        let Ok(entries) = std::fs::read_dir(directory) else { return String::new() };
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default()
        };
        entries.map(read).collect()
    }
}

/// "b" of a login made as `Session::new("b")`; "" of anything else.
fn name_of(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap_or_default();
    let token = value["claudeAiOauth"]["refreshToken"].as_str().unwrap_or_default();
    token.trim_start_matches("FAKE-refresh-").to_owned()
}

/// Starts, and waits until the script says `ready`.
fn ready(run: Run) -> Live {
    let mut live = run.start();
    live.line("ready");
    live
}

#[test]
fn live_means_before_the_agent_ends() {
    let mut captured = Captured::new();
    for write in ["refresh b", "inplace c", "refresh d", "refresh e; refresh f; refresh g"] {
        let live = captured.run(&format!("pause; {write}; pause ready")).start();
        captured.gate.open();
        let name = write.rsplit(' ').next().unwrap();
        captured.await_stored(name);
        captured.gate.open();
        live.wait().ok().quiet();
        assert_eq!(captured.stored(), name);
    }
}

/// An agent that writes in place is met in the middle of a write now and then; the file is whole most of the time.
#[test]
fn a_half_written_login_is_not_overwritten() {
    let captured = Captured::new();
    let script = "n=0; while [ $n -lt 1000 ]; do n=$((n+1)); refresh $n; inplace $n-again; done";
    captured.run(script).options(["-v"]).run().ok().says_no(&["adopted"]).quiet();
    assert_eq!(captured.stored(), "1000-again");
}

#[test]
fn several_refreshes_in_one_run() {
    let mut captured = Captured::new();
    let live = captured.run("for n in b c d; do refresh $n; pause; done").start();
    for name in ["b", "c", "d"] {
        captured.await_stored(name);
        captured.gate.open();
    }
    live.wait().ok().quiet();
}

#[test]
fn sync_exit_publishes_at_the_end() {
    let mut captured = Captured::new();
    let live = ready(captured.run("refresh b; pause ready").options(["--sync", "exit"]));
    assert_eq!(captured.stored(), "a");
    captured.gate.open();
    live.wait().ok().quiet();
    assert_eq!(captured.stored(), "b");
}

#[test]
fn sync_off_publishes_nothing() {
    for option in [["--sync", "off"], ["--auth", "copy"]] {
        let captured = Captured::new();
        let before = captured.sandbox.read(FILE);
        captured.run("refresh b; refresh c").options(option).run().ok();
        assert_eq!(captured.sandbox.read(FILE), before, "{option:?}");
    }
}

/// The end of the run publishes whatever way it comes.
#[test]
fn the_last_write_is_published_however_the_run_ends() {
    let ends: &[(&str, i32)] = &[
        ("refresh b", 0),
        ("refresh b; exit 3", 3),
        ("refresh b; kill -KILL $$", 137),
        ("refresh c; inplace d; refresh b", 0),
        ("refresh c; refresh d; inplace b", 0),
    ];
    for sync in ["live", "exit"] {
        for (script, code) in ends {
            let captured = Captured::new();
            captured.run(script).options(["--sync", sync]).run().code(*code);
            assert_eq!(captured.stored(), "b", "{sync}: {script}");
        }
        for script in ["trap 'refresh b; exit 7' TERM; pause ready", "trap 'refresh b' TERM; pause ready"] {
            let captured = Captured::new();
            let live = ready(captured.run(script).options(["--sync", sync, "--grace", "2s"]));
            live.stop();
            let outcome = live.wait();
            assert_eq!(captured.stored(), "b", "{sync}: {script}\n{outcome}");
        }
        // A second stop signal kills at once and still publishes.
        let captured = Captured::new();
        let mut live = ready(
            captured.run("trap 'refresh b; say saved' TERM; pause ready").options(["--sync", sync, "--grace", "50s"]),
        );
        live.stop();
        live.line("saved");
        live.stop();
        live.wait().code(137);
        assert_eq!(captured.stored(), "b", "{sync}: second stop");
    }
}

#[test]
fn a_write_by_a_leftover_process_is_published() {
    needs_root!();
    let captured = Captured::new();
    let script = "(trap 'refresh b; exit' TERM; echo up >\"$2\"; hold \"$1\") & read -r _ <\"$2\"; exit 0";
    let never = captured.sandbox.gate("never");
    captured.run(script).arguments([never.to_string(), captured.gate.to_string()]).pid1().run().ok();
    assert_eq!(captured.stored(), "b");
}

#[test]
fn published_files_have_the_owner_of_the_capture() {
    needs_root!();
    let captured = Captured::new();
    let sandbox = &captured.sandbox;
    sandbox.give("capture", 4242);
    sandbox.chmod(FILE, 0o640);
    let before = sandbox.path("capture/claude").metadata().unwrap();
    captured.run("refresh b").options(["--user", "node"]).pid1().run().ok().quiet();
    let after = sandbox.path(FILE).metadata().unwrap();
    assert_eq!((after.uid(), after.gid(), after.mode() & 0o7777), (4242, 4242, 0o600));
    assert_eq!(sandbox.path("capture/claude").metadata().unwrap().mode(), before.mode());
    for name in [".agent-init", ".agent-init/record.json", ".agent-init/lock"] {
        let meta = sandbox.path("capture/claude").join(name).metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4242, 4242), "{name}");
    }
}

#[test]
fn a_login_given_by_variable_becomes_the_captures() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.give("capture", 4242);
    let run = sandbox.claude(":").options(["--user", "node"]).env("CLAUDE_CREDENTIALS_B64", Session::new("new").b64());
    run.pid1().run().ok().quiet();
    assert_eq!(name_of(&sandbox.read(FILE)), "new");
    let (file, directory) =
        (sandbox.path(FILE).metadata().unwrap(), sandbox.path("capture/claude").metadata().unwrap());
    assert_eq!((file.uid(), file.mode() & 0o7777), (4242, 0o600));
    assert_eq!((directory.uid(), directory.mode() & 0o7777), (4242, 0o700));
}

#[test]
fn a_flat_capture_is_published_in_place() {
    let sandbox = Sandbox::new();
    sandbox.write("capture/.credentials.json", Session::new("a").json());
    sandbox.claude("refresh b").run().ok().quiet();
    assert_eq!(name_of(&sandbox.read("capture/.credentials.json")), "b");
    assert!(!sandbox.exists("capture/claude"));
}

#[test]
fn only_the_sessions_own_fields_travel() {
    let captured = Captured::new();
    let mut stored = Session::new("a").value();
    stored["organizationUuid"] = "FAKE-stored".into();
    captured.sandbox.write(FILE, stored.to_string());
    let mut working = Session::new("b").value();
    working["organizationUuid"] = "FAKE-working".into();
    captured.run("replace \"$1\"").arguments([working.to_string()]).run().ok();
    let after: Value = serde_json::from_str(&captured.sandbox.read(FILE)).unwrap();
    assert_eq!(after["claudeAiOauth"], working["claudeAiOauth"]);
    assert_eq!(after["organizationUuid"], stored["organizationUuid"]);
}

/// The capture is read as fast as it can be while 300 logins are published.
#[test]
fn a_reader_of_the_capture_never_sees_half_a_file() {
    let captured = Captured::new();
    let live = captured.run("n=0; while [ $n -lt 300 ]; do n=$((n+1)); if [ $((n % 2)) = 0 ]; then refresh $n; else inplace $n; fi; done").start();
    let path = captured.sandbox.path(FILE);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || {
        let mut reads = 0;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_ne!(name_of(&text), "", "read {reads}: {text:?}");
            reads += 1;
        }
        reads
    });
    live.wait().ok();
    drop(stop);
    assert!(reader.join().unwrap() > 0);
    assert_eq!(captured.stored(), "300");
}

#[test]
fn a_codex_login_is_published_whole() {
    let sandbox = Sandbox::new();
    let (before, after) = (crate::support::codex_auth("a"), crate::support::codex_auth("b"));
    sandbox.captured("codex", "auth.json", &before);
    sandbox.codex("replace \"$1\"").arguments([after.clone()]).run().ok().quiet();
    let stored: Value = serde_json::from_str(&sandbox.read("capture/codex/auth.json")).unwrap();
    assert_eq!(stored, serde_json::from_str::<Value>(&after).unwrap());
}

#[test]
fn a_file_mounted_in_place_is_published_in_place() {
    needs_root!();
    let sandbox = Sandbox::new();
    let host = sandbox.write("host.json", Session::new("a").json());
    sandbox.write("home/.claude/.credentials.json", "");
    let inode = host.metadata().unwrap().ino();
    let run = sandbox.claude("refresh b").bind(&host, sandbox.path("home/.claude/.credentials.json"));
    run.unset("AGENT_INIT_CAPTURE").run().ok();
    assert_eq!(name_of(&sandbox.read("host.json")), "b");
    assert_eq!(host.metadata().unwrap().ino(), inode);
}

#[test]
fn a_directory_mounted_in_place_is_published() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.write("host/.credentials.json", Session::new("a").json());
    sandbox.mkdir("home/.claude");
    let run = sandbox.claude("refresh b").bind(sandbox.path("host"), sandbox.path("home/.claude"));
    run.unset("AGENT_INIT_CAPTURE").run().ok().quiet();
    assert_eq!(name_of(&sandbox.read("host/.credentials.json")), "b");
}
