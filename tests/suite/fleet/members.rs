//! Containers that share one login: stand-in agents (`tests/fleet/agent.py`) in namespaces, on one capture and one vendor.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, Permissions, set_permissions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::support::{Live, NODE, Run, Sandbox, StandIn, TOKEN, Vendor, await_path};

/// What stands between the capture and the agent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `agent-init`.
    Live,
    /// `agent-init`, with the login in a store behind a helper command.
    Store,
    /// `agent-init`, each container on a machine of its own: a mount of the capture that hears nothing of the others.
    Machines,
    /// `agent-init`, with a login that has no refresh token.
    Follow,
    /// Nothing: the agent of a host, whose config directory the capture is.
    Host,
    /// A shell that copies the login in, runs the agent, and copies the login back at its end.
    #[allow(dead_code, reason = "the bench compares with it")]
    Plain,
}

/// How long the vendor's access tokens live, and how much is left of that when agents have to refresh: seconds.
const LIFETIME: i64 = 3600;
const LEFT: i64 = 200;

/// One container.
pub struct Member {
    pub sandbox: Sandbox,
    pub live: Live,
    commands: File,
    // Unmounted last.
    _machine: Option<Machine>,
}

impl Member {
    fn start(way: Way, vendor: &Vendor, capture: &str, limit: Duration) -> Self {
        let sandbox = Sandbox::new();
        let machine = (way == Way::Machines).then(|| Machine::new(capture, sandbox.path("machine")));
        let capture = machine.as_ref().map_or(capture.to_owned(), |machine| machine.path.display().to_string());
        sandbox.give("home", NODE);
        let fifo = sandbox.path("commands");
        mkfifo(&fifo, Mode::empty()).unwrap();
        set_permissions(&fifo, Permissions::from_mode(0o644)).unwrap();
        // Opened for both ends, so that neither side waits for the other.
        let commands = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        let agent = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fleet/agent.py").to_owned();
        let command =
            ["python3".into(), "-B".into(), agent, vendor.socket().display().to_string(), sandbox.text("commands")];
        let mut live = way.run(&sandbox, &capture, command).pid1().limit(limit).start();
        live.line("ready");
        Self { sandbox, live, commands, _machine: machine }
    }

    /// Tells the agent what to do; a line with this number is the answer.
    pub fn ask(&mut self, number: usize, ahead: i64, rest: &str) {
        writeln!(self.commands, "turn {number} {ahead} {rest}").unwrap();
    }

    /// Why the turn of this number failed, if it did.
    pub fn failure(&mut self, number: usize) -> Option<String> {
        let line = self.live.line(&format!("{number} "));
        (line != format!("{number} ok")).then_some(line)
    }

    /// The agent ends by itself.
    pub fn end(mut self) -> (Sandbox, crate::support::Outcome) {
        writeln!(self.commands, "end").unwrap();
        (self.sandbox, self.live.wait())
    }

    pub fn working(&self) -> PathBuf {
        self.sandbox.path("home/.claude/.credentials.json")
    }
}

impl Way {
    fn run(self, sandbox: &Sandbox, capture: &str, command: [String; 5]) -> Run {
        let agent = || sandbox.raw(["--agent", "claude", "--user", "node", "--"]).arguments(command.clone());
        match self {
            Way::Live | Way::Machines => agent().env("AGENT_INIT_CAPTURE", capture),
            Way::Follow => agent().env("AGENT_INIT_CAPTURE", capture).env("AGENT_INIT_AUTH", "follow"),
            Way::Store => agent().unset("AGENT_INIT_CAPTURE").env("AGENT_INIT_STORE", StandIn::new(capture).spec()),
            Way::Host => {
                let home = format!("{capture}/claude");
                sandbox.raw(command).program("/usr/bin/env").env("CLAUDE_CONFIG_DIR", home)
            }
            Way::Plain => {
                let file = format!("{capture}/claude/.credentials.json");
                let script = "mkdir -p ~/.claude; cp \"$0\" ~/.claude/; \"$@\"; cp ~/.claude/.credentials.json \"$0\"";
                sandbox.raw(["-c", script, &file]).arguments(command).program("/bin/sh")
            }
        }
    }
}

/// The capture as another machine sees it: a file system of its own in user space, whose inotify tells nothing of what
/// happens to the directory beneath, as with NFS; with locks that hold for all of them.
struct Machine {
    path: PathBuf,
    server: Child,
}

impl Machine {
    fn new(capture: &str, path: PathBuf) -> Self {
        std::fs::create_dir(&path).unwrap();
        let mut server = Command::new("bindfs");
        server.args(["-f", "--multithreaded", "--enable-lock-forwarding", capture]).arg(&path);
        // The table is readable, exceptionally, when it has changed (proc_pid_mountinfo(5)).
        let table = File::open("/proc/self/mountinfo").unwrap();
        let server = server.spawn().expect("bindfs");
        let machine = Self { path, server };
        let before = machine.path.parent().unwrap().metadata().unwrap().dev();
        while machine.path.metadata().unwrap().dev() == before {
            poll(&mut [PollFd::new(table.as_fd(), PollFlags::POLLPRI)], 10_000_u16).unwrap();
        }
        machine
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A container that still dies holds it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// All of them.
pub struct Fleet {
    pub vendor: Vendor,
    pub members: Vec<Member>,
    way: Way,
    store: Sandbox,
    limit: Duration,
    turns: usize,
    ahead: i64,
}

impl Fleet {
    /// So many containers on a login that is fresh.
    pub fn start(way: Way, vendor: Vendor, count: usize, limit: Duration) -> Self {
        let store = Sandbox::new();
        let login = vendor.login("claude", LIFETIME);
        if way == Way::Store {
            StandIn::new(store.path("capture")).seed(&login);
        } else {
            store.captured("claude", ".credentials.json", &login);
        }
        let mut fleet = Self { vendor, members: Vec::new(), way, store, limit, turns: 0, ahead: 0 };
        (0..count).for_each(|_| fleet.join());
        fleet
    }

    /// One more container.
    pub fn join(&mut self) {
        self.members.push(self.member());
    }

    /// The agent of the host.
    pub fn join_host(&mut self) {
        let host = Member::start(Way::Host, &self.vendor, &self.store.text("capture"), self.limit);
        self.members.push(host);
    }

    /// A keeper refreshes the login, by the real Claude Code.
    pub fn keep(&self, keeper: &Sandbox) {
        let words = ["keep", "--agent", "claude", "--once", "--before", "100h"];
        let run = self.vendor.run_of(keeper, &words).env("AGENT_INIT_CAPTURE", self.store.text("capture"));
        run.run().ok();
    }

    fn member(&self) -> Member {
        Member::start(self.way, &self.vendor, &self.store.text("capture"), self.limit)
    }

    /// Ends one container and starts a new one in its place.
    pub fn replace(&mut self, index: usize) {
        let (_, outcome) = self.members.remove(index).end();
        outcome.ok();
        self.members.insert(index, self.member());
    }

    /// Time passes: every access token is about to expire.
    pub fn age(&mut self) {
        self.ahead += LIFETIME - LEFT;
        self.vendor.ask(&format!("set?ahead={}", self.ahead));
    }

    /// Asks one agent for a turn.
    pub fn ask_one(&mut self, index: usize) {
        let ahead = self.ahead;
        self.members[index].ask(0, ahead, "");
    }

    /// Asks all agents at once for a turn.
    pub fn ask(&mut self) -> usize {
        self.turns += 1;
        for member in &mut self.members {
            member.ask(self.turns, self.ahead, "");
        }
        self.turns
    }

    /// The turns of that number that failed.
    pub fn failures(&mut self, number: usize) -> Vec<String> {
        self.members.iter_mut().filter_map(|member| member.failure(number)).collect()
    }

    /// The agent of this container shows that it is to refresh, takes its locks, and stops there.
    pub fn stall(&mut self, index: usize) {
        let ahead = self.ahead;
        let member = &mut self.members[index];
        member.ask(0, ahead, "stall");
        member.live.line("stalled");
    }

    /// The answers to all requests for new tokens so far: the HTTP status and, of a refusal, why.
    pub fn refreshes(&self) -> Vec<String> {
        let answer = |record: &Value| format!("{} {}", record["status"], record["why"].as_str().unwrap_or("granted"));
        self.vendor.requests(TOKEN).iter().map(answer).collect()
    }

    /// The access token in a login file.
    pub fn access(path: PathBuf) -> String {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str::<Value>(&text).unwrap_or_default()["claudeAiOauth"]["accessToken"].to_string()
    }

    pub fn captured(&self) -> PathBuf {
        self.store.path("capture/claude/.credentials.json")
    }

    /// Waits until the working copies hold what is captured, where something sees to that.
    pub fn settle(&self) {
        for member in self.members.iter().filter(|_| matches!(self.way, Way::Live | Way::Machines | Way::Follow)) {
            await_path(member.working().parent().unwrap(), "the last login", || self.logins().len() == 1);
        }
    }

    /// The login in the capture and those in the working copies. Followers have no refresh token.
    pub fn logins(&self) -> BTreeSet<String> {
        let working = self.members.iter().map(Member::working);
        let tokens = |path: PathBuf| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let whole: Value = serde_json::from_str(&text).unwrap_or_default();
            let [access, refresh] = ["accessToken", "refreshToken"].map(|key| &whole["claudeAiOauth"][key]);
            if self.way == Way::Follow { access.to_string() } else { format!("{access} {refresh}") }
        };
        working.chain([self.captured()]).map(tokens).collect()
    }
}
