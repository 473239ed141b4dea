//! Sizes of the binaries.

use std::fs;

use anyhow::Result;

use crate::inits::{Inits, SUBJECT};
use crate::table::Table;
use crate::{Aim, Report};

pub fn measure(inits: &Inits) -> Result<Report> {
    let mut report = Report::default();
    let mut table = Table::new("Size of the binary", &["binary", "bytes", "linked"]);
    for (name, path) in inits.all() {
        let image = fs::read(path)?;
        // A dynamic executable names its loader near its start.
        let dynamic = image.iter().take(4096).copied().collect::<Vec<u8>>().windows(4).any(|bytes| bytes == b"/ld-");
        let linked = if dynamic { "dynamically" } else { "statically" };
        table.row([name.to_owned(), image.len().to_string(), linked.to_owned()]);
        if name == SUBJECT {
            let got = f64::from(u32::try_from(image.len())?) / 1e6;
            report.aims.push(Aim { what: "size of the binary", most: 1.5, got, unit: " MB" });
        }
    }
    report.tables.push(table);
    Ok(report)
}
