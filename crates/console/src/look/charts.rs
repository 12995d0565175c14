//! Charts: one colour for each meaning, on every page.

use maud::{Markup, html};
use serde_json::Value;
use spillway_report::plot::{
    ACCENT, Axis, BAD, Failure, LOAD, MUTED, P50, P95, P99, Plot, RGBColor, Size, chart, spark,
};
use spillway_report::text;

use crate::read::Read as _;

/// Marks of deployments and rollouts that one chart shows.
const MAX_MARKS: usize = 6;

/// What is drawn of a trend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    /// The field of each point.
    pub(crate) field: &'static str,
    pub(crate) colour: RGBColor,
}

/// Received.
pub(crate) const RECEIVED: RGBColor = ACCENT;
/// Delivered.
pub(crate) const DELIVERED: RGBColor = P50;
/// Failed.
pub(crate) const FAILED: RGBColor = BAD;

/// The percentiles of a latency.
pub(crate) const PERCENTILES: [Line; 3] = [
    Line { name: "p50", field: "/p50_ms", colour: P50 },
    Line { name: "p95", field: "/p95_ms", colour: P95 },
    Line { name: "p99", field: "/p99_ms", colour: P99 },
];

/// An instant that every chart marks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) at: i64,
    pub(crate) text: String,
}

/// One point of a line.
type Point = (f64, Option<f64>);

/// The points of a trend: instant and value.
pub(crate) fn points(trend: &Value, field: &str) -> Vec<Point> {
    let of = |point: &Value| Some((point.instant("/at")? as f64, point.number(field)));
    trend.list("/points").iter().filter_map(of).collect()
}

/// Minutes below which a small line would be a stroke at the edge.
const FEWEST: usize = 10;

/// A trend drawn small; nothing while there is too little of it.
pub(crate) fn small(trend: Option<&Value>, field: &str, colour: RGBColor, about: &str) -> Markup {
    let points = trend.map(|trend| points(trend, field)).unwrap_or_default();
    html! {
        @if points.iter().filter(|(_, value)| value.is_some()).count() >= FEWEST {
            (spark(&points, colour, about))
        } @else {
            div.spark-empty {}
        }
    }
}

/// Rates over time, from zero.
pub(crate) fn rates(about: &str, lines: &[(Line, &Value)], marks: &[Mark]) -> Markup {
    let series = series(lines);
    let most = values(&series).fold(0.0, f64::max);
    draw(about, &series, Axis::from_zero(most), 180, marks, text::rate)
}

/// Latencies over time, on a logarithmic axis, with the load behind them.
pub(crate) fn latencies(about: &str, trend: &Value, marks: &[Mark]) -> Markup {
    let lines: Vec<(Line, &Value)> = PERCENTILES.iter().map(|line| (*line, trend)).collect();
    let series = series(&lines);
    let axis = Axis::log(values(&series).collect::<Vec<_>>().into_iter());
    draw(about, &series, axis, 220, marks, text::time)
}

/// A measurement over time, from zero.
pub(crate) fn gauge(about: &str, line: Line, trend: &Value, write: impl Fn(f64) -> String) -> Markup {
    let series = series(&[(line, trend)]);
    let most = values(&series).fold(0.0, f64::max);
    draw(about, &series, Axis::from_zero(most), 140, &[], write)
}

/// What is expected: the line, between what it is at least and at most, and the limit.
pub(crate) fn forecast(about: &str, forecast: &Value, write: impl Fn(f64) -> String) -> Markup {
    let middle = points(forecast, "/value");
    let (lower, upper) = (points(forecast, "/lower"), points(forecast, "/upper"));
    let limit = forecast.number("/limit");
    let most = [&middle, &upper].into_iter().flatten().filter_map(|(_, value)| *value).chain(limit).fold(0.0, f64::max);
    let Some(time) = time_axis([&middle].into_iter()) else { return html! {} };
    let axis = Axis::from_zero(most);
    chart([Size::wide(160), Size::narrow(150)], &about, (time, axis), |plot| {
        plot.rows(3, &write)?;
        columns(plot, time)?;
        plot.line(&lower, MUTED, 1)?;
        plot.line(&upper, MUTED, 1)?;
        plot.line(&middle, ACCENT, 2)?;
        if let Some(limit) = limit {
            let ends = [middle.first(), middle.last()].into_iter().flatten().map(|(at, _)| (*at, Some(limit)));
            plot.line(&ends.collect::<Vec<_>>(), BAD, 1)?;
            plot.label(limit, None, BAD, "limit".to_owned());
        }
        if let Some(last) = middle.iter().rev().find_map(|(_, value)| *value) {
            plot.label(last, None, ACCENT, write(last));
        }
        Ok(())
    })
}

/// A share in percent over time: steps from nothing to all.
pub(crate) fn steps(about: &str, line: &[(f64, f64)], end: f64, marks: &[Mark]) -> Markup {
    let Some(first) = line.first() else { return html! {} };
    let time = Axis::Linear(first.0, end.max(first.0 + 1.0));
    let axis = Axis::Linear(0.0, 100.0);
    chart([Size::wide(150), Size::narrow(140)], &about, (time, axis), |plot| {
        plot.rows_at(&[0.0, 50.0, 100.0], |value| format!("{value:.0} %"))?;
        plot.area(line, end, axis, LOAD)?;
        let stairs: Vec<Point> = line
            .iter()
            .enumerate()
            .flat_map(|(place, (at, share))| {
                let next = line.get(place + 1).map_or(end, |(next, _)| *next);
                [(*at, Some(*share)), (next, Some(*share))]
            })
            .collect();
        plot.line(&stairs, ACCENT, 2)?;
        columns(plot, time)?;
        draw_marks(plot, time, marks)?;
        if let Some((_, last)) = line.last() {
            plot.label(*last, None, ACCENT, format!("{last:.0} %"));
        }
        Ok(())
    })
}

/// The lines of a run over its seconds: percentiles with the load behind them.
pub(crate) fn run(about: &str, timeline: &[Value]) -> Markup {
    let of = |field: &'static str| -> Vec<Point> {
        timeline.iter().filter_map(|one| Some((one.number("/at_s")? * 1e3, one.number(field)))).collect()
    };
    let (p50, p99, load) = (of("/p50_ms"), of("/p99_ms"), of("/rate"));
    let end = p50.last().map_or(1.0, |(at, _)| *at).max(1.0);
    let time = Axis::Linear(0.0, end);
    let all: Vec<f64> = p50.iter().chain(&p99).filter_map(|(_, value)| *value).collect();
    let behind: Vec<(f64, f64)> = load.iter().map(|(at, value)| (*at, value.unwrap_or_default())).collect();
    let behind_axis = Axis::from_zero(behind.iter().map(|(_, value)| *value).fold(0.0, f64::max));
    chart([Size::wide(220), Size::narrow(200)], &about, (time, Axis::log(all.into_iter())), |plot| {
        plot.area(&behind, end, behind_axis, LOAD)?;
        plot.rows(6, text::time)?;
        plot.columns(&spillway_report::plot::times(time, plot.size.labels), spillway_report::plot::clock)?;
        for (name, points, colour) in [("p50", &p50, P50), ("p99", &p99, P99)] {
            plot.line(points, colour, 2)?;
            if let Some(last) = points.iter().rev().find_map(|(_, value)| *value) {
                plot.label(last, None, colour, format!("{name} {}", text::time(last)));
            }
        }
        Ok(())
    })
}

struct Series {
    line: Line,
    points: Vec<Point>,
}

fn series(lines: &[(Line, &Value)]) -> Vec<Series> {
    lines.iter().map(|(line, trend)| Series { line: *line, points: points(trend, line.field) }).collect()
}

fn values(series: &[Series]) -> impl Iterator<Item = f64> + Clone {
    series.iter().flat_map(|one| &one.points).filter_map(|(_, value)| *value)
}

fn draw(
    about: &str,
    series: &[Series],
    axis: Axis,
    height: i32,
    marks: &[Mark],
    write: impl Fn(f64) -> String,
) -> Markup {
    if values(series).next().is_none() {
        return html! { p.muted.no-data { "Nothing was measured in this time." } };
    }
    let Some(time) = time_axis(series.iter().map(|one| &one.points)) else { return html! {} };
    chart([Size::wide(height), Size::narrow(height - 20)], &about, (time, axis), |plot| {
        plot.rows(5, &write)?;
        columns(plot, time)?;
        draw_marks(plot, time, marks)?;
        for Series { line, points } in series {
            plot.line(points, line.colour, 2)?;
            if let Some(last) = points.iter().rev().find_map(|(_, value)| *value) {
                plot.label(last, None, line.colour, format!("{} {}", line.name, write(last)).trim().to_owned());
            }
        }
        Ok(())
    })
}

fn draw_marks(plot: &Plot<'_>, time: Axis, marks: &[Mark]) -> Result<(), Failure> {
    let Axis::Linear(from, to) = time else { return Ok(()) };
    let inside = marks.iter().filter(|mark| (from..=to).contains(&(mark.at as f64)));
    for (row, mark) in (0..).zip(inside.take(MAX_MARKS)) {
        plot.mark(mark.at as f64, row % 3, MUTED, &mark.text)?;
    }
    Ok(())
}

fn time_axis<'p>(lines: impl Iterator<Item = &'p Vec<Point>>) -> Option<Axis> {
    let ends: Vec<f64> = lines.flatten().map(|(at, _)| *at).collect();
    let (from, to) = (ends.iter().copied().reduce(f64::min)?, ends.iter().copied().reduce(f64::max)?);
    Some(Axis::Linear(from, to.max(from + 1.0)))
}

/// The time of the day below a chart, or the day where it is longer than two.
fn columns(plot: &Plot<'_>, time: Axis) -> Result<(), Failure> {
    let Axis::Linear(from, to) = time else { return Ok(()) };
    let n = plot.size.labels.saturating_sub(2).max(2);
    let ticks: Vec<f64> = (0..=n).map(|place| from + (to - from) * place as f64 / n as f64).collect();
    let is_long = to - from > 2.0 * 86_400e3;
    plot.columns(&ticks, |at| {
        let pattern = if is_long { "%b %-d" } else { "%H:%M" };
        jiff::Timestamp::from_millisecond(at as i64).map(|at| at.strftime(pattern).to_string()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(values: &[Option<f64>]) -> Value {
        let point = |(place, value): (usize, &Option<f64>)| serde_json::json!({"at": place as i64 * 60_000, "value": value, "p50_ms": value, "p95_ms": value, "p99_ms": value});
        serde_json::json!({ "points": values.iter().enumerate().map(point).collect::<Vec<_>>() })
    }

    #[test]
    fn charts_have_no_style_of_their_own_and_say_what_they_show() {
        let longer = trend(&[Some(1.5); FEWEST]);
        let trend = trend(&[Some(1.0), None, Some(3.0), Some(2.0)]);
        let drawn = [
            latencies("Acknowledgement", &trend, &[Mark { at: 60_000, text: "deploy <b>".to_owned() }]),
            rates("Received", &[(Line { name: "received", field: "/value", colour: RECEIVED }, &trend)], &[]),
            small(Some(&longer), "/value", RECEIVED, "Received"),
            steps("Weight", &[(0.0, 0.0), (60_000.0, 10.0)], 120_000.0, &[]),
        ];
        for drawing in drawn.map(Markup::into_string) {
            assert!(!drawing.contains("style="), "{drawing}");
            assert!(drawing.contains("aria-label=") && !drawing.contains("<b>"), "{drawing}");
        }
    }

    #[test]
    fn what_was_not_measured_is_said() {
        assert!(latencies("x", &trend(&[None, None]), &[]).into_string().contains("Nothing was measured"));
        let few = trend(&[Some(1.0), Some(2.0)]);
        assert!(!small(Some(&few), "/value", RECEIVED, "x").into_string().contains("<svg"));
        assert!(!small(None, "/value", RECEIVED, "x").into_string().contains("<svg"));
    }
}
