//! `deploy/kubernetes`: rendered by kubectl, checked against the API's schemas, and its pods run as the kubelet would run
//! their containers (`tests/deploy/pod.py`).

mod store;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::super::container::Container;
use super::super::engine::root;
use super::{BINARY, TAG, needs_images, tools};
use crate::support::{Outcome, Sandbox, Session, await_path};

const OVERLAYS: [&str; 4] = ["keeper", "secret", "shared", "store"];

fn run(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{stdout}{stderr}", done.status);
    stdout.into_owned()
}

fn kustomize(directory: &Path) -> String {
    run(Command::new(tools().join("bin/kubectl")).arg("kustomize").arg(directory))
}

fn deploy(place: &str) -> std::path::PathBuf {
    root().join("deploy/kubernetes").join(place)
}

fn overlay(name: &str) -> String {
    kustomize(&deploy("overlays").join(name))
}

/// A kustomization as a user writes it, beside this directory.
fn of_a_user(sandbox: &Sandbox, kustomization: &str) -> String {
    let to = sandbox.path("kubernetes/deploy/kubernetes");
    if !to.exists() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        run(Command::new("cp").arg("-r").arg(deploy("")).arg(&to));
    }
    sandbox.write("kubernetes/kustomization.yaml", kustomization);
    kustomize(&sandbox.path("kubernetes"))
}

/// The overlay as a user on `OpenShift` writes it, with a Job.
fn on_openshift(sandbox: &Sandbox, name: &str) -> String {
    let components = ["once", name, "openshift"].map(|name| format!("deploy/kubernetes/components/{name}")).join(", ");
    of_a_user(sandbox, &format!("resources: [deploy/kubernetes/base]\ncomponents: [{components}]\n"))
}

/// The overlay with the component that runs one prompt.
fn with_job(sandbox: &Sandbox, name: &str) -> String {
    let components = ["once", name].map(|name| format!("deploy/kubernetes/components/{name}")).join(", ");
    of_a_user(sandbox, &format!("resources: [deploy/kubernetes/base]\ncomponents: [{components}]\n"))
}

/// The block of `docs/kubernetes.md` after these words.
fn block(after: &str) -> String {
    let page = fs::read_to_string(root().join("docs/kubernetes.md")).unwrap();
    let (_, text) = page.split_once(after).unwrap();
    let (_, text) = text.split_once("```yaml\n").unwrap();
    text.split_once("```").unwrap().0.to_owned()
}

/// What is applied as it is asks no model for anything, which would be billed: a Job comes only by its component.
#[test]
fn no_prompt_runs_unasked() {
    let sandbox = Sandbox::new();
    for name in OVERLAYS {
        let text = overlay(name);
        assert!(!text.contains("kind: Job") && !text.contains("-p"), "{name}\n{text}");
        let text = with_job(&sandbox, name);
        assert!(text.contains("kind: Job") && text.contains("kind: Deployment"), "{name}\n{text}");
    }
    // As the page has it, and with the volume of the component beside it.
    let text = of_a_user(&sandbox, &block("## One prompt"));
    let job = text.split("---").find(|object| object.contains("kind: Job")).unwrap();
    assert!(job.contains("claimName: agent-logins") && job.contains("AGENT_INIT_WAIT"), "{job}");
}

/// A user's `images:` names all images, in an overlay, a Job and the pod to log in with.
#[test]
fn a_users_own_images_are_used() {
    let sandbox = Sandbox::new();
    let page = block("say there where they are");
    let images = &page[page.find("images:").unwrap()..];
    for resources in [
        "[deploy/kubernetes/overlays/keeper]",
        "[deploy/kubernetes/overlays/secret]",
        "[deploy/kubernetes/overlays/shared]",
        "[deploy/kubernetes/overlays/store]",
        "[deploy/kubernetes/setup]",
        "[deploy/kubernetes/base]\ncomponents: [deploy/kubernetes/components/once, deploy/kubernetes/components/shared]",
    ] {
        let text = of_a_user(&sandbox, &format!("resources: {resources}\n{images}"));
        assert!(!text.contains("registry.example.com"), "{resources}\n{text}");
        assert!(text.contains("image: ghcr.io/me/agent:latest"), "{resources}\n{text}");
    }
    assert!(of_a_user(&sandbox, &page).contains("image: ghcr.io/me/agent-init:latest"));
}

#[test]
fn every_manifest_is_what_the_api_takes() {
    let sandbox = Sandbox::new();
    let mut manifests: Vec<(String, String)> = OVERLAYS.iter().map(|name| ((*name).into(), overlay(name))).collect();
    manifests.push(("setup".into(), kustomize(&deploy("setup"))));
    manifests.push(("once".into(), with_job(&sandbox, "shared")));
    manifests.push(("openshift".into(), on_openshift(&sandbox, "shared")));
    manifests.push(("openshift-keeper".into(), on_openshift(&sandbox, "keeper")));
    for (name, text) in manifests {
        let file = sandbox.write(&format!("{name}.yaml"), &text);
        for version in ["1.30", "1.37"] {
            let validate = tools().join("bin/kubernetes-validate");
            run(Command::new(validate).args(["--strict", "--kubernetes-version", version]).arg(&file));
        }
        assert!(!text.contains("runAsUser") || !name.starts_with("openshift"), "{text}");
    }
    // The check is one.
    let file =
        sandbox.write("wrong.yaml", overlay("shared").replace("terminationGracePeriodSeconds", "terminationGrace"));
    let wrong = Command::new(tools().join("bin/kubernetes-validate")).arg("--strict").arg(file).output().unwrap();
    assert!(!wrong.status.success());
}

fn objects(sandbox: &Sandbox, manifests: &str) -> Vec<Value> {
    let file = sandbox.write("objects.yaml", manifests);
    let script = "import json,sys,yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let text = run(Command::new(tools().join("bin/python")).args(["-c", script]).arg(file));
    serde_json::from_str(&text).unwrap()
}

/// One keeper at a time may write to the login, and everybody else follows.
#[test]
fn only_the_keeper_may_write_to_the_login() {
    let sandbox = Sandbox::new();
    let objects = objects(&sandbox, &with_job(&sandbox, "keeper"));
    let pods: Vec<&Value> = objects.iter().filter(|one| one["spec"]["template"].is_object()).collect();
    let names: Vec<&str> = pods.iter().map(|one| one["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["agent", "keeper", "agent-once"]);
    for pod in pods {
        let is_keeper = pod["metadata"]["name"] == "keeper";
        let named = |list: &Value, key: &str, name: &str| {
            list.as_array().unwrap().iter().find(|one| one[key] == name).cloned().unwrap_or_default()
        };
        let spec = &pod["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let volume = named(&spec["volumes"], "name", "capture");
        assert_eq!(volume["persistentVolumeClaim"]["claimName"], "agent-logins", "{pod}");
        let mount = named(&container["volumeMounts"], "mountPath", "/capture");
        assert_eq!((&mount["name"], mount["readOnly"] == true), (&"capture".into(), !is_keeper), "{pod}");
        assert_eq!(volume["persistentVolumeClaim"]["readOnly"] == true, !is_keeper, "{pod}");
        let mode = named(&container["env"], "name", "AGENT_INIT_AUTH");
        assert_eq!(mode["value"] == "follow", !is_keeper, "{pod}");
        if is_keeper {
            assert_eq!(container["args"], serde_json::json!(["keep"]));
            assert_eq!((&pod["spec"]["replicas"], &pod["spec"]["strategy"]["type"]), (&1.into(), &"Recreate".into()));
        }
    }
}

/// What the helper is granted is two objects by name, and nothing that cannot be confined to a name.
#[test]
fn the_store_helper_has_the_least_rights() {
    let sandbox = Sandbox::new();
    let objects = objects(&sandbox, &overlay("store"));
    let of = |kind: &str| objects.iter().find(|one| one["kind"] == kind).unwrap();
    for rule in of("Role")["rules"].as_array().unwrap() {
        assert_eq!(rule["resourceNames"], serde_json::json!(["agent-init-claude"]));
        assert_eq!(rule["verbs"], serde_json::json!(["get", "update"]));
    }
    for kind in ["Secret", "Lease"] {
        assert_eq!(of(kind)["metadata"]["name"], "agent-init-claude");
    }
    assert_eq!(of("RoleBinding")["subjects"][0]["name"], of("ServiceAccount")["metadata"]["name"]);
    assert_eq!(of("Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"], true);
}

/// A pod as docker options.
struct Pod<'a> {
    sandbox: &'a Sandbox,
    value: Value,
}

impl<'a> Pod<'a> {
    /// `KIND/NAME` of rendered manifests. `set` overrides variables.
    fn of(sandbox: &'a Sandbox, manifests: &str, which: &str, options: &[&str]) -> Self {
        let file = sandbox.write("rendered.yaml", manifests);
        let (kind, name) = which.split_once('/').unwrap();
        let mut pod = Command::new(tools().join("bin/python"));
        pod.arg(root().join("tests/deploy/pod.py")).arg("docker").arg(file).args([kind, name]);
        let text = run(pod.arg("--dir").arg(sandbox.path("")).args(options));
        Self { sandbox, value: serde_json::from_str(&text).unwrap() }
    }

    fn container(&self, container: &'a Value, image: &'a str) -> Container<'a> {
        let words = |key: &str| -> Vec<&str> {
            container[key].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
        };
        Container::of(self.sandbox, image).docker(&words("options")).arguments(&words("arguments"))
    }

    /// The init containers, to their end.
    fn prepare(&'a self) {
        for container in self.value["init"].as_array().unwrap() {
            let image = container["image"].as_str().unwrap().strip_prefix("registry.example.com/").unwrap();
            assert_eq!(image, BINARY);
            self.container(container, image).run().ok();
        }
    }

    /// The main container, with the stand-in for the CLI in an image that has no agent-init.
    fn main(&'a self) -> Container<'a> {
        self.container(&self.value["main"], "foreign")
    }

    fn probe(&self, kind: &str) -> Vec<&str> {
        self.value["probes"][kind].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
    }
}

/// An image that cannot be rebuilt: not one of ours, and its user is root.
fn foreign() {
    use std::sync::OnceLock;
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let dockerfile = format!(
            "FROM node:22-bookworm-slim\nCOPY --from=agent-init-agent:{TAG} /usr/local/bin/claude /usr/local/bin/stand-in /usr/local/bin/\n"
        );
        let engine = super::Engine::get().unwrap();
        engine.with_context(|_| Command::new("true").status(), |context| {
            engine.build(context, "foreign", Some(&dockerfile), &[]);
        });
    });
}

fn job(pod: &Pod<'_>, prompt: &str) -> Outcome {
    // The job's own prompt is `hello`.
    assert_eq!(pod.value["main"]["arguments"], serde_json::json!(["claude", "-p", "hello"]));
    let mut main = pod.value["main"].clone();
    main["arguments"][2] = prompt.into();
    pod.container(&main, "foreign").run()
}

#[test]
fn a_job_with_a_token_in_a_secret() {
    needs_images!();
    foreign();
    let sandbox = Sandbox::new();
    sandbox.write("secrets/agent-credentials/claude_code_oauth_token", "sk-ant-oat01-FAKE-token");
    let pod = Pod::of(&sandbox, &with_job(&sandbox, "secret"), "Job/agent-once", &[]);
    pod.prepare();
    job(&pod, "id -u; id -G; say \"$CLAUDE_CODE_OAUTH_TOKEN\"; say $HOME; pwd; touch made")
        .ok()
        .prints(&["1000\n1000\nsk-ant-oat01-FAKE-token\n/home/agent\n/workspace\n"])
        .says(&["long-lived OAuth token, secret:/run/secrets/agent/claude_code_oauth_token"]);
}

#[test]
fn a_job_without_a_login_fails_at_once() {
    needs_images!();
    foreign();
    let sandbox = Sandbox::new();
    sandbox.mkdir("secrets/agent-credentials");
    let pod = Pod::of(&sandbox, &with_job(&sandbox, "secret"), "Job/agent-once", &[]);
    pod.prepare();
    job(&pod, "say started").refuses(&["hint: "]).prints_no(&["started"]);
}

/// Plain Kubernetes, and `OpenShift`'s uids.
#[test]
fn pods_that_share_a_volume_share_a_login() {
    needs_images!();
    foreign();
    for (what, options, uid) in
        [("Kubernetes", &[][..], "1000"), ("OpenShift", &["--any-uid=1000650000"], "1000650000")]
    {
        let sandbox = Sandbox::new();
        let manifests =
            if what == "OpenShift" { on_openshift(&sandbox, "shared") } else { with_job(&sandbox, "shared") };
        let long = Pod::of(&sandbox, &manifests, "Deployment/agent", options);
        long.prepare();
        let mut up = long.main().start();
        // No login yet: it waits, and is not up.
        up.message("waiting up to 10m");
        up.exec(&[], &long.probe("startupProbe")).code(1);

        let once = Pod::of(&sandbox, &manifests, "Job/agent-once", options);
        once.prepare();
        let mut main = once.value["main"].clone();
        main["arguments"][2] = "id -u; cat \"$F\"; refresh two".into();
        let given = once.container(&main, "foreign").session(&Session::new("one")).run();
        given.ok().prints(&[&format!("{uid}\n"), "FAKE-access-one"]);
        let capture = sandbox.path("claims/agent-logins/claude");
        let stored = || fs::read_to_string(capture.join(".credentials.json")).unwrap_or_default();
        assert!(stored().contains("FAKE-access-two"), "{what}: {}", stored());

        // What waited has it now.
        up.message("claude auth: subscription login (sync), capture:/capture/claude");
        let work = sandbox.path("pods/agent/home/.claude");
        await_path(&work, "the adopted login", || {
            fs::read_to_string(work.join(".credentials.json")).is_ok_and(|text| text.contains("FAKE-access-two"))
        });
        up.exec(&[], &long.probe("readinessProbe")).ok();
        up.exec(&[], &long.probe("startupProbe")).ok();
        let inside =
            up.exec(&[], &["/opt/agent-init/agent-init", "exec", "--", "claude", "-p", "cat \"$F\"; refresh three"]);
        inside.ok().prints(&["FAKE-access-two"]);
        up.stop();
        up.wait().code(143);
        assert!(stored().contains("FAKE-access-three"), "{what}: {}", stored());
    }
}

/// The keeper is ready once there is a login, and a follower gets that without its refresh token.
#[test]
fn a_keeper_and_a_follower() {
    needs_images!();
    foreign();
    let sandbox = Sandbox::new();
    let manifests = overlay("keeper");
    let keeper = Pod::of(&sandbox, &manifests, "Deployment/keeper", &[]);
    let agent = Pod::of(&sandbox, &manifests, "Deployment/agent", &[]);
    keeper.prepare();
    agent.prepare();
    assert_eq!(keeper.value["main"]["image"], agent.value["main"]["image"]);
    let mut keeps = keeper.main().start();
    keeps.message("claude: there is no login to keep in /capture/claude");
    keeps.exec(&[], &keeper.probe("readinessProbe")).code(1).says(&["claude: missing: there is no login to keep"]);
    let mut follows = agent.main().start();
    follows.message("waiting up to 10m");

    // As the pod `setup` leaves it.
    sandbox.write("claims/agent-logins/new/.credentials.json", Session::new("one").json());
    sandbox.give("claims/agent-logins/new", 1000);
    sandbox.chmod("claims/agent-logins/new/.credentials.json", 0o600);
    fs::rename(sandbox.path("claims/agent-logins/new"), sandbox.path("claims/agent-logins/claude")).unwrap();
    keeps.message("claude: the login in /capture/claude will be refreshed at ");
    keeps.exec(&[], &keeper.probe("readinessProbe")).ok();
    follows.message("claude auth: subscription login (follow), capture:/capture/claude");
    let work = sandbox.path("pods/agent/home/.claude");
    await_path(&work, "the followed login", || {
        fs::read_to_string(work.join(".credentials.json")).is_ok_and(|text| text.contains("FAKE-access-one"))
    });
    follows.exec(&[], &agent.probe("startupProbe")).ok();
    let script = "cat \"$F\"; touch /capture/claude/mine || say refused";
    let inside = follows.exec(&[], &["/opt/agent-init/agent-init", "exec", "--", "claude", "-p", script]);
    inside.ok().prints(&["FAKE-access-one", "refused"]).prints_no(&["FAKE-refresh"]);
    for up in [follows, keeps] {
        up.stop();
        up.wait();
    }
}

#[test]
fn the_setup_pod_logs_in_for_the_others() {
    needs_images!();
    let sandbox = Sandbox::new();
    let pod = Pod::of(&sandbox, &kustomize(&deploy("setup")), "Pod/agent-setup", &[]);
    let terminal = crate::support::vendor_file("terminal.py");
    let play = ["python3", "-B", &terminal, "--see", "Paste code here", "--type", "one\\r", "--"];
    // The image is the agent's, as the pods have it.
    assert_eq!(pod.value["main"]["image"], "registry.example.com/agent-init-agent:latest");
    pod.container(&pod.value["main"], super::STAND_IN).through(play).run().ok().prints(&["Login successful."]);
    let stored = fs::read_to_string(sandbox.path("claims/agent-logins/claude/.credentials.json")).unwrap();
    assert!(stored.contains("FAKE-access-one"));
}
