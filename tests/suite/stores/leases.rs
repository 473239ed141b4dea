//! `lock` and `unlock`.

use std::thread;
use std::time::Instant;

use serde_json::json;

use super::store::Store;
use crate::support::LIMIT;

/// Longer than any test.
const LONG: u32 = 86_400;

const ROWS: &[(&str, fn(&Store, &str))] = &[
    ("one owner at a time", |store, agent| {
        assert!(store.lock(agent, "a", LONG));
        assert!(!store.lock(agent, "b", LONG));
        store.unlock(agent, "a");
        assert!(store.lock(agent, "b", LONG));
        assert!(!store.lock(agent, "a", LONG));
    }),
    ("the owner may renew", |store, agent| {
        assert!(store.lock(agent, "a", 1));
        assert!(store.lock(agent, "a", LONG));
        assert!(!store.lock(agent, "b", LONG));
    }),
    ("nobody frees another's lease", |store, agent| {
        assert!(store.lock(agent, "a", LONG));
        store.unlock(agent, "b");
        assert!(!store.lock(agent, "b", LONG));
    }),
    ("what nobody holds is free, also twice", |store, agent| {
        store.unlock(agent, "a");
        assert!(store.lock(agent, "a", LONG));
        store.unlock(agent, "a");
        store.unlock(agent, "a");
        assert!(store.lock(agent, "b", LONG));
    }),
    ("a dead owner's lease frees itself, and his late unlock frees nobody's", |store, agent| {
        assert!(store.lock(agent, "dead", 1));
        let start = Instant::now();
        while !store.lock(agent, "next", LONG) {
            assert!(start.elapsed() < LIMIT, "a lease of 1 s is still held");
        }
        store.unlock(agent, "dead");
        assert!(!store.lock(agent, "dead", LONG));
    }),
    ("of many at once one gets it", |store, agent| {
        let got = thread::scope(|scope| {
            let owners = ["a", "b", "c", "d", "e", "f"];
            let all = owners.map(|owner| scope.spawn(move || store.lock(agent, owner, LONG)));
            all.into_iter().map(|one| one.join().unwrap()).filter(|got| *got).count()
        });
        assert_eq!(got, 1);
    }),
    ("it is no login, and of one agent", |store, agent| {
        assert!(store.lock(agent, "a", LONG));
        assert_eq!(store.get(agent), None);
        assert!(store.lock(&format!("{agent}-b"), "b", LONG));
    }),
    ("an owner's name may be anything", |store, agent| {
        let owner = "host \"1\"\\ $(id) \u{e9}:0";
        assert!(store.lock(agent, owner, LONG));
        assert!(!store.lock(agent, "b", LONG));
        store.unlock(agent, owner);
        assert!(store.lock(agent, "b", LONG));
    }),
];

pub fn leases(store: &Store) {
    if !store.leases {
        for verb in ["lock", "unlock"] {
            let request = json!({"v": 1, "agent": "claude", "owner": "a", "ttl": 60});
            assert_eq!(store.ask(verb, &request), json!({"v": 1, "unsupported": true}));
        }
        return;
    }
    for (number, (what, row)) in ROWS.iter().enumerate() {
        println!("{}: {what}", store.name);
        row(store, &format!("lease-{number}"));
    }
}
