//! Sending spans to a collector: OTLP over gRPC or HTTP, in batches, from a bounded queue.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, uri::Scheme};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _,
    tonic_types::{metadata::MetadataMap, transport::ClientTlsConfig},
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::runtime::Handle;

use super::{TraceProtocol, TraceSettings, ids::GivenIds};
use crate::TelemetryError;

/// Finished spans that may wait for export; further ones are dropped.
const QUEUE_SPANS: usize = 8_192;

/// Spans in one request to the collector.
const BATCH_SPANS: usize = 512;

/// Longest time a finished span waits for a fuller batch.
const BATCH_WAIT: Duration = Duration::from_secs(2);

/// Longest time for one batch, retries included.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The running exporter, or `None` without an endpoint.
pub(crate) fn provider(settings: &TraceSettings) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &settings.endpoint else { return Ok(None) };
    let runtime = Handle::try_current().map_err(|_| TelemetryError::NoRuntime)?;
    let endpoint = Endpoint::parse(endpoint)?;
    let exporter = match settings.protocol {
        TraceProtocol::Grpc => grpc_exporter(&endpoint, &settings.headers)?,
        TraceProtocol::Http => http_exporter(&endpoint, &settings.headers)?,
    };
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE_SPANS)
        .with_max_export_batch_size(BATCH_SPANS)
        .with_scheduled_delay(BATCH_WAIT)
        .build();
    let exporter = ReportingExporter::new(exporter, runtime, endpoint.authority);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
        .with_sampler(Sampler::AlwaysOn)
        .with_id_generator(GivenIds)
        .with_resource(Resource::builder().with_service_name(settings.service_name.clone()).build())
        .build();
    Ok(Some(provider))
}

fn grpc_exporter(
    endpoint: &Endpoint,
    headers: &[(String, String)],
) -> Result<opentelemetry_otlp::SpanExporter, TelemetryError> {
    let builder = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&endpoint.url)
        .with_timeout(EXPORT_TIMEOUT)
        .with_metadata(MetadataMap::from_headers(header_map(headers)?));
    let builder = match endpoint.is_tls {
        true => builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots()),
        false => builder,
    };
    Ok(builder.build()?)
}

fn http_exporter(
    endpoint: &Endpoint,
    headers: &[(String, String)],
) -> Result<opentelemetry_otlp::SpanExporter, TelemetryError> {
    // The exporter would leave invalid headers out in silence.
    header_map(headers)?;
    let builder = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(endpoint.url_for_http())
        .with_timeout(EXPORT_TIMEOUT)
        .with_headers(headers.iter().cloned().collect());
    let builder = match endpoint.is_tls {
        true => {
            let connector = hyper_rustls::HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
                .map_err(TelemetryError::Certificates)?
                .https_only()
                .enable_http1()
                .build();
            builder.with_http_client(HyperClient::new(connector, EXPORT_TIMEOUT, None))
        }
        false => builder.with_http_client(HyperClient::with_default_connector(EXPORT_TIMEOUT, None)),
    };
    Ok(builder.build()?)
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, TelemetryError> {
    headers
        .iter()
        .map(|(name, value)| {
            let invalid = || TelemetryError::Header(name.clone());
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            Ok((name, HeaderValue::from_str(value).map_err(|_| invalid())?))
        })
        .collect()
}

/// A checked collector URL.
#[derive(Debug)]
struct Endpoint {
    url: String,
    /// Host and port for the log, without a user's name and password.
    authority: String,
    is_tls: bool,
    has_path: bool,
}

impl Endpoint {
    fn parse(url: &str) -> Result<Self, TelemetryError> {
        let invalid = || TelemetryError::Endpoint(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let scheme =
            uri.scheme().filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme)).ok_or_else(invalid)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(invalid)?;
        Ok(Self {
            url: url.to_owned(),
            authority: uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            is_tls: *scheme == Scheme::HTTPS,
            has_path: !matches!(uri.path(), "" | "/"),
        })
    }

    fn url_for_http(&self) -> String {
        match self.has_path {
            true => self.url.clone(),
            false => format!("{}/v1/traces", self.url.trim_end_matches('/')),
        }
    }
}

/// Runs the exporter on the Tokio runtime, which its clients need, and logs when export begins to fail and when it works
/// again, not each batch.
pub(super) struct ReportingExporter<E> {
    inner: Arc<E>,
    runtime: Handle,
    authority: String,
    is_failing: AtomicBool,
}

impl<E> ReportingExporter<E> {
    pub(super) fn new(inner: E, runtime: Handle, authority: String) -> Self {
        Self { inner: Arc::new(inner), runtime, authority, is_failing: AtomicBool::new(false) }
    }

    fn report(&self, result: &OTelSdkResult, n_spans: usize) {
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        let collector = &self.authority;
        match result {
            Err(error) if !was_failing => {
                tracing::warn!(collector, n_spans, %error, "spans are not exported and are lost until the collector answers");
            }
            Ok(()) if was_failing => tracing::info!(collector, "spans are exported again"),
            _ => {}
        }
    }
}

impl<E: SpanExporter + 'static> SpanExporter for ReportingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let n_spans = batch.len();
        let inner = Arc::clone(&self.inner);
        let export = self.runtime.spawn(async move { inner.export(batch).await });
        let result = export.await.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        self.report(&result, n_spans);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Called once, before the first export, while there is no other owner.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.set_resource(resource);
        }
    }
}

impl<E> fmt::Debug for ReportingExporter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportingExporter").field("authority", &self.authority).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
