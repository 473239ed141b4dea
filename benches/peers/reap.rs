//! How fast an init, as PID 1 of a namespace, reaps orphans that all end at once.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::ground::Ground;
use crate::inits::{Inits, Launch};
use crate::sample::Sample;
use crate::table::Table;
use crate::{Report, role};

const ROUNDS: usize = 3;

/// Milliseconds until all are reaped, and those that PID 1 spent on a CPU.
fn reaped(launch: &Launch, ground: &Ground) -> Result<[f64; 2]> {
    ground.renew()?;
    let namespace = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--kill-child"].map(String::from);
    let argv: Vec<String> = namespace.iter().chain(&launch.argv).cloned().collect();
    let output = ground.command(&argv).stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{argv:?}: {}\n{said}", output.status);
    let line = String::from_utf8(output.stdout)?;
    let mut nanos = line.split_whitespace().map(str::parse::<f64>);
    let mut next = || -> Result<f64> { Ok(nanos.next().context("no report")?? / 1e6) };
    Ok([next()?, next()?])
}

pub fn measure(inits: &Inits, orphans: usize, root: bool) -> Result<Report> {
    let mut report = Report::default();
    if !root {
        report.left_out.push("reaping as PID 1: needs root".to_owned());
        return Ok(report);
    }
    let parent = role::command(&["parent", &orphans.to_string()])?;
    let words: Vec<&str> = parent.iter().map(String::as_str).collect();
    let ground = Ground::in_memory(false)?;
    let mut cases: Vec<(Launch, [Sample; 2])> =
        inits.plain(&words).into_iter().map(|launch| (launch, Default::default())).collect();
    for _ in 0..ROUNDS {
        for (launch, samples) in &mut cases {
            for (sample, value) in samples.iter_mut().zip(reaped(launch, &ground)?) {
                sample.push(value);
            }
        }
    }
    let title = format!("PID 1 reaps {orphans} orphans that end at once, median of {ROUNDS}");
    let mut table = Table::new(title, &["ms", "until all are reaped", "CPU of PID 1"]);
    for (launch, [wall, cpu]) in cases {
        table.row([launch.label, format!("{:.0}", wall.median()), format!("{:.0}", cpu.median())]);
    }
    report.tables.push(table);
    Ok(report)
}
