//! A gateway in a folder of its own, and commands that are run against it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Longest time for what takes milliseconds on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A gateway with an embedded database. It is killed when dropped.
pub(crate) struct Gateway {
    process: Child,
    folder: TempDir,
    pub(crate) url: String,
    pub(crate) admin_key: String,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Gateway {
    /// Starts one on a free port that may deliver to this machine, and waits until it is ready.
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), "")
    }

    /// The same in this folder, with more settings: at first those of `[delivery]`, then other sections.
    pub(crate) fn start_in(folder: TempDir, settings: &str) -> Self {
        let settings = format!("[log]\nfilter = \"error\"\n[delivery]\nallow_networks = [\"127.0.0.0/8\"]\n{settings}");
        std::fs::write(folder.path().join("spillway.toml"), settings).expect("a settings file");
        let mut process = spillway(folder.path())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("FROM_THE_GATEWAY", "a secret of the gateway's environment")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let mut after = |prefix: &str| {
            let line = lines.find(|line| line.starts_with(prefix)).unwrap_or_else(|| panic!("no line {prefix}…"));
            line[prefix.len()..].to_owned()
        };
        let url = after("Spillway is ready at ");
        let admin_key = after("Admin key (shown once): ");
        Self { process, folder, url, admin_key }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command with the gateway's URL and the admin key in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = spillway(self.folder());
        command.args(arguments).env("SPILLWAY_URL", &self.url).env("SPILLWAY_API_KEY", &self.admin_key);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        finish(&mut self.command(arguments))
    }

    /// The output of a command that has to succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "spillway {}: {outcome:#?}", arguments.join(" "));
        outcome.stdout
    }

    /// The same with its JSON output read.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.ok(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program in this folder, with nothing in its environment.
pub(crate) fn spillway(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spillway"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

pub(crate) fn finish(command: &mut Command) -> Outcome {
    let output = command.output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The same for a program that reads `input`.
pub(crate) fn finish_with_input(command: &mut Command, input: &[u8]) -> Outcome {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("its input").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
