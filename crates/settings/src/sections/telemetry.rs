//! `[telemetry]` and `[log]`.

use std::collections::BTreeMap;

use spillway_model::Secret;

use super::words;
use crate::section::Section;
use crate::{HttpUrl, is_secret_reference};

words! {
    /// How traces are sent.
    OtlpProtocol, "\"grpc\" or \"http\"" {
        /// OTLP over gRPC, port 4317 by custom.
        #[default]
        Grpc = "grpc",
        /// OTLP in protobuf over HTTP, port 4318 by custom.
        Http = "http",
    }
}

words! {
    /// The form of log lines.
    LogFormat, "\"pretty\" or \"json\"" {
        /// For people.
        #[default]
        Pretty = "pretty",
        /// One JSON object in each line.
        Json = "json",
    }
}

/// `[telemetry]`: traces.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetrySettings {
    /// The collector. Default none: no trace is exported.
    pub otlp_endpoint: Option<HttpUrl>,
    /// How traces are sent. Default grpc.
    pub otlp_protocol: OtlpProtocol,
    /// Share of the traces begun here that is recorded, 0 to 1; a sender's own decision is followed. Default 0.1.
    pub sample_ratio: f64,
    /// The name of this service in traces. Default `spillway`.
    pub service_name: String,
    /// Headers for the collector, by lower-case name; values may be `env:NAME` or `file:PATH`. In the environment written
    /// `name=value,name=value`. Default none.
    pub otlp_headers: BTreeMap<String, Secret>,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_protocol: OtlpProtocol::Grpc,
            sample_ratio: 0.1,
            service_name: "spillway".to_owned(),
            otlp_headers: BTreeMap::new(),
        }
    }
}

impl TelemetrySettings {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            otlp_endpoint: section.optional("otlp_endpoint"),
            otlp_protocol: section.read("otlp_protocol", default.otlp_protocol),
            sample_ratio: section.read_within("sample_ratio", default.sample_ratio, 0.0..=1.0),
            service_name: section.read("service_name", default.service_name),
            otlp_headers: read_headers(section, "otlp_headers"),
        }
    }
}

/// `[log]`: log lines, on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The form of a line. Default pretty.
    pub format: LogFormat,
    /// What is logged, as directives such as `info` or `info,spillway_worker=debug`. Default `info`.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Pretty, filter: "info".to_owned() }
    }
}

impl LogSettings {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self { format: section.read("format", default.format), filter: section.read("filter", default.filter) }
    }
}

/// Headers by lower-case name. A literal value of a header that usually carries a credential is warned of.
pub(crate) fn read_headers(section: &mut Section<'_>, key: &'static str) -> BTreeMap<String, Secret> {
    let headers = section.read(key, BTreeMap::new());
    let is_credential = |name: &str| {
        ["authorization", "cookie", "key", "token", "secret", "password"].iter().any(|word| name.contains(word))
    };
    let in_file = matches!(section.origin(key), crate::Origin::File { .. });
    if in_file && headers.iter().any(|(name, value)| is_credential(name) && !is_secret_reference(value)) {
        section.warn_of_literal(key);
    }
    headers
}
