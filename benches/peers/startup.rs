//! Wall time from spawn to the end of `true`, through each init, in interleaved rounds.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::ground::{Ground, USER};
use crate::inits::{BARE, CAPTURED_START, Inits, Launch, PLAIN_START, SESSION_START, STEPPED_START, USER_START};
use crate::sample::Sample;
use crate::table::Table;
use crate::{Aim, Report};

/// The cases whose writes are flushed, and what they are compared to.
const ON_DISK: [&str; 5] = [BARE, STEPPED_START, USER_START, SESSION_START, CAPTURED_START];
const CLOSING: &str = "A capture is watched, and closing an inotify waits for a grace period of the kernel (about 13 ms): after the command has ended, so it delays no start.";

/// One start, again and again.
pub struct Case {
    pub launch: Launch,
    wall: Sample,
    cpu: Sample,
    faults: Sample,
}

impl Case {
    pub fn new(launch: Launch) -> Self {
        Self { launch, wall: Sample::default(), cpu: Sample::default(), faults: Sample::default() }
    }

    /// Median wall time and CPU time in microseconds.
    pub fn figures(&self) -> [String; 2] {
        [&self.wall, &self.cpu].map(|sample| format!("{:.0}", sample.median()))
    }

    /// Once with its messages kept: a case that does not work is not timed.
    fn try_out(&self, ground: &Ground) -> Result<()> {
        ground.renew()?;
        let output = self.launch.command(ground).stderr(Stdio::piped()).output().context(self.launch.label.clone())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{:?}: {}\n{said}", self.launch.argv, output.status);
        Ok(())
    }

    fn start(&self, ground: &Ground) -> Result<[f64; 3]> {
        ground.renew()?;
        let mut command = self.launch.command(ground);
        let before = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let begin = Instant::now();
        let status = command.spawn()?.wait()?;
        let wall = begin.elapsed();
        let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        ensure!(status.success(), "{:?}: {status}", self.launch.argv);
        Ok([wall.as_secs_f64() * 1e6, cpu(&after) - cpu(&before), faults(&after) - faults(&before)])
    }
}

fn cpu(usage: &Usage) -> f64 {
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    f64::from(i32::try_from(micros % 1_000_000_000).unwrap_or_default())
        + 1e9 * f64::from(i32::try_from(micros / 1_000_000_000).unwrap_or_default())
}

fn faults(usage: &Usage) -> f64 {
    f64::from(u32::try_from(usage.minor_page_faults()).unwrap_or_default())
}

/// Warm-up, then A B C A B C ...: whatever disturbs the machine disturbs all cases alike.
pub fn run(cases: &mut [Case], ground: &Ground, rounds: usize) -> Result<()> {
    for case in cases.iter() {
        case.try_out(ground)?;
    }
    let warm_up = rounds.div_ceil(20);
    for round in 0..warm_up + rounds {
        for case in cases.iter_mut() {
            let [wall, cpu, faults] = case.start(ground)?;
            if round >= warm_up {
                case.wall.push(wall);
                case.cpu.push(cpu);
                case.faults.push(faults);
            }
        }
    }
    Ok(())
}

fn median(cases: &[Case], label: &str) -> Option<f64> {
    cases.iter().find(|case| case.launch.label == label).map(|case| case.wall.median())
}

fn table(title: String, cases: &[Case]) -> Table {
    let mut table = Table::new(
        title,
        &["start to end, us", "median", "p10", "p90", "x bare", "x tini+gosu", "CPU", "CPU x bare", "faults"],
    );
    for case in cases {
        let (wall, cpu) = (case.wall.median(), case.cpu.median());
        let against = |label, own: f64, figure: fn(&Case) -> f64| {
            let other = cases.iter().find(|case| case.launch.label == label);
            other.map_or_else(|| "-".to_owned(), |other| format!("{:.2}", own / figure(other)))
        };
        let whole = |value: f64| format!("{value:.0}");
        table.row([
            case.launch.label.clone(),
            whole(wall),
            whole(case.wall.percentile(10)),
            whole(case.wall.percentile(90)),
            against(BARE, wall, |case| case.wall.median()),
            against(STEPPED_START, wall, |case| case.wall.median()),
            whole(cpu),
            against(BARE, cpu, |case| case.cpu.median()),
            whole(case.faults.median()),
        ]);
    }
    table
}

fn described(ground: &Ground, rounds: usize) -> String {
    format!("Start-up, {rounds} rounds, home on {} ({})", ground.kind(), ground.place().display())
}

pub fn measure(inits: &Inits, rounds: usize, root: bool) -> Result<Report> {
    let mut report = Report::default();
    let ground = Ground::in_memory(root)?;
    let mut launches = inits.starts();
    if root {
        launches.extend(inits.privileged(&ground));
        report.notes.push(CLOSING);
    } else {
        report.left_out.push(format!("start-up as another user ({USER}): needs root"));
    }
    let mut cases: Vec<Case> = launches.into_iter().map(Case::new).collect();
    run(&mut cases, &ground, rounds)?;
    report.tables.push(table(described(&ground, rounds), &cases));
    let ratio = |of, to| median(&cases, of).zip(median(&cases, to)).map(|(of, to)| of / to);
    report.aims.extend(ratio(PLAIN_START, BARE).map(|got| Aim {
        what: "`agent-init -- true` against bare `true`",
        most: 1.9,
        got,
        unit: "x",
    }));
    report.aims.extend(ratio(SESSION_START, STEPPED_START).map(|got| Aim {
        what: "as another user with a session installed, against `tini -- gosu`",
        most: 0.7,
        got,
        unit: "x",
    }));

    if root && ground.in_memory {
        // Apart from the others: a journal that is flushed disturbs whatever runs next.
        let (disk, fewer) = (Ground::on_disk(root)?, rounds.div_ceil(10));
        let launches = inits.starts().into_iter().chain(inits.privileged(&disk));
        let flushed = launches.filter(|launch| ON_DISK.contains(&launch.label.as_str()));
        let mut cases: Vec<Case> = flushed.map(Case::new).collect();
        run(&mut cases, &disk, fewer)?;
        report.tables.push(table(described(&disk, fewer), &cases));
    }
    Ok(report)
}
