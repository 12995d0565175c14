//! A load test of the candidate, by `spillway-loadgen`.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use spillway_rollout::observed::GateState;
use spillway_rollout::spec::LoadTest;
use tokio_util::sync::CancellationToken;

use crate::gates::{LoadRun, LoadTester, Progress};

/// Longest run.
const TIMEOUT: Duration = Duration::from_secs(4 * 3_600);

/// What a load test says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadTestOutcome {
    /// Whether it passed; `None` when it says nothing.
    pub passed: Option<bool>,
    /// Its verdict, one sentence.
    pub summary: String,
    /// Where its report is.
    pub report: Option<String>,
}

/// Runs the load test of `file` against `target`. `stop` ends it early.
pub async fn load_test(
    tester: &dyn LoadTester,
    file: &Path,
    target: &str,
    stop: &CancellationToken,
) -> LoadTestOutcome {
    let run = LoadRun {
        id: "verify".to_owned(),
        rollout: "verify".to_owned(),
        test: LoadTest { file: file.display().to_string(), ..LoadTest::default() },
        target: target.to_owned(),
        timeout: TIMEOUT,
    };
    match tester.run(run, &Progress::silent(), stop.clone()).await {
        GateState::Passed { summary, report } => LoadTestOutcome { passed: Some(true), summary, report },
        GateState::Failed { summary, report } => LoadTestOutcome { passed: Some(false), summary, report },
        GateState::Broken { summary } => LoadTestOutcome { passed: None, summary, report: None },
        GateState::Running { progress } => LoadTestOutcome { passed: None, summary: progress, report: None },
    }
}
