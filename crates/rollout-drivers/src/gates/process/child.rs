//! A program that is started, listened to and ended.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStderr, Command};
use tokio_util::sync::CancellationToken;

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// Of what the program says, the end is kept.
const MOST_TAIL_BYTES: usize = 4 << 10;

/// A program with a process group of its own. What is left of the group is killed when this is dropped.
pub(super) struct Child {
    process: tokio::process::Child,
    group: Option<Pid>,
    errors: Option<ChildStderr>,
    tail: Vec<u8>,
}

/// How it ended.
pub(super) enum End {
    Exited(ExitStatus),
    TimedOut,
    Stopped,
    Lost(io::Error),
}

impl Child {
    pub(super) fn start(program: &Path, arguments: &[OsString]) -> io::Result<Self> {
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let errors = process.stderr.take();
        Ok(Self { process, group, errors, tail: Vec::new() })
    }

    /// Waits for its end, at most `timeout`, and ends it when `stop` is cancelled. `told` gets each new last line of standard error.
    pub(super) async fn end(&mut self, timeout: Duration, mut told: impl FnMut(&str), stop: &CancellationToken) -> End {
        let deadline = tokio::time::sleep(timeout);
        tokio::pin!(deadline);
        let end = loop {
            tokio::select! {
                // What it said is read before its end is taken.
                biased;
                read = read(&mut self.errors, &mut self.tail) => {
                    if read == 0 {
                        self.errors = None;
                    } else {
                        told(&self.last_line());
                    }
                }
                status = self.process.wait() => break match status {
                    Ok(status) => End::Exited(status),
                    Err(error) => End::Lost(error),
                },
                () = stop.cancelled() => break End::Stopped,
                () = &mut deadline => break End::TimedOut,
            }
        };
        if matches!(end, End::TimedOut | End::Stopped) {
            self.signal(Signal::TERM);
            let _ = tokio::time::timeout(GRACE, self.process.wait()).await;
            self.signal(Signal::KILL);
            let _ = self.process.wait().await;
        }
        end
    }

    /// The last line that it wrote to standard error; empty without one.
    pub(super) fn last_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.tail);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // A group that is gone is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Once it was waited for, its number may be another's.
        if self.process.id().is_some() {
            self.signal(Signal::KILL);
        }
    }
}

/// Adds to the tail. Zero at the end; never returns when that was seen before.
async fn read(errors: &mut Option<ChildStderr>, tail: &mut Vec<u8>) -> usize {
    let Some(errors) = errors else { return std::future::pending().await };
    let mut chunk = [0; 1_024];
    let n = errors.read(&mut chunk).await.unwrap_or(0);
    tail.extend_from_slice(&chunk[..n]);
    let surplus = tail.len().saturating_sub(MOST_TAIL_BYTES);
    tail.drain(..surplus);
    n
}
