//! Measures both slots and reads guards: metrics of the processes or of a Prometheus, alerts, budgets.

mod alerts;
mod endpoints;
mod exposition;
mod gain;
mod prometheus;
mod range;
mod readings;
mod roles;
mod sample;
mod scrape;
mod selector;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use spillway_model::UnixMillis;
use spillway_rollout::observed::Block;
use spillway_rollout::plan::PlanAnalysis;
use spillway_rollout::ports::{Measured, Meter};
use spillway_rollout::spec::AnalysisSource;
use spillway_rollout::state::State;
use spillway_rollout::{Plan, Slot, Slots};

pub use endpoints::{Endpoints, HostEndpoints};

use crate::http::HttpClient;
use crate::secrets::Secrets;
use prometheus::Prometheus;
use roles::Roles;
use sample::SlotSample;
use selector::Selectors;

/// Longest time of a look, however long the interval is.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// Measures by HTTP. It remembers the last sample only: after a restart the first look sets the base and returns no window.
pub struct HttpMeter {
    http: HttpClient,
    endpoints: Arc<dyn Endpoints>,
    secrets: Arc<dyn Secrets>,
    last: Option<Sample>,
}

/// What was seen at a look.
struct Sample {
    at: UnixMillis,
    /// What it was asked with: a sample of other series is no base.
    analysis: PlanAnalysis,
    slots: Slots<Option<SlotSample>>,
}

/// What a look at one slot gave.
#[derive(Default)]
struct SlotLook {
    /// What answered; `None` when nothing did.
    sample: Option<SlotSample>,
    /// Why the slot's counts are not known. Empty when they are.
    troubles: Vec<String>,
    /// What else is wrong, while the counts are known.
    warnings: Vec<String>,
}

impl HttpMeter {
    /// Measures the slots where `endpoints` says that they are.
    #[must_use]
    pub fn new(http: HttpClient, endpoints: Arc<dyn Endpoints>, secrets: Arc<dyn Secrets>) -> Self {
        Self { http, endpoints, secrets, last: None }
    }

    async fn look(&self, plan: &Plan, selectors: &Selectors, slot: Slot, now: UnixMillis) -> SlotLook {
        let timeout = look_timeout(plan);
        match (plan.analysis.source, &plan.analysis.prometheus) {
            (AnalysisSource::Slots, _) => match self.endpoints.of(plan, slot).await {
                Ok(urls) => scrape::slot(&self.http, &urls, selectors, now, timeout).await,
                Err(error) => SlotLook { troubles: vec![error.to_string()], ..SlotLook::default() },
            },
            (AnalysisSource::Prometheus, Some(source)) => {
                match Prometheus::open(&self.http, source, &*self.secrets, timeout).await {
                    Ok(prometheus) => {
                        let since = self.last.as_ref().map(|last| last.at);
                        let range = range::Range::new(since, now, plan.analysis.interval);
                        range::slot(&prometheus, source, selectors, slot, &range, &plan.guards).await
                    }
                    Err(trouble) => SlotLook { troubles: vec![trouble], ..SlotLook::default() },
                }
            }
            (AnalysisSource::Prometheus, None) => SlotLook {
                troubles: vec!["analysis.source is prometheus: give analysis.prometheus.url".to_owned()],
                ..SlotLook::default()
            },
        }
    }

    async fn look_if(
        &self,
        plan: &Plan,
        selectors: Option<&Selectors>,
        slot: Option<Slot>,
        now: UnixMillis,
    ) -> SlotLook {
        match (selectors, slot) {
            (Some(selectors), Some(slot)) => self.look(plan, selectors, slot, now).await,
            _ => SlotLook::default(),
        }
    }
}

#[async_trait]
impl Meter for HttpMeter {
    async fn sample(&mut self, plan: &Plan, state: &State, now: UnixMillis) -> Measured {
        let mut measured = Measured::default();
        let roles = Roles::of(state);
        let selectors = match Selectors::new(&plan.analysis) {
            Ok(selectors) => Some(selectors),
            Err(trouble) => {
                measured.troubles.push(trouble);
                None
            }
        };
        self.last = self.last.take().filter(|last| last.analysis == plan.analysis);
        let timeout = look_timeout(plan);
        let asked = readings::Asked {
            http: &self.http,
            secrets: &*self.secrets,
            plan,
            candidate: roles.candidate,
            now,
            timeout,
        };
        let (live, candidate, readings) = tokio::join!(
            self.look_if(plan, selectors.as_ref(), Some(roles.live), now),
            self.look_if(plan, selectors.as_ref(), roles.candidate, now),
            asked.read(),
        );
        measured.readings = readings;
        if let Some(slot) = roles.candidate {
            readings::of_sample(plan, slot, candidate.sample.as_ref(), now, &mut measured.readings);
        }
        if roles.is_live_expected {
            tell(&mut measured.troubles, &format!("the live version ({})", roles.live), &live);
        }
        if let Some(slot) = roles.candidate.filter(|_| roles.is_candidate_expected) {
            tell(&mut measured.troubles, &format!("the candidate ({slot})"), &candidate);
        }
        let before = self.last.take();
        let judged_until = state.last_block.unwrap_or(UnixMillis::MIN);
        if let Some(before) = before.as_ref().filter(|before| before.at < now && judged_until <= before.at) {
            let looks = [(roles.candidate, &candidate), (Some(roles.live), &live)];
            measured.blocks.push(block(before, now, looks, &mut measured.troubles));
        }
        let mut slots = Slots { blue: None, green: None };
        for (slot, look) in [(Some(roles.live), live), (roles.candidate, candidate)] {
            if let (Some(slot), Some(mut sample)) = (slot, look.sample) {
                let earlier = before.as_ref().and_then(|before| before.slots.get(slot).as_ref());
                sample.become_base(earlier);
                *slots.get_mut(slot) = Some(sample);
            }
        }
        self.last = Some(Sample { at: now, analysis: plan.analysis.clone(), slots });
        measured
    }
}

/// The window between two looks: the candidate's and the live version's. A slot with trouble, or without an earlier look, has no counts.
fn block(before: &Sample, now: UnixMillis, looks: [(Option<Slot>, &SlotLook); 2], troubles: &mut Vec<String>) -> Block {
    let gains = looks.map(|(slot, look)| {
        let before = before.slots.get(slot?).as_ref()?;
        let after = look.sample.as_ref().filter(|_| look.troubles.is_empty())?;
        Some(gain::gain(before, after))
    });
    let boundaries = gain::boundaries(gains.iter().flatten());
    if boundaries.is_empty() && gains.iter().all(|gain| gain.as_ref().is_some_and(gain::Gain::has_histogram)) {
        let trouble =
            "candidate and live version have no boundary of the latency histogram in common: latency is not compared";
        troubles.push(trouble.to_owned());
    }
    let [candidate, live] = gains.map(|gain| gain.map(|gain| gain.counts(&boundaries)));
    Block { at: now, window_ms: now.abs_diff(before.at), boundaries, candidate, live }
}

/// Shorter than the interval, so that looks never pile up.
fn look_timeout(plan: &Plan) -> Duration {
    (plan.analysis.interval * 2 / 3).min(LONGEST_LOOK)
}

fn tell(troubles: &mut Vec<String>, who: &str, look: &SlotLook) {
    /// Further processes most likely have the same trouble.
    const MOST: usize = 3;
    let n = look.troubles.len();
    troubles.extend(look.troubles.iter().take(MOST).map(|trouble| format!("{who} cannot be measured: {trouble}")));
    if n > MOST {
        troubles.push(format!("{who}: {} more of its processes cannot be measured", n - MOST));
    }
    troubles.extend(look.warnings.iter().map(|warning| format!("{who}: {warning}")));
}
