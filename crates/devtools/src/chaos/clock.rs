//! A wall clock that steps while a process runs, by libfaketime.

use std::path::{Path, PathBuf};

use http::{HeaderMap, header};
use spillway_model::{Clock, SystemClock};

use crate::Failure;

/// Steps the wall clock of the processes that were started with its [environment](SteppedClock::environment). Their monotonic clock,
/// which timers use, goes on undisturbed, as it does when a machine's clock is set.
#[derive(Debug)]
pub(super) struct SteppedClock {
    library: String,
    file: PathBuf,
}

impl SteppedClock {
    /// A clock that is right, kept in `file`.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub(super) fn new(file: PathBuf) -> Result<Self, String> {
        let library = find_library().ok_or("libfaketime is not installed (Debian: apt-get install faketime)")?;
        let clock = Self { library: library.display().to_string(), file };
        clock.step(0).map_err(|error| format!("the clock's file cannot be written: {error}"))?;
        Ok(clock)
    }

    /// Variables for the process that it moves.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("LD_PRELOAD", self.library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().unwrap_or_default()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            // Seconds between two looks at the file.
            ("FAKETIME_CACHE_DURATION", "1"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// Whether the process `pid` asks the library for the time. What a process tells of its clock is no proof of the contrary: a date that is
    /// cached does not go back, and a worker whose clock is ahead takes every lease for ended and sends nothing.
    pub(super) fn moves(pid: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains("libfaketime"))
    }

    /// Sets the clock this many seconds ahead of the machine's; negative is behind. Processes notice within a second.
    pub(super) fn step(&self, seconds: i64) -> Result<(), Failure> {
        // Renamed, so that nobody reads half of it.
        let staged = self.file.with_extension("next");
        std::fs::write(&staged, format!("{seconds:+}\n"))?;
        Ok(std::fs::rename(staged, &self.file)?)
    }
}

/// How far clocks were off, as others saw it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offsets {
    /// Seconds behind at most: zero or negative.
    pub(super) behind: i64,
    /// Seconds ahead at most.
    pub(super) ahead: i64,
}

impl Offsets {
    pub(super) fn take(&mut self, seconds: i64) {
        self.behind = self.behind.min(seconds);
        self.ahead = self.ahead.max(seconds);
    }

    pub(super) fn widest(self, other: Self) -> Self {
        Self { behind: self.behind.min(other.behind), ahead: self.ahead.max(other.ahead) }
    }
}

/// How many seconds the clock of the server that answered is ahead of ours, from the time of day in the header `date`.
pub(super) fn offset_of_answer(headers: &HeaderMap) -> Option<i64> {
    const DAY: i64 = 86_400;
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let mut time = date.split(' ').nth(4)?.split(':').map(|part| part.parse::<i64>().ok());
    let seconds = time.next()?? * 3_600 + time.next()?? * 60 + time.next()??;
    let offset = (seconds - SystemClock.now() / 1_000).rem_euclid(DAY);
    Some(if offset > DAY / 2 { offset - DAY } else { offset })
}

/// Removes what libfaketime leaves in shared memory when its process is killed.
pub(super) fn forget(pid: u32) {
    for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
        // It is there only if the process ran with the library.
        let _ = std::fs::remove_file(Path::new("/dev/shm").join(name));
    }
}

fn find_library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let mut candidates = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    candidates.find(|library| library.is_file())
}
