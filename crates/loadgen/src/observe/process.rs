//! A process of this machine, by `/proc`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::recording::{Rate, Recording};
use super::{ObserveError, ObservedUnit};

/// One process. It is told by its number and its start, because numbers are given again.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    folder: PathBuf,
    started_ticks: u64,
    cpu: Rate,
    read: Rate,
    written: Rate,
}

/// What `/proc/PID/stat` says (proc(5), fields 3, 14, 15, 20, 22 and 24).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stat {
    state: char,
    cpu_ticks: u64,
    threads: u64,
    started_ticks: u64,
    resident_pages: u64,
}

impl Process {
    /// The process that has the number `pid` now.
    pub(super) fn find(pid: u32) -> Result<Self, ObserveError> {
        let folder = Path::new("/proc").join(pid.to_string());
        let stat = Stat::read(&folder).filter(Stat::lives).ok_or(ObserveError::NoProcess { pid })?;
        let [cpu, read, written] = std::array::from_fn(|_| Rate::default());
        Ok(Self { pid, folder, started_ticks: stat.started_ticks, cpu, read, written })
    }

    pub(super) fn source(&self) -> String {
        format!("pid {}", self.pid)
    }

    /// Takes a reading. False when the process has ended.
    pub(super) fn sample(&mut self, origin: Instant, recording: &mut Recording) -> bool {
        let stat = Stat::read(&self.folder).filter(|stat| stat.lives() && stat.started_ticks == self.started_ticks);
        let now = Instant::now();
        let at = now.saturating_duration_since(origin);
        let Some(stat) = stat else {
            recording.warn(format!("process {} ended {:.0} s into the run", self.pid, at.as_secs_f64()));
            return false;
        };
        let cpu_seconds = stat.cpu_ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        if let Some(used) = self.cpu.gained(now, cpu_seconds) {
            recording.record("cpu", ObservedUnit::Percent, at, used * 100.0);
        }
        let memory = stat.resident_pages as f64 * rustix::param::page_size() as f64;
        recording.record("memory", ObservedUnit::Bytes, at, memory);
        recording.record("threads", ObservedUnit::Count, at, stat.threads as f64);
        self.sample_private(now, at, recording);
        true
    }

    /// What only the process's user and root may see.
    fn sample_private(&mut self, now: Instant, at: Duration, recording: &mut Recording) {
        match open_files(&self.folder) {
            Some(n) => recording.record("open files", ObservedUnit::Count, at, n as f64),
            None => self.warn_hidden("open files", recording),
        }
        let Some(io) = fs::read_to_string(self.folder.join("io")).ok() else {
            return self.warn_hidden("disk traffic", recording);
        };
        let traffic =
            [("disk read", "read_bytes:", &mut self.read), ("disk written", "write_bytes:", &mut self.written)];
        for (name, field, rate) in traffic {
            if let Some(gained) = number(&io, field).and_then(|bytes| rate.gained(now, bytes)) {
                recording.record(name, ObservedUnit::BytesPerSecond, at, gained);
            }
        }
    }

    fn warn_hidden(&self, what: &str, recording: &mut Recording) {
        // A process that ends between two readings hides its files too.
        if self.folder.exists() {
            let pid = self.pid;
            recording.warn(format!("{what} of process {pid} are hidden: run as the process's user, or as root"));
        }
    }
}

impl Stat {
    fn read(folder: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(folder.join("stat")).ok()?)
    }

    /// The name in parentheses may itself hold spaces and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            state: fields.first()?.chars().next()?,
            cpu_ticks: number(14)? + number(15)?,
            threads: number(20)?,
            started_ticks: number(22)?,
            resident_pages: number(24)?,
        })
    }

    /// False for a process that only waits until its parent asks how it ended.
    fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// The kernel tells the number as the folder's size since Linux 6.2; before that they have to be counted.
fn open_files(process: &Path) -> Option<u64> {
    let folder = process.join("fd");
    match fs::metadata(&folder).ok()?.len() {
        0 => Some(fs::read_dir(&folder).ok()?.count() as u64),
        n => fs::read_dir(&folder).ok().map(|_| n),
    }
}

/// The number after `field` at the start of a line.
pub(super) fn number(text: &str, field: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests;
