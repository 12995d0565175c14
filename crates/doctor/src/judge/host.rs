//! The machine.

use spillway_report::text::{bytes, count, percent};

use super::Limits;
use super::level::Level;
use crate::host::Machine;
use crate::{Check, Finding, Verdict};

/// Share of the volume, as in the alerts.
const DISK: Level = Level::new(0.8, 0.95);
/// Share of the memory, as in the alerts.
const MEMORY: Level = Level::new(0.8, 0.95);
/// Share of processor time, as in the alerts.
const PROCESSOR: Level = Level::new(0.75, 0.9);
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: f64 = 1_024.0;
/// Files beside connections: the database, logs, connections to it.
const OTHER_FILES: f64 = 200.0;
/// Ports that the kernel gives to outgoing connections.
const PORTS: f64 = 20_000.0;

/// What the machine comes to. What the kernel does not say is unknown.
#[must_use]
pub fn host(machine: &Machine, limits: &Limits) -> Vec<Finding> {
    vec![
        disk(machine),
        memory(machine),
        processor(machine),
        open_files(machine, limits),
        backlog(machine),
        ports(machine),
    ]
}

const UNKNOWN: &str = "this system does not say";

fn disk(machine: &Machine) -> Finding {
    let Some(volume) = &machine.volume else { return Finding::unknown(Check::Disk, UNKNOWN) };
    let share = volume.used / volume.total;
    let inodes = volume.inodes_used;
    let verdict = DISK.above(share).max(inodes.map_or(Verdict::Ok, |share| DISK.above(share)));
    let files = inodes.map_or(String::new(), |share| format!(", {} of its files", percent(share)));
    let summary = format!(
        "{} of {} used ({}){files} where {} is",
        bytes(volume.used),
        bytes(volume.total),
        percent(share),
        volume.path.display()
    );
    let finding = Finding::new(Check::Disk, verdict, summary)
        .number("used_ratio", share)
        .number("free_bytes", volume.total - volume.used);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .run("See what takes it:", format!("du -xh --max-depth=2 {} | sort -h | tail", volume.path.display()))
        .advise("Enlarge the volume, or keep events for a shorter time ([retention]).")
}

fn memory(machine: &Machine) -> Finding {
    let Some((used, total)) = machine.memory else { return Finding::unknown(Check::Memory, UNKNOWN) };
    let verdict = MEMORY.above(used / total);
    let summary = format!("{} of {} used ({})", bytes(used), bytes(total), percent(used / total));
    let finding = Finding::new(Check::Memory, verdict, summary).number("used_ratio", used / total);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .run("See who takes it:", "ps -eo rss,pid,comm --sort=-rss | head")
        .advise("Give the machine more, move other programs away, or lower delivery.ready_queue and intake.queue.")
}

fn processor(machine: &Machine) -> Finding {
    let Some(busy) = machine.busy else { return Finding::unknown(Check::Processor, UNKNOWN) };
    let verdict = PROCESSOR.above(busy).min(wanted(machine));
    let load = machine.load.map_or(String::new(), |load| format!(", load {load:.1}"));
    let summary = format!("{} busy in the last half second, {} processors{load}", percent(busy), machine.processors);
    let finding = Finding::new(Check::Processor, verdict, summary).number("busy_ratio", busy);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .run("See who uses it:", "ps -eo pcpu,pid,comm --sort=-pcpu | head")
        .advise("If it is the gateway, add nodes or processors; if not, move the other program away.")
}

/// Half a second alone is no reason for an alarm: how bad it can be as the load over a minute has it.
fn wanted(machine: &Machine) -> Verdict {
    match machine.load.map(|load| load / machine.processors.max(1) as f64) {
        Some(each) if each < 1.0 => Verdict::Ok,
        Some(each) if each >= 2.0 => Verdict::Critical,
        _ => Verdict::Warning,
    }
}

fn open_files(machine: &Machine, limits: &Limits) -> Finding {
    let Some(limit) = machine.open_files else { return Finding::unknown(Check::OpenFiles, UNKNOWN) };
    let needed = limits.node_clients as f64 + f64::from(limits.node_connections) + OTHER_FILES;
    let shown = |limit: f64| if limit.is_finite() { count(limit as u64) } else { "as many as it likes".to_owned() };
    let verdict = if limit < needed { Verdict::Warning } else { Verdict::Ok };
    let summary = format!("a process started here may open {}, a busy gateway wants {}", shown(limit), shown(needed));
    let finding = Finding::new(Check::OpenFiles, verdict, summary).number("limit", limit).number("needed", needed);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .run("In a shell, before the gateway is started:", format!("ulimit -n {needed:.0}"))
        .advise(format!("For a service of systemd: LimitNOFILE={needed:.0}. Or lower server.max_connections."))
}

fn backlog(machine: &Machine) -> Finding {
    let Some(limit) = machine.somaxconn else { return Finding::unknown(Check::Backlog, UNKNOWN) };
    let verdict = if limit < BACKLOG { Verdict::Warning } else { Verdict::Ok };
    let summary = format!("net.core.somaxconn is {}", count(limit as u64));
    let finding = Finding::new(Check::Backlog, verdict, summary).number("somaxconn", limit);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .evidence("connections that come at once beyond it are dropped and tried again a second later")
        .run("As root; keep it in /etc/sysctl.d:", "sysctl -w net.core.somaxconn=4096")
}

fn ports(machine: &Machine) -> Finding {
    let Some(ports) = machine.ports else { return Finding::unknown(Check::Ports, UNKNOWN) };
    let verdict = if ports < PORTS { Verdict::Warning } else { Verdict::Ok };
    let summary = format!("{} for outgoing connections", count(ports as u64));
    let finding = Finding::new(Check::Ports, verdict, summary).number("ports", ports);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .evidence("each delivery over a new connection holds one for a minute after it was closed")
        .run("As root; keep it in /etc/sysctl.d:", "sysctl -w net.ipv4.ip_local_port_range='15000 60999'")
}
