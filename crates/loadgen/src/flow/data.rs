//! Data files: rows that iterations take in turn.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A CSV file with its rows. The rows go round, over all users of the flow.
#[derive(Debug)]
pub(super) struct Data {
    columns: usize,
    /// All rows, one after the other.
    cells: Vec<Box<str>>,
    next: AtomicUsize,
}

impl Data {
    /// Reads a file whose first line names the columns; gives these too.
    pub(super) fn read(path: &Path) -> Result<(Self, Vec<String>), String> {
        let bytes = super::files::read(path)?;
        let problem = |error: csv::Error| format!("{}: {error}", path.display());
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(&*bytes);
        let names: Vec<String> = reader.headers().map_err(problem)?.iter().map(str::to_owned).collect();
        let mut cells = Vec::new();
        for row in reader.records() {
            cells.extend(row.map_err(problem)?.iter().map(Box::from));
        }
        if cells.is_empty() {
            return Err(format!(
                "{} has no rows: write a line with the names of the columns, then one for each row",
                path.display()
            ));
        }
        Ok((Self { columns: names.len(), cells, next: AtomicUsize::new(0) }, names))
    }

    /// The row that is next.
    pub(super) fn take(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % (self.cells.len() / self.columns)
    }

    pub(super) fn cell(&self, row: usize, column: usize) -> &str {
        &self.cells[row * self.columns + column]
    }
}
