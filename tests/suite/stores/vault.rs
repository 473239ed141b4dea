//! `vault`, against `OpenBao`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::OnceLock;
use std::thread;

use super::rows;
use super::server::{Server, commands};
use super::store::{Store, one, put_request, run, succeed};

fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let server = Server::start("openbao.py", &[&commands().join("bao")]);
        Store::new("vault", "curl", ("VAULT_TOKEN", "FAKE-unknown-token", "permission denied"))
            .server(server)
            .with_leases()
    })
}

every_store!(store, 25);

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

/// A standby server sends its clients on to the active one.
#[test]
fn a_redirect_is_followed() {
    let standby = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", standby.local_addr().unwrap());
    let active = store().variable("VAULT_ADDR");
    let request = put_request("redirected", None, &one("auth.json", "FAKE"));
    let output = thread::scope(|scope| {
        // A put of something new looks for it first: two requests, the second with a body.
        scope.spawn(|| (0..2).for_each(|_| send_on(&standby, active)));
        run(store().helper("put").env("VAULT_ADDR", &address), &request.to_string())
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(store().get("redirected").is_some());
}

/// Answers one request: it belongs elsewhere.
fn send_on(listener: &TcpListener, elsewhere: &str) {
    let mut connection = BufReader::new(listener.accept().unwrap().0);
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap().into();
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    connection.read_exact(&mut vec![0; length]).unwrap();
    let head = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere}{path}\r\n");
    write!(connection.get_mut(), "{head}Content-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
}

#[test]
fn a_mount_that_is_not_there_is_a_failure() {
    let helper = store().words("get").swap_remove(0);
    let output = run(store().command(helper).args(["agent-init", "nothing", "get"]), r#"{"v":1,"agent":"claude"}"#);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("nothing/agent-init/claude: HTTP 404"), "{said}");
}
