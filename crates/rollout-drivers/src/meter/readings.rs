//! What guards read that does not come from blocks.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use spillway_model::UnixMillis;
use spillway_rollout::observed::Reading;
use spillway_rollout::spec::{Budget, Guard, ThresholdMetric};
use spillway_rollout::{Plan, Slot};
use spillway_slo::budget;

use super::alerts;
use super::prometheus::Prometheus;
use super::sample::{ProcessSample, SlotSample};
use crate::http::HttpClient;
use crate::secrets::Secrets;

/// Window of a budget that names none.
const USUAL_WINDOW: Duration = Duration::from_secs(30 * 86_400);

/// One look at all guards.
pub(super) struct Asked<'a> {
    pub(super) http: &'a HttpClient,
    pub(super) secrets: &'a dyn Secrets,
    pub(super) plan: &'a Plan,
    pub(super) candidate: Option<Slot>,
    pub(super) now: UnixMillis,
    pub(super) timeout: Duration,
}

impl Asked<'_> {
    /// Every reading that is asked of a server, by the guard's name. Thresholds are asked while there is a candidate.
    pub(super) async fn read(&self) -> BTreeMap<String, Reading> {
        let each = self.plan.guards.iter().map(|guard| async {
            let reading = match self.guard(guard).await? {
                Ok(reading) => reading,
                Err(reason) => Reading::Nothing { reason, at: self.now },
            };
            Some((guard.name.clone(), reading))
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    async fn guard(&self, guard: &Guard) -> Option<Result<Reading, String>> {
        let at = self.now;
        if let Some(query) = guard.threshold.as_ref().and_then(|threshold| threshold.query.as_ref()) {
            let query = query.replace("{slot}", self.candidate?.name());
            return Some(self.number(&query).await.map(|value| Reading::Value { value, at }));
        }
        if let Some(budget) = &guard.budget {
            return Some(self.budget(budget).await);
        }
        if let Some(wanted) = &guard.alerts {
            let firing = alerts::firing(self, wanted).await;
            return Some(firing.map(|firing| Reading::Alerts { firing, at }));
        }
        None
    }

    async fn budget(&self, budget: &Budget) -> Result<Reading, String> {
        let window = budget.window.map_or(USUAL_WINDOW, |window| window.0);
        let window = format!("{}ms", window.as_millis());
        let [bad, total] = [&budget.bad, &budget.total].map(|query| query.replace("{window}", &window));
        let (bad, total) = tokio::try_join!(self.number(&bad), self.number(&total))?;
        if bad < 0.0 || total < 0.0 {
            return Err("a number of events is negative: correct the budget's queries".to_owned());
        }
        Ok(Reading::Budget { reading: budget::Reading { bad, total }, at: self.now })
    }

    async fn number(&self, query: &str) -> Result<f64, String> {
        self.prometheus().await?.number(query).await
    }

    /// The plan's Prometheus.
    pub(super) async fn prometheus(&self) -> Result<Prometheus<'_>, String> {
        let source = self.plan.analysis.prometheus.as_ref();
        let source = source.ok_or("a query needs a Prometheus: give analysis.prometheus.url")?;
        Prometheus::open(self.http, source, self.secrets, self.timeout).await
    }
}

/// Adds the readings that come with a sample of the candidate.
pub(super) fn of_sample(
    plan: &Plan,
    slot: Slot,
    sample: Option<&SlotSample>,
    at: UnixMillis,
    readings: &mut BTreeMap<String, Reading>,
) {
    for guard in &plan.guards {
        let Some(metric) = guard.threshold.as_ref().and_then(|threshold| threshold.metric) else { continue };
        let (of_process, what): (fn(&ProcessSample) -> Option<f64>, _) = match metric {
            ThresholdMetric::PoolUsage => (pool_usage, "usage of a database pool"),
            ThresholdMetric::MemoryBytes => (|process| process.memory, "resident memory"),
            ThresholdMetric::ErrorRatio
            | ThresholdMetric::LatencyP50
            | ThresholdMetric::LatencyP95
            | ThresholdMetric::LatencyP99
            | ThresholdMetric::Restarts => continue,
        };
        // The worst process counts: an exhausted pool or a leak of one is not made good by the others.
        let processes = sample.into_iter().flat_map(|sample| sample.processes.values());
        let worst = processes.filter_map(of_process).filter(|value| value.is_finite()).reduce(f64::max);
        let reading = match worst {
            Some(value) => Reading::Value { value, at },
            None => Reading::Nothing { reason: format!("the candidate ({slot}) tells no {what}"), at },
        };
        readings.insert(guard.name.clone(), reading);
    }
}

fn pool_usage(process: &ProcessSample) -> Option<f64> {
    let max = process.pool_max.filter(|max| *max > 0.0)?;
    Some(process.pool_used? / max)
}
