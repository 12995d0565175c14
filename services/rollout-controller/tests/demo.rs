//! The demos of `cargo xtask rollout-demo`, with programs as the tests' build makes them: a good version becomes live, and each bad one is taken back
//! without losing an acknowledged webhook.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a demo runs beside the program of this package.
const OTHERS: [&str; 3] = ["spillway", "spillway-loadgen", "spillway-devtools"];

/// Unoptimised programs on two cores.
const RATE: &str = "300";
/// A good version is looked at for longer while the machine is busy with something else: latencies that scatter prove less.
const WITHIN_SECONDS: &str = "540";

fn demo(version: &str) {
    let rollout = Path::new(env!("CARGO_BIN_EXE_spillway-rollout"));
    let [gateway, loadgen, devtools] = OTHERS.map(|name| beside(rollout, name));
    let mut command = Command::new(devtools);
    command.arg("rollout-demo").arg(version).args(["--rate", RATE, "--within", WITHIN_SECONDS]);
    command.arg("--gateway").arg(gateway).arg("--loadgen").arg(loadgen).arg("--rollout").arg(rollout);
    let output = command.output().expect("run the demo");
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{printed}\n{errors}", output.status);
    assert!(printed.contains(" acknowledged, 0 lost"), "{printed}");
}

fn beside(program: &Path, name: &str) -> PathBuf {
    let path = program.with_file_name(name);
    assert!(path.exists(), "{} is missing: `cargo build --workspace --bins` makes it", path.display());
    path
}

#[test]
fn a_good_version_becomes_live() {
    demo("good");
}

#[test]
fn a_version_that_answers_errors_is_taken_back() {
    demo("errors");
}

#[test]
fn a_slow_version_is_taken_back() {
    demo("slow");
}

#[test]
fn a_version_that_crashes_is_taken_back() {
    demo("crash");
}

#[test]
fn a_version_that_leaks_memory_is_taken_back() {
    demo("leak");
}
