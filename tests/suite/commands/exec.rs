//! `exec`: beside the agent, as the agent.

use super::{captured, ready};
use crate::support::{Live, Outcome, Run, Sandbox, Session, await_path, needs_root};

const HOLD: &str = "say ready; hold \"$1\"";

/// An agent under way as `--user`, in a namespace as in a container.
fn agent(sandbox: &Sandbox, options: &[&str], dress: impl Fn(Run) -> Run) -> Live {
    let run = sandbox.claude(HOLD).arguments([sandbox.text("gate")]).options(options.iter().copied());
    ready(sandbox, dress(run.pid1()))
}

/// What `docker exec` does, with an environment that is not the agent's.
fn beside(sandbox: &Sandbox, live: &Live, words: &[&str]) -> Run {
    let run = sandbox.raw(["exec", "--"]).arguments(words.iter().copied());
    let run = run.env("HOME", "/root").env("CLAUDE_CREDENTIALS", "FAKE-blob").env("OWN", "kept");
    run.through(["nsenter".to_owned(), "-a".to_owned(), "-t".to_owned(), live.pid().to_string()])
}

const WHO: &str = "id -u; id -g; id -G; grep -E 'NoNewPrivs|CapBnd|CapEff|SigIgn|SigBlk' /proc/self/status";

#[track_caller]
fn shell(outcome: Outcome) -> Vec<String> {
    outcome.ok().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn user_groups_and_privileges_are_the_agents() {
    needs_root!();
    for options in [&["--user", "node"][..], &["--user", "12345"], &["--user", "node", "--drop-caps", "off"], &[]] {
        let sandbox = Sandbox::new();
        let mut gate = sandbox.gate("gate");
        // The agent notes who it is before it waits.
        sandbox.write("who", "");
        sandbox.chmod("who", 0o666);
        let script = format!("{{ {WHO}; }} >\"$2\"; {HOLD}");
        let run = sandbox.claude(&script).arguments([gate.to_string(), sandbox.text("who")]);
        let live = ready(&sandbox, run.options(options.iter().copied()).pid1());
        let its: Vec<String> = sandbox.read("who").lines().map(str::to_owned).collect();
        assert_eq!(its.len(), 8, "{its:?}");
        let joined = shell(beside(&sandbox, &live, &["sh", "-c", WHO]).run());
        assert_eq!(joined, its, "{options:?}");
        gate.open();
        live.wait().ok();
    }
}

#[test]
fn the_environment_is_the_agents() {
    needs_root!();
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let live = agent(&sandbox, &["--user", "node"], |run| run.env("ANTHROPIC_API_KEY", "sk-FAKE-agents"));
    let outcome = beside(&sandbox, &live, &["env"]).env("ANTHROPIC_API_KEY", "sk-FAKE-other").run().ok();
    assert_eq!(outcome.variable("HOME"), Some(sandbox.text("home").as_str()), "{outcome}");
    assert_eq!(outcome.variable("CLAUDE_CONFIG_DIR"), Some(sandbox.text("home/.claude").as_str()), "{outcome}");
    assert_eq!(outcome.variable("ANTHROPIC_API_KEY"), Some("sk-FAKE-agents"), "{outcome}");
    assert_eq!(outcome.variable("CLAUDE_CREDENTIALS"), None, "{outcome}");
    assert_eq!(outcome.variable("OWN"), Some("kept"), "{outcome}");
    assert_eq!(outcome.stderr, "");
    // Docker's default capabilities: without SYS_PTRACE.
    let without =
        beside(&sandbox, &live, &["env"]).through(["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]);
    assert_eq!(without.run().ok().variable("ANTHROPIC_API_KEY"), Some("sk-FAKE-agents"));
    gate.open();
    live.wait().ok();
}

#[test]
fn the_command_is_found_and_its_status_is_passed_on() {
    needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let mut gate = sandbox.gate("gate");
    let live = agent(&sandbox, &["--user", "node"], |run| run);
    beside(&sandbox, &live, &["sh", "-c", "exit 7"]).run().code(7);
    beside(&sandbox, &live, &["nosuch-command"]).run().code(127).says(&["nosuch-command: command not found"]);
    beside(&sandbox, &live, &["/etc/passwd"]).run().code(126).says(&["cannot execute"]);
    // The login is there for it.
    beside(&sandbox, &live, &["claude", "cat \"$F\""]).run().ok().prints(&["FAKE-access-a"]);
    gate.open();
    live.wait().ok();
}

#[test]
fn without_root_only_as_the_agents_own_user() {
    needs_root!();
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    let live = agent(&sandbox, &["--user", "node"], |run| run.env("ANTHROPIC_API_KEY", "sk-FAKE"));
    let same = beside(&sandbox, &live, &["sh", "-c", "id -u; env"]).uid(1000).run().ok();
    assert!(same.stdout.starts_with("1000\n"), "{same}");
    assert_eq!(same.variable("ANTHROPIC_API_KEY"), Some("sk-FAKE"), "{same}");
    let other = beside(&sandbox, &live, &["id"]).uid(1001).run();
    other.refuses(&["the agent is uid 1000, and this is uid 1001", "--user 1000"]).prints_no(&["uid"]);
    gate.open();
    live.wait().ok();
}

#[test]
fn exec_without_a_running_agent_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.raw(["exec", "--", "true"]).run().refuses(&["cannot join the agent", "no agent runs here", "--state-dir"]);
    sandbox.raw(["exec"]).run().refuses(&["no COMMAND"]);
}

/// An agent-init that is not root shares its uid with its agent, which can write the state file.
#[test]
fn a_forged_state_makes_nobody_root() {
    needs_root!();
    let sandbox = Sandbox::new();
    let mut gate = sandbox.gate("gate");
    sandbox.give("home", 1000);
    sandbox.give("state", 1000);
    sandbox.give("capture", 1000);
    // A process of root's, whose environment could have been made by anybody, as that of a set-user-id program.
    let at = sandbox.text("victim");
    let victim = format!("LD_PRELOAD=/evil.so setsid sh -c 'echo $$ >{at}.new; mv {at}.new {at}; exec sleep 1000' &");
    let run = sandbox.claude(HOLD).arguments([gate.to_string()]).pid1().setup(victim).uid(1000);
    let live = ready(&sandbox, run);
    await_path(&sandbox.path(""), "the victim", || sandbox.exists("victim"));
    let victim: i32 = sandbox.read("victim").trim().parse().unwrap();
    assert_eq!(beside(&sandbox, &live, &["id", "-u"]).run().ok().stdout, "1000\n");
    let state: serde_json::Value = serde_json::from_str(&sandbox.read("state/state.json")).unwrap();
    let agent = state["agent_pid"].clone();
    for (user, pid) in [(0, victim.into()), (1000, victim.into()), (0, agent.clone())] {
        let mut forged = state.clone();
        forged["user"] = serde_json::json!([user, user]);
        forged["agent_pid"] = pid;
        forged["environment"]["kept"] = serde_json::json!(["LD_PRELOAD"]);
        sandbox.write("state/state.json", forged.to_string());
        sandbox.give("state", 1000);
        beside(&sandbox, &live, &["id", "-u"]).run().refuses(&["cannot join the agent"]).prints_no(&["0"]);
    }
    // What it says of the environment is its own to say: the command runs as the agent.
    let mut forged = state.clone();
    forged["environment"]["set"]["EVIL"] = "yes".into();
    sandbox.write("state/state.json", forged.to_string());
    sandbox.give("state", 1000);
    assert_eq!(beside(&sandbox, &live, &["id", "-u"]).run().ok().stdout, "1000\n");
    gate.open();
    live.wait();
}
