//! A server process that does not outlive its test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt;

use rustix::process::{Pid, Signal, kill_process};

/// Reads until its input closes, which happens when the test process is gone in any way, then kills the server with its process group and removes its data.
const WATCHDOG: &str = r#"read -r _; kill -KILL "$1" "-$1" 2>/dev/null; rm -rf "$2""#;

/// How long killed processes may take to leave the process table.
const REAP_DEADLINE: Duration = Duration::from_secs(10);

/// A running server: SIGKILLed with its direct children on drop, or by a watchdog process when the owner dies first.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    watchdog: Child,
}

impl ServerProcess {
    /// Starts `command` in its own process group, appending its output to `log`. The watchdog removes `data_dir` when the owner dies.
    pub(crate) fn spawn(command: &mut Command, log: &Path, data_dir: &Path) -> Self {
        let child = spawn_detached(command, log);
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "spillway-testkit-watchdog", &child.id().to_string()])
            .arg(data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("start sh, which kills the server when the test dies");
        Self { child, watchdog }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, or `None` while it runs.
    pub(crate) fn exit_status(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("ask for the state of a child process")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal_process(self.id(), signal);
    }

    /// SIGKILL for the process and its children, as when the power goes; returns when all of them are gone.
    pub(crate) fn kill(mut self) {
        self.kill_now();
    }

    fn kill_now(&mut self) {
        // The watchdog first: it must not meet a process that was given the same number later, nor remove data that is needed again.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let children = children_of(self.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for &child in &children {
            signal_process(child, Signal::KILL);
        }
        let started = Instant::now();
        while children.iter().any(|&child| is_alive(child)) && started.elapsed() < REAP_DEADLINE {
            std::thread::yield_now();
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill_now();
    }
}

/// Starts `command` in its own process group with no input and its output appended to `log`.
pub(crate) fn spawn_detached(command: &mut Command, log: &Path) -> Child {
    let output = File::options().create(true).append(true).open(log);
    let output = output.unwrap_or_else(|error| panic!("open {}: {error}", log.display()));
    let errors = output.try_clone().expect("duplicate a file handle");
    command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    let program = PathBuf::from(command.get_program());
    command
        .spawn()
        .unwrap_or_else(|error| panic!("start {}: {error}; `cargo xtask setup` installs it", program.display()))
}

/// Sends a signal; a process that is gone already is not an error.
pub(crate) fn signal_process(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// False once the process is gone or only waits to be reaped. Where there is no /proc, children count as gone: they follow their parent.
pub(crate) fn is_alive(pid: u32) -> bool {
    process_stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

fn children_of(parent: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| process_stat(pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// State letter and parent from /proc/PID/stat, where the name in parentheses may itself hold spaces and parentheses (proc(5)).
fn process_stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The last lines of a log, for a panic message.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// First existing file named `program` in the directories of PATH.
pub(crate) fn find_on_path(program: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "PATH is the system's, not a setting of the product")]
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
