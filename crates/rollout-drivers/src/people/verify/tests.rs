use spillway_model::SystemClock;
use spillway_testkit::{Answer, Sink};

use super::*;

fn verify(candidate: &Sink, production: &Sink) -> Verify {
    Verify {
        candidate: candidate.url(""),
        production: production.url(""),
        health_path: "/healthz".to_owned(),
        paths: vec!["/a".to_owned(), "/b".to_owned()],
        rate: 200.0,
        duration: Duration::from_secs(20),
        timeout: Duration::from_secs(5),
        limits: Vec::new(),
        judge: JudgeSettings::default(),
    }
}

async fn run(verify: &Verify) -> Outcome {
    verify.run(&HttpClient::new(), &SystemClock, &CancellationToken::new(), |_| {}).await
}

/// Every `n`th request fails.
fn fails(sink: &Sink, n: usize) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    sink.respond_with(move |request| {
        let fails =
            request.path != "/healthz" && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst).is_multiple_of(n);
        Answer::status(if fails { 500 } else { 200 })
    });
}

#[tokio::test]
async fn a_candidate_with_many_errors_is_worse_and_both_get_the_same_requests() {
    let (candidate, production) = (Sink::start().await, Sink::start().await);
    fails(&candidate, 4);
    let outcome = run(&verify(&candidate, &production)).await;
    assert_eq!(outcome.verdict, VerifyVerdict::Worse, "{outcome:?}");
    assert!(outcome.reason.contains("errors of the candidate are proven worse"), "{}", outcome.reason);
    assert!(outcome.duration_ms < 19_000, "a proof ends it early");
    for sink in [&candidate, &production] {
        let (a, b) = (sink.requests_to("/a").len(), sink.requests_to("/b").len());
        assert!(a > 5 && a.abs_diff(b) <= 1, "{a} and {b}");
    }
    insta::assert_snapshot!(render(&known(outcome), true, 80, false));
}

#[tokio::test]
async fn a_slow_candidate_is_worse() {
    let (candidate, production) = (Sink::start().await, Sink::start().await);
    candidate.respond_with(|_| Answer::status(200).after(Duration::from_millis(120)));
    let outcome = run(&verify(&candidate, &production)).await;
    assert_eq!(outcome.verdict, VerifyVerdict::Worse, "{outcome:?}");
    assert!(outcome.reason.contains("latency of the candidate"), "{}", outcome.reason);
}

#[tokio::test]
async fn too_little_traffic_is_no_evidence() {
    let (candidate, production) = (Sink::start().await, Sink::start().await);
    let short = Verify { rate: 5.0, duration: Duration::from_millis(1_500), ..verify(&candidate, &production) };
    let outcome = run(&short).await;
    assert_eq!(outcome.verdict, VerifyVerdict::NoEvidence, "{outcome:?}");
    assert!(outcome.reason.contains("longer --duration"), "{}", outcome.reason);
}

#[tokio::test]
async fn a_limit_that_is_not_kept_is_worse() {
    let (candidate, production) = (Sink::start().await, Sink::start().await);
    for sink in [&candidate, &production] {
        sink.respond_with(|_| Answer::status(200).after(Duration::from_millis(30)));
    }
    let limits = vec!["errors=1%", "p50=10ms"].into_iter().map(|limit| limit.parse().expect(limit)).collect();
    let outcome = run(&Verify { limits, duration: Duration::from_secs(2), ..verify(&candidate, &production) }).await;
    assert_eq!(outcome.verdict, VerifyVerdict::Worse, "{outcome:?}");
    assert!(outcome.reason.starts_with("the candidate does not keep a limit: p50 is "), "{}", outcome.reason);
}

#[tokio::test]
async fn an_unhealthy_side_is_told_apart() {
    let (candidate, production) = (Sink::start().await, Sink::start().await);
    candidate.on("/healthz", Answer::status(503));
    let sick = run(&verify(&candidate, &production)).await;
    assert_eq!(sick.verdict, VerifyVerdict::Worse);
    assert!(sick.reason.contains("the candidate is not healthy") && sick.reason.ends_with("answered 503"));
    let turned = run(&verify(&production, &candidate)).await;
    assert_eq!(turned.verdict, VerifyVerdict::NoEvidence);
    assert!(turned.reason.starts_with("the production itself is not healthy"), "{}", turned.reason);
    assert_eq!(production.count(), 1, "nothing is compared");
}

#[tokio::test]
async fn a_production_that_fails_itself_is_no_measure() {
    let (candidate, production) = (Sink::start().await, Sink::start().await);
    for sink in [&candidate, &production] {
        sink.respond_with(|request| Answer::status(if request.path == "/healthz" { 200 } else { 404 }));
    }
    let outcome = run(&Verify { duration: Duration::from_secs(2), ..verify(&candidate, &production) }).await;
    assert_eq!(outcome.verdict, VerifyVerdict::NoEvidence, "{outcome:?}");
    assert!(outcome.reason.contains("choose paths that it answers"), "{}", outcome.reason);
}

#[test]
fn a_load_test_that_fails_or_breaks_changes_the_verdict() {
    let good = Outcome { verdict: VerifyVerdict::NotWorse, reason: "fine".to_owned(), ..known(empty()) };
    let with = |passed, summary: &str| {
        let load_test = LoadTestOutcome { passed, summary: summary.to_owned(), report: None };
        let outcome = good.clone().with_load_test(load_test);
        (outcome.verdict, outcome.reason)
    };
    assert_eq!(with(Some(true), "passed"), (VerifyVerdict::NotWorse, "fine".to_owned()));
    assert_eq!(with(Some(false), "p95 is 2 s"), (VerifyVerdict::Worse, "p95 is 2 s".to_owned()));
    assert_eq!(with(None, "did not run"), (VerifyVerdict::NoEvidence, "did not run".to_owned()));
}

fn empty() -> Outcome {
    Outcome {
        verdict: VerifyVerdict::NoEvidence,
        reason: String::new(),
        candidate: Side::new("http://candidate"),
        production: Side::new("http://production"),
        evidence: Vec::new(),
        limits: Vec::new(),
        duration_ms: 0,
        skipped: 0,
        load_test: None,
    }
}

/// Without what differs from run to run.
fn known(outcome: Outcome) -> Outcome {
    let mut known = Outcome { verdict: outcome.verdict, ..empty() };
    known.reason = "errors of the candidate are proven worse".to_owned();
    known.candidate.first_error = Some("http://candidate/a answered 500".to_owned());
    known.evidence = outcome.evidence.into_iter().take(1).collect();
    for one in &mut known.evidence {
        (one.roll_back, one.roll_back_limit, one.pass, one.pass_limit) = (5.5, 5.3, 0.0, 3.0);
        (one.candidate_ratio, one.live_ratio, one.candidate_requests) = (Some(0.25), Some(0.0), 200);
        one.expected_ms = None;
    }
    known
}
