//! Destinations that fail, and what becomes of their deliveries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use spillway_coordination::{RateDecision, RateLimiter};
use spillway_model::{AttemptClass, BreakerPolicy, Clock, DeliveryState, DestinationState, Rate, SystemClock};
use spillway_testkit::{Answer, Sink, wait_until};

use crate::support::{DEADLINE, TestStore, TestWorker, millis, schedule};

#[tokio::test]
async fn attempts_follow_the_schedule_and_then_the_delivery_is_dead() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(500));
    let to = store.destination_with(&sink.url("/hook"), |to| to.retry = Some(schedule(&[0, 100, 300]))).await;
    let worker = TestWorker::start(&store).await;
    let delivery = store.publish(to, 1).await[0];
    store.wait_for(DeliveryState::Dead, &[delivery]).await;
    let attempts = store.attempts(delivery).await;
    assert_eq!(
        attempts.iter().map(|one| (one.id.number(), one.class)).collect::<Vec<_>>(),
        [1, 2, 3].map(|n| (n, AttemptClass::ServerError))
    );
    let arrivals: Vec<Instant> = sink.requests().iter().map(|one| one.arrived_at).collect();
    assert!(arrivals.len() == 3, "{} requests", arrivals.len());
    for (pair, planned) in arrivals.windows(2).zip([100, 300]) {
        // A tenth of jitter to either side; later than planned is the machine's doing.
        assert!(pair[1] - pair[0] >= millis(planned * 9 / 10 - 5), "{:?} instead of {planned} ms", pair[1] - pair[0]);
    }
    worker.stop().await;
}

#[tokio::test]
async fn the_first_delay_of_a_schedule_holds_as_well() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination_with(&sink.url("/hook"), |to| to.retry = Some(schedule(&[400]))).await;
    let worker = TestWorker::start(&store).await;
    let began = Instant::now();
    let delivery = store.publish(to, 1).await[0];
    store.wait_for(DeliveryState::Delivered, &[delivery]).await;
    assert!(sink.requests()[0].arrived_at - began >= millis(390));
    worker.stop().await;
}

#[tokio::test]
async fn retry_after_is_honoured_in_seconds_and_as_a_date() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/seconds", Answer::retry_after(429, "120"));
    sink.on("/date", Answer::retry_after(503, "Fri, 31 Dec 2100 23:59:59 GMT"));
    let (seconds, date) = (store.destination(&sink.url("/seconds")).await, store.destination(&sink.url("/date")).await);
    let worker = TestWorker::start(&store).await;
    let before = SystemClock.now();
    let (by_seconds, by_date) = (store.publish(seconds, 1).await[0], store.publish(date, 1).await[0]);
    store.wait_for_attempts(by_seconds, 1).await;
    store.wait_for_attempts(by_date, 1).await;
    let wait = store.delivery(by_seconds).await.at - before;
    assert!((120_000..140_000).contains(&wait), "{wait} ms");
    // Never longer than 30 days.
    let days = (store.delivery(by_date).await.at - before) / 86_400_000;
    assert_eq!(days, 30);

    let other = store.publish(seconds, 1).await[0];
    wait_until("what comes next to wait in the store, not to be asked for again and again", DEADLINE, async || {
        !store.is_due(other).await || worker.waiting() == 0.0
    })
    .await;
    assert_eq!(sink.requests_to("/seconds").len(), 1, "the whole lane waits");
    worker.stop().await;
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::redirect(&sink.url("/elsewhere")));
    let to = store.destination(&sink.url("/hook")).await;
    let worker = TestWorker::start(&store).await;
    let delivery = store.publish(to, 1).await[0];
    store.wait_for(DeliveryState::Dead, &[delivery]).await;
    assert!(sink.requests_to("/elsewhere").is_empty());
    assert!(store.attempts(delivery).await.iter().all(|one| one.class == AttemptClass::Redirect));
    worker.stop().await;
}

#[tokio::test]
async fn gone_disables_the_destination_and_keeps_its_deliveries() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(410));
    let to = store.destination_with(&sink.url("/hook"), |to| to.max_concurrent = Some(1)).await;
    let worker = TestWorker::start(&store).await;
    let deliveries = store.publish(to, 20).await;
    wait_until("the destination to be disabled", DEADLINE, async || {
        store.stored(to).await.state == DestinationState::Disabled
    })
    .await;
    wait_until("its deliveries to be back in the store", DEADLINE, async || {
        let mut back = true;
        for id in &deliveries {
            back &= store.is_due(*id).await;
        }
        back
    })
    .await;
    let sent = sink.count();
    assert!(sent < deliveries.len(), "the lane stopped before all {sent} were told");

    sink.on("/hook", Answer::status(200));
    store.set_state(to, DestinationState::Active).await;
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    worker.stop().await;
}

#[tokio::test]
async fn the_deadline_covers_the_body() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::slow_body(1_000, millis(50)));
    let to = store
        .destination_with(&sink.url("/hook"), |to| (to.timeout_ms, to.retry) = (Some(300), Some(schedule(&[0]))))
        .await;
    let worker = TestWorker::start(&store).await;
    let delivery = store.publish(to, 1).await[0];
    store.wait_for(DeliveryState::Dead, &[delivery]).await;
    let attempt = &store.attempts(delivery).await[0];
    assert_eq!(attempt.class, AttemptClass::Timeout);
    assert!(attempt.duration >= millis(300) && attempt.duration < Duration::from_secs(3), "{:?}", attempt.duration);
    worker.stop().await;
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_and_its_status_counts() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::endless_body());
    let to = store.destination(&sink.url("/hook")).await;
    let worker = TestWorker::start(&store).await;
    let delivery = store.publish(to, 1).await[0];
    store.wait_for(DeliveryState::Delivered, &[delivery]).await;
    let attempt = &store.attempts(delivery).await[0];
    assert_eq!(attempt.response.len(), 1_024, "the beginning is kept");
    worker.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_and_a_reset_are_failures() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.script("/hook", [Answer::truncated_body("part", 100), Answer::reset(), Answer::status(200)]);
    let to = store.destination(&sink.url("/hook")).await;
    let worker = TestWorker::start(&store).await;
    let delivery = store.publish(to, 1).await[0];
    store.wait_for(DeliveryState::Delivered, &[delivery]).await;
    let classes: Vec<_> = store.attempts(delivery).await.iter().map(|one| one.class).collect();
    assert_eq!(classes, [AttemptClass::Protocol, AttemptClass::Protocol, AttemptClass::Success]);
    worker.stop().await;
}

#[tokio::test]
async fn the_breaker_opens_rests_and_lets_one_probe_out() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(500));
    let breaker = BreakerPolicy { consecutive_failures: 3, interval_ms: 30_000, base_ejection_ms: 400 };
    let to = store
        .destination_with(&sink.url("/hook"), |to| {
            (to.breaker, to.max_concurrent, to.retry) = (breaker, Some(1), Some(schedule(&[0; 50])));
        })
        .await;
    let worker = TestWorker::start(&store).await;
    let deliveries = store.publish(to, 30).await;
    wait_until("the breaker to open", DEADLINE, async || worker.metrics.breaker_open.get() == Some(1.0)).await;
    let opened = Instant::now();
    sink.wait_for_count(4, DEADLINE).await;
    let requests = sink.requests();
    assert!(requests[3].arrived_at - requests[2].arrived_at >= millis(380), "it rests before the probe");

    // Meanwhile nothing goes round in circles: each delivery is claimed about once for each rest.
    sink.wait_for_count(5, DEADLINE).await;
    let rests = opened.elapsed().as_millis() / 400 + 2;
    let claimed = worker.way.claimed();
    assert!(claimed as u128 <= 30 * (rests + 1), "{claimed} claims in {rests} rests");

    // A probe that hangs is the only request.
    sink.on("/hook", Answer::status(200).after(millis(500)));
    let before = sink.count();
    sink.wait_for_count(before + 1, DEADLINE).await;
    worker.hand_over(store.born_claimed(to, 10, SystemClock.now() + 60_000).await).await;
    wait_until("the breaker to close", DEADLINE, async || worker.metrics.breaker_open.get() == Some(0.0)).await;
    let probes: Vec<_> = sink.requests()[before..].iter().map(|one| one.arrived_at).collect();
    assert!(probes.len() <= 2 || probes[1] - probes[0] >= millis(480), "one probe at a time");
    sink.on("/hook", Answer::status(200));
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    worker.stop().await;
}

#[tokio::test]
async fn the_store_going_away_loses_and_repeats_nothing() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    let worker = TestWorker::start_with(&store, |options| options.worker.lease = Duration::from_secs(6)).await;
    worker.way.set_away(true);
    worker.hand_over(store.born_claimed(to, 30, SystemClock.now() + 6_000).await).await;
    sink.wait_for_count(30, DEADLINE).await;
    let later = store.publish(to, 20).await;
    worker.way.set_away(false);
    store.wait_for(DeliveryState::Delivered, &later).await;
    wait_until("everything to be recorded", DEADLINE, async || {
        store.store.backlog().await.is_ok_and(|backlog| backlog.pending == 0)
    })
    .await;
    assert_eq!(sink.count(), 50);
    worker.stop().await;
}

#[tokio::test]
async fn an_attempt_that_cannot_be_recorded_takes_no_other_with_it() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(200).after(millis(50)));
    let to = store.destination(&sink.url("/hook")).await;
    let mut deliveries = store.publish(to, 31).await;
    let refused = deliveries.remove(13);
    let worker = TestWorker::start(&store).await;
    worker.way.refuse(refused);
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    assert!(store.attempts(refused).await.is_empty());
    worker.stop().await;
}

/// A limiter with a defect that shows a few times.
struct Defective(AtomicUsize);

#[async_trait::async_trait]
impl RateLimiter for Defective {
    async fn check(&self, _: &str, rate: Rate) -> RateDecision {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(left.is_err(), "the defect shows");
        let limit = rate.count.get();
        let (retry_after, reset_after) = (Duration::ZERO, Duration::ZERO);
        RateDecision { allowed: true, limit, remaining: limit, retry_after, reset_after }
    }
}

#[tokio::test]
async fn a_panic_costs_one_lease_and_no_place_in_the_lane() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store
        .destination_with(&sink.url("/hook"), |to| {
            (to.max_concurrent, to.timeout_ms, to.rate_limit) = (Some(2), Some(400), "1000/s".parse().ok());
        })
        .await;
    let worker = TestWorker::start_with(&store, |options| {
        options.worker.lease = millis(800);
        options.coordination.rate = Arc::new(Defective(AtomicUsize::new(5)));
    })
    .await;
    let deliveries = store.publish(to, 12).await;
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    assert_eq!(sink.count(), 12, "each exactly once");
    worker.stop().await;
}
