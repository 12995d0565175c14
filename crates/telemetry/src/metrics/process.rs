//! What the kernel knows about this process, read from `/proc`. Elsewhere than on Linux, or where a file cannot be read,
//! the metric has no sample.

use std::{fs, path::Path};

use super::Catalogue;

/// Clock ticks per second in `/proc`. The kernel converts to this rate for user space on every platform we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Copies the present values into the process metrics.
pub(super) fn sample(catalogue: &Catalogue) {
    let read = |file: &str| fs::read_to_string(Path::new("/proc").join(file)).unwrap_or_default();

    let stat = Stat::parse(&read("self/stat"));
    catalogue.process_cpu.set_optional(stat.map(|stat| stat.cpu_ticks / TICKS_PER_SECOND));
    let boot = field(&read("stat"), "btime");
    let start = boot.zip(stat).map(|(boot, stat)| boot + stat.start_ticks / TICKS_PER_SECOND);
    catalogue.process_start_time.set_optional(start);

    let status = read("self/status");
    let bytes = |name: &str| field(&status, name).map(|kibibytes| kibibytes * 1_024.0);
    catalogue.process_resident_memory.set_optional(bytes("VmRSS:"));
    catalogue.process_virtual_memory.set_optional(bytes("VmSize:"));
    catalogue.process_threads.set_optional(field(&status, "Threads:"));

    catalogue.process_open_fds.set_optional(open_fds());
    catalogue.process_max_fds.set_optional(field(&read("self/limits"), "Max open files"));

    let io = read("self/io");
    catalogue.process_disk_read.set_optional(field(&io, "read_bytes:"));
    catalogue.process_disk_written.set_optional(field(&io, "write_bytes:"));

    let (received, sent) = network(&read("self/net/dev")).unzip();
    catalogue.process_network_receive.set_optional(received);
    catalogue.process_network_transmit.set_optional(sent);
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Stat {
    cpu_ticks: f64,
    start_ticks: f64,
}

impl Stat {
    /// Fields 14, 15 and 22 of `/proc/[pid]/stat`, counted after the command, which may itself contain spaces.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some(Self { cpu_ticks: number(11)? + number(12)?, start_ticks: number(19)? })
    }
}

/// The first number after `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_fds() -> Option<f64> {
    let descriptors = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the directory being read.
    u32::try_from(descriptors.saturating_sub(1)).ok().map(f64::from)
}

/// Bytes received and sent, summed over all interfaces but loopback.
fn network(text: &str) -> Option<(f64, f64)> {
    let interfaces = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    interfaces
        .filter_map(|(_, counters)| {
            let counters: Vec<f64> = counters.split_whitespace().map_while(|number| number.parse().ok()).collect();
            Some((*counters.first()?, *counters.get(8)?))
        })
        .reduce(|sum, next| (sum.0 + next.0, sum.1 + next.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_spaces_and_brackets_in_the_command() {
        let line = "42 (a ) b) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 9 0 777 1000 20 18446744073709551615";
        assert_eq!(Stat::parse(line), Some(Stat { cpu_ticks: 200.0, start_ticks: 777.0 }));
        assert_eq!(Stat::parse(""), None);
        assert_eq!(Stat::parse("42 (short) S 1"), None);
    }

    #[test]
    fn network_leaves_loopback_out() {
        let text = "Inter-|   Receive |  Transmit\n face |bytes packets\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n  eth0: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n  eth1:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n";
        assert_eq!(network(text), Some((105.0, 207.0)));
        assert_eq!(network(""), None);
    }

    #[test]
    fn an_unlimited_field_has_no_number() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            unlimited            unlimited            files\n";
        assert_eq!(field(limits, "Max open files"), None);
        assert_eq!(field("Threads:\t9\n", "Threads:"), Some(9.0));
    }
}
