//! What every store answers, and that it forgets no update.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};

use super::store::{Files, Store, one, put_request, run};

const ROWS: &[(&str, fn(&Store, &str))] = &[
    ("nothing is there", |store, agent| assert_eq!(store.get(agent), None)),
    ("stored, read, stored again", |store, agent| {
        let (first, second) = (one(".credentials.json", "FAKE first"), one(".credentials.json", "FAKE second"));
        let version = store.put(agent, None, &first).unwrap();
        assert_eq!(store.get(agent), Some((version.clone(), first)));
        let next = store.put(agent, Some(&version), &second).unwrap();
        assert_ne!(version, next);
        assert_eq!(store.get(agent), Some((next, second)));
    }),
    ("what is there already is a conflict", |store, agent| {
        let version = store.put(agent, None, &one("auth.json", "FAKE first")).unwrap();
        assert_eq!(store.put(agent, None, &one("auth.json", "FAKE other")), None);
        assert_eq!(store.get(agent), Some((version, one("auth.json", "FAKE first"))));
    }),
    ("a stale version is a conflict", |store, agent| {
        let stale = store.put(agent, None, &one("auth.json", "FAKE first")).unwrap();
        let version = store.put(agent, Some(&stale), &one("auth.json", "FAKE second")).unwrap();
        assert_eq!(store.put(agent, Some(&stale), &one("auth.json", "FAKE other")), None);
        assert_eq!(store.get(agent), Some((version.clone(), one("auth.json", "FAKE second"))));
        // and the loser is in nobody's way
        assert!(store.put(agent, Some(&version), &one("auth.json", "FAKE third")).is_some());
    }),
    ("a version of nothing is a conflict", |store, agent| {
        let elsewhere = store.put(&format!("{agent}-b"), None, &one("auth.json", "FAKE")).unwrap();
        assert_eq!(store.put(agent, Some(&elsewhere), &one("auth.json", "FAKE")), None);
        assert_eq!(store.get(agent), None);
    }),
    ("many files, any bytes; a put replaces all of them", |store, agent| {
        let many = Files::from([
            (".credentials.json".into(), b"{\"token\": \"FAKE\"}\n".to_vec()),
            ("bytes_of.all-kinds".into(), (0..=255).collect()),
            ("empty".into(), Vec::new()),
            ("long".into(), vec![b'~'; 12_000]),
        ]);
        let version = store.put(agent, None, &many).unwrap();
        assert_eq!(store.get(agent), Some((version.clone(), many)));
        let version = store.put(agent, Some(&version), &one("empty", "FAKE")).unwrap();
        assert_eq!(store.get(agent), Some((version, one("empty", "FAKE"))));
    }),
    ("agents are apart", |store, agent| {
        let other = format!("{agent}-b");
        let version = store.put(agent, None, &one("auth.json", "FAKE one")).unwrap();
        let others = store.put(&other, None, &one("auth.json", "FAKE two")).unwrap();
        assert_eq!(store.get(agent), Some((version, one("auth.json", "FAKE one"))));
        assert_eq!(store.get(&other), Some((others, one("auth.json", "FAKE two"))));
    }),
    ("keys that are not known are ignored", |store, agent| {
        let mut request = put_request(agent, None, &one("auth.json", "FAKE"));
        request["later"] = json!({"a": ["b", null]});
        assert_eq!(store.ask("put", &request)["stored"], true);
        let request = json!({"v": 1, "agent": agent, "later": [1]});
        assert_eq!(store.ask("get", &request)["found"], true);
    }),
];

pub fn answers(store: &Store) {
    for (number, (what, row)) in ROWS.iter().enumerate() {
        println!("{}: {what}", store.name);
        row(store, &format!("row-{number}"));
    }
}

/// `sh` is another program in every image.
pub fn any_shell_will_do(store: &Store) {
    for shell in [&["dash"][..], &["bash", "--posix"], &["busybox", "sh"]] {
        println!("{}: {shell:?}", store.name);
        let agent = shell[0];
        let ask = |verb: &str, request: &Value| -> Value {
            let output = run(store.command(shell[0]).args(&shell[1..]).args(store.words(verb)), &request.to_string());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let stored = ask("put", &put_request(agent, None, &one("auth.json", "FAKE")));
        let version = stored["version"].as_str();
        let stored = ask("put", &put_request(agent, version, &one("auth.json", "FAKE again")));
        assert_eq!(stored["stored"], true, "{stored}");
        assert_eq!(ask("put", &put_request(agent, version, &one("auth.json", "FAKE other")))["conflict"], true);
        let found = ask("get", &json!({"agent": agent}));
        assert_eq!((&found["found"], &found["version"]), (&json!(true), &stored["version"]));
        let locked = ask("lock", &json!({"agent": agent, "owner": "a", "ttl": 60}));
        assert_eq!(locked[if store.leases { "locked" } else { "unsupported" }], true, "{locked}");
        let unlocked = ask("unlock", &json!({"agent": agent, "owner": "a"}));
        assert_eq!(unlocked[if store.leases { "unlocked" } else { "unsupported" }], true, "{unlocked}");
    }
}

/// What was made beforehand and has no content counts as none.
pub fn made_beforehand(store: &Store, agent: &str) {
    assert_eq!(store.get(agent), None);
    let version = store.put(agent, None, &one("auth.json", "FAKE first")).unwrap();
    assert_eq!(store.put(agent, None, &one("auth.json", "FAKE other")), None);
    assert_eq!(store.get(agent), Some((version, one("auth.json", "FAKE first"))));
}

/// Two writers that read, add one and write, so often each, from nothing.
pub fn no_update_is_lost(store: &Store, writes: usize) {
    let write = || {
        let mut stored = Vec::new();
        while stored.len() < writes {
            let (version, count) = match store.get("counter") {
                Some((version, files)) => (Some(version), serde_json::from_slice::<Value>(&files["count"]).unwrap()),
                None => (None, json!(0)),
            };
            let count = count.as_u64().unwrap() + 1;
            stored.extend(store.put("counter", version.as_deref(), &one("count", count.to_string())));
        }
        stored
    };
    let versions: Vec<String> = thread::scope(|scope| {
        let writers = [scope.spawn(write), scope.spawn(write)];
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let (_, files) = store.get("counter").unwrap();
    assert_eq!(String::from_utf8_lossy(&files["count"]), (2 * writes).to_string(), "{}", store.name);
    assert_eq!(versions.iter().collect::<BTreeSet<_>>().len(), 2 * writes, "a version was given twice: {versions:?}");
}
