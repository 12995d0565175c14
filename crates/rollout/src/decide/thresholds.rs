//! Limits on values, over consecutive windows.
//!
//! A window without data is no window: it neither fails, nor ends a row of failing ones, nor lets anything pass.

use std::time::Duration;

use spillway_model::UnixMillis;
use spillway_slo::duration::Timespan;

use super::histogram::{Percentile, percentile};
use super::look::{Look, later, millis, millis_between};
use super::text;
use crate::observed::{Block, Counts, Reading};
use crate::spec::{Guard, Threshold, ThresholdMetric};
use crate::state::{GuardStatus, Progress, Verdict};

/// Looks after which a reading, or a window, is old.
const STALE_LOOKS: u64 = 4;
const STALE_LEAST_MS: u64 = 60_000;

impl Look<'_> {
    /// Adds a block to the guard's present window, and judges the window when it is whole.
    pub(super) fn gather_window(
        &self,
        threshold: &Threshold,
        status: &mut GuardStatus,
        block: &Block,
        counts: Option<&Counts>,
    ) {
        let Some(measured) = Measured::of(threshold) else { return };
        let begins = *status.last_window.get_or_insert(block.begins_at());
        if let Some(counts) = counts {
            measured.gather(&mut status.gathered, counts);
        }
        if millis_between(begins, block.at) < window_ms(threshold) {
            return;
        }
        let gathered = std::mem::take(&mut status.gathered);
        status.last_window = Some(block.at);
        match measured.value(&gathered, &block.boundaries, threshold.max) {
            Ok(value) => count_window(threshold, status, value),
            Err(why) => no_data(threshold, status, why),
        }
    }

    /// Reads a threshold now: its newest reading, or whether its last window is too old.
    pub(super) fn read_threshold(
        &self,
        guard: &Guard,
        threshold: &Threshold,
        progress: &Progress,
        status: &mut GuardStatus,
    ) {
        if Measured::of(threshold).is_some() {
            let stale = 2 * window_ms(threshold) + self.stale_ms();
            if status.last_window.is_none_or(|at| millis_between(at, self.now) > stale) {
                no_data(threshold, status, "no whole window in this step yet");
            }
            return;
        }
        let read = self.fresh(&guard.name, progress).and_then(|reading| match reading {
            Reading::Value { value, at } if value.is_finite() => Ok((*value, *at)),
            Reading::Value { .. } => Err("the value is no number".to_owned()),
            Reading::Nothing { reason, .. } => Err(reason.clone()),
            Reading::Alerts { .. } | Reading::Budget { .. } => Err("what was read is no value".to_owned()),
        });
        let read = match threshold.metric {
            Some(ThresholdMetric::Restarts) => self.restarts(progress).map(|restarts| match &read {
                Ok((value, _)) => (restarts.max(*value), self.now),
                Err(_) => (restarts, self.now),
            }),
            _ => read,
        };
        match read {
            Ok((value, at)) => take_reading(threshold, status, value, at),
            Err(why) => no_data(threshold, status, &why),
        }
    }

    /// Restarts of the version under test since it became ready.
    fn restarts(&self, progress: &Progress) -> Result<f64, String> {
        let slot = self.observed.slots.get(progress.slot);
        if slot.revision.as_ref() != Some(&progress.revision) {
            return Err(format!("{} is not in its slot", progress.revision));
        }
        Ok(f64::from(slot.restarts.saturating_sub(progress.memory.restarts_before)))
    }

    /// The guard's reading, if it was made in this step and lately.
    pub(super) fn fresh(&self, name: &str, progress: &Progress) -> Result<&Reading, String> {
        let reading = self.observed.readings.get(name).ok_or("not read yet")?;
        let at = reading.at();
        if at < progress.memory.entered_at {
            Err("not read in this step yet".to_owned())
        } else if millis_between(at, self.now) > self.stale_ms() {
            Err("not read lately".to_owned())
        } else {
            Ok(reading)
        }
    }

    fn stale_ms(&self) -> u64 {
        STALE_LOOKS.saturating_mul(self.interval_ms()).max(STALE_LEAST_MS)
    }
}

/// What a threshold makes of the requests of a window.
#[derive(Debug, Clone, Copy)]
enum Measured {
    ErrorRatio,
    Latency(f64),
}

impl Measured {
    fn of(threshold: &Threshold) -> Option<Self> {
        match threshold.metric? {
            ThresholdMetric::ErrorRatio => Some(Self::ErrorRatio),
            ThresholdMetric::LatencyP50 => Some(Self::Latency(0.5)),
            ThresholdMetric::LatencyP95 => Some(Self::Latency(0.95)),
            ThresholdMetric::LatencyP99 => Some(Self::Latency(0.99)),
            ThresholdMetric::PoolUsage | ThresholdMetric::Restarts | ThresholdMetric::MemoryBytes => None,
        }
    }

    fn gather(self, gathered: &mut Vec<u64>, counts: &Counts) {
        let add: Vec<u64> = match self {
            Self::ErrorRatio => vec![counts.requests, counts.errors.min(counts.requests)],
            Self::Latency(_) => std::iter::once(counts.timed).chain(counts.slower.iter().copied()).collect(),
        };
        if gathered.len() == add.len() {
            gathered.iter_mut().zip(add).for_each(|(sum, n)| *sum = sum.saturating_add(n));
        } else {
            // The first of the window, or other buckets than before.
            *gathered = add;
        }
    }

    fn value(self, gathered: &[u64], boundaries: &[f64], max: f64) -> Result<f64, &'static str> {
        let none = "no requests in the last window";
        let (requests, rest) = gathered.split_first().filter(|(requests, _)| **requests > 0).ok_or(none)?;
        match self {
            #[expect(clippy::cast_precision_loss, reason = "a share of more than 2^53 requests is exact enough")]
            Self::ErrorRatio => rest.first().map(|errors| *errors as f64 / *requests as f64).ok_or(none),
            Self::Latency(q) => match percentile(q, *requests, rest, boundaries) {
                Some(Percentile::At(seconds)) => Ok(seconds),
                // More than the limit, whatever it is exactly: any number beyond the limit says so.
                Some(Percentile::Beyond(last)) if last >= max => Ok(last.next_up()),
                Some(Percentile::Beyond(_)) => {
                    Err("the histogram ends below the limit, and the percentile is beyond its end")
                }
                None => Err("no latency histogram in the last window"),
            },
        }
    }
}

fn window_ms(threshold: &Threshold) -> u64 {
    millis(threshold.window.map_or(Duration::from_secs(60), |Timespan(window)| window))
}

/// A reading is taken at once by a threshold of one window, and once a window by others.
fn take_reading(threshold: &Threshold, status: &mut GuardStatus, value: f64, at: UnixMillis) {
    let windows = threshold.windows.unwrap_or(1);
    if windows > 1 && status.last_window.is_some_and(|last| at < later(last, window_ms(threshold))) {
        if status.windows_beyond == 0 && status.verdict == Verdict::Inconclusive && value <= threshold.max {
            say(threshold, status, value);
        }
        return;
    }
    status.last_window = Some(at);
    count_window(threshold, status, value);
}

fn count_window(threshold: &Threshold, status: &mut GuardStatus, value: f64) {
    status.windows_beyond = if value > threshold.max { status.windows_beyond.saturating_add(1) } else { 0 };
    say(threshold, status, value);
}

fn say(threshold: &Threshold, status: &mut GuardStatus, value: f64) {
    let windows = threshold.windows.unwrap_or(1).max(1);
    status.value = Some(value);
    status.limit = Some(threshold.max);
    status.verdict = match status.windows_beyond {
        0 => Verdict::Good,
        beyond if beyond >= windows => Verdict::Failed,
        _ => Verdict::Inconclusive,
    };
    let (shown, limit) = (text::value(threshold, value), text::value(threshold, threshold.max));
    let row = match status.windows_beyond {
        0 => String::new(),
        beyond if windows > 1 => format!(", {} of {windows} windows in a row", beyond.min(windows)),
        _ => String::new(),
    };
    status.text = format!("{} {shown}, at most {limit}{row}", text::subject(threshold));
}

/// What was beyond the limit before stays counted.
fn no_data(threshold: &Threshold, status: &mut GuardStatus, why: &str) {
    status.verdict = Verdict::Inconclusive;
    status.value = None;
    status.limit = Some(threshold.max);
    status.text = why.to_owned();
}

impl Reading {
    /// When it was read.
    pub(super) fn at(&self) -> UnixMillis {
        match self {
            Self::Value { at, .. } | Self::Alerts { at, .. } | Self::Budget { at, .. } | Self::Nothing { at, .. } => {
                *at
            }
        }
    }
}
