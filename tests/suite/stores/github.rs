//! `github-actions`, with a stand-in for gh: jobs that read a login, and one that writes it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::store::{Files, Store, one, put_request, run, succeed};
use crate::support::{Run, Sandbox, Session, base64};

const SECRET: &str = "AGENT_LOGIN_CLAUDE";
const REPOSITORY: &str = "github.com/me/project";
const TOKEN: &str = "FAKE-token-of-the-job";

/// A job that may write secrets, and is given none.
pub(super) fn job() -> Store {
    let denied = ("RUNNER_TEMP", "/nonexistent", "can be written");
    let store = Store::new("github-actions", "gh", denied).stand_in("github-actions").limit(48_000);
    let temp = store.place("temp");
    fs::create_dir(&temp).unwrap();
    store
        .set("GITHUB_REPOSITORY", "me/project")
        .set("RUNNER_TEMP", temp.to_str().unwrap())
        .set("GH_TOKEN", TOKEN)
        .set(SECRET, "")
}

/// A job whose variable holds these files.
fn given(files: &Files) -> Store {
    job().set(SECRET, &secret(files))
}

/// The value of a secret.
pub(super) fn secret(files: &Files) -> String {
    base64(&put_request("claude", None, files)["files"].to_string())
}

/// What the secrets are now, by the place they belong to.
fn secrets(store: &Store) -> Value {
    let state = fs::read(store.place("cloud/state.json")).unwrap_or_else(|_| b"{}".to_vec());
    serde_json::from_slice(&state).unwrap()
}

/// The calls of gh.
pub(super) fn calls(store: &Store) -> Vec<Value> {
    let calls = fs::read_to_string(store.place("cloud/calls")).unwrap_or_default();
    calls.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The helper's words on standard error when it fails.
#[track_caller]
fn failure(store: &Store, verb: &str, change: impl FnOnce(&mut Command)) -> String {
    let mut helper = store.helper(verb);
    change(&mut helper);
    let mut request = put_request("claude", None, &one("auth.json", "FAKE-canary-new"));
    if let Some((version, _)) = store.get("claude") {
        request["expect"] = version.into();
    }
    let output = run(&mut helper, &request.to_string());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{verb}: {said}");
    let canary = |text: &str| said.contains(text) || said.contains(&base64(text));
    assert!(!canary("FAKE") && !canary("FAKE-canary-new") && !canary("FAKE-canary-old"), "{verb}: {said}");
    said
}

/// Every agent of the common tests has a variable, as a job has that writes the first login.
fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let rows = (0..10).flat_map(|row| [format!("ROW_{row}"), format!("ROW_{row}_B")]);
        let others = ["DASH", "BASH", "BUSYBOX", "KILLED", "LARGE", "TRACED", "COUNTER"].map(str::to_owned);
        rows.chain(others).fold(job(), |store, agent| store.set(&format!("AGENT_LOGIN_{agent}"), ""))
    })
}

every_store!(store, 15);

#[test]
fn the_job_reads_what_it_was_given() {
    let files = Files::from([
        (".credentials.json".into(), Session::new("a").json().into_bytes()),
        ("settings.json".into(), b"{}\n".to_vec()),
    ]);
    let (version, read) = given(&files).get("claude").unwrap();
    assert_eq!((version.len(), read), (64, files.clone()));
    // As `base64` without -w0 breaks it.
    let lines: Vec<String> =
        secret(&files).as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    assert_eq!(job().set(SECRET, &lines.join("\n")).get("claude").unwrap().1, files);
    // Nothing was written to read it.
    let store = given(&files);
    store.get("claude");
    assert_eq!(calls(&store), Vec::<Value>::new());
}

#[test]
fn the_secret_is_set_and_later_steps_read_it() {
    let store = given(&one("auth.json", "FAKE-canary-old"));
    let (given, _) = store.get("claude").unwrap();
    let new = one("auth.json", "FAKE-canary-new");
    let version = store.put("claude", Some(&given), &new).unwrap();
    assert_eq!(secrets(&store), json!({REPOSITORY: {SECRET: secret(&new)}}));
    assert_eq!(store.get("claude"), Some((version.clone(), new.clone())));
    assert_eq!(calls(&store)[0]["words"], json!(["secret", "set", SECRET, "--repo", REPOSITORY]));
    // The version is the same in the next job, which is given the new value.
    assert_eq!(self::given(&new).get("claude").unwrap(), (version.clone(), new));
    assert_eq!(store.put("claude", Some(&given), &one("auth.json", "FAKE other")), None);
    assert!(store.put("claude", Some(&version), &one("auth.json", "FAKE third")).is_some());
    let written = store.place("temp/agent-init-AGENT_LOGIN_CLAUDE");
    assert_eq!(fs::metadata(written).unwrap().permissions().mode() & 0o7777, 0o600);
}

/// A runner that does not empty its directory: what an earlier job has written there is not this job's login.
#[test]
fn what_an_earlier_job_wrote_does_not_count() {
    let store = given(&one("auth.json", "FAKE old"));
    let (version, _) = store.get("claude").unwrap();
    store.put("claude", Some(&version), &one("auth.json", "FAKE refreshed")).unwrap();
    let later = one("auth.json", "FAKE of a later login");
    let output = run(store.helper("get").env(SECRET, secret(&later)), &json!({"v": 1, "agent": "claude"}).to_string());
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["files"]["auth.json"], base64("FAKE of a later login"), "{answer}");
}

#[test]
fn name_and_environment_are_arguments() {
    let store = job().argument("team-login").argument("agents").set("TEAM_LOGIN_CLAUDE", "");
    let store = store.set("GITHUB_SERVER_URL", "https://github.example.com");
    let files = one("auth.json", "FAKE");
    store.put("claude", None, &files).unwrap();
    assert_eq!(secrets(&store), json!({"github.example.com/me/project agents": {"TEAM_LOGIN_CLAUDE": secret(&files)}}));
}

#[test]
fn what_the_job_lacks_is_named() {
    struct Row {
        what: &'static str,
        verb: &'static str,
        change: fn(&mut Command),
        says: &'static str,
    }
    let rows = [
        Row {
            what: "no variable",
            verb: "get",
            change: |helper| _ = helper.env_remove(SECRET),
            says: "AGENT_LOGIN_CLAUDE is not set: add to the job's env: AGENT_LOGIN_CLAUDE: ${{ secrets.AGENT_LOGIN_CLAUDE }}",
        },
        Row {
            what: "no variable to write to",
            verb: "put",
            change: |helper| _ = helper.env_remove(SECRET),
            says: "AGENT_LOGIN_CLAUDE is not set: add to the job's env",
        },
        Row {
            what: "not a job",
            verb: "get",
            change: |helper| _ = helper.env_remove("GITHUB_REPOSITORY"),
            says: "GITHUB_REPOSITORY is not set: this works in a job of GitHub Actions only",
        },
        Row {
            what: "no token",
            verb: "put",
            change: |helper| _ = helper.env_remove("GH_TOKEN"),
            says: "GH_TOKEN is not set: AGENT_LOGIN_CLAUDE cannot be written. Give this job a token for that, or use --auth follow",
        },
        Row {
            what: "a token that may not write",
            verb: "put",
            change: |helper| _ = helper.env("FAKE_CLOUD_DENIED", "1"),
            says: "AGENT_LOGIN_CLAUDE of me/project was not set: failed to fetch public key: HTTP 403",
        },
        Row {
            what: "the login itself",
            verb: "get",
            change: |helper| _ = helper.env(SECRET, Session::new("canary-old").json()),
            says: "AGENT_LOGIN_CLAUDE is not base64 of",
        },
        Row {
            what: "base64 of the login",
            verb: "get",
            change: |helper| _ = helper.env(SECRET, Session::new("canary-old").b64()),
            says: "AGENT_LOGIN_CLAUDE is not base64 of",
        },
    ];
    for Row { what, verb, change, says } in rows {
        let store = given(&one("auth.json", "FAKE-canary-old"));
        let said = failure(&store, verb, change);
        assert!(said.starts_with("github-actions: ") && said.contains(says), "{what}: {said}");
        assert_eq!(secrets(&store), json!({}), "{what}");
        assert_eq!(store.get("claude").unwrap().1, one("auth.json", "FAKE-canary-old"), "{what}");
    }
}

/// A secret's name is made of NAME and the agent, and must be one for GitHub.
#[test]
fn names_that_github_refuses_are_refused() {
    for name in ["github-login", "1login", "lo gin", "a/b"] {
        let store = job().argument(name);
        let output = run(&mut store.helper("get"), r#"{"v":1,"agent":"claude"}"#);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("cannot be the name of a secret"), "{name}: {said}");
    }
}

/// A refresh that could not be stored would lose the login with the runner: it is tried before.
#[test]
fn a_lock_proves_that_the_secret_can_be_written() {
    let files = one("auth.json", "FAKE-canary-old");
    let store = given(&files);
    let request = json!({"v": 1, "agent": "claude", "owner": "a", "ttl": 60});
    assert_eq!(store.ask("lock", &request), json!({"v": 1, "unsupported": true}));
    assert_eq!(secrets(&store), json!({REPOSITORY: {SECRET: secret(&files)}}));
    let said = failure(&store, "lock", |helper| _ = helper.env("FAKE_CLOUD_DENIED", "1"));
    assert!(said.contains("was not set: failed to fetch public key: HTTP 403"), "{said}");
    assert_eq!(job().ask("lock", &request), json!({"v": 1, "unsupported": true}));
}

/// The words that the stand-in takes are those of the real one.
#[test]
fn the_real_gh_takes_these_words() {
    if Command::new("gh").arg("--version").output().is_err() && std::env::var_os("CI").is_none() {
        return;
    }
    let help = succeed(Command::new("gh").args(["secret", "set", "--help"]));
    for words in
        ["gh secret set <secret-name> [flags]", "--env environment", "--repo [HOST/]OWNER/REPO", "standard input"]
    {
        assert!(help.contains(words), "{words}: {help}");
    }
}

/// agent-init in a job, with a stand-in `claude`.
fn in_a_job(store: &Store, sandbox: &Sandbox, run: Run) -> Run {
    let words: Vec<String> = store.words("").iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut run =
        run.unset("AGENT_INIT_CAPTURE").env("AGENT_INIT_STORE", format!("exec:{}", words.join(" ").trim_end()));
    for (name, value) in store.environment(&sandbox.path("bin")) {
        run = run.env(&name, value);
    }
    run
}

pub(super) fn login_of(store: &Store, place: &str) -> String {
    let value = secrets(store)[place][SECRET].as_str().unwrap().to_owned();
    let (_, files) = job().set(SECRET, &value).get("claude").unwrap();
    String::from_utf8(files[".credentials.json"].clone()).unwrap()
}

#[test]
fn an_agent_that_refreshes_sets_the_secret() {
    let store = given(&one(".credentials.json", Session::new("a").json())).argument("AGENT_LOGIN").argument("agents");
    let sandbox = Sandbox::new();
    let outcome = in_a_job(&store, &sandbox, sandbox.claude("refresh b")).run().ok().quiet();
    assert!(!outcome.stderr.contains("FAKE"), "{outcome}");
    assert_eq!(login_of(&store, &format!("{REPOSITORY} agents")), Session::new("b").json());
    // A later step of the job has it from the start, and nothing to write.
    let before = calls(&store).len();
    let outcome = in_a_job(&store, &sandbox, sandbox.claude("seen")).run().ok().quiet();
    assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-access-b")), "{outcome}");
    assert_eq!(calls(&store).len(), before, "{outcome}");
    for call in calls(&store) {
        let words = call["words"].to_string();
        assert!(!words.contains("FAKE") && !words.contains(call["input"].as_str().unwrap()), "{words}");
    }
}

/// The login is kept, and the next step stores it.
#[test]
fn a_refresh_that_cannot_be_stored_is_said() {
    let store = given(&one(".credentials.json", Session::new("a").json()));
    let sandbox = Sandbox::new();
    let denied = in_a_job(&store, &sandbox, sandbox.claude("refresh b")).env("FAKE_CLOUD_DENIED", "1").run().ok();
    let denied = denied.says(&["cannot save the login to exec:", "was not set: failed to fetch public key: HTTP 403"]);
    assert!(!denied.stderr.contains("FAKE-"), "{denied}");
    in_a_job(&store, &sandbox, sandbox.claude("true")).run().ok();
    assert_eq!(login_of(&store, REPOSITORY), Session::new("b").json());
}
