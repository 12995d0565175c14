//! Spans leave the process by OTLP and arrive at a collector, here a small server in the test.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it does not expect, in its helpers too")]

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{Span, status::StatusCode},
};
use prost::Message as _;
use spillway_telemetry::{
    LogFormat, LogSettings, SpanName, TelemetryGuard, TelemetrySettings, TraceContext, TraceProtocol, TraceSettings,
    build,
};
use tokio::{net::TcpListener, sync::mpsc};
use tracing::Dispatch;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

const PARENT: TraceContext =
    TraceContext { trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, span_id: 0x00f0_67aa_0ba9_02b7, flags: 1 };

/// Accepts OTLP by gRPC and by HTTP.
struct Collector {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<(HeaderMap, ExportTraceServiceRequest)>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| answer(request, sender.clone()));
                tokio::spawn(async move {
                    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
        Self { address, requests }
    }

    async fn next(&mut self) -> (HeaderMap, ExportTraceServiceRequest) {
        tokio::time::timeout(Duration::from_secs(10), self.requests.recv()).await.unwrap().unwrap()
    }
}

async fn answer(
    request: Request<Incoming>,
    sender: mpsc::UnboundedSender<(HeaderMap, ExportTraceServiceRequest)>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let is_grpc = parts.headers["content-type"] == "application/grpc";
    let path = if is_grpc { "/opentelemetry.proto.collector.trace.v1.TraceService/Export" } else { "/v1/traces" };
    assert_eq!(parts.uri.path(), path);
    // A gRPC message has a flag and its length before it; the empty answer is five zero bytes and a status trailer.
    let message = if is_grpc { body.slice(5..) } else { body };
    sender.send((parts.headers, ExportTraceServiceRequest::decode(message).unwrap())).unwrap();
    if !is_grpc {
        let empty = Full::default().boxed();
        return Ok(Response::builder().header("content-type", "application/x-protobuf").body(empty).unwrap());
    }
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let empty = Full::new(Bytes::from_static(&[0; 5])).with_trailers(async move { Some(Ok(trailers)) }).boxed();
    Ok(Response::builder().header("content-type", "application/grpc").body(empty).unwrap())
}

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn telemetry(endpoint: String, protocol: TraceProtocol, filter: &str) -> (Dispatch, TelemetryGuard, Output) {
    let output = Output::default();
    let writer = output.clone();
    let settings = TelemetrySettings {
        logs: LogSettings { format: LogFormat::Json, filter: filter.to_owned() },
        traces: TraceSettings {
            endpoint: Some(endpoint),
            protocol,
            sample_ratio: 0.0,
            service_name: "gateway-under-test".to_owned(),
            headers: vec![("x-tenant".to_owned(), "blue".to_owned())],
        },
    };
    let (dispatch, guard) = build(&settings, BoxMakeWriter::new(move || writer.clone()), false).unwrap();
    (dispatch, guard, output)
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<&Span> {
    request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).collect()
}

async fn spans_arrive_with_their_trace(protocol: TraceProtocol) {
    let mut collector = Collector::start().await;
    let (dispatch, guard, _) = telemetry(format!("http://{}", collector.address), protocol, "info");
    let (intake, attempt) = tracing::dispatcher::with_default(&dispatch, || {
        let tracer = guard.tracer();
        let intake = tracer.start(SpanName::Intake, Some(PARENT));
        intake.set("http.response.status_code", 202_i64);
        intake.span().in_scope(|| ());
        // A library's span around ours must neither be exported nor become a parent.
        let attempt =
            tracing::info_span!("library").in_scope(|| tracer.start(SpanName::Attempt, Some(intake.context())));
        attempt.fail("connection refused");
        let unsampled = tracer.start(SpanName::Commit, None);
        assert!(intake.is_recording() && attempt.is_recording() && !unsampled.is_recording());
        (intake.context(), attempt.context())
    });
    drop(dispatch);
    guard.shutdown(Duration::from_secs(10)).await;

    let (headers, request) = collector.next().await;
    assert_eq!(headers["x-tenant"], "blue");
    let resource = format!("{:?}", request.resource_spans[0].resource);
    assert!(resource.contains("gateway-under-test"), "{resource}");
    let spans = spans(&request);
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert!(spans.iter().all(|span| span.trace_id == PARENT.trace_id.to_be_bytes()));

    let server = spans.iter().find(|span| span.name == "POST /in/{source}").unwrap();
    assert_eq!(server.parent_span_id, PARENT.span_id.to_be_bytes());
    assert_eq!(server.span_id, intake.span_id.to_be_bytes());
    assert!(server.attributes.iter().any(|attribute| attribute.key == "http.response.status_code"));

    let client = spans.iter().find(|span| span.name == "POST").unwrap();
    assert_eq!(client.parent_span_id, intake.span_id.to_be_bytes());
    assert_eq!(client.span_id, attempt.span_id.to_be_bytes());
    let status = client.status.as_ref().unwrap();
    assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "connection refused"));
    assert!(client.end_time_unix_nano >= client.start_time_unix_nano);
    assert!(server.end_time_unix_nano >= client.end_time_unix_nano, "a span ends when dropped, not when last exited");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_with_their_trace_by_grpc() {
    spans_arrive_with_their_trace(TraceProtocol::Grpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_with_their_trace_by_http() {
    spans_arrive_with_their_trace(TraceProtocol::Http).await;
}

#[tokio::test]
async fn log_lines_inside_a_sampled_span_carry_its_ids_whatever_the_filter() {
    let collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.address);
    let (dispatch, guard, output) = telemetry(endpoint, TraceProtocol::Http, "spillway_worker=warn");
    let sampled = tracing::dispatcher::with_default(&dispatch, || {
        let sampled = guard.tracer().start(SpanName::Deliver, Some(PARENT));
        let unsampled = guard.tracer().start(SpanName::Deliver, None);
        sampled.span().in_scope(|| {
            let inner = tracing::info_span!("inner");
            inner.in_scope(|| tracing::warn!(target: "spillway_worker", "inside"));
        });
        unsampled.span().in_scope(|| tracing::warn!(target: "spillway_worker", "outside"));
        sampled.context()
    });
    drop(dispatch);
    guard.shutdown(Duration::from_secs(10)).await;

    let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0]["trace_id"], format!("{:032x}", PARENT.trace_id));
    assert_eq!(lines[0]["span_id"], format!("{:016x}", sampled.span_id));
    assert_eq!(lines[1]["message"], "outside");
    assert!(lines[1].get("trace_id").is_none(), "{text}");
}

#[tokio::test]
async fn a_collector_that_is_down_does_not_hold_up_the_exit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (dispatch, guard, _) = telemetry(format!("http://{address}"), TraceProtocol::Http, "info");
    tracing::dispatcher::with_default(&dispatch, || drop(guard.tracer().start(SpanName::Deliver, Some(PARENT))));
    let shutdown = guard.shutdown(Duration::from_millis(200));
    tokio::time::timeout(Duration::from_secs(5), shutdown).await.unwrap();
}
