//! Durations of requests as the gateway's metrics tell them, for requests that the proxy answered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const FAMILY: &str = "http_server_request_duration_seconds";
const MEMORY: &str = "process_resident_memory_bytes";
const BOUNDS: [f64; 23] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.008, 0.015, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5,
    0.8, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];

/// A histogram for each method and status.
#[derive(Debug, Default)]
pub(super) struct Durations(BTreeMap<(String, u16), Histogram>);

#[derive(Debug, Default)]
struct Histogram {
    /// Requests in each bucket by itself; the last is beyond all bounds.
    buckets: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl Durations {
    pub(super) fn observe(&mut self, method: &str, status: u16, duration: Duration) {
        let histogram = self.0.entry((method.to_owned(), status)).or_default();
        let seconds = duration.as_secs_f64();
        histogram.buckets[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        histogram.sum += seconds;
    }

    pub(super) fn requests(&self) -> u64 {
        self.0.values().flat_map(|histogram| histogram.buckets).sum()
    }

    /// The text with these durations in place of its own, and `leaked` bytes added to the process' memory.
    pub(super) fn replace_in(&self, text: &str, leaked: usize) -> String {
        let mut replaced = String::with_capacity(text.len());
        let (mut body, mut end) = (text, "");
        if let Some(before) = text.trim_end().strip_suffix("# EOF") {
            (body, end) = (before, "# EOF\n");
        }
        for line in body.lines() {
            let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").trim_start_matches("# UNIT ");
            if name.starts_with(FAMILY) {
                continue;
            }
            let memory = line.strip_prefix(MEMORY).and_then(|value| value.trim().parse::<f64>().ok());
            match memory {
                Some(bytes) => {
                    let _ = writeln!(replaced, "{MEMORY} {}", bytes + leaked as f64);
                }
                None => {
                    let _ = writeln!(replaced, "{line}");
                }
            }
        }
        self.write(&mut replaced);
        replaced.push_str(end);
        replaced
    }

    fn write(&self, into: &mut String) {
        let _ =
            writeln!(into, "# HELP {FAMILY} Duration of HTTP requests, faults included.\n# TYPE {FAMILY} histogram");
        for ((method, status), histogram) in &self.0 {
            let labels = format!(
                "http_request_method=\"{method}\",http_route=\"/in/{{source}}\",http_response_status_code=\"{status}\""
            );
            let mut count = 0;
            for (bound, bucket) in BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]).zip(histogram.buckets) {
                count += bucket;
                let _ = writeln!(into, "{FAMILY}_bucket{{{labels},le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(into, "{FAMILY}_sum{{{labels}}} {}", histogram.sum);
            let _ = writeln!(into, "{FAMILY}_count{{{labels}}} {count}");
        }
    }
}
