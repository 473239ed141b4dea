//! What an init costs while its command sleeps: resident memory and wake-ups.

use std::fs;
use std::io::Read;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::ground::Ground;
use crate::inits::{Inits, Launch, SUBJECT};
use crate::table::Table;
use crate::{Aim, Report, role};

/// Time for an init to finish its start after its command runs.
const SETTLE: Duration = Duration::from_secs(1);
const WATCH: Duration = Duration::from_secs(5);

/// A started init whose command sleeps until our end of its input is closed.
struct Idle {
    label: String,
    child: Child,
    _ground: Ground,
}

impl Idle {
    fn start(launch: &Launch, ground: Ground) -> Result<Self> {
        let mut child = launch.command(&ground).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut ready = [0];
        child
            .stdout
            .as_mut()
            .context("no output")?
            .read_exact(&mut ready)
            .with_context(|| format!("{:?} did not start", launch.argv))?;
        Ok(Self { label: launch.label.clone(), child, _ground: ground })
    }

    /// A number of /proc/PID/status.
    fn status(&self, field: &str) -> Result<u32> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path)?;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number =
            value.and_then(|value| value.split_whitespace().next()).with_context(|| format!("{path}: no {field}"))?;
        Ok(number.parse()?)
    }

    fn switches(&self) -> Result<u32> {
        Ok(self.status("voluntary_ctxt_switches")? + self.status("nonvoluntary_ctxt_switches")?)
    }

    fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "{}: {status}", self.label);
        Ok(())
    }
}

/// agent-init with a session that it serves.
fn live(inits: &Inits, sleeper: &[&str]) -> Result<Option<Idle>> {
    let ground = Ground::in_memory(false)?;
    ground.renew()?;
    inits.serving(&ground, sleeper).map(|launch| Idle::start(&launch, ground)).transpose()
}

/// What agent-init has resident with a session that it serves, and what of that is its own, in KiB.
pub fn serving(inits: &Inits) -> Result<[u32; 2]> {
    let sleeper = role::command(&["sleeper"])?;
    let sleeper: Vec<&str> = sleeper.iter().map(String::as_str).collect();
    let live = live(inits, &sleeper)?.context("no agent-init")?;
    sleep(SETTLE);
    let figures = [live.status("VmRSS")?, live.status("RssAnon")?];
    live.end()?;
    Ok(figures)
}

/// Every init with a sleeping command, and agent-init with a session that it serves.
fn idle_inits(inits: &Inits) -> Result<Vec<Idle>> {
    let sleeper = role::command(&["sleeper"])?;
    let sleeper: Vec<&str> = sleeper.iter().map(String::as_str).collect();
    let live = live(inits, &sleeper)?;
    let plain = inits.plain(&sleeper);
    let plain = plain.iter().map(|launch| Idle::start(launch, Ground::in_memory(false)?));
    let mut all: Vec<Idle> = plain.collect::<Result<_>>()?;
    all.extend(live);
    sleep(SETTLE);
    Ok(all)
}

pub fn memory(inits: &Inits) -> Result<Report> {
    let mut report = Report::default();
    let mut table = Table::new("Memory while the command sleeps", &["KiB", "VmRSS", "VmHWM", "RssAnon"]);
    let mut most: u32 = 0;
    for idle in idle_inits(inits)? {
        let resident = idle.status("VmRSS")?;
        if idle.label.starts_with(SUBJECT) {
            most = most.max(resident);
        }
        table.row([
            idle.label.clone(),
            resident.to_string(),
            idle.status("VmHWM")?.to_string(),
            idle.status("RssAnon")?.to_string(),
        ]);
        idle.end()?;
    }
    report.tables.push(table);
    report.aims.push(Aim {
        what: "resident memory with a live session",
        most: 2.0,
        got: f64::from(most) * 1024.0 / 1e6,
        unit: " MB",
    });
    Ok(report)
}

pub fn idle(inits: &Inits) -> Result<Report> {
    let mut report = Report::default();
    let mut table =
        Table::new(format!("Wake-ups in {} s while the command sleeps", WATCH.as_secs()), &["init", "wake-ups"]);
    let all = idle_inits(inits)?;
    let before: Vec<u32> = all.iter().map(Idle::switches).collect::<Result<_>>()?;
    sleep(WATCH);
    let after: Vec<u32> = all.iter().map(Idle::switches).collect::<Result<_>>()?;
    let mut most: u32 = 0;
    for (idle, (before, after)) in all.into_iter().zip(before.into_iter().zip(after)) {
        let wakes = after.saturating_sub(before);
        if idle.label.starts_with(SUBJECT) {
            most = most.max(wakes);
        }
        table.row([idle.label.clone(), wakes.to_string()]);
        idle.end()?;
    }
    report.tables.push(table);
    report.aims.push(Aim { what: "wake-ups while idle", most: 0.0, got: f64::from(most), unit: "" });
    Ok(report)
}
