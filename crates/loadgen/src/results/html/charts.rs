//! The charts of a report.

use crate::metrics::{Metric, Second, Trend, Values};
use crate::observe::ObservedSeries;
use crate::results::summary::milliseconds;
use crate::results::{RunSummary, points, text};
use maud::{Markup, html};
use spillway_report::plot::{ACCENT, Axis, BAD, BAR, BASELINE, LOAD, MUTED, P50, P95, P99, Size, chart, clock, times};

/// Bars of the histogram.
const BARS: usize = 56;

/// The horizontal axis of all charts over time.
fn time_axis(summary: &RunSummary) -> Axis {
    let end = summary.timeline.last().map_or(0.0, |last| last.at_ms + last.duration_ms);
    Axis::Linear(0.0, end.max(milliseconds(summary.duration)).max(1.0))
}

/// Percentiles over time, the load behind them.
pub(super) fn latency(summary: &RunSummary, baseline: Option<&RunSummary>) -> Markup {
    let timeline = &summary.timeline;
    let Some(time) = timeline.iter().any(|second| second.p50_ms.is_some()).then(|| time_axis(summary)) else {
        return html! { p.muted { "No request ended in this run." } };
    };
    type Percentile = fn(&Second) -> Option<f64>;
    let before =
        baseline.map(|run| run.timeline.as_slice()).filter(|before| before.iter().any(|one| one.p95_ms.is_some()));
    let p95: Percentile = |second| second.p95_ms;
    let lines: [(&str, Percentile, _); 3] =
        [("p50", |second| second.p50_ms, P50), ("p95", p95, P95), ("p99", |second| second.p99_ms, P99)];
    let all = timeline.iter().flat_map(|second| [second.p50_ms, second.p95_ms, second.p99_ms]);
    let all = all.chain(before.into_iter().flatten().map(|second| second.p95_ms)).flatten();
    let load = Axis::from_zero(timeline.iter().map(Second::rate).fold(0.0, f64::max));
    let about =
        format!("Latency percentiles over time; p95 of the whole run is {}", text::time_or_none(summary.latency(95.0)));
    chart([Size::wide(300), Size::narrow(240)], &about, (time, Axis::log(all)), |plot| {
        let seconds = points::fewer(timeline, plot.size.points);
        let end = seconds.last().map_or(0.0, |last| last.at_ms + last.duration_ms);
        let rates: Vec<_> = seconds.iter().map(|second| (second.at_ms, second.rate())).collect();
        plot.area(&rates, end, load, LOAD)?;
        plot.rows(7, text::time)?;
        plot.columns(&times(time, plot.size.labels), clock)?;
        let of = |seconds: &[Second], percentile: Percentile| -> Vec<_> {
            seconds.iter().map(|second| (second.at_ms + second.duration_ms / 2.0, percentile(second))).collect()
        };
        let last = |line: &[(f64, Option<f64>)]| line.iter().rev().find_map(|(_, value)| *value);
        if let Some(before) = before {
            let line = of(&points::fewer(before, plot.size.points / 2), p95);
            plot.line(&line, BASELINE, 1)?;
            if let Some(last) = last(&line) {
                plot.label(last, None, BASELINE, "p95 before".to_owned());
            }
        }
        for (name, percentile, colour) in lines {
            let line = of(&seconds, percentile);
            plot.line(&line, colour, 2)?;
            if let Some(last) = last(&line) {
                plot.label(last, None, colour, format!("{name} {}", text::time(last)));
            }
        }
        if let Some((_, last)) = rates.iter().rev().find(|(_, rate)| *rate > 0.0) {
            plot.label(*last, Some(load), MUTED, format!("load {}", text::rate(*last)));
        }
        Ok(())
    })
}

/// Failed requests and dropped iterations over time, where there are any.
pub(super) fn trouble(summary: &RunSummary) -> Markup {
    let per_second = |second: &Second, n: u64| {
        if second.duration_ms > 0.0 { n as f64 * 1e3 / second.duration_ms } else { 0.0 }
    };
    type Counter = fn(&Second) -> u64;
    let panels: [(&str, Counter); 2] =
        [("failed requests", |second| second.errors), ("dropped iterations", |second| second.dropped)];
    let time = time_axis(summary);
    html! {
        @for (name, counter) in panels {
            @let all = summary.timeline.iter().map(|second| per_second(second, counter(second)));
            @let most = all.fold(0.0, f64::max);
            @if most > 0.0 {
                h3 { (name) " " small { "per second" } }
                (chart([Size::wide(110), Size::narrow(110)], &name, (time, Axis::from_zero(most)), |plot| {
                    let seconds = points::fewer(&summary.timeline, plot.size.points);
                    let end = seconds.last().map_or(0.0, |last| last.at_ms + last.duration_ms);
                    let line: Vec<_> =
                        seconds.iter().map(|second| (second.at_ms, per_second(second, counter(second)))).collect();
                    plot.rows(2, text::rate)?;
                    plot.columns(&times(time, plot.size.labels), clock)?;
                    plot.area(&line, end, Axis::from_zero(most), BAD)
                }))
            }
        }
    }
}

/// How many requests took how long.
pub(super) fn histogram(summary: &RunSummary) -> Markup {
    let Some(Values::Trend(trend)) = summary.total(Metric::HttpReqDuration) else { return html! {} };
    let (Some(min), Some(max)) = (trend.min(), trend.max()) else { return html! {} };
    let ms = |micros: u64| micros.max(1) as f64 / 1e3;
    let axis = Axis::log([ms(min), ms(max)].into_iter());
    let Axis::Log(from, to) = axis else { return html! {} };
    let edge = |n: usize| from * (to / from).powf(n as f64 / BARS as f64);
    let shares = shares(&trend, |value| (value / from).ln() / (to / from).ln());
    let most = shares.iter().copied().fold(0.0, f64::max);
    let marks =
        [(50.0, P50), (95.0, P95), (99.0, P99)].map(|(percent, colour)| (percent, summary.latency(percent), colour));
    let about = "Histogram of response times";
    chart([Size::wide(220), Size::narrow(200)], &about, (axis, Axis::Linear(0.0, most * 1.25)), |plot| {
        plot.rows(4, text::percent)?;
        plot.columns(&axis.ticks(plot.size.labels), text::time)?;
        for (n, share) in shares.iter().enumerate() {
            plot.bar(edge(n), edge(n + 1), *share, BAR)?;
        }
        for (row, (percent, value, colour)) in (0..).zip(marks) {
            if let Some(value) = value {
                plot.mark(value, row, colour, &format!("p{percent} {}", text::time(value)))?;
            }
        }
        Ok(())
    })
}

/// The share of samples in each bar. `place` tells where on the axis, from 0 to 1, a time in milliseconds lies.
fn shares(trend: &Trend, place: impl Fn(f64) -> f64) -> [f64; BARS] {
    let mut shares = [0.0; BARS];
    for bucket in trend.buckets() {
        let middle = f64::midpoint(bucket.low as f64, bucket.high as f64).max(1.0) / 1e3;
        let bar = ((place(middle) * BARS as f64).max(0.0) as usize).min(BARS - 1);
        shares[bar] += bucket.count as f64 / trend.count() as f64;
    }
    shares
}

/// A measurement of the target over the time of the run.
pub(super) fn observed(summary: &RunSummary, series: &ObservedSeries) -> Markup {
    let time = time_axis(summary);
    let most = series.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let axis = Axis::from_zero(most);
    chart([Size::wide(120), Size::narrow(120)], &series.name, (time, axis), |plot| {
        let points = points::fewer_pairs(&series.points, plot.size.points / 3);
        let line: Vec<_> = points.iter().map(|(at, value)| (*at, Some(*value))).collect();
        plot.rows(3, |value| text::quantity(value, series.unit))?;
        plot.columns(&times(time, plot.size.labels), clock)?;
        plot.line(&line, ACCENT, 2)?;
        if let Some((_, last)) = points.last() {
            plot.label(*last, None, ACCENT, text::quantity(*last, series.unit));
        }
        Ok(())
    })
}
