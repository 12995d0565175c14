//! A Docker engine of its own, in a network of its own: its bridges, its rules and the ports that it publishes are nobody else's.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use xshell::{Cmd, Shell, TempDir, cmd};

use super::pause;
use crate::failure::{Failure, Result};

/// What the folder of an engine's data is called, before the process that it belongs to.
const DATA: &str = "engine-";
const START: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(60);

/// An engine, and how to call its clients.
pub(super) struct Engine {
    docker: PathBuf,
    compose: ComposeCommand,
    own: Option<Own>,
}

/// How Compose is called: `docker-compose`, or `docker compose`.
#[derive(Debug, Clone)]
pub(super) struct ComposeCommand {
    program: String,
    first: Vec<String>,
}

impl FromStr for ComposeCommand {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let program = words.next().ok_or("write docker-compose or \"docker compose\"")?;
        Ok(Self { program, first: words.collect() })
    }
}

/// An error for who is not root.
pub(super) fn take_root(sh: &Shell) -> Result<()> {
    if cmd!(sh, "id -u").quiet().read()? == "0" {
        return Ok(());
    }
    Err(Failure::new("an engine of its own takes root: run it with sudo, or with --official on an engine that runs"))
}

/// Ends and leaves nothing when dropped.
struct Own {
    process: Child,
    data: PathBuf,
    sockets: TempDir,
}

impl Engine {
    /// The one that runs on this machine.
    pub(super) fn of_machine(docker: PathBuf, compose: Option<ComposeCommand>) -> Result<Self> {
        let of_docker = || ComposeCommand { program: docker.display().to_string(), first: vec!["compose".to_owned()] };
        let compose = compose.unwrap_or_else(of_docker);
        Ok(Self { docker, compose, own: None })
    }

    /// Starts one with its data below `work`, and waits until it answers.
    pub(super) fn start(sh: &Shell, work: &Path, docker: PathBuf, compose: Option<ComposeCommand>) -> Result<Self> {
        remove_left_over(work)?;
        let data = work.join(format!("{DATA}{}", std::process::id()));
        fs::create_dir_all(&data)?;
        // The paths of sockets must be short.
        let sockets = sh.create_temp_dir()?;
        let log = data.join("engine.log");
        let at = |name: &str| sockets.path().join(name).into_os_string();
        let mut command = Command::new("unshare");
        // Ends with us, also when we are interrupted.
        command.args([
            "--net",
            "--mount",
            "setpriv",
            "--pdeathsig=TERM",
            "sh",
            "-c",
            "ip link set lo up && exec dockerd \"$@\"",
            "dockerd",
        ]);
        command.args(["--bridge=none", "--data-root"]).arg(data.join("data")).arg("--exec-root").arg(at("exec"));
        command.arg("--pidfile").arg(at("pid")).arg("--host").arg(prefixed("unix://", &at("socket")));
        command.stdin(Stdio::null()).stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        let process =
            command.spawn().map_err(|error| Failure::new(format!("cannot start dockerd with unshare: {error}")))?;
        let standalone = || ComposeCommand { program: "docker-compose".to_owned(), first: Vec::new() };
        let compose = compose.unwrap_or_else(standalone);
        let mut engine = Self { docker, compose, own: Some(Own { process, data, sockets }) };
        engine.wait_until_it_answers(sh, &log)?;
        Ok(engine)
    }

    fn wait_until_it_answers(&mut self, sh: &Shell, log: &Path) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            if self.docker(sh, &["version"]).ignore_stdout().ignore_stderr().run().is_ok() {
                return Ok(());
            }
            let ended = self.own.as_mut().and_then(|own| own.process.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > deadline {
                let text = fs::read_to_string(log).unwrap_or_default();
                let tail =
                    text.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
                return Err(Failure::new(format!("dockerd does not run here; it said:\n{tail}")));
            }
            pause();
        }
    }

    pub(super) fn docker<'a>(&self, sh: &'a Shell, arguments: &[&str]) -> Cmd<'a> {
        let docker = &self.docker;
        self.at_home(cmd!(sh, "{docker} {arguments...}").quiet().env("DOCKER_BUILDKIT", "1"))
    }

    pub(super) fn compose<'a>(&self, sh: &'a Shell, arguments: &[&str]) -> Cmd<'a> {
        let ComposeCommand { program, first } = &self.compose;
        self.at_home(cmd!(sh, "{program} {first...} {arguments...}").quiet())
    }

    /// A program of this machine that sees the ports which the engine publishes.
    pub(super) fn beside<'a>(&self, sh: &'a Shell, program: &OsStr, arguments: &[&str]) -> Cmd<'a> {
        match &self.own {
            None => cmd!(sh, "{program} {arguments...}").quiet(),
            Some(own) => {
                let network = format!("--net=/proc/{}/ns/net", own.process.id());
                cmd!(sh, "nsenter {network} {program} {arguments...}").quiet()
            }
        }
    }

    fn at_home<'a>(&self, command: Cmd<'a>) -> Cmd<'a> {
        match &self.own {
            None => command,
            Some(own) => command.env("DOCKER_HOST", prefixed("unix://", own.sockets.path().join("socket").as_os_str())),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        // Asked to stop it ends its containers too; killed it would leave them.
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let deadline = Instant::now() + STOP;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.process.kill();
                let _ = self.process.wait();
                break;
            }
            pause();
        }
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// Data of runs that were interrupted: gigabytes.
fn remove_left_over(work: &Path) -> Result<()> {
    for entry in fs::read_dir(work)? {
        let entry = entry?;
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(DATA));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn prefixed(prefix: &str, path: &OsStr) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}
