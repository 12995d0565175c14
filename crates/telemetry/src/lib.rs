//! What an operator sees of Spillway: traces, the metric catalogue and logs.
//!
//! The three parts share one idea: a [`TraceContext`] names a trace, spans carry it from hop to hop, log lines about it
//! print its ids, and histograms keep it as an exemplar. Metrics need no set-up and no global; traces and
//! logs are installed once per process by [`init`].

mod logs;
mod metrics;
mod trace;

pub use logs::{LogFormat, LogSettings};
pub use metrics::{
    AlertName, BuildInfo, BusinessMetrics, CONTENT_TYPE, CacheName, CacheResult, Catalogue, Counter, DeliveryOutcome,
    Family, Gauge, HttpRequests, IntakeOutcome, IntakeRequests, Label, LabelDescription, LabelSet, LatencyHistogram,
    MetricDescription, MetricKind, Metrics, PoolState, Removed, RouteMetrics, SampledCounter, SizeHistogram,
    SourceMetrics, StoreQuery, StreamEvent, StreamKind, UNKNOWN_SOURCE, catalogue, catalogue_markdown,
};
pub use spillway_model::{AttemptClass, TraceContext};
pub use trace::{ActiveSpan, SpanName, TraceProtocol, TraceSettings, Tracer};

use std::{io, time::Duration};

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Dispatch;
use tracing_subscriber::{
    Layer, Registry, fmt::writer::BoxMakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// How a process logs and traces.
#[derive(Debug, Clone, Default)]
pub struct TelemetrySettings {
    /// What is logged, and how.
    pub logs: LogSettings,
    /// Where traces go, if anywhere.
    pub traces: TraceSettings,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter is not in the syntax of `tracing-subscriber`'s `EnvFilter`.
    #[error("the log filter {filter:?} is invalid; write it like \"info\" or \"info,spillway_worker=debug\"")]
    Filter {
        /// The filter as it was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The sampling ratio is not a number from 0 to 1.
    #[error("the trace sampling ratio is {0}; it must be from 0 to 1")]
    SampleRatio(f64),
    /// The endpoint is not an absolute `http` or `https` URL.
    #[error("the trace endpoint {0:?} is not an http:// or https:// URL")]
    Endpoint(String),
    /// A header for the collector has an invalid name or value. The value is not shown: it may be a credential.
    #[error("the trace header {0:?} has an invalid name or value")]
    Header(String),
    /// The platform's certificate store could not be read, which an `https` endpoint needs.
    #[error("the platform's root certificates cannot be loaded for the trace endpoint")]
    Certificates(#[source] io::Error),
    /// The exporter refused its settings.
    #[error("the trace exporter cannot be built")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Traces are exported by tasks, and there is no Tokio runtime to run them.
    #[error("trace export was started outside a Tokio runtime")]
    NoRuntime,
    /// A subscriber is installed already.
    #[error("telemetry is already installed in this process")]
    AlreadyInstalled(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps trace export running. Call [`TelemetryGuard::shutdown`] before the process ends, or the last spans are lost.
#[derive(Debug)]
pub struct TelemetryGuard {
    tracer: Tracer,
    provider: Option<SdkTracerProvider>,
}

impl TelemetryGuard {
    /// The tracer that belongs to the installed subscriber.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        self.tracer
    }

    /// Exports what is buffered and stops the exporter, waiting no longer than `timeout`. What did not get out by then is
    /// dropped; a collector that is down never holds up the exit. Without an endpoint it returns at once.
    pub async fn shutdown(self, timeout: Duration) {
        let Some(provider) = self.provider else { return };
        let stop = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(timeout));
        match tokio::time::timeout(timeout, stop).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were not exported"),
            Ok(Err(error)) => tracing::warn!(%error, "the trace exporter did not stop cleanly"),
            Err(_) => tracing::warn!(?timeout, "the last spans were not exported in time"),
        }
    }
}

/// Installs logs (to standard error) and traces for the whole process. With a trace endpoint it must run inside a Tokio
/// runtime, whose threads then send the spans.
///
/// # Errors
/// When a setting is invalid, or telemetry is installed already. Nothing is installed then. An unreachable collector is
/// no error: it is reported in the log while the process runs.
pub fn init(settings: &TelemetrySettings) -> Result<TelemetryGuard, TelemetryError> {
    let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let (dispatch, guard) = build(settings, BoxMakeWriter::new(io::stderr), colour)?;
    dispatch.try_init()?;
    Ok(guard)
}

/// The same as [`init`] without installing anything: for tests, which make the returned [`Dispatch`] the default of a
/// thread with [`tracing::dispatcher::set_default`]. `colour` applies to the pretty format only.
///
/// # Errors
/// As [`init`].
pub fn build(
    settings: &TelemetrySettings,
    writer: BoxMakeWriter,
    colour: bool,
) -> Result<(Dispatch, TelemetryGuard), TelemetryError> {
    let log_layer = logs::layer(&settings.logs, writer, colour)?;
    let tracer = Tracer::new(&settings.traces)?;
    let provider = trace::provider(&settings.traces)?;
    let subscriber: Box<dyn tracing::Subscriber + Send + Sync> = match &provider {
        Some(provider) => {
            let layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![log_layer, trace::layer(provider)];
            Box::new(tracing_subscriber::registry().with(layers))
        }
        None => Box::new(tracing_subscriber::registry().with(log_layer)),
    };
    Ok((Dispatch::new(subscriber), TelemetryGuard { tracer, provider }))
}
