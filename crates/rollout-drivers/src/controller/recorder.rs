//! Observations on disk, from which every decision can be repeated with `simulate`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use spillway_model::UnixMillis;
use spillway_rollout::Rollout;
use spillway_rollout::observed::Observed;
use spillway_rollout::simulate::{Look, Recording};
use spillway_rollout::state::State;

/// Writes a [`Recording`].
///
/// Each controller begins a new file, with the Rollout and the state that it starts from, and another one at `limit` bytes. Those before
/// become `FILE.1`, `FILE.2` and so on, and the oldest goes.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    rollout: Rollout,
    limit: u64,
    file: Option<File>,
    size: u64,
}

impl Recorder {
    /// Bytes of one file: some days of looks.
    pub const DEFAULT_LIMIT: u64 = 16 << 20;
    /// Older files that are kept.
    pub const N_KEPT: usize = 5;

    /// A recorder of this Rollout. Nothing is written before the first look.
    #[must_use]
    pub fn new(path: &Path, rollout: Rollout, limit: u64) -> Self {
        Self { path: path.to_owned(), rollout, limit, file: None, size: 0 }
    }

    /// Appends one look; `state` is what it started from.
    ///
    /// # Errors
    /// When it could not be written.
    pub(super) fn append(&mut self, now: UnixMillis, state: &State, observed: &Observed) -> io::Result<()> {
        let look = Recording::line(&Look { now, observed: observed.clone() })? + "\n";
        if self.size.saturating_add(look.len() as u64) > self.limit {
            self.file = None;
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let first = Recording::first_line(&self.rollout, state)? + "\n";
                self.keep_older()?;
                let mut file = File::create(&self.path)?;
                file.write_all(first.as_bytes())?;
                self.size = first.len() as u64;
                file
            }
        };
        file.write_all(look.as_bytes())?;
        self.size += look.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    fn keep_older(&self) -> io::Result<()> {
        let numbered = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            if number > 0 {
                name.push(format!(".{number}"));
            }
            PathBuf::from(name)
        };
        for number in (0..Self::N_KEPT).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
