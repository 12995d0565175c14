//! A gateway of its own for each test, and requests that read like sentences.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::ServerConfig;
use serde_json::{Value, json};
use spillway_coordination::{CoordinationSettings, in_process};
use spillway_model::{ApiKey, Clock, ConfigurationChange, IdGenerator, ManualClock, Rate, Scope, Secret};
use spillway_signature::{Outgoing, Provider, SchemeOptions, sign_as};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{Store, Unobserved, watch_configuration};
use spillway_telemetry::{Metrics, Tracer};
use spillway_webhook_api::{
    ApiSettings, AttemptWaiters, Committer, CommitterSettings, CurrentRouting, Feed, FeedParts, Front, Gateway,
    Handover, IntakeLimits, Performance, PerformanceSettings, PoolLimits, Sampler, ServerSettings, Streams, keys,
    router, serve,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::store_double::StoreDouble;

/// When every test takes place: 2026-01-01T00:00:00Z.
pub(crate) const NOW: i64 = 1_767_225_600_000;
/// What every node calls itself, so that another one is the same after a restart.
pub(crate) const NODE: &str = "test-node:8080";
pub(crate) const GITHUB_SECRET: &str = "it is a secret to everybody";

/// What a test sets differently.
pub(crate) struct Options {
    pub(crate) api: ApiSettings,
    pub(crate) limits: IntakeLimits,
    pub(crate) synchronous: Option<Arc<AttemptWaiters>>,
    pub(crate) api_rate_limit: Rate,
    pub(crate) unauthenticated_rate_limit: Rate,
    pub(crate) header_timeout: Duration,
    pub(crate) queue: usize,
    pub(crate) batch: usize,
    pub(crate) committer_store: Option<StoreDouble>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) certificate_expires_at: Option<i64>,
    pub(crate) max_streams: usize,
    /// Whether other nodes write to the same store.
    pub(crate) shared: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api: ApiSettings {
                cors_allow_origins: Vec::new(),
                tls: false,
                lease: Duration::from_secs(60),
                default_timeout: Duration::from_secs(30),
                request_timeout: Duration::from_secs(30),
                replay_per_second: 100,
                pool: PoolLimits::default(),
            },
            limits: IntakeLimits {
                max_body_bytes: 1 << 20,
                max_headers: 64,
                max_header_bytes: 16 * 1_024,
                body_timeout: Duration::from_secs(15),
                commit_timeout: Duration::from_secs(10),
            },
            synchronous: None,
            api_rate_limit: "10000/s".parse().expect("a rate"),
            unauthenticated_rate_limit: "10000/s".parse().expect("a rate"),
            header_timeout: Duration::from_secs(10),
            queue: 1_000,
            batch: 256,
            committer_store: None,
            tls: None,
            certificate_expires_at: None,
            max_streams: 100,
            shared: false,
        }
    }
}

/// A gateway that listens on a free port. It stops when this is dropped.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) router: axum::Router,
    pub(crate) gateway: Arc<Gateway>,
    admin_key: Secret,
    client: Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>,
    stop: CancellationToken,
    folder: Arc<TempDir>,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = SqliteSettings::new(folder.path().join("spillway.db"));
        let store = SqliteStore::open(settings, Arc::new(Unobserved)).await.expect("a store");
        let store: Arc<dyn Store> = Arc::new(store);
        let clock = Arc::new(ManualClock::at(NOW));
        let ids = Arc::new(IdGenerator::new(clock.clone(), 7));
        let admin_key = keys::generate();
        let admin = ApiKey {
            id: ids.key(),
            name: "admin".to_owned(),
            scope: Scope::Admin,
            hash: keys::hash(admin_key.expose()),
            rate_limit: None,
            created_at: NOW,
        };
        store.change_configuration(vec![ConfigurationChange::PutKey(admin)]).await.expect("the first key");
        Self::over(store, Arc::new(folder), clock, ids, admin_key, options).await
    }

    /// Another node over the same store, that hears nothing of this one.
    pub(crate) async fn another_node(&self) -> Self {
        let ids = Arc::new(IdGenerator::new(self.clock.clone(), 8));
        let (store, folder, clock) = (self.store.clone(), self.folder.clone(), self.clock.clone());
        let options = Options { shared: true, ..Options::default() };
        Self::over(store, folder, clock, ids, self.admin_key.clone(), options).await
    }

    async fn over(
        store: Arc<dyn Store>,
        folder: Arc<TempDir>,
        clock: Arc<ManualClock>,
        ids: Arc<IdGenerator>,
        admin_key: Secret,
        options: Options,
    ) -> Self {
        let coordination = in_process(&CoordinationSettings::default());
        // The poll never comes within a test, so a change that is seen was announced.
        let poll = Duration::from_secs(3_600);
        let hints = coordination.changes.subscribe();
        let (configuration, _) = watch_configuration(store.clone(), hints, poll).await.expect("the configuration");
        let metrics = Metrics::new("0.0.0", "unknown");
        let feed = Feed::new(FeedParts {
            store: store.clone(),
            configuration: configuration.clone(),
            clock: clock.clone(),
            shared: options.shared,
        });
        let secrets: spillway_model::SecretResolver = Arc::new(resolve);
        let routing = CurrentRouting::follow(configuration, metrics.clone(), secrets.clone());
        let committer_store = options.committer_store.map_or_else(|| store.clone(), |double| Arc::new(double) as _);
        let settings = CommitterSettings {
            queue: options.queue,
            batch: options.batch,
            wait: Duration::ZERO,
            lease: options.api.lease,
        };
        let (committer, handle) =
            Committer::new(settings, committer_store, Handover::none(), clock.clone(), metrics.clone());
        tokio::spawn(committer.with_feed(feed.clone()).run());
        let gateway = Arc::new(Gateway {
            store: store.clone(),
            coordination,
            committer: handle,
            routing,
            clock: clock.clone() as Arc<dyn Clock>,
            ids,
            performance: Arc::new(Performance::new(PerformanceSettings {
                node: NODE.to_owned(),
                volume: Some(folder.path().to_owned()),
                certificate_expires_at: options.certificate_expires_at,
                pool: options.api.pool,
            })),
            metrics: metrics.clone(),
            statements: Arc::default(),
            tracer: Tracer::disabled(),
            secrets,
            limits: options.limits,
            synchronous: options.synchronous,
            api_rate_limit: options.api_rate_limit,
            unauthenticated_rate_limit: options.unauthenticated_rate_limit,
            api: options.api,
            streams: Streams::new(feed, options.max_streams, &metrics),
            searches: tokio::sync::Semaphore::new(4),
            configuration_lock: tokio::sync::Mutex::default(),
            flights: spillway_webhook_api::Flights::default(),
            serves_api: true,
            stopping: AtomicBool::new(false),
        });
        let router = router(gateway.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let server = ServerSettings {
            max_connections: 100,
            header_timeout: options.header_timeout,
            drain: Duration::from_secs(1),
            max_head_bytes: 64 * 1_024,
            max_concurrent_streams: 100,
        };
        let front = Front::new(&gateway, router.clone());
        tokio::spawn(serve(listener, options.tls, front, server, stop.clone()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { address, clock, store, router, gateway, admin_key, client, stop, folder }
    }

    /// What observes this node, which the test tells when to.
    pub(crate) fn sampler(&self) -> Sampler {
        Sampler::new(self.gateway.clone())
    }

    /// Waits until a worker of this process is told that something is due, once for all that was said before.
    pub(crate) async fn worker_is_told(&self) {
        let told = tokio::time::timeout(Duration::from_secs(5), self.gateway.coordination.due.notified());
        told.await.expect("a worker is told");
    }

    /// The text of the key with scope admin that exists from the start.
    pub(crate) fn admin_key(&self) -> &str {
        self.admin_key.expose()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Request<'_> {
        Request { app: self, method, path: path.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A request with the administrator's key.
    pub(crate) fn api(&self, method: Method, path: &str) -> Request<'_> {
        self.request(method, path).key(self.admin_key())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.api(Method::GET, path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.api(Method::POST, path).json(&body).send().await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.api(Method::PATCH, path).json(&body).send().await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.api(Method::DELETE, path).send().await
    }

    /// A key with this scope.
    pub(crate) async fn key(&self, scope: &str) -> String {
        let made = self.post("/api/v1/keys", json!({"name": format!("a {scope} key"), "scope": scope})).await;
        made.expect(StatusCode::CREATED).text("key")
    }

    /// A source `github` with one secret.
    pub(crate) async fn github_source(&self) -> Value {
        let body = json!({"name": "github", "provider": "github", "secrets": [GITHUB_SECRET]});
        self.post("/api/v1/sources", body).await.expect(StatusCode::CREATED).json()
    }

    pub(crate) async fn destination(&self, name: &str) -> Value {
        let body = json!({"name": name, "url": "https://example.com/hooks"});
        self.post("/api/v1/destinations", body).await.expect(StatusCode::CREATED).json()
    }

    pub(crate) async fn connect(&self, source: &str, destination: &str) -> Value {
        let body = json!({"source": source, "destination": destination});
        self.post("/api/v1/connections", body).await.expect(StatusCode::CREATED).json()
    }

    /// A webhook to the source `github`, signed as GitHub signs.
    pub(crate) fn webhook(&self, id: &str, body: &[u8]) -> Request<'_> {
        self.signed("/in/github", Provider::Github, GITHUB_SECRET, id, body)
    }

    pub(crate) fn signed(&self, path: &str, provider: Provider, secret: &str, id: &str, body: &[u8]) -> Request<'_> {
        let outgoing = Outgoing { id, body, path_and_query: path, now_unix_ms: self.clock.now() };
        let signed = sign_as(provider, secret, &SchemeOptions::default(), &outgoing).expect("a signature");
        let request = self.request(Method::POST, path).header("content-type", "application/json").body(body.to_vec());
        signed.iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

/// `env:` names two variables, one of which is set; everything else is a literal.
fn resolve(secret: &Secret) -> Result<Secret, String> {
    match secret.expose() {
        "env:SET" => Ok(Secret::new("what the variable holds")),
        text if text.starts_with("env:") => Err(format!("the environment variable {} is not set", &text[4..])),
        _ => Ok(secret.clone()),
    }
}

/// A request that is about to be sent.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    app: &'a TestApp,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Request<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name: http::HeaderName = name.parse().expect("a header name");
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) async fn send(self) -> Answer {
        let uri = format!("http://{}{}", self.app.address, self.path);
        let mut request = http::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = uri.parse().expect("a path");
        *request.headers_mut() = self.headers;
        let response = self.app.client.request(request).await.expect("an answer");
        Answer::read(response).await
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn read<B>(response: http::Response<B>) -> Self
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Self { status: parts.status, headers: parts.headers, body }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// A field of the body that is a text.
    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("no text {field} in {:?}", self.body)).to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A problem document with this status and code, whose detail has each of `hints`.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str, hints: &[&str]) {
        let shown = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{shown}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let document = self.json();
        assert_eq!(document["code"], code, "{shown}");
        assert_eq!(document["status"], status);
        assert_eq!(document["type"], format!("urn:spillway:problem:{code}"));
        let detail = document["detail"].as_str().expect("a detail");
        for hint in hints {
            assert!(detail.contains(hint), "{hint:?} is not in {detail:?}");
        }
    }
}
