//! Everything full takes less than 4 MB. One test, so that the process's memory is its own.

use spillway_performance::{
    BusinessKind, CounterMetric, GaugeMetric, Histogram, LatencyMetric, MAX_BUSINESS_METRICS, Recorder,
};

const LIMIT_BYTES: usize = 4_000_000;
const NOW: i64 = 1_767_225_600;

/// Resident memory, where the kernel tells it.
fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split_whitespace().nth(1)?.parse::<usize>().ok()? * 4_096)
}

#[test]
fn all_rings_full_take_less_than_4_mb() {
    let before = resident();
    let mut recorder = Recorder::default();
    let full = Histogram { counts: [1; 24] };
    // Every slot of every ring: hours of a month, then minutes of a day, then seconds.
    let hours = (NOW - 33 * 86_400..NOW).step_by(3_600);
    let minutes = (NOW - 26 * 3_600..NOW).step_by(60);
    for at_s in hours.chain(minutes).chain(NOW - 4_300..NOW) {
        recorder.observe(at_s);
        CounterMetric::ALL.iter().for_each(|metric| recorder.count(*metric, at_s, 1));
        GaugeMetric::ALL.iter().for_each(|metric| recorder.gauge(*metric, at_s, Some(1.0)));
        LatencyMetric::ALL.iter().for_each(|metric| recorder.latency(*metric, at_s, &full));
    }
    for n in 0..MAX_BUSINESS_METRICS {
        let name = format!("name_{n}");
        let days = (NOW - 40 * 86_400..NOW).step_by(86_400);
        let halves = (NOW - 60 * 1_800..NOW).step_by(1_800);
        for at_s in days.chain(halves).chain((NOW - 4_800..NOW).step_by(120)) {
            recorder.business_mut().record(&name, BusinessKind::Gauge, "unit", at_s, 1.0).expect("recorded");
        }
    }
    let counted = recorder.memory_bytes();
    assert!(counted < LIMIT_BYTES, "{counted} bytes");
    assert!(counted > LIMIT_BYTES / 2, "only {counted} bytes: are the rings full?");
    if let (Some(before), Some(after)) = (before, resident()) {
        let grown = after.saturating_sub(before);
        assert!(grown < LIMIT_BYTES * 3 / 2, "resident memory grew by {grown} bytes for {counted} that are counted");
    }
    println!("{counted} bytes counted; resident before {before:?}, after {:?}", resident());
}
