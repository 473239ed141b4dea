//! What this program does when an init starts it as the command.

use std::fs;
use std::io::{Read, Write, pipe};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{SigSet, Signal};
use nix::time::{ClockId, clock_gettime};

/// The first argument that makes this program play a role.
pub const WORD: &str = "role";

/// The arguments that make this program play `role`.
pub fn command(role: &[&str]) -> Result<Vec<String>> {
    let me = std::env::current_exe()?.to_string_lossy().into_owned();
    Ok([me, WORD.to_owned()].into_iter().chain(role.iter().map(|word| (*word).to_owned())).collect())
}

pub fn play(mut words: impl Iterator<Item = String>) -> Result<()> {
    match (words.next().as_deref(), words.next().and_then(|count| count.parse().ok())) {
        (Some("sleeper"), _) => sleeper(),
        (Some("listener"), _) => listener(),
        (Some("parent"), Some(orphans)) => parent(orphans),
        _ => bail!("no such role"),
    }
}

fn say(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Says that it is there, then waits for the end of its input.
fn sleeper() -> Result<()> {
    say(b"!")?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The clock that all processes share.
pub fn now() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into())
}

/// Says when each USR1 came; TERM ends it.
fn listener() -> Result<()> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGUSR1);
    set.add(Signal::SIGTERM);
    set.thread_block()?;
    say(b"!")?;
    while set.wait()? == Signal::SIGUSR1 {
        let nanos = u64::try_from(now()?.as_nanos())?;
        say(&nanos.to_ne_bytes())?;
    }
    Ok(())
}

/// Leaves `orphans` live processes to PID 1, ends them all at once, and says how many nanoseconds passed until PID 1 had
/// reaped them and how many of those it spent on a CPU.
fn parent(orphans: usize) -> Result<()> {
    const PER_SHELL: usize = 100;
    let (hold, release) = pipe()?;
    let mut left = orphans;
    while left > 0 {
        let some = left.min(PER_SHELL);
        // The shell forks without exec; its own stdin would be /dev/null in a background job.
        let script = format!("exec 3<&0; i=0; while [ $i -lt {some} ]; do read -r _ <&3 & i=$((i+1)); done");
        let status = Command::new("/bin/sh").args(["-c", &script]).stdin(Stdio::from(hold.try_clone()?)).status()?;
        ensure!(status.success(), "sh: {status}");
        left -= some;
    }
    drop(hold);
    let there = others()?;
    ensure!(there == orphans, "{there} of {orphans} orphans are there");

    let cpu = on_cpu()?;
    let begin = Instant::now();
    drop(release);
    while others()? > 0 {
        ensure!(begin.elapsed() < Duration::from_secs(60), "{} orphans are left after a minute", others()?);
        sleep(Duration::from_micros(500));
    }
    let wall = begin.elapsed();
    say(format!("{} {}\n", wall.as_nanos(), on_cpu()?.saturating_sub(cpu)).as_bytes())
}

/// Children of PID 1 beside this process, zombies included.
fn others() -> Result<usize> {
    let list =
        fs::read_to_string("/proc/1/task/1/children").context("the kernel lists no children (CONFIG_PROC_CHILDREN)")?;
    Ok(list.split_whitespace().count().saturating_sub(1))
}

/// Nanoseconds that PID 1 spent on a CPU; 0 where the kernel does not count them.
fn on_cpu() -> Result<u64> {
    let line = fs::read_to_string("/proc/1/schedstat").unwrap_or_default();
    Ok(line.split_whitespace().next().map_or(Ok(0), str::parse)?)
}
