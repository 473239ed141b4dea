//! Time from a signal sent to the init until its command has it.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ground::Ground;
use crate::inits::{Inits, Launch};
use crate::sample::Sample;
use crate::table::Table;
use crate::{Report, role};

const ROUNDS: usize = 500;
const WARM_UP: usize = 20;

fn latency(launch: &Launch, ground: &Ground) -> Result<Sample> {
    ground.renew()?;
    let mut child = launch.command(ground).stdout(Stdio::piped()).spawn()?;
    let init = Pid::from_raw(i32::try_from(child.id())?);
    let mut listener = child.stdout.take().context("no output")?;
    listener.read_exact(&mut [0]).with_context(|| format!("{:?} did not start", launch.argv))?;
    let mut sample = Sample::default();
    for round in 0..WARM_UP + ROUNDS {
        let sent = role::now()?;
        kill(init, Signal::SIGUSR1)?;
        let mut nanos = [0; 8];
        listener.read_exact(&mut nanos).with_context(|| format!("{}: signal {round} was lost", launch.label))?;
        let had = Duration::from_nanos(u64::from_ne_bytes(nanos));
        if round >= WARM_UP {
            sample.push(had.saturating_sub(sent).as_secs_f64() * 1e6);
        }
    }
    kill(init, Signal::SIGTERM)?;
    let status = child.wait()?;
    ensure!(status.success(), "{:?}: {status}", launch.argv);
    Ok(sample)
}

pub fn measure(inits: &Inits) -> Result<Report> {
    let listener = role::command(&["listener"])?;
    let words: Vec<&str> = listener.iter().map(String::as_str).collect();
    let direct = Launch { label: "no init".to_owned(), argv: listener.clone(), session: false };
    let ground = Ground::in_memory(false)?;
    let mut table = Table::new(format!("Signal latency, {ROUNDS} signals"), &["us", "median", "p10", "p90"]);
    for launch in std::iter::once(direct).chain(inits.plain(&words)) {
        let sample = latency(&launch, &ground)?;
        let figures = [sample.median(), sample.percentile(10), sample.percentile(90)];
        table.row(std::iter::once(launch.label).chain(figures.map(|value| format!("{value:.1}"))));
    }
    Ok(Report { tables: vec![table], ..Report::default() })
}
