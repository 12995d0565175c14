//! An nginx that runs: its master, its workers, its test and its reload.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use spillway_rollout::ports::PortError;
use spillway_rollout::spec::NginxRouter;
use tokio::process::Command;
use tokio::time::Instant;

use super::proc::{self, Identity};
use crate::memory::files;

/// Longest run of `nginx -t` and `nginx -s reload`: both may ask name servers.
const COMMAND_DEADLINE: Duration = Duration::from_secs(30);
/// How long new workers may take to come after a reload.
const RELOAD_DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
const MAX_CONFIG_BYTES: u64 = 4 << 20;
/// The end of an error log that is searched for the reason of a failed reload.
const MAX_LOG_BYTES: u64 = 64 << 10;
/// Longest message of nginx that is passed on.
const MAX_MESSAGE: usize = 1000;

/// How to reach one nginx.
#[derive(Debug)]
pub(super) struct Nginx {
    program: String,
    /// The main configuration, when the plan names one.
    config: Option<PathBuf>,
    built_in: Option<BuiltIn>,
}

/// What `nginx -V` says that was compiled in.
#[derive(Debug, Clone)]
struct BuiltIn {
    prefix: PathBuf,
    config: PathBuf,
    pid: PathBuf,
    error_log: PathBuf,
}

impl Nginx {
    pub(super) fn new(router: &NginxRouter) -> Self {
        let program = router.program.clone().unwrap_or_else(|| "nginx".to_owned());
        // nginx takes a relative path as relative to its prefix; people mean the present directory.
        let config = router.config.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.into()));
        Self { program, config, built_in: None }
    }

    /// The master process; `None` when nginx does not run.
    pub(super) async fn master(&mut self) -> Result<Option<Identity>, PortError> {
        let pid_file = self.path_of("pid", |built_in| built_in.pid.clone()).await?;
        let text = files::read_bounded(&pid_file, 100)
            .map_err(|error| PortError::Temporary(format!("nginx's {} cannot be read: {error}", pid_file.display())))?;
        let pid = text.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok());
        let master = pid.filter(|pid| proc::title(*pid).contains(": master process")).and_then(Identity::of);
        Ok(master.filter(Identity::is_alive))
    }

    /// Whether workers of an earlier configuration still finish requests.
    pub(super) fn is_draining(master: &Identity) -> bool {
        proc::children(master.pid).into_iter().any(|pid| is_worker(pid, true))
    }

    /// `nginx -t`.
    ///
    /// # Errors
    /// With nginx's own message.
    pub(super) async fn test(&self) -> Result<(), PortError> {
        let output = self.run(&["-t"]).await?;
        if output.status.success() {
            return Ok(());
        }
        Err(PortError::Permanent(format!("nginx refuses the configuration: {}", message(&output))))
    }

    /// Reloads, and returns when every worker that takes connections has the new configuration.
    ///
    /// # Errors
    /// When nginx refused, or no new workers came in time; workers of the old configuration go on then.
    pub(super) async fn reload(&mut self, master: &Identity) -> Result<(), PortError> {
        let log = self.path_of("error_log", |built_in| built_in.error_log.clone()).await?;
        let log_size = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let before = workers(master);
        let output = self.run(&["-s", "reload"]).await?;
        if !output.status.success() {
            return Err(PortError::Temporary(format!("nginx was not reloaded: {}", message(&output))));
        }
        let deadline = Instant::now() + RELOAD_DEADLINE;
        loop {
            let now = workers(master);
            if !now.is_empty() && now.is_disjoint(&before) {
                return Ok(());
            }
            let reason = emergency(&log, log_size);
            if reason.is_some() || Instant::now() >= deadline || !master.is_alive() {
                let reason = reason.unwrap_or_else(|| {
                    format!("its workers were not replaced within {} s: see its error log", RELOAD_DEADLINE.as_secs())
                });
                return Err(PortError::Temporary(format!("nginx did not take the new configuration: {reason}")));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn run(&self, arguments: &[&str]) -> Result<Output, PortError> {
        let mut command = Command::new(&self.program);
        if let Some(config) = &self.config {
            command.arg("-c").arg(config);
        }
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let program = &self.program;
        match tokio::time::timeout(COMMAND_DEADLINE, command.output()).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(PortError::Permanent(format!(
                "there is no program `{program}`: install nginx, or name it in target.host.nginx.program"
            ))),
            Ok(Err(error)) => Err(PortError::Temporary(format!("`{program}` cannot be run: {error}"))),
            Err(_) => Err(PortError::Temporary(format!(
                "`{program} {}` took longer than {} s",
                arguments.join(" "),
                COMMAND_DEADLINE.as_secs()
            ))),
        }
    }

    /// The file that a directive of the main context names, or the one that was compiled in.
    async fn path_of(&mut self, directive: &str, built_in_path: fn(&BuiltIn) -> PathBuf) -> Result<PathBuf, PortError> {
        let built_in = self.built_in().await?;
        let config = self.config.as_ref().unwrap_or(&built_in.config);
        let text = files::read_bounded(config, MAX_CONFIG_BYTES).ok().flatten().unwrap_or_default();
        let named = main_directive(&String::from_utf8_lossy(&text), directive);
        Ok(built_in.prefix.join(named.map_or_else(|| built_in_path(&built_in), PathBuf::from)))
    }

    async fn built_in(&mut self) -> Result<BuiltIn, PortError> {
        if let Some(built_in) = &self.built_in {
            return Ok(built_in.clone());
        }
        let output = self.run(&["-V"]).await?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let of = |option: &str, default: &str| {
            let value = text.split_ascii_whitespace().find_map(|word| word.strip_prefix(option)?.strip_prefix('='));
            PathBuf::from(value.unwrap_or(default))
        };
        let prefix = of("--prefix", "/usr/local/nginx");
        let built_in = BuiltIn {
            config: prefix.join(of("--conf-path", "conf/nginx.conf")),
            pid: of("--pid-path", "logs/nginx.pid"),
            error_log: of("--error-log-path", "logs/error.log"),
            prefix,
        };
        self.built_in = Some(built_in.clone());
        Ok(built_in)
    }
}

/// Workers that take connections.
fn workers(master: &Identity) -> BTreeSet<u32> {
    proc::children(master.pid).into_iter().filter(|pid| is_worker(*pid, false)).collect()
}

fn is_worker(pid: u32, shuts_down: bool) -> bool {
    let title = proc::title(pid);
    title.contains(": worker process") && title.contains("shutting down") == shuts_down
}

/// First argument of a directive outside all blocks. What is included there is not followed.
fn main_directive(config: &str, directive: &str) -> Option<String> {
    let lines = config.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut depth = 0usize;
    let mut statement = String::new();
    for character in lines.flat_map(|line| line.chars().chain(['\n'])) {
        match character {
            '{' | '}' | ';' => {
                if character == ';' && depth == 0 {
                    let mut words = statement.split_ascii_whitespace();
                    if words.next() == Some(directive) {
                        return words.next().map(|word| word.trim_matches(['"', '\'']).to_owned());
                    }
                }
                depth = match character {
                    '{' => depth + 1,
                    '}' => depth.saturating_sub(1),
                    _ => depth,
                };
                statement.clear();
            }
            other => statement.push(other),
        }
    }
    None
}

/// What nginx says beside that the test failed.
fn message(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling: Vec<&str> = lines.filter(|line| line.contains("[emerg]") || line.contains("[error]")).collect();
    let said = if telling.is_empty() { text.trim().replace('\n', " ") } else { telling.join(" ") };
    if said.is_empty() { output.status.to_string() } else { said.chars().take(MAX_MESSAGE).collect() }
}

/// The first emergency in a log after `from`.
fn emergency(log: &Path, from: u64) -> Option<String> {
    let mut file = fs::File::open(log).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut text = Vec::new();
    file.take(MAX_LOG_BYTES).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find(|line| line.contains("[emerg]")).map(|line| line.chars().take(MAX_MESSAGE).collect())
}

#[cfg(test)]
mod tests {
    use super::main_directive;

    #[test]
    fn a_directive_of_the_main_context_is_found() {
        let config = "# pid /no;\nuser www-data;\nevents { pid /inner; }\nhttp { server { error_log /a; } }\n  pid\n  \"/run/x.pid\" ;\n";
        assert_eq!(main_directive(config, "pid").as_deref(), Some("/run/x.pid"));
        assert_eq!(main_directive(config, "error_log"), None);
    }
}
