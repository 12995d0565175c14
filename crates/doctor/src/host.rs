//! What the kernel says of the machine. Elsewhere than on Linux, or where a file cannot be read, nothing is known.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// Time over which processors are watched.
const WATCHED: Duration = Duration::from_millis(500);

/// What is known of the machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Machine {
    /// The volume with the database, or with the working folder.
    pub volume: Option<Volume>,
    /// Bytes of memory in use, and all of them.
    pub memory: Option<(f64, f64)>,
    /// Share of processor time that was used while it was watched.
    pub busy: Option<f64>,
    /// Processes that wanted to run, mean over a minute.
    pub load: Option<f64>,
    /// Processors.
    pub processors: usize,
    /// Files that a process which is started here may open; infinite without a limit.
    pub open_files: Option<f64>,
    /// `net.core.somaxconn`.
    pub somaxconn: Option<f64>,
    /// Ports for outgoing connections.
    pub ports: Option<f64>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// A folder on it.
    pub path: PathBuf,
    /// Bytes in use, those for the administrator among them.
    pub used: f64,
    /// All bytes.
    pub total: f64,
    /// Share of files in use; `None` where their number has no limit.
    pub inodes_used: Option<f64>,
}

/// Reads all of it, for half a second. Only the volume can hang, when it is on a network.
pub async fn read(folder: PathBuf) -> Machine {
    let before = processor_times(&text("/proc/stat"));
    tokio::time::sleep(WATCHED).await;
    let after = processor_times(&text("/proc/stat"));
    Machine {
        volume: None,
        memory: memory(&text("/proc/meminfo")),
        busy: before.zip(after).and_then(|(before, after)| busy(before, after)),
        load: text("/proc/loadavg").split_whitespace().next().and_then(|load| load.parse().ok()),
        processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        open_files: Some(getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |limit| limit as f64)),
        somaxconn: text("/proc/sys/net/core/somaxconn").trim().parse().ok(),
        ports: ports(&text("/proc/sys/net/ipv4/ip_local_port_range")),
    }
    .with_volume(folder)
    .await
}

impl Machine {
    async fn with_volume(mut self, folder: PathBuf) -> Self {
        let asked = tokio::task::spawn_blocking(move || volume(&folder));
        // A thread that hangs is left behind; the process ends soon.
        self.volume = tokio::time::timeout(WATCHED * 4, asked).await.ok().and_then(Result::ok).flatten();
        self
    }
}

/// The volume of a folder, or of the next one above it that is there.
fn volume(folder: &Path) -> Option<Volume> {
    let absolute = std::path::absolute(folder).ok()?;
    let path = absolute.ancestors().find(|path| path.exists())?.to_owned();
    let volume = rustix::fs::statvfs(&path).ok()?;
    let block = volume.f_frsize as f64;
    let used = volume.f_blocks.saturating_sub(volume.f_bfree) as f64 * block;
    // As `df` counts: what is reserved for the administrator is neither used nor there.
    let total = used + volume.f_bavail as f64 * block;
    let inodes_used = (volume.f_files > 0).then(|| 1.0 - volume.f_favail as f64 / volume.f_files as f64);
    (total > 0.0).then_some(Volume { path, used, total, inodes_used })
}

fn text(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn memory(text: &str) -> Option<(f64, f64)> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1_024.0)
    };
    let total = bytes("MemTotal:")?;
    (total > 0.0).then_some((total - bytes("MemAvailable:")?, total))
}

/// Idle and all ticks since the start, from the first line of `/proc/stat`.
fn processor_times(text: &str) -> Option<(f64, f64)> {
    let ticks: Vec<f64> =
        text.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map_while(|tick| tick.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are counted as users already.
    let all = ticks.iter().take(8).sum();
    Some((ticks.get(3)? + ticks.get(4)?, all))
}

fn busy(before: (f64, f64), after: (f64, f64)) -> Option<f64> {
    let all = after.1 - before.1;
    (all > 0.0).then(|| (1.0 - (after.0 - before.0) / all).clamp(0.0, 1.0))
}

fn ports(text: &str) -> Option<f64> {
    let mut numbers = text.split_whitespace().map(|number| number.parse::<f64>().ok());
    let (first, last) = (numbers.next()??, numbers.next()??);
    (last >= first).then_some(last - first + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel_are_read() {
        assert_eq!(memory("MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: 25 kB\n"), Some((76_800.0, 102_400.0)));
        assert_eq!(memory(""), None);
        let before = processor_times("cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1 1\n");
        assert_eq!(before, Some((80.0, 100.0)));
        assert_eq!(busy((80.0, 100.0), (110.0, 200.0)), Some(0.7));
        assert_eq!(busy((80.0, 100.0), (80.0, 100.0)), None);
        assert_eq!(ports("32768\t60999\n"), Some(28_232.0));
    }

    #[tokio::test]
    async fn this_machine_is_known() {
        let machine = read(PathBuf::from("no/such/folder")).await;
        let volume = machine.volume.expect("a volume");
        assert!(volume.used > 0.0 && volume.used <= volume.total, "{volume:?}");
        assert!(machine.open_files.is_some_and(|limit| limit > 0.0));
        assert!(machine.memory.is_some_and(|(used, total)| used > 0.0 && used < total));
    }
}
