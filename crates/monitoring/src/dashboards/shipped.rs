//! The dashboards that are shipped.

use super::Kind::{Curves, Number, Table};
use super::Unit::{Bytes, Count, PerSecond, Seconds, Share};
use super::{Dashboard, Kind, Panel, Query, Row, Unit};

/// All of them.
#[must_use]
pub fn shipped() -> Vec<Dashboard> {
    vec![application(), slo(), infrastructure(), queue(), rollout(), load_test()]
}

fn panel<const N: usize>(
    title: &'static str,
    kind: Kind,
    unit: Unit,
    queries: [(&'static str, &'static str); N],
) -> Panel {
    Panel { title, kind, unit, queries: queries.map(|(legend, expr)| Query { expr, legend }).into() }
}

fn row<const N: usize>(title: &'static str, panels: [Panel; N]) -> Row {
    Row { title, panels: panels.into() }
}

fn application() -> Dashboard {
    let rows = vec![
        row(
            "Now",
            [
                panel(
                    "Received",
                    Number,
                    PerSecond,
                    [(
                        "received",
                        r#"sum(rate(spillway_intake_requests_total{outcome=~"accepted|duplicate"}[$__rate_interval]))"#,
                    )],
                ),
                panel(
                    "Acknowledgement p99",
                    Number,
                    Seconds,
                    [(
                        "p99",
                        "histogram_quantile(0.99, sum by (le) (rate(spillway_intake_ack_seconds_bucket[$__rate_interval])))",
                    )],
                ),
                panel(
                    "Delivered",
                    Number,
                    PerSecond,
                    [("delivered", r#"sum(rate(spillway_deliveries_total{outcome="delivered"}[$__rate_interval]))"#)],
                ),
                panel("Oldest waiting", Number, Seconds, [("oldest", "max(spillway_oldest_due_seconds)")]),
            ],
        ),
        row(
            "Intake",
            [
                panel(
                    "Requests by outcome",
                    Curves,
                    PerSecond,
                    [("{{outcome}}", "sum by (outcome) (rate(spillway_intake_requests_total[$__rate_interval]))")],
                ),
                panel(
                    "Acknowledgement",
                    Curves,
                    Seconds,
                    [
                        (
                            "p50",
                            "histogram_quantile(0.5, sum by (le) (rate(spillway_intake_ack_seconds_bucket[$__rate_interval])))",
                        ),
                        (
                            "p95",
                            "histogram_quantile(0.95, sum by (le) (rate(spillway_intake_ack_seconds_bucket[$__rate_interval])))",
                        ),
                        (
                            "p99",
                            "histogram_quantile(0.99, sum by (le) (rate(spillway_intake_ack_seconds_bucket[$__rate_interval])))",
                        ),
                    ],
                ),
                panel(
                    "Refused by our fault",
                    Curves,
                    Share,
                    [(
                        "share",
                        r#"sum(rate(spillway_intake_requests_total{outcome=~"queue_full|store_error"}[$__rate_interval])) / sum(rate(spillway_intake_requests_total[$__rate_interval]))"#,
                    )],
                ),
            ],
        ),
        row(
            "Delivery",
            [
                panel(
                    "Attempts by how they ended",
                    Curves,
                    PerSecond,
                    [("{{class}}", "sum by (class) (rate(spillway_attempts_total[$__rate_interval]))")],
                ),
                panel(
                    "From receipt to delivery",
                    Curves,
                    Seconds,
                    [
                        (
                            "p50",
                            "histogram_quantile(0.5, sum by (le) (rate(spillway_delivery_latency_seconds_bucket[$__rate_interval])))",
                        ),
                        (
                            "p95",
                            "histogram_quantile(0.95, sum by (le) (rate(spillway_delivery_latency_seconds_bucket[$__rate_interval])))",
                        ),
                        (
                            "p99",
                            "histogram_quantile(0.99, sum by (le) (rate(spillway_delivery_latency_seconds_bucket[$__rate_interval])))",
                        ),
                    ],
                ),
                panel(
                    "Requests to destinations",
                    Curves,
                    Seconds,
                    [
                        (
                            "p50",
                            "histogram_quantile(0.5, sum by (le) (rate(spillway_attempt_seconds_bucket[$__rate_interval])))",
                        ),
                        (
                            "p95",
                            "histogram_quantile(0.95, sum by (le) (rate(spillway_attempt_seconds_bucket[$__rate_interval])))",
                        ),
                        (
                            "p99",
                            "histogram_quantile(0.99, sum by (le) (rate(spillway_attempt_seconds_bucket[$__rate_interval])))",
                        ),
                    ],
                ),
            ],
        ),
        row(
            "API",
            [
                panel(
                    "Requests by status",
                    Curves,
                    PerSecond,
                    [(
                        "{{http_response_status_code}}",
                        "sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Slowest routes, p95",
                    Curves,
                    Seconds,
                    [(
                        "{{http_route}}",
                        "topk(5, histogram_quantile(0.95, sum by (le, http_route) (rate(http_server_request_duration_seconds_bucket[$__rate_interval]))))",
                    )],
                ),
            ],
        ),
    ];
    Dashboard { uid: "application", title: "Application", description: "Is anything wrong right now?", rows }
}

fn slo() -> Dashboard {
    let rows = vec![
        row(
            "Budgets",
            [
                panel("Error budget used", Table, Share, [("{{slo}}", "slo:error_budget_used:ratio")]),
                panel(
                    "Burn rate of the last hour",
                    Table,
                    Count,
                    [("{{slo}}", "slo:sli_error:ratio_1h / on (slo, service) slo:error_budget:ratio")],
                ),
            ],
        ),
        row(
            "Over time",
            [
                panel("Error budget used", Curves, Share, [("{{slo}}", "slo:error_budget_used:ratio")]),
                panel("Good events of the last hour", Curves, Share, [("{{slo}}", "1 - slo:sli_error:ratio_1h")]),
            ],
        ),
        row(
            "Burn rates",
            [
                panel(
                    "One hour",
                    Curves,
                    Count,
                    [("{{slo}}", "slo:sli_error:ratio_1h / on (slo, service) slo:error_budget:ratio")],
                ),
                panel(
                    "Six hours",
                    Curves,
                    Count,
                    [("{{slo}}", "slo:sli_error:ratio_6h / on (slo, service) slo:error_budget:ratio")],
                ),
                panel(
                    "Three days",
                    Curves,
                    Count,
                    [("{{slo}}", "slo:sli_error:ratio_3d / on (slo, service) slo:error_budget:ratio")],
                ),
            ],
        ),
    ];
    Dashboard { uid: "slo", title: "Objectives", description: "May we ship?", rows }
}

fn infrastructure() -> Dashboard {
    let rows = vec![
        row(
            "Processes",
            [
                panel(
                    "Processor",
                    Curves,
                    Count,
                    [("{{instance}}", "rate(process_cpu_seconds_total[$__rate_interval])")],
                ),
                panel("Resident memory", Curves, Bytes, [("{{instance}}", "process_resident_memory_bytes")]),
                panel("Open files", Curves, Count, [("{{instance}}", "process_open_fds")]),
            ],
        ),
        row(
            "Disk and network",
            [
                panel(
                    "Written",
                    Curves,
                    Bytes,
                    [("{{instance}}", "rate(process_disk_written_bytes_total[$__rate_interval])")],
                ),
                panel(
                    "Read",
                    Curves,
                    Bytes,
                    [("{{instance}}", "rate(process_disk_read_bytes_total[$__rate_interval])")],
                ),
                panel(
                    "Network",
                    Curves,
                    Bytes,
                    [
                        ("{{instance}} in", "rate(process_network_receive_bytes_total[$__rate_interval])"),
                        ("{{instance}} out", "rate(process_network_transmit_bytes_total[$__rate_interval])"),
                    ],
                ),
            ],
        ),
        row(
            "Store",
            [
                panel(
                    "Work on the store, p95",
                    Curves,
                    Seconds,
                    [(
                        "{{query}}",
                        "histogram_quantile(0.95, sum by (le, query) (rate(spillway_store_query_seconds_bucket[$__rate_interval])))",
                    )],
                ),
                panel(
                    "Connections",
                    Curves,
                    Count,
                    [("{{instance}} {{state}}", "sum by (instance, state) (spillway_store_pool_connections)")],
                ),
                panel(
                    "Wait for a connection, p99",
                    Curves,
                    Seconds,
                    [(
                        "p99",
                        "histogram_quantile(0.99, sum by (le) (rate(spillway_store_pool_wait_seconds_bucket[$__rate_interval])))",
                    )],
                ),
            ],
        ),
        row(
            "Around it",
            [
                panel("Connections at nginx", Curves, Count, [("{{state}}", "sum by (state) (nginx_connections)")]),
                panel("Redis lost", Curves, Count, [("{{instance}}", "spillway_coordination_degraded")]),
                panel("Up", Curves, Count, [("{{job}} {{instance}}", "up")]),
                panel("Versions", Table, Count, [("{{instance}}", "spillway_build_info")]),
            ],
        ),
    ];
    Dashboard { uid: "infrastructure", title: "Infrastructure", description: "Do the machines suffice?", rows }
}

fn queue() -> Dashboard {
    let rows = vec![
        row(
            "Waiting",
            [
                panel("Oldest due", Curves, Seconds, [("{{instance}}", "spillway_oldest_due_seconds")]),
                panel("Pending deliveries", Curves, Count, [("{{instance}}", "spillway_pending_deliveries")]),
                panel("Ready queue", Curves, Count, [("{{instance}}", "spillway_ready_queue_depth")]),
            ],
        ),
        row(
            "Commit",
            [
                panel("Waiting for their commit", Curves, Count, [("{{instance}}", "spillway_intake_queue_depth")]),
                panel(
                    "Commit",
                    Curves,
                    Seconds,
                    [
                        (
                            "p50",
                            "histogram_quantile(0.5, sum by (le) (rate(spillway_commit_seconds_bucket[$__rate_interval])))",
                        ),
                        (
                            "p99",
                            "histogram_quantile(0.99, sum by (le) (rate(spillway_commit_seconds_bucket[$__rate_interval])))",
                        ),
                    ],
                ),
                panel(
                    "Events in a commit",
                    Curves,
                    Count,
                    [(
                        "mean",
                        "sum(rate(spillway_commit_batch_events_sum[$__rate_interval])) / sum(rate(spillway_commit_batch_events_count[$__rate_interval]))",
                    )],
                ),
            ],
        ),
        row(
            "Outcomes",
            [
                panel(
                    "Deliveries that ended",
                    Curves,
                    PerSecond,
                    [("{{outcome}}", "sum by (outcome) (rate(spillway_deliveries_total[$__rate_interval]))")],
                ),
                panel("Open breakers", Curves, Count, [("{{instance}}", "spillway_breaker_open")]),
                panel("Share of the worker", Curves, Share, [("{{instance}}", "spillway_worker_share_ratio")]),
            ],
        ),
    ];
    Dashboard { uid: "queue", title: "Queue and workers", description: "Do deliveries keep up?", rows }
}

fn rollout() -> Dashboard {
    let rows = vec![
        row(
            "Rollouts",
            [
                panel("Weight of the candidate", Curves, Share, [("{{rollout}}", "spillway_rollout_weight / 100")]),
                panel("Phase", Table, Count, [("{{rollout}} {{phase}}", "spillway_rollout_phase == 1")]),
            ],
        ),
        row(
            "Beside it",
            [
                panel(
                    "Errors of ours by node",
                    Curves,
                    Share,
                    [(
                        "{{instance}}",
                        r#"sum by (instance) (rate(spillway_intake_requests_total{outcome=~"queue_full|store_error"}[$__rate_interval])) / sum by (instance) (rate(spillway_intake_requests_total[$__rate_interval]))"#,
                    )],
                ),
                panel(
                    "Acknowledgement p99 by node",
                    Curves,
                    Seconds,
                    [(
                        "{{instance}}",
                        "histogram_quantile(0.99, sum by (le, instance) (rate(spillway_intake_ack_seconds_bucket[$__rate_interval])))",
                    )],
                ),
                panel("Budget used", Curves, Share, [("{{slo}}", "slo:error_budget_used:ratio")]),
            ],
        ),
    ];
    Dashboard { uid: "rollout", title: "Rollouts", description: "Is the new version better or worse?", rows }
}

fn load_test() -> Dashboard {
    let rows = vec![
        row(
            "Last runs",
            [
                panel("Passed", Table, Count, [("{{test}}", "loadtest_slo_passed")]),
                panel(
                    "Latency",
                    Table,
                    Count,
                    [
                        ("p50 {{test}}", "loadtest_latency_p50_ms"),
                        ("p95 {{test}}", "loadtest_latency_p95_ms"),
                        ("p99 {{test}}", "loadtest_latency_p99_ms"),
                    ],
                ),
            ],
        ),
        row(
            "Over time",
            [
                panel("p95 in milliseconds", Curves, Count, [("{{test}}", "loadtest_latency_p95_ms")]),
                panel("Throughput", Curves, PerSecond, [("{{test}}", "loadtest_throughput_rps")]),
                panel("Errors in percent", Curves, Count, [("{{test}}", "loadtest_error_rate_percent")]),
            ],
        ),
    ];
    Dashboard { uid: "load-test", title: "Load tests", description: "Did it get slower?", rows }
}
