use super::runs::until;
use super::*;
use crate::http::{Client, ClientSettings, Origin, Request, Transport};

/// A member that speaks the protocol by hand.
struct Hand {
    client: Client,
    origin: Arc<Origin>,
    token: Option<&'static str>,
}

impl Hand {
    fn new(address: SocketAddr) -> Self {
        let url: Url = format!("http://{address}").parse().unwrap();
        let client = Client::new(Transport::new(false), ClientSettings::default());
        Self { client, origin: Arc::new(Origin::of(&url).unwrap()), token: None }
    }

    async fn send(&mut self, path: &str, body: &impl serde::Serialize) -> (u16, serde_json::Value) {
        let mut headers = http::HeaderMap::new();
        if let Some(token) = self.token {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let request = Request {
            origin: self.origin.clone(),
            method: http::Method::POST,
            path: path.parse().unwrap(),
            headers,
            body: serde_json::to_vec(body).unwrap().into(),
            timeout: Duration::from_secs(20),
            keep_body: true,
        };
        let response = self.client.send(request).await.outcome.unwrap();
        (response.status.as_u16(), serde_json::from_slice(&response.body).unwrap_or_default())
    }

    async fn ask(&mut self, path: &str, body: &impl serde::Serialize) -> Answer {
        loop {
            let (status, answer) = self.send(path, body).await;
            assert_eq!(status, 200, "{answer}");
            match serde_json::from_value(answer).unwrap() {
                Answer::Wait => {}
                answer => return answer,
            }
        }
    }

    /// Up to the start.
    async fn take_part(&mut self, member: uuid::Uuid, index: u32) {
        let join = Join { version: PROTOCOL_VERSION, member, index: Some(index) };
        let Answer::Assigned(assignment) = self.ask("/v1/join", &join).await else { panic!("not assigned") };
        assert_eq!(assignment.index, index);
        let ready = Ready { member, ready: true, failure: None };
        let Answer::Start { in_us } = self.ask("/v1/ready", &ready).await else { panic!("not started") };
        assert!(in_us <= 200_000, "{in_us}");
    }
}

fn report(member: uuid::Uuid, registry: &Arc<Registry>, last: bool) -> Report {
    let health = last.then_some(crate::generator::Health {
        cpu_percent: 1.0,
        cpu_percent_max: 1.0,
        cores: 1,
        lag_p99_ms: 1.0,
        file_descriptors: 1,
        file_descriptor_limit: 10,
        memory_bytes: 1,
        invalid: None,
    });
    Report {
        member,
        elapsed_us: 1_000_000,
        snapshot: Snapshot { last, ..registry.snapshot() },
        windows: Vec::new(),
        first_second: 0,
        seconds: vec![crate::metrics::Second { requests: 1, duration_ms: 1_000.0, ..Default::default() }],
        scenarios: BTreeMap::new(),
        cpu_percent: 1.0,
        health,
        interrupted: false,
        failure: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_falls_silent_is_named_and_the_others_are_stopped() {
    let test = Test::new(3, 60);
    let running = test.coordinate().await;
    let mut parts: Vec<_> = (0..3).map(|index| test.shard(running.address, Some(index))).collect();
    until("the load flows", || parts.iter().all(|part| part.first.lock().is_some())).await;
    parts.remove(1).task.abort();
    let begun = Instant::now();
    let error = running.task.await.unwrap().unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("shard 1 ") && begun.elapsed() < Duration::from_secs(10),
        "{text} after {:?}",
        begun.elapsed()
    );
    for part in parts {
        let stopped = part.task.await.unwrap().unwrap().stopped;
        assert_eq!(stopped, Some(Stopped { reason: text.clone(), failed: true }));
    }
    assert_eq!(running.around.teardowns.lock().len(), 1, "what setup made is taken away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_says_nothing_after_the_start_is_lost() {
    let test = Test::new(2, 60);
    let running = test.coordinate().await;
    let part = test.shard(running.address, Some(0));
    let mut hand = Hand::new(running.address);
    hand.take_part(uuid::Uuid::from_u128(1), 1).await;
    let begun = Instant::now();
    let error = running.task.await.unwrap().unwrap_err();
    assert_eq!(error, CoordinationError::Lost { shard: 1, silence: Duration::from_secs(2) });
    assert!((Duration::from_millis(1_900)..Duration::from_secs(6)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(error.to_string().contains("shard 1 was not heard for 2s"), "{error}");
    assert!(part.task.await.unwrap().unwrap().stopped.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_and_late_reports_change_nothing() {
    let test = Test::new(1, 60);
    let running = test.coordinate().await;
    let mut hand = Hand::new(running.address);
    let member = uuid::Uuid::from_u128(7);
    let join = Join { version: PROTOCOL_VERSION, member, index: None };
    // Joining twice takes one place.
    hand.ask("/v1/join", &join).await;
    hand.take_part(member, 0).await;
    let registry = Registry::new(RegistrySettings::default());
    let series = registry.series(&Tags::default());
    let record = || registry.recorder().http(&HttpSample::new(series));
    record();
    let early = report(member, &registry, false);
    record();
    let late = report(member, &registry, false);
    for report in [&late, &early, &late, &early] {
        let go_on = Answer::GoOn { seconds: 1, wanted: None };
        assert_eq!(hand.ask("/v1/report", report).await, go_on);
    }
    record();
    let last = report(member, &registry, true);
    assert_eq!(hand.send("/v1/report", &Report { health: None, ..last.clone() }).await.0, 400);
    hand.ask("/v1/report", &last).await;
    let merged = running.task.await.unwrap().unwrap();
    assert_eq!(merged.outcome.snapshot.total(Metric::HttpReqs, &[]), Some(Values::Counter(3)));
    assert_eq!(merged.timeline.iter().map(|second| second.requests).sum::<u64>(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_with_what_to_do() {
    let test = Test { token: Some("s3cret".to_owned()), ..Test::new(2, 1) };
    let running = test.coordinate().await;
    let mut hand = Hand::new(running.address);
    let member = uuid::Uuid::from_u128(1);
    let join = |index| Join { version: PROTOCOL_VERSION, member, index };
    for token in [None, Some("s3cre"), Some("s3cret!")] {
        hand.token = token;
        let (status, answer) = hand.send("/v1/join", &join(None)).await;
        assert_eq!((status, &answer["code"]), (401, &json!("unauthorized")), "{token:?}");
    }
    hand.token = Some("s3cret");
    let other = json!({"version": 2, "who": "me"});
    let unknown = Ready { member, ready: true, failure: None };
    for (path, body, status, code) in [
        ("/v1/join", other, 409, "wrong_version"),
        ("/v1/join", json!(Join { version: 9, ..join(None) }), 409, "wrong_version"),
        ("/v1/join", json!(join(Some(2))), 400, "no_such_shard"),
        ("/v1/join", json!({"version": 1}), 400, "bad_message"),
        ("/v1/ready", json!(unknown), 404, "unknown_shard"),
        ("/v1/report", json!({}), 400, "bad_message"),
    ] {
        let (given, answer) = hand.send(path, &body).await;
        assert_eq!((given, &answer["code"]), (status, &json!(code)), "{body}: {answer}");
        assert!(answer["message"].as_str().is_some_and(|message| message.len() > 20), "{answer}");
    }
    // A shard that is refused gives up at once and says why.
    let stranger = Test { token: Some("wrong".to_owned()), ..Test::new(2, 1) };
    let error = stranger.shard(running.address, None).task.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("SPILLWAY_LOAD_TOKEN"), "{error}");

    // Nothing of this has taken a place: the run goes its way, and whoever comes too late is told.
    let parts = [test.shard(running.address, None), test.shard(running.address, Some(1))];
    until("all have their work", || parts.iter().filter(|part| part.assignment.lock().is_some()).count() == 2).await;
    let late = test.shard(running.address, Some(1)).task.await.unwrap().unwrap_err().to_string();
    assert!(late.contains("shard 1 already"), "{late}");
    running.task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_all_its_shards_does_not_begin() {
    let test = Test { join_timeout: Duration::from_millis(500), ..Test::new(3, 1) };
    let running = test.coordinate().await;
    let part = test.shard(running.address, Some(1));
    let error = running.task.await.unwrap().unwrap_err();
    assert_eq!(error, CoordinationError::NotJoined { shards: vec![0, 2], waited: Duration::from_millis(500) });
    assert!(part.task.await.unwrap().unwrap().stopped.unwrap().reason.contains("shard 0, 2 did not join within 500ms"));
    assert!(part.first.lock().is_none());
    assert_eq!((running.around.setups.load(Ordering::SeqCst), running.around.teardowns.lock().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_cannot_prepare_ends_the_run_before_it_begins() {
    let test = Test::new(2, 60);
    let running = test.coordinate().await;
    let part = test.shard(running.address, Some(0));
    let broken = Shard {
        coordinator: format!("http://{}", running.address).parse().unwrap(),
        index: Some(1),
        token: None,
        join_timeout: Duration::from_secs(5),
        stop: CancellationToken::new(),
        kill: CancellationToken::new(),
    };
    let own = broken.run(async |_| Err("the target refuses connections".to_owned())).await;
    assert_eq!(own, Err(ShardFailure::Preparation("the target refuses connections".to_owned())));
    let error = running.task.await.unwrap().unwrap_err().to_string();
    assert_eq!(error, "shard 1 failed: the target refuses connections; the other shards were stopped");
    assert!(part.task.await.unwrap().unwrap().stopped.is_some() && part.first.lock().is_none());
    assert_eq!(running.around.teardowns.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_without_its_coordinator_stops() {
    let test = Test::new(1, 60);
    let running = test.coordinate().await;
    let part = test.shard(running.address, None);
    until("the load flows", || part.first.lock().is_some()).await;
    running.task.abort();
    let error = part.task.await.unwrap().unwrap_err();
    assert!(matches!(&error, ShardFailure::Link(LinkError::Silent { .. })), "{error}");

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let part = Shard {
        coordinator: format!("http://{free}").parse().unwrap(),
        index: None,
        token: None,
        join_timeout: Duration::from_millis(600),
        stop: CancellationToken::new(),
        kill: CancellationToken::new(),
    };
    let error = part.run(async |_| Err(String::new())).await.unwrap_err().to_string();
    assert!(error.contains("no answer from the coordinator") && error.contains(&free.to_string()), "{error}");
}
