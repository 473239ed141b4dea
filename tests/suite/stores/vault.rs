//! `vault`, against OpenBao.

use std::sync::OnceLock;

use super::rows;
use super::server::{Server, commands};
use super::store::{Store, one, run, succeed};

fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let server = Server::start("openbao.py", &[&commands().join("bao")]);
        Store::new("vault", "curl", ("VAULT_TOKEN", "FAKE-unknown-token", "permission denied"))
            .server(server)
            .with_leases()
    })
}

every_store!(store, 50);

#[test]
fn a_deleted_entry_counts_as_none() {
    let agent = "deleted";
    store().put(agent, None, &one("auth.json", "FAKE before")).unwrap();
    for verb in ["delete", "metadata delete"] {
        let place = format!("agent-init/{agent}");
        let words = ["kv"].into_iter().chain(verb.split(' ')).chain(["-mount=secret", &place]);
        succeed(store().command("bao").args(words));
        rows::made_beforehand(store(), agent);
    }
}

#[test]
fn path_and_mount_are_arguments_and_the_token_may_be_in_a_file() {
    succeed(store().command("bao").args(["secrets", "enable", "-path=team/logins", "-version=2", "kv"]));
    let file = store().place("token");
    std::fs::write(&file, format!("{}\n", store().variable("VAULT_TOKEN"))).unwrap();
    let helper = store().words("get").swap_remove(0);
    let ask = |verb: &str, request: &str| {
        let mut helper = store().command(&helper);
        let helper =
            helper.args(["some/path", "team/logins", verb]).env_remove("VAULT_TOKEN").env("VAULT_TOKEN_FILE", &file);
        let output = run(helper, request);
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let request = r#"{"v":1,"agent":"claude","expect":null,"files":{"auth.json":"RkFLRQ=="}}"#;
    assert_eq!(ask("put", request), (true, "{\"v\":1,\"stored\":true,\"version\":\"1\"}\n".into(), String::new()));
    let shown =
        succeed(store().command("bao").args(["kv", "get", "-mount=team/logins", "-format=json", "some/path/claude"]));
    assert!(shown.contains("\"auth.json\": \"RkFLRQ==\""), "{shown}");
}

#[test]
fn a_mount_that_is_not_there_is_a_failure() {
    let helper = store().words("get").swap_remove(0);
    let output = run(store().command(helper).args(["agent-init", "nothing", "get"]), r#"{"v":1,"agent":"claude"}"#);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("nothing/agent-init/claude: HTTP 404"), "{said}");
}
