//! One table of behaviours, for agent-init and for the inits that it replaces: what they share is the oracle for
//! agent-init, and where a peer differs the table says how and why. A difference that is gone fails the test too.

mod end;
mod handed_on;
mod privacy;
mod signals;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::Builder;

use crate::support::{Gate, Run, Sandbox, root_or_skip};

/// An init, and the words before `--`.
struct Peer {
    name: &'static str,
    program: &'static str,
    options: &'static [&'static str],
}

/// The first one is ours.
static PEERS: [Peer; 4] = [
    Peer { name: "agent-init", program: "", options: &["--agent", "none", "--grace", "500ms"] },
    // Not being PID 1 it reaps only as a subreaper, and as PID 1 the option changes nothing.
    Peer { name: "tini", program: "/usr/bin/tini", options: &["-s"] },
    Peer { name: "dumb-init", program: "/usr/bin/dumb-init", options: &[] },
    Peer { name: "catatonit", program: "/usr/bin/catatonit", options: &[] },
];

/// What a behaviour is shown by: the peer, the way it is started, and a sandbox of its own.
struct Scene<'s> {
    peer: &'s Peer,
    pid1: bool,
    sandbox: &'s Sandbox,
}

impl Scene<'_> {
    /// The init with this command.
    fn run(&self, command: &[&str]) -> Run {
        self.words(&["--"], command)
    }

    /// The init with the stand-in agent.
    fn agent(&self, script: &str, arguments: &[&str]) -> Run {
        self.run(&["claude", script]).arguments(arguments.iter().copied())
    }

    fn words(&self, separator: &[&str], command: &[&str]) -> Run {
        let words = [self.peer.options, separator, command].concat();
        let run = self.sandbox.raw(words);
        let run = if self.peer.program.is_empty() { run } else { run.program(self.peer.program) };
        if self.pid1 { run.pid1() } else { run }
    }

    fn gate(&self, name: &str) -> Gate {
        self.sandbox.gate(name)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Both,
    Pid1,
    NotPid1,
}

/// Something that an init does, seen from outside.
struct Behaviour {
    what: &'static str,
    how: How,
    see: fn(&Scene) -> String,
    /// What agent-init shows, and every peer that is not among the differences.
    expected: &'static str,
    differences: &'static [Difference],
}

struct Difference {
    peer: &'static str,
    shows: &'static str,
    why: &'static str,
}

/// What a peer shows that shows now this and now that: a race of its own, so there is nothing to compare.
const BY_CHANCE: &str = "by chance";

const fn differs(peer: &'static str, shows: &'static str, why: &'static str) -> Difference {
    Difference { peer, shows, why }
}

/// What tini, dumb-init and catatonit show alike.
const fn all_differ(shows: &'static str, why: &'static str) -> [Difference; 3] {
    [differs("tini", shows, why), differs("dumb-init", shows, why), differs("catatonit", shows, why)]
}

/// Shows every behaviour of a table by every peer, all peers of a row at once.
fn check(table: &[Behaviour]) {
    let root = root_or_skip("behaviour as PID 1");
    let mut wrong = Vec::new();
    for behaviour in table {
        let ways = PEERS.iter().flat_map(|peer| [(peer, false), (peer, true)]);
        let asked = ways.filter(|(_, pid1)| match behaviour.how {
            How::Both => root || !pid1,
            How::Pid1 => root && *pid1,
            How::NotPid1 => !pid1,
        });
        std::thread::scope(|scope| {
            let show = |(peer, pid1): (&'static Peer, bool)| {
                let named = Builder::new().name(format!("{}, PID 1 {pid1}: {}", peer.name, behaviour.what));
                named.spawn_scoped(scope, move || behaviour.wrong(peer, pid1)).unwrap()
            };
            let shown: Vec<_> = asked.map(show).collect();
            wrong.extend(shown.into_iter().filter_map(|thread| thread.join().unwrap()));
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Behaviour {
    /// What this peer shows, if it is not what is listed. The others have races of their own: what one of them shows in one
    /// of three tries, it does. We have one try.
    fn wrong(&self, peer: &Peer, pid1: bool) -> Option<String> {
        let tries = if peer.program.is_empty() { 1 } else { 3 };
        (0..tries).map(|_| self.wrong_once(peer, pid1)).try_fold(None, |_, wrong| wrong.map(Some)).flatten()
    }

    fn wrong_once(&self, peer: &Peer, pid1: bool) -> Option<String> {
        let sandbox = Sandbox::new();
        let see = || (self.see)(&Scene { peer, pid1, sandbox: &sandbox });
        // One of the others that has gone before it was looked at is a try that failed, and no test that did.
        let seen = if peer.program.is_empty() {
            see()
        } else {
            catch_unwind(AssertUnwindSafe(see)).unwrap_or_else(|_| "its end".to_owned())
        };
        let difference = self.differences.iter().find(|difference| difference.peer == peer.name);
        let expected = difference.map_or(self.expected, |difference| difference.shows);
        let why = difference.map_or("no difference is listed", |difference| difference.why);
        let place = if pid1 { "as PID 1" } else { "not as PID 1" };
        let (name, what) = (peer.name, self.what);
        let is_wrong = seen != expected && (expected != BY_CHANCE || peer.program.is_empty());
        is_wrong.then(|| format!("{name}, {place}: {what}: shows {seen:?}, not {expected:?} ({why})"))
    }
}

/// How a run ended.
fn exit(code: Option<i32>) -> String {
    code.map_or_else(|| "killed".to_owned(), |code| format!("exit {code}"))
}

#[test]
fn differences_are_differences() {
    for table in [end::STATUSES, end::END, handed_on::TABLE, signals::TABLE, privacy::TABLE] {
        for behaviour in table {
            for difference in behaviour.differences {
                assert_ne!(difference.shows, behaviour.expected, "{}: {}", behaviour.what, difference.peer);
                assert!(PEERS[1..].iter().any(|peer| peer.name == difference.peer), "{}", difference.peer);
            }
        }
    }
}
