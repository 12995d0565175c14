//! A control group (version 2): everything that runs in a container or a service.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::process::number;
use super::recording::{Rate, Recording};
use super::{ObserveError, ObservedUnit};

/// One control group.
#[derive(Debug)]
pub(super) struct Cgroup {
    folder: PathBuf,
    cpu: Rate,
    throttled: Rate,
}

impl Cgroup {
    /// The control group of a folder.
    pub(super) fn open(folder: &Path) -> Result<Self, ObserveError> {
        if usage_seconds(&folder.join("cpu.stat"), "usage_usec").is_none() {
            return Err(ObserveError::NoCgroup { path: folder.to_owned() });
        }
        Ok(Self { folder: folder.to_owned(), cpu: Rate::default(), throttled: Rate::default() })
    }

    pub(super) fn source(&self) -> String {
        format!("cgroup {}", self.folder.display())
    }

    /// Takes a reading. False when the group is gone.
    pub(super) fn sample(&mut self, origin: Instant, recording: &mut Recording) -> bool {
        let stat = self.folder.join("cpu.stat");
        let now = Instant::now();
        let at = now.saturating_duration_since(origin);
        let Some(used) = usage_seconds(&stat, "usage_usec") else {
            recording.warn(format!("the control group ended {:.0} s into the run", at.as_secs_f64()));
            return false;
        };
        if let Some(used) = self.cpu.gained(now, used) {
            recording.record("cpu", ObservedUnit::Percent, at, used * 100.0);
        }
        // Absent while no limit of processor time can be set on the group.
        let throttled = usage_seconds(&stat, "throttled_usec");
        if let Some(throttled) = throttled.and_then(|seconds| self.throttled.gained(now, seconds)) {
            recording.record("cpu throttled", ObservedUnit::Percent, at, throttled * 100.0);
        }
        match self.number("memory.current") {
            Some(bytes) => {
                recording.record("memory", ObservedUnit::Bytes, at, bytes);
                // The word `max` is no number: no limit, no share of it.
                if let Some(most) = self.number("memory.max").filter(|most| *most > 0.0) {
                    recording.record("memory of limit", ObservedUnit::Percent, at, bytes / most * 100.0);
                }
            }
            None => recording.warn("the control group has no memory.current: the memory controller is off there"),
        }
        match self.number("pids.current") {
            Some(n) => recording.record("processes and threads", ObservedUnit::Count, at, n),
            None => recording.warn("the control group has no pids.current: the pids controller is off there"),
        }
        true
    }

    fn number(&self, file: &str) -> Option<f64> {
        fs::read_to_string(self.folder.join(file)).ok()?.trim().parse().ok()
    }
}

fn usage_seconds(stat: &Path, field: &str) -> Option<f64> {
    let microseconds = number(&fs::read_to_string(stat).ok()?, &format!("{field} "))?;
    Some(microseconds / 1e6)
}

#[cfg(test)]
mod tests;
