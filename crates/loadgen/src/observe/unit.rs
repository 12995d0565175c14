//! What the numbers of a metric mean, by the customs of Prometheus's names.

use super::ObservedUnit;

/// The unit of a metric's values as they are, and what to multiply them with.
pub(super) fn of_gauge(name: &str) -> (ObservedUnit, f64) {
    let units = [
        ("_bytes_per_second", ObservedUnit::BytesPerSecond, 1.0),
        ("_per_second", ObservedUnit::PerSecond, 1.0),
        ("_bytes", ObservedUnit::Bytes, 1.0),
        ("_milliseconds", ObservedUnit::Milliseconds, 1.0),
        ("_ms", ObservedUnit::Milliseconds, 1.0),
        ("_seconds", ObservedUnit::Milliseconds, 1_000.0),
        ("_percent", ObservedUnit::Percent, 1.0),
    ];
    let known = units.into_iter().find(|(suffix, ..)| name.ends_with(suffix));
    known.map_or((ObservedUnit::Count, 1.0), |(_, unit, factor)| (unit, factor))
}

/// The unit of a counter's gain per second, and what to multiply it with.
pub(super) fn of_counter(name: &str) -> (ObservedUnit, f64) {
    let name = name.trim_end_matches("_total");
    match () {
        () if name.ends_with("cpu_seconds") => (ObservedUnit::Percent, 100.0),
        () if name.ends_with("_bytes") => (ObservedUnit::BytesPerSecond, 1.0),
        () => (ObservedUnit::PerSecond, 1.0),
    }
}
