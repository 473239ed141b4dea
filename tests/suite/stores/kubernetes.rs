//! `kubernetes`, against a stand-in for an API server.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::rows;
use super::server::Server;
use super::store::{Store, one, run, succeed};

fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let directory = tempfile::Builder::new().prefix("kubernetes-").tempdir().unwrap().keep();
        let server = Server::start("kubernetes.py", &[&directory]);
        let denied = directory.join("denied");
        fs::create_dir(&denied).unwrap();
        for file in ["ca.crt", "namespace"] {
            fs::copy(directory.join("account").join(file), denied.join(file)).unwrap();
        }
        fs::write(denied.join("token"), "FAKE-expired-token").unwrap();
        let denied = denied.display().to_string();
        let denied = ("SERVICE_ACCOUNT_DIR", denied.as_str(), "Unauthorized");
        Store::new("kubernetes", "curl", denied).server(server).with_leases()
    })
}

every_store!(store, 25);

/// A request of somebody else; the answer.
fn request(method: &str, name: &str, body: Option<&Value>) -> Value {
    let account = store().variable("SERVICE_ACCOUNT_DIR");
    let token = fs::read_to_string(format!("{account}/token")).unwrap();
    let server = format!("https://localhost:{}", store().variable("KUBERNETES_SERVICE_PORT"));
    let mut curl = Command::new("curl");
    curl.args(["-q", "-sS", "--fail-with-body", "--cacert"])
        .arg(format!("{account}/ca.crt"))
        .args(["--request", method]);
    curl.arg("--header").arg(format!("Authorization: Bearer {token}"));
    if let Some(body) = body {
        curl.args(["--header", "Content-Type: application/json", "--data"]).arg(body.to_string());
    }
    curl.arg(format!("{server}/api/v1/namespaces/agents/secrets{name}"));
    serde_json::from_str(&succeed(&mut curl)).unwrap()
}

#[test]
fn a_secret_made_beforehand_keeps_its_labels() {
    let name = "agent-init-labelled";
    let labels = json!({"app.kubernetes.io/part-of": "agents"});
    let secret = json!({"metadata": {"name": name, "labels": labels, "annotations": {"note": "kept"}}});
    request("POST", "", Some(&secret));
    rows::made_beforehand(store(), "labelled");
    let found = request("GET", &format!("/{name}"), None);
    assert_eq!(found["metadata"]["labels"], labels);
    assert_eq!(found["metadata"]["annotations"]["note"], "kept");
}

#[test]
fn a_concurrent_change_is_a_conflict() {
    let version = store().put("changed", None, &one("auth.json", "FAKE first")).unwrap();
    let mut secret = request("GET", "/agent-init-changed", None);
    secret["metadata"]["annotations"] = json!({"note": "of somebody else"});
    request("PUT", "/agent-init-changed", Some(&secret));
    assert_eq!(store().put("changed", Some(&version), &one("auth.json", "FAKE second")), None);
    let (version, _) = store().get("changed").unwrap();
    assert!(store().put("changed", Some(&version), &one("auth.json", "FAKE second")).is_some());
}

#[test]
fn a_server_that_the_ca_does_not_vouch_for_gets_no_token() {
    let account = store().place("other-ca");
    fs::create_dir(&account).unwrap();
    fs::write(account.join("token"), "FAKE-token").unwrap();
    fs::write(account.join("namespace"), "agents").unwrap();
    let ca = account.join("ca.crt");
    let key = account.join("ca.key");
    let openssl =
        ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=FAKE"];
    let made = Command::new("openssl").args(openssl).arg("-keyout").arg(&key).arg("-out").arg(&ca).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut helper = store().helper("get");
    let output = run(helper.env("SERVICE_ACCOUNT_DIR", &account), r#"{"v":1,"agent":"claude"}"#);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("certificate"), "{said}");
    assert!(said.contains("no answer from https://localhost:"), "{said}");
}

#[test]
fn outside_a_pod_the_error_says_so() {
    for (name, value, expected) in [
        ("KUBERNETES_SERVICE_HOST", "", "in a pod only"),
        ("SERVICE_ACCOUNT_DIR", "/nonexistent", "/nonexistent/token cannot be read"),
    ] {
        let output = run(store().helper("get").env(name, value), r#"{"v":1,"agent":"claude"}"#);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{said}");
    }
}
