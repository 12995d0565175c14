//! The gateway as a child process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// A start slower than this is a failure.
const START: Duration = Duration::from_secs(60);

/// A running gateway. It is killed (SIGKILL) when dropped.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    /// Such as `http://127.0.0.1:41234`.
    pub url: String,
    /// The admin key, on the first start with a database.
    pub admin_key: Option<String>,
    /// From the start of the process until it said that it was ready.
    pub start_time: Duration,
    log: PathBuf,
}

impl Gateway {
    /// Starts `program serve` with this settings file and waits until it is ready. Its log is appended to `log`.
    ///
    /// # Errors
    /// When it ends instead, or is not ready within a minute; with the end of its log.
    pub fn start(program: &Path, config: &Path, more: &[&str], log: &Path) -> Result<Self, Failure> {
        Self::start_with(program, config, more, &[], log)
    }

    /// The same, with these variables in its environment.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub fn start_with(
        program: &Path,
        config: &Path,
        more: &[&str],
        environment: &[(&str, &str)],
        log: &Path,
    ) -> Result<Self, Failure> {
        let begun = Instant::now();
        let log_file = std::fs::File::options().create(true).append(true).open(log)?;
        let mut child = Command::new(program)
            .arg("serve")
            .arg("--config")
            .arg(config)
            .args(more)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        let stdout = child.stdout.take().ok_or("the gateway has no standard output")?;
        let mut gateway =
            Self { child, url: String::new(), admin_key: None, start_time: Duration::ZERO, log: log.to_owned() };
        // The key follows the address, if there is one; the next line of output would be none.
        let mut lines = BufReader::new(stdout).lines();
        while begun.elapsed() < START {
            let Some(line) = lines.next().transpose()? else {
                return Err(format!("the gateway did not start:\n{}", gateway.log_tail()).into());
            };
            if let Some(url) = line.strip_prefix("Spillway is ready at ") {
                gateway.url = url.to_owned();
                gateway.start_time = begun.elapsed();
                break;
            }
        }
        gateway.admin_key = rest_of_output(lines);
        if gateway.url.is_empty() {
            return Err(format!("the gateway was not ready in time:\n{}", gateway.log_tail()).into());
        }
        Ok(gateway)
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `127.0.0.1:41234`.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap_or(&self.url)
    }

    /// Asks it to stop (SIGTERM) and waits until it has. Returns how long that took.
    ///
    /// # Errors
    /// When it ended with a failure; with the end of its log.
    pub fn stop(mut self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        self.signal(Signal::TERM)?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("the gateway ended with {status}:\n{}", self.log_tail()).into());
        }
        Ok(begun.elapsed())
    }

    /// SIGHUP: it reads its settings file again.
    ///
    /// # Errors
    /// When it has ended.
    pub fn reload(&self) -> Result<(), Failure> {
        self.signal(Signal::HUP)
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(self) {
        drop(self);
    }

    /// Whether it ended by itself.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn has_ended(&mut self) -> Result<bool, Failure> {
        Ok(self.child.try_wait()?.is_some())
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or("no process id")?;
        kill_process(pid, signal)?;
        Ok(())
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn wait(&mut self) -> Result<(), Failure> {
        self.child.wait()?;
        Ok(())
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// The admin key, if it is the next line. What else is printed is read and dropped, so that the gateway never waits for us.
fn rest_of_output(lines: std::io::Lines<BufReader<std::process::ChildStdout>>) -> Option<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let line = receiver.recv_timeout(Duration::from_millis(200)).ok()?;
    Some(line.strip_prefix("Admin key (shown once): ")?.to_owned())
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
