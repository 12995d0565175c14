//! Processes that outlive the command that started them, and are ended only when they are still the same ones.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::Failure;

/// How long a process may take to end after it was asked to; then it is killed.
const GRACE: Duration = Duration::from_secs(30);
/// How long a killed process may take to leave the table.
const REAPED: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// A process as no other one is: its number is given out again, its start is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: u32,
    /// Of its start, in clock ticks since the boot (field 22 of proc(5)).
    started_ticks: u64,
    /// Which boot.
    boot: String,
}

/// What /proc/PID/stat says.
struct Stat {
    state: char,
    group: u32,
    started_ticks: u64,
}

impl Identity {
    fn of(pid: u32) -> Result<Self, Failure> {
        let stat = stat(pid).ok_or("a local stack needs /proc, as Linux has it: use the containers instead")?;
        Ok(Self { pid, started_ticks: stat.started_ticks, boot: boot() })
    }

    /// Whether it runs, and is the one that was started.
    pub(super) fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| {
            stat.started_ticks == self.started_ticks && !matches!(stat.state, 'Z' | 'X') && self.boot == boot()
        })
    }

    /// Since its start.
    pub(super) fn uptime(&self) -> Option<Duration> {
        let since_boot: f64 = fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()?;
        let started = self.started_ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        Duration::try_from_secs_f64((since_boot - started).max(0.0)).ok()
    }

    /// Asks it to end, and kills it when it does not within its grace. Returns whether it ended by itself. What it left behind is killed.
    pub(super) async fn end(&self, signal: Signal) -> bool {
        let mut by_itself = true;
        if self.is_alive() {
            send(self.pid, signal);
            by_itself = self.is_gone_within(GRACE).await;
            if !by_itself && self.is_alive() {
                send(self.pid, Signal::KILL);
                self.is_gone_within(REAPED).await;
            }
        }
        self.end_remnants().await;
        by_itself
    }

    /// A process that was killed may leave children, such as nginx its workers: they are the ones of its group. Nothing is given the number of a
    /// group that has members, so they are the process' own as long as no other process has its number.
    pub(super) async fn end_remnants(&self) {
        if self.boot != boot() || stat(self.pid).is_some_and(|stat| stat.started_ticks != self.started_ticks) {
            return;
        }
        let remnants = members_of(self.pid);
        for pid in &remnants {
            send(*pid, Signal::KILL);
        }
        let begun = Instant::now();
        while remnants.iter().any(|pid| is_running(*pid)) && begun.elapsed() < REAPED {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn is_gone_within(&self, patience: Duration) -> bool {
        let begun = Instant::now();
        while self.is_alive() {
            if begun.elapsed() > patience {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }
}

/// Starts the command in a process group of its own, without input, with what it prints appended to the log.
pub(super) fn spawn_detached(command: &mut Command, log: &Path) -> Result<(Child, Identity), Failure> {
    let open = || File::options().create(true).append(true).open(log);
    let output = open().map_err(|error| format!("{}: {error}", log.display()))?;
    command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output).process_group(0);
    let child =
        command.spawn().map_err(|error| format!("{} cannot be started: {error}", command.get_program().display()))?;
    let identity = Identity::of(child.id())?;
    Ok((child, identity))
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

/// Running members of a process group, its leader excepted.
fn members_of(group: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_member = |pid: &u32| {
        *pid != group && stat(*pid).is_some_and(|stat| stat.group == group && !matches!(stat.state, 'Z' | 'X'))
    };
    pids.filter(is_member).collect()
}

fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// The name in parentheses may itself hold spaces and parentheses.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
    // Fields 3, 5 and 22; the first after the name is the third.
    Some(Stat {
        state: fields.first()?.chars().next()?,
        group: fields.get(2)?.parse().ok()?,
        started_ticks: fields.get(19)?.parse().ok()?,
    })
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_ended_with_its_children_and_another_one_with_its_number_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 300 & wait"]);
        let (mut child, identity) = spawn_detached(&mut command, &folder.path().join("log")).expect("sh");
        assert!(identity.is_alive());
        let other = Identity { started_ticks: identity.started_ticks + 1, ..identity.clone() };
        assert!(!other.is_alive());
        other.end(Signal::KILL).await;
        assert!(identity.is_alive(), "only its number is the same");
        let earlier = Identity { boot: "another".to_owned(), ..identity.clone() };
        assert!(!earlier.is_alive());
        spillway_testkit::wait_until("the child of sh", Duration::from_secs(10), async || {
            members_of(identity.pid).len() == 1
        })
        .await;
        send(identity.pid, Signal::KILL);
        child.wait().expect("sh ended");
        assert_eq!(members_of(identity.pid).len(), 1, "the child is left behind");
        assert!(identity.end(Signal::TERM).await);
        assert!(members_of(identity.pid).is_empty());
    }
}
