//! How fast a login travels, what waiting for one costs, and what becomes of a login that many containers share.
//! `scripts/bench sync` builds what is measured and starts this program.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is its purpose, and what fails ends it")]

#[path = "../peers/sample.rs"]
#[allow(dead_code, reason = "the other bench uses the rest")]
mod sample;
#[path = "../../tests/suite"]
#[allow(dead_code, unused_imports, unused_macros, clippy::needless_pass_by_value, reason = "the tests use the rest")]
mod suite {
    #[path = "fleet/members.rs"]
    pub mod members;
    pub mod support;
}
#[path = "../peers/table.rs"]
mod table;
mod travel;
mod watch;

use std::time::Duration;

use sample::Sample;
use suite::members::{Fleet, Member, Way};
use suite::support::{self, Sandbox, Vendor};
use table::{Style, Table};

const USAGE: &str =
    "usage: scripts/bench sync [--writes N] [--idle N] [--containers N] [--rotations N] [--ours] [--markdown]
       scripts/bench sync memory [--writes N] [--markdown]";
/// A guard against hangs.
const LIMIT: Duration = Duration::from_secs(3600);
const WATCHED: Duration = Duration::from_secs(5);
/// What PID 1 takes once and keeps, it has taken after so many writes.
const FIRST_WRITES: usize = 1000;
/// What it may take from then on, in KiB.
const FLAT: u64 = 64;

/// What was asked for.
struct Options {
    memory: bool,
    writes: usize,
    idle: usize,
    containers: usize,
    rotations: usize,
    /// Without the plain copies that agent-init is compared with.
    ours: bool,
    style: Style,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut options =
            Self { memory: false, writes: 0, idle: 50, containers: 30, rotations: 20, ours: false, style: Style::Text };
        while let Some(word) = words.next() {
            let target = match word.as_str() {
                "--writes" => &mut options.writes,
                "--idle" => &mut options.idle,
                "--containers" => &mut options.containers,
                "--rotations" => &mut options.rotations,
                "--markdown" => {
                    options.style = Style::Markdown;
                    continue;
                }
                "--ours" => {
                    options.ours = true;
                    continue;
                }
                "memory" => {
                    options.memory = true;
                    continue;
                }
                _ => return None,
            };
            *target = words.next()?.parse().ok().filter(|number| *number > 0)?;
        }
        if options.writes == 0 {
            options.writes = if options.memory { 100_000 } else { 200 };
        }
        Some(options)
    }
}

fn main() {
    let Some(options) = Options::parse(std::env::args().skip(1).filter(|word| word != "--bench")) else {
        println!("{USAGE}");
        std::process::exit(2);
    };
    if !support::root_or_skip("sync") {
        return;
    }
    if options.memory {
        println!("{}", memory(options.writes.max(FIRST_WRITES)).render(options.style));
        return;
    }
    println!("{}", latency(options.writes).render(options.style));
    println!("{}", idle(options.idle).render(options.style));
    println!("{}", fleets(&options).render(options.style));
}

fn latency(writes: usize) -> Table {
    let title = format!("From the agent's rename, {writes} writes, milliseconds");
    let mut table = Table::new(title, &["until", "median", "p99", "most"]);
    let mut row = |what: &str, sample: Sample| {
        let cells = [50, 99, 100].map(|percent| format!("{:.1}", sample.percentile(percent)));
        table.row([what.to_owned()].into_iter().chain(cells));
    };
    row("durable in the capture", travel::publish(writes));
    row("in another container's working copy", travel::adopt(writes));
    table
}

fn memory(writes: usize) -> Table {
    let [first, last] = travel::memory(FIRST_WRITES, writes);
    let grown = last.saturating_sub(first);
    let mut table =
        Table::new("PID 1's own memory (RssAnon) while the agent writes logins that are published", &["", "KiB"]);
    table.row([format!("after {FIRST_WRITES} writes"), first.to_string()]);
    table.row([format!("after {writes} writes"), last.to_string()]);
    let is_met = if grown <= FLAT { "met" } else { "not met" };
    table.row([format!("grown by (at most {FLAT}: {is_met})"), grown.to_string()]);
    table
}

fn idle(count: usize) -> Table {
    let woken = travel::idle(count, WATCHED);
    let title = format!("Wake-ups of {count} idle containers on one capture in {} s", WATCHED.as_secs());
    let mut table = Table::new(title, &["", "wake-ups"]);
    table.row(["all together".to_owned(), woken.to_string()]);
    table
}

/// How one login is shared.
struct Case {
    label: &'static str,
    way: Way,
    /// One more agent uses the capture as its config directory.
    has_host: bool,
    vendor: fn() -> Vendor,
}

const CASES: &[Case] = &[
    Case { label: "agent-init", way: Way::Live, has_host: false, vendor: Vendor::strict },
    Case { label: "agent-init, and the host's own agent", way: Way::Live, has_host: true, vendor: Vendor::strict },
    Case { label: "agent-init: keeper and followers", way: Way::Follow, has_host: false, vendor: Vendor::strict },
    Case { label: "copy in, run, copy back", way: Way::Plain, has_host: false, vendor: Vendor::strict },
    Case { label: "the same; reuse is only refused", way: Way::Plain, has_host: false, vendor: Vendor::start },
];

/// Every rotation all agents want to refresh at once, and one container is replaced by a new one. The vendor ends a login
/// whose refresh token is used twice.
fn fleets(options: &Options) -> Table {
    let Options { containers, rotations, .. } = options;
    let title = format!("{containers} containers on one login, {rotations} rotations, one turn each");
    let header = ["", "turns", "failed", "token requests", "refused", "logins at the end"];
    let mut table = Table::new(title, &header);
    for case in CASES.iter().filter(|case| !options.ours || case.way != Way::Plain) {
        let figures = fleet(case, *containers, *rotations);
        table.row([case.label.to_owned()].into_iter().chain(figures.map(|figure| figure.to_string())));
    }
    table
}

fn fleet(case: &Case, containers: usize, rotations: usize) -> [usize; 5] {
    let mut fleet = Fleet::start(case.way, (case.vendor)(), containers, LIMIT);
    if case.has_host {
        fleet.join_host();
    }
    let keeper = (case.way == Way::Follow).then(Sandbox::new);
    let (mut turns, mut failed) = (0, 0);
    for rotation in 1..=rotations {
        match &keeper {
            // It refreshes before the tokens end.
            Some(keeper) => {
                fleet.age();
                fleet.keep(keeper);
            }
            None if rotation % 2 == 0 => drop(fleet.vendor.ask("expire")),
            None => fleet.age(),
        }
        let turn = fleet.ask();
        turns += fleet.members.len();
        failed += fleet.failures(turn).len();
        fleet.replace(rotation % containers);
    }
    if case.has_host {
        // Its login is the captured one.
        fleet.members.pop().map(Member::end);
    }
    fleet.settle();
    let refreshes = fleet.refreshes();
    let refused = refreshes.iter().filter(|answer| !answer.starts_with("200 ")).count();
    [turns, failed, refreshes.len(), refused, fleet.logins().len()]
}
