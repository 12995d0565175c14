//! What the kernel knows about this process and the machine or container it runs in. Elsewhere than on Linux, or where a file cannot be read,
//! nothing is known.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Clock ticks per second in `/proc`, on every platform we run on.
const TICKS_PER_SECOND: f64 = 100.0;
/// Groups above the process's own that are asked for their limits.
const MAX_DEPTH: usize = 16;

/// What was read last.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct HostReading {
    /// Processors that this process may use: what its control groups allow, or what there are.
    pub(crate) cores: Option<f64>,
    /// Bytes that this process may use: what its control groups allow, or what there are.
    pub(crate) memory_limit: Option<f64>,
    /// Share of `cores` that was used since the reading before, 0 to 1.
    pub(crate) cpu_ratio: Option<f64>,
    /// Resident memory.
    pub(crate) memory: Option<f64>,
    /// Used and all bytes of the volume that holds the store.
    pub(crate) disk: Option<(f64, f64)>,
}

impl HostReading {
    /// Share of the memory in use.
    pub(crate) fn memory_ratio(&self) -> Option<f64> {
        Some(self.memory? / self.memory_limit?)
    }

    /// Share of the volume in use.
    pub(crate) fn disk_ratio(&self) -> Option<f64> {
        let (used, total) = self.disk?;
        (total > 0.0).then(|| used / total)
    }
}

/// Reads, and remembers what the next reading is compared with.
#[derive(Debug, Default)]
pub(super) struct Host {
    before: Option<(Instant, f64)>,
}

impl Host {
    /// Reads what changes quickly: processor time and memory. Two small files that the kernel makes up, some tens of microseconds.
    pub(super) fn read(&mut self, reading: &mut HostReading, now: Instant) {
        let cpu_s = cpu_seconds(&read("/proc/self/stat"));
        if let (Some(cpu_s), Some((then, before_s))) = (cpu_s, self.before) {
            let elapsed_s = now.saturating_duration_since(then).as_secs_f64();
            if elapsed_s > 0.0 {
                let share = |cores: f64| ((cpu_s - before_s) / elapsed_s / cores).clamp(0.0, 1.0);
                reading.cpu_ratio = reading.cores.filter(|cores| *cores > 0.0).map(share);
            }
        }
        self.before = cpu_s.map(|cpu_s| (now, cpu_s));
        reading.memory = resident(&read("/proc/self/status"));
    }
}

/// Used and all bytes of the volume of a folder. It may wait for a disk or a network.
pub(super) fn disk(folder: &Path) -> Option<(f64, f64)> {
    let volume = rustix::fs::statvfs(folder).ok()?;
    let block = volume.f_frsize as f64;
    let used = volume.f_blocks.saturating_sub(volume.f_bfree) as f64 * block;
    // As `df` counts: what is reserved for the administrator is neither used nor there.
    let total = used + volume.f_bavail as f64 * block;
    (total > 0.0).then_some((used, total))
}

/// Processors and bytes of memory that this process may use.
pub(super) fn limits() -> (Option<f64>, Option<f64>) {
    let groups = groups(&read("/proc/self/cgroup"));
    let machine = std::thread::available_parallelism().ok().map(|cores| cores.get() as f64);
    let quotas = groups.iter().filter_map(|group| quota(&read(group.join("cpu.max"))));
    let cores = quotas.chain(machine).reduce(f64::min);
    let total = field(&read("/proc/meminfo"), "MemTotal:").map(|kibibytes| kibibytes * 1_024.0);
    let allowed = groups.iter().filter_map(|group| read(group.join("memory.max")).trim().parse::<f64>().ok());
    (cores, allowed.chain(total).reduce(f64::min))
}

fn read(file: impl AsRef<Path>) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// The folders of the process's control group and of those above it (version 2).
fn groups(text: &str) -> Vec<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let mount = Path::new("/sys/fs/cgroup");
    let own = mount.join(path);
    own.ancestors().take(MAX_DEPTH).take_while(|group| group.starts_with(mount)).map(Path::to_owned).collect()
}

/// Processors from `cpu.max`: microseconds that may be used in each period, or `max`.
fn quota(text: &str) -> Option<f64> {
    let mut numbers = text.split_whitespace();
    let quota: f64 = numbers.next()?.parse().ok()?;
    let period: f64 = numbers.next()?.parse().ok()?;
    (period > 0.0 && quota > 0.0).then(|| quota / period)
}

/// User and system time, fields 14 and 15, counted after the command, which may itself contain spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().ok());
    Some((ticks.next()?? + ticks.next()??) / TICKS_PER_SECOND)
}

fn resident(status: &str) -> Option<f64> {
    field(status, "VmRSS:").map(|kibibytes| kibibytes * 1_024.0)
}

/// The first number after `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn texts_of_the_kernel_are_read() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 9 0 777 1000 20 18446744073709551615";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("42 (short) S 1"), None);
        assert_eq!(resident("Name:\tspillway\nVmRSS:\t  2048 kB\n"), Some(2_097_152.0));
        assert_eq!((quota("150000 100000\n"), quota("max 100000\n"), quota("")), (Some(1.5), None, None));
        assert_eq!(
            groups("0::/system.slice/spillway.service\n"),
            ["/sys/fs/cgroup/system.slice/spillway.service", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"]
                .map(PathBuf::from)
        );
        assert_eq!(groups("12:cpu:/x\n"), [PathBuf::from("/sys/fs/cgroup")]);
    }

    #[test]
    fn this_process_is_known() {
        let (cores, memory_limit) = limits();
        let mut reading = HostReading { cores, memory_limit, ..HostReading::default() };
        let mut host = Host::default();
        let begin = Instant::now();
        host.read(&mut reading, begin);
        assert_eq!(reading.cpu_ratio, None, "nothing to compare with");
        host.read(&mut reading, begin + Duration::from_secs(1));
        assert!(reading.cpu_ratio.is_some_and(|share| (0.0..=1.0).contains(&share)), "{reading:?}");
        assert!(reading.memory_ratio().is_some_and(|share| share > 0.0 && share < 1.0), "{reading:?}");
        let (used, total) = disk(Path::new(".")).expect("a volume");
        assert!(used > 0.0 && used < total);
        assert_eq!(disk(Path::new("/no/such/folder")), None);
    }
}
