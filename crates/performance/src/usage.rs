//! What a process used, minute by minute, and what it could take.

use crate::metric::{CounterMetric, GaugeMetric};
use crate::recorder::Recorder;

const MINUTE_S: i64 = 60;
const DAY_S: i64 = 86_400;
/// Minutes in which the processor was less busy say nothing about how much it could do.
const BUSY_RATIO: f64 = 0.2;
/// Busy minutes that must have been seen.
const BUSY_MINUTES_NEEDED: usize = 10;
/// Share of the processor time that can be used before waiting times grow.
const USABLE_RATIO: f64 = 0.9;

impl Recorder {
    /// The value that a share `q` of the minutes of a gauge did not exceed, among those of the last 24 hours in which it was sampled.
    #[must_use]
    pub fn quantile_of_minutes(&self, metric: GaugeMetric, q: f64, now_s: i64) -> Option<f64> {
        let mut minutes = Vec::new();
        let ring = self.levels(metric).with_step(MINUTE_S)?;
        ring.each(now_s - DAY_S, now_s + 1, |_, level| minutes.extend(level.mean()));
        quantile(minutes, q)
    }

    /// Minutes of the last 24 hours that were observed at least in part.
    #[must_use]
    pub fn observed_minutes(&self, now_s: i64) -> u32 {
        let mut n_minutes = 0;
        if let Some(ring) = self.covered_rings().with_step(MINUTE_S) {
            ring.each(now_s - DAY_S, now_s + 1, |_, _| n_minutes += 1);
        }
        n_minutes
    }

    /// Events a second that this node could take: what it took in each minute of the last 24 hours that kept its processor busy, for each share
    /// of processor time it took, up to 90 %; the median of them. `None` with fewer than ten such minutes: an idle node does not show what
    /// it could do.
    #[must_use]
    pub fn capacity(&self, now_s: i64) -> Option<f64> {
        let cpu = self.levels(GaugeMetric::CpuRatio).with_step(MINUTE_S)?;
        let mut per_processor_time = Vec::new();
        cpu.each(now_s - DAY_S, now_s + 1, |at_s, level| {
            let rate = self.rate_of_minute(at_s);
            if let (Some(cpu), Some(rate)) = (level.mean().filter(|cpu| *cpu >= BUSY_RATIO), rate) {
                per_processor_time.push(rate / cpu);
            }
        });
        if per_processor_time.len() < BUSY_MINUTES_NEEDED {
            return None;
        }
        quantile(per_processor_time, 0.5).map(|rate| rate * USABLE_RATIO).filter(|rate| *rate >= 1.0)
    }

    fn rate_of_minute(&self, at_s: i64) -> Option<f64> {
        let covered = self.covered_rings().with_step(MINUTE_S)?.at(at_s).0;
        let received = self.counter(CounterMetric::IntakeReceived).with_step(MINUTE_S)?.at(at_s).0;
        (covered > 0).then(|| f64::from(received) / f64::from(covered))
    }
}

/// The value with this rank.
fn quantile(mut values: Vec<f64>, q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    values.sort_by(f64::total_cmp);
    let rank = (q.clamp(0.0, 1.0) * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1).min(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An hour with the same load in every second.
    fn hour(received: u64, cpu: f64) -> (Recorder, i64) {
        let mut recorder = Recorder::default();
        let now_s = 10_000_000 + 3_600;
        for at_s in now_s - 3_600..now_s {
            recorder.observe(at_s);
            recorder.count(CounterMetric::IntakeReceived, at_s, received);
            recorder.gauge(GaugeMetric::CpuRatio, at_s, Some(cpu));
        }
        (recorder, now_s - 1)
    }

    #[test]
    fn capacity_is_what_a_busy_processor_shows() {
        let (recorder, now_s) = hour(200, 0.4);
        let capacity = recorder.capacity(now_s).expect("a busy hour");
        assert!((capacity - 450.0).abs() < 10.0, "200/s at 40 % are 450/s at 90 %: {capacity}");
        let (recorder, now_s) = hour(200, 0.1);
        assert_eq!(recorder.capacity(now_s), None, "an idle processor");
        let (recorder, now_s) = hour(0, 0.5);
        assert_eq!(recorder.capacity(now_s), None, "busy with something else");
    }

    #[test]
    fn the_minutes_of_a_day_have_percentiles() {
        let mut recorder = Recorder::default();
        for minute in 1..=100 {
            recorder.gauge(GaugeMetric::Memory, minute * MINUTE_S, Some(minute as f64));
        }
        let of = |q| recorder.quantile_of_minutes(GaugeMetric::Memory, q, 100 * MINUTE_S);
        assert_eq!((of(0.95), of(0.5), of(1.0)), (Some(95.0), Some(50.0), Some(100.0)));
        assert_eq!(recorder.quantile_of_minutes(GaugeMetric::Disk, 0.5, 0), None);
        let (recorder, now_s) = hour(0, 0.0);
        assert_eq!(recorder.observed_minutes(now_s), 61, "an hour that begins within a minute");
    }
}
