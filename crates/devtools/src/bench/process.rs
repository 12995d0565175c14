//! What a process used, from /proc.

use std::time::Duration;

/// Processor time of a process and, with `children`, of those it started (a database server's sessions, say).
pub(crate) fn cpu(pid: u32, children: bool) -> Duration {
    let mut total = ticks(pid);
    if children {
        total +=
            processes().into_iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| ticks(child)).sum::<u64>();
    }
    // USER_HZ is 100 on every Linux that Rust runs on.
    Duration::from_millis(total * 10)
}

/// Resident memory in megabytes (1,000,000 bytes).
pub(crate) fn resident_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) as f64 * 1_024.0 / 1e6
}

fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; user, system and reaped children's time are fields 14 to 17.
    let Some((_, fields)) = stat.rsplit_once(')') else { return 0 };
    fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Every process with its parent.
fn processes() -> Vec<(u32, u32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        Some((pid, parent))
    })
    .collect()
}
