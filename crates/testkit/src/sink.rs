//! A scripted HTTP destination that records what it is sent. HTTP/1.1, and HTTP/2 without TLS for clients that begin with it.

mod answer;
mod connection;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use answer::Answer;

use crate::wait::holds_within;

/// A sink that was dropped closes its socket a moment later.
const BIND_DEADLINE: Duration = Duration::from_secs(5);

/// Limits of what a [`Sink`] keeps. It always counts everything.
#[derive(Clone, Copy, Debug)]
pub struct SinkOptions {
    /// Requests kept for [`Sink::requests`]. Zero only counts.
    pub keep_requests: usize,
    /// Bytes kept of each body; `body_len` has the full length.
    pub keep_body_bytes: usize,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self { keep_requests: 10_000, keep_body_bytes: 2 * 1024 * 1024 }
    }
}

/// One request as it arrived, with its body read to the end.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// HTTP method.
    pub method: Method,
    /// Path without the query.
    pub path: String,
    /// Query without the question mark, if there is one.
    pub query: Option<String>,
    /// Protocol version.
    pub version: Version,
    /// Every header, in order of arrival for each name.
    pub headers: HeaderMap,
    /// The body, cut at [`SinkOptions::keep_body_bytes`].
    pub body: Bytes,
    /// Length of the whole body in bytes.
    pub body_len: usize,
    /// Instant at which the headers had arrived.
    pub arrived_at: Instant,
    /// Address of the client: equal for requests on the same connection.
    pub peer: SocketAddr,
}

impl ReceivedRequest {
    /// First value of a header, `None` when it is absent or not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An HTTP server on a free port of 127.0.0.1 that answers 200 to everything until it is told otherwise. Its connections are closed on drop.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    accept_loop: JoinHandle<()>,
}

/// State that the connections write and the test reads.
#[derive(Debug)]
struct Shared {
    options: SinkOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    n_requests: usize,
    n_connections: usize,
    requests: Vec<ReceivedRequest>,
    scripts: HashMap<String, VecDeque<Answer>>,
    fallback: Fallback,
}

/// What answers a path without a script.
type Respond = Arc<dyn Fn(&ReceivedRequest) -> Answer + Send + Sync>;

#[derive(Clone)]
struct Fallback(Respond);

impl Default for Fallback {
    fn default() -> Self {
        Self(Arc::new(|_| Answer::status(200)))
    }
}

impl std::fmt::Debug for Fallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fallback")
    }
}

impl Sink {
    /// Starts a sink with [`SinkOptions::default`].
    pub async fn start() -> Self {
        Self::start_with(SinkOptions::default()).await
    }

    /// A sink that keeps no request and only counts, for load.
    pub async fn counting() -> Self {
        Self::start_with(SinkOptions { keep_requests: 0, keep_body_bytes: 0 }).await
    }

    /// Starts a sink on a free port.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start_with(options: SinkOptions) -> Self {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await
    }

    /// Starts a sink on this address, for instance where an earlier one was dropped: a destination that comes back.
    ///
    /// # Panics
    /// When the address is still taken after 5 s.
    pub async fn start_on(address: SocketAddr, options: SinkOptions) -> Self {
        let mut bound = None;
        let free = holds_within(BIND_DEADLINE, async || {
            bound = TcpListener::bind(address).await.ok();
            bound.is_some()
        });
        assert!(free.await, "a sink could not bind {address} within {BIND_DEADLINE:?}");
        let listener = bound.expect("was just bound");
        let address = listener.local_addr().expect("address of a bound socket");
        let shared = Arc::new(Shared { options, state: Mutex::default() });
        let accept_loop = tokio::spawn(connection::accept(listener, Arc::clone(&shared)));
        Self { address, shared, accept_loop }
    }

    /// Address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT` and `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers every request to `path` like this from now on.
    pub fn on(&self, path: &str, answer: Answer) {
        self.script(path, [answer]);
    }

    /// Answers requests to `path` with these in turn; the last one stays.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn script(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers: VecDeque<Answer> = answers.into_iter().collect();
        assert!(!answers.is_empty(), "the script of {path} has no answer");
        self.shared.lock().scripts.insert(path.to_owned(), answers);
    }

    /// Lets a closure answer every path that has no script.
    pub fn respond_with(&self, respond: impl Fn(&ReceivedRequest) -> Answer + Send + Sync + 'static) {
        self.shared.lock().fallback = Fallback(Arc::new(respond));
    }

    /// Requests received so far, kept or not. A request counts once its body has been read, before it is answered.
    pub fn count(&self) -> usize {
        self.shared.lock().n_requests
    }

    /// Connections accepted so far.
    pub fn connection_count(&self) -> usize {
        self.shared.lock().n_connections
    }

    /// Every request so far, in order of arrival.
    ///
    /// # Panics
    /// When there were more than [`SinkOptions::keep_requests`], because the answer would be incomplete.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        let state = self.shared.lock();
        let (kept, n_requests) = (state.requests.len(), state.n_requests);
        assert!(
            kept == n_requests,
            "the sink kept {kept} of {n_requests} requests: raise SinkOptions::keep_requests or use count()"
        );
        state.requests.clone()
    }

    /// The requests to one path, in order of arrival.
    ///
    /// # Panics
    /// Like [`Sink::requests`].
    pub fn requests_to(&self, path: &str) -> Vec<ReceivedRequest> {
        self.requests().into_iter().filter(|request| request.path == path).collect()
    }

    /// Waits until at least `n` requests have arrived and returns all of them.
    ///
    /// # Panics
    /// When fewer have arrived at the deadline, and like [`Sink::requests`].
    pub async fn wait_for(&self, n: usize, deadline: Duration) -> Vec<ReceivedRequest> {
        self.wait_for_count(n, deadline).await;
        self.requests()
    }

    /// Waits until at least `n` requests have arrived.
    ///
    /// # Panics
    /// When fewer have arrived at the deadline.
    pub async fn wait_for_count(&self, n: usize, deadline: Duration) {
        let arrived = holds_within(deadline, async || self.count() >= n).await;
        assert!(arrived, "waited {deadline:?} for {n} requests, the sink has {}", self.count());
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accept_loop.abort();
    }
}

impl Shared {
    /// A panic while the lock was held is the test's own failure; it hides nothing here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Records the request and returns the answer that its path's script, or else the closure, has for it.
    fn receive(&self, request: ReceivedRequest) -> Answer {
        let (scripted, fallback) = {
            let mut state = self.lock();
            state.n_requests += 1;
            let scripted = state.scripts.get_mut(&request.path).and_then(next_answer);
            (scripted, state.fallback.clone())
        };
        let answer = scripted.unwrap_or_else(|| (fallback.0)(&request));
        let mut state = self.lock();
        if state.requests.len() < self.options.keep_requests {
            state.requests.push(request);
        }
        answer
    }
}

fn next_answer(script: &mut VecDeque<Answer>) -> Option<Answer> {
    if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
}
