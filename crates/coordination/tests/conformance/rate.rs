use std::time::Duration;

use spillway_model::Rate;
use spillway_testkit::wait_until;

use crate::nodes::{Nodes, SOON};

crate::on_both_engines!(
    exactly_the_count_passes_on_all_nodes_together,
    a_refused_request_passes_after_the_time_it_was_told,
    keys_and_their_rates_are_separate,
    what_was_used_counts_on_when_the_rate_changes,
    requests_at_the_same_time_are_counted_once_each,
);

fn rate(text: &str) -> Rate {
    text.parse().expect("a rate")
}

async fn exactly_the_count_passes_on_all_nodes_together(nodes: &Nodes) {
    let hourly = rate("6/h");
    for left in (0..6).rev() {
        let node = if left % 2 == 0 { &nodes.a } else { &nodes.b };
        let decision = node.rate.check("key", hourly).await;
        assert_eq!((decision.allowed, decision.limit, decision.remaining), (true, 6, left));
        assert_eq!(decision.retry_after, Duration::ZERO);
    }
    for node in [&nodes.a, &nodes.b] {
        let refused = node.rate.check("key", hourly).await;
        assert_eq!((refused.allowed, refused.limit, refused.remaining), (false, 6, 0));
        assert!((Duration::from_secs(550)..=Duration::from_secs(600)).contains(&refused.retry_after), "{refused:?}");
        assert!((Duration::from_secs(3550)..=Duration::from_secs(3600)).contains(&refused.reset_after), "{refused:?}");
    }
}

async fn a_refused_request_passes_after_the_time_it_was_told(nodes: &Nodes) {
    let quick = rate("20/s");
    let mut refused = None;
    wait_until("a refusal", SOON, async || {
        refused = Some(nodes.a.rate.check("key", quick).await).filter(|decision| !decision.allowed);
        refused.is_some()
    })
    .await;
    let told = refused.expect("refused").retry_after;
    assert!(told > Duration::ZERO && told <= Duration::from_millis(51), "{told:?}");
    let started = std::time::Instant::now();
    wait_until("another pass", SOON, async || nodes.b.rate.check("key", quick).await.allowed).await;
    // The refusal itself took its time, too.
    assert!(started.elapsed() + Duration::from_millis(20) > told, "{told:?} {:?}", started.elapsed());
}

async fn keys_and_their_rates_are_separate(nodes: &Nodes) {
    assert!(nodes.a.rate.check("one", rate("1/h")).await.allowed);
    assert!(!nodes.a.rate.check("one", rate("1/h")).await.allowed);
    assert!(nodes.a.rate.check("another", rate("1/h")).await.allowed);
    assert!(nodes.a.rate.check("", rate("1/d")).await.allowed);
}

async fn what_was_used_counts_on_when_the_rate_changes(nodes: &Nodes) {
    for _ in 0..3 {
        assert!(nodes.a.rate.check("key", rate("4/h")).await.allowed);
    }
    assert!(!nodes.a.rate.check("key", rate("2/h")).await.allowed);
    assert!(nodes.a.rate.check("key", rate("100/h")).await.allowed);
}

async fn requests_at_the_same_time_are_counted_once_each(nodes: &Nodes) {
    let checks: Vec<_> = (0..200)
        .map(|n| {
            let limiter = if n % 2 == 0 { nodes.a.rate.clone() } else { nodes.b.rate.clone() };
            tokio::spawn(async move { limiter.check("key", rate("50/h")).await.allowed })
        })
        .collect();
    let mut allowed = 0;
    for check in checks {
        allowed += u32::from(check.await.expect("no panic"));
    }
    assert_eq!(allowed, 50);
}
