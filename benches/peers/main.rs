//! agent-init beside the inits that it replaces: start-up, memory, size, signal latency, reaping, idle wake-ups.
//! `scripts/bench` builds what is measured and starts this program.
#![allow(clippy::print_stdout, clippy::print_stderr)] // its output is its purpose

mod ground;
mod inits;
mod reap;
mod resident;
mod role;
mod sample;
mod signals;
mod size;
mod startup;
mod table;
mod targets;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, Uid};

use crate::table::{Style, Table};

const SECTIONS: [&str; 6] = ["startup", "memory", "size", "signals", "reap", "idle"];
/// Only where it is asked for: it takes a build of each target.
const TARGETS: &str = "targets";
const USAGE: &str = "usage: scripts/bench [startup|memory|size|signals|reap|idle|all|targets]... [--rounds N] [--orphans N] [--unpinned] [--markdown]";

/// What was asked for.
struct Options {
    sections: BTreeSet<String>,
    rounds: usize,
    orphans: usize,
    pinned: bool,
    style: Style,
}

impl Options {
    fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options =
            Self { sections: BTreeSet::new(), rounds: 1000, orphans: 10_000, pinned: true, style: Style::Text };
        let mut words = words;
        while let Some(word) = words.next() {
            let mut number = || -> Result<usize> {
                let value = words.next().and_then(|value| value.parse().ok()).filter(|value| *value > 0);
                value.with_context(|| format!("{word} wants a positive number\n{USAGE}"))
            };
            match word.as_str() {
                "--rounds" => options.rounds = number()?,
                "--orphans" => options.orphans = number()?,
                "--unpinned" => options.pinned = false,
                "--markdown" => options.style = Style::Markdown,
                "all" => options.sections.extend(SECTIONS.map(String::from)),
                section if SECTIONS.contains(&section) || section == TARGETS => {
                    options.sections.insert(word);
                }
                _ => bail!("unknown word {word:?}\n{USAGE}"),
            }
        }
        if options.sections.is_empty() {
            options.sections.extend(SECTIONS.map(String::from));
        }
        Ok(options)
    }

    fn wants(&self, section: &str) -> bool {
        self.sections.contains(section)
    }
}

/// What a section gives: tables, what must be known to read them, measured aims, and what could not be measured.
#[derive(Default)]
struct Report {
    tables: Vec<Table>,
    notes: Vec<&'static str>,
    aims: Vec<Aim>,
    left_out: Vec<String>,
}

/// A goal of the project and what this run got.
struct Aim {
    what: &'static str,
    most: f64,
    got: f64,
    unit: &'static str,
}

impl Report {
    fn print(&self, style: Style) {
        for table in &self.tables {
            println!("{}", table.render(style));
        }
        for note in &self.notes {
            println!("{note}\n");
        }
    }
}

fn verdict(aims: &[Aim]) -> Table {
    let mut table = Table::new("Aims", &["aim", "at most", "got", "met"]);
    for Aim { what, most, got, unit } in aims {
        let met = if got <= most { "yes" } else { "no" };
        table.row([(*what).to_owned(), format!("{most}{unit}"), format!("{got:.2}{unit}"), met.to_owned()]);
    }
    table
}

/// One CPU for all that is timed, so that no figure depends on where the scheduler puts the child.
fn pin(to_one: bool) -> Result<Option<usize>> {
    if !to_one {
        return Ok(None);
    }
    let allowed = sched_getaffinity(Pid::this())?;
    let last = (0..CpuSet::count()).rev().find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let cpu = last.context("no CPU is allowed")?;
    let mut one = CpuSet::new();
    one.set(cpu)?;
    sched_setaffinity(Pid::this(), &one)?;
    Ok(Some(cpu))
}

fn subject() -> Result<PathBuf> {
    let given = std::env::var_os("TEST_BINARY").map(PathBuf::from);
    let path = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/agent-init"));
    path.canonicalize().with_context(|| format!("{}: build it with scripts/build", path.display()))
}

fn machine(pinned_to: Option<usize>) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown CPU", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pinned = pinned_to.map_or_else(|| "not pinned".to_owned(), |cpu| format!("timed on CPU {cpu}"));
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{model}, {cores} CPUs ({pinned}), Linux {}, load average {load} before the start", kernel.trim())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("bench: {}", chain.join(": "));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if(|word| word == role::WORD).is_some() {
        return role::play(words);
    }
    let options = Options::parse(words)?;
    let inits = inits::Inits::find(subject()?)?;
    let root = Uid::effective().is_root();

    let everywhere = sched_getaffinity(Pid::this())?;
    let pinned_to = pin(options.pinned)?;
    sched_setaffinity(Pid::this(), &everywhere)?;
    println!("{}", machine(pinned_to));
    println!("On a busy machine CPU (user + system) and p10 say more than the median.\n");

    let mut aims = Vec::new();
    let mut left_out = inits.missing();
    for section in SECTIONS.into_iter().chain([TARGETS]).filter(|section| options.wants(section)) {
        pin(options.pinned && matches!(section, "startup" | "signals" | TARGETS))?;
        let report = match section {
            "startup" => startup::measure(&inits, options.rounds, root)?,
            "memory" => resident::memory(&inits)?,
            "size" => size::measure(&inits)?,
            "signals" => signals::measure(&inits)?,
            "reap" => reap::measure(&inits, options.orphans, root)?,
            TARGETS => targets::measure(options.rounds, root)?,
            _ => resident::idle(&inits)?,
        };
        sched_setaffinity(Pid::this(), &everywhere)?;
        report.print(options.style);
        aims.extend(report.aims);
        left_out.extend(report.left_out);
    }
    if !aims.is_empty() {
        println!("{}", verdict(&aims).render(options.style));
    }
    for what in left_out {
        println!("Left out: {what}");
    }
    Ok(())
}
