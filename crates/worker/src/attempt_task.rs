//! One delivery in the hands of a worker: lease, rate, request, verdict, settlement. Runs beside the dispatcher and reports back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spillway_coordination::RateLimiter;
use spillway_model::{Attempt, AttemptClass, Claimed, Clock, NextState};
use spillway_store::Store;
use spillway_telemetry::{ActiveSpan, DeliveryOutcome, Metrics, SpanName};

use crate::attempt::Sender;
use crate::budget::{Grant, Spent};
use crate::destinations::Prepared;
use crate::lease::{Claim, lease_of, milliseconds};
use crate::programs::{ConnectionPrograms, Withheld};
use crate::settler::SettlerHandle;
use crate::verdict::{self, Ending, Health};

/// An attempt's settlement should be written before its lease ends; that takes this much longer than the attempt at most.
const SETTLE_MARGIN: Duration = Duration::from_secs(1);

/// What became of a delivery that the dispatcher took from its lane.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An attempt was made and settled.
    Ended { health: Health, pause: Option<Duration>, disable: bool, spent: Spent },
    /// The attempt was not made: the destination's rate is used up for this long.
    RateLimited { claimed: Box<Claimed>, wait: Duration },
    /// The attempt was not made: its place at the destination would have ended before it.
    PlaceEnded { claimed: Box<Claimed> },
    /// The attempt was not made; the delivery is nobody's until its lease ends.
    LeaseLost,
    /// The attempt's end is not known; the delivery is nobody's until its lease ends.
    Lost,
}

/// A delivery to attempt.
pub(crate) struct Job {
    pub(crate) claimed: Claimed,
    pub(crate) to: Arc<Prepared>,
    /// What its connection does to it, if anything.
    pub(crate) programs: Option<Arc<ConnectionPrograms>>,
    /// What its destination's budget lets go, if that has one.
    pub(crate) grant: Option<Grant>,
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
    pub(crate) async fn run(&self, job: Job) -> Outcome {
        let span = self.sender.tracer.resume(SpanName::Deliver, job.claimed.event.trace);
        span.cover(self.deliver(job, &span)).await
    }

    async fn deliver(&self, job: Job, span: &ActiveSpan) -> Outcome {
        let Job { mut claimed, to, programs, grant } = job;
        let mut unsettled = Unsettled { attempts: self, claim: Some(Claim::of(&claimed)) };
        let transformed = match programs {
            None => None,
            Some(programs) => match self.prepare(&programs, &claimed, &to).await {
                Ok(transformed) => transformed,
                Err((attempt, next)) => {
                    self.record(&claimed, &to, &attempt, next, span);
                    self.settle(&mut unsettled, next, attempt).await;
                    return Outcome::Ended {
                        health: Health::Unknown,
                        pause: None,
                        disable: false,
                        spent: Spent::Nothing,
                    };
                }
            },
        };
        if !self.holds_lease(&mut claimed, to.timeout).await {
            unsettled.claim = None;
            return Outcome::LeaseLost;
        }
        if let Some(rate) = to.destination.rate_limit {
            let decision = self.rate.check(&format!("destination:{}", claimed.destination), rate).await;
            if !decision.allowed {
                unsettled.claim = None;
                let wait = decision.retry_after.max(Duration::from_millis(1));
                return Outcome::RateLimited { claimed: Box::new(claimed), wait };
            }
        }
        if grant.and_then(|grant| grant.begin_by).is_some_and(|begin_by| Instant::now() > begin_by) {
            unsettled.claim = None;
            return Outcome::PlaceEnded { claimed: Box::new(claimed) };
        }
        if span.is_recording() {
            span.set("spillway.delivery.id", claimed.id.to_string());
        }
        let (attempt, ending, spent) = self.sender.attempt(&claimed, &to, transformed, span.context()).await;
        let made = usize::from(claimed.attempts) + 1;
        let verdict = verdict::decide(ending, made, &to.retry, self.clock.now(), rand::random());
        self.metrics.attempt.observe_traced(attempt.duration, span.exemplar());
        self.record(&claimed, &to, &attempt, verdict.next, span);
        self.settle(&mut unsettled, verdict.next, attempt).await;
        Outcome::Ended { health: verdict.health, pause: verdict.pause, disable: verdict.disable, spent }
    }

    /// What to send in place of the event's body, if anything, or how the delivery ends because nothing is to be sent.
    async fn prepare(
        &self,
        programs: &Arc<ConnectionPrograms>,
        claimed: &Claimed,
        to: &Prepared,
    ) -> Result<Option<Bytes>, (Attempt, NextState)> {
        let (started_at, start) = (self.clock.now(), Instant::now());
        let withheld = match programs.apply(&claimed.event, claimed.order.is_some()).await {
            Ok(transformed) => return Ok(transformed),
            Err(withheld) => withheld,
        };
        let now = self.clock.now();
        let next = match withheld {
            Withheld::Filtered => NextState::Cancelled { at: now },
            Withheld::Failed(_) => {
                let ending = Ending { class: AttemptClass::Transform, status: None, retry_after: None };
                verdict::decide(ending, usize::from(claimed.attempts) + 1, &to.retry, now, 0.5).next
            }
        };
        Err((self.sender.withheld(claimed, started_at, start.elapsed(), withheld.reason()), next))
    }

    /// Counts an attempt, and says so when it failed. What a filter does not let through is no attempt to count.
    fn record(&self, claimed: &Claimed, to: &Prepared, attempt: &Attempt, next: NextState, span: &ActiveSpan) {
        if !matches!(next, NextState::Cancelled { .. }) {
            self.metrics.attempts.get(attempt.class).inc();
        }
        self.count(claimed, next, span);
        if attempt.class != AttemptClass::Success {
            log_failure(claimed, to, attempt, next);
        }
    }

    async fn settle(&self, unsettled: &mut Unsettled<'_>, next: NextState, attempt: Attempt) {
        let Some(claim) = unsettled.claim else { return };
        let settlement = claim.settled(next, Some(attempt));
        if let Some(settlement) = self.settle.try_settle(settlement) {
            // What is known now is not given back untried, even if this is cut off.
            unsettled.claim = None;
            self.settle.settle(settlement).await;
        }
        unsettled.claim = None;
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
                if claimed.attempts == 0 {
                    self.metrics.delivery_first_attempt.observe(latency);
                }
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
    claim: Option<Claim>,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        // After a panic nothing is known; the lease ends by itself, and so the same panic does not come back at once.
        if let Some(claim) = self.claim.take().filter(|_| !std::thread::panicking())
            && self.attempts.settle.try_settle(claim.released(self.attempts.clock.now())).is_some()
        {
            tracing::warn!(delivery.id = %claim.delivery(), "a delivery that was cut off could not be given back; its lease ends by itself");
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
        NextState::Cancelled { .. } => {
            tracing::info!(%destination, delivery.id = %id, attempt = n, error, "nothing was sent; the delivery is cancelled");
        }
        _ => {
            tracing::debug!(%destination, delivery.id = %id, attempt = n, error, "an attempt failed; it is tried again")
        }
    }
}
