//! The instants at which iterations start.
//!
//! The area under the rate's curve counts iterations. An arrival lies where that area reaches its own mark, so that nothing drifts and what
//! a stage leaves over belongs to the next one. Even marks are whole numbers; those of a Poisson process of the same rate have exponential
//! gaps of mean one (the time-rescaling theorem).

use std::time::Duration;

use crate::options::{ExecutorPlan, Spacing};
use crate::segment::SegmentedIndex;

/// Within so much of an iteration two areas are the same: sums of stages are not exact.
const SAME: f64 = 1e-6;

/// Starts of the segment's iterations in ascending order, lazily. Executors without a rate have none.
///
/// At a constant rate the first iteration starts at once and the last one before the end. A ramp begins with an area of zero: its first
/// iteration starts where one whole iteration is due, and one that is due at the very end starts there, as in k6.
pub fn arrivals(executor: &ExecutorPlan, segment: &SegmentedIndex) -> impl Iterator<Item = Duration> + Send + use<> {
    let curve = Curve::of(executor);
    let spacing = match executor {
        ExecutorPlan::ConstantArrivalRate { spacing, .. } | ExecutorPlan::RampingArrivalRate { spacing, .. } => {
            *spacing
        }
        _ => Spacing::Even,
    };
    Arrivals {
        marks: match spacing {
            Spacing::Even => Marks::Even { first: curve.first, segment: segment.clone(), number: 0 },
            Spacing::Poisson { seed } => {
                Marks::Poisson { random: SplitMix64(seed), segment: segment.clone(), index: 0, area: 0.0 }
            }
        },
        open: spacing != Spacing::Even || matches!(executor, ExecutorPlan::ConstantArrivalRate { .. }),
        curve,
        stage: 0,
    }
}

/// Evenly spaced starts of all segments together.
pub(super) fn number(executor: &ExecutorPlan) -> u64 {
    let curve = Curve::of(executor);
    let area = curve.stages.last().map_or(0.0, |stage| stage.area_at_end);
    match executor {
        // The one at the end does not count, the one at the start does.
        ExecutorPlan::ConstantArrivalRate { .. } => (area - SAME).ceil() as u64,
        _ => (area + SAME).floor() as u64,
    }
}

struct Arrivals {
    curve: Curve,
    marks: Marks,
    /// The stage that the last arrival lies in.
    stage: usize,
    /// Nothing starts at the very end.
    open: bool,
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let area = self.marks.next();
        let stages = self.curve.stages.get(self.stage..)?;
        let last = stages.len().checked_sub(1)?;
        let reaches = |(place, stage): (usize, &CurveStage)| {
            if self.open && place == last { area < stage.area_at_end - SAME } else { area <= stage.area_at_end + SAME }
        };
        let Some(place) = stages.iter().enumerate().position(reaches) else {
            self.stage = self.curve.stages.len();
            return None;
        };
        self.stage += place;
        Some(self.curve.stages[self.stage].reaches(area))
    }
}

/// The rate over time.
struct Curve {
    stages: Vec<CurveStage>,
    /// The area at which the first even arrival lies.
    first: f64,
}

struct CurveStage {
    begin: Duration,
    /// Nanoseconds, never zero.
    length: f64,
    /// Iterations per nanosecond.
    from: f64,
    to: f64,
    area_at_begin: f64,
    area_at_end: f64,
}

impl Curve {
    fn of(executor: &ExecutorPlan) -> Self {
        match executor {
            ExecutorPlan::ConstantArrivalRate { rate, time_unit, duration, .. } => {
                Self { stages: curve(*rate, *time_unit, [(*duration, *rate)].into_iter()), first: 0.0 }
            }
            ExecutorPlan::RampingArrivalRate { start_rate, time_unit, stages, .. } => {
                let stages = stages.iter().map(|stage| (stage.duration, stage.target));
                Self { stages: curve(*start_rate, *time_unit, stages), first: 1.0 }
            }
            _ => Self { stages: Vec::new(), first: 0.0 },
        }
    }
}

/// A stage without length is a jump: it has no area and only changes what the next one begins with.
fn curve(mut from: f64, time_unit: Duration, stages: impl Iterator<Item = (Duration, f64)>) -> Vec<CurveStage> {
    let unit = time_unit.as_nanos() as f64;
    let (mut begin, mut area) = (Duration::ZERO, 0.0);
    let mut curve = Vec::new();
    for (duration, to) in stages {
        let length = duration.as_nanos() as f64;
        if length > 0.0 {
            let area_at_begin = area;
            area += length * (from + to) / (2.0 * unit);
            curve.push(CurveStage {
                begin,
                length,
                from: from / unit,
                to: to / unit,
                area_at_begin,
                area_at_end: area,
            });
            begin = begin.saturating_add(duration);
        }
        from = to;
    }
    curve
}

impl CurveStage {
    /// When the area under the curve is `area`.
    ///
    /// This solves `area = from·t + (to − from)·t²/(2·length)` for `t`. The root is written so that it neither divides by zero nor cancels
    /// when the stage is flat.
    fn reaches(&self, area: f64) -> Duration {
        let own = (area - self.area_at_begin).max(0.0);
        let discriminant = self.length * (self.from * self.from * self.length + 2.0 * own * (self.to - self.from));
        let divisor = self.from * self.length + discriminant.max(0.0).sqrt();
        let time = if own > 0.0 && divisor > 0.0 { 2.0 * own * self.length / divisor } else { 0.0 };
        self.begin.saturating_add(Duration::from_nanos(time.min(self.length).round() as u64))
    }
}

/// The areas at which a segment's arrivals lie, without end.
enum Marks {
    Even {
        first: f64,
        segment: SegmentedIndex,
        number: u64,
    },
    /// Every segment draws the whole process, and takes what is its own.
    Poisson {
        random: SplitMix64,
        segment: SegmentedIndex,
        index: u64,
        area: f64,
    },
}

impl Marks {
    fn next(&mut self) -> f64 {
        match self {
            Self::Even { first, segment, number } => {
                let index = segment.nth(*number);
                *number += 1;
                *first + index as f64
            }
            Self::Poisson { random, segment, index, area } => loop {
                *area += random.exponential();
                let own = segment.owns(*index);
                *index += 1;
                if own {
                    return *area;
                }
            },
        }
    }
}

/// Steele, Lea and Flood's generator: small, and the same numbers on every machine and in every version.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Exponentially distributed with mean one.
    fn exponential(&mut self) -> f64 {
        // From above 0 up to 1, so that the logarithm is finite.
        let uniform = ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -uniform.ln()
    }
}
