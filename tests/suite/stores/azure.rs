//! `azure-key-vault`, with a stand-in for az.

use std::sync::OnceLock;

use super::store::{Store, one, succeed};

fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let denied = ("FAKE_CLOUD_DENIED", "1", "Forbidden");
        Store::new("azure-key-vault", "az", denied).stand_in("azure").argument("team-logins").limit(25_600)
    })
}

every_store!(store, 8);

/// As a person replaces the login: a version that follows none begins anew.
#[test]
fn a_version_set_by_hand_counts_from_then_on() {
    let by_hand = |content: &str| {
        let file = store().place("by-hand");
        std::fs::write(&file, content).unwrap();
        succeed(store().command("sleep").arg("1"));
        let words = ["keyvault", "secret", "set", "--vault-name", "team-logins", "--name", "agent-init-by-hand"];
        succeed(store().command("az").args(words).args(["--encoding", "utf-8", "--file"]).arg(&file));
    };
    let stale = store().put("by-hand", None, &one("auth.json", "FAKE old")).unwrap();
    by_hand(r#"{"auth.json":"RkFLRSBvbmU="}"#);
    by_hand(r#"{"auth.json":"RkFLRSB0d28="}"#);
    let (version, files) = store().get("by-hand").unwrap();
    assert_eq!(files, one("auth.json", "FAKE two"));
    assert_eq!(store().put("by-hand", Some(&stale), &one("auth.json", "FAKE other")), None);
    let next = store().put("by-hand", Some(&version), &one("auth.json", "FAKE three")).unwrap();
    assert_eq!(store().get("by-hand"), Some((next, one("auth.json", "FAKE three"))));
}
