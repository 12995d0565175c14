use super::*;

const OPEN_METRICS: &str = r#"# HELP spillway_intake_requests Requests to intake { by source }.
# TYPE spillway_intake_requests counter
spillway_intake_requests_total{source="github",outcome="accepted"} 3 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 1.0 1795638739.65
spillway_intake_requests_total{source="git}hub \" 7",outcome="a,b=c"} 4.5
spillway_intake_requests_created{source="github"} 1795638739.65
# TYPE spillway_intake_ack_seconds histogram
# UNIT spillway_intake_ack_seconds seconds
spillway_intake_ack_seconds_sum 0.002284447
spillway_intake_ack_seconds_count 3
spillway_intake_ack_seconds_bucket{le="0.0005"} 1 # {trace_id="00000000000000000000000000000abc",span_id="0def"} 0.00049
spillway_intake_ack_seconds_bucket{le="+Inf"} 3 # {} 0.1
# TYPE process_cpu_seconds counter
# UNIT process_cpu_seconds seconds
process_cpu_seconds_total 0.02
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 25784320.0
# TYPE oldest_seconds gauge
oldest_seconds NaN
# EOF
"#;

fn reading(text: &str, name: &str) -> Option<(f64, bool)> {
    read(text, &[name])[0].map(|reading| (reading.value, reading.is_counter))
}

#[test]
fn open_metrics_are_summed_over_labels_past_exemplars() {
    let table = [
        ("spillway_intake_requests_total", Some((7.5, true))),
        ("spillway_intake_ack_seconds_count", Some((3.0, true))),
        ("spillway_intake_ack_seconds_bucket", Some((4.0, true))),
        ("process_cpu_seconds_total", Some((0.02, true))),
        ("process_resident_memory_bytes", Some((25_784_320.0, false))),
        ("process_resident_memory", None),
        ("spillway_intake_requests", None),
        ("# EOF", None),
    ];
    for (name, wanted) in table {
        assert_eq!(reading(OPEN_METRICS, name), wanted, "{name}");
    }
    assert!(reading(OPEN_METRICS, "oldest_seconds").is_some_and(|(value, _)| value.is_nan()));
    let all = names(OPEN_METRICS);
    assert!(all.contains("process_cpu_seconds_total") && all.len() == 8, "{all:?}");
}

#[test]
fn prometheus_text_with_timestamps_and_without_types_is_read() {
    let text = "# TYPE a_total counter\na_total{x=\"1\"}\t2 1395066363000\na_total{x=\"2\",} 3 1395066363000\n\
                b_total 1e3\n  c 4\nd_total 5\n# TYPE d_total gauge\nsummary_count 6\n# TYPE summary summary\nsummary 9\n";
    let table = [
        ("a_total", (5.0, true)),
        ("b_total", (1_000.0, true)),
        ("c", (4.0, false)),
        ("d_total", (5.0, false)),
        ("summary_count", (6.0, true)),
        ("summary", (9.0, false)),
    ];
    for (name, wanted) in table {
        assert_eq!(reading(text, name), Some(wanted), "{name}");
    }
}

#[test]
fn what_is_no_metric_is_passed_over() {
    for text in [
        "",
        "<html>\n<body>",
        "a",
        "a{b=\"c\" 1",
        "a{b=\"c\\\"} 1",
        "{} 1",
        "a one",
        "#",
        "# TYPE",
        "a{} ",
        "é{ü=\"}\"}",
    ] {
        assert_eq!(read(text, &["a", "é", "<html>"]), [None; 3], "{text}");
        assert!(names(text).is_empty(), "{text}");
    }
}
