use serde_json::{Value, json};

use super::*;
use crate::http::{Client, ClientSettings, Origin, Request, Transport};
use crate::metrics::{HttpSample, Registry, RegistrySettings, Tags};

struct Controlled {
    address: String,
    wanted: watch::Receiver<Wanted>,
    stop: CancellationToken,
    _over: tokio_util::sync::DropGuard,
}

async fn controlled(max_vus: Option<u32>) -> Controlled {
    let registry = Registry::new(RegistrySettings::default());
    let series = registry.series(&Tags::default());
    let waiting = Duration::from_millis(20);
    registry.recorder().http(&HttpSample { waiting, ..HttpSample::new(series) });
    registry.set_vus(5, 20);
    registry.tick(tokio::time::Instant::now());
    let (sender, wanted) = watch::channel(Wanted { vus: 5, paused: false });
    let (stop, over) = (CancellationToken::new(), CancellationToken::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let control = Control {
        wanted: sender,
        max_vus,
        stop: stop.clone(),
        measured: Arc::new(move || (registry.snapshot(), Duration::from_secs(2))),
        thresholds: vec![Threshold::new("http_req_duration".parse().unwrap(), "p(95)<10".parse().unwrap())],
    };
    tokio::spawn(serve(listener, control, over.clone()));
    Controlled { address, wanted, stop, _over: over.drop_guard() }
}

async fn send(address: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let origin = Origin::of(&format!("http://{address}").parse().unwrap()).unwrap();
    let request = Request {
        origin: Arc::new(origin),
        method: method.parse().unwrap(),
        path: path.parse().unwrap(),
        headers: http::HeaderMap::new(),
        body: if body.is_null() { Bytes::new() } else { body.to_string().into() },
        timeout: Duration::from_secs(5),
        keep_body: true,
    };
    let mut client = Client::new(Transport::new(false), ClientSettings::default());
    let response = client.send(request).await.outcome.unwrap();
    (response.status.as_u16(), serde_json::from_slice(&response.body).unwrap())
}

#[tokio::test]
async fn a_client_reads_scales_pauses_and_stops() {
    let mut run = controlled(Some(20)).await;
    let mut client = ControlClient::new(&run.address).unwrap();
    let status = client.status().await.unwrap();
    let expected =
        Status { status: 7, paused: false, vus: 5, vus_max: 20, stopped: false, running: true, tainted: true };
    assert_eq!(status, expected);

    client.change(Change { vus: Some(20), ..Change::default() }).await.unwrap();
    assert_eq!(*run.wanted.borrow_and_update(), Wanted { vus: 20, paused: false });
    let paused = client.change(Change { paused: Some(true), ..Change::default() }).await.unwrap();
    assert_eq!((paused.paused, *run.wanted.borrow_and_update()), (true, Wanted { vus: 20, paused: true }));
    client.change(Change { paused: Some(false), vus: Some(0), ..Change::default() }).await.unwrap();
    assert_eq!(*run.wanted.borrow_and_update(), Wanted { vus: 0, paused: false });
    // The same again is no change.
    client.change(Change { vus: Some(0), ..Change::default() }).await.unwrap();
    assert!(!run.wanted.has_changed().unwrap() && !run.stop.is_cancelled());

    let stopped = client.change(Change { stopped: Some(true), ..Change::default() }).await.unwrap();
    assert!(run.stop.is_cancelled() && stopped.stopped && !stopped.running);
}

#[tokio::test]
async fn the_wire_is_that_of_k6() {
    let run = controlled(Some(20)).await;
    let (code, status) = send(&run.address, "GET", "/v1/status", &Value::Null).await;
    let attributes = json!({
        "status": 7, "paused": false, "vus": 5, "vus-max": 20, "stopped": false, "running": true, "tainted": true
    });
    assert_eq!((code, &status), (200, &json!({"data": {"type": "status", "id": "default", "attributes": attributes}})));
    // k6's own clients send everything they know.
    let mut known = status;
    known["data"]["attributes"]["vus"] = json!(7);
    known["data"]["attributes"]["paused"] = Value::Null;
    assert_eq!(send(&run.address, "PATCH", "/v1/status", &known).await.0, 200);
    assert_eq!(run.wanted.borrow().vus, 7);

    let (code, metrics) = send(&run.address, "GET", "/v1/metrics", &Value::Null).await;
    let of = |name: &str| metrics["data"].as_array().unwrap().iter().find(|one| one["id"] == name).cloned();
    assert_eq!(code, 200);
    let counter =
        json!({"type": "counter", "contains": "default", "tainted": null, "sample": {"count": 1.0, "rate": 0.5}});
    assert_eq!(of("http_reqs").unwrap(), json!({"type": "metrics", "id": "http_reqs", "attributes": counter}));
    assert_eq!(of("http_req_duration").unwrap()["attributes"]["sample"]["p(95)"], 20.0);
    assert_eq!(of("ws_sessions"), None, "nothing was measured");
}

#[tokio::test]
async fn a_change_that_cannot_be_made_is_refused_whole_and_says_why() {
    let run = controlled(Some(20)).await;
    let fixed = controlled(None).await;
    for (address, attributes, reason) in [
        (&run.address, json!({"vus": 21, "stopped": true}), "21 users are more than the scenario's maxVUs of 20"),
        (&run.address, json!({"vus-max": 30}), "maxVUs is 20 and stays so"),
        (&run.address, json!({"vus": -1}), "invalid value"),
        (&run.address, json!({"vus": 1.5}), "invalid type"),
        (&run.address, json!({"paused": "yes"}), "invalid type"),
        (&run.address, json!({"vuss": 1}), "unknown field"),
        (&fixed.address, json!({"vus": 1}), "no externally-controlled scenario"),
        (&fixed.address, json!({"paused": true}), "no externally-controlled scenario"),
    ] {
        let body = json!({"data": {"type": "status", "id": "default", "attributes": attributes}});
        let (code, answer) = send(address, "PATCH", "/v1/status", &body).await;
        let detail = answer["errors"][0]["detail"].as_str().unwrap_or_default();
        assert!(code == 400 && detail.contains(reason), "{attributes}: {code} {answer}");
    }
    assert_eq!(*run.wanted.borrow(), Wanted { vus: 5, paused: false });
    assert!(!run.stop.is_cancelled() && !fixed.stop.is_cancelled());

    let mut client = ControlClient::new(&fixed.address).unwrap();
    client.change(Change { stopped: Some(true), ..Change::default() }).await.unwrap();
    assert!(fixed.stop.is_cancelled(), "any run can be stopped");
}

#[tokio::test]
async fn where_no_run_is_the_client_says_how_to_get_one() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let error = ControlClient::new(&free).unwrap().status().await.unwrap_err().to_string();
    assert!(error.contains(&free) && error.contains("--address"), "{error}");
    assert!(matches!(ControlClient::new("nowhere at all"), Err(ControlError::Address(_))));
}
