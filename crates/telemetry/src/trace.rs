//! Traces: who decides about sampling, and the spans that carry a trace from hop to hop.
//!
//! The decision is made once, at the head of a trace. Unsampled work creates no span at all: it costs two random numbers,
//! and a [`TraceContext`] travels on so that the trace stays connected for others.

mod export;
mod ids;

pub(crate) use export::provider;
pub(crate) use ids::{of_span, unrecorded};

use std::{fmt, future::poll_fn, pin::pin};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{SpanContext, Status, TraceContextExt as _, TraceFlags, TraceState, TracerProvider as _},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use spillway_model::TraceContext;
use tracing::{Instrument as _, Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, Registry, filter::LevelFilter};

use crate::TelemetryError;

/// The target of our spans, by which the layers tell them from the spans of libraries, which are not exported.
pub(crate) const SPAN_TARGET: &str = "spillway_span";

/// Where traces go and how many.
#[derive(Clone)]
pub struct TraceSettings {
    /// The collector's URL, such as `http://localhost:4317`. `None` exports nothing, and nothing of OpenTelemetry runs.
    /// For HTTP the path `/v1/traces` is added when the URL has none.
    pub endpoint: Option<String>,
    /// How spans are sent to it.
    pub protocol: TraceProtocol,
    /// The share of traces begun here that are sampled, 0 to 1. A trace begun elsewhere keeps its sender's decision.
    pub sample_ratio: f64,
    /// What the collector calls this program (`service.name`).
    pub service_name: String,
    /// Headers sent to the collector, such as its credentials.
    pub headers: Vec<(String, String)>,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            protocol: TraceProtocol::Grpc,
            sample_ratio: 1.0,
            service_name: "spillway".to_owned(),
            headers: Vec::new(),
        }
    }
}

impl fmt::Debug for TraceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header_names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("TraceSettings")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("sample_ratio", &self.sample_ratio)
            .field("service_name", &self.service_name)
            .field("headers", &header_names)
            .finish()
    }
}

/// The two encodings of OTLP that collectors accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceProtocol {
    /// OTLP/gRPC, by custom on port 4317.
    #[default]
    Grpc,
    /// OTLP/HTTP with Protocol Buffers, by custom on port 4318.
    Http,
}

/// The kinds of work that have spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanName {
    /// A request to intake, until its acknowledgement.
    Intake,
    /// An event's wait for, and share of, a commit.
    Commit,
    /// A delivery in a worker's hands.
    Deliver,
    /// One request to a destination.
    Attempt,
}

impl SpanName {
    const fn name(self) -> &'static str {
        match self {
            Self::Intake => "POST /in/{source}",
            Self::Commit => "commit",
            Self::Deliver => "deliver",
            Self::Attempt => "POST",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Intake => "server",
            Self::Commit => "internal",
            Self::Deliver => "consumer",
            Self::Attempt => "client",
        }
    }
}

/// Starts spans. A small value to copy into every component.
#[derive(Debug, Clone, Copy)]
pub struct Tracer {
    sampler: Option<RatioSampler>,
}

impl Tracer {
    /// A tracer that records nothing and forwards the sender's context unchanged.
    #[must_use]
    pub const fn disabled() -> Self {
        Self { sampler: None }
    }

    pub(crate) fn new(settings: &TraceSettings) -> Result<Self, TelemetryError> {
        let sampler = RatioSampler::new(settings.sample_ratio)?;
        Ok(Self { sampler: settings.endpoint.is_some().then_some(sampler) })
    }

    /// Whether the trace `trace_id` is recorded here: never without an endpoint, else as the parent was, else by the
    /// ratio. The same trace id gets the same answer on every node with the same ratio.
    #[must_use]
    pub fn decide(&self, trace_id: u128, parent: Option<TraceContext>) -> bool {
        self.sampler.is_some_and(|sampler| parent.map_or_else(|| sampler.samples(trace_id), TraceContext::is_sampled))
    }

    /// Starts a span that ends when the returned value is dropped. Its parent is `parent` alone, never the span that
    /// happens to be entered. Without an endpoint the context of `parent` passes through unchanged, because we take no
    /// part in the trace; without a parent a new trace begins.
    #[must_use]
    pub fn start(&self, name: SpanName, parent: Option<TraceContext>) -> ActiveSpan {
        if let (None, Some(parent)) = (self.sampler, parent) {
            return ActiveSpan::unrecorded(parent, true);
        }
        let trace_id = parent.map_or_else(|| rand::random::<u128>().max(1), |parent| parent.trace_id);
        let sampled = self.decide(trace_id, parent);
        let context = TraceContext { trace_id, span_id: rand::random::<u64>().max(1), flags: u8::from(sampled) };
        if sampled {
            ActiveSpan::recorded(name, context, parent)
        } else {
            ActiveSpan::unrecorded(context, parent.is_some())
        }
    }

    /// The same for work on something that was kept with [`ActiveSpan::to_keep`]. Where nothing was kept it was decided not to
    /// record, and that holds: a fresh trace begins, unsampled.
    #[must_use]
    pub fn resume(&self, name: SpanName, kept: Option<TraceContext>) -> ActiveSpan {
        match kept {
            Some(kept) => self.start(name, Some(kept)),
            None => {
                let (trace_id, span_id) = (rand::random::<u128>().max(1), rand::random::<u64>().max(1));
                ActiveSpan::unrecorded(TraceContext { trace_id, span_id, flags: 0 }, false)
            }
        }
    }
}

/// Head sampling by trace id, as OpenTelemetry's `TraceIdRatioBased` does it.
#[derive(Debug, Clone, Copy)]
struct RatioSampler {
    /// A trace is sampled when the low 63 bits of its id are below this.
    threshold: u64,
}

impl RatioSampler {
    fn new(ratio: f64) -> Result<Self, TelemetryError> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(TelemetryError::SampleRatio(ratio));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the product is from 0 to 2^63")]
        let threshold = (ratio * (1_u64 << 63) as f64) as u64;
        Ok(Self { threshold })
    }

    fn samples(self, trace_id: u128) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let low = trace_id as u64;
        low >> 1 < self.threshold
    }
}

/// A piece of work in a trace. It ends when dropped; recorded, it is then queued for export. If the queue is full the
/// span is dropped, never the work.
#[derive(Debug)]
pub struct ActiveSpan {
    context: TraceContext,
    recording: Option<Recording>,
    /// Whether somebody else may know the trace.
    has_parent: bool,
}

#[derive(Debug)]
struct Recording {
    span: Span,
    context: Context,
}

impl ActiveSpan {
    fn unrecorded(context: TraceContext, has_parent: bool) -> Self {
        Self { context, recording: None, has_parent }
    }

    fn recorded(name: SpanName, context: TraceContext, parent: Option<TraceContext>) -> Self {
        let (span, otel_context) = ids::with_next(context, || {
            let span = tracing::span!(
                target: SPAN_TARGET, parent: None, Level::INFO, "span",
                otel.name = name.name(), otel.kind = name.kind()
            );
            if let Some(parent) = parent {
                let remote = Context::new().with_remote_span_context(span_context(parent));
                // It fails only when no layer of ours is installed; the span is then disabled and dropped below.
                let _ = span.set_parent(remote);
            }
            let otel_context = span.context();
            (span, otel_context)
        });
        let recording = (!span.is_disabled()).then_some(Recording { span, context: otel_context });
        Self { context, recording, has_parent: parent.is_some() }
    }

    /// What to send on as `traceparent`, and to store with the event.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// What to store with an event, for [`Tracer::resume`]: the context of a trace that is recorded or that a sender began, sampled
    /// or not. There is nothing to keep of a trace that nobody knows of.
    #[must_use]
    pub fn to_keep(&self) -> Option<TraceContext> {
        (self.context.is_sampled() || self.has_parent).then_some(self.context)
    }

    /// Runs `work` inside the span: log lines carry the ids of its trace if it is recorded or began elsewhere, and those from INFO
    /// up become events of a recorded span. Costs nothing otherwise.
    pub async fn cover<F: Future>(&self, work: F) -> F::Output {
        if self.is_recording() {
            return work.instrument(self.span()).await;
        }
        if !self.has_parent {
            return work.await;
        }
        let mut work = pin!(work);
        poll_fn(|context| ids::under_unrecorded(self.context, || work.as_mut().poll(context))).await
    }

    /// Whether the span will be exported. When not, setting attributes does nothing.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// The context if the span is exported: what a histogram may link to.
    #[must_use]
    pub fn exemplar(&self) -> Option<TraceContext> {
        self.recording.as_ref().map(|_| self.context)
    }

    /// The span for `Span::in_scope`, so that log lines inside carry its ids and become its events; [`ActiveSpan::cover`] does it
    /// for a future. Disabled, and free to enter, when the span is not recorded.
    #[must_use]
    pub fn span(&self) -> Span {
        self.recording.as_ref().map_or_else(Span::none, |recording| recording.span.clone())
    }

    /// Sets an attribute; use the names of OpenTelemetry's semantic conventions.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(recording) = &self.recording {
            recording.context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Marks the work as failed. `description` is made only when the span is recorded.
    pub fn fail(&self, description: impl fmt::Display) {
        if let Some(recording) = &self.recording {
            recording.context.span().set_status(Status::error(description.to_string()));
        }
    }
}

impl Drop for ActiveSpan {
    fn drop(&mut self) {
        // Ended here, because the layer would take the last exit of the span for its end.
        if let Some(recording) = &self.recording {
            recording.context.span().end();
        }
    }
}

fn span_context(context: TraceContext) -> SpanContext {
    let flags = if context.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    SpanContext::new(context.trace_id.into(), context.span_id.into(), flags, true, TraceState::default())
}

/// The layer that turns our spans into OpenTelemetry spans, and the log events inside them, from INFO up, into their
/// events.
pub(crate) fn layer(provider: &SdkTracerProvider) -> Box<dyn Layer<Registry> + Send + Sync> {
    let bridge = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("spillway"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false);
    let ours = tracing_subscriber::filter::filter_fn(|metadata| {
        metadata.target() == SPAN_TARGET || (metadata.is_event() && *metadata.level() <= Level::INFO)
    });
    ids::RememberIds.and_then(bridge).with_filter(ours.with_max_level_hint(LevelFilter::INFO)).boxed()
}

#[cfg(test)]
mod tests;
