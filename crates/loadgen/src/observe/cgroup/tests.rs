use std::time::Duration;

use super::super::Observed;
use super::*;

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn series(observed: &Observed) -> Vec<(&str, ObservedUnit, Vec<f64>)> {
    let values = |points: &[(f64, f64)]| points.iter().map(|&(_, value)| value).collect();
    observed.series.iter().map(|series| (series.name.as_str(), series.unit, values(&series.points))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_group_tells_processor_memory_and_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(
        path,
        &[
            (
                "cpu.stat",
                "usage_usec 1000000\nuser_usec 900000\nsystem_usec 100000\nnr_throttled 0\nthrottled_usec 0\n",
            ),
            ("memory.current", "104857600\n"),
            ("memory.max", "419430400\n"),
            ("pids.current", "7\n"),
        ],
    );
    let origin = Instant::now();
    let mut group = Cgroup::open(path).unwrap();
    let mut recording = Recording::new(group.source());
    assert!(group.sample(origin, &mut recording));
    tokio::time::advance(Duration::from_secs(2)).await;
    write(path, &[("cpu.stat", "usage_usec 4000000\nthrottled_usec 500000\n"), ("memory.max", "max\n")]);
    assert!(group.sample(origin, &mut recording));
    drop(folder);
    assert!(!group.sample(origin, &mut recording), "a group that is gone is looked at no more");
    let observed = recording.end();
    let wanted = [
        ("memory", ObservedUnit::Bytes, vec![104_857_600.0; 2]),
        ("memory of limit", ObservedUnit::Percent, vec![25.0]),
        ("processes and threads", ObservedUnit::Count, vec![7.0; 2]),
        ("cpu", ObservedUnit::Percent, vec![150.0]),
        ("cpu throttled", ObservedUnit::Percent, vec![25.0]),
    ];
    assert_eq!(series(&observed), wanted);
    assert_eq!(observed.warnings, ["the control group ended 2 s into the run"]);
}

#[tokio::test]
async fn a_group_without_controllers_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("cpu.stat", "usage_usec 1\n")]);
    let mut group = Cgroup::open(folder.path()).unwrap();
    let mut recording = Recording::new(group.source());
    assert!(group.sample(Instant::now(), &mut recording));
    let observed = recording.end();
    assert!(observed.series.is_empty());
    assert_eq!(observed.warnings.len(), 2, "{:?}", observed.warnings);
}

#[test]
fn a_folder_of_something_else_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let error = Cgroup::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("/sys/fs/cgroup") && error.contains("cpu.stat"), "{error}");
    // Version 1 counts in nanoseconds, elsewhere.
    write(folder.path(), &[("cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n")]);
    assert!(Cgroup::open(folder.path()).is_err());
}
