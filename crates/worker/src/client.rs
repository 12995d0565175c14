//! The one HTTP client: pooled connections, HTTP/1.1 and HTTP/2, and no address that the guard refuses.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tower::Service;

use crate::guard::{AddressGuard, BlockedAddress};

/// How connections to destinations are made and kept.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Longest time for resolving, connecting and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Unused connections kept for one destination.
    pub max_idle_per_destination: usize,
    /// Which addresses may be connected to.
    pub guard: AddressGuard,
    /// Root certificates that are trusted beside the system's, such as that of a private authority.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

/// How often a silent connection is probed, so that one whose other end is gone does not take requests for ever.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// No root certificate was found, so no `https` destination could be reached.
#[derive(Debug, thiserror::Error)]
#[error("the system has no root certificates; install them (Debian: apt-get install ca-certificates)")]
pub struct NoRootCertificates;

/// Sends requests. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client(legacy::Client<GuardedConnector, Full<Bytes>>);

impl Client {
    /// A client that trusts the system's root certificates and the extra ones. A certificate that cannot be read is left out.
    ///
    /// # Errors
    /// When there is no root certificate at all.
    pub fn new(settings: &ClientSettings) -> Result<Self, NoRootCertificates> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs().certs;
        roots.add_parsable_certificates(system.into_iter().chain(settings.extra_roots.iter().cloned()));
        if roots.is_empty() {
            return Err(NoRootCertificates);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| NoRootCertificates)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let guard = Arc::new(settings.guard.clone());
        let mut http = HttpConnector::new_with_resolver(GuardedResolver(guard.clone()));
        http.set_nodelay(true);
        http.enforce_http(false);
        http.set_connect_timeout(Some(settings.connect_timeout));
        http.set_keepalive(Some(KEEP_ALIVE));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions();
        let connector =
            GuardedConnector { guard, timeout: settings.connect_timeout, inner: https.wrap_connector(http) };
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.max_idle_per_destination)
            .timer(TokioTimer::new())
            .http2_initial_max_send_streams(100)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(settings.connect_timeout)
            .build(connector);
        Ok(Self(client))
    }

    /// Sends one request and returns the head of the answer. Redirects are not followed.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, legacy::Error> {
        self.0.request(request).await
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The connection could not be made in time.
#[derive(Debug, thiserror::Error)]
#[error("the connection took longer than {} ms", .0.as_millis())]
pub(crate) struct ConnectTimeout(Duration);

/// Refuses forbidden addresses that are written as such in the URL; names are checked when they are resolved.
#[derive(Debug, Clone)]
struct GuardedConnector {
    guard: Arc<AddressGuard>,
    timeout: Duration,
    inner: HttpsConnector<HttpConnector<GuardedResolver>>,
}

impl Service<Uri> for GuardedConnector {
    type Response = <HttpsConnector<HttpConnector<GuardedResolver>> as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let literal = uri.host().map(|host| host.trim_matches(['[', ']'])).and_then(|host| host.parse::<IpAddr>().ok());
        if let Some(Err(blocked)) = literal.map(|address| self.guard.check(address)) {
            return Box::pin(async move { Err(blocked.into()) });
        }
        let connect = self.inner.call(uri);
        let timeout = self.timeout;
        Box::pin(async move {
            match tokio::time::timeout(timeout, connect).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimeout(timeout).into()),
            }
        })
    }
}

/// Resolves names by the system and keeps only addresses that may be connected to.
#[derive(Debug, Clone)]
struct GuardedResolver(Arc<AddressGuard>);

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = self.0.clone();
        Box::pin(async move {
            let mut blocked: Option<BlockedAddress> = None;
            let mut allowed = Vec::new();
            for address in tokio::net::lookup_host((name.as_str(), 0)).await? {
                match guard.check(address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(refused) => blocked = Some(refused),
                }
            }
            match blocked {
                Some(blocked) if allowed.is_empty() => Err(blocked.into()),
                _ => Ok(allowed.into_iter()),
            }
        })
    }
}
