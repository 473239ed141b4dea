//! `gcp-secret-manager`, with a stand-in for gcloud.

use std::sync::OnceLock;

use serde_json::Value;

use super::rows;
use super::store::{Store, one, succeed};

fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let denied = ("FAKE_CLOUD_DENIED", "1", "PERMISSION_DENIED");
        Store::new("gcp-secret-manager", "gcloud", denied).stand_in("gcloud").limit(65_536)
    })
}

every_store!(store, 8);

#[test]
fn a_secret_without_a_version_counts_as_none() {
    let words = ["secrets", "create", "agent-init-made", "--replication-policy=automatic"];
    succeed(store().command("gcloud").args(words));
    rows::made_beforehand(store(), "made");
}

#[test]
fn versions_that_nobody_needs_are_destroyed() {
    let mut version = None;
    for turn in 0..5 {
        let next = store().put("tidy", version.as_deref(), &one("auth.json", format!("FAKE {turn}")));
        assert_eq!(store().put("tidy", version.as_deref(), &one("auth.json", "FAKE loser")), None);
        version = next;
    }
    let state: Value = serde_json::from_slice(&std::fs::read(store().place("cloud/state.json")).unwrap()).unwrap();
    let secret = &state["agent-init-tidy"];
    let versions = secret["versions"].as_object().unwrap();
    let kept: Vec<&String> =
        versions.iter().filter(|(_, version)| version["state"] == "ENABLED").map(|(number, _)| number).collect();
    let aliases = &secret["aliases"];
    assert_eq!(kept, [aliases["previous"].as_str().unwrap(), aliases["current"].as_str().unwrap()], "{aliases}");
}
