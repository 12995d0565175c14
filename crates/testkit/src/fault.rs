//! A proxy that makes a healthy server look like a bad version of itself, to clients and to whoever reads its metrics.

mod metrics;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rand::RngExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use metrics::Durations;

/// What is wrong with a version. The default is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Fault {
    /// Share of requests, from 0 to 1, that are answered 500 and never reach the server.
    pub error_ratio: f64,
    /// Added to each request that reaches the server.
    pub delay: Duration,
    /// Memory that each request leaves behind, bytes.
    pub leak_bytes: usize,
}

/// The proxy. It stops when dropped; connections under way are cut off.
///
/// Faults strike whatever is not asked by a probe: `/metrics`, `/readyz`, `/healthz` and `/health` pass. `/metrics` is the server's own, with
/// `http_server_request_duration_seconds` as clients of the proxy saw it and what leaked added to `process_resident_memory_bytes`.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

const PROBES: [&str; 4] = ["/metrics", "/readyz", "/healthz", "/health"];

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    fault: Mutex<Fault>,
    durations: Mutex<Durations>,
    leaked: Mutex<Vec<Vec<u8>>>,
}

impl FaultProxy {
    /// Listens on `listen` (port 0 for a free one) in front of `upstream`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(listen: SocketAddr, upstream: SocketAddr, fault: Fault) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        let shared = Arc::new(Shared {
            upstream,
            client,
            fault: Mutex::new(fault),
            durations: Mutex::default(),
            leaked: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that were no probes.
    #[must_use]
    pub fn requests(&self) -> u64 {
        lock(&self.shared.durations).requests()
    }

    /// Changes what is wrong, from the next request on.
    pub fn set(&self, fault: Fault) {
        *lock(&self.shared.fault) = fault;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and with it every connection.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(shared.answer(request).await) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if PROBES.contains(&request.uri().path()) {
            return self.forward(request).await;
        }
        let begun = Instant::now();
        let method = request.method().to_string();
        let fault = *lock(&self.fault);
        let fails = rand::rng().random_bool(fault.error_ratio.clamp(0.0, 1.0));
        let answer = if fails {
            // The body is read, as an honest server does before it fails.
            let _ = request.into_body().collect().await;
            plain(StatusCode::INTERNAL_SERVER_ERROR, "a fault of the test")
        } else {
            if !fault.delay.is_zero() {
                tokio::time::sleep(fault.delay).await;
            }
            self.forward(request).await
        };
        if fault.leak_bytes > 0 {
            lock(&self.leaked).push(vec![1; fault.leak_bytes]);
        }
        lock(&self.durations).observe(&method, answer.status().as_u16(), begun.elapsed());
        answer
    }

    async fn forward(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (mut parts, body) = request.into_parts();
        let is_metrics = parts.uri.path() == "/metrics";
        let Ok(body) = body.collect().await else { return plain(StatusCode::BAD_REQUEST, "a broken body") };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let Ok(uri) = format!("http://{}{path}", self.upstream).parse() else {
            return plain(StatusCode::BAD_REQUEST, "a broken path");
        };
        parts.uri = uri;
        one_hop_ends(&mut parts.headers);
        let Ok(answer) = self.client.request(Request::from_parts(parts, Full::new(body.to_bytes()))).await else {
            return plain(StatusCode::BAD_GATEWAY, "the server behind the proxy does not answer");
        };
        let (mut parts, body) = answer.into_parts();
        let Ok(body) = body.collect().await else { return plain(StatusCode::BAD_GATEWAY, "a broken answer") };
        one_hop_ends(&mut parts.headers);
        let mut body = body.to_bytes();
        if is_metrics && parts.status.is_success() {
            parts.headers.remove(header::CONTENT_LENGTH);
            let leaked = lock(&self.leaked).iter().map(Vec::len).sum();
            body = lock(&self.durations).replace_in(&String::from_utf8_lossy(&body), leaked).into();
        }
        Response::from_parts(parts, Full::new(body))
    }
}

/// Removes what is said between two neighbours only.
fn one_hop_ends(headers: &mut http::HeaderMap) {
    headers.remove(header::CONNECTION);
    headers.remove(header::TRANSFER_ENCODING);
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
