//! One delivery in the hands of a worker: lease, rate, request, verdict, settlement. Runs beside the dispatcher and reports back.

use std::sync::Arc;
use std::time::Duration;

use spillway_coordination::RateLimiter;
use spillway_model::{Attempt, AttemptClass, Claimed, Clock, Lease, NextState, Settlement};
use spillway_store::Store;
use spillway_telemetry::{ActiveSpan, DeliveryOutcome, Metrics, SpanName};

use crate::attempt::Sender;
use crate::destinations::Prepared;
use crate::lease::{lease_of, milliseconds, released};
use crate::settler::SettlerHandle;
use crate::verdict::{self, Health};

/// An attempt's settlement should be written before its lease ends; that takes this much longer than the attempt at most.
const SETTLE_MARGIN: Duration = Duration::from_secs(1);

/// What became of a delivery that the dispatcher took from its lane.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An attempt was made and settled.
    Ended { health: Health, pause: Option<Duration>, disable: bool },
    /// The attempt was not made: the destination's rate is used up for this long.
    RateLimited { claimed: Box<Claimed>, wait: Duration },
    /// The attempt was not made, or its end is not known; the delivery is nobody's until its lease ends.
    Lost,
}

/// What every attempt needs; shared by all of them.
pub(crate) struct Attempts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) rate: Arc<dyn RateLimiter>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) sender: Sender,
    pub(crate) settle: SettlerHandle,
    pub(crate) lease: Duration,
}

impl Attempts {
    /// Delivers once. Dropped before its end, it gives the delivery back, due now.
    pub(crate) async fn run(&self, claimed: Claimed, to: &Prepared) -> Outcome {
        let span = self.sender.tracer.resume(SpanName::Deliver, claimed.event.trace);
        span.cover(self.deliver(claimed, to, &span)).await
    }

    async fn deliver(&self, mut claimed: Claimed, to: &Prepared, span: &ActiveSpan) -> Outcome {
        let mut unsettled = Unsettled { attempts: self, lease: Some(lease_of(&claimed)) };
        if !self.holds_lease(&mut claimed, to.timeout).await {
            unsettled.lease = None;
            return Outcome::Lost;
        }
        if let Some(rate) = to.destination.rate_limit {
            let decision = self.rate.check(&format!("destination:{}", claimed.destination), rate).await;
            if !decision.allowed {
                unsettled.lease = None;
                let wait = decision.retry_after.max(Duration::from_millis(1));
                return Outcome::RateLimited { claimed: Box::new(claimed), wait };
            }
        }
        if span.is_recording() {
            span.set("spillway.delivery.id", claimed.id.to_string());
        }
        let (attempt, ending) = self.sender.attempt(&claimed, to, span.context()).await;
        let made = usize::from(claimed.attempts) + 1;
        let verdict = verdict::decide(ending, made, &to.retry, self.clock.now(), rand::random());
        self.metrics.attempts.get(ending.class).inc();
        self.metrics.attempt.observe_traced(attempt.duration, span.exemplar());
        self.count(&claimed, verdict.next, span);
        if ending.class != AttemptClass::Success {
            log_failure(&claimed, to, &attempt, verdict.next);
        }
        let settlement = Settlement { lease: lease_of(&claimed), next: verdict.next, attempt: Some(attempt) };
        if let Some(settlement) = self.settle.try_settle(settlement) {
            // What is known now is not given back untried, even if this is cut off.
            unsettled.lease = None;
            self.settle.settle(settlement).await;
        }
        unsettled.lease = None;
        Outcome::Ended { health: verdict.health, pause: verdict.pause, disable: verdict.disable }
    }

    fn count(&self, claimed: &Claimed, next: NextState, span: &ActiveSpan) {
        let outcome = match next {
            NextState::Pending { .. } => return,
            NextState::Dead { .. } => DeliveryOutcome::Dead,
            NextState::Cancelled { .. } => DeliveryOutcome::Cancelled,
            NextState::Delivered { at } => {
                let by_id = || Duration::from_millis(u64::try_from(at - claimed.event.received_at()).unwrap_or(0));
                let latency = claimed.received.map_or_else(by_id, |received| received.elapsed());
                self.metrics.delivery_latency.observe_traced(latency, span.exemplar());
                DeliveryOutcome::Delivered
            }
        };
        self.metrics.deliveries.get(outcome).inc();
    }

    /// Whether the claim is ours until the attempt must have ended and been settled. A lease that is too short for that is made
    /// longer first, beyond the usual length if it has to be.
    async fn holds_lease(&self, claimed: &mut Claimed, timeout: Duration) -> bool {
        let now = self.clock.now();
        let needed = timeout + SETTLE_MARGIN.min(self.lease / 10);
        if now + milliseconds(needed) <= claimed.lease_until {
            return true;
        }
        let until = now + milliseconds(self.lease.max(needed));
        match self.store.renew(vec![lease_of(claimed)], until).await {
            Ok(lost) => {
                claimed.lease_until = until;
                // A renewal that took long has used up what it gave.
                lost.is_empty() && self.clock.now() + milliseconds(timeout) <= until
            }
            Err(error) => {
                tracing::warn!(delivery.id = %claimed.id, %error, "a lease could not be renewed; the delivery waits for its next claim");
                false
            }
        }
    }
}

/// A delivery whose end is not recorded yet.
struct Unsettled<'a> {
    attempts: &'a Attempts,
    lease: Option<Lease>,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        // After a panic nothing is known; the lease ends by itself, and so the same panic does not come back at once.
        if let Some(lease) = self.lease.take().filter(|_| !std::thread::panicking())
            && self.attempts.settle.try_settle(released(lease, self.attempts.clock.now())).is_some()
        {
            tracing::warn!(delivery.id = %lease.delivery, "a delivery that was cut off could not be given back; its lease ends by itself");
        }
    }
}

fn log_failure(claimed: &Claimed, to: &Prepared, attempt: &Attempt, next: NextState) {
    let error = attempt.error.as_deref().unwrap_or_default();
    let (destination, id, n) = (&to.destination.name, claimed.id, attempt.id.number());
    match next {
        NextState::Dead { .. } => {
            tracing::warn!(%destination, delivery.id = %id, attempt = n, error, "the last attempt failed; the delivery is a dead letter");
        }
        _ => {
            tracing::debug!(%destination, delivery.id = %id, attempt = n, error, "an attempt failed; it is tried again")
        }
    }
}
