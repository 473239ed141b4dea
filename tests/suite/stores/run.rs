//! Containers of agent-init on a store.

use super::store::Store;
use crate::support::{Gate, Live, Run, Sandbox, Session, await_path};

/// A container whose stand-in agent runs a script, in which `pause` holds until the gate opens.
struct Container {
    sandbox: Sandbox,
    gate: Gate,
}

impl Container {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let gate = sandbox.gate("gate");
        Self { sandbox, gate }
    }

    fn run(&self, store: &Store, script: &str) -> Run {
        let words: Vec<String> = store.words("").iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let script = format!("pause() {{ hold '{}' \"$@\"; }}; {script}", self.gate);
        let mut run = self.sandbox.claude(&script).unset("AGENT_INIT_CAPTURE");
        run = run.env("AGENT_INIT_STORE", format!("exec:{}", words.join(" ").trim_end()));
        for (name, value) in store.environment(&self.sandbox.path("bin")) {
            run = run.env(&name, value);
        }
        run
    }

    fn start(&self, store: &Store, script: &str) -> Live {
        let mut live = self.run(store, &format!("say ready; {script}")).start();
        live.line("ready");
        live
    }

    /// Until what the agent wrote is known to be stored.
    fn await_published(&self) {
        await_path(&self.sandbox.path("state"), "a published login", || {
            std::fs::read_to_string(self.sandbox.path("state/state.json")).unwrap_or_default().contains("\"published\"")
        });
    }
}

/// One refreshes, the other finds that before it does the same, and nothing is lost: a third knows all of it.
pub fn two_containers(store: &Store) {
    let [mut first, mut second] = [Container::new(), Container::new()];
    first.run(store, "true").env("CLAUDE_CREDENTIALS", Session::new("a").json()).run().ok().quiet();
    let one = first.start(store, "pause; refresh b; pause");
    let other = second.start(
        store,
        "pause; mkdir \"$C/.oauth_refresh.lock\"; pause; rmdir \"$C/.oauth_refresh.lock\"; refresh c; pause",
    );
    first.gate.open();
    first.await_published();
    second.gate.open();
    await_path(&second.sandbox.path("home/.claude"), "the first one's login", || {
        second.sandbox.read("home/.claude/.credentials.json").contains("FAKE-access-b")
    });
    second.gate.open();
    second.await_published();
    first.gate.open();
    second.gate.open();
    one.wait().ok();
    other.wait().ok();
    let (_, files) = store.get("claude").unwrap();
    assert!(String::from_utf8_lossy(&files[".credentials.json"]).contains("FAKE-access-c"));
    let third = Container::new();
    for spent in ["a", "b"] {
        let run = third.run(store, "seen").env("CLAUDE_CREDENTIALS", Session::new(spent).json());
        let outcome = run.run().ok().says(&["env:CLAUDE_CREDENTIALS is ignored"]);
        assert!(outcome.stdout.contains("FAKE-access-c"), "{spent}: {outcome}");
    }
}
