//! Copies of Prometheus' and Alertmanager's files in which time runs faster: every duration is divided, no threshold is changed. So an alert that
//! holds for five minutes in the shipped file can be seen within seconds, by the same expression.

/// Shorter ones would find no two samples, or keep a small machine busy.
const SHORTEST_MS: u64 = 500;

/// Keys whose value is a duration.
const KEYS: [&str; 9] = [
    "for",
    "interval",
    "keep_firing_for",
    "scrape_interval",
    "evaluation_interval",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "scrape_timeout",
];

/// Divides the values of the keys above, and windows in queries (`[5m]`, `[30d:5m]`).
pub(super) fn hurried(text: &str, times: u32) -> String {
    text.split_inclusive('\n').map(|line| windows(&values(line, times), times)).collect()
}

/// A line `KEY: DURATION`.
fn values(line: &str, times: u32) -> String {
    let Some((key, value)) = line.split_once(": ") else { return line.to_owned() };
    let name = key.trim_start().trim_start_matches("- ");
    match shortened(value.trim_end(), times) {
        Some(duration) if KEYS.contains(&name) => line.replacen(value.trim_end(), &duration, 1),
        _ => line.to_owned(),
    }
}

/// What stands in brackets, if it is one duration or two.
fn windows(line: &str, times: u32) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        let (inside, after_all) = after.split_once(']').unwrap_or((after, ""));
        let shorter: Option<Vec<String>> = inside.split(':').map(|part| shortened(part, times)).collect();
        text.push_str(before);
        text.push('[');
        match shorter {
            Some(parts) if after.len() > inside.len() => {
                text.push_str(&parts.join(":"));
                text.push(']');
                rest = after_all;
            }
            _ => rest = after,
        }
    }
    text + rest
}

/// The duration divided, `None` when the text is none.
fn shortened(text: &str, times: u32) -> Option<String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let whole = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    let ms = (whole / u64::from(times.max(1))).max(SHORTEST_MS.min(whole));
    Some(if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") })
}

#[cfg(test)]
mod tests {
    use super::hurried;

    #[test]
    fn durations_are_divided_and_thresholds_are_not() {
        let cases = [
            ("  for: 5m\n", "  for: 10s\n"),
            ("    interval: 1m\n", "    interval: 2s\n"),
            ("  scrape_interval: 5s\n", "  scrape_interval: 500ms\n"),
            ("  group_wait: 0s\n", "  group_wait: 0s\n"),
            ("  repeat_interval: 4h # often\n", "  repeat_interval: 4h # often\n"),
            ("  expr: rate(a[5m]) > 600\n", "  expr: rate(a[10s]) > 600\n"),
            ("  (sum_over_time(b{slo=\"x\"}[30d:5m]))\n", "  (sum_over_time(b{slo=\"x\"}[86400s:10s]))\n"),
            ("  group_by: [alertname, service]\n", "  group_by: [alertname, service]\n"),
            ("  regex: '[0-9]+[5m]", "  regex: '[0-9]+[10s]"),
            ("  summary: for: 5m\n", "  summary: for: 5m\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(hurried(text, 30), expected);
        }
        let shipped = "groups:\n  - name: a\n    rules:\n      - alert: B\n        for: 1m\n        expr: c[1m]\n";
        assert_eq!(hurried(shipped, 30), shipped.replace("1m", "2s"));
        assert_eq!(hurried(shipped, 1), shipped.replace("1m", "60s"));
    }
}
