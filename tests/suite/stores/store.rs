//! A store as agent-init sees it: a helper that answers questions.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::{Server, commands, file};

/// What a store holds for an agent: contents by file name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// One file.
pub fn one(name: &str, content: impl AsRef<[u8]>) -> Files {
    Files::from([(name.into(), content.as_ref().to_vec())])
}

/// A helper in its surroundings.
pub struct Store {
    /// The helper's name.
    pub name: &'static str,
    program: PathBuf,
    /// The program that it reaches the store with.
    pub tool: &'static str,
    /// Whether there are leases.
    pub leases: bool,
    /// How many bytes a secret takes, if that is the helper's business.
    pub limit: Option<usize>,
    /// Surroundings in which the store refuses everything, and a word of why that is said.
    pub denied: (&'static str, String, &'static str),
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    path: Vec<PathBuf>,
    home: TempDir,
    server: Option<Server>,
}

impl Store {
    pub fn new(name: &'static str, tool: &'static str, denied: (&'static str, &str, &'static str)) -> Self {
        Self {
            name,
            program: file("scripts/stores").join(name),
            tool,
            leases: false,
            limit: None,
            denied: (denied.0, denied.1.into(), denied.2),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            path: Vec::new(),
            home: tempfile::Builder::new().prefix("store-").tempdir().unwrap(),
            server: None,
        }
    }

    /// The server that the store is in, and the commands that reach it.
    pub fn server(mut self, server: Server) -> Self {
        self.path.push(commands().into());
        self.server = Some(server);
        self
    }

    /// A stand-in for the platform's own program, in `tests/stores/NAME`.
    pub fn stand_in(mut self, name: &str) -> Self {
        self.path.insert(0, file("tests/stores").join(name));
        let place = self.place("cloud");
        std::fs::create_dir(&place).unwrap();
        self.environment.insert("FAKE_CLOUD".into(), place.display().to_string());
        self
    }

    /// Another program than the helper of that name.
    pub fn program(mut self, program: &str) -> Self {
        self.program = program.into();
        self
    }

    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A variable of the surroundings.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    pub fn with_leases(mut self) -> Self {
        self.leases = true;
        self
    }

    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// A place for the tests' own files.
    pub fn place(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What a variable of the surroundings says.
    pub fn variable(&self, name: &str) -> &str {
        self.surroundings().find(|(known, _)| *known == name).unwrap().1
    }

    fn surroundings(&self) -> impl Iterator<Item = (&String, &String)> {
        self.environment.iter().chain(self.server.iter().flat_map(|server| &server.environment))
    }

    /// The store's own programs come first, then others, then those of the machine.
    fn search_path(&self, programs: Option<&Path>) -> OsString {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let own = self.path.iter().map(PathBuf::as_path).chain(programs).map(Path::to_owned);
        std::env::join_paths(own.chain(std::env::split_paths(&inherited))).unwrap()
    }

    /// The helper's surroundings, for a container that runs it beside these programs.
    pub fn environment(&self, programs: &Path) -> Vec<(String, String)> {
        let path = ("PATH".to_owned(), self.search_path(Some(programs)).into_string().unwrap());
        self.surroundings().map(|(name, value)| (name.clone(), value.clone())).chain([path]).collect()
    }

    /// A program in the helper's surroundings.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", self.search_path(None)).env("HOME", self.home.path()).envs(self.surroundings());
        command
    }

    /// The helper, asked a verb; a process group of its own.
    pub fn helper(&self, verb: &str) -> Command {
        let mut command = self.command(&self.program);
        command.args(&self.arguments).arg(verb).process_group(0);
        command
    }

    /// The words of the helper's command line.
    pub fn words(&self, verb: &str) -> Vec<OsString> {
        let helper = self.helper(verb);
        std::iter::once(helper.get_program()).chain(helper.get_args()).map(Into::into).collect()
    }

    /// What a verb answers; that it is an answer is asserted.
    #[track_caller]
    pub fn ask(&self, verb: &str, request: &Value) -> Value {
        let output = run(&mut self.helper(verb), &request.to_string());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {verb}: {}: {said}", self.name, output.status);
        let answer: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{} {verb}: {e}: {said}", self.name));
        assert_eq!(answer["v"], 1, "{} {verb}: {answer}", self.name);
        answer
    }

    #[track_caller]
    pub fn get(&self, agent: &str) -> Option<(String, Files)> {
        let answer = self.ask("get", &json!({"v": 1, "agent": agent}));
        answer["found"].as_bool().unwrap().then(|| {
            let content = |text: &Value| STANDARD.decode(text.as_str().unwrap()).unwrap();
            let files = answer["files"].as_object().unwrap();
            let files = files.iter().map(|(name, text)| (name.clone(), content(text))).collect();
            (answer["version"].as_str().unwrap().into(), files)
        })
    }

    /// The version of what was stored; none for a conflict.
    #[track_caller]
    pub fn put(&self, agent: &str, expect: Option<&str>, files: &Files) -> Option<String> {
        let answer = self.ask("put", &put_request(agent, expect, files));
        if answer["conflict"] == true {
            return None;
        }
        assert_eq!(answer["stored"], true, "{answer}");
        Some(answer["version"].as_str().unwrap().into())
    }

    #[track_caller]
    pub fn lock(&self, agent: &str, owner: &str, seconds: u32) -> bool {
        let answer = self.ask("lock", &json!({"v": 1, "agent": agent, "owner": owner, "ttl": seconds}));
        answer["locked"].as_bool().unwrap_or_else(|| panic!("{answer}"))
    }

    #[track_caller]
    pub fn unlock(&self, agent: &str, owner: &str) {
        let answer = self.ask("unlock", &json!({"v": 1, "agent": agent, "owner": owner}));
        assert_eq!(answer["unlocked"], true, "{answer}");
    }
}

pub fn put_request(agent: &str, expect: Option<&str>, files: &Files) -> Value {
    let files: BTreeMap<_, _> = files.iter().map(|(name, content)| (name, STANDARD.encode(content))).collect();
    json!({"v": 1, "agent": agent, "expect": expect, "files": files})
}

/// Runs a command with this standard input.
pub fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that ends without reading is told apart by its status.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Runs a command that has to succeed; its standard output.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Every file below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
