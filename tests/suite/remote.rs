//! A login in a store behind a helper command: what is asked when, and helpers that do not do as they should.

use crate::support::{Gate, Live, Run, Sandbox, Session, StandIn, await_path};

/// A store with the login "a", and a container that uses it.
struct Remote {
    sandbox: Sandbox,
    gate: Gate,
    store: StandIn,
}

impl Remote {
    fn new() -> Self {
        let remote = Self::empty();
        remote.store.seed(&Session::new("a").json());
        remote
    }

    fn empty() -> Self {
        let sandbox = Sandbox::new();
        let gate = sandbox.gate("gate");
        let store = StandIn::new(sandbox.path("capture"));
        Self { sandbox, gate, store }
    }

    /// The stand-in agent runs `script`, in which `pause` holds until `gate.open()`.
    fn run(&self, script: &str) -> Run {
        let script = format!("pause() {{ hold '{}' \"$@\"; }}; {script}", self.gate);
        self.sandbox.claude(&script).unset("AGENT_INIT_CAPTURE").env("AGENT_INIT_STORE", self.store.spec())
    }

    fn start(&self, script: &str) -> Live {
        let mut live = self.run(&format!("say ready; {script}")).start();
        live.line("ready");
        live
    }

    fn recovered(&self) -> String {
        self.sandbox.read("state/recovery/claude/.credentials.json")
    }
}

#[test]
fn a_login_is_installed_and_its_refresh_stored_while_the_agent_runs() {
    let mut remote = Remote::new();
    let live = remote.start("seen; pause; refresh b; pause");
    remote.gate.open();
    remote.store.await_login("FAKE-access-b");
    remote.gate.open();
    let outcome = live.wait().ok();
    assert!(outcome.stdout.contains("FILE={\"claudeAiOauth\":{\"accessToken\":\"FAKE-access-a\""), "{outcome}");
    outcome.says(&["claude auth: subscription login (sync), store:exec:", "stand-in"]);
    let puts = remote.store.requests("put");
    assert_eq!(puts.iter().map(|put| put["expect"].clone()).collect::<Vec<_>>(), ["7"]);
    // What is known of the login's line goes with it: the next container judges by it.
    let again = remote.run("true").env("CLAUDE_CREDENTIALS", Session::new("a").json()).run().ok();
    again.says(&["env:CLAUDE_CREDENTIALS is ignored"]);
    assert!(remote.store.login().contains("FAKE-access-b"));
}

/// The last refresh of an agent that ends at once is stored before we end.
#[test]
fn the_end_waits_for_the_store() {
    let remote = Remote::new();
    remote.run("refresh b").run().ok().quiet();
    assert!(remote.store.login().contains("FAKE-access-b"));
    remote.run("refresh c; exit 7").run().code(7).quiet();
    assert!(remote.store.login().contains("FAKE-access-c"));
}

#[test]
fn a_login_that_is_given_is_put_into_an_empty_store() {
    let remote = Remote::empty();
    remote.run("true").run().ok().says(&["claude auth: none"]);
    remote.run("true").env("CLAUDE_CREDENTIALS", Session::new("n").json()).run().ok().quiet();
    assert!(remote.store.login().contains("FAKE-access-n"));
    assert!(remote.store.requests("put").iter().all(|put| put["expect"].is_null()));
}

/// Between our look and our put another container has put: the later expiry wins, and the other is kept.
#[test]
fn a_put_that_comes_second_is_a_conflict() {
    for (theirs, stored) in [(4_202_444_800_000_u64, "theirs"), (4_002_444_800_000, "b")] {
        let mut remote = Remote::new();
        let live = remote.start("pause; refresh b; pause");
        remote.store.seed(&Session::new("theirs").expires_ms(theirs).json());
        remote.gate.open();
        let working = remote.sandbox.path("home/.claude");
        let name = format!("FAKE-access-{stored}");
        if stored == "theirs" {
            await_path(&working, "the other's login", || {
                remote.sandbox.read("home/.claude/.credentials.json").contains(&name)
            });
        } else {
            remote.store.await_login(&name);
        }
        remote.gate.open();
        live.wait().ok();
        assert!(remote.store.login().contains(&name), "{stored}");
        let conflicts = remote.sandbox.path("state/store/claude/.agent-init/conflicts");
        assert_eq!(std::fs::read_dir(conflicts).unwrap().count(), 1, "{stored}");
    }
}

/// At a start: a message with a hint, and the run goes on without.
#[test]
fn a_store_that_does_not_answer_at_the_start_stops_it() {
    let rows = [
        ("die", "stand-in", "the command wrote: the store is on fire"),
        ("garbage", "the answer cannot be used: it is not the expected JSON", "run it by hand"),
        ("huge", "wrote more than", "only the value"),
    ];
    for (mode, why, hint) in rows {
        let remote = Remote::new();
        remote.store.misbehave(mode);
        let outcome = remote.run("exit 3").run().code(3);
        outcome.says(&["warning: store exec:", why, hint, "claude auth: none"]);
        remote.run("true").options(["--require"]).run().code(125).says(&["no usable credential for any agent"]);
        assert!(remote.store.login().contains("FAKE-access-a"), "{mode}");
    }
}

/// Later: the refreshed login is kept, and stored by the next start that finds the store well again.
#[test]
fn a_refresh_that_the_store_refuses_is_kept() {
    let rows = [
        ("put:die", "the command wrote: the store is on fire"),
        ("put:garbage", "the answer cannot be used"),
        ("put:huge", "wrote more than"),
    ];
    for (mode, why) in rows {
        let mut remote = Remote::new();
        let live = remote.start("pause; refresh b; pause");
        remote.store.misbehave(mode);
        remote.gate.open();
        await_path(&remote.sandbox.path("state"), "a recovery copy", || {
            remote.sandbox.exists("state/recovery/claude/.credentials.json")
        });
        assert!(remote.recovered().contains("FAKE-access-b"), "{mode}");
        remote.gate.open();
        let outcome = live.wait().ok();
        let outcome = outcome.says(&["cannot save the login to exec:", why, "is kept in", "was not saved"]);
        assert_eq!(outcome.stderr.matches("cannot save the login").count(), 1, "{outcome}");
        // Garbage and too much came after it was stored, which the helper could not say.
        remote.store.misbehave("");
        remote.run("true").run().ok();
        assert!(remote.store.login().contains("FAKE-access-b"), "{mode}");
        assert!(!remote.sandbox.exists("state/recovery/claude/.credentials.json"), "{mode}");
    }
}

/// A helper that hangs is killed with the container's stop, within its grace.
#[test]
fn a_helper_that_hangs_does_not_keep_the_container() {
    let mut remote = Remote::new();
    let run = remote.run("say ready; pause; refresh b; say written; pause").options(["--grace", "2s"]);
    let mut live = run.start();
    live.line("ready");
    remote.store.misbehave("put:hang");
    remote.gate.open();
    live.line("written");
    await_path(&remote.store.0, "the put", || !remote.store.requests("put").is_empty());
    live.stop();
    let outcome = live.wait().code(143);
    outcome.says(&["was not saved", "the next start with this state directory publishes it"]);
    assert!(remote.recovered().contains("FAKE-access-b"));
    let helper = remote.store.requests("put")[0]["pid"].as_i64().unwrap();
    // tail(1) ends when it is gone.
    let gone = ["10", "tail", &format!("--pid={helper}"), "-f", "/dev/null"].map(str::to_owned);
    assert!(std::process::Command::new("timeout").args(gone).status().unwrap().success());
}

/// A store that was set back is not believed while we run; what the agent has is kept.
#[test]
fn a_stored_version_that_goes_back_does_not_win() {
    let mut remote = Remote::new();
    let live = remote.start("pause; refresh b; pause");
    // Another has put, and then the store is set back.
    remote.store.seed(&Session::new("theirs").json());
    remote.store.misbehave("get:backwards");
    remote.gate.open();
    await_path(&remote.store.0, "a look after the conflict", || remote.store.requests("get").len() > 1);
    remote.gate.open();
    live.wait().ok().says(&["the version went from 7 back to 1", "was the store restored?"]);
}

/// An agent that shows its intent gets its turn with the lease, and without where a store has none.
#[test]
fn turns_are_taken_with_the_stores_lease() {
    for (mode, unlocks) in [("", true), ("no-lock", false), ("lock:die", false)] {
        let mut remote = Remote::new();
        remote.store.misbehave(mode);
        let script = "mkdir \"$C/.oauth_refresh.lock\"; pause; refresh b; rmdir \"$C/.oauth_refresh.lock\"; pause";
        let live = remote.start(script);
        let is_shut = || remote.sandbox.exists("home/.claude.lock");
        await_path(&remote.sandbox.path("home"), "an open lock", || !is_shut());
        let locks = remote.store.requests("lock");
        assert!(locks.len() == 1 && locks[0]["ttl"].as_u64().unwrap() < 30, "{locks:?}");
        remote.gate.open();
        await_path(&remote.sandbox.path("home"), "a lock that is shut again", is_shut);
        if unlocks {
            await_path(&remote.store.0, "an unlock", || !remote.store.requests("unlock").is_empty());
        }
        remote.gate.open();
        live.wait().ok();
        assert!(remote.store.login().contains("FAKE-access-b"), "{mode}");
        // The end of an intent is none.
        assert_eq!(remote.store.requests("lock").len(), 1, "{mode}");
    }
}

/// A newer login in the store is adopted under the lease, and the agent's lock stays shut.
#[test]
fn an_intent_finds_what_another_refreshed() {
    let mut remote = Remote::new();
    let live = remote.start("pause; mkdir \"$C/.oauth_refresh.lock\"; pause; seen");
    remote.store.seed(&Session::new("newer").json());
    remote.gate.open();
    await_path(&remote.sandbox.path("home/.claude"), "the newer login", || {
        remote.sandbox.read("home/.claude/.credentials.json").contains("FAKE-access-newer")
    });
    assert!(remote.sandbox.exists("home/.claude.lock"));
    remote.gate.open();
    let outcome = live.wait().ok();
    assert!(outcome.stdout.contains("FAKE-access-newer"), "{outcome}");
}

#[test]
fn bad_store_specifications_are_refused() {
    let sandbox = Sandbox::new();
    let rows = [
        ("vault", "use dir, or exec: followed by a command"),
        ("exec:", "is not a list of plain words"),
        ("exec:a | b", "is not a list of plain words"),
        ("exec:$HOME/x", "is not a list of plain words"),
    ];
    for (spec, why) in rows {
        let run = sandbox.claude("true").unset("AGENT_INIT_CAPTURE").options(["--store", spec]);
        run.run().code(125).says(&[why]);
    }
    let both = sandbox.claude("true").options(["--store", "exec:/bin/true"]).run().code(125);
    both.says(&["--store exec: and --capture are both set", "NAME_CREDENTIALS_FILE"]);
    let gone = sandbox.claude("true").unset("AGENT_INIT_CAPTURE").options(["--store", "exec:/nowhere/helper"]).run();
    gone.ok().says(&["cannot find /nowhere/helper", "is it installed in this image"]);
    sandbox.claude("true").options(["--store", "dir"]).run().ok();
}

/// What commands that only look say of a store: they ask nobody.
#[test]
fn plan_status_and_doctor_do_not_call_the_store() {
    let remote = Remote::new();
    let status =
        remote.sandbox.raw(["status"]).unset("AGENT_INIT_CAPTURE").env("AGENT_INIT_STORE", remote.store.spec());
    let outcome = status.run();
    assert!(remote.store.requests("get").is_empty(), "{outcome}");
}

/// `--wait`: a store makes no event, so it is asked again.
#[test]
fn a_login_that_appears_in_the_store_is_waited_for() {
    let remote = Remote::empty();
    let run = remote.run("seen").options(["--wait", "1m"]);
    let mut live = run.start();
    live.message("waiting up to 1m for one in exec:");
    remote.store.seed(&Session::new("late").json());
    let outcome = live.wait().ok();
    assert!(outcome.stdout.contains("FAKE-access-late"), "{outcome}");
}

/// A platform whose tools take seconds, and an agent that ends meanwhile: what clears up behind the agent spares them.
#[test]
fn a_slow_store_gets_its_time_at_the_end() {
    for pid1 in [false, true] {
        if pid1 {
            crate::support::needs_root!();
        }
        let remote = Remote::new();
        remote.store.misbehave("put:slow");
        let script = format!("refresh b; until grep -q put {}/requests; do :; done", remote.store.0.display());
        let run = remote.run(&script);
        let run = if pid1 { run.pid1() } else { run };
        run.run().ok().quiet();
        assert!(remote.store.login().contains("FAKE-access-b"), "{pid1}");
    }
}

/// A container that held the lease and was killed gives it back by its time alone.
#[test]
fn a_lease_of_a_dead_container_ends_with_its_time() {
    let mut remote = Remote::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let lease = format!(r#"{{"owner":"FAKE-dead","until":{}}}"#, now + 3.0);
    std::fs::write(remote.store.0.join("claude.lease"), lease).unwrap();
    // As an agent does: it shows its intent, finds the lock taken, and tries again.
    let intent = "mkdir \"$C/.oauth_refresh.lock\" && rmdir \"$C/.oauth_refresh.lock\"";
    let script = format!("until [ ! -e \"$C.lock\" ]; do {intent}; sleep 0.5; done; say open; refresh b; pause");
    let mut live = remote.start(&script);
    live.line("open");
    assert!(remote.store.requests("lock").len() > 1);
    remote.store.await_login("FAKE-access-b");
    remote.gate.open();
    live.wait().ok();
}

/// The agent has ended by itself, and a stop comes while its login is on its way to a store that hangs.
#[test]
fn a_stop_during_the_last_publish_has_its_budget() {
    let mut remote = Remote::new();
    let mut live = remote.run("say ready; pause; refresh b").options(["--grace", "1s"]).start();
    live.line("ready");
    remote.store.misbehave("put:hang");
    remote.gate.open();
    await_path(&remote.store.0, "the put", || !remote.store.requests("put").is_empty());
    let begun = std::time::Instant::now();
    live.stop();
    live.wait().ok().says(&["was not saved"]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(remote.recovered().contains("FAKE-access-b"));
}

/// An agent that ends in its turn: the lease is given back once its login is stored, for the next one looks at that.
#[test]
fn the_lease_is_given_back_after_the_last_publish() {
    let remote = Remote::new();
    let script = "mkdir \"$C/.oauth_refresh.lock\"; until [ ! -e \"$C.lock\" ]; do sleep 0.1; done; refresh b";
    remote.run(script).run().ok().quiet();
    let verbs: Vec<_> = remote.store.all_requests().iter().map(|request| request["verb"].clone()).collect();
    assert_eq!(verbs, ["get", "lock", "get", "put", "unlock"]);
}

/// A store that hangs keeps nobody from a refresh for longer than the agent tries.
#[test]
fn a_store_that_hangs_at_a_turn_does_not_block_the_agent() {
    for mode in ["lock:hang", "get:hang"] {
        let mut remote = Remote::new();
        let script = "pause; mkdir \"$C/.oauth_refresh.lock\"; until [ ! -e \"$C.lock\" ]; do sleep 0.1; done; \
                      refresh b; rmdir \"$C/.oauth_refresh.lock\"; pause";
        let mut live = remote.start(script);
        remote.store.misbehave(mode);
        remote.gate.open();
        live.message("takes longer than an agent waits");
        remote.store.await_login("FAKE-access-b");
        remote.gate.open();
        live.wait().ok();
    }
}

/// What PID 1 has used of a processor so far, in ticks of 10 ms: user and system, proc(5).
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// What still happens in the agent's directory is nobody's business once the agent has ended, and keeps nobody awake while
/// a slow helper stores the last login.
#[test]
fn an_event_after_the_agents_end_does_not_keep_the_last_publish_busy() {
    let mut remote = Remote::new();
    let mut live = remote.run("say ready; pause; refresh b").options(["--grace", "50s"]).start();
    live.line("ready");
    remote.store.misbehave("put:hang");
    remote.gate.open();
    await_path(&remote.store.0, "the put", || !remote.store.requests("put").is_empty());
    let children = format!("/proc/{0}/task/{0}/children", live.pid());
    // The helper alone is left.
    while std::fs::read_to_string(&children).unwrap().split_whitespace().count() > 1 {
        std::thread::yield_now();
    }
    for number in 0..20 {
        remote.sandbox.write(&format!("home/.claude/{number}"), "x");
    }
    let before = ticks(live.pid());
    // No wait for anything: it is measured over this time.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let used = ticks(live.pid()) - before;
    // A sleep takes none. Who spins takes all that a busy machine leaves it.
    assert!(used <= 4, "{used} ticks in a second of sleep");
    let helper = remote.store.requests("put")[0]["pid"].as_i64().unwrap();
    assert!(std::process::Command::new("kill").arg(helper.to_string()).status().unwrap().success());
    live.wait().ok();
}

/// A store that holds more than any login has: nothing of it is installed.
#[test]
fn a_store_with_too_many_files_is_refused() {
    for (count, is_taken) in [(63, true), (64, false), (20_000, false)] {
        let remote = Remote::empty();
        let names: Vec<String> = (0..count).map(|number| format!("file-{number}")).collect();
        let files = names.iter().map(|name| (name.as_str(), "x".to_owned()));
        remote.store.seed_files(files.chain([(".credentials.json", Session::new("a").json())]));
        let outcome = remote.run("seen").run().ok();
        assert_eq!(outcome.stdout.contains("FAKE-refresh-a"), is_taken, "{count}\n{outcome}");
        let said = format!("it has {} files, more than the maximum of 64", count + 1);
        assert_eq!(outcome.stderr.contains(&said), !is_taken, "{count}\n{outcome}");
        let mirrored = std::fs::read_dir(remote.sandbox.path("state/store/claude")).map_or(0, Iterator::count);
        assert!(mirrored <= 66, "{count}: {mirrored} files");
    }
}

/// The names of our own notes are no files of a store's; the login beside them is used.
#[test]
fn a_file_with_the_name_of_our_notes_is_passed_over() {
    let remote = Remote::empty();
    let login = || (".credentials.json", Session::new("a").json());
    remote.store.seed_files([(".agent-init", "x".to_owned()), (".agent-init/record.json", "{}".to_owned()), login()]);
    // Twice: what a start leaves in its mirror does not stop the next.
    for _ in 0..2 {
        let outcome = remote.run("seen").run().ok().warns_once(&["holds a file named .agent-init, which is ignored"]);
        assert!(outcome.stdout.contains("FAKE-refresh-a"), "{outcome}");
    }
    // A start of a version that took such a file.
    std::fs::remove_dir_all(remote.sandbox.path("state/store/claude/.agent-init")).unwrap();
    remote.sandbox.write("state/store/claude/.agent-init", "x");
    let outcome = remote.run("seen; refresh b").run().ok();
    assert!(outcome.stdout.contains("FAKE-refresh-a"), "{outcome}");
    assert!(remote.store.login().contains("FAKE-access-b"));
    remote.run("true").run().ok().quiet();
}

/// A login that no reader would take is not stored: it is kept, and what is stored stays readable.
#[test]
fn what_no_container_could_read_is_not_put() {
    let large = |name: &str, size: usize| {
        let login = Session::new(name).json();
        format!("{},\"pad\":\"{}\"}}", login.strip_suffix('}').unwrap(), "x".repeat(size))
    };
    let many = |name: &str| {
        let login = Session::new(name).json();
        format!("{},\"pad\":[{}0]}}", login.strip_suffix('}').unwrap(), "0,".repeat(60_000))
    };
    let oauth = |name: &str, size: usize| {
        Session::new(name).json().replacen(
            "{\"claudeAiOauth\":{",
            &format!("{{\"claudeAiOauth\":{{\"pad\":\"{}\",", "y".repeat(size)),
            1,
        )
    };
    let values = |name: &str| {
        let pad = "0,".repeat(10_000);
        Session::new(name).json().replacen(
            "{\"claudeAiOauth\":{",
            &format!("{{\"claudeAiOauth\":{{\"pad\":[{pad}0],"),
            1,
        )
    };
    // What is stored, beside the login or in its file, what the agent writes, and why that is too much together.
    let rows = [
        (large("a", 700_000), None, oauth("b", 700_000), "it is larger than 1048576 bytes"),
        (many("a"), None, values("b"), "it holds more values than any login"),
        (
            Session::new("a").json(),
            Some(1_048_000),
            oauth("b", 1000),
            "its files are larger than 1048576 bytes in total",
        ),
    ];
    for (stored, beside, written, why) in rows {
        let mut remote = Remote::empty();
        let beside = beside.map(|size| ("other", "z".repeat(size)));
        remote.store.seed_files([(".credentials.json", stored.clone())].into_iter().chain(beside));
        let new = remote.sandbox.write("new.json", written);
        let script = format!("pause; cp {} \"$C/new\"; mv \"$C/new\" \"$F\"; pause", new.display());
        let live = remote.start(&script);
        remote.gate.open();
        await_path(&remote.sandbox.path("state"), "a recovery copy", || {
            remote.sandbox.exists("state/recovery/claude/.credentials.json")
        });
        assert!(remote.recovered().contains("FAKE-access-b"), "{why}");
        remote.gate.open();
        live.wait().ok().says(&["cannot save the login to exec:", why]);
        assert_eq!(remote.store.requests("put").len(), 0, "{why}");
        assert_eq!(remote.store.login(), stored, "{why}");
    }
}

/// A store that fails at once costs a start no more than one that answers.
#[test]
fn a_helper_that_fails_is_not_waited_for() {
    // Asked once in either case, by a helper that takes next to no time itself.
    let took = |answer: &str| {
        let sandbox = Sandbox::new();
        let helper = sandbox.write("helper", format!("#!/bin/sh\ncat >/dev/null; {answer}\n"));
        sandbox.chmod("helper", 0o755);
        let run = sandbox.claude("true").unset("AGENT_INIT_CAPTURE");
        let run = run.env("AGENT_INIT_STORE", format!("exec:{}", helper.display()));
        let begun = std::time::Instant::now();
        run.run().ok();
        begun.elapsed()
    };
    let least = |answer: &str| (0..5).map(|_| took(answer)).min().unwrap();
    let (well, failing) = (least("echo '{\"v\":1,\"found\":false}'"), least("exit 1"));
    assert!(failing < well + std::time::Duration::from_millis(300), "{failing:?}, and {well:?} when it is well");
}
