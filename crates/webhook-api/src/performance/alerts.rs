//! What the alerts look at, and telling what changed.

use spillway_performance::alerts::{Alert, AlertId, Readings};
use spillway_performance::{CounterMetric, GaugeMetric, LatencyMetric};
use spillway_telemetry::{AlertName, Label as _, Metrics};

use super::State;

/// Fewer requests in five minutes say nothing about a share or a percentile.
const REQUESTS_NEEDED: u64 = 50;
const FIVE_MINUTES_S: i64 = 300;
const MINUTE_S: i64 = 60;
const DAY_MS: f64 = 86_400_000.0;

/// What is not in the rings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    pub(super) now_ms: i64,
    pub(super) queue_ratio: f64,
    pub(super) coordination_answers: bool,
    pub(super) certificate_expires_at: Option<i64>,
}

/// Alerts that began, and those that ended, at a look.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct AlertChanges {
    pub(crate) began: Vec<Alert>,
    pub(crate) ended: Vec<AlertId>,
}

impl State {
    /// Looks at all rules.
    pub(super) fn look(&mut self, present: &Present) -> AlertChanges {
        let readings = self.readings(present);
        let before = self.board.active();
        self.board.evaluate(present.now_ms.div_euclid(1_000), &readings);
        let after = self.board.active();
        let same = |a: &Alert, b: &Alert| a.id == b.id && a.severity == b.severity;
        AlertChanges {
            ended: before.iter().filter(|old| after.iter().all(|new| new.id != old.id)).map(|old| old.id).collect(),
            began: after.into_iter().filter(|new| !before.iter().any(|old| same(old, new))).collect(),
        }
    }

    fn readings(&self, present: &Present) -> Readings {
        let now_s = present.now_ms.div_euclid(1_000);
        let (from, to) = (now_s + 1 - FIVE_MINUTES_S, now_s + 1);
        let share = |part, whole| {
            let n = self.recorder.counted(whole, from, to);
            (n >= REQUESTS_NEEDED).then(|| self.recorder.counted(part, from, to) as f64 / n as f64)
        };
        let percentile = |metric, q| {
            let durations = self.recorder.durations(metric, from, to);
            if durations.count() >= REQUESTS_NEEDED { durations.quantile(q) } else { None }
        };
        let mean = |metric| self.recorder.level(metric, now_s + 1 - MINUTE_S, to).mean();
        let flag = |is_so: bool| f64::from(u8::from(is_so));
        let mut readings = Readings::default();
        use CounterMetric as C;
        for (id, value) in [
            (AlertId::IntakeErrors, share(C::IntakePlatformErrors, C::IntakeReceived)),
            (AlertId::ApiErrors, share(C::ApiPlatformErrors, C::ApiRequests)),
            (AlertId::DeliveryErrors, share(C::AttemptsPlatformErrors, C::Attempts)),
            (AlertId::IntakeLatency, percentile(LatencyMetric::Acknowledgement, 0.95)),
            (AlertId::IntakeLatencyTail, percentile(LatencyMetric::Acknowledgement, 0.99)),
            (AlertId::ApiLatency, percentile(LatencyMetric::Api, 0.95)),
            (AlertId::ApiLatencyTail, percentile(LatencyMetric::Api, 0.99)),
            (AlertId::Cpu, mean(GaugeMetric::CpuRatio)),
            (AlertId::Memory, mean(GaugeMetric::MemoryRatio)),
            (AlertId::Disk, self.host.disk_ratio()),
            (AlertId::StorePool, mean(GaugeMetric::PoolRatio)),
            (AlertId::IntakeQueue, Some(present.queue_ratio)),
            (
                AlertId::CertificateExpiry,
                present.certificate_expires_at.map(|at| (at - present.now_ms) as f64 / DAY_MS),
            ),
            (AlertId::StoreDown, self.checks.store_answers.map(|answers| flag(!answers))),
            (AlertId::CoordinationDown, Some(flag(!present.coordination_answers))),
            (AlertId::QueueAge, mean(GaugeMetric::OldestDue)),
        ] {
            readings.set(id, value);
        }
        readings
    }

    /// Exports which alerts are on.
    pub(super) fn export(&self, metrics: &Metrics) {
        for name in AlertName::ALL {
            let is_on = AlertId::ALL.iter().any(|id| id.as_str() == name.value() && self.board.severity(*id).is_some());
            metrics.alert_active.get(*name).set(f64::from(u8::from(is_on)));
        }
    }
}

impl AlertChanges {
    /// Says once that an alert began, got worse or better, or ended.
    pub(super) fn log(&self) {
        for alert in &self.began {
            let (id, severity) = (alert.id.as_str(), alert.severity.as_str());
            tracing::warn!(alert = id, severity, runbook = runbook(alert.id), "{}", alert.text);
        }
        for id in &self.ended {
            tracing::info!(alert = id.as_str(), "the alert {} is over", id.as_str());
        }
    }
}

/// The page that says what to do.
pub(crate) fn runbook(id: AlertId) -> String {
    format!("runbooks/alerts/{}.md", id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_has_its_label() {
        let labels: Vec<_> = AlertName::ALL.iter().map(|name| name.value()).collect();
        let ids: Vec<_> = AlertId::ALL.iter().map(|id| id.as_str()).collect();
        assert_eq!(labels, ids);
    }
}
