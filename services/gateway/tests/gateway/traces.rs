//! A sender's trace, through storage, to the destination, the collector and the log.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use spillway_testkit::{Answer, Sink, shared_database, wait_until};

use crate::support::{Folder, SOON, Sender, orders_to, stop};

const SAMPLED: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const UNSAMPLED: &str = "0af7651916cd43dd8448eb211c80319c";
const SENDER_SPAN: &str = "00f067aa0ba902b7";

/// Sends an event as a part of this trace.
async fn send(url: &str, trace: &str, flags: &str) {
    let traceparent = format!("00-{trace}-{SENDER_SPAN}-{flags}");
    let sent = Sender::new().send_with(url, "{}".to_owned(), &[("traceparent", &traceparent)]).await;
    sent.expect("an acknowledgement");
}

/// The settings, with a collector that is sent every trace that is sampled.
fn traced(settings: &str, collector: &Sink) -> String {
    let endpoint = collector.url("/v1/traces");
    format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\notlp_protocol = \"http\"\nsample_ratio = 0.0\n{settings}")
}

fn collected(collector: &Sink) -> Vec<Span> {
    let requests = collector.requests();
    let decoded = requests.iter().map(|request| ExportTraceServiceRequest::decode(request.body.clone()));
    let resources = decoded.flat_map(|request| request.expect("OTLP").resource_spans);
    resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The traceparent that arrived with the event of this trace, in its four parts.
fn arrived(sink: &Sink, trace: &str) -> Vec<String> {
    let requests = sink.requests();
    let headers: Vec<&str> = requests.iter().filter_map(|request| request.header("traceparent")).collect();
    let of_trace: Vec<&&str> = headers.iter().filter(|header| header.contains(trace)).collect();
    assert_eq!(of_trace.len(), 1, "one event of the trace {trace} in {headers:?}");
    of_trace[0].split('-').map(str::to_owned).collect()
}

/// Sends one event of each kind to `url`, whose node and others like it send their spans to `collector`.
async fn send_both(url: &str, sink: &Sink) {
    send(url, UNSAMPLED, "00").await;
    send(url, SAMPLED, "01").await;
    sink.wait_for_count(2, SOON).await;
}

/// After every node has ended and sent what it had.
async fn check(sink: &Sink, collector: &Sink) {
    wait_until("the spans to arrive", SOON, async || collected(collector).len() >= 4).await;
    let spans = collected(collector);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == SAMPLED), "only the sampled trace is exported: {spans:?}");
    let named = |name: &str| {
        let mut found = spans.iter().filter(|span| span.name == name);
        let span = found.next().unwrap_or_else(|| panic!("no span {name} in {spans:?}"));
        assert!(found.next().is_none(), "one span {name}");
        (hex(&span.span_id), hex(&span.parent_span_id))
    };
    let (intake, parent) = named("POST /in/{source}");
    assert_eq!(parent, SENDER_SPAN);
    assert_eq!(named("commit").1, intake);
    let (deliver, parent) = named("deliver");
    assert_eq!(parent, intake, "the trace came through storage");
    let (attempt, parent) = named("POST");
    assert_eq!(parent, deliver);
    assert_eq!(arrived(sink, SAMPLED), ["00", SAMPLED, &attempt, "01"]);
    // Nothing is recorded of the other one, and it is still the sender's trace that arrives.
    let unsampled = arrived(sink, UNSAMPLED);
    assert_eq!((unsampled[1].as_str(), unsampled[3].as_str()), (UNSAMPLED, "00"));
}

#[tokio::test]
async fn the_senders_trace_reaches_destination_and_collector_on_one_node() {
    let (folder, sink, collector) = (Folder::new(), Sink::start().await, Sink::start().await);
    let store = format!("data_dir = \"{}\"", folder.path("data").display());
    folder.settings(&traced(&orders_to(&sink.url("/"), &store, ""), &collector));
    let gateway = folder.start(&[]).await;
    send_both(&gateway.url, &sink).await;
    stop(gateway).await;
    check(&sink, &collector).await;
}

#[tokio::test]
async fn the_senders_trace_reaches_destination_and_collector_over_two_nodes() {
    let (folder, sink, collector) = (Folder::new(), Sink::start().await, Sink::start().await);
    let database = shared_database().await;
    folder.settings(&traced(&orders_to(&sink.url("/"), &format!("url = \"{}\"", database.url()), ""), &collector));
    let api = folder.try_start(&["--role", "api"], "api.log").await.expect("an api node");
    let worker = folder.try_start(&["--role", "worker"], "worker.log").await.expect("a worker");
    send_both(&api.url, &sink).await;
    stop(api).await;
    stop(worker).await;
    check(&sink, &collector).await;
}

/// Logs are read by trace also where no collector is.
#[tokio::test]
async fn the_line_about_a_failed_attempt_carries_the_senders_trace() {
    let (folder, sink) = (Folder::new(), Sink::start().await);
    sink.on("/", Answer::status(500));
    let store = format!("data_dir = \"{}\"", folder.path("data").display());
    let settings = orders_to(&sink.url("/"), &store, "");
    folder.settings(&format!("[log]\nformat = \"json\"\nfilter = \"info,spillway_worker=debug\"\n{settings}"));
    let gateway = folder.start(&[]).await;
    send(&gateway.url, UNSAMPLED, "00").await;
    wait_until("the failure to be logged", SOON, async || folder.log().contains("an attempt failed")).await;
    let log = folder.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let says = |line: &&serde_json::Value, text| line["message"].as_str().is_some_and(|message| message.contains(text));
    let failed = lines.iter().find(|line| says(line, "an attempt failed")).expect("the line");
    assert_eq!(failed["trace_id"], UNSAMPLED);
    let ready = lines.iter().find(|line| says(line, "ready")).expect("a line about no event");
    assert!(ready.get("trace_id").is_none(), "{ready}");
    stop(gateway).await;
}
