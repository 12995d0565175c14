//! Load tests as processes of this host.

mod child;

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::Deserialize;
use spillway_rollout::observed::GateState;
use tokio_util::sync::CancellationToken;

use super::answer::excerpt;
use super::{LoadRun, LoadTester, Progress, broken};
use child::{Child, End};

/// Name of the program.
const PROGRAM: &str = "spillway-loadgen";

/// A larger result is not read.
const MOST_RESULT_BYTES: u64 = 64 << 20;

/// Runs `spillway-loadgen` on this host.
#[derive(Debug, Clone)]
pub struct ProcessLoadTester {
    program: PathBuf,
    reports: PathBuf,
}

/// What is read of a result.
#[derive(Deserialize)]
struct Summary {
    reason: String,
}

impl ProcessLoadTester {
    /// Runs `program`; results and reports are left in `reports`, which is made when it is missing.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, reports: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), reports: reports.into() }
    }

    /// Runs the `spillway-loadgen` beside this program, or else that on `PATH`.
    #[must_use]
    pub fn find(reports: impl Into<PathBuf>) -> Self {
        let beside = std::env::current_exe().ok().map(|own| own.with_file_name(PROGRAM));
        let program = beside.filter(|beside| beside.is_file()).unwrap_or_else(|| PROGRAM.into());
        Self::new(program, reports)
    }
}

#[async_trait]
impl LoadTester for ProcessLoadTester {
    async fn run(&self, run: LoadRun, progress: &Progress, stop: CancellationToken) -> GateState {
        if run.id.is_empty() || !run.id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return broken(format!("the gate's id `{}` is no file name", run.id));
        }
        if let Err(error) = std::fs::create_dir_all(&self.reports) {
            return broken(format!("reports cannot be written to {}: {error}", self.reports.display()));
        }
        let json = self.reports.join(format!("{}.json", run.id));
        let html = self.reports.join(format!("{}.html", run.id));
        for old in [&json, &html] {
            // Of a run before a restart; the new one must not be taken for it.
            let _ = std::fs::remove_file(old);
        }
        let mut child = match Child::start(&self.program, &arguments(&run, &json, &html)) {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return broken(format!("{PROGRAM} is neither beside this program nor on PATH: install it"));
            }
            Err(error) => return broken(format!("{} cannot be started: {error}", self.program.display())),
        };
        progress.tell("the load test starts");
        let end = child.end(run.timeout, |line| progress.tell(excerpt(line)), &stop).await;
        let report = html.is_file().then(|| html.display().to_string());
        match end {
            End::Exited(status) => {
                let last = child.last_line();
                let said = reason(&json).unwrap_or_else(|| last.strip_prefix("error:").unwrap_or(&last).to_owned());
                Meaning::of(status.code()).state(&excerpt(&said), report)
            }
            End::TimedOut => GateState::Failed {
                summary: format!("the load test took longer than {} s and was stopped", run.timeout.as_secs()),
                report,
            },
            End::Stopped => broken("stopped".to_owned()),
            End::Lost(error) => broken(format!("the load test's end is not known: {error}")),
        }
    }
}

fn arguments(run: &LoadRun, json: &Path, html: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["run", run.test.file.as_str(), "--target", run.target.as_str()].map(Into::into).into();
    for (kind, path) in [("json=", json), ("html=", html)] {
        let mut out = OsString::from(kind);
        out.push(path);
        arguments.extend([OsString::from("--out"), out]);
    }
    arguments.extend(run.test.arguments.iter().map(OsString::from));
    arguments
}

/// What an exit code of `spillway-loadgen` means. Only what the thresholds say is a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Passed,
    ThresholdsFailed,
    GeneratorTooSlow,
    /// With another code.
    NotRun(i32),
    Killed,
}

impl Meaning {
    /// `None` for a process that was killed by a signal.
    pub(super) fn of(code: Option<i32>) -> Self {
        match code {
            Some(0) => Self::Passed,
            Some(3) => Self::GeneratorTooSlow,
            Some(99) => Self::ThresholdsFailed,
            Some(code) => Self::NotRun(code),
            None => Self::Killed,
        }
    }

    /// The gate's end, with what the load test says itself.
    pub(super) fn state(self, said: &str, report: Option<String>) -> GateState {
        let colon = if said.is_empty() { "" } else { ": " };
        match self {
            Self::Passed => GateState::Passed { summary: format!("the load test passed{colon}{said}"), report },
            Self::ThresholdsFailed => {
                GateState::Failed { summary: format!("the load test failed{colon}{said}"), report }
            }
            Self::GeneratorTooSlow => {
                broken(format!("the load test says nothing, because the generator was the bottleneck{colon}{said}"))
            }
            Self::NotRun(code) => broken(format!("the load test could not run (exit code {code}){colon}{said}")),
            Self::Killed => broken(format!("the load test was killed{colon}{said}")),
        }
    }
}

/// The reason of the verdict in a result.
fn reason(json: &Path) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(json).ok()?.take(MOST_RESULT_BYTES).read_to_string(&mut text).ok()?;
    let result: Summary = serde_json::from_str(&text).ok()?;
    Some(result.reason).filter(|reason| !reason.is_empty())
}
