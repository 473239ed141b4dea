use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::login::Document;
use crate::login::format::{Format, SessionFile};

fn rule() -> SessionFile {
    let rule = json!({
        "file": "login.json",
        "access-token": ["/oauth/access"],
        "travels": ["oauth"],
        "entries": [{ "key": "servers", "access-token": "/token", "refresh-token": "/refresh",
                      "expiry": { "field": "/expires", "unit": "seconds" } }]
    });
    serde_json::from_value(rule).unwrap()
}

fn entries(file: &Value) -> Entries {
    Document::parse(file.to_string().as_bytes(), Format::Json).unwrap().entries(&rule())
}

/// The file `into` after `from` was merged into it.
fn merged(base: &EntriesBase, from: &Value, into: &Value) -> Value {
    let [from, into] = [from, into].map(|file| file.to_string().into_bytes());
    let merged = Document::with_other_keys_of(&rule(), &from, Some(&into), Some(base)).unwrap();
    serde_json::from_slice(&merged).unwrap()
}

/// A container's working copy and its merge base.
#[derive(Debug, Clone)]
struct Container {
    file: Value,
    base: EntriesBase,
}

impl Container {
    /// One that agreed with the store on `file`.
    fn installed(file: &Value) -> Container {
        let base = EntriesBase::default().agreed(&entries(file), &entries(file));
        Container { file: file.clone(), base }
    }

    fn sync(&mut self, stored: &mut Value) {
        *stored = merged(&self.base, &self.file, stored);
        self.file = merged(&self.base, stored, &self.file);
        self.base = self.base.agreed(&entries(&self.file), &entries(stored));
    }
}

fn file(servers: &Value) -> Value {
    json!({ "oauth": { "access": "FAKE" }, "servers": servers })
}

#[test]
fn each_pair_of_entries_has_its_outcome() {
    let none = || json!({});
    let of = |token: &str, expires: u64| json!({ "a": { "token": token, "expires": expires } });
    let base = || of("FAKE-0", 50);
    let blank = || of("", 60);
    let (ours, theirs) = (|| of("FAKE-1", 60), || of("FAKE-2", 70));
    let undated = || json!({ "a": { "token": "FAKE-3" } });
    let rows = [
        ("nothing changed", base(), base(), base(), base()),
        ("ours changed", ours(), base(), ours(), ours()),
        ("theirs changed", base(), theirs(), theirs(), theirs()),
        ("both changed", ours(), theirs(), theirs(), theirs()),
        ("both changed, the other way", theirs(), ours(), theirs(), theirs()),
        ("both changed, one without expiry", undated(), ours(), ours(), ours()),
        ("both alike", ours(), ours(), ours(), ours()),
        ("ours removed", none(), base(), none(), none()),
        ("theirs removed", base(), none(), none(), none()),
        ("ours removed, theirs changed", none(), theirs(), theirs(), theirs()),
        ("ours changed, theirs removed", ours(), none(), ours(), ours()),
        ("both removed", none(), none(), none(), none()),
        ("ours is not an object, theirs changed", json!({ "a": 1 }), theirs(), theirs(), theirs()),
        ("ours is not an object", json!({ "a": 1 }), base(), json!({ "a": 1 }), base()),
        ("ours blanked", blank(), base(), blank(), base()),
        ("theirs blanked", base(), blank(), base(), blank()),
        ("ours blanked, theirs changed", blank(), theirs(), theirs(), theirs()),
        ("ours changed, theirs blanked", ours(), blank(), ours(), ours()),
        ("ours blanked, theirs removed", blank(), none(), blank(), none()),
        ("our object is gone", Value::Null, base(), base(), base()),
        ("their object is gone", base(), Value::Null, base(), base()),
    ];
    for (name, ours, theirs, ours_after, theirs_after) in rows {
        let mut container = Container::installed(&file(&base()));
        let mut stored = file(&theirs);
        container.file = file(&ours);
        container.sync(&mut stored);
        assert_eq!(container.file, file(&ours_after), "{name}: ours");
        assert_eq!(stored, file(&theirs_after), "{name}: theirs");
    }
}

#[test]
fn without_a_merge_base_nothing_is_removed() {
    let a = json!({ "token": "FAKE-a", "expires": 60 });
    let b = json!({ "token": "FAKE-b", "expires": 60 });
    let newer = json!({ "token": "FAKE-c", "expires": 70 });
    let blank = json!({ "token": "", "expires": 80 });
    let rows = [
        ("theirs only", json!({}), json!({ "a": a }), json!({ "a": a }), json!({ "a": a })),
        ("ours only", json!({ "a": a }), Value::Null, json!({ "a": a }), json!({ "a": a })),
        ("one each", json!({ "a": a }), json!({ "b": b }), json!({ "a": a, "b": b }), json!({ "a": a, "b": b })),
        ("the later one", json!({ "a": a }), json!({ "a": newer }), json!({ "a": newer }), json!({ "a": newer })),
        ("blank here", json!({ "a": blank }), json!({ "a": a }), json!({ "a": a }), json!({ "a": a })),
        ("blank there", json!({ "a": a }), json!({ "a": blank }), json!({ "a": a }), json!({ "a": a })),
        (
            "the refresh token",
            json!({ "a": { "token": "FAKE-a", "expires": 60, "refresh": "FAKE-r" } }),
            json!({ "a": a }),
            json!({ "a": { "token": "FAKE-a", "expires": 60, "refresh": "FAKE-r" } }),
            json!({ "a": { "token": "FAKE-a", "expires": 60, "refresh": "FAKE-r" } }),
        ),
        ("only blank", json!({ "a": blank }), json!({}), json!({ "a": blank }), json!({})),
    ];
    for (name, ours, theirs, ours_after, theirs_after) in rows {
        let mut container = Container { file: file(&ours), base: EntriesBase::default() };
        let mut stored = file(&theirs);
        container.sync(&mut stored);
        assert_eq!(container.file, file(&ours_after), "{name}: ours");
        assert_eq!(stored, file(&theirs_after), "{name}: theirs");
    }
}

#[test]
fn entries_keep_their_bytes_and_the_rest_of_the_file_too() {
    let from = br#"{"oauth":{"access":"FAKE-new"},"servers":{"b|1": {"token":"FAKE-b", "n":1e2}, "gone":{}}}"#;
    let rows = [
        (
            "into an object",
            "{\n  \"servers\": {\n    \"a\": {\"token\":\"FAKE-a\"}\n  },\n  \"x\": 1.0,\n  \"oauth\": {}\n}",
            "{\n  \"servers\": {\n    \"a\": {\"token\":\"FAKE-a\"},\n    \"b|1\": {\"token\":\"FAKE-b\", \"n\":1e2}\n  },\n  \"x\": 1.0,\n  \"oauth\": {\"access\":\"FAKE-new\"}\n}",
        ),
        (
            "into a file without the object",
            "{\"x\":1}",
            "{\"x\":1,\"oauth\":{\"access\":\"FAKE-new\"},\"servers\":{\"b|1\":{\"token\":\"FAKE-b\", \"n\":1e2}}}",
        ),
        (
            "over something that is not an object",
            "{\"servers\":null,\"x\":1}",
            "{\"servers\":{\"b|1\":{\"token\":\"FAKE-b\", \"n\":1e2}},\"x\":1,\"oauth\":{\"access\":\"FAKE-new\"}}",
        ),
    ];
    for (name, into, expected) in rows {
        let merged =
            Document::with_other_keys_of(&rule(), from, Some(into.as_bytes()), Some(&EntriesBase::default())).unwrap();
        assert_eq!(String::from_utf8_lossy(&merged), expected, "{name}");
    }
}

#[test]
fn entries_are_merged_with_a_merge_base_only() {
    let (from, into) = (file(&json!({ "a": { "token": "FAKE-a" } })), file(&json!({ "b": { "token": "FAKE-b" } })));
    let [from, into] = [from, into].map(|file| file.to_string().into_bytes());
    let merged = Document::with_other_keys_of(&rule(), &from, Some(&into), None).unwrap();
    assert_eq!(*merged, into);
}

#[test]
fn entries_alone_are_merged_into_a_login() {
    let base = EntriesBase::default();
    let mut from = file(&json!({ "a": { "token": "FAKE-a" } }));
    from["oauth"]["access"] = json!("FAKE-other");
    let into = file(&json!({ "b": { "token": "FAKE-b" } }));
    let [from, into] = [from, into].map(|file| file.to_string().into_bytes());
    let merged = Document::with_entries_of(&rule(), &from, &into, &base).unwrap();
    let both = json!({ "a": { "token": "FAKE-a" }, "b": { "token": "FAKE-b" } });
    assert_eq!(serde_json::from_slice::<Value>(&merged).unwrap(), file(&both));
    assert_eq!(Document::with_entries_of(&rule(), &from, &merged, &base), None);
}

#[test]
fn entries_that_do_not_fit_do_not_keep_the_login_back() {
    let large = |name: &str| json!({ name: { "token": "FAKE", "x": "x".repeat(600 * 1024) } });
    let (mut ours, theirs) = (file(&large("a")), file(&large("b")));
    ours["oauth"]["access"] = json!("FAKE-new");
    let stored = merged(&EntriesBase::default(), &ours, &theirs);
    assert_eq!(stored["oauth"]["access"], "FAKE-new");
    assert_eq!(stored["servers"], theirs["servers"]);
}

#[test]
fn too_many_entries_are_left_alone() {
    let many: Map<String, Value> =
        (0..=MAX_ENTRIES).map(|number| (number.to_string(), json!({ "token": "FAKE" }))).collect();
    let (many, few) = (file(&many.into()), file(&json!({ "x": { "token": "FAKE" } })));
    let base = EntriesBase::default();
    assert!(entries(&many).are_too_many() && !entries(&few).are_too_many());
    assert_eq!(merged(&base, &many, &few), few);
    assert_eq!(merged(&base, &few, &many), many);
    assert_eq!(base.agreed(&entries(&many), &entries(&many)), base);
}

#[test]
fn a_merge_base_is_read_back() {
    let container = Container::installed(&file(&json!({ "a": { "token": "FAKE" } })));
    let json = serde_json::to_value(&container.base).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 1);
    assert_eq!(serde_json::from_value::<EntriesBase>(json).unwrap(), container.base);
    assert!(serde_json::from_value::<EntriesBase>(json!(["blake3:0"])).unwrap().is_empty());
}

/// The members of `servers`: absent, blank, or with one of a few tokens.
fn any_servers() -> impl Strategy<Value = Value> {
    let entry = prop_oneof![
        1 => Just(json!({ "token": "" })),
        4 => (0..4_u8, prop_oneof![Just(None), (0..3_u64).prop_map(Some)]).prop_map(|(token, expires)| {
            let mut entry = json!({ "token": format!("FAKE-{token}") });
            if let Some(expires) = expires {
                entry["expires"] = expires.into();
            }
            entry
        }),
    ];
    let names = prop::sample::select(vec!["a", "b", "c|1", "d\"\n"]).prop_map(str::to_owned);
    proptest::collection::btree_map(names, entry, 0..4).prop_map(|servers| json!(servers))
}

/// Servers, or a file that says nothing about them.
fn any_file() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => any_servers().prop_map(|servers| file(&servers)),
        1 => Just(json!({ "oauth": { "access": "FAKE" } })),
    ]
}

fn servers(file: &Value) -> BTreeMap<String, Value> {
    file["servers"].as_object().into_iter().flatten().map(|(name, entry)| (name.clone(), entry.clone())).collect()
}

proptest! {
    #[test]
    fn a_second_merge_changes_nothing(base in any_file(), ours in any_file(), theirs in any_file()) {
        let mut container = Container { file: ours, ..Container::installed(&base) };
        let mut stored = theirs;
        container.sync(&mut stored);
        let before = (container.file.clone(), stored.clone());
        // Neither with the new merge base, nor with the earlier one, which a crash leaves.
        for base in [container.base.clone(), Container::installed(&base).base] {
            let (ours, theirs) = (entries(&container.file), entries(&stored));
            prop_assert_eq!(changes(&base, &ours, &theirs), vec![]);
            prop_assert_eq!(changes(&base, &theirs, &ours), vec![]);
        }
        container.sync(&mut stored);
        prop_assert_eq!((container.file, stored), before);
    }

    #[test]
    fn no_new_login_is_lost(base in any_file(), ours in any_file(), theirs in any_file()) {
        let mut container = Container { file: ours.clone(), ..Container::installed(&base) };
        let mut stored = theirs.clone();
        container.sync(&mut stored);
        let is_usable = |entry: &Value| entry["token"] != "";
        for (name, entry) in servers(&ours).into_iter().chain(servers(&theirs)) {
            if is_usable(&entry) && servers(&base).get(&name) != Some(&entry) {
                for file in [&container.file, &stored] {
                    let found = servers(file).get(&name).cloned();
                    let is_kept = found.as_ref() == Some(&entry);
                    // Or one that changed on the other side too.
                    let is_other = found.is_some_and(|found| is_usable(&found) && servers(&base).get(&name) != Some(&found));
                    prop_assert!(is_kept || is_other, "{name} in {file}");
                }
            }
        }
        // And what neither side removed is there. A file that lacks the object removed nothing.
        for (name, entry) in servers(&base).into_iter().filter(|(_, entry)| is_usable(entry)) {
            let has = |file: &Value| file.get("servers").is_none() || servers(file).contains_key(&name);
            if has(&ours) && has(&theirs) && (servers(&ours).contains_key(&name) || servers(&theirs).contains_key(&name)) {
                let is_there = servers(&container.file).contains_key(&name) || servers(&stored).contains_key(&name);
                prop_assert!(is_there, "{name} {entry}");
            }
        }
    }

    #[test]
    fn containers_that_log_in_to_different_servers_have_all_logins_in_any_order(
        base in any_servers(),
        order in Just(vec![0_usize, 1, 2, 0, 1, 2]).prop_shuffle(),
    ) {
        let mut stored = file(&base);
        let mut containers = vec![Container::installed(&stored); 3];
        let mut expected = servers(&stored);
        for (number, container) in containers.iter_mut().enumerate() {
            let (name, entry) = (format!("own-{number}"), json!({ "token": format!("FAKE-own-{number}") }));
            container.file["servers"][&name] = entry.clone();
            expected.insert(name, entry);
        }
        for index in order.into_iter().chain(0..3) {
            containers[index].sync(&mut stored);
        }
        for file in containers.iter().map(|container| &container.file).chain([&stored]) {
            prop_assert_eq!(servers(file), expected.clone());
        }
    }

    #[test]
    fn the_order_of_the_containers_does_not_matter(
        base in any_servers(),
        changed in proptest::collection::vec(any_file(), 3),
        order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
    ) {
        let end = |order: &[usize]| {
            let mut stored = file(&base);
            let of = |changed: &Value| Container { file: changed.clone(), ..Container::installed(&file(&base)) };
            let mut containers: Vec<Container> = changed.iter().map(of).collect();
            for index in order.iter().chain(order) {
                containers[*index].sync(&mut stored);
            }
            servers(&stored)
        };
        prop_assert_eq!(end(&order), end(&[0, 1, 2]));
    }

    #[test]
    fn the_texts_are_merged_like_the_values(base in any_file(), ours in any_file(), theirs in any_file()) {
        let base = Container::installed(&base).base;
        let mut expected = theirs.clone();
        for Change { name, kind, .. } in changes(&base, &entries(&ours), &entries(&theirs)) {
            match kind {
                ChangeKind::Set => expected["servers"][name] = ours["servers"][name].clone(),
                ChangeKind::Remove => drop(expected["servers"].as_object_mut().unwrap().remove(name)),
            }
        }
        prop_assert_eq!(merged(&base, &ours, &theirs), expected);
    }
}
