//! Keepers and others that refresh one login exclude each other.

use std::fs::File;

use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};

use super::{REFRESH, STORED, captured, keeper, name_of, requests};
use crate::support::{Sandbox, Session, StandIn, await_path};

#[test]
fn two_keepers_send_one_request() {
    let (store, other) = (captured(60), Sandbox::new());
    let mut gate = store.gate("gate");
    let script =
        REFRESH.replace("refresh \"${name}x\"", &format!("hold {}\n\trefresh \"${{name}}x\"", store.text("gate")));
    let mut first = keeper(&store, &script).start();
    first.message("will be refreshed at ");
    await_path(&store.path("vendor"), "a request", || store.read("vendor/name") == "ax\n");
    let second = keeper(&other, &script).arguments(["--once", "-v"]).env("AGENT_INIT_CAPTURE", store.text("capture"));
    let mut second = second.start();
    second.message("will be refreshed at ");
    gate.open();
    second.wait().ok().says_no(&["refreshed the login"]);
    first.message("claude: refreshed the login in ");
    first.stop();
    first.wait().ok();
    assert_eq!((requests(&store), requests(&other)), (vec!["a".to_owned()], Vec::new()));
    assert_eq!(name_of(&store.read(STORED)), "ax");
}

/// The lease of the capture, and the lock of a plain agent whose config directory the capture is.
#[test]
fn a_keeper_waits_while_another_refreshes() {
    let hold_lease = |store: &Sandbox| {
        store.mkdir("capture/claude/.agent-init");
        let file = File::create(store.path("capture/claude/.agent-init/refresh")).unwrap();
        Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap()
    };
    let store = captured(60);
    let lease = hold_lease(&store);
    let mut live = keeper(&store, REFRESH).start();
    live.message("will be refreshed at ");
    store.captured("claude", ".credentials.json", &Session::new("b").json());
    live.message("will be refreshed at 2099-");
    drop(lease);
    live.stop();
    live.wait().ok().quiet();
    assert_eq!(requests(&store), Vec::<String>::new());

    let store = captured(60);
    store.mkdir("capture/claude/.oauth_refresh.lock");
    let mut live = keeper(&store, REFRESH).start();
    live.message("will be refreshed at ");
    store.captured("claude", ".credentials.json", &Session::new("b").json());
    live.message("will be refreshed at 2099-");
    live.stop();
    live.wait().ok().quiet();
    assert_eq!(requests(&store), Vec::<String>::new());
    assert!(store.exists("capture/claude/.oauth_refresh.lock"));
}

/// Others see the lock of the agent in the capture during a refresh, and it is gone afterwards.
#[test]
fn the_agents_own_lock_is_held_during_a_refresh() {
    let store = captured(60);
    let lock = store.text("capture/claude/.oauth_refresh.lock");
    let script = format!("[ -d {lock} ] || exit 9\n{REFRESH}");
    keeper(&store, &script).arguments(["--once"]).run().ok();
    assert!(!store.exists("capture/claude/.oauth_refresh.lock"));
    assert_eq!(requests(&store), ["a"]);
}

fn stored_behind_a_helper(sandbox: &Sandbox) -> StandIn {
    let store = StandIn::new(sandbox.mkdir("store"));
    store.seed(&Session::expired("a").json());
    store
}

#[test]
fn a_login_in_a_store_is_kept() {
    let sandbox = Sandbox::new();
    let store = stored_behind_a_helper(&sandbox);
    let run = keeper(&sandbox, REFRESH).arguments(["--once", "--store", &store.spec()]).unset("AGENT_INIT_CAPTURE");
    run.run().ok().says(&["claude: refreshed the login in "]);
    assert_eq!((name_of(&store.login()).as_str(), requests(&sandbox).len()), ("ax", 1));
    // It may be asked for its login at any time.
    let verbs = store.all_requests().into_iter().map(|request| request["verb"].as_str().unwrap().to_owned());
    assert_eq!(verbs.filter(|verb| verb != "get").collect::<Vec<_>>(), ["lock", "put", "unlock"]);
}

/// A store without leases compares and sets.
#[test]
fn a_store_without_leases_is_enough() {
    let sandbox = Sandbox::new();
    let store = stored_behind_a_helper(&sandbox);
    store.misbehave("no-lock");
    let run = keeper(&sandbox, REFRESH).arguments(["--once", "--store", &store.spec()]).unset("AGENT_INIT_CAPTURE");
    run.run().ok().says(&["claude: refreshed the login in "]);
    assert_eq!((name_of(&store.login()).as_str(), requests(&sandbox).len()), ("ax", 1));
}

/// A store that does not answer: nothing is refreshed that could not be stored.
#[test]
fn nothing_is_refreshed_while_the_store_fails() {
    let sandbox = Sandbox::new();
    let store = stored_behind_a_helper(&sandbox);
    store.misbehave("lock:die");
    let run = keeper(&sandbox, REFRESH).arguments(["--once", "--store", &store.spec()]).unset("AGENT_INIT_CAPTURE");
    run.run().code(1).says(&["was not refreshed: cannot get the right to refresh it: store exec:"]);
    assert_eq!(requests(&sandbox), Vec::<String>::new());
}

/// What the command leaves has the entries that it began with. Those that others refreshed meanwhile stay.
#[test]
fn mcp_logins_that_change_during_a_refresh_stay() {
    let sandbox = captured(60);
    let mut login: Value = serde_json::from_str(&sandbox.read(STORED)).unwrap();
    let expires = 4_102_444_800_001_u64;
    login["mcpOAuth"] = json!({ "x": { "accessToken": "FAKE", "refreshToken": "FAKE-mcp-1", "expiresAt": expires } });
    sandbox.write(STORED, login.to_string());
    let script = r#"
    sed 's/FAKE-mcp-1/FAKE-mcp-2/' "$STORED" >"$STORED.tmp.1" && mv "$STORED.tmp.1" "$STORED"
    until grep -q FAKE-mcp-2 "$WORKING"; do :; done
    grep -q FAKE-mcp-1 "$F" || exit 9
    sed 's/-a"/-ax"/g; s/"expiresAt":1,/"expiresAt":4102444800000,/' "$F" >"$F.tmp.1" && mv "$F.tmp.1" "$F"
    "#;
    let paths = format!(
        "STORED='{}' WORKING='{}'\n",
        sandbox.text(STORED),
        sandbox.text("state/keep/work/claude/.credentials.json")
    );
    keeper(&sandbox, &format!("{paths}{script}")).arguments(["--once"]).run().ok().quiet();
    let stored = sandbox.read(STORED);
    assert_eq!(name_of(&stored), "ax");
    assert!(stored.contains("FAKE-mcp-2"), "{stored}");
}
