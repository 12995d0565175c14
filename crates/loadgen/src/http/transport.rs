//! New connections: address, TCP, link, TLS.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::{ErrorClass, Failure};
use super::io::{Io, Wire};
use super::origin::Origin;
use super::resolver::Resolver;
use super::shaping::Network;
use super::tls::{NoRootCertificates, Tls};
use super::trace::{Meter, Trace};

/// The version of HTTP that requests go by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// What the server prefers of HTTP/2 and HTTP/1.1 over TLS, HTTP/1.1 without.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1 only.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 only; without TLS by prior knowledge (h2c).
    #[serde(rename = "2")]
    Http2,
}

/// What all virtual users of a run share: the resolver's answers and the TLS configuration.
#[derive(Debug, Default)]
pub struct Transport {
    insecure_skip_tls_verify: bool,
    tls: OnceLock<Result<Tls, NoRootCertificates>>,
    resolver: Resolver,
}

/// A connection that nothing was sent on yet.
pub(super) struct Dialled {
    pub(super) io: Io,
    pub(super) meter: Arc<Meter>,
    /// The server chose HTTP/2 in the TLS handshake.
    pub(super) http2_negotiated: bool,
}

impl Transport {
    /// A transport that takes any certificate if `insecure_skip_tls_verify` is set, else those that the system trusts.
    pub fn new(insecure_skip_tls_verify: bool) -> Arc<Self> {
        Arc::new(Self { insecure_skip_tls_verify, ..Self::default() })
    }

    /// Opens one connection to `origin` and closes it, so that a run against nobody can end before it begins.
    ///
    /// # Errors
    /// What every request would fail with. It waits as long as the system does for an address that says nothing.
    pub async fn probe(&self, origin: &Origin) -> Result<(), Failure> {
        self.dial(origin, Protocol::Auto, None, &mut Trace::begin()).await.map(drop)
    }

    pub(super) async fn dial(
        &self,
        origin: &Origin,
        protocol: Protocol,
        network: Option<&Network>,
        trace: &mut Trace,
    ) -> Result<Dialled, Failure> {
        let addresses = self.resolver.addresses(origin).await?;
        trace.resolved();
        let tcp = TcpStream::connect(addresses.as_slice()).await?;
        tcp.set_nodelay(true)?;
        if let Some(network) = network {
            // The handshake of TCP takes one round trip.
            tokio::time::sleep(network.latency).await;
        }
        let meter = Meter::new();
        trace.connected(meter.clone(), origin.tls);
        let wire = Wire::new(tcp, meter.clone(), network);
        if !origin.tls {
            return Ok(Dialled { io: Io::Plain(wire), meter, http2_negotiated: false });
        }
        let name = ServerName::try_from(origin.host.clone())
            .map_err(|_| Failure::new(ErrorClass::Tls, format!("{} can be in no certificate", origin.host)))?;
        let connector = TlsConnector::from(self.tls(protocol)?);
        let tls = connector.connect(name, wire).await?;
        trace.secured();
        let http2_negotiated = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Dialled { io: Io::Tls(Box::new(tls)), meter, http2_negotiated })
    }

    fn tls(&self, protocol: Protocol) -> Result<Arc<ClientConfig>, Failure> {
        let tls = self.tls.get_or_init(|| Tls::new(self.insecure_skip_tls_verify));
        let tls = tls.as_ref().map_err(|error| Failure::new(ErrorClass::Tls, error.to_string()))?;
        Ok(match protocol {
            Protocol::Auto => tls.either.clone(),
            Protocol::Http1 => tls.http1.clone(),
            Protocol::Http2 => tls.http2.clone(),
        })
    }
}
