//! One login on its way: to the capture, to another container. And containers in which nothing happens.

use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::inotify::AddWatchFlags;

use crate::sample::Sample;
use crate::support::{Gate, Live, Sandbox, Session};
use crate::watch::Watch;

const FILE: &str = ".credentials.json";
/// For all to come to rest.
const REST: Duration = Duration::from_millis(20);
const SETTLE: Duration = Duration::from_secs(2);

/// A container whose agent sleeps; the bench writes in its stead.
struct Container {
    sandbox: Sandbox,
    live: Live,
    _never: Gate,
}

impl Container {
    fn start(store: &Sandbox) -> Self {
        let sandbox = Sandbox::new();
        let never = sandbox.gate("never");
        let command = ["sh", "-c", "echo ready; read -r _ <\"$0\"", &sandbox.text("never")].map(String::from);
        let run = sandbox.raw(["--agent", "claude", "--"]).arguments(command).limit(crate::LIMIT);
        let mut live = run.env("AGENT_INIT_CAPTURE", store.text("capture")).start();
        live.line("ready");
        Self { sandbox, live, _never: never }
    }

    fn home(&self) -> PathBuf {
        self.sandbox.path("home/.claude")
    }

    /// As the agent does it. Gives the moment of the rename.
    fn refresh(&self, login: usize) -> Instant {
        let temporary = self.home().join(format!("{FILE}.tmp"));
        fs::write(&temporary, Session::new(&format!("{login}")).json()).unwrap();
        let moment = Instant::now();
        fs::rename(temporary, self.home().join(FILE)).unwrap();
        moment
    }

    /// How often its PID 1 ran so far.
    fn switches(&self) -> u64 {
        self.status("voluntary_ctxt_switches:") + self.status("nonvoluntary_ctxt_switches:")
    }

    /// Memory of its PID 1 that no file is behind, in KiB.
    fn memory(&self) -> u64 {
        self.status("RssAnon:")
    }

    /// A number of its /proc/PID/status.
    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.live.pid())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        value.split_whitespace().next().unwrap().parse().unwrap()
    }
}

fn store() -> Sandbox {
    let store = Sandbox::new();
    store.captured("claude", FILE, &Session::new("0").json());
    store
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// From the agent's rename until the login is durable: the capture's lock is let go after the last fsync.
pub fn publish(writes: usize) -> Sample {
    let store = store();
    let container = Container::start(&store);
    // The first publish makes the lock file.
    let renamed = Watch::new(&store.path("capture/claude"), AddWatchFlags::IN_MOVED_TO);
    let unlocked = Watch::new(&store.path("capture/claude/.agent-init"), AddWatchFlags::IN_CLOSE_WRITE);
    let mut sample = Sample::default();
    for login in 1..=writes {
        sleep(REST);
        let moment = container.refresh(login);
        renamed.wait(FILE);
        unlocked.wait("lock");
        sample.push(milliseconds(moment));
    }
    sample
}

/// From the agent's rename until another container's agent finds the login.
pub fn adopt(writes: usize) -> Sample {
    let store = store();
    let (here, there) = (Container::start(&store), Container::start(&store));
    let adopted = Watch::new(&there.home(), AddWatchFlags::IN_MOVED_TO);
    let mut sample = Sample::default();
    for login in 1..=writes {
        sleep(REST);
        let moment = here.refresh(login);
        adopted.wait(FILE);
        sample.push(milliseconds(moment));
    }
    sample
}

/// How often the PID 1s of so many containers ran in a time in which nothing happened.
pub fn idle(count: usize, time: Duration) -> u64 {
    let store = store();
    let containers: Vec<Container> = (0..count).map(|_| Container::start(&store)).collect();
    sleep(SETTLE);
    let all = || containers.iter().map(Container::switches).sum::<u64>();
    let before = all();
    sleep(time);
    all() - before
}

/// PID 1's memory in KiB after the first so many refreshes, and after all of them: each is published before the next.
pub fn memory(first: usize, writes: usize) -> [u64; 2] {
    let store = store();
    let container = Container::start(&store);
    let renamed = Watch::new(&store.path("capture/claude"), AddWatchFlags::IN_MOVED_TO);
    let publish = |logins: RangeInclusive<usize>| {
        for login in logins {
            container.refresh(login);
            renamed.wait(FILE);
        }
        sleep(REST);
        container.memory()
    };
    [publish(1..=first), publish(first + 1..=writes)]
}
