//! A series in one line of bars.

use serde_json::Value;

use super::text::{number, percentile};
use crate::client::table::printable;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Where nothing was observed.
const GAP: char = '·';

/// A bar for each value, from zero to the largest; a dot where there is none.
pub(super) fn sparkline(values: &[Option<f64>]) -> String {
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |value: &Option<f64>| match value {
        None => GAP,
        Some(value) if most <= 0.0 || *value <= 0.0 => BARS[0],
        Some(value) => BARS[((value / most * BARS.len() as f64).ceil() as usize).clamp(1, BARS.len()) - 1],
    };
    values.iter().map(bar).collect()
}

/// A trend as the API answers it: its bars, and the numbers that they stand for.
pub(super) fn trend(trend: &Value, width: usize) -> String {
    let points = trend["points"].as_array().map_or(&[][..], Vec::as_slice);
    let is_latency = trend["kind"] == "latency";
    let shown = |point: &Value| if is_latency { point["p95_ms"].as_f64() } else { point["value"].as_f64() };
    let values: Vec<_> = points.iter().map(shown).collect();
    let unit = match trend["kind"].as_str() {
        Some("latency") => "ms, 95th percentile".to_owned(),
        Some("counter") => {
            format!("{}/s", trend["unit"].as_str().filter(|unit| !unit.is_empty()).unwrap_or("per second"))
        }
        _ => trend["unit"].as_str().unwrap_or_default().to_owned(),
    };
    let name = printable(trend["metric"].as_str().unwrap_or_default());
    let title = format!("{name}, last {} ({})", trend["window"].as_str().unwrap_or_default(), printable(&unit));
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let (Some(least), Some(most)) = (known.iter().copied().reduce(f64::min), known.iter().copied().reduce(f64::max))
    else {
        return format!("{title}\nNothing was observed yet.");
    };
    let mut lines = vec![title, sparkline(&thinned(&values, width))];
    lines.push(format!(
        "least {}, most {}, last {}",
        number(least),
        number(most),
        values.last().copied().flatten().map_or_else(|| "–".to_owned(), number)
    ));
    if is_latency && let Some(last) = points.iter().rev().find(|point| !point["p50_ms"].is_null()) {
        lines.push(format!("newest with observations: {}", percentile(last)));
    }
    lines.join("\n")
}

/// At most `width` values: the largest of each stretch.
fn thinned(values: &[Option<f64>], width: usize) -> Vec<Option<f64>> {
    let every = values.len().div_ceil(width.max(1)).max(1);
    values.chunks(every).map(|chunk| chunk.iter().flatten().copied().reduce(f64::max)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bars_begin_at_zero_and_gaps_are_no_zeros() {
        assert_eq!(sparkline(&[Some(0.0), Some(1.0), Some(4.0), None, Some(8.0)]), "▁▁▄·█");
        assert_eq!(sparkline(&[Some(0.0), Some(0.0)]), "▁▁");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(thinned(&[Some(1.0), Some(5.0), None, Some(2.0), None], 2), [Some(5.0), Some(2.0)]);
    }

    #[test]
    fn a_trend_says_what_its_bars_stand_for() {
        let counter = json!({"metric": "intake_received", "kind": "counter", "unit": "requests", "window": "1h",
            "points": [{"value": null}, {"value": 2.0}, {"value": 4.0}]});
        assert_eq!(trend(&counter, 60), "intake_received, last 1h (requests/s)\n·▄█\nleast 2, most 4, last 4");
        let latency = json!({"metric": "api", "kind": "latency", "unit": "seconds", "window": "24h",
            "points": [{"value": 1.0, "count": 60, "p50_ms": 1.5, "p95_ms": 8.0, "p99_ms": 20.0}]});
        assert_eq!(
            trend(&latency, 60),
            "api, last 24h (ms, 95th percentile)\n█\nleast 8, most 8, last 8\nnewest with observations: 1.5 / 8 / 20 ms"
        );
        let nothing = json!({"metric": "x", "kind": "gauge", "unit": "", "window": "1h", "points": [{"value": null}]});
        assert!(trend(&nothing, 60).ends_with("Nothing was observed yet."));
    }
}
