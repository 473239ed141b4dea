//! Pure. Tables for people (aligned) and for a README (Markdown).

use std::fmt::Write as _;

/// How tables are written.
#[derive(Clone, Copy)]
pub enum Style {
    Text,
    Markdown,
}

/// A titled table; the first column is text, the others are figures.
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: impl Into<String>, header: &[&str]) -> Self {
        Self { title: title.into(), rows: vec![header.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn render(&self, style: Style) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let (edge, gap) = match style {
            Style::Text => ("", "  "),
            Style::Markdown => ("|", " | "),
        };
        let mut out = match style {
            Style::Text => format!("{}\n", self.title),
            Style::Markdown => format!("{}\n\n", self.title),
        };
        for (index, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| align(cell, *width, column))
                .collect();
            let line = cells.join(gap);
            let pad = if edge.is_empty() { "" } else { " " };
            let _ = writeln!(out, "{}", format!("{edge}{pad}{line}{pad}{edge}").trim_end());
            if index == 0 {
                let rule: Vec<String> =
                    widths.iter().enumerate().map(|(column, width)| ruler(*width, column, style)).collect();
                let _ = writeln!(out, "{edge}{pad}{}{pad}{edge}", rule.join(gap));
            }
        }
        out
    }
}

fn align(cell: &str, width: usize, column: usize) -> String {
    if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
}

fn ruler(width: usize, column: usize, style: Style) -> String {
    match style {
        Style::Markdown if column > 0 => format!("{}:", "-".repeat(width.max(2) - 1)),
        _ => "-".repeat(width),
    }
}
