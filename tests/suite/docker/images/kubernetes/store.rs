//! The overlay `store`: pods that share a login through an API server, here a stand-in with its rules.

use std::fs;
use std::process::Command;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::super::engine::Engine;
use super::super::needs_images;
use super::{Pod, foreign, run, with_job};
use crate::stores::server::Server;
use crate::support::{Outcome, Sandbox, Session, await_path};

const SECRETS: &str = "/api/v1/namespaces/agents/secrets";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/agents/leases";

/// The image of the pods with the helper in it, as Dockerfile.agent has it. curl and jq are this machine's: the stand-in bases
/// have neither, and no network to install them from.
const WITH_HELPER: &str = r#"
FROM foreign
COPY --from=agent-init-agent:latest /usr/local/share/agent-init /usr/local/share/agent-init
RUN for tool in curl jq; do \
        printf '#!/bin/sh\nL=/host/usr/lib/x86_64-linux-gnu\nexec $L/ld-linux-x86-64.so.2 --library-path $L /host/usr/bin/%s "$@"\n' $tool \
            >/usr/local/bin/$tool && chmod 755 /usr/local/bin/$tool; \
    done
"#;

/// An API server in the engine's network, with the objects that the overlay makes.
struct Cluster {
    sandbox: Sandbox,
    server: Server,
}

impl Cluster {
    fn start() -> Self {
        let sandbox = Sandbox::new();
        let place = sandbox.mkdir("api");
        let server = Server::within(&Engine::get().unwrap().network(), "kubernetes.py", &[&place]);
        let cluster = Self { sandbox, server };
        for collection in [SECRETS, LEASES] {
            cluster.request("POST", collection, Some(&json!({"metadata": {"name": "agent-init-claude"}})));
        }
        cluster
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let account = self.sandbox.path("api/account");
        let token = fs::read_to_string(account.join("token")).unwrap();
        let mut curl = Command::new("nsenter");
        curl.arg(format!("--net={}", Engine::get().unwrap().network().display()))
            .args(["curl", "-q", "-sS", "--fail-with-body", "--noproxy", "*", "--request", method, "--cacert"])
            .arg(account.join("ca.crt"))
            .args(["--header", &format!("Authorization: Bearer {token}"), "--header", "Content-Type: application/json"])
            .arg(format!("https://localhost:{}{path}", self.server.environment["KUBERNETES_SERVICE_PORT"]));
        if let Some(body) = body {
            curl.args(["--data", &body.to_string()]);
        }
        serde_json::from_str(&run(&mut curl)).unwrap()
    }

    /// The login in the Secret.
    fn login(&self) -> Value {
        let secret = self.request("GET", &format!("{SECRETS}/agent-init-claude"), None);
        let data = secret["data"][".credentials.json"].as_str().unwrap_or_default();
        serde_json::from_slice(&STANDARD.decode(data).unwrap()).unwrap()
    }

    /// One more pod of the overlay, with volumes of its own.
    fn pod<'a>(&self, sandbox: &'a Sandbox, which: &str) -> Pod<'a> {
        run(Command::new("cp").arg("-rL").arg(self.sandbox.path("api/account")).arg(sandbox.path("serviceaccount")));
        let set = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"];
        let set = set.map(|name| format!("--set={name}={}", self.server.environment[name]));
        Pod::of(sandbox, &with_job(sandbox, "store"), which, &[&set[0], &set[1]])
    }

    /// The Job, with another prompt than its own.
    fn job(&self, prompt: &str, session: Option<&Session>) -> Outcome {
        let sandbox = Sandbox::new();
        let pod = self.pod(&sandbox, "Job/agent-once");
        pod.prepare();
        let mut main = pod.value["main"].clone();
        main["arguments"][2] = prompt.into();
        let container = pod.container(&main, "with-helper").engines_network().docker(&["--volume=/usr:/host/usr:ro"]);
        match session {
            Some(session) => container.session(session).run(),
            None => container.run(),
        }
    }
}

#[test]
fn pods_share_a_login_through_the_api_server() {
    needs_images!();
    foreign();
    let engine = Engine::get().unwrap();
    engine.with_context(
        |_| Command::new("true").status(),
        |context| engine.build(context, "with-helper", Some(WITH_HELPER), &[]),
    );
    let cluster = Cluster::start();
    let sandbox = Sandbox::new();
    let pod = cluster.pod(&sandbox, "Deployment/agent");
    pod.prepare();
    let container = pod.container(&pod.value["main"], "with-helper").engines_network();
    let mut up = container.docker(&["--volume=/usr:/host/usr:ro"]).start();
    up.message("waiting up to 10m");

    let given = cluster.job("id -u; cat \"$F\"; refresh two", Some(&Session::new("one"))).ok();
    given.prints(&["1000\n", "FAKE-access-one"]);
    assert_eq!(cluster.login(), Session::new("two").value());
    up.message("claude auth: subscription login (sync), store:");

    // What runs has what another refreshes.
    cluster.job("cat \"$F\"; refresh three", None).ok().prints(&["FAKE-access-two"]);
    assert_eq!(cluster.login(), Session::new("three").value());
    let work = sandbox.path("pods/agent/home/.claude");
    await_path(&work, "the adopted login", || {
        fs::read_to_string(work.join(".credentials.json")).is_ok_and(|text| text.contains("FAKE-access-three"))
    });
    up.exec(&[], &pod.probe("readinessProbe")).ok();
    up.stop();
    up.wait().code(143);
}
