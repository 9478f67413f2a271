//! Figures beside their aims, as a table in Markdown.

use std::fmt;

/// Rows of a figure, what it is, and its aim; then what a reader must know.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 3]>,
    notes: Vec<String>,
}

impl Table {
    /// Adds a figure without an aim.
    pub fn row(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        self.aimed(what, figure, "");
    }

    /// Adds a figure with its aim.
    pub fn aimed(&mut self, what: impl Into<String>, figure: impl Into<String>, aim: &str) {
        self.rows.push([what.into(), figure.into(), aim.to_owned()]);
    }

    /// Adds a sentence below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.rows.is_empty() {
            writeln!(out, "| what | figure | aim |\n|---|---:|---:|")?;
            for [what, figure, aim] in &self.rows {
                writeln!(out, "| {what} | {figure} | {aim} |")?;
            }
            writeln!(out)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(out, "{note}\n"))
    }
}

/// A time as people read it.
pub fn time(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.2} s") }
}

/// Memory as people read it: megabytes of a million bytes.
pub fn megabytes(kibibytes: u64) -> String {
    format!("{:.1} MB", kibibytes as f64 * 1024.0 / 1e6)
}

/// The smallest and the middle of some figures.
pub fn smallest_and_middle(figures: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    (figures[0], figures[figures.len() / 2])
}
