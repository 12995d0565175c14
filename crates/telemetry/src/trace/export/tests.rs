use std::sync::atomic::AtomicUsize;

use tracing::{Event, Subscriber, dispatcher, subscriber::Interest};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _};

use super::*;

/// Fails while `failures` lasts.
#[derive(Debug)]
struct Flaky {
    failures: AtomicUsize,
}

impl SpanExporter for Flaky {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        let fails =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if fails { Err(OTelSdkError::InternalFailure("connection refused".to_owned())) } else { Ok(()) }
    }
}

#[derive(Clone, Default)]
struct CountEvents(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for CountEvents {
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("spillway_telemetry") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn a_failing_collector_is_logged_once_and_once_when_it_is_back() {
    let events = CountEvents::default();
    let subscriber = tracing_subscriber::registry().with(events.clone());
    let _guard = dispatcher::set_default(&subscriber.into());
    let flaky = Flaky { failures: AtomicUsize::new(3) };
    let exporter = ReportingExporter::new(flaky, Handle::current(), "collector:4317".to_owned());

    for (is_ok, events_so_far) in [(false, 1), (false, 1), (false, 1), (true, 2), (true, 2)] {
        assert_eq!(exporter.export(Vec::new()).await.is_ok(), is_ok);
        assert_eq!(events.0.load(Ordering::Relaxed), events_so_far);
    }
}

#[test]
fn endpoints_are_checked_and_completed() {
    let plain = Endpoint::parse("http://user:secret@collector:4318").unwrap();
    assert_eq!((plain.authority.as_str(), plain.is_tls), ("collector:4318", false));
    assert_eq!(Endpoint::parse("https://c.example/").unwrap().url_for_http(), "https://c.example/v1/traces");
    assert_eq!(Endpoint::parse("https://c.example/otlp").unwrap().url_for_http(), "https://c.example/otlp");
    for bad in ["", "collector:4317", "ftp://collector", "/v1/traces", "http://"] {
        assert!(matches!(Endpoint::parse(bad), Err(TelemetryError::Endpoint(_))), "{bad}");
    }
}

#[test]
fn a_bad_header_is_refused_without_showing_its_value() {
    let error = header_map(&[("authorization".to_owned(), "secret\n".to_owned())]).unwrap_err();
    assert_eq!(error.to_string(), "the trace header \"authorization\" has an invalid name or value");
}
