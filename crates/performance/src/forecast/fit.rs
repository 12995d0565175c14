//! Fitting a model, and reading off when it reaches a limit.

use augurs_core::{Fit as _, Predict as _};
use augurs_ets::AutoETS;
use augurs_ets::model::TrendComponent;

use super::{ForecastPoint, History};

/// Most steps that are forecast.
const LONGEST_HORIZON: usize = 360;
/// A series that moves by less of its size does not move.
const STILL: f64 = 1e-9;

/// A model's course with its interval, by steps after the history's end.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    pub(super) model: String,
    last: f64,
    likely: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// Standard deviations on each side of the likely course that the interval reaches.
    z: f64,
}

/// When a limit is reached, in steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Crossing {
    pub(super) likely: Option<f64>,
    pub(super) earliest: Option<f64>,
    pub(super) latest: Option<f64>,
    pub(super) probability: f64,
}

/// Fits a model; `None` when none can be found.
pub(super) fn fit(history: &History, level: f64) -> Option<Fitted> {
    let values = history.values();
    let horizon = (2 * values.len()).min(LONGEST_HORIZON);
    let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(least, most), v| (least.min(*v), most.max(*v)));
    let range = most - least;
    let z = distrs::Normal::ppf(0.5 + level / 2.0, 0.0, 1.0);
    if range <= STILL * most.abs().max(least.abs()) {
        let still = vec![history.last(); horizon];
        let (lower, upper) = (still.clone(), still.clone());
        return Some(Fitted { model: "constant".to_owned(), last: history.last(), likely: still, lower, upper, z });
    }
    // Bytes and shares alike, the search for parameters sees numbers around one.
    let scaled: Vec<f64> = values.iter().map(|value| (value - least) / range).collect();
    let fitted = AutoETS::new(1, "AZN").ok()?.fit(&scaled).ok()?;
    let forecast = fitted.predict(horizon, level).ok()?;
    let intervals = forecast.intervals?;
    let back = |values: Vec<f64>| values.into_iter().map(|value| value * range + least).collect::<Vec<_>>();
    let (likely, lower, upper) = (back(forecast.point), back(intervals.lower), back(intervals.upper));
    let is_whole = [&likely, &lower, &upper].iter().all(|values| values.len() == horizon && all_finite(values));
    let damped = if fitted.model().damped() { "d" } else { "" };
    let model = match fitted.model().model_type().trend {
        TrendComponent::None => "ETS(A,N,N)".to_owned(),
        _ => format!("ETS(A,A{damped},N)"),
    };
    is_whole.then(|| Fitted { model, last: history.last(), likely, lower, upper, z })
}

fn all_finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

impl Fitted {
    pub(super) fn horizon(&self) -> usize {
        self.likely.len()
    }

    /// Whether the likely course ends higher than it begins.
    pub(super) fn grows(&self) -> bool {
        match (self.likely.first(), self.likely.last()) {
            (Some(first), Some(last)) => last - first > STILL * first.abs().max(1.0),
            _ => false,
        }
    }

    pub(super) fn crossing(&self, limit: f64) -> Crossing {
        let probability = |(likely, upper): (&f64, &f64)| {
            let deviation = (upper - likely) / self.z;
            if deviation > 0.0 {
                distrs::Normal::cdf((likely - limit) / deviation, 0.0, 1.0)
            } else {
                f64::from(u8::from(*likely >= limit))
            }
        };
        Crossing {
            likely: first_at(self.last, &self.likely, limit),
            earliest: first_at(self.last, &self.upper, limit),
            latest: first_at(self.last, &self.lower, limit),
            probability: self.likely.iter().zip(&self.upper).map(probability).fold(0.0, f64::max),
        }
    }

    /// The course in at most `most` points, the last step among them.
    pub(super) fn points(&self, history: &History, most: usize) -> Vec<ForecastPoint> {
        let every = self.horizon().div_ceil(most.max(1)).max(1);
        let steps = (1..=self.horizon()).rev().step_by(every).map(|step| ForecastPoint {
            at_s: history.end_s() + step as i64 * history.step_s(),
            value: self.likely[step - 1],
            lower: self.lower[step - 1],
            upper: self.upper[step - 1],
        });
        let mut points: Vec<_> = steps.collect();
        points.reverse();
        points
    }
}

/// Steps until a course that starts at `start` reaches the limit, read off along a line between two steps.
fn first_at(start: f64, course: &[f64], limit: f64) -> Option<f64> {
    let step = course.iter().position(|value| *value >= limit)?;
    let before = if step == 0 { start } else { course[step - 1] };
    let way = course[step] - before;
    let part = if way > 0.0 { ((limit - before) / way).clamp(0.0, 1.0) } else { 1.0 };
    Some(step as f64 + part)
}
