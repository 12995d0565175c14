//! `[server]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use spillway_model::Rate;

use super::words;
use crate::section::Section;
use crate::{ByteSize, CorsOrigin, HttpUrl, SettingsError};

words! {
    /// What a process does.
    Role, "\"all\", \"api\" or \"worker\"" {
        /// Both.
        #[default]
        All = "all",
        /// Takes webhooks and serves the API.
        Api = "api",
        /// Delivers.
        Worker = "worker",
    }
}

impl Role {
    /// Whether the process takes webhooks and serves the API.
    #[must_use]
    pub const fn serves_api(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }

    /// Whether the process delivers.
    #[must_use]
    pub const fn delivers(self) -> bool {
        matches!(self, Self::All | Self::Worker)
    }
}

/// `[server]`: what the process serves, and the limits of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// Where to listen. Port 0 takes a free one. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// What the process does. Default all.
    pub role: Role,
    /// Where senders and people reach this server. Over `https` answers tell browsers to stay with TLS, also when a proxy ends it.
    /// Default none: `listen` is what they reach.
    pub public_url: Option<HttpUrl>,
    /// Largest request body; a larger one is answered 413, chunked or not. Default 1 MiB, at most 64 MiB.
    pub max_body: ByteSize,
    /// Most headers of a request; more are answered 431. Default 64, at most 1000.
    pub max_headers: usize,
    /// All names and values of a request's headers together; more is answered 431. Default 16 KiB, from 8 KiB to 64 KiB.
    pub max_header_bytes: ByteSize,
    /// From the connection, or the end of the previous request, until a request's headers are complete. Default 10 s.
    pub header_timeout: Duration,
    /// From the headers until the body is complete. Default 15 s.
    pub body_timeout: Duration,
    /// From the headers until the answer is complete, streams excepted. Default 30 s.
    pub request_timeout: Duration,
    /// Open connections; further ones wait in the system's queue. Default 10,000.
    pub max_connections: usize,
    /// Clients that look at live events at once, over server-sent events and WebSockets; further ones are answered 503. Default 5,000.
    pub max_streams: usize,
    /// All the time there is between SIGTERM and the exit. Zero exits at once. Default 25 s.
    pub drain_timeout: Duration,
    /// Requests to the API with each key that has no limit of its own; more are answered 429. Default 100/s.
    pub api_rate_limit: Rate,
    /// Requests to the API without a known key from each client address (IPv6: from each /64 network); more are answered 429.
    /// Requests with a known key do not count. Default 60/min.
    pub unauthenticated_rate_limit: Rate,
    /// Serves TLS with this certificate. Default none: plain HTTP.
    pub tls: Option<TlsSettings>,
    /// `server.cors.allow_origins`: web origins that browsers may call the API from. Default none.
    pub cors_allow_origins: Vec<CorsOrigin>,
}

/// `[server.tls]`: both or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            role: Role::All,
            public_url: None,
            max_body: ByteSize::mib(1),
            max_headers: 64,
            max_header_bytes: ByteSize::kib(16),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(30),
            max_connections: 10_000,
            max_streams: 5_000,
            drain_timeout: Duration::from_secs(25),
            api_rate_limit: Rate {
                count: const { std::num::NonZeroU32::new(100).expect("not zero") },
                per: Duration::from_secs(1),
            },
            unauthenticated_rate_limit: Rate {
                count: const { std::num::NonZeroU32::new(60).expect("not zero") },
                per: Duration::from_secs(60),
            },
            tls: None,
            cors_allow_origins: Vec::new(),
        }
    }
}

impl ServerSettings {
    /// Whether clients reach this server over TLS, which it or a proxy before it ends.
    #[must_use]
    pub fn is_reached_by_tls(&self) -> bool {
        self.tls.is_some() || self.public_url.as_ref().is_some_and(|url| url.as_str().starts_with("https://"))
    }

    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let wait = Duration::from_millis(100)..=Duration::from_secs(600);
        Self {
            listen: section.read("listen", default.listen),
            role: section.read("role", default.role),
            public_url: section.optional("public_url"),
            max_body: section.read_within("max_body", default.max_body, ByteSize::new(1)..=ByteSize::mib(64)),
            max_headers: section.read_within("max_headers", default.max_headers, 1..=1_000),
            max_header_bytes: section.read_within(
                "max_header_bytes",
                default.max_header_bytes,
                ByteSize::kib(8)..=ByteSize::kib(64),
            ),
            header_timeout: section.read_within("header_timeout", default.header_timeout, wait.clone()),
            body_timeout: section.read_within("body_timeout", default.body_timeout, wait.clone()),
            request_timeout: section.read_within("request_timeout", default.request_timeout, wait.clone()),
            max_connections: section.read_within("max_connections", default.max_connections, 1..=1_000_000),
            max_streams: section.read_within("max_streams", default.max_streams, 0..=1_000_000),
            drain_timeout: section.read_within("drain_timeout", default.drain_timeout, Duration::ZERO..=*wait.end()),
            api_rate_limit: section.read("api_rate_limit", default.api_rate_limit),
            unauthenticated_rate_limit: section.read("unauthenticated_rate_limit", default.unauthenticated_rate_limit),
            tls: section.table("tls", TlsSettings::read),
            cors_allow_origins: section.table("cors", |cors| cors.read("allow_origins", default.cors_allow_origins)),
        }
    }
}

impl TlsSettings {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        match (section.optional("certificate"), section.optional("key")) {
            (Some(certificate), Some(key)) => Some(Self { certificate, key }),
            (None, None) => None,
            (certificate, _) => {
                let missing = if certificate.is_some() { "key" } else { "certificate" };
                let (key, origin) = (section.path_of(missing), section.own_origin());
                let expected = "the path of a PEM file, because TLS needs both".to_owned();
                section.journal.problems.push(SettingsError::MissingKey { key, expected, origin });
                None
            }
        }
    }
}
