//! Processes as the kernel shows them in /proc (proc(5)).

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// The environment of a process is at most about a megabyte by default.
const MAX_ENVIRONMENT_BYTES: u64 = 4 << 20;

/// A line of /proc/PID/stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `R`, `S`, … ; `Z` waits to be reaped.
    pub(crate) state: char,
    /// Process id of the parent.
    pub(crate) parent: u32,
    /// When it started, in clock ticks after the boot.
    pub(crate) started: u64,
}

/// One process, which no later one with the same number is taken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    started: u64,
    boot: String,
}

impl Stat {
    /// False once it only waits to be reaped.
    pub(crate) fn is_alive(self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

impl Identity {
    /// The process that has this number now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| Self { pid, started: stat.started, boot: boot() })
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.is_alive() && stat.started == self.started) && self.boot == boot()
    }

    /// A descriptor that means this process, whatever becomes of its number; `None` when it has ended.
    fn descriptor(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = raw(self.pid) else { return Ok(None) };
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            other => other?,
        };
        // Asked after it was opened: it is the process that the descriptor means.
        Ok(self.is_alive().then_some(descriptor))
    }

    /// Sends a signal to this process and to no other. One that ended is no error.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(descriptor) = self.descriptor()? else { return Ok(()) };
        match pidfd_send_signal(&descriptor, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => Ok(other?),
        }
    }

    /// SIGKILL for it and for what it started in its group, which it leads.
    pub(crate) fn kill_group(&self) -> io::Result<()> {
        if let Some(pid) = raw(self.pid).filter(|_| self.is_alive()) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        self.signal(Signal::KILL)
    }
}

/// What the kernel says of a process; `None` when there is none.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself hold spaces and parentheses.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// The command line, or what the process shows instead. Empty when there is none.
pub(crate) fn title(pid: u32) -> String {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&text).replace('\0', " ").trim().to_owned()
}

/// Numbers of all processes that can be seen.
pub(crate) fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Living children of a process.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| stat(*pid).is_some_and(|stat| stat.parent == parent && stat.is_alive());
    pids().into_iter().filter(is_child).collect()
}

/// The process that was started with this variable, not one that inherited it.
pub(crate) fn with_environment(variable: &str) -> Option<Identity> {
    let has = |pid: &u32| {
        let mut text = Vec::new();
        let read = fs::File::open(format!("/proc/{pid}/environ"))
            .and_then(|file| file.take(MAX_ENVIRONMENT_BYTES).read_to_end(&mut text));
        read.is_ok() && text.split(|&byte| byte == 0).any(|entry| entry == variable.as_bytes())
    };
    let found: HashSet<u32> = pids().into_iter().filter(has).collect();
    let first = found.iter().find(|pid| stat(**pid).is_some_and(|stat| !found.contains(&stat.parent)));
    first.and_then(|pid| Identity::of(*pid)).filter(Identity::is_alive)
}

/// Changes with every start of the machine; empty where it is not known.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}
