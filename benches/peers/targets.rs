//! The binaries of dist for each target, beside each other: size, start, memory. What this machine cannot run has a size only.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::ground::Ground;
use crate::inits::{Inits, Launch, PLAIN_START, SESSION_START, SUBJECT, USER_START};
use crate::startup::{self, Case};
use crate::table::Table;
use crate::{Report, resident};

/// The starts that are timed; all but the first need root.
const STARTS: [&str; 3] = [PLAIN_START, USER_START, SESSION_START];

struct Target {
    name: String,
    path: PathBuf,
}

impl Target {
    fn runs_here(&self) -> bool {
        self.name.starts_with(std::env::consts::ARCH)
    }

    fn inits(&self) -> Result<Inits> {
        Inits::find(self.path.clone())
    }
}

fn built() -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("dist"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(target) = name.strip_prefix("agent-init-").filter(|target| !target.contains('.')) {
            targets.push(Target { name: target.to_owned(), path: path.clone() });
        }
    }
    ensure!(!targets.is_empty(), "no dist/agent-init-TARGET: build them with scripts/build --target TARGET");
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(targets)
}

pub fn measure(rounds: usize, root: bool) -> Result<Report> {
    let targets = built()?;
    let ground = Ground::in_memory(root)?;
    let mut cases = Vec::new();
    for target in targets.iter().filter(|target| target.runs_here()) {
        let inits = target.inits()?;
        let privileged = if root { inits.privileged(&ground) } else { Vec::new() };
        let starts = inits.starts().into_iter().chain(privileged);
        let timed = starts.filter(|launch| STARTS.contains(&launch.label.as_str()));
        cases.extend(timed.map(|launch| Case::new(Launch { label: label(&target.name, &launch.label), ..launch })));
    }
    startup::run(&mut cases, &ground, rounds)?;

    let mut report = Report::default();
    let mut table = Table::new(
        format!("Targets, {rounds} rounds, home on {} ({})", ground.kind(), ground.place().display()),
        &["target", "bytes", "start us", "CPU", "user us", "CPU", "session us", "CPU", "live KiB", "own KiB"],
    );
    for target in &targets {
        let mut row = vec![target.name.clone(), fs::metadata(&target.path)?.len().to_string()];
        for start in STARTS {
            let case = cases.iter().find(|case| case.launch.label == label(&target.name, start));
            row.extend(case.map_or_else(unmeasured, Case::figures));
        }
        let memory = if target.runs_here() { Some(resident::serving(&target.inits()?)?) } else { None };
        row.extend(memory.map_or_else(unmeasured, |memory| memory.map(|kibibytes| kibibytes.to_string())));
        table.row(row);
    }
    report.tables.push(table);
    if !root {
        report.left_out.push(format!("{SUBJECT} --user: needs root"));
    }
    Ok(report)
}

fn unmeasured() -> [String; 2] {
    ["-".to_owned(), "-".to_owned()]
}

fn label(target: &str, start: &str) -> String {
    format!("{target}: {start}")
}
