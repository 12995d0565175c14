use super::*;
use crate::business::BusinessKind;

const NOW: i64 = 1_767_225_600;

/// `n` seconds until now, with ten requests in each.
fn observed(seconds: i64) -> Recorder {
    let mut recorder = Recorder::default();
    for at_s in NOW - seconds + 1..=NOW {
        recorder.observe(at_s);
        recorder.count(CounterMetric::IntakeReceived, at_s, 10);
        recorder.gauge(GaugeMetric::PoolUsed, at_s, Some((at_s % 2) as f64));
        recorder.latency(LatencyMetric::Api, at_s, &Histogram::of(0.003));
    }
    recorder
}

#[test]
fn points_are_whole_steps_of_what_is_kept() {
    let recorder = observed(600);
    for (window, points, step_s, n) in [
        (TrendWindow::Hour, 60, 60, 60),
        (TrendWindow::Hour, 720, 10, 360),
        (TrendWindow::Hour, 7, 540, 7),
        (TrendWindow::Day, 60, 1_440, 60),
        (TrendWindow::Day, 720, 120, 720),
        (TrendWindow::Month, 60, 43_200, 60),
        (TrendWindow::Month, 30, 86_400, 30),
    ] {
        let series = recorder.trend("intake_received", window, points, NOW).expect("a series");
        assert_eq!((series.span.step_s, series.points.len()), (step_s, n), "{} in {points}", window.as_str());
        assert!(series.span.to_s > NOW && series.span.to_s - step_s <= NOW);
        assert!(series.points.iter().all(|point| point.at_s % step_s == 0));
    }
}

#[test]
fn a_rate_is_of_the_time_that_was_observed_and_absent_where_none_was() {
    let recorder = observed(90);
    let series = recorder.trend("intake_received", TrendWindow::Hour, 60, NOW).expect("a series");
    let values: Vec<_> = series.points.iter().map(|point| point.value).collect();
    assert_eq!(&values[57..], [Some(10.0), Some(10.0), Some(10.0)]);
    assert!(values[..57].iter().all(Option::is_none));
    let month = recorder.trend("intake_received", TrendWindow::Month, 30, NOW).expect("a series");
    assert_eq!(month.points.last().and_then(|point| point.value), Some(10.0), "90 of 86,400 seconds");
}

#[test]
fn gauges_have_a_mean_and_a_peak_and_latencies_their_distribution() {
    let recorder = observed(120);
    let pool = recorder.trend("pool_used", TrendWindow::Hour, 60, NOW).expect("a series");
    let point = pool.points[58];
    assert_eq!((point.value, point.max, pool.unit.as_str()), (Some(0.5), Some(1.0), "connections"));
    let api = recorder.trend("api", TrendWindow::Hour, 60, NOW).expect("a series");
    let point = api.points[58];
    assert_eq!((point.value, point.durations.map(|it| it.count())), (Some(1.0), Some(60)));
    assert!(api.points[0].durations.is_none() && api.points[0].value.is_none());
}

#[test]
fn what_users_record_is_a_trend_too() {
    let mut recorder = observed(60);
    let business = recorder.business_mut();
    business.record("revenue", BusinessKind::Counter, "EUR", NOW, 120.5).expect("recorded");
    business.record("stock", BusinessKind::Gauge, "", NOW - 60, 4.0).expect("recorded");
    business.record("stock", BusinessKind::Gauge, "", NOW, 8.0).expect("recorded");
    let revenue = recorder.trend("revenue", TrendWindow::Hour, 60, NOW).expect("a series");
    assert_eq!((revenue.kind, revenue.unit.as_str()), (MetricKind::Counter, "EUR"));
    assert_eq!(revenue.points.last().and_then(|point| point.value), Some(120.5 / 120.0));
    let stock = recorder.trend("stock", TrendWindow::Month, 2, NOW).expect("a series");
    assert_eq!(stock.points.last().and_then(|point| point.value), Some(6.0), "the mean of each day's last value");
    assert_eq!(recorder.trend("nothing", TrendWindow::Hour, 60, NOW), None);
}

#[test]
fn windows_have_names() {
    for window in TrendWindow::ALL {
        assert_eq!(TrendWindow::named(window.as_str()), Some(window));
    }
    assert_eq!(TrendWindow::named("1w"), None);
    assert!(Amount::default().is_empty() && Last::default().is_empty());
}
