//! Killed, or refused by the kernel, at every system call that changes a file: nothing that the agent was told is stored
//! may be lost, and the next start goes on. (A kill, not a power cut: the page cache survives.)

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Outcome, Run, Sandbox, Session, needs_root};

/// All that changes files. To be killed on entering one of these is to be killed anywhere since the one before.
const CHANGES: &[&str] = &[
    "mkdirat",
    "fchmod",
    "fchown",
    "write",
    "fsync",
    "ftruncate",
    "renameat",
    "renameat2",
    "unlinkat",
    "flock",
    "utimensat",
];
/// Those that a full or read-only file system refuses.
const REFUSED: &[&str] = &["mkdirat", "write", "fsync", "renameat", "renameat2", "unlinkat"];
/// More than any run makes of one kind: a guard against a loop without end.
const MANY: usize = 200;

/// What is done while the kernel plays its part.
struct Scene {
    name: &'static str,
    /// Runs before, undisturbed.
    before: fn(&Sandbox),
    /// The run that is disturbed; the agent makes the file `told` when the login "b" is there to be lost.
    run: fn(&Sandbox) -> Run,
}

const LAYING_DOWN: Scene = Scene { name: "laying down", before: |_| (), run: |sandbox| sandbox.claude(":") };

/// The agent refreshes.
const PUBLISH: Scene = Scene { name: "publish", before: |_| (), run: refresh };

/// Another container publishes while the agent runs.
const ADOPT: Scene = Scene {
    name: "adopt",
    before: |_| (),
    run: |sandbox| {
        let script = "login b >\"$1.new\" && mv \"$1.new\" \"$1\" && : >\"$2\"";
        sandbox.claude(script).arguments([sandbox.text(STORED), sandbox.text("told")])
    },
};

/// The agent refreshes, and the capture is read-only.
const KEEP: Scene = Scene { name: "keep a recovery copy", before: |_| (), run: refresh_refused };

/// A start that finds a recovery copy, and no working copy.
const RECOVER: Scene = Scene {
    name: "publish a recovery copy",
    before: |sandbox| {
        refresh_refused(sandbox).run().ok();
        std::fs::remove_dir_all(sandbox.path("home")).unwrap();
        sandbox.mkdir("home");
    },
    run: |sandbox| sandbox.claude(":"),
};

const STORED: &str = "capture/claude/.credentials.json";

fn refresh(sandbox: &Sandbox) -> Run {
    sandbox.claude("refresh b && : >\"$1\"").arguments([sandbox.text("told")])
}

fn refresh_refused(sandbox: &Sandbox) -> Run {
    refresh(sandbox).bind_read_only(sandbox.path("capture"), sandbox.path("capture"))
}

/// "b" of a login made as `Session::new("b")`; panics when it is none.
fn name_of(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json:?}"));
    value["claudeAiOauth"]["refreshToken"].as_str().unwrap_or_default().trim_start_matches("FAKE-refresh-").to_owned()
}

/// What was kept under the capture's `conflicts/`.
fn conflicts(sandbox: &Sandbox) -> String {
    let directory = std::fs::read_dir(sandbox.path("capture/claude/.agent-init/conflicts"));
    let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.unwrap().path()).unwrap();
    directory.into_iter().flatten().map(read).collect()
}

/// Our temporary files, which hold logins.
fn temporaries(below: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![below];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else if name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp")).is_some() {
                found.push(entry.path());
            }
        }
    }
    found
}

/// As if they had been there for a minute: a younger one may be of a neighbour that is writing it.
fn age(files: &[PathBuf]) {
    for file in files {
        let moment = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        std::fs::File::open(file).unwrap().set_modified(moment).unwrap();
    }
}

impl Scene {
    /// One run in which the kernel does `what`; then the capture is looked at, and the next start.
    fn play(&self, what: &str) -> Outcome {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        (self.before)(&sandbox);
        let syscall = what.split(':').next().unwrap_or_default();
        let trace = format!("trace={syscall}");
        let strace = ["strace", "-o", "/dev/null", "-e", &trace, "-e", &format!("inject={what}")];
        let outcome = (self.run)(&sandbox).through(strace).run();
        let context = format!("{}, {what}\n{outcome}", self.name);

        let kept_state = sandbox.exists("state/state.json");
        let stored = name_of(&sandbox.read(STORED));
        assert!(["a", "b"].contains(&stored.as_str()), "{stored}: {context}");
        age(&temporaries(sandbox.path("")));
        let next = sandbox.claude("seen").run();
        let left = temporaries(sandbox.path(""));
        assert!(left.is_empty(), "temporary files stay: {left:?}\nnext start: {next}\nafter {context}");
        assert_eq!(next.code, Some(0), "next start: {next}\nafter {context}");
        let seen = name_of(next.variable("FILE").unwrap_or_default());
        assert_eq!(seen, name_of(&sandbox.read(STORED)), "next start: {next}\nafter {context}");
        if (sandbox.exists("told") || stored == "b") && seen != "b" {
            // Where neither the capture nor the state directory took a byte, nothing tells whose the working copy was.
            let unknown = !kept_state && conflicts(&sandbox).contains("FAKE-refresh-b");
            assert!(unknown, "the newer login was lost\nnext start: {next}\nafter {context}");
        }
        if outcome.code == Some(0) && stored == "a" && sandbox.exists("told") && syscall != "write" {
            assert!(!outcome.warnings().is_empty(), "not published, and nothing said: {context}");
        }
        let said = syscall == "write" || outcome.stderr.contains("agent-init: error: ");
        assert!(outcome.code != Some(125) || said, "{context}");
        outcome
    }

    /// Killed at every change.
    fn kill(&self) {
        let mut killed = 0;
        for syscall in CHANGES {
            // 137: strace, which ends as the binary did, was PID 1.
            let is_killed = |outcome: Outcome| matches!(outcome.code, None | Some(137));
            let hits = (1..MANY).take_while(|n| is_killed(self.play(&format!("{syscall}:signal=KILL:when={n}"))));
            killed += hits.count();
        }
        println!("{}: killed at {killed} system calls", self.name);
        assert!(killed > 20, "{}: only {killed}: strace did not hit", self.name);
    }

    /// Every change refused, once and from then on.
    fn refuse(&self, error: &str) {
        for syscall in REFUSED {
            for more in ["", "+"] {
                for n in 1..=self.count(syscall) {
                    let outcome = self.play(&format!("{syscall}:error={error}:when={n}{more}"));
                    assert!([Some(0), Some(125)].contains(&outcome.code), "{syscall} {error} {n}{more}\n{outcome}");
                }
            }
        }
    }

    /// How many calls of a kind an undisturbed run makes.
    fn count(&self, syscall: &str) -> usize {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        (self.before)(&sandbox);
        let (log, trace) = (sandbox.text("log"), format!("trace={syscall}"));
        (self.run)(&sandbox).through(["strace", "-o", &log, "-e", &trace]).run().ok();
        sandbox.read("log").lines().filter(|line| line.starts_with(syscall)).count()
    }
}

#[test]
fn a_run_killed_while_installing_loses_nothing() {
    LAYING_DOWN.kill();
}

#[test]
fn a_run_killed_while_publishing_loses_nothing() {
    PUBLISH.kill();
}

#[test]
fn a_run_killed_while_adopting_loses_nothing() {
    ADOPT.kill();
}

#[test]
fn a_run_killed_while_writing_a_recovery_copy_loses_nothing() {
    needs_root!();
    KEEP.kill();
}

#[test]
fn a_run_killed_while_publishing_a_recovery_copy_loses_nothing() {
    needs_root!();
    RECOVER.kill();
}

#[test]
fn a_full_disk_loses_nothing() {
    PUBLISH.refuse("ENOSPC");
    ADOPT.refuse("ENOSPC");
}

#[test]
fn a_read_only_disk_loses_nothing() {
    PUBLISH.refuse("EROFS");
    ADOPT.refuse("EROFS");
}
