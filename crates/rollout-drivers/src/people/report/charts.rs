//! The charts of a report: traffic, evidence and errors on one time axis.

use maud::{Markup, html};
use spillway_report::plot::{
    ACCENT, Axis, BAD, BAR, BASELINE, MUTED, P50, P95, Plot, RGBColor, Size, chart, clock, times,
};
use spillway_report::text;
use spillway_rollout::decision::NoteKind;
use spillway_rollout::spec::CompareMetric;
use spillway_rollout::state::Total;

use crate::people::series::{EvidencePoint, Point, Series};
use crate::people::values::metric;
use crate::people::view::View;

/// Marks of decisions in a chart at most.
const MOST_MARKS: usize = 6;

/// What is counted of a version.
type Counted = fn(&Point) -> Total;

/// Time since the first point on one axis for all charts.
struct Time {
    from: i64,
    axis: Axis,
}

impl Time {
    fn of(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let length = last.at.saturating_sub(first.at).max(1) as f64;
        Some(Self { from: first.at, axis: Axis::Linear(0.0, length) })
    }

    fn at(&self, at: i64) -> f64 {
        at.saturating_sub(self.from) as f64
    }

    fn end(&self) -> f64 {
        let Axis::Linear(_, end) = self.axis else { return 0.0 };
        end
    }

    fn columns(&self, plot: &Plot<'_>) -> Result<(), spillway_report::plot::Failure> {
        plot.columns(&times(self.axis, plot.size.labels), clock)
    }
}

/// Every `n`th point, so that a small chart is not drawn with more than it can show. The last one stays.
fn fewer(points: &[Point], most: usize) -> Vec<&Point> {
    let every = points.len().div_ceil(most.max(1)).max(1);
    let last = points.len().saturating_sub(1);
    points.iter().enumerate().filter(|(n, _)| n.is_multiple_of(every) || *n == last).map(|(_, point)| point).collect()
}

/// Weight over time with marks where it was decided.
pub(super) fn weight(view: &View, series: &Series) -> Markup {
    let points = series.points();
    let Some(time) = Time::of(points) else { return html! { p.muted { "Nothing was recorded yet." } } };
    let most = points.iter().map(|point| point.weight.max(point.mirror)).max().unwrap_or(0);
    let full = Axis::Linear(0.0, 110.0);
    let about = format!("Share of the traffic over time, at most {most} %");
    chart([Size::wide(220), Size::narrow(180)], &about, (time.axis, full), |plot| {
        plot.rows_at(&[0.0, 25.0, 50.0, 75.0, 100.0], |percent| format!("{percent} %"))?;
        time.columns(plot)?;
        let of = |what: fn(&Point) -> u8| -> Vec<(f64, f64)> {
            points.iter().map(|point| (time.at(point.at), f64::from(what(point)))).collect()
        };
        plot.area(&of(|point| point.weight), time.end(), full, BAR)?;
        if points.iter().any(|point| point.mirror > 0) {
            let copies: Vec<_> = of(|point| point.mirror).into_iter().map(|(x, y)| (x, Some(y))).collect();
            plot.line(&copies, P95, 2)?;
            plot.label(points.last().map_or(0.0, |last| f64::from(last.mirror)), None, P95, "copies".to_owned());
        }
        for (row, (at, colour, name)) in marks(view, time.from).into_iter().enumerate() {
            plot.mark(time.at(at), i32::try_from(row % 3).unwrap_or(0), colour, name)?;
        }
        plot.label(points.last().map_or(0.0, |last| f64::from(last.weight)), None, ACCENT, "traffic".to_owned());
        Ok(())
    })
}

/// What is worth a line: not each weight, which the picture shows.
fn marks(view: &View, from: i64) -> Vec<(i64, RGBColor, &'static str)> {
    let all = view.state.history.iter().filter(|happened| happened.at >= from).filter_map(|happened| {
        let (colour, name) = match happened.kind {
            NoteKind::RolledBack => (BAD, "rolled back"),
            NoteKind::Aborted => (BAD, "aborted"),
            NoteKind::Held => (MUTED, "held"),
            NoteKind::Promoted => (ACCENT, "promoted"),
            NoteKind::Succeeded => (ACCENT, "done"),
            _ => return None,
        };
        Some((happened.at, colour, name))
    });
    let all: Vec<_> = all.collect();
    all.into_iter().rev().take(MOST_MARKS).rev().collect()
}

/// Evidence of each comparison between its two limits.
pub(super) fn evidence(series: &Series) -> Markup {
    let points = series.points();
    let Some(time) = Time::of(points) else { return html! {} };
    if points.iter().all(|point| point.evidence.is_empty()) {
        return html! { p.muted { "No evidence was recorded: the plan compares nothing, or nothing was measured." } };
    }
    let limits = Axis::Linear(-1.05, 1.05);
    let about = "Evidence over time, between its limits: below roll back, above promote";
    chart([Size::wide(220), Size::narrow(180)], &about, (time.axis, limits), |plot| {
        plot.rows_at(&[-1.0, 0.0, 1.0], |limit| {
            match limit {
                limit if limit < 0.0 => "roll back",
                limit if limit > 0.0 => "promote",
                _ => "none",
            }
            .to_owned()
        })?;
        time.columns(plot)?;
        let ends = |limit: f64| [(0.0, Some(limit)), (time.end(), Some(limit))];
        plot.line(&ends(-1.0), BAD, 1)?;
        plot.line(&ends(1.0), BASELINE, 1)?;
        let shown = fewer(points, plot.size.points);
        for (wanted, colour) in [(CompareMetric::Errors, P50), (CompareMetric::Latency, P95)] {
            let of = |way: fn(&EvidencePoint) -> f64| -> Vec<(f64, Option<f64>)> {
                let value = |point: &Point| point.evidence.iter().find(|one| one.metric == wanted).map(way);
                shown.iter().map(|point| (time.at(point.at), value(point))).collect()
            };
            for line in [of(|one| one.pass), of(|one| -one.roll_back)] {
                plot.line(&line, colour, 2)?;
                if let Some(last) = line.iter().rev().find_map(|(_, value)| *value).filter(|last| *last != 0.0) {
                    plot.label(last, None, colour, metric(wanted).to_owned());
                }
            }
        }
        Ok(())
    })
}

/// Error ratio of both versions, between two points each.
pub(super) fn errors(series: &Series) -> Markup {
    let points = series.points();
    let Some(time) = Time::of(points) else { return html! {} };
    let most = |of: Counted| ratios(&points.iter().collect::<Vec<_>>(), of).into_iter().flatten().fold(0.0, f64::max);
    if points.last().is_none_or(|last| last.candidate.requests + last.live.requests == 0) {
        return html! { p.muted { "No requests were measured." } };
    }
    let axis = Axis::from_zero(most(|point| point.candidate).max(most(|point| point.live)).max(0.001));
    chart([Size::wide(160), Size::narrow(150)], &"Error ratio of both versions over time", (time.axis, axis), |plot| {
        plot.rows(4, text::percent)?;
        time.columns(plot)?;
        let shown = fewer(points, plot.size.points);
        let sides: [(&str, Counted, RGBColor); 2] =
            [("live", |point| point.live, MUTED), ("candidate", |point| point.candidate, ACCENT)];
        for (name, of, colour) in sides {
            let line: Vec<_> = shown.iter().map(|point| time.at(point.at)).zip(ratios(&shown, of)).collect();
            plot.line(&line, colour, 2)?;
            if let Some(last) = line.iter().rev().find_map(|(_, value)| *value) {
                plot.label(last, None, colour, name.to_owned());
            }
        }
        Ok(())
    })
}

/// Errors among the requests since the point before; `None` without requests.
fn ratios(points: &[&Point], of: Counted) -> Vec<Option<f64>> {
    let mut before = Total::default();
    points
        .iter()
        .map(|point| {
            let now = of(point);
            let requests = now.requests.saturating_sub(before.requests);
            let errors = now.errors.saturating_sub(before.errors);
            before = now;
            (requests > 0).then(|| errors as f64 / requests as f64)
        })
        .collect()
}
